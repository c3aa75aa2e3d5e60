package org.biotrain.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Changes the sampling rate of a multi-channel signal that arrives in chunks, by a ratio of whole numbers and a
 * linear-phase low-pass (Kaiser-windowed sinc, polyphase). However the signal is cut, the result is the same to the
 * last bit. Not thread-safe.
 *
 * <p>Delay: output sample k belongs to the time k / target rate after the first input sample exactly; the filter's
 * delay is taken out. A value therefore needs {@link #lookAhead()} seconds of input after its time, and streams out
 * that much later. Before the first and after the last sample, these are taken to last for ever.
 *
 * <p>Passband up to 0.42 of the lower of both rates; aliases from beyond half of it are 80 dB down.
 */
public final class Resampler {
    /** Input or output samples, of the slower side, on each side of an output sample that enter it. */
    private static final int HALF_LENGTH = 32;

    /** Middle of the transition band as part of half the lower rate: it ends where aliases begin. */
    private static final double CUTOFF = 0.92;

    /** Kaiser's parameter for 80 dB. */
    private static final double BETA = 7.857;

    private static final int MAX_FACTOR = 1000;

    private final int up;
    private final int down;
    private final int halfWidth;
    private final double lookAhead;
    private final double[][] phases;
    private final float[][] kept;
    private final float[] first;
    private long keptFrom;
    private long received;
    private long produced;

    /**
     * Prepares a change of rate.
     *
     * @param from sampling rate of the input in Hz
     * @param to sampling rate of the output in Hz
     * @param channels number of channels
     * @throws DataException if the ratio of the rates is not one of whole numbers up to 1000
     */
    public Resampler(double from, double to, int channels) {
        int[] ratio = ratio(from, to);
        up = ratio[0];
        down = ratio[1];
        int slower = Math.max(up, down);
        halfWidth = HALF_LENGTH * slower;
        lookAhead = HALF_LENGTH / Math.min(from, to);
        phases = new double[up][];
        for (int phase = 0; phase < up; phase++) {
            phases[phase] = taps(phase, slower);
        }
        kept = new float[channels][0];
        first = new float[channels];
    }

    private static int[] ratio(double from, double to) {
        if (from > 0 && to > 0 && Double.isFinite(from) && Double.isFinite(to)) {
            for (int down = 1; down <= MAX_FACTOR; down++) {
                double up = Math.rint(to / from * down);
                if (up >= 1 && up <= MAX_FACTOR && Math.abs(up / down - to / from) <= 1e-9 * to / from) {
                    return new int[] {(int) up, down};
                }
            }
        }
        throw new DataException("The sampling rates " + from + " Hz and " + to
                + " Hz are no ratio of whole numbers up to " + MAX_FACTOR + "; choose another target rate");
    }

    /**
     * The filter's values at the inputs around an output that lies {@code phase / up} after an input. Their sum is 1
     * exactly, so that a constant stays one.
     */
    private double[] taps(int phase, int slower) {
        int firstOffset = firstOffset(phase);
        int count = Math.floorDiv(phase + halfWidth, up) - firstOffset + 1;
        double[] taps = new double[count];
        double sum = 0;
        for (int i = 0; i < count; i++) {
            double distance = (double) (firstOffset + i) * up - phase;
            double x = CUTOFF * distance / slower;
            double sinc = x == 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
            double edge = distance / halfWidth;
            taps[i] = sinc * bessel(BETA * Math.sqrt(Math.max(0, 1 - edge * edge)));
            sum += taps[i];
        }
        for (int i = 0; i < count; i++) {
            taps[i] /= sum;
        }
        return taps;
    }

    /** First input, relative to the one at or before the output, that enters an output of this phase. */
    private int firstOffset(int phase) {
        return -Math.floorDiv(halfWidth - phase, up);
    }

    /** Modified Bessel function of the first kind and order 0, by its power series. */
    private static double bessel(double x) {
        double sum = 1;
        double term = 1;
        for (int k = 1; term > 1e-17 * sum; k++) {
            term *= x / (2 * k) * (x / (2 * k));
            sum += term;
        }
        return sum;
    }

    /** Seconds of input after an output's time that it depends on. */
    public double lookAhead() {
        return lookAhead;
    }

    /**
     * Takes the next samples.
     *
     * @param chunk {@code [channels][samples]}, finite; any number of samples, equal for all channels
     * @return the output samples that are complete: {@code [channels][samples]}, possibly none
     */
    public float[][] process(float[][] chunk) {
        if (chunk.length != kept.length) {
            throw new DataException("The resampler was prepared for " + kept.length + " channels, but is given "
                    + chunk.length + "; give as many");
        }
        int added = chunk.length == 0 ? 0 : chunk[0].length;
        for (int channel = 0; channel < kept.length; channel++) {
            if (received == 0 && added > 0) {
                first[channel] = chunk[channel][0];
            }
            int length = kept[channel].length;
            kept[channel] = Arrays.copyOf(kept[channel], length + added);
            System.arraycopy(chunk[channel], 0, kept[channel], length, added);
        }
        received += added;
        // Complete are the outputs whose last input has arrived.
        long end = Math.floorDiv((received * up - 1 - halfWidth), (long) down) + 1;
        float[][] output = produce(Math.max(produced, end));
        forget();
        return output;
    }

    /** Ends the signal and returns the remaining samples, up to the time of the last input sample. */
    public float[][] finish() {
        return produce(received == 0 ? 0 : (received - 1) * up / down + 1);
    }

    private float[][] produce(long end) {
        float[][] output = new float[kept.length][(int) (end - produced)];
        for (int i = 0; i < end - produced; i++) {
            long position = (produced + i) * down;
            int phase = (int) (position % up);
            double[] taps = phases[phase];
            long from = position / up + firstOffset(phase);
            for (int channel = 0; channel < output.length; channel++) {
                double sum = 0;
                for (int tap = 0; tap < taps.length; tap++) {
                    sum += taps[tap] * input(channel, from + tap);
                }
                output[channel][i] = (float) sum;
            }
        }
        produced = end;
        return output;
    }

    private float input(int channel, long sample) {
        if (sample < 0) {
            return first[channel];
        }
        return kept[channel][(int) (Math.min(sample, received - 1) - keptFrom)];
    }

    /** Drops the inputs that no later output needs. */
    private void forget() {
        long position = produced * down;
        long needed = Math.clamp(position / up + firstOffset((int) (position % up)), keptFrom, received);
        for (int channel = 0; channel < kept.length; channel++) {
            kept[channel] = Arrays.copyOfRange(kept[channel], (int) (needed - keptFrom), kept[channel].length);
        }
        keptFrom = needed;
    }

    /**
     * The recording at another rate. Each segment is resampled on its own and keeps its start; labels and repetitions
     * are those of the nearest sample.
     *
     * @throws DataException as the constructor, or if a sample is NaN or infinite
     */
    public static Recording resample(Recording recording, double rate) {
        if (rate == recording.sampleRate()) {
            return recording;
        }
        recording.requireFinite(0, recording.sampleCount());
        float[][] signal = recording.rawSignal();
        List<Segment> segments = new ArrayList<>();
        List<float[][]> parts = new ArrayList<>();
        int length = 0;
        int[] ratio = ratio(recording.sampleRate(), rate);
        for (Segment segment : recording.segments()) {
            Resampler resampler = new Resampler(recording.sampleRate(), rate, signal.length);
            float[][] input = slice(signal, segment);
            for (float[][] part : List.of(resampler.process(input), resampler.finish())) {
                parts.add(part);
            }
            segments.add(new Segment(length, (int) resampler.produced, segment.start()));
            length += (int) resampler.produced;
        }
        float[][] output = new float[signal.length][length];
        int at = 0;
        for (float[][] part : parts) {
            for (int channel = 0; channel < output.length; channel++) {
                System.arraycopy(part[channel], 0, output[channel], at, part[channel].length);
            }
            at += part[0].length;
        }
        int[] nearest = new int[length];
        for (int s = 0; s < segments.size(); s++) {
            Segment old = recording.segments().get(s);
            for (int i = 0; i < segments.get(s).sampleCount(); i++) {
                long sample = Math.round((double) i * ratio[1] / ratio[0]);
                nearest[segments.get(s).firstSample() + i] =
                        old.firstSample() + (int) Math.min(sample, old.sampleCount() - 1);
            }
        }
        return new Recording(
                recording.origin(),
                rate,
                recording.channels(),
                output,
                segments,
                recording.annotations(),
                recording.labels().map(labels -> pick(labels, nearest)).orElse(null),
                recording.repetitions().map(values -> pick(values, nearest)).orElse(null));
    }

    static float[][] slice(float[][] signal, Segment segment) {
        float[][] slice = new float[signal.length][];
        Arrays.setAll(
                slice, channel -> Arrays.copyOfRange(signal[channel], segment.firstSample(), segment.endSample()));
        return slice;
    }

    private static int[] pick(int[] values, int[] indices) {
        return Arrays.stream(indices).map(i -> values[i]).toArray();
    }
}
