package org.biotrain.cli;

import org.jspecify.annotations.Nullable;

/** A command that can't do its work. The message is one sentence: what, which value, what is allowed, what to do. */
public final class CliException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public CliException(String message) {
        super(message);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public CliException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
