package org.biotrain.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Programs that are installed on this machine. */
final class Programs {
    private static final long VERSION_SECONDS = 10;

    private Programs() {}

    /** Where the environment's {@code PATH} has a program; null if nowhere. */
    static @Nullable Path find(String program, Map<String, String> environment) {
        for (String folder : environment.getOrDefault("PATH", "").split(":", -1)) {
            Path file = Path.of(folder, program);
            if (!folder.isEmpty() && Files.isExecutable(file)) {
                return file;
            }
        }
        return null;
    }

    /** First line of what the program says of its version, or its path if it says nothing in time. */
    static String version(Path file) {
        try {
            Process process = new ProcessBuilder(file.toString(), "--version")
                    .redirectErrorStream(true)
                    .redirectInput(
                            ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                    .start();
            boolean ended = process.waitFor(VERSION_SECONDS, TimeUnit.SECONDS);
            if (!ended) {
                process.destroyForcibly();
                return file.toString();
            }
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return said.lines().filter(line -> !line.isBlank()).findFirst().orElse("present") + " (" + file + ")";
        } catch (IOException e) {
            return file.toString();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return file.toString();
        }
    }
}
