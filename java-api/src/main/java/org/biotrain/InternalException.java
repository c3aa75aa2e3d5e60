package org.biotrain;

import org.jspecify.annotations.Nullable;

/** A defect of this library; please report it with the message. */
public final class InternalException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public InternalException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public InternalException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
