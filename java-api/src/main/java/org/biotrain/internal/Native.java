package org.biotrain.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.biotrain.BioTrainException;
import org.biotrain.CapacityException;
import org.biotrain.DeviceException;
import org.biotrain.DeviceTimeoutException;
import org.biotrain.InternalException;
import org.biotrain.InvalidArgumentException;
import org.biotrain.ModelException;
import org.biotrain.NativeLibraryException;
import org.biotrain.NumericException;
import org.biotrain.ProgramException;
import org.biotrain.UnsupportedException;
import org.biotrain.ffi.NativeLibrary;
import org.biotrain.ffi.biotrain_h;
import org.jspecify.annotations.Nullable;

/** What all calls into the native library share: loading it, its errors, its strings. */
final class Native {
    private Native() {}

    /** Loads the native library, if that has not been done yet; before anything else is called. */
    static void load() {
        try {
            NativeLibrary.load();
        } catch (UnsatisfiedLinkError e) {
            throw new NativeLibraryException(String.valueOf(e.getMessage()), e);
        }
    }

    /** Turns a status other than {@code BT_OK} into the exception of its kind. */
    static void check(int status) {
        if (status != biotrain_h.BT_OK()) {
            throw failure(status);
        }
    }

    private static RuntimeException failure(int status) {
        List<String> messages = new ArrayList<>();
        for (int i = biotrain_h.bt_error_depth() - 1; i >= 0; i--) {
            messages.add(string(biotrain_h.bt_error_message(i)));
        }
        return failure(status, string(biotrain_h.bt_status_name(status)), messages);
    }

    /**
     * The exception of a status.
     *
     * @param messages the native error stack, outermost context first: it becomes the message, and level by level the
     *     causes
     */
    static RuntimeException failure(int status, String name, List<String> messages) {
        String message = messages.isEmpty() ? "The native library reports " + name : String.join(" ", messages);
        Throwable cause = null;
        if (messages.size() > 1) {
            for (String level : messages.reversed()) {
                cause = new NativeError(level, cause);
            }
        }
        if (status == biotrain_h.BT_ERROR_STATE()) {
            return new IllegalStateException(message, cause);
        }
        return exception(status, message, cause);
    }

    private static BioTrainException exception(int status, String message, @Nullable Throwable cause) {
        if (status == biotrain_h.BT_ERROR_ARGUMENT()) {
            return new InvalidArgumentException(message, cause);
        }
        if (status == biotrain_h.BT_ERROR_UNSUPPORTED()) {
            return new UnsupportedException(message, cause);
        }
        if (status == biotrain_h.BT_ERROR_MODEL()) {
            return new ModelException(message, cause);
        }
        if (status == biotrain_h.BT_ERROR_PROGRAM()) {
            return new ProgramException(message, cause);
        }
        if (status == biotrain_h.BT_ERROR_CAPACITY() || status == biotrain_h.BT_ERROR_MEMORY()) {
            return new CapacityException(message, cause);
        }
        if (status == biotrain_h.BT_ERROR_DEVICE() || status == biotrain_h.BT_ERROR_IO()) {
            return new DeviceException(message, cause);
        }
        if (status == biotrain_h.BT_ERROR_TIMEOUT()) {
            return new DeviceTimeoutException(message, cause);
        }
        if (status == biotrain_h.BT_ERROR_NUMERIC()) {
            return new NumericException(message, cause);
        }
        return new InternalException(message, cause);
    }

    /** One level of the native error stack. It happened in native code, so it has no Java stack. */
    private static final class NativeError extends RuntimeException {
        private static final long serialVersionUID = 1L;

        NativeError(String message, @Nullable Throwable cause) {
            super(message, cause, false, false);
        }
    }

    /** A C string for the native library. */
    static MemorySegment string(Arena arena, String value) {
        // C ends a string at NUL: the library would see another name than the caller meant.
        if (value.indexOf('\0') >= 0) {
            throw new InvalidArgumentException(
                    "The text \"" + value.replace("\0", "\\0") + "\" contains a NUL character; remove it");
        }
        return arena.allocateFrom(value);
    }

    /** A string that belongs to the native library. */
    static String string(MemorySegment pointer) {
        return pointer.getString(0);
    }

    /** A string in a fixed array of characters, which it may fill completely. */
    static String fixedString(MemorySegment array) {
        byte[] bytes = array.toArray(ValueLayout.JAVA_BYTE);
        int length = 0;
        while (length < bytes.length && bytes[length] != 0) {
            length++;
        }
        return new String(bytes, 0, length, StandardCharsets.UTF_8);
    }
}
