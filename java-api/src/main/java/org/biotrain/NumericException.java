package org.biotrain;

import org.jspecify.annotations.Nullable;

/** A loss became NaN or infinite; the weights are those before that step. */
public final class NumericException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public NumericException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public NumericException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
