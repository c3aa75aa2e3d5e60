package org.biotrain.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StudyCommandTest {
    private static final String WITHIN = """
            protocol:
              kind: chronological
              per: [subject]
              train-fraction: 0.7
            """;

    private static final String ACROSS = """
            protocol:
              kind: leave-one-subject-out
              calibration-runs: [left]
              test-runs: [right]
            pretraining:
              epochs: 2
            """;

    @TempDir
    private Path folder;

    @BeforeEach
    void record() throws IOException {
        GeneratedRecording.write(folder, 3);
    }

    @Test
    void oneNetworkPerSubjectAndTheirMean() throws IOException {
        Run run = study(task(WITHIN), "--json");

        assertThat(run.code()).isZero();
        JsonNode report = run.json();
        assertThat(report.path("networks").findValuesAsText("name")).containsExactly("1", "2", "3");
        assertThat(report.path("balanced_accuracy").path("subjects").asInt()).isEqualTo(3);
        assertThat(report.path("balanced_accuracy").path("mean").asDouble()).isGreaterThan(0.7);
        assertThat(report.path("balanced_accuracy").path("confidence95")).hasSize(2);
        assertThat(report.path("chance").asDouble()).isEqualTo(0.5);
    }

    @Test
    void oneGroupCanBeChosen() throws IOException {
        assertThat(study(task(WITHIN), "--only", "2", "--json").json().path("networks"))
                .hasSize(1);
        assertThat(study(task(WITHIN), "--only", "7").err()).contains("1, 2, 3");
    }

    @Test
    void calibrateNeedsOneGroup() throws IOException {
        Run unclear = calibrate();
        Run chosen = calibrate("--group", "2", "--json");

        assertThat(unclear.code()).isEqualTo(2);
        assertThat(unclear.err()).contains("--group", "1, 2, 3");
        assertThat(chosen.json().path("group").asText()).isEqualTo("2");
    }

    private Run calibrate(String... more) throws IOException {
        String[] fixed = {
            "calibrate",
            "--task",
            task(WITHIN).toString(),
            "--data",
            folder.toString(),
            "--out",
            folder.resolve("run").toString()
        };
        String[] arguments = new String[fixed.length + more.length];
        System.arraycopy(fixed, 0, arguments, 0, fixed.length);
        System.arraycopy(more, 0, arguments, fixed.length, more.length);
        return Run.of(arguments);
    }

    @Test
    void aSubjectThatIsLeftOutIsPretrainedOnTheOthers() throws IOException {
        for (int subject = 1; subject <= 3; subject++) {
            Path whole = folder.resolve("subject" + subject + ".csv");
            Files.copy(whole, folder.resolve("subject" + subject + "left.csv"));
            Files.move(whole, folder.resolve("subject" + subject + "right.csv"));
        }

        JsonNode network = study(task(ACROSS), "--json").json().path("networks").path(0);

        // The recordings of a subject are equal here, and the subjects alike: pre-training alone does well.
        assertThat(network.path("before").path("balanced_accuracy").asDouble()).isGreaterThan(0.7);
    }

    @Test
    void anUnknownKeyIsRefusedWithThoseThatAreAllowed() throws IOException {
        Path task = task(WITHIN);
        Files.writeString(task, Files.readString(task).replace("seconds:", "duration:"));

        Run run = study(task);

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err())
                .contains("task.yaml", "windows.duration", "seconds")
                .hasLineCount(1);
    }

    @Test
    void aFolderWithoutTheRecordingsIsRefused() throws IOException {
        Path task = task(WITHIN);
        Path empty = Files.createDirectory(folder.resolve("empty"));

        Run run = Run.of("study", task.toString(), "--data", empty.toString());

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("subject*.csv", "--data");
    }

    private Run study(Path task, String... more) {
        String[] arguments = new String[4 + more.length];
        System.arraycopy(new String[] {"study", task.toString(), "--data", folder.toString()}, 0, arguments, 0, 4);
        System.arraycopy(more, 0, arguments, 4, more.length);
        return Run.of(arguments);
    }

    private Path task(String protocol) throws IOException {
        return Files.writeString(folder.resolve("task.yaml"), """
                name: generated
                data:
                  files: subject*.csv
                  recording: 'subject(?<subject>\\d)(?<run>left|right)?'
                windows:
                  cut: sliding
                  seconds: 0.25
                labels: {1: left, 2: right}
                model: network.onnx
                training:
                  epochs: 3
                """ + protocol);
    }
}
