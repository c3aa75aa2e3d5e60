package org.biotrain;

import java.util.ArrayList;
import java.util.List;
import org.biotrain.data.Dataset;

/** A network and data small enough to train in milliseconds. */
final class Fixtures {
    static final int CHANNELS = 2;
    static final int SAMPLES = 32;
    static final List<String> CLASSES = List.of("rest", "left", "right");

    private Fixtures() {}

    /** Convolution, group normalisation, ReLU, dropout, pool, linear: one of each kind of memory and state. */
    static Model network() {
        return network("small", CHANNELS, SAMPLES, 0.25f);
    }

    static Model network(String name, int channels, int samples, float dropout) {
        Model.Builder builder = Model.builder(name, "window", 1, channels, samples)
                .parameter("conv.weight", random(1, 4, 1, channels, 5))
                .parameter("conv.bias", random(2, 4))
                .parameter("norm.weight", Tensor.filled(1, 4))
                .parameter("norm.bias", Tensor.filled(0, 4))
                .parameter("fc.weight", random(3, 3, 4 * (samples / 4)))
                .parameter("fc.bias", Tensor.filled(0, 3));
        Attributes none = Attributes.defaults();
        String value = builder.layer(Op.CONV, "conv", none.withPads(0, 2, 0, 2), "window", "conv.weight", "conv.bias");
        value = builder.layer(Op.GROUP_NORM, "norm", none.withGroups(2), value, "norm.weight", "norm.bias");
        value = builder.layer(Op.RELU, "relu", none, value);
        value = builder.layer(Op.DROPOUT, "dropout", none.withRatio(dropout), value);
        value = builder.layer(Op.AVERAGE_POOL, "pool", none.withKernel(1, 4).withStrides(1, 4), value);
        value = builder.layer(Op.RESHAPE, "flatten", none.withDims(0, -1), value);
        value = builder.layer(Op.LINEAR, "fc", none, value, "fc.weight", "fc.bias");
        return builder.build(value);
    }

    private static Tensor random(long stream, int... shape) {
        int elements = 1;
        for (int extent : shape) {
            elements *= extent;
        }
        float[] data = CounterRandom.normal(7, stream, elements);
        for (int i = 0; i < elements; i++) {
            data[i] *= 0.2f;
        }
        return Tensor.of(shape, data);
    }

    /** Noise on top of a slow wave whose frequency is the class. */
    static Dataset windows(int count, long seed) {
        return windows(count, seed, CHANNELS, SAMPLES);
    }

    static Dataset windows(int count, long seed, int channels, int samples) {
        float[] data = CounterRandom.normal(seed, 0, count * channels * samples);
        int[] labels = new int[count];
        for (int window = 0; window < count; window++) {
            labels[window] = window % CLASSES.size();
            for (int channel = 0; channel < channels; channel++) {
                for (int sample = 0; sample < samples; sample++) {
                    int index = (window * channels + channel) * samples + sample;
                    double phase = 2 * Math.PI * (1 + 3 * labels[window]) * sample / samples;
                    data[index] = 0.3f * data[index] + (float) Math.sin(phase + channel);
                }
            }
        }
        return Dataset.of(CLASSES, channels, samples, data, labels);
    }

    static TrainingOptions.Builder options() {
        return TrainingOptions.builder()
                .optimizer(Optimizer.sgd(0.02f).momentum(0.9f).weightDecay(1e-4f))
                .batchSize(4)
                .epochs(5)
                .seed(11);
    }

    static Device device() {
        return Device.open("sim:?target=gap9");
    }

    /** Does nothing but remember. */
    static final class Recorder implements TrainingListener {
        final List<StepEvent> steps = new ArrayList<>();
        final List<EpochEvent> epochs = new ArrayList<>();
        final List<TrainingResult> results = new ArrayList<>();
        int begun;

        @Override
        public void onBegin(TrainingSession session) {
            begun++;
        }

        @Override
        public void onStep(StepEvent event) {
            steps.add(event);
        }

        @Override
        public void onEpoch(EpochEvent event) {
            epochs.add(event);
        }

        @Override
        public void onEnd(TrainingResult result) {
            results.add(result);
        }
    }
}
