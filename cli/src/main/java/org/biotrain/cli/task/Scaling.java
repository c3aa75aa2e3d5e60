package org.biotrain.cli.task;

import java.nio.FloatBuffer;
import java.util.List;
import java.util.stream.IntStream;
import org.biotrain.cli.CliException;
import org.biotrain.data.Dataset;
import org.biotrain.data.Standardizer;
import org.biotrain.data.WindowInfo;
import org.jspecify.annotations.Nullable;

/**
 * The scaling of windows as it was fitted on training data; written beside a calibrated network, which needs it.
 *
 * @param section what was asked for
 * @param standardizer mean and deviation per channel, or null where windows are not standardised
 */
public record Scaling(ScalingSection section, @Nullable Standardizer standardizer) {
    /** The scaling without its standardisation, which needs training data. */
    public static Scaling unfitted(@Nullable ScalingSection wanted) {
        return new Scaling(wanted == null ? new ScalingSection(null, null, null) : wanted, null);
    }

    /** Fits the scaling on the windows to train on. */
    static Scaling fit(@Nullable ScalingSection wanted, Dataset training) {
        ScalingSection section = unfitted(wanted).section;
        boolean standardize = section.standardize() == null || section.standardize();
        return new Scaling(section, standardize ? Standardizer.fit(shape(section, training)) : null);
    }

    /** The scaled windows. */
    public Dataset apply(Dataset windows) {
        Dataset shaped = shape(section, windows);
        return standardizer == null ? shaped : standardizer.apply(shaped);
    }

    /** Compresses and centres, which needs no training data. */
    private static Dataset shape(ScalingSection section, Dataset windows) {
        boolean centre = section.centre() != null && section.centre();
        if (section.compress() == null && !centre) {
            return windows;
        }
        FloatBuffer source = windows.data();
        float[] values = new float[source.remaining()];
        source.get(values);
        if (section.compress() != null) {
            compress(section.compress(), values);
        }
        if (centre) {
            for (int row = 0; row < values.length; row += windows.samples()) {
                double sum = 0;
                for (int i = 0; i < windows.samples(); i++) {
                    sum += values[row + i];
                }
                float mean = (float) (sum / windows.samples());
                for (int i = 0; i < windows.samples(); i++) {
                    values[row + i] -= mean;
                }
            }
        }
        List<WindowInfo> infos =
                IntStream.range(0, windows.size()).mapToObj(windows::info).toList();
        return Dataset.of(windows.classNames(), windows.channels(), windows.samples(), values, windows.labels(), infos);
    }

    private static void compress(ScalingSection.Compression compression, float[] values) {
        for (int i = 0; i < values.length; i++) {
            if (values[i] < 0) {
                throw new CliException("The windows hold the value " + values[i] + ", but scaling.compress is "
                        + compression.text() + ", which is for amplitudes that are never negative; remove it");
            }
            // StrictMath: the same bits on every machine.
            values[i] = (float)
                    switch (compression) {
                        case SQRT -> StrictMath.sqrt(values[i]);
                        case LOG -> StrictMath.log1p(values[i]);
                    };
        }
    }
}
