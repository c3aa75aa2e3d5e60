package org.biotrain.cli.task;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;
import org.biotrain.cli.CliException;
import org.biotrain.data.Filter;
import org.biotrain.data.Preprocessing;
import org.jspecify.annotations.Nullable;

/**
 * What happens to a recording before windows are cut, in this order.
 *
 * @param channels channels to keep; all by default
 * @param commonAverage whether the mean over the channels is subtracted
 * @param highPass cut-off in Hz
 * @param lowPass cut-off in Hz
 * @param bandPass two cut-offs in Hz
 * @param order of these Butterworth filters; 4 by default
 * @param notch mains frequency in Hz to remove
 * @param sampleRate new rate in Hz
 */
public record PreprocessingSection(
        @Nullable List<String> channels,
        @Nullable Boolean commonAverage,
        @Nullable Double highPass,
        @Nullable Double lowPass,
        @Nullable List<Double> bandPass,
        @Nullable Integer order,
        @Nullable Double notch,
        @Nullable Double sampleRate) {
    private static final int DEFAULT_ORDER = 4;
    private static final double NOTCH_QUALITY = 30;

    /** Checks the number of cut-offs. */
    public PreprocessingSection {
        if (bandPass != null && bandPass.size() != 2) {
            throw new CliException(
                    "band-pass has " + bandPass.size() + " values; give two cut-offs in Hz, [0.5, 40] say");
        }
    }

    Preprocessing toPreprocessing() {
        int filterOrder = Objects.requireNonNullElse(order, DEFAULT_ORDER);
        List<Filter> filters = new ArrayList<>();
        if (notch != null) {
            filters.add(new Filter.Notch(notch, NOTCH_QUALITY));
        }
        if (highPass != null) {
            filters.add(new Filter.HighPass(filterOrder, highPass));
        }
        if (lowPass != null) {
            filters.add(new Filter.LowPass(filterOrder, lowPass));
        }
        if (bandPass != null) {
            filters.add(new Filter.BandPass(filterOrder, bandPass.getFirst(), bandPass.getLast()));
        }
        return new Preprocessing(
                channels == null ? List.of() : channels,
                commonAverage != null && commonAverage,
                filters,
                sampleRate == null ? OptionalDouble.empty() : OptionalDouble.of(sampleRate));
    }
}
