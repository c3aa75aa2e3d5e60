package org.biotrain.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Images of {@code gap-sdk-docker}, built with the commands of its README. */
final class DockerImage {
    private static final Duration LIMIT = Duration.ofMinutes(15);

    private DockerImage() {}

    /** Builds an image; {@code BIOTRAIN_BASE_IMAGE} is its base image, where that is set. */
    static void build(String file, String tag, String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("docker", "build", "-f", "gap-sdk-docker/" + file, "-t", tag));
        command.addAll(List.of(options));
        String base = System.getenv("BIOTRAIN_BASE_IMAGE");
        if (base != null) {
            command.addAll(List.of("--build-arg", "BASE_IMAGE=" + base));
        }
        command.add(".");
        Path log = Path.of("target", file + ".log");
        Process build = new ProcessBuilder(command)
                .directory(Path.of("..").toFile())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        if (!build.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS) || build.exitValue() != 0) {
            build.destroyForcibly();
            throw new AssertionError(String.join(" ", command) + " failed:\n" + Files.readString(log));
        }
    }
}
