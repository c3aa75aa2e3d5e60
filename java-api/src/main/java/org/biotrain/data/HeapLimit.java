package org.biotrain.data;

import java.nio.file.Path;
import java.util.Locale;

/**
 * Bounds what one file may allocate, since the sizes in a file are claims: a quarter of the heap, which leaves room
 * for the copies that preprocessing and windows make.
 */
final class HeapLimit {
    private HeapLimit() {}

    static long bytes() {
        return Runtime.getRuntime().maxMemory() / 4;
    }

    /** Throws if so many bytes are more than one file may take. */
    static void require(Path file, String what, double bytes) {
        if (bytes > bytes()) {
            throw new DataException(String.format(
                    Locale.ROOT,
                    "%s: %s would take %.0f MB of memory, but a file may take %d MB, a quarter of the Java heap;"
                            + " give Java a larger heap (-Xmx) or split the file",
                    file,
                    what,
                    bytes / 1e6,
                    bytes() / 1_000_000));
        }
    }
}
