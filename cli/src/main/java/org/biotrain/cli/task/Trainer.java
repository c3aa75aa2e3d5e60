package org.biotrain.cli.task;

import java.util.Objects;
import org.biotrain.Device;
import org.biotrain.Evaluation;
import org.biotrain.Model;
import org.biotrain.PlanSummary;
import org.biotrain.TrainingListener;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingResult;
import org.biotrain.TrainingSession;
import org.biotrain.data.Dataset;
import org.jspecify.annotations.Nullable;

/** Trains networks on a device as a task says. Belongs to the device's thread. */
public final class Trainer {
    private final Device device;

    /** Creates a trainer that uses a device, which stays open. */
    public Trainer(Device device) {
        this.device = device;
    }

    /**
     * What a calibration came to.
     *
     * @param model the network with its new weights
     * @param before on the test windows, with the weights that it began with
     * @param after on the test windows, at the end
     * @param training the training's losses, time and hash
     * @param plan memory and work
     */
    public record Outcome(
            Model model, Evaluation before, Evaluation after, TrainingResult training, PlanSummary plan) {}

    /** Trains a network on the other subjects of a fold. */
    public Model pretrain(Task task, Model initial, Fold fold) {
        TrainingSection section = Objects.requireNonNull(task.pretraining());
        try (TrainingSession session = device.newSession(section.prepare(initial), section.toOptions())) {
            session.upload(TrainingWindows.of(section, Dataset.concat(fold.others())));
            session.fit();
            return session.model();
        }
    }

    /** Trains a network on the fold's training windows, and evaluates it before and after. */
    public Outcome calibrate(
            Model initial, @Nullable TrainingSection section, Fold fold, TrainingListener... listeners) {
        TrainingSection settings = Objects.requireNonNullElseGet(section, TrainingSection::defaults);
        TrainingOptions options = settings.toOptions();
        try (TrainingSession session = device.newSession(settings.prepare(initial), options)) {
            session.upload(TrainingWindows.of(settings, fold.train()));
            Evaluation before = session.evaluate(fold.test());
            TrainingResult result = session.fit(listeners);
            return new Outcome(session.model(), before, session.evaluate(fold.test()), result, session.plan());
        }
    }
}
