package org.biotrain.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A rule that cuts labelled windows of one length out of recordings. No window reaches across a gap or beyond the
 * recording's ends; windows that would are left out. Immutable.
 */
public abstract sealed class Windows {
    private static final Logger LOG = LoggerFactory.getLogger(Windows.class);

    private final double length;
    private final ClassMap classes;

    private Windows(double length, ClassMap classes) {
        if (!(length > 0) || !Double.isFinite(length)) {
            throw new IllegalArgumentException("a window must be longer than 0 s, but is " + length + " s");
        }
        this.length = length;
        this.classes = classes;
    }

    /**
     * One window per annotation whose label has a class. Its repetition counts the annotations of its class from 1,
     * unless the recording gives repetitions per sample.
     *
     * @param offset seconds from the annotation's onset to the window's start; may be negative
     * @param length seconds
     */
    public static Windows byAnnotation(double offset, double length, ClassMap classes) {
        return new ByAnnotation(offset, length, classes);
    }

    /**
     * Windows at a fixed step from the start of each segment, labelled by their samples. A window is left out if no
     * label has the required share of its samples, if that label is ignored, or if its samples belong to more than one
     * repetition (so that windows which overlap never end up on both sides of a split by repetition).
     *
     * @param length seconds
     * @param step seconds from one window's start to the next one's
     * @param share part of a window's samples that must have one label, above 0.5 for a majority, 1 for all
     */
    public static Windows sliding(double length, double step, double share, ClassMap classes) {
        return new Sliding(length, step, share, classes);
    }

    /**
     * One window around the centre of each event: each run of samples with one label that has a class. Its label is
     * the event's, however short the event is. Its repetition counts the events of its class from 1, unless the
     * recording gives repetitions per sample.
     *
     * @param length seconds
     */
    public static Windows aroundEvents(double length, ClassMap classes) {
        return new AroundEvents(length, classes);
    }

    /** Which label means which class. */
    public ClassMap classes() {
        return classes;
    }

    /** Length of a window in seconds. */
    public double length() {
        return length;
    }

    /** Samples of a window and channel at a sampling rate in Hz. */
    public int samples(double sampleRate) {
        return (int) Math.round(length * sampleRate);
    }

    /**
     * Cuts one recording. The result may be empty.
     *
     * @throws DataException if the recording has no labels of the kind that the rule needs, has a label that is
     *     neither mapped nor ignored, or has a sample in a window that is NaN or infinite
     */
    public Dataset cut(Recording recording) {
        int samples = samples(recording.sampleRate());
        if (samples < 1) {
            throw new DataException("Windows of " + length + " s hold no sample at the " + recording.sampleRate()
                    + " Hz of " + recording.name() + "; use longer windows");
        }
        Cut cut = new Cut(recording, samples);
        find(recording, samples, cut);
        return cut.toDataset();
    }

    /**
     * Cuts several recordings, in order, into one data set.
     *
     * @throws DataException as {@link #cut(Recording)}, or if the recordings differ in channels or rate, or there is
     *     no window in any
     */
    public Dataset cut(List<Recording> recordings) {
        List<Dataset> parts = new ArrayList<>();
        for (Recording recording : recordings) {
            Recording first = recordings.getFirst();
            if (!labels(recording).equals(labels(first)) || recording.sampleRate() != first.sampleRate()) {
                throw new DataException(recording.name() + " has the channels " + labels(recording) + " at "
                        + recording.sampleRate() + " Hz, but " + first.name() + " has " + labels(first) + " at "
                        + first.sampleRate() + " Hz; select the same channels and resample to the same rate");
            }
            parts.add(cut(recording));
        }
        Dataset all = Dataset.concat(parts);
        if (all.size() == 0) {
            throw new DataException("The " + recordings.size() + " recordings give no window of " + length
                    + " s with one of the labels " + classes.classes().keySet()
                    + "; check the label map and the window's length");
        }
        return all;
    }

    private static List<String> labels(Recording recording) {
        return recording.channels().stream().map(Channel::label).toList();
    }

    abstract void find(Recording recording, int samples, Cut cut);

    /** Collects the windows of one recording. */
    final class Cut {
        private final Recording recording;
        private final int samples;
        private final List<Integer> starts = new ArrayList<>();
        private final List<Double> times = new ArrayList<>();
        private final List<Integer> labels = new ArrayList<>();
        private final List<Integer> repetitions = new ArrayList<>();
        private int outside;

        Cut(Recording recording, int samples) {
            this.recording = recording;
            this.samples = samples;
        }

        void add(Segment segment, long start, int label, int repetition) {
            if (start < segment.firstSample() || start + samples > segment.endSample()) {
                outside++;
                return;
            }
            starts.add((int) start);
            times.add(segment.start() + (start - segment.firstSample()) / recording.sampleRate());
            labels.add(label);
            repetitions.add(repetition);
        }

        Dataset toDataset() {
            if (outside > 0) {
                LOG.info(
                        "{}: {} of {} windows reach across a gap or an end and are left out",
                        recording.name(),
                        outside,
                        outside + starts.size());
            }
            float[][] signal = recording.rawSignal();
            float[] data = new float[Dataset.dataLength(starts.size(), signal.length, samples)];
            List<WindowInfo> infos = new ArrayList<>();
            int at = 0;
            for (int i = 0; i < starts.size(); i++) {
                int start = starts.get(i);
                recording.requireFinite(start, start + samples);
                for (float[] channel : signal) {
                    System.arraycopy(channel, start, data, at, samples);
                    at += samples;
                }
                infos.add(new WindowInfo(
                        recording.origin(), repetitions.get(i), times.get(i), samples / recording.sampleRate()));
            }
            return Dataset.owning(
                    classes.names(),
                    signal.length,
                    samples,
                    data,
                    labels.stream().mapToInt(Integer::intValue).toArray(),
                    List.copyOf(infos));
        }
    }

    private static final class ByAnnotation extends Windows {
        private final double offset;

        ByAnnotation(double offset, double length, ClassMap classes) {
            super(length, classes);
            if (!Double.isFinite(offset)) {
                throw new IllegalArgumentException("a window's offset must be finite, but is " + offset + " s");
            }
            this.offset = offset;
        }

        @Override
        void find(Recording recording, int samples, Cut cut) {
            if (recording.annotations().isEmpty()) {
                throw new DataException(recording.name()
                        + " has no annotations to cut windows by; cut by the labels of its samples or add annotations");
            }
            int[] perSample = recording.rawRepetitions();
            int[] seen = new int[classes().names().size()];
            for (Annotation annotation : recording.annotations()) {
                OptionalInt label = classes().classOf(annotation.label(), recording);
                if (label.isEmpty()) {
                    continue;
                }
                seen[label.getAsInt()]++;
                double time = annotation.onset() + offset;
                Segment segment = segmentAt(recording, time);
                long start = segment.firstSample() + Math.round((time - segment.start()) * recording.sampleRate());
                boolean inside = start >= segment.firstSample() && start < segment.endSample();
                int repetition = perSample != null && inside ? perSample[(int) start] : seen[label.getAsInt()];
                cut.add(segment, start, label.getAsInt(), repetition);
            }
        }

        /** The last segment that begins at or before a time (within half a sample), or the first one. */
        private static Segment segmentAt(Recording recording, double time) {
            Segment found = recording.segments().getFirst();
            for (Segment segment : recording.segments()) {
                if (segment.start() <= time + 0.5 / recording.sampleRate()) {
                    found = segment;
                }
            }
            return found;
        }

        @Override
        public String toString() {
            return "windows of " + length() + " s, " + offset + " s after annotations";
        }
    }

    /** The label of each sample, after a check that all have a class or are ignored. */
    int[] checkedLabels(Recording recording) {
        int[] labels = recording.rawLabels();
        if (labels == null) {
            throw new DataException(recording.name()
                    + " has no labels of its samples; name the label column or array, or cut windows by annotation");
        }
        Set<Integer> distinct = new HashSet<>();
        for (int label : labels) {
            if (distinct.add(label)) {
                classes.classOf(Integer.toString(label), recording);
            }
        }
        return labels;
    }

    private static final class Sliding extends Windows {
        private final double step;
        private final double share;

        Sliding(double length, double step, double share, ClassMap classes) {
            super(length, classes);
            if (!(step > 0) || !Double.isFinite(step) || !(share > 0 && share <= 1)) {
                throw new IllegalArgumentException(
                        "the step must be above 0 s and the share above 0 and at most 1, but they are " + step
                                + " s and " + share);
            }
            this.step = step;
            this.share = share;
        }

        @Override
        void find(Recording recording, int samples, Cut cut) {
            int[] labels = checkedLabels(recording);
            int[] repetitions = recording.rawRepetitions();
            for (Segment segment : recording.segments()) {
                for (int i = 0; ; i++) {
                    // Each start is rounded by itself, so that a step of half a sample does not add up to drift.
                    long start = segment.firstSample() + Math.round(i * step * recording.sampleRate());
                    if (start + samples > segment.endSample()) {
                        break;
                    }
                    int from = (int) start;
                    if (repetitions != null && !isConstant(repetitions, from, from + samples)) {
                        continue;
                    }
                    OptionalInt label = label(labels, from, from + samples);
                    OptionalInt index =
                            label.isEmpty() ? label : classes().classOf(Integer.toString(label.getAsInt()), recording);
                    if (index.isPresent()) {
                        cut.add(segment, start, index.getAsInt(), repetitions == null ? 0 : repetitions[from]);
                    }
                }
            }
        }

        private static boolean isConstant(int[] values, int from, int to) {
            return Arrays.stream(values, from, to).allMatch(value -> value == values[from]);
        }

        /** The most frequent label, if it has the share; of equally frequent ones the one that gets there first. */
        private OptionalInt label(int[] labels, int from, int to) {
            Map<Integer, Integer> counts = new HashMap<>();
            int best = labels[from];
            int most = 0;
            for (int i = from; i < to; i++) {
                int count = counts.merge(labels[i], 1, Integer::sum);
                if (count > most) {
                    most = count;
                    best = labels[i];
                }
            }
            return most >= share * (to - from) ? OptionalInt.of(best) : OptionalInt.empty();
        }

        @Override
        public String toString() {
            return "windows of " + length() + " s every " + step + " s with a label's share of at least " + share;
        }
    }

    private static final class AroundEvents extends Windows {
        AroundEvents(double length, ClassMap classes) {
            super(length, classes);
        }

        @Override
        void find(Recording recording, int samples, Cut cut) {
            int[] labels = checkedLabels(recording);
            int[] repetitions = recording.rawRepetitions();
            int[] seen = new int[classes().names().size()];
            for (Segment segment : recording.segments()) {
                int from = segment.firstSample();
                for (int i = from + 1; i <= segment.endSample(); i++) {
                    if (i < segment.endSample() && labels[i] == labels[from]) {
                        continue;
                    }
                    OptionalInt label = classes().classOf(Integer.toString(labels[from]), recording);
                    if (label.isPresent()) {
                        int centre = from + (i - from) / 2;
                        int repetition = ++seen[label.getAsInt()];
                        cut.add(
                                segment,
                                (long) centre - samples / 2,
                                label.getAsInt(),
                                repetitions == null ? repetition : repetitions[centre]);
                    }
                    from = i;
                }
            }
        }

        @Override
        public String toString() {
            return "windows of " + length() + " s around events";
        }
    }
}
