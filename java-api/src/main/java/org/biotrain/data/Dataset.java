package org.biotrain.data;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/**
 * Labelled windows, ready to train on: windows × channels × samples, one label each. Immutable.
 *
 * <p>Every sample is finite and every label is an index into the class names; a data set that breaks this can't be
 * made. A data set may hold no windows at all.
 */
public final class Dataset {
    private final List<String> classNames;
    private final int channels;
    private final int samples;
    private final float[] data;
    private final int[] labels;
    private final List<WindowInfo> infos;

    private Dataset(
            List<String> classNames, int channels, int samples, float[] data, int[] labels, List<WindowInfo> infos) {
        this.classNames = classNames;
        this.channels = channels;
        this.samples = samples;
        this.data = data;
        this.labels = labels;
        this.infos = infos;
    }

    /**
     * A data set of windows of which nothing but the label is known.
     *
     * @see #of(List, int, int, float[], int[], List)
     */
    public static Dataset of(List<String> classNames, int channels, int samples, float[] data, int[] labels) {
        return of(classNames, channels, samples, data, labels, Collections.nCopies(labels.length, WindowInfo.UNKNOWN));
    }

    /**
     * Makes a data set. The arrays are copied.
     *
     * @param classNames one name per class, all different
     * @param channels channels of a window
     * @param samples samples of a window and channel
     * @param data window after window, in each channel after channel: {@code [labels.length][channels][samples]}
     * @param labels class of each window, 0 … classes − 1
     * @param infos what else is known about each window
     * @throws DataException if lengths do not fit, a label is outside the classes, or a sample is NaN or infinite
     */
    public static Dataset of(
            List<String> classNames, int channels, int samples, float[] data, int[] labels, List<WindowInfo> infos) {
        return owning(List.copyOf(classNames), channels, samples, data.clone(), labels.clone(), List.copyOf(infos));
    }

    /** As {@link #of}, but keeps the arrays. */
    static Dataset owning(
            List<String> classNames, int channels, int samples, float[] data, int[] labels, List<WindowInfo> infos) {
        if (classNames.isEmpty() || new HashSet<>(classNames).size() != classNames.size()) {
            throw new DataException("The class names " + classNames
                    + " do not name the classes; give at least one name, and each name once");
        }
        if (channels < 1 || samples < 1) {
            throw new DataException("Windows of " + channels + " channels × " + samples
                    + " samples are empty; both must be at least 1");
        }
        if (data.length != dataLength(labels.length, channels, samples)) {
            throw new DataException(labels.length + " windows of " + channels + " channels × " + samples
                    + " samples need " + (long) labels.length * channels * samples + " values, but there are "
                    + data.length + "; check the number of channels and the window's length");
        }
        if (infos.size() != labels.length) {
            throw new DataException(
                    infos.size() + " window infos for " + labels.length + " labels; give one per window");
        }
        for (int window = 0; window < labels.length; window++) {
            if (labels[window] < 0 || labels[window] >= classNames.size()) {
                throw new DataException("Window " + window + place(infos.get(window)) + " has label "
                        + labels[window] + ", but the " + classNames.size() + " classes are numbered 0 to "
                        + (classNames.size() - 1) + "; correct the label map");
            }
        }
        for (int i = 0; i < data.length; i++) {
            if (!Float.isFinite(data[i])) {
                int window = i / samples / channels;
                throw new DataException("Window " + window + place(infos.get(window)) + " holds " + data[i]
                        + " in channel " + i / samples % channels + ", sample " + i % samples
                        + "; leave this window out or repair the signal");
            }
        }
        return new Dataset(classNames, channels, samples, data, labels, infos);
    }

    private static String place(WindowInfo info) {
        String recording = info.origin().recording();
        return recording.isEmpty() ? "" : " (recording " + recording + ", at " + info.start() + " s)";
    }

    /** Number of values of so many windows, or an exception where the heap or one array can't hold them. */
    static int dataLength(int windows, int channels, int samples) {
        // Doubles can't overflow, and are exact far beyond the limit.
        double values = (double) windows * channels * samples;
        double allowed = Math.min(Integer.MAX_VALUE - 8, Runtime.getRuntime().maxMemory() / 8.0);
        if (values > allowed) {
            throw new DataException(String.format(
                    Locale.ROOT,
                    "%d windows of %d channels × %d samples are %.0f values, but a data set may hold %.0f at this"
                            + " size of the Java heap; use fewer or shorter windows, a larger step, or a larger heap (-Xmx)",
                    windows,
                    channels,
                    samples,
                    values,
                    allowed));
        }
        return (int) values;
    }

    /** Number of windows. */
    public int size() {
        return labels.length;
    }

    /** Channels of a window. */
    public int channels() {
        return channels;
    }

    /** Samples of a window and channel. */
    public int samples() {
        return samples;
    }

    /** The classes' names; a label is an index into this list. */
    public List<String> classNames() {
        return classNames;
    }

    /** All samples, read-only: {@code [size][channels][samples]}. No copy. */
    public FloatBuffer data() {
        return FloatBuffer.wrap(data).asReadOnlyBuffer();
    }

    /** A copy of one window: {@code [channels][samples]}, flat. */
    public float[] window(int index) {
        int length = channels * samples;
        return Arrays.copyOfRange(data, index * length, (index + 1) * length);
    }

    /** The class of one window. */
    public int label(int index) {
        return labels[index];
    }

    /** A copy of all labels. */
    public int[] labels() {
        return labels.clone();
    }

    /** What else is known about one window. */
    public WindowInfo info(int index) {
        return infos.get(index);
    }

    /** Number of windows of each class. */
    public int[] classCounts() {
        int[] counts = new int[classNames.size()];
        for (int label : labels) {
            counts[label]++;
        }
        return counts;
    }

    /**
     * The named windows in the given order; an index may occur more than once.
     *
     * @throws IndexOutOfBoundsException if an index is not one of {@code 0 … size() − 1}
     */
    public Dataset subset(int... indices) {
        int length = channels * samples;
        float[] subset = new float[dataLength(indices.length, channels, samples)];
        int[] subsetLabels = new int[indices.length];
        List<WindowInfo> subsetInfos = new ArrayList<>(indices.length);
        for (int i = 0; i < indices.length; i++) {
            subsetLabels[i] = labels[indices[i]];
            subsetInfos.add(infos.get(indices[i]));
            System.arraycopy(data, indices[i] * length, subset, i * length, length);
        }
        return new Dataset(classNames, channels, samples, subset, subsetLabels, List.copyOf(subsetInfos));
    }

    /** The windows whose information satisfies the condition, in order. */
    public Dataset where(Predicate<WindowInfo> condition) {
        return subset(indicesWhere(condition));
    }

    int[] indicesWhere(Predicate<WindowInfo> condition) {
        return IntStream.range(0, size())
                .filter(window -> condition.test(infos.get(window)))
                .toArray();
    }

    /**
     * All windows of several data sets, one after the other.
     *
     * @throws DataException if they differ in classes, channels or samples
     */
    public static Dataset concat(List<Dataset> parts) {
        if (parts.isEmpty()) {
            throw new DataException("There is no data set to join; give at least one");
        }
        Dataset first = parts.getFirst();
        long windows = 0;
        for (Dataset part : parts) {
            if (part.channels != first.channels || part.samples != first.samples) {
                throw new DataException("Windows of " + part.channels + " channels × " + part.samples
                        + " samples can't be joined with windows of " + first.channels + " × " + first.samples
                        + "; select the same channels and the same length for all recordings");
            }
            if (!part.classNames.equals(first.classNames)) {
                throw new DataException("Data sets with the classes " + first.classNames + " and " + part.classNames
                        + " can't be joined; use the same classes for both");
            }
            windows += part.size();
        }
        int size = (int) Math.min(windows, Integer.MAX_VALUE);
        float[] data = new float[dataLength(size, first.channels, first.samples)];
        int[] labels = new int[size];
        List<WindowInfo> infos = new ArrayList<>(size);
        int window = 0;
        for (Dataset part : parts) {
            System.arraycopy(part.data, 0, data, window * first.channels * first.samples, part.data.length);
            System.arraycopy(part.labels, 0, labels, window, part.size());
            infos.addAll(part.infos);
            window += part.size();
        }
        return new Dataset(first.classNames, first.channels, first.samples, data, labels, List.copyOf(infos));
    }

    /** The same windows with other samples, which are kept. */
    Dataset withData(float[] other) {
        return owning(classNames, channels, samples, other, labels, infos);
    }

    @Override
    public String toString() {
        return size() + " windows of " + channels + " channels × " + samples + " samples, classes " + classNames
                + " with " + Arrays.toString(classCounts()) + " windows";
    }
}
