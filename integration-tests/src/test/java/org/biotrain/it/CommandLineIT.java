package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import org.biotrain.zoo.EmgNet;
import org.biotrain.zoo.MiBmiNet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The command line says the same on {@code qemu:} as on {@code sim:}. */
@Timeout(180)
class CommandLineIT {
    @TempDir
    Path directory;

    @BeforeEach
    void requireQemu() {
        Requirements.qemu();
    }

    @Test
    void theDemoGivesTheSameAccuraciesAndHash() throws Exception {
        JsonNode inProcess = Biotrain.run("demo", "--quick", "--device", "sim:?target=gap9");
        JsonNode onQemu = Biotrain.run("demo", "--quick", "--device", "qemu:");

        assertThat(onQemu.path("sha256").asText()).hasSize(64);
        assertThat(Biotrain.comparable(onQemu)).isEqualTo(Biotrain.comparable(inProcess));
    }

    @Test
    void aCalibrationGivesTheSameAccuraciesAndHash() throws Exception {
        JsonNode inProcess = Biotrain.calibrate(directory, "sim:?target=gap9", "sim");
        JsonNode onQemu = Biotrain.calibrate(directory, "qemu:", "qemu");

        assertThat(onQemu.path("sha256").asText()).hasSize(64);
        assertThat(Biotrain.comparable(onQemu)).isEqualTo(Biotrain.comparable(inProcess));
        assertThat(directory.resolve("qemu/calibrated.onnx"))
                .hasSameBinaryContentAs(directory.resolve("sim/calibrated.onnx"));
    }

    @Test
    void instructionCountsDoNotDependOnTheRun() throws Exception {
        Path model = directory.resolve("emg.onnx");
        EmgNet.of(4, 30, 6).model("emg", 1).save(model);

        JsonNode once = bench(model, "0.2");
        JsonNode again = bench(model, "1");

        assertThat(once.path("instructions_per_sample").asDouble()).isPositive();
        assertThat(again.path("instructions_per_sample")).isEqualTo(once.path("instructions_per_sample"));
        assertThat(again.path("opcodes")).isEqualTo(once.path("opcodes"));
    }

    private JsonNode bench(Path model, String seconds) throws IOException, InterruptedException {
        return Biotrain.run("bench", "--model=" + model, "--device=qemu:?icount=on", "--seconds=" + seconds);
    }

    @Test
    void benchSaysWhatHalfPrecisionDoesToTheLoss() throws Exception {
        Path model = directory.resolve("bmi.onnx");
        MiBmiNet.f8(8, 400, 2).model("bmi", 1).save(model);

        JsonNode report =
                Biotrain.run("bench", "--model=" + model, "--device=sim:?target=gap9", "--seconds=0.2", "--fp16-stash");

        JsonNode deviation = report.path("stash_deviation");
        assertThat(deviation.path("steps").asInt()).isPositive();
        assertThat(deviation.path("mean").asDouble()).isBetween(0.0, 0.01);
        assertThat(deviation.path("largest").asDouble())
                .isGreaterThanOrEqualTo(deviation.path("mean").asDouble());
    }

    @Test
    void everyReferenceVectorPasses() throws Exception {
        Path goldens = Requirements.shared("goldens");

        JsonNode report = Biotrain.run("verify", "--goldens", goldens.toString(), "--device", "qemu:");

        assertThat(report.path("cases").asInt()).isEqualTo(48);
        assertThat(report.path("passed").asInt()).isEqualTo(48);
    }
}
