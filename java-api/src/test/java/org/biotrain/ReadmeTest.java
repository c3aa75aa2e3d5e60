package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The Java in README.md is a program that runs as it stands there. */
class ReadmeTest {
    private static final Path README = Path.of("../README.md");

    @Test
    void theProgramCompilesAndCalibrates(@TempDir Path directory) throws IOException, InterruptedException {
        Matcher block = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL).matcher(Files.readString(README));
        assertThat(block.find()).as("README.md has a block of Java").isTrue();
        Path source = Files.writeString(directory.resolve("Calibrate.java"), block.group(1));

        Process process = ChildJvm.start(source.toString());
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertThat(process.waitFor()).as(output).isZero();
        Matcher accuracy = Pattern.compile("accuracy ([0-9.,]+)").matcher(output);
        assertThat(accuracy.find()).as(output).isTrue();
        assertThat(Double.parseDouble(accuracy.group(1).replace(',', '.'))).isGreaterThan(0.9);
    }
}
