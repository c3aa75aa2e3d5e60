package org.biotrain.ffi;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Loads libbiotrain, once per JVM, before the generated code is first used.
 *
 * <p>The system property {@value #PROPERTY} names the file. An override that can't be loaded is an error: nothing else
 * is tried, since otherwise another library than the one asked for would run. Without the property the library comes
 * from this module's resource {@code native/<os>-<arch>/libbiotrain.so}, which is copied to a private directory and
 * removed as soon as it is loaded.
 *
 * <p>The loader lives in this module because the generated code finds symbols only in libraries that a class of its own
 * class loader has loaded.
 */
public final class NativeLibrary {
    /** System property with the path of the library to load. */
    public static final String PROPERTY = "biotrain.library.path";

    private static final String FILE = "libbiotrain.so";

    private NativeLibrary() {}

    /**
     * Loads the library if that has not been done yet.
     *
     * @return where it came from
     * @throws UnsatisfiedLinkError if it can't be loaded or has another version than these bindings; the message names
     *     every attempt, and so do the suppressed exceptions
     */
    public static String load() {
        // A failure is kept too: a class whose initialiser throws says why only once.
        if (Loaded.FAILURE != null) {
            UnsatisfiedLinkError error = new UnsatisfiedLinkError(Loaded.FAILURE.getMessage());
            error.initCause(Loaded.FAILURE);
            throw error;
        }
        return Loaded.ORIGIN;
    }

    /**
     * The firmware that links to emulated boards load, as an ELF file.
     *
     * @param board {@code "virt"} for QEMU, {@code "pulp-open"} for GVSOC
     * @return its bytes; empty if this build holds none
     */
    public static byte[] firmware(String board) {
        String name = "native/firmware/biotrain-" + board + ".elf";
        try (InputStream content = NativeLibrary.class.getModule().getResourceAsStream(name)) {
            return content == null ? new byte[0] : content.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("The resource " + name + " can't be read: " + e.getMessage(), e);
        }
    }

    private static final class Loaded {
        static final String ORIGIN;
        static final UnsatisfiedLinkError FAILURE;

        static {
            String origin = "";
            UnsatisfiedLinkError failure = null;
            try {
                origin = load(
                        System.getProperty(PROPERTY),
                        resource(System.getProperty("os.name"), System.getProperty("os.arch")),
                        List.of(
                                Path.of(System.getProperty("java.io.tmpdir")),
                                Path.of(System.getProperty("user.home"))));
                checkVersion(origin, biotrain_h.bt_version());
            } catch (UnsatisfiedLinkError e) {
                failure = e;
            }
            ORIGIN = origin;
            FAILURE = failure;
        }
    }

    /** Loads the override, or else the resource by way of the first directory that serves. */
    static String load(String override, String resource, List<Path> directories) {
        List<Throwable> failures = new ArrayList<>();
        List<String> attempts = new ArrayList<>();
        if (override != null) {
            try {
                System.load(Path.of(override).toAbsolutePath().toString());
                return override;
            } catch (UnsatisfiedLinkError | RuntimeException e) {
                attempts.add(
                        "the file " + override + " that the system property " + PROPERTY + " names: " + e.getMessage());
                failures.add(e);
            }
        } else {
            for (Path directory : directories) {
                try {
                    loadResource(resource, directory);
                    return "resource " + resource;
                } catch (UnsatisfiedLinkError | IOException | RuntimeException e) {
                    attempts.add(
                            "the resource " + resource + " through " + directory + ": " + e.getMessage() + hint(e));
                    failures.add(e);
                }
            }
        }
        UnsatisfiedLinkError error = new UnsatisfiedLinkError("The native library " + FILE
                + " could not be loaded; tried " + String.join("; then ", attempts)
                + "; name a library that was built for this machine with -D" + PROPERTY + "=<file>");
        failures.forEach(error::addSuppressed);
        throw error;
    }

    private static void loadResource(String resource, Path parent) throws IOException {
        try (InputStream content = NativeLibrary.class.getModule().getResourceAsStream(resource)) {
            if (content == null) {
                throw new IOException("there is no such resource, so this build holds no library for this platform");
            }
            // Readable by this user only, so nobody can put another library in its place.
            Path directory = Files.createTempDirectory(
                    parent,
                    "biotrain",
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            Path file = directory.resolve(FILE);
            try {
                Files.copy(content, file);
                System.load(file.toAbsolutePath().toString());
            } finally {
                Files.deleteIfExists(file);
                Files.delete(directory);
            }
        }
    }

    private static String hint(Throwable failure) {
        String message = String.valueOf(failure.getMessage());
        return message.contains("failed to map segment") || message.contains("Operation not permitted")
                ? " (the directory is probably mounted noexec; -Djava.io.tmpdir=<directory> names another)"
                : "";
    }

    static String resource(String os, String architecture) {
        String system = os.toLowerCase(Locale.ROOT).startsWith("linux") ? "linux" : os.toLowerCase(Locale.ROOT);
        String machine = architecture.equals("amd64") ? "x86_64" : architecture;
        return "native/" + system.replace(' ', '-') + "-" + machine + "/" + FILE;
    }

    /** Before version 1, each minor version has its own ABI. */
    static void checkVersion(String origin, int found) {
        int major = found >>> 16;
        int minor = found >>> 8 & 0xFF;
        if (major != biotrain_h.BT_VERSION_MAJOR() || minor != biotrain_h.BT_VERSION_MINOR()) {
            throw new UnsatisfiedLinkError("The native library from " + origin + " has version " + major + "." + minor
                    + ", but these bindings are for " + biotrain_h.BT_VERSION_MAJOR() + "."
                    + biotrain_h.BT_VERSION_MINOR() + "; use a library and bindings of the same version");
        }
    }
}
