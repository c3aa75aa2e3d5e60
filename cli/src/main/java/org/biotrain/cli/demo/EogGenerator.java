package org.biotrain.cli.demo;

import java.util.List;
import java.util.Random;

/**
 * EOG-like windows of eye movements on a horizontal and a vertical channel: steps for saccades, a bump for a blink.
 * Subjects differ in amplitude, in the electrodes' rotation (which mixes the channels), and in speed; the baseline and
 * the gain drift during a session.
 */
public final class EogGenerator extends SignalGenerator {
    private static final int CHANNELS = 2;
    private static final int SAMPLES = 256;
    private static final double RATE = 256;
    private static final int BLINK = 5;

    /** Where the eyes go in each class: horizontal, vertical. */
    private static final double[][] DIRECTIONS = {{0, 0}, {-1, 0}, {1, 0}, {0, 1}, {0, -1}};

    /** Creates a generator of which each seed gives another population. */
    public EogGenerator(long seed) {
        super(seed);
    }

    @Override
    public List<String> classNames() {
        return List.of("fixation", "left", "right", "up", "down", "blink");
    }

    @Override
    public int channels() {
        return CHANNELS;
    }

    @Override
    public int samples() {
        return SAMPLES;
    }

    @Override
    public double sampleRate() {
        return RATE;
    }

    @Override
    Subject subject(Random random) {
        return new Person(random);
    }

    private static final class Person implements Subject {
        private final double amplitude;
        private final double rotation;
        private final double verticalGain;
        private final double speed;
        private final double noise;
        private final double drift;

        Person(Random random) {
            amplitude = between(random, 60, 220);
            rotation = between(random, -1.4, 1.4);
            verticalGain = between(random, 0.5, 1.1);
            speed = between(random, 60, 140);
            noise = between(random, 0.2, 0.4);
            drift = between(random, -0.25, 0.25);
        }

        @Override
        public void generate(int label, double session, Random random, float[][] window) {
            double onset = between(random, 0.3, 0.7);
            double size = between(random, 0.6, 1.4);
            double cosine = StrictMath.cos(rotation);
            double sine = StrictMath.sin(rotation);
            double gain = amplitude * (1 + drift * session);
            double[] baseline = {random.nextGaussian(), random.nextGaussian()};
            double[] wander = new double[CHANNELS];
            for (int i = 0; i < SAMPLES; i++) {
                double time = i / RATE - onset;
                double horizontal = 0;
                double vertical = 0;
                if (label == BLINK) {
                    vertical = 1.6 * size * StrictMath.exp(-time * time / (2 * 0.06 * 0.06));
                } else {
                    double step = size / (1 + StrictMath.exp(-speed * time));
                    horizontal = DIRECTIONS[label][0] * step;
                    vertical = DIRECTIONS[label][1] * step;
                }
                double[] eye = {horizontal, verticalGain * vertical};
                double[] mixed = {cosine * eye[0] - sine * eye[1], sine * eye[0] + cosine * eye[1]};
                for (int channel = 0; channel < CHANNELS; channel++) {
                    wander[channel] += 0.01 * random.nextGaussian();
                    window[channel][i] = (float) (gain
                            * (mixed[channel]
                                    + 0.5 * baseline[channel]
                                    + wander[channel]
                                    + noise * random.nextGaussian()));
                }
            }
        }
    }
}
