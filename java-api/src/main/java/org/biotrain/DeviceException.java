package org.biotrain;

import org.jspecify.annotations.Nullable;

/** The device, its link, or a process or file behind it failed. */
public final class DeviceException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public DeviceException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public DeviceException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
