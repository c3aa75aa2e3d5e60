package org.biotrain.cli.task;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.biotrain.Device;
import org.biotrain.Evaluation;
import org.biotrain.Model;
import org.biotrain.cli.CliException;
import org.biotrain.data.Dataset;

/** Trains and tests one network per fold of a task. */
public final class Study {
    private Study() {}

    /**
     * One network of a study.
     *
     * @param name the group's name
     * @param subject the subject's name
     * @param trainWindows windows trained on, those of other subjects excluded
     * @param testWindows windows tested on
     * @param before on the test windows, before training on the subject
     * @param after on the test windows, after it
     * @param seconds of training on the subject
     * @param sha256 of this training
     */
    public record Network(
            String name,
            String subject,
            int trainWindows,
            int testWindows,
            Evaluation before,
            Evaluation after,
            double seconds,
            String sha256) {}

    /**
     * What a study came to.
     *
     * @param task the task's name
     * @param device where it was trained
     * @param model the network's name
     * @param parameters elements of the network's parameters
     * @param chance balanced accuracy of guessing
     * @param balancedAccuracy after training, over the subjects
     * @param balancedAccuracyBefore before training on the subject
     * @param accuracy after training, over the subjects
     * @param macroF1 after training, over the subjects
     * @param seconds of training on the subjects, all together
     * @param networks one by one
     */
    public record Report(
            String task,
            String device,
            String model,
            long parameters,
            double chance,
            Summary balancedAccuracy,
            Summary balancedAccuracyBefore,
            Summary accuracy,
            Summary macroF1,
            double seconds,
            List<Network> networks) {}

    /**
     * Runs a study.
     *
     * @param only names of the folds to run; all if empty
     * @param done is told each network as it is done
     */
    public static Report run(Device device, Task task, Path data, List<String> only, Consumer<Network> done) {
        Model model = Model.load(Path.of(task.model()));
        Trainer trainer = new Trainer(device);
        List<Network> networks = new ArrayList<>();
        for (Fold fold : select(Folds.of(task, task.data().find(data)), only)) {
            check(model, fold.train());
            Model start = fold.others().isEmpty() ? model : trainer.pretrain(task, model, fold);
            Trainer.Outcome outcome = trainer.calibrate(start, task.training(), fold);
            Network network = new Network(
                    fold.name(),
                    fold.subject(),
                    fold.train().size(),
                    fold.test().size(),
                    outcome.before(),
                    outcome.after(),
                    outcome.training().duration().toNanos() / 1e9,
                    outcome.training().sha256());
            done.accept(network);
            networks.add(network);
        }
        return new Report(
                task.name(),
                device.uri(),
                model.name(),
                model.summary().parameters(),
                1.0 / networks.getFirst().after().classNames().size(),
                Summary.of(
                        networks, Network::subject, network -> network.after().balancedAccuracy()),
                Summary.of(
                        networks, Network::subject, network -> network.before().balancedAccuracy()),
                Summary.of(
                        networks, Network::subject, network -> network.after().accuracy()),
                Summary.of(
                        networks, Network::subject, network -> network.after().macroF1()),
                networks.stream().mapToDouble(Network::seconds).sum(),
                networks);
    }

    /** The folds of these names, or all. */
    public static List<Fold> select(List<Fold> folds, List<String> names) {
        if (names.isEmpty()) {
            return folds;
        }
        List<String> known = folds.stream().map(Fold::name).toList();
        for (String name : names) {
            if (!known.contains(name)) {
                throw new CliException(
                        "The task has no group " + name + "; its groups are " + String.join(", ", known));
            }
        }
        return folds.stream().filter(fold -> names.contains(fold.name())).toList();
    }

    /** Checks that windows fit a network's input. */
    public static void check(Model model, Dataset windows) {
        int[] shape = model.inputShape();
        int channels = shape.length < 2 ? 1 : shape[shape.length - 2];
        int samples = shape[shape.length - 1];
        if (channels != windows.channels() || samples != windows.samples()) {
            throw new CliException("The network " + model.name() + " takes windows of " + channels + " channels × "
                    + samples + " samples, but the recordings give " + windows.channels() + " × " + windows.samples()
                    + "; choose other channels, another window length or rate, or another network");
        }
    }
}
