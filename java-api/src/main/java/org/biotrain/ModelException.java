package org.biotrain;

import org.jspecify.annotations.Nullable;

/** A network whose structure or shapes are inconsistent, or a file that holds none. */
public final class ModelException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public ModelException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public ModelException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
