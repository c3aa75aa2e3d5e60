package org.biotrain.internal;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;

/** Why a file can't be read or written, in words. */
public final class IoReason {
    private IoReason() {}

    /** The end of a sentence that names the file. */
    public static String of(IOException failure) {
        return switch (failure) {
            case NoSuchFileException _ -> "there is no such file";
            case AccessDeniedException _ -> "access is denied";
            default -> String.valueOf(failure.getMessage());
        };
    }
}
