package org.biotrain;

import java.util.List;
import org.biotrain.internal.NativeLibraryInfo;

/**
 * What a topology pass does.
 *
 * @param pass the pass
 * @param name for example {@code fold-batch-norm}
 * @param exactness how training with it compares to training without it
 * @param isDefault whether it is on unless switched off
 * @param effect what it does, one sentence
 * @param limits when it applies and what differs, one sentence
 */
public record PassInfo(Pass pass, String name, Exactness exactness, boolean isDefault, String effect, String limits) {
    /** How the result with a pass compares to that without it. */
    public enum Exactness {
        /** The same bits. */
        BITS,
        /** The same function, rounded differently. */
        ROUNDING,
        /** Another function. */
        CHANGES
    }

    /** All passes, in the order of the native library. */
    public static List<PassInfo> table() {
        return NativeLibraryInfo.passes();
    }
}
