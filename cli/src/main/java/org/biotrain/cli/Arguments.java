package org.biotrain.cli;

import org.jspecify.annotations.Nullable;

/** Values that picocli has set. */
final class Arguments {
    private Arguments() {}

    /** A required option or parameter: picocli has refused the command line where it is missing. */
    static <T> T required(@Nullable T value) {
        if (value == null) {
            throw new IllegalStateException("picocli did not set a required argument");
        }
        return value;
    }
}
