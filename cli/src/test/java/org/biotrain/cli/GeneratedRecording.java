package org.biotrain.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Random;
import org.biotrain.zoo.EmgNet;

/** A folder with recordings of two channels at 100 Hz, whose classes take turns every second, and a network for them. */
final class GeneratedRecording {
    private static final int RATE = 100;
    private static final int SECONDS = 60;

    private GeneratedRecording() {}

    /** Writes {@code subject1.csv}, {@code subject2.csv} … and {@code network.onnx}. */
    static void write(Path folder, int subjects) throws IOException {
        for (int subject = 1; subject <= subjects; subject++) {
            Files.writeString(folder.resolve("subject" + subject + ".csv"), csv(subject));
        }
        EmgNet.of(2, 25, 2).model("small", 1).save(folder.resolve("network.onnx"));
    }

    private static String csv(int subject) {
        Random random = new Random(subject);
        StringBuilder text = new StringBuilder("time_s,left,right,label\n");
        for (int i = 0; i < RATE * SECONDS; i++) {
            int label = 1 + i / RATE % 2;
            double strength = 0.8 * random.nextGaussian();
            text.append(String.format(
                    Locale.ROOT,
                    "%.2f,%.5f,%.5f,%d%n",
                    i / (double) RATE,
                    random.nextGaussian() + (label == 1 ? strength + 1 : 0),
                    random.nextGaussian() + (label == 2 ? strength + 1 : 0),
                    label));
        }
        return text.toString();
    }
}
