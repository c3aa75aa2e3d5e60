package org.biotrain.data;

import java.util.List;
import java.util.OptionalDouble;

/**
 * What happens to a recording before windows are cut, in this order: channels are selected, the common average is
 * subtracted, filters run, and the rate is changed. Filters are causal and restart after each gap.
 *
 * @param channels labels of the channels to keep; all if empty
 * @param commonAverage whether to subtract the mean over the kept channels
 * @param filters in the order in which they run
 * @param sampleRate new sampling rate in Hz; unchanged if empty
 */
public record Preprocessing(
        List<String> channels, boolean commonAverage, List<Filter> filters, OptionalDouble sampleRate) {
    /** Changes nothing. */
    public static final Preprocessing NONE = new Preprocessing(List.of(), false, List.of(), OptionalDouble.empty());

    /** Copies the lists. */
    public Preprocessing {
        channels = List.copyOf(channels);
        filters = List.copyOf(filters);
    }

    /** Nothing but these filters. */
    public static Preprocessing filters(Filter... filters) {
        return new Preprocessing(List.of(), false, List.of(filters), OptionalDouble.empty());
    }

    /**
     * The preprocessed recording.
     *
     * @throws DataException if a channel is missing, a filter or the rate does not fit, or a sample that a filter
     *     meets is NaN or infinite
     */
    public Recording apply(Recording recording) {
        Recording result = channels.isEmpty() ? recording : recording.select(channels);
        result = commonAverage ? result.commonAverageReference() : result;
        result = filters.isEmpty() ? result : filter(result);
        return sampleRate.isPresent() ? Resampler.resample(result, sampleRate.getAsDouble()) : result;
    }

    private Recording filter(Recording recording) {
        // A recursive filter never forgets a NaN.
        recording.requireFinite(0, recording.sampleCount());
        float[][] signal = recording.rawSignal();
        float[][] filtered = new float[signal.length][recording.sampleCount()];
        StreamingFilter filter = new StreamingFilter(filters, recording.sampleRate(), signal.length);
        for (Segment segment : recording.segments()) {
            float[][] part = Resampler.slice(signal, segment);
            filter.reset();
            filter.process(part);
            for (int channel = 0; channel < signal.length; channel++) {
                System.arraycopy(part[channel], 0, filtered[channel], segment.firstSample(), segment.sampleCount());
            }
        }
        return recording.withSignal(recording.channels(), filtered);
    }
}
