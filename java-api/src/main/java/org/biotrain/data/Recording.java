package org.biotrain.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A multi-channel signal at one sampling rate, with what is known about it. Immutable.
 *
 * <p>Samples are physical values in the channels' units. They lie in one or more {@linkplain Segment segments}, which
 * cover all samples in order; between two segments time is missing. A recording may carry annotations (stretches with
 * a text), a label per sample, and a repetition per sample.
 */
public final class Recording {
    private final Origin origin;
    private final double sampleRate;
    private final List<Channel> channels;
    private final float[][] signal;
    private final List<Segment> segments;
    private final List<Annotation> annotations;
    private final int @Nullable [] labels;
    private final int @Nullable [] repetitions;

    /** Keeps the arrays. */
    Recording(
            Origin origin,
            double sampleRate,
            List<Channel> channels,
            float[][] signal,
            List<Segment> segments,
            List<Annotation> annotations,
            int @Nullable [] labels,
            int @Nullable [] repetitions) {
        this.origin = origin;
        this.sampleRate = sampleRate;
        this.channels = List.copyOf(channels);
        this.signal = signal;
        this.segments = List.copyOf(segments);
        this.annotations = List.copyOf(annotations);
        this.labels = labels;
        this.repetitions = repetitions;
        check();
    }

    private void check() {
        if (!(sampleRate > 0) || !Double.isFinite(sampleRate)) {
            throw new DataException(
                    name() + " has a sampling rate of " + sampleRate + " Hz; it must be above 0 and finite");
        }
        if (signal.length == 0 || signal.length != channels.size()) {
            throw new DataException(name() + " has " + signal.length + " signals and " + channels.size()
                    + " channel labels; both must be the same number, at least 1");
        }
        int samples = signal[0].length;
        for (int channel = 0; channel < signal.length; channel++) {
            requireLength(channels.get(channel).label(), signal[channel].length, samples);
        }
        if (labels != null) {
            requireLength("the labels", labels.length, samples);
        }
        if (repetitions != null) {
            requireLength("the repetitions", repetitions.length, samples);
        }
        int covered = 0;
        double time = Double.NEGATIVE_INFINITY;
        for (Segment segment : segments) {
            if (segment.firstSample() != covered || segment.sampleCount() < 1 || !(segment.start() >= time)) {
                throw new DataException(name() + " has the segment " + segment + " where sample " + covered + " at "
                        + time + " s or later should follow; segments must cover all samples in order");
            }
            covered = segment.endSample();
            // Half a sample of slack for times that a file rounds.
            time = segment.start() + (segment.sampleCount() - 0.5) / sampleRate;
        }
        if (covered != samples) {
            throw new DataException(name() + " has " + samples + " samples per channel, but its segments cover "
                    + covered + "; segments must cover all samples");
        }
    }

    private void requireLength(String what, int length, int expected) {
        if (length != expected) {
            throw new DataException(name() + " has " + length + " samples in " + what + ", but " + expected + " in "
                    + channels.getFirst().label() + "; all must have the same number");
        }
    }

    /**
     * A recording without gaps that starts at 0 s, without labels. The signal is copied.
     *
     * @param origin its name and where it comes from
     * @param sampleRate Hz
     * @param channels label and unit of each channel
     * @param signal {@code [channels][samples]}, in the channels' units
     * @throws DataException if lengths do not fit or the rate is not above 0
     */
    public static Recording of(Origin origin, double sampleRate, List<Channel> channels, float[][] signal) {
        float[][] copy = new float[signal.length][];
        Arrays.setAll(copy, channel -> signal[channel].clone());
        int samples = copy.length == 0 ? 0 : copy[0].length;
        return new Recording(origin, sampleRate, channels, copy, oneSegment(samples, 0), List.of(), null, null);
    }

    static List<Segment> oneSegment(int samples, double start) {
        return samples == 0 ? List.of() : List.of(new Segment(0, samples, start));
    }

    /** The recording's name, which messages use. */
    public String name() {
        return "Recording " + origin.recording();
    }

    /** Where the recording comes from. */
    public Origin origin() {
        return origin;
    }

    /** Sampling rate in Hz. */
    public double sampleRate() {
        return sampleRate;
    }

    /** Labels and units of the channels. */
    public List<Channel> channels() {
        return channels;
    }

    /** Number of samples per channel. */
    public int sampleCount() {
        return signal[0].length;
    }

    /** A copy of one channel's samples. */
    public float[] samples(int channel) {
        return signal[channel].clone();
    }

    /** The stretches without gaps, in order of time. */
    public List<Segment> segments() {
        return segments;
    }

    /** The annotations, by onset. */
    public List<Annotation> annotations() {
        return annotations;
    }

    /** A copy of the label of each sample. */
    public Optional<int[]> labels() {
        return Optional.ofNullable(labels).map(int[]::clone);
    }

    /** A copy of the repetition of each sample. */
    public Optional<int[]> repetitions() {
        return Optional.ofNullable(repetitions).map(int[]::clone);
    }

    float[][] rawSignal() {
        return signal;
    }

    int @Nullable [] rawLabels() {
        return labels;
    }

    int @Nullable [] rawRepetitions() {
        return repetitions;
    }

    /** Time of a sample in seconds on the recording's clock. */
    public double timeOf(int sample) {
        for (Segment segment : segments) {
            if (sample >= segment.firstSample() && sample < segment.endSample()) {
                return segment.start() + (sample - segment.firstSample()) / sampleRate;
            }
        }
        throw new IndexOutOfBoundsException("sample " + sample + " of " + sampleCount());
    }

    /** The same recording with another origin. */
    public Recording withOrigin(Origin other) {
        return new Recording(other, sampleRate, channels, signal, segments, annotations, labels, repetitions);
    }

    /** The same recording with these gaps. */
    public Recording withSegments(List<Segment> others) {
        return new Recording(origin, sampleRate, channels, signal, others, annotations, labels, repetitions);
    }

    /** The same recording with these annotations. */
    public Recording withAnnotations(List<Annotation> others) {
        return new Recording(origin, sampleRate, channels, signal, segments, others, labels, repetitions);
    }

    /** The same recording with a label per sample. */
    public Recording withLabels(int[] perSample) {
        return new Recording(
                origin, sampleRate, channels, signal, segments, annotations, perSample.clone(), repetitions);
    }

    /** The same recording with a repetition per sample. */
    public Recording withRepetitions(int[] perSample) {
        return new Recording(origin, sampleRate, channels, signal, segments, annotations, labels, perSample.clone());
    }

    /**
     * The same recording with a label per sample that is made of its annotations.
     *
     * @param values label by the annotation's text; other annotations are ignored
     * @param background label of all samples outside; a later annotation overwrites an earlier one
     */
    public Recording withLabelsFromAnnotations(Map<String, Integer> values, int background) {
        int[] perSample = new int[sampleCount()];
        Arrays.fill(perSample, background);
        for (Annotation annotation : annotations) {
            Integer value = values.get(annotation.label());
            if (value == null) {
                continue;
            }
            double end = annotation.onset() + annotation.duration();
            for (Segment segment : segments) {
                int from = sampleAt(segment, annotation.onset());
                Arrays.fill(perSample, from, Math.max(from, sampleAt(segment, end)), value);
            }
        }
        return new Recording(origin, sampleRate, channels, signal, segments, annotations, perSample, repetitions);
    }

    /** The sample of a segment that is nearest to a time, or the segment's start or end where the time is outside. */
    private int sampleAt(Segment segment, double time) {
        long offset = Math.round((time - segment.start()) * sampleRate);
        return segment.firstSample() + (int) Math.clamp(offset, 0L, (long) segment.sampleCount());
    }

    /**
     * The named channels in the given order. A label matches exactly or, failing that, without regard to upper case
     * and to trailing dots, which some recorders pad labels with: {@code FC3} finds {@code Fc3.}.
     *
     * @throws DataException if a label is missing or not unique
     */
    public Recording select(List<String> labelsToKeep) {
        List<Channel> kept = new ArrayList<>();
        float[][] selected = new float[labelsToKeep.size()][];
        for (int i = 0; i < selected.length; i++) {
            int channel = Channel.indexOf(name(), channels, labelsToKeep.get(i));
            kept.add(channels.get(channel));
            selected[i] = signal[channel];
        }
        return withSignal(kept, selected);
    }

    /** The same recording with the mean over all channels subtracted from each, sample by sample. */
    public Recording commonAverageReference() {
        float[][] referenced = new float[signal.length][sampleCount()];
        for (int sample = 0; sample < sampleCount(); sample++) {
            double sum = 0;
            for (float[] channel : signal) {
                sum += channel[sample];
            }
            double mean = sum / signal.length;
            for (int channel = 0; channel < signal.length; channel++) {
                referenced[channel][sample] = (float) (signal[channel][sample] - mean);
            }
        }
        return withSignal(channels, referenced);
    }

    /** The same times, annotations and labels with another signal, which is kept. */
    Recording withSignal(List<Channel> otherChannels, float[][] other) {
        return new Recording(origin, sampleRate, otherChannels, other, segments, annotations, labels, repetitions);
    }

    /** Throws if one of the samples {@code from … to − 1} of any channel is NaN or infinite. */
    void requireFinite(int from, int to) {
        for (int channel = 0; channel < signal.length; channel++) {
            for (int sample = from; sample < to; sample++) {
                if (!Float.isFinite(signal[channel][sample])) {
                    throw new DataException(name() + " holds " + signal[channel][sample] + " in channel "
                            + channels.get(channel).label() + " at " + timeOf(sample)
                            + " s; cut this part out or repair the signal first");
                }
            }
        }
    }

    @Override
    public String toString() {
        return name() + ": " + channels.size() + " channels, " + sampleCount() + " samples at " + sampleRate + " Hz, "
                + segments.size() + " segments, " + annotations.size() + " annotations";
    }
}
