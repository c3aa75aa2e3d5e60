package org.biotrain.cli;

import java.util.ArrayList;
import java.util.List;
import org.biotrain.Device;
import org.biotrain.Model;
import org.biotrain.Samples;
import org.biotrain.Stash;
import org.biotrain.StepEvent;
import org.biotrain.TrainingListener;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;

/**
 * How far the loss is off when maps are kept in half precision: the same network trained with the same windows twice.
 *
 * @param steps compared
 * @param mean absolute difference of a step's losses
 * @param largest of these differences
 * @param leastLoss of a step in single precision
 * @param greatestLoss likewise
 */
record StashDeviation(int steps, double mean, double largest, double leastLoss, double greatestLoss) {
    /** Makes windows for a network with so many classes. */
    interface Windows {
        Samples of(Model network, int classes);
    }

    static StashDeviation measure(Device device, Model network, TrainingOptions options, Windows windows) {
        List<Double> single =
                losses(device, network, options.toBuilder().stash(Stash.FLOAT32).build(), windows);
        List<Double> half =
                losses(device, network, options.toBuilder().stash(Stash.FLOAT16).build(), windows);
        double sum = 0;
        double largest = 0;
        double least = Double.POSITIVE_INFINITY;
        double greatest = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < single.size(); i++) {
            double difference = Math.abs(half.get(i) - single.get(i));
            sum += difference;
            largest = Math.max(largest, difference);
            least = Math.min(least, single.get(i));
            greatest = Math.max(greatest, single.get(i));
        }
        return new StashDeviation(single.size(), sum / single.size(), largest, least, greatest);
    }

    private static List<Double> losses(Device device, Model network, TrainingOptions options, Windows windows) {
        List<Double> losses = new ArrayList<>();
        try (TrainingSession session = device.newSession(network, options)) {
            session.upload(windows.of(network, session.plan().outputElements()));
            session.fit(new TrainingListener() {
                @Override
                public void onStep(StepEvent event) {
                    losses.add((double) event.loss());
                }
            });
        }
        return losses;
    }
}
