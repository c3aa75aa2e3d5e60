package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.biotrain.CounterRandom;
import org.biotrain.zoo.EmgNet;
import org.biotrain.zoo.MiBmiNet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The command line says the same on {@code qemu:} as on {@code sim:}. */
@Timeout(180)
class CommandLineIT {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    Path directory;

    @BeforeEach
    void requireQemu() {
        Requirements.qemu();
    }

    /** Runs {@code biotrain arguments… --json} in a JVM of its own and returns what it printed. */
    private static JsonNode biotrain(String... arguments) throws IOException, InterruptedException {
        List<String> all = new ArrayList<>(List.of(arguments));
        all.add("--json");
        Process process = ChildJvm.java("org.biotrain.cli.Main", all.toArray(String[]::new))
                .start();
        String output;
        try {
            output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } finally {
            process.destroy();
        }
        assertThat(process.waitFor()).as("exit code; it printed: %s", output).isZero();
        return JSON.readTree(output);
    }

    /** Without what may differ between two devices: their names, times and paths. */
    private static JsonNode comparable(JsonNode result) {
        ObjectNode copy = result.deepCopy();
        copy.findParents("seconds").forEach(parent -> ((ObjectNode) parent).remove("seconds"));
        return copy.remove(List.of("device", "pretraining_seconds", "directory", "network"));
    }

    @Test
    void theDemoGivesTheSameAccuraciesAndHash() throws Exception {
        JsonNode inProcess = biotrain("demo", "--quick", "--device", "sim:?target=gap9");
        JsonNode onQemu = biotrain("demo", "--quick", "--device", "qemu:");

        assertThat(onQemu.path("sha256").asText()).hasSize(64);
        assertThat(comparable(onQemu)).isEqualTo(comparable(inProcess));
    }

    @Test
    void aCalibrationGivesTheSameAccuraciesAndHash() throws Exception {
        JsonNode inProcess = calibrate("sim:?target=gap9", directory.resolve("sim"));
        JsonNode onQemu = calibrate("qemu:", directory.resolve("qemu"));

        assertThat(onQemu.path("sha256").asText()).hasSize(64);
        assertThat(comparable(onQemu)).isEqualTo(comparable(inProcess));
        assertThat(directory.resolve("qemu/calibrated.onnx"))
                .hasSameBinaryContentAs(directory.resolve("sim/calibrated.onnx"));
    }

    private JsonNode calibrate(String device, Path out) throws IOException, InterruptedException {
        Path model = directory.resolve("emg.onnx");
        EmgNet.of(4, 30, 6).model("emg", 1).save(model);
        return biotrain(
                "calibrate",
                "--model=" + model,
                "--data=" + recording(),
                "--cut=sliding",
                "--window=0.3",
                "--step=0.3",
                "--labels=0=rest,1=fist,2=pinch,3=point,4=spread,5=hook",
                "--epochs=2",
                "--device=" + device,
                "--out=" + out);
    }

    /** Six grasps of 3 s on four channels at 100 Hz, each four times. */
    private Path recording() throws IOException {
        int rate = 100;
        int grasps = 6;
        int length = 4 * grasps * 3 * rate;
        float[] noise = CounterRandom.normal(9, 0, 4 * length);
        StringBuilder text = new StringBuilder("time_s,a,b,c,d,label\n");
        for (int i = 0; i < length; i++) {
            int grasp = i / (3 * rate) % grasps;
            text.append((double) i / rate);
            for (int channel = 0; channel < 4; channel++) {
                text.append(',').append(Math.abs(1 + (grasp + channel) % grasps + 0.5f * noise[4 * i + channel]));
            }
            text.append(',').append(grasp).append('\n');
        }
        return Files.writeString(directory.resolve("recording.csv"), text);
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
        return biotrain("bench", "--model=" + model, "--device=qemu:?icount=on", "--seconds=" + seconds);
    }

    @Test
    void benchSaysWhatHalfPrecisionDoesToTheLoss() throws Exception {
        Path model = directory.resolve("bmi.onnx");
        MiBmiNet.f8(8, 400, 2).model("bmi", 1).save(model);

        JsonNode report = biotrain(
                "bench", "--model=" + model, "--device=sim:?target=gap9-l2-only", "--seconds=0.2", "--fp16-stash");

        JsonNode deviation = report.path("stash_deviation");
        assertThat(deviation.path("steps").asInt()).isPositive();
        assertThat(deviation.path("mean").asDouble()).isBetween(0.0, 0.01);
        assertThat(deviation.path("largest").asDouble())
                .isGreaterThanOrEqualTo(deviation.path("mean").asDouble());
    }

    @Test
    void everyReferenceVectorPasses() throws Exception {
        Path goldens = Requirements.shared("goldens");

        JsonNode report = biotrain("verify", "--goldens", goldens.toString(), "--device", "qemu:");

        assertThat(report.path("cases").asInt()).isEqualTo(48);
        assertThat(report.path("passed").asInt()).isEqualTo(48);
    }
}
