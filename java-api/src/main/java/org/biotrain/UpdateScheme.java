package org.biotrain;

import java.util.List;

/** Which parameters train; the others stay as they are and cost no gradient memory. */
public sealed interface UpdateScheme {
    /** Every parameter. */
    UpdateScheme FULL = Preset.FULL;
    /** The parameters of the last layer that has any. */
    UpdateScheme LAST_LAYER = Preset.LAST_LAYER;
    /** Biases of convolutions and linear layers, and biases of normalisations. */
    UpdateScheme BIAS_ONLY = Preset.BIAS_ONLY;
    /** Scales and biases of normalisations. */
    UpdateScheme NORM_ONLY = Preset.NORM_ONLY;

    /** The named parameters only. */
    static UpdateScheme parameters(String... names) {
        return new Parameters(List.of(names));
    }

    /** The schemes that need no list. */
    enum Preset implements UpdateScheme {
        /** See {@link UpdateScheme#FULL}. */
        FULL,
        /** See {@link UpdateScheme#LAST_LAYER}. */
        LAST_LAYER,
        /** See {@link UpdateScheme#BIAS_ONLY}. */
        BIAS_ONLY,
        /** See {@link UpdateScheme#NORM_ONLY}. */
        NORM_ONLY
    }

    /**
     * See {@link UpdateScheme#parameters}.
     *
     * @param names parameters of the model, at least one
     */
    record Parameters(List<String> names) implements UpdateScheme {
        /** Copies the names. */
        public Parameters {
            names = List.copyOf(names);
            if (names.isEmpty()) {
                throw new InvalidArgumentException("The update scheme names no parameter; name at least one");
            }
        }
    }
}
