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

/** The command line in a JVM of its own. */
final class Biotrain {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Biotrain() {}

    /** Runs {@code biotrain arguments… --json} and returns what it printed. */
    static JsonNode run(String... arguments) throws IOException, InterruptedException {
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

    /** A result without what may differ between two devices: their names, times and paths. */
    static JsonNode comparable(JsonNode result) {
        ObjectNode copy = result.deepCopy();
        copy.findParents("seconds").forEach(parent -> ((ObjectNode) parent).remove("seconds"));
        return copy.remove(List.of("device", "pretraining_seconds", "directory", "network", "cycles_per_sample"));
    }

    /** Calibrates a small network to a generated recording; the results are in {@code directory/out}. */
    static JsonNode calibrate(Path directory, String device, String out) throws IOException, InterruptedException {
        Path model = directory.resolve("emg.onnx");
        EmgNet.of(4, 30, 6).model("emg", 1).save(model);
        return run(
                "calibrate",
                "--model=" + model,
                "--data=" + recording(directory),
                "--cut=sliding",
                "--window=0.3",
                "--step=0.3",
                "--labels=0=rest,1=fist,2=pinch,3=point,4=spread,5=hook",
                "--epochs=2",
                "--device=" + device,
                "--out=" + directory.resolve(out));
    }

    /** Six grasps of 3 s on four channels at 100 Hz, each four times. */
    private static Path recording(Path directory) throws IOException {
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
}
