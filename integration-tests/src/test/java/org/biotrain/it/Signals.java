package org.biotrain.it;

import java.util.List;
import java.util.stream.IntStream;
import org.biotrain.CounterRandom;
import org.biotrain.Model;
import org.biotrain.data.Dataset;

/** Noise on top of a wave whose frequency is the class. */
final class Signals {
    private Signals() {}

    /** Windows of the shape of a model's input. */
    static Dataset windows(Model model, int classes, int count) {
        int[] shape = model.inputShape();
        int channels = shape[shape.length - 2];
        int samples = shape[shape.length - 1];
        float[] data = CounterRandom.normal(1, 0, count * channels * samples);
        int[] labels = IntStream.range(0, count).map(i -> i % classes).toArray();
        for (int i = 0; i < data.length; i++) {
            int label = labels[i / (channels * samples)];
            double phase = 2 * Math.PI * (1 + 3 * label) * (i % samples) / samples;
            data[i] = 0.3f * data[i] + (float) Math.sin(phase + i / samples % channels);
        }
        List<String> names =
                IntStream.range(0, classes).mapToObj(c -> "class " + c).toList();
        return Dataset.of(names, channels, samples, data, labels);
    }
}
