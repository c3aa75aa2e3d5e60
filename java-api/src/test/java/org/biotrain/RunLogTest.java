package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunLogTest {
    private static final Dataset TRAINING = Fixtures.windows(30, 1);

    @TempDir
    Path directory;

    private static TrainingResult run(Dataset evaluated, RunLog log, TrainingListener... more) {
        try (Device device = Fixtures.device();
                TrainingSession session =
                        device.newSession(Fixtures.network(), Fixtures.options().build())) {
            session.upload(TRAINING);
            TrainingListener[] listeners = new TrainingListener[more.length + 1];
            listeners[0] = log;
            System.arraycopy(more, 0, listeners, 1, more.length);
            TrainingResult result = session.fit(listeners);
            log.evaluation("after", session.evaluate(evaluated));
            return result;
        }
    }

    @Test
    void aRunDirectoryTellsTheRun() throws IOException {
        RunLog log = RunLog.create(directory.resolve("runs/1"));
        TrainingResult result = run(TRAINING, log);

        JsonNode config = json(log.directory().resolve("config.json"));
        assertThat(config.get("model").textValue()).isEqualTo("small");
        assertThat(config.get("device").textValue()).isEqualTo("sim:?target=gap9");
        assertThat(config.get("batch_size").intValue()).isEqualTo(4);
        assertThat(config.get("optimizer").textValue()).contains("momentum=0.9");
        JsonNode environment = json(log.directory().resolve("environment.json"));
        assertThat(environment.get("device").get("target").textValue()).isEqualTo("gap9");
        assertThat(environment.get("library").textValue()).matches("\\d+\\.\\d+\\.\\d+");
        List<String> steps = Files.readAllLines(log.directory().resolve("steps.csv"));
        assertThat(steps).hasSize(1 + 40).first().isEqualTo("step,epoch,samples,loss,learning_rate,cycles,elapsed_ms");
        for (int i = 0; i < 40; i++) {
            assertThat(steps.get(1 + i)).startsWith(i + "," + i / 8 + ",");
            assertThat(Float.parseFloat(steps.get(1 + i).split(",", -1)[3])).isEqualTo(result.losses()[i]);
        }
        JsonNode evaluation = json(log.directory().resolve("evaluations.json")).get(0);
        assertThat(evaluation.get("name").textValue()).isEqualTo("after");
        assertThat(evaluation.get("confusion_matrix")).hasSize(3);
        assertThat(log.directory().resolve("native.log")).isNotEmptyFile();
        assertThat(Checkpoint.load(log.lastCheckpoint()).losses()).isEqualTo(result.losses());
    }

    @Test
    void anInterruptedRunIsContinuedInItsLog() throws IOException {
        RunLog log = RunLog.create(directory.resolve("run"));
        try (Device device = Fixtures.device();
                TrainingSession session =
                        device.newSession(Fixtures.network(), Fixtures.options().build())) {
            session.upload(TRAINING);
            session.fit(log, new TrainingListener() {
                @Override
                public void onEpoch(EpochEvent event) {
                    if (event.epoch() == 1) {
                        session.stop();
                    }
                }
            });
            assertThat(Checkpoint.load(log.lastCheckpoint()).step()).isEqualTo(16);
            session.fit(log);
        }

        assertThat(Files.readAllLines(log.directory().resolve("steps.csv"))).hasSize(1 + 40);
    }

    @Test
    void aRunGoesOnInAnotherProcessWithoutRepeatingLines() throws IOException {
        Path run = directory.resolve("run");
        RunLog log = RunLog.create(run);
        run(TRAINING, log);

        RunLog resumed = RunLog.resume(run, 24);
        assertThat(Files.readAllLines(run.resolve("steps.csv")))
                .hasSize(1 + 24)
                .last()
                .asString()
                .startsWith("23,");
        resumed.evaluation("again", Evaluation.of(List.of("a"), new int[1], new float[1][1], 0));
        assertThat(json(run.resolve("evaluations.json"))).hasSize(2);

        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> RunLog.resume(run, 25))
                .withMessageContaining("holds 24 steps")
                .withMessageContaining("after 25");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> RunLog.resume(directory.resolve("nowhere"), 0))
                .withMessageContaining("nowhere");
    }

    @Test
    void aDirectoryThatHoldsSomethingIsRefused() throws IOException {
        Files.writeString(directory.resolve("precious.txt"), "results");

        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> RunLog.create(directory))
                .withMessageContaining("is not empty");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> RunLog.create(directory.resolve("precious.txt")))
                .withMessageContaining("precious.txt");
    }

    @Test
    void aDirectoryThatVanishesStopsTheTraining() throws IOException {
        RunLog log = RunLog.create(directory.resolve("run"));
        Files.delete(directory.resolve("run/checkpoints"));
        Files.writeString(directory.resolve("run/checkpoints"), "in the way");

        assertThatExceptionOfType(ListenerException.class)
                .isThrownBy(() -> run(TRAINING, log))
                .withMessageContaining("onEpoch")
                .withMessageContaining("can't be written");
    }

    @Test
    void theProgressOnATerminalStaysOnOneLine() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        run(TRAINING, RunLog.create(directory.resolve("run")), new ProgressBar(stream(bytes), true));

        String text = bytes.toString(StandardCharsets.UTF_8);
        assertThat(text.lines().toList()).last().asString().contains("step 40/40", "epoch 5/5", "[====");
        assertThat(text.chars().filter(c -> c == '\n')).hasSize(1);
    }

    @Test
    void theProgressElsewhereIsALinePerEpoch() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        run(TRAINING, RunLog.create(directory.resolve("run")), new ProgressBar(stream(bytes), false));

        List<String> lines = bytes.toString(StandardCharsets.UTF_8).lines().toList();
        assertThat(lines)
                .hasSize(5)
                .allSatisfy(line -> assertThat(line).matches("epoch \\d/5 {2}mean loss [0-9.]+ {2}\\d+ s"));
    }

    private static PrintStream stream(ByteArrayOutputStream bytes) {
        return new PrintStream(bytes, true, StandardCharsets.UTF_8);
    }

    private static JsonNode json(Path file) throws IOException {
        return new ObjectMapper().readTree(file.toFile());
    }
}
