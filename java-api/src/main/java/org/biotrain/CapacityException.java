package org.biotrain;

import org.jspecify.annotations.Nullable;

/** Something does not fit the memories of the device, or of the host. */
public final class CapacityException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public CapacityException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public CapacityException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
