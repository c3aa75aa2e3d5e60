package org.biotrain;

import org.jspecify.annotations.Nullable;

/** A value that is not allowed: an option, a device's address, samples of the wrong shape. */
public final class InvalidArgumentException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public InvalidArgumentException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public InvalidArgumentException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
