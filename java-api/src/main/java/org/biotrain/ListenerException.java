package org.biotrain;

import org.jspecify.annotations.Nullable;

/** A training listener threw an exception, which is the cause. The session stays usable. */
public final class ListenerException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public ListenerException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public ListenerException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
