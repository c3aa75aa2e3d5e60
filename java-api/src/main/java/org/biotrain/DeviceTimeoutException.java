package org.biotrain;

import org.jspecify.annotations.Nullable;

/** The device did not answer within its deadline. */
public final class DeviceTimeoutException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public DeviceTimeoutException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public DeviceTimeoutException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
