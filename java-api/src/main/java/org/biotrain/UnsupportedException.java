package org.biotrain;

import org.jspecify.annotations.Nullable;

/** Each part is known, but not this combination of them. */
public final class UnsupportedException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public UnsupportedException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public UnsupportedException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
