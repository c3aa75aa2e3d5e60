package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.biotrain.CounterRandom;
import org.biotrain.zoo.EpiDeNet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** EpiDeNet is calibrated on the simulated cluster of pulp-open, from the command line. */
@Timeout(600)
class GvsocIT {
    private static final int RATE = 250;
    private static final int CLASSES = 3;

    @TempDir
    Path directory;

    @BeforeEach
    void requireGvsoc() {
        Requirements.gvsoc();
    }

    @Test
    void aCalibrationOnTheClusterGivesTheBitsOfTheSimulationAndItsCycles() throws Exception {
        String onSim = calibrate("sim:?target=pulp-open", directory.resolve("sim"));
        String onCluster = calibrate("gvsoc:?target=pulp-open", directory.resolve("gvsoc"));

        assertThat(losses(directory.resolve("gvsoc"))).isEqualTo(losses(directory.resolve("sim")));
        assertThat(directory.resolve("gvsoc/calibrated.onnx"))
                .hasSameBinaryContentAs(directory.resolve("sim/calibrated.onnx"));
        assertThat(onSim).doesNotContain("cycles per sample");
        assertThat(onCluster).containsPattern("(?m)^\\d+ cycles per sample$");
        System.out.println(onCluster.strip());
    }

    /** Runs {@code biotrain calibrate} in a JVM of its own and returns what it printed. */
    private String calibrate(String device, Path out) throws IOException, InterruptedException {
        Path model = directory.resolve("epidenet.onnx");
        EpiDeNet.compact(2, 100, CLASSES).model("epidenet", 1).save(model);
        Process process = ChildJvm.java(
                        "org.biotrain.cli.Main",
                        "calibrate",
                        "--model=" + model,
                        "--data=" + recording(),
                        "--cut=sliding",
                        "--window=0.4",
                        "--step=0.4",
                        "--labels=0=rest,1=left,2=right",
                        "--epochs=1",
                        "--device=" + device,
                        "--out=" + out)
                .start();
        String output;
        try {
            output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } finally {
            process.destroy();
        }
        assertThat(process.waitFor()).as("exit code; it printed: %s", output).isZero();
        return output;
    }

    /** The step log without its last columns, which hold times. */
    private static String losses(Path run) throws IOException {
        return Files.readString(run.resolve("steps.csv")).replaceAll("(?m)^((?:[^,\n]*,){4}[^,\n]*).*$", "$1");
    }

    /** Three movements of the eyes on two derivations, each for 0.8 s, four times. */
    private Path recording() throws IOException {
        int length = 4 * CLASSES * RATE * 4 / 5;
        float[] noise = CounterRandom.normal(9, 0, 2 * length);
        StringBuilder text = new StringBuilder("time_s,a,b,label\n");
        for (int i = 0; i < length; i++) {
            int movement = i / (RATE * 4 / 5) % CLASSES;
            text.append((double) i / RATE)
                    .append(',')
                    .append(movement + noise[2 * i])
                    .append(',')
                    .append(noise[2 * i + 1] - movement)
                    .append(',')
                    .append(movement)
                    .append('\n');
        }
        return Files.writeString(directory.resolve("recording.csv"), text);
    }
}
