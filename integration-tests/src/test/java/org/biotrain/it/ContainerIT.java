package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.github.dockerjava.api.command.InspectContainerResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.biotrain.Checkpoint;
import org.biotrain.Device;
import org.biotrain.DeviceException;
import org.biotrain.Evaluation;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.RunLog;
import org.biotrain.StepEvent;
import org.biotrain.TrainingListener;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.data.Dataset;
import org.biotrain.zoo.EmgNet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A simulated board in a container, which a session drives through OpenOCD's mapped port. */
@Timeout(300)
class ContainerIT {
    private static final Model NETWORK = EmgNet.of(4, 30, 6).model("emg", 1);
    private static final Dataset WINDOWS = Signals.windows(NETWORK, 6, 32);
    private static final int STEPS_OF_AN_EPOCH = 4;
    private static final TrainingOptions OPTIONS = TrainingOptions.builder()
            .optimizer(Optimizer.adam(0.01f))
            .batchSize(WINDOWS.size() / STEPS_OF_AN_EPOCH)
            .epochs(50)
            .seed(3)
            .build();

    @TempDir
    Path directory;

    /** What a training came to. */
    private record Outcome(String weights, double loss, double accuracy) {}

    @BeforeAll
    static void buildImage() throws Exception {
        Requirements.docker();
        Requirements.firmware();
        SimulatedBoard.buildImage();
    }

    @Test
    void aTrainingGoesOnOnAnotherBoardAfterItsContainerWasKilled() {
        RunLog log = RunLog.create(directory.resolve("run"));
        try (SimulatedBoard board = new SimulatedBoard(directory)) {
            board.start();
            try (Device device = Device.open(board.uri());
                    TrainingSession session = device.newSession(NETWORK, OPTIONS)) {
                session.upload(WINDOWS);

                assertThatExceptionOfType(DeviceException.class)
                        .isThrownBy(() -> session.fit(log, onStep(13, board::kill)))
                        .withMessageContaining("OpenOCD");
            }
        }

        Checkpoint checkpoint = Checkpoint.load(log.lastCheckpoint());
        assertThat(checkpoint.step())
                .isBetween(3 * STEPS_OF_AN_EPOCH, 49 * STEPS_OF_AN_EPOCH)
                .satisfies(step -> assertThat(step % STEPS_OF_AN_EPOCH).isZero());
        try (SimulatedBoard next = new SimulatedBoard(directory)) {
            next.start();
            assertThat(train(next.uri(), checkpoint)).isEqualTo(train("sim:?target=gap9", null));
        }
    }

    private static Outcome train(String uri, Checkpoint from) {
        try (Device device = Device.open(uri);
                TrainingSession session = device.newSession(NETWORK, OPTIONS)) {
            if (from != null) {
                session.restore(from);
            }
            session.upload(WINDOWS);
            String weights = session.fit().sha256();
            Evaluation evaluation = session.evaluate(WINDOWS);
            return new Outcome(weights, evaluation.loss(), evaluation.accuracy());
        }
    }

    private static TrainingListener onStep(int step, Runnable action) {
        return new TrainingListener() {
            @Override
            public void onStep(StepEvent event) {
                if (event.step() == step) {
                    action.run();
                }
            }
        };
    }

    @Test
    void theContainersLogIsOnTheHost() throws Exception {
        String printed;
        try (SimulatedBoard board = new SimulatedBoard(directory)) {
            board.start();
            try (Device device = Device.open(board.uri())) {
                assertThat(device.info().cores()).isEqualTo(8);
            }
            board.end();
            printed = board.getLogs();
        }

        Path log = directory.resolve("board.log");
        assertThat(Files.getOwner(log)).isEqualTo(Files.getOwner(directory));
        assertThat(Files.readString(log)).isEqualTo(printed);
        assertThat(Files.readAllLines(log))
                .allMatch(line ->
                        line.matches("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ (board|openocd|bt-virtual-board): .*"))
                .anyMatch(line -> line.contains("bt-virtual-board: listening on"))
                .anyMatch(line -> line.contains("openocd: Info : accepting 'tcl' connection"))
                .anyMatch(line -> line.contains("openocd: Info : dropped 'tcl' connection"))
                .anyMatch(line -> line.endsWith("board: told to end"));
    }

    @Test
    void theBoardIsHealthyUnprivilegedAndReachedFromThisMachineOnly() throws Exception {
        try (SimulatedBoard board = new SimulatedBoard(directory)) {
            board.start();
            InspectContainerResponse container = board.getCurrentContainerInfo();

            assertThat(board.execInContainer("board-health").getStdout()).isEqualTo("running\n");
            assertThat(container.getHostConfig().getPrivileged()).isFalse();
            assertThat(container.getNetworkSettings().getPorts().getBindings().values())
                    .singleElement()
                    .satisfies(bindings -> assertThat(bindings)
                            .singleElement()
                            .extracting("hostIp")
                            .isEqualTo("127.0.0.1"));
            assertThat(board.getDockerClient()
                            .inspectImageCmd(container.getImageId())
                            .exec()
                            .getConfig()
                            .getUser())
                    .isEqualTo("board");
        }
    }

    @Test
    void theBoardEndsAtOnceWhenToldTo() {
        try (SimulatedBoard board = new SimulatedBoard(directory)) {
            board.start();
            long before = System.nanoTime();

            board.end();

            assertThat(Duration.ofNanos(System.nanoTime() - before)).isLessThan(Duration.ofSeconds(5));
            assertThat(board.awaitEnd(Duration.ofSeconds(1))).isZero();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"openocd", "bt-virtual-board", "qemu-system-riscv32"})
    void theContainerLivesOnlyWhileAllOfItsProcessesDo(String program) throws Exception {
        try (SimulatedBoard board = new SimulatedBoard(directory)) {
            board.start();

            board.execInContainer("bash", "-c", "kill -KILL $(pidof " + program + ")");

            assertThat(board.awaitEnd(Duration.ofSeconds(20))).isEqualTo(1);
        }
    }
}
