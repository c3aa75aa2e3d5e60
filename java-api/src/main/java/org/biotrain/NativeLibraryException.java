package org.biotrain;

import org.jspecify.annotations.Nullable;

/** The native library could not be loaded; the message names every place that was tried. */
public final class NativeLibraryException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public NativeLibraryException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public NativeLibraryException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
