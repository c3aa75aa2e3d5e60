package org.biotrain.cli.demo;

import java.util.List;
import java.util.Random;

/**
 * EEG-like windows of imagined left and right hand movements: the mu rhythm over the opposite hemisphere gets weaker.
 * Subjects differ in the rhythms' frequencies and strengths, in amplitude, in how far the cap sits off centre, and in
 * how the channels mix; the gains of the channels drift during a session.
 */
public final class EegGenerator extends SignalGenerator {
    private static final int CHANNELS = 8;
    private static final int SAMPLES = 256;
    private static final double RATE = 128;

    /** Creates a generator of which each seed gives another population. */
    public EegGenerator(long seed) {
        super(seed);
    }

    @Override
    public List<String> classNames() {
        return List.of("left hand", "right hand");
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
        private static final int LEFT_HEMISPHERE = 0;
        private static final int RIGHT_HEMISPHERE = 1;
        private static final int OCCIPITAL = 2;
        private static final int SOURCES = 3;

        private final double amplitude;
        private final double[] frequency = new double[SOURCES];
        private final double[] strength = new double[SOURCES];
        private final double suppression;
        private final double[][] mixing = new double[CHANNELS][SOURCES];
        private final double[] drift = new double[CHANNELS];

        Person(Random random) {
            amplitude = between(random, 6, 18);
            double mu = between(random, 8.5, 12.5);
            frequency[LEFT_HEMISPHERE] = mu;
            frequency[RIGHT_HEMISPHERE] = mu + between(random, -0.4, 0.4);
            frequency[OCCIPITAL] = between(random, 9, 11);
            strength[LEFT_HEMISPHERE] = between(random, 0.8, 1.4);
            strength[RIGHT_HEMISPHERE] = between(random, 0.8, 1.4);
            strength[OCCIPITAL] = between(random, 0.5, 1.0);
            suppression = between(random, 0.4, 0.6);
            double capShift = between(random, -0.6, 0.6);
            for (int channel = 0; channel < CHANNELS; channel++) {
                // From ear to ear, −1 to 1; the hand areas lie half way.
                double position = 2.0 * channel / (CHANNELS - 1) - 1 + capShift;
                mixing[channel][LEFT_HEMISPHERE] = bump(position + 0.5) + 0.6 * random.nextGaussian();
                mixing[channel][RIGHT_HEMISPHERE] = bump(position - 0.5) + 0.6 * random.nextGaussian();
                mixing[channel][OCCIPITAL] = 0.5 + 0.2 * random.nextGaussian();
                drift[channel] = between(random, -0.3, 0.3);
            }
        }

        private static double bump(double distance) {
            return StrictMath.exp(-distance * distance / (2 * 0.35 * 0.35));
        }

        @Override
        public void generate(int label, double session, Random random, float[][] window) {
            double[][] sources = new double[SOURCES][];
            for (int source = 0; source < SOURCES; source++) {
                // Class 0 is the left hand, which the right hemisphere moves.
                boolean moving = label == 0 ? source == RIGHT_HEMISPHERE : source == LEFT_HEMISPHERE;
                double level = strength[source] * between(random, 0.5, 1.5) * (moving ? suppression : 1);
                sources[source] = rhythm(frequency[source], level, random);
            }
            for (int channel = 0; channel < CHANNELS; channel++) {
                double gain = amplitude * (1 + drift[channel] * session);
                double background = random.nextGaussian();
                for (int i = 0; i < SAMPLES; i++) {
                    // An autoregressive process has the falling spectrum of background activity.
                    background = 0.9 * background + 0.3 * random.nextGaussian();
                    double value = background;
                    for (int source = 0; source < SOURCES; source++) {
                        value += mixing[channel][source] * sources[source][i];
                    }
                    window[channel][i] = (float) (gain * value);
                }
            }
        }

        /** An oscillation whose strength and phase wander. */
        private static double[] rhythm(double frequency, double level, Random random) {
            double[] values = new double[SAMPLES];
            double phase = between(random, 0, 2 * StrictMath.PI);
            for (int i = 0; i < SAMPLES; i++) {
                phase += 2 * StrictMath.PI * frequency / RATE + 0.05 * random.nextGaussian();
                values[i] = level * StrictMath.sin(phase);
            }
            return values;
        }
    }
}
