package org.biotrain.internal;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.biotrain.CapacityException;
import org.biotrain.DeviceException;
import org.biotrain.DeviceTimeoutException;
import org.biotrain.InternalException;
import org.biotrain.InvalidArgumentException;
import org.biotrain.ModelException;
import org.biotrain.NumericException;
import org.biotrain.ProgramException;
import org.biotrain.UnsupportedException;
import org.biotrain.ffi.biotrain_h;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** How a native error becomes an exception. */
class NativeTest {
    @BeforeAll
    static void load() {
        Native.load();
    }

    static Stream<Arguments> kinds() {
        return Stream.of(
                Arguments.of(biotrain_h.BT_ERROR_ARGUMENT(), InvalidArgumentException.class),
                Arguments.of(biotrain_h.BT_ERROR_MEMORY(), CapacityException.class),
                Arguments.of(biotrain_h.BT_ERROR_UNSUPPORTED(), UnsupportedException.class),
                Arguments.of(biotrain_h.BT_ERROR_MODEL(), ModelException.class),
                Arguments.of(biotrain_h.BT_ERROR_PROGRAM(), ProgramException.class),
                Arguments.of(biotrain_h.BT_ERROR_CAPACITY(), CapacityException.class),
                Arguments.of(biotrain_h.BT_ERROR_DEVICE(), DeviceException.class),
                Arguments.of(biotrain_h.BT_ERROR_TIMEOUT(), DeviceTimeoutException.class),
                Arguments.of(biotrain_h.BT_ERROR_NUMERIC(), NumericException.class),
                Arguments.of(biotrain_h.BT_ERROR_STATE(), IllegalStateException.class),
                Arguments.of(biotrain_h.BT_ERROR_IO(), DeviceException.class),
                Arguments.of(biotrain_h.BT_ERROR_INTERNAL(), InternalException.class));
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void eachStatusHasItsException(int status, Class<? extends Throwable> type) {
        assertThat(Native.failure(status, "name", List.of("What happened.")))
                .isExactlyInstanceOf(type)
                .hasMessage("What happened.")
                .hasNoCause();
    }

    @Test
    void theErrorStackBecomesMessageAndCauses() {
        Throwable failure = Native.failure(
                biotrain_h.BT_ERROR_MODEL(), "BT_ERROR_MODEL", List.of("Outer context.", "Inner context.", "Origin."));

        assertThat(failure).hasMessage("Outer context. Inner context. Origin.");
        assertThat(failure.getCause()).hasMessage("Outer context.");
        assertThat(failure.getCause().getCause()).hasMessage("Inner context.");
        assertThat(failure.getCause().getCause().getCause())
                .hasMessage("Origin.")
                .hasNoCause();
    }

    @Test
    void aStatusWithoutMessageIsNamed() {
        assertThat(Native.failure(biotrain_h.BT_ERROR_DEVICE(), "BT_ERROR_DEVICE", List.of()))
                .hasMessageContaining("BT_ERROR_DEVICE");
    }
}
