package org.biotrain.cli.verify;

/** A case that can't be run. The message is one sentence. */
final class CaseException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    CaseException(String message) {
        super(message);
    }
}
