package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import org.biotrain.Device;
import org.biotrain.DeviceException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A board behind a debug cable: a real OpenOCD, JTAG, a debug module, and the firmware behind it. */
@Timeout(300)
class OpenOcdIT {
    @TempDir
    Path directory;

    private VirtualBoard board;

    @BeforeEach
    void startBoard() throws Exception {
        board = new VirtualBoard(Requirements.virtualBoard());
    }

    @AfterEach
    void stopBoard() throws Exception {
        if (board != null) {
            board.close();
        }
    }

    @Test
    void aCalibrationGivesTheSameAccuraciesAndHash() throws Exception {
        JsonNode inProcess = Biotrain.calibrate(directory, "sim:?target=gap9", "sim");
        JsonNode onBoard = Biotrain.calibrate(directory, board.device(), "board");

        assertThat(onBoard.path("sha256").asText()).hasSize(64);
        assertThat(Biotrain.comparable(onBoard)).isEqualTo(Biotrain.comparable(inProcess));
        assertThat(directory.resolve("board/calibrated.onnx"))
                .hasSameBinaryContentAs(directory.resolve("sim/calibrated.onnx"));
        assertThat(Files.readString(directory.resolve("board/native.log"))).contains("kB/s to the device");
    }

    @Test
    void aDeviceSaysWhatItIsAndWhyItCannotBeOpened() throws Exception {
        try (Device device = Device.open(board.device())) {
            assertThat(device.info().link()).isEqualTo("openocd");
            assertThat(device.info().cores()).isEqualTo(8);
            assertThat(device.roundTrip()).isPositive();
        }
        String gone = board.device();
        board.close();

        assertThatExceptionOfType(DeviceException.class)
                .isThrownBy(() -> Device.open(gone).close())
                .withMessageContaining("start the virtual board");
    }
}
