package org.biotrain.cli.task;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import org.jspecify.annotations.Nullable;

/**
 * What happens to the windows' values, in this order.
 *
 * @param compress sqrt or log, for amplitudes that are never negative
 * @param centre whether each window's mean is subtracted, channel by channel
 * @param standardize whether each channel is scaled to mean 0 and deviation 1, fitted on the windows to train on; true
 *     by default
 */
public record ScalingSection(
        @Nullable Compression compress,
        @Nullable Boolean centre,
        @Nullable Boolean standardize) {
    /** Functions that bring large and small amplitudes closer together. */
    public enum Compression {
        /** The square root. */
        SQRT,
        /** The logarithm of 1 + value. */
        LOG;

        /** The constant of a task file's word. */
        @JsonCreator
        public static Compression parse(String text) {
            return Kebab.parse("scaling.compress", Compression.class, text);
        }

        /** The word in a task file. */
        @JsonValue
        public String text() {
            return Kebab.text(this);
        }
    }
}
