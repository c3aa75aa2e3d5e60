package org.biotrain.data;

import org.biotrain.BioTrainException;

/** A recording or data set that can't be used. The message is one sentence: what, which value, and what to do. */
public final class DataException extends BioTrainException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user. */
    public DataException(String message) {
        super(singleLine(message), null);
    }

    /** Creates an exception with a message for the user and what caused it. */
    public DataException(String message, Throwable cause) {
        super(singleLine(message), cause);
    }

    /** Messages quote files; what a damaged one holds must not break lines or drive a terminal. */
    private static String singleLine(String message) {
        return message.replaceAll("\\p{Cntrl}", "?");
    }
}
