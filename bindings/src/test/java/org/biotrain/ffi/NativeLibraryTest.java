package org.biotrain.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatNoException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryTest {
    private static final String HERE =
            NativeLibrary.resource(System.getProperty("os.name"), System.getProperty("os.arch"));

    @TempDir
    Path directory;

    @Test
    void theLibraryHasTheVersionOfTheBindings() {
        NativeLibrary.load();

        assertThat(biotrain_h.bt_version())
                .isEqualTo(biotrain_h.BT_VERSION_MAJOR() << 16
                        | biotrain_h.BT_VERSION_MINOR() << 8
                        | biotrain_h.BT_VERSION_PATCH());
    }

    @Test
    void theResourceIsLoadedAndNothingStaysBehind() throws IOException {
        assertThat(NativeLibrary.load(null, HERE, List.of(directory))).isEqualTo("resource " + HERE);

        try (Stream<Path> left = Files.list(directory)) {
            assertThat(left).isEmpty();
        }
    }

    @Test
    void anotherDirectoryServesWhereTheFirstDoesNot() {
        assertThatNoException()
                .isThrownBy(() -> NativeLibrary.load(null, HERE, List.of(directory.resolve("missing"), directory)));
    }

    @Test
    void anOverrideThatCannotBeLoadedIsAnErrorThatNamesIt() {
        Path file = directory.resolve("libbiotrain.so");

        assertThatExceptionOfType(UnsatisfiedLinkError.class)
                .isThrownBy(() -> NativeLibrary.load(file.toString(), HERE, List.of(directory)))
                .withMessageContaining(file.toString())
                .withMessageContaining(NativeLibrary.PROPERTY)
                .satisfies(error -> assertThat(error.getSuppressed()).hasSize(1));
    }

    @Test
    void everyFailedAttemptIsInTheError() {
        Path first = directory.resolve("missing");
        Path second = directory.resolve("absent");

        assertThatExceptionOfType(UnsatisfiedLinkError.class)
                .isThrownBy(() -> NativeLibrary.load(null, HERE, List.of(first, second)))
                .withMessageContainingAll(first.toString(), second.toString(), HERE)
                .satisfies(error -> assertThat(error.getSuppressed()).hasSize(2));
    }

    @Test
    void aPlatformWithoutALibraryIsNamed() {
        String resource = NativeLibrary.resource("Plan 9", "mips");

        assertThat(resource).isEqualTo("native/plan-9-mips/libbiotrain.so");
        assertThatExceptionOfType(UnsatisfiedLinkError.class)
                .isThrownBy(() -> NativeLibrary.load(null, resource, List.of(directory)))
                .withMessageContaining(resource)
                .withMessageContaining("this build holds no library for this platform");
    }

    @Test
    void aLibraryOfAnotherVersionIsRefused() {
        assertThatExceptionOfType(UnsatisfiedLinkError.class)
                .isThrownBy(() -> NativeLibrary.checkVersion("somewhere", 0x00070300))
                .withMessageContainingAll("somewhere", "7.3", "use a library and bindings of the same version");
    }
}
