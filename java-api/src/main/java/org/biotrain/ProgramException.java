package org.biotrain;

import org.jspecify.annotations.Nullable;

/** A training program that is damaged or not valid for the device. */
public final class ProgramException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public ProgramException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public ProgramException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
