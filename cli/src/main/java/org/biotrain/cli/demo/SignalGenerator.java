package org.biotrain.cli.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.biotrain.data.Dataset;
import org.biotrain.data.Origin;
import org.biotrain.data.WindowInfo;

/**
 * Generates labelled windows of subjects who differ, with a drift over the session. The same seed gives the same bits
 * on every machine: {@link Random} is specified to the bit, and functions come from {@link StrictMath}.
 */
public abstract sealed class SignalGenerator permits EegGenerator, EogGenerator {
    private final long seed;

    SignalGenerator(long seed) {
        this.seed = seed;
    }

    /** Names of the classes. */
    public abstract List<String> classNames();

    /** Channels of a window. */
    public abstract int channels();

    /** Samples of a window and channel. */
    public abstract int samples();

    /** Samples per second. */
    public abstract double sampleRate();

    /** What makes the given subject different from others. */
    abstract Subject subject(Random random);

    /** A person's way of making signals. */
    interface Subject {
        /**
         * Writes one window.
         *
         * @param session position in the session, from 0 to 1
         * @param window {@code [channels][samples]}, zero before
         */
        void generate(int label, double session, Random random, float[][] window);
    }

    /**
     * One session of a subject: so many windows of each class in turn, in order of time.
     *
     * @param number which subject; each has its own traits
     */
    public Dataset session(int number, int windowsPerClass) {
        Random random = new Random(seed * 1_000_003 + number);
        Subject subject = subject(random);
        int classes = classNames().size();
        int count = windowsPerClass * classes;
        int length = channels() * samples();
        float[] data = new float[count * length];
        int[] labels = new int[count];
        List<WindowInfo> infos = new ArrayList<>();
        double seconds = samples() / sampleRate();
        Origin origin = new Origin("generated-" + number, "subject " + number, "", "");
        for (int i = 0; i < count; i++) {
            labels[i] = i % classes;
            float[][] window = new float[channels()][samples()];
            subject.generate(labels[i], i / (double) count, random, window);
            for (int channel = 0; channel < channels(); channel++) {
                System.arraycopy(window[channel], 0, data, i * length + channel * samples(), samples());
            }
            infos.add(new WindowInfo(origin, 1 + i / classes, i * seconds, seconds));
        }
        return Dataset.of(classNames(), channels(), samples(), data, labels, infos);
    }

    /** A number between two bounds. */
    static double between(Random random, double low, double high) {
        return low + (high - low) * random.nextDouble();
    }
}
