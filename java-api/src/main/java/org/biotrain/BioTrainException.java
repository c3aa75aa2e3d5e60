package org.biotrain;

import org.biotrain.data.DataException;
import org.jspecify.annotations.Nullable;

/**
 * Something that the library could not do. The message is one sentence: what, which value, what is allowed, what to do.
 * The causes of an exception that comes from the native library are its error stack, outermost context first.
 *
 * <p>A call at the wrong time (after close, from another thread, a second session on one device) is a mistake of the
 * calling program and ends in an {@link IllegalStateException} or a {@link WrongThreadException} instead.
 */
public abstract sealed class BioTrainException extends RuntimeException
        permits CapacityException,
                CheckpointException,
                DataException,
                DeviceException,
                DeviceTimeoutException,
                InternalException,
                InvalidArgumentException,
                ListenerException,
                ModelException,
                NativeLibraryException,
                NumericException,
                ProgramException,
                UnsupportedException {
    private static final long serialVersionUID = 1L;

    /** Creates an exception with a message for the user and what caused it. */
    protected BioTrainException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
