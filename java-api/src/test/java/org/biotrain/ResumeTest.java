package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.biotrain.TrainingResult.Outcome;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A training that was interrupted goes on as if it had not been, bit by bit. */
class ResumeTest {
    private static final Dataset TRAINING = Fixtures.windows(30, 1);

    @TempDir
    Path directory;

    static Stream<TrainingOptions> options() {
        return Stream.of(
                Fixtures.options().build(),
                Fixtures.options().optimizer(Optimizer.adam(0.01f)).build(),
                Fixtures.options()
                        .optimizer(Optimizer.adamW(0.01f))
                        .schedule(Schedule.cosine(1e-4f).warmup(5))
                        .build(),
                Fixtures.options()
                        .microBatch(2)
                        .sampleFormat(SampleFormat.FLOAT32)
                        .build(),
                Fixtures.options()
                        .scheme(UpdateScheme.LAST_LAYER)
                        .pass(Pass.CACHE_FEATURES, true)
                        .build());
    }

    private static TrainingResult uninterrupted(TrainingOptions options) {
        try (Device device = Fixtures.device();
                TrainingSession session = device.newSession(Fixtures.network(), options)) {
            session.upload(TRAINING);
            return session.fit();
        }
    }

    @ParameterizedTest
    @MethodSource("options")
    void aStoppedTrainingGoesOnInAnotherSession(TrainingOptions options) {
        Path file = directory.resolve("middle.safetensors");
        int stoppedAt;
        try (Device device = Fixtures.device();
                TrainingSession session = device.newSession(Fixtures.network(), options)) {
            session.upload(TRAINING);
            TrainingResult stopped = session.fit(new TrainingListener() {
                @Override
                public void onStep(StepEvent event) {
                    if (event.step() == 10) {
                        session.stop();
                    }
                }
            });
            assertThat(stopped.outcome()).isEqualTo(Outcome.STOPPED);
            stoppedAt = stopped.steps();
            session.checkpoint().save(file);
        }

        try (Device device = Device.open("sim:?target=gap9&cores=3");
                TrainingSession session = device.newSession(Fixtures.network(), options)) {
            session.restore(Checkpoint.load(file));
            session.upload(TRAINING);
            Fixtures.Recorder recorder = new Fixtures.Recorder();
            TrainingResult resumed = session.fit(recorder);

            TrainingResult whole = uninterrupted(options);
            assertThat(recorder.steps.getFirst().step()).isEqualTo(stoppedAt);
            assertThat(resumed.losses()).isEqualTo(whole.losses());
            assertThat(resumed.sha256()).isEqualTo(whole.sha256());
        }
    }

    @Test
    void aTrainingWhoseProcessIsKilledGoesOnFromItsLatestCheckpoint() throws Exception {
        TrainingOptions options = KilledRun.options();
        Path run = directory.resolve("run");
        kill(run);
        Checkpoint checkpoint = Checkpoint.load(run.resolve("checkpoints/last.safetensors"));
        assertThat(checkpoint.step()).isPositive();

        try (Device device = Fixtures.device();
                TrainingSession session = device.newSession(Fixtures.network(), options)) {
            session.upload(TRAINING);
            session.restore(checkpoint);

            assertThat(session.fit().sha256()).isEqualTo(uninterrupted(options).sha256());
        }
    }

    /** Starts a training in another JVM and destroys that by force in the middle of an epoch. */
    private static void kill(Path run) throws IOException, InterruptedException {
        Process process = ChildJvm.start(KilledRun.class.getName(), run.toString());
        try (var output = process.inputReader()) {
            String line = output.readLine();
            assertThat(line).as("what the other process says first").isEqualTo(KilledRun.READY);
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(128 + 9);
    }

    /** The training that is killed: it waits for that in the middle of the third epoch. */
    static final class KilledRun {
        static final String READY = "in the third epoch";

        private KilledRun() {}

        static TrainingOptions options() {
            return Fixtures.options().optimizer(Optimizer.adam(0.01f)).build();
        }

        public static void main(String[] arguments) {
            try (Device device = Fixtures.device();
                    TrainingSession session = device.newSession(Fixtures.network(), options())) {
                session.upload(TRAINING);
                session.fit(RunLog.create(Path.of(arguments[0])), new TrainingListener() {
                    @Override
                    public void onStep(StepEvent event) {
                        if (event.epoch() == 2 && event.step() % 8 == 3) {
                            System.out.println(READY);
                            System.out.flush();
                            sleep();
                        }
                    }
                });
            }
        }

        private static void sleep() {
            try {
                Thread.sleep(60_000);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    @Test
    void aCheckpointBringsASessionBack() {
        TrainingOptions options = Fixtures.options().build();
        try (Device device = Fixtures.device();
                TrainingSession session = device.newSession(Fixtures.network(), options)) {
            session.upload(TRAINING);
            Checkpoint start = session.checkpoint();
            String first = session.fit().sha256();
            session.restore(start);

            assertThat(session.fit().sha256()).isEqualTo(first);
        }
    }

    @Test
    void otherOptionsModelsAndSamplesAreRefused() {
        Checkpoint checkpoint;
        try (Device device = Fixtures.device();
                TrainingSession session =
                        device.newSession(Fixtures.network(), Fixtures.options().build())) {
            session.upload(TRAINING);
            checkpoint = session.checkpoint();
        }

        try (Device device = Fixtures.device()) {
            try (TrainingSession session = device.newSession(
                    Fixtures.network(), Fixtures.options().epochs(6).build())) {
                assertThatExceptionOfType(CheckpointException.class)
                        .isThrownBy(() -> session.restore(checkpoint))
                        .withMessageContaining("other options")
                        .withMessageContaining("epochs=5")
                        .withMessageContaining("epochs=6");
            }
            try (TrainingSession session = device.newSession(
                    Fixtures.network("larger", 2, 64, 0.25f), Fixtures.options().build())) {
                assertThatExceptionOfType(CheckpointException.class)
                        .isThrownBy(() -> session.restore(checkpoint))
                        .withMessageContaining("does not belong to the model larger")
                        .withMessageContaining("fc.weight");
            }
            try (TrainingSession session =
                    device.newSession(Fixtures.network(), Fixtures.options().build())) {
                session.restore(checkpoint);
                assertThatExceptionOfType(InvalidArgumentException.class)
                        .isThrownBy(() -> session.upload(Fixtures.windows(30, 2)))
                        .withMessageContaining("other samples");
            }
            try (TrainingSession session =
                    device.newSession(Fixtures.network(), Fixtures.options().build())) {
                session.upload(Fixtures.windows(29, 1));
                assertThatExceptionOfType(InvalidArgumentException.class)
                        .isThrownBy(() -> session.restore(checkpoint))
                        .withMessageContaining("30 other samples than these 29");
            }
        }
    }

    @Test
    void aCheckpointBeforeTheFirstStepHoldsTheModel() throws IOException {
        Path file = directory.resolve("new/start.safetensors");
        try (Device device = Fixtures.device();
                TrainingSession session =
                        device.newSession(Fixtures.network(), Fixtures.options().build())) {
            session.checkpoint().save(file);
        }

        Checkpoint checkpoint = Checkpoint.load(file);
        assertThat(checkpoint.step()).isZero();
        assertThat(checkpoint.losses()).isEmpty();
        assertThat(checkpoint.modelName()).isEqualTo("small");
        assertThat(checkpoint.parameters()).isEqualTo(Fixtures.network().parameters());
        assertThat(Weights.load(file)).isEqualTo(checkpoint.parameters());
        try (Stream<Path> files = Files.list(file.getParent())) {
            assertThat(files).containsExactly(file);
        }
    }
}
