package org.biotrain;

import org.jspecify.annotations.Nullable;

/** A checkpoint or weights file that can't be read, written, or used with this session. */
public final class CheckpointException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public CheckpointException(String message) {
        super(message, null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public CheckpointException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
