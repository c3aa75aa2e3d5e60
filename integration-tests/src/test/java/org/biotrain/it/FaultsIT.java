package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.biotrain.Checkpoint;
import org.biotrain.Device;
import org.biotrain.DeviceException;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.RunLog;
import org.biotrain.StepEvent;
import org.biotrain.TrainingListener;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.data.Dataset;
import org.biotrain.zoo.EmgNet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What happens to a session, and to QEMU, when one of the two dies. */
@Timeout(60)
class FaultsIT {
    private static final Model NETWORK = EmgNet.of(4, 30, 6).model("emg", 1);
    private static final Dataset WINDOWS = Signals.windows(NETWORK, 6, 32);

    @TempDir
    Path directory;

    @BeforeEach
    void requireQemu() {
        Requirements.qemu();
    }

    private static TrainingOptions options(int epochs) {
        return TrainingOptions.builder()
                .optimizer(Optimizer.adam(0.01f))
                .batchSize(8)
                .epochs(epochs)
                .seed(3)
                .build();
    }

    private static List<ProcessHandle> qemuBelow(ProcessHandle process) {
        return process.descendants()
                .filter(child -> child.info().command().orElse("").contains("qemu-system-riscv32"))
                .toList();
    }

    @Test
    void trainingGoesOnOnAnotherDeviceAfterQemuWasKilled() {
        RunLog log = RunLog.create(directory.resolve("run"));
        try (Device device = Device.open("qemu:");
                TrainingSession session = device.newSession(NETWORK, options(12))) {
            session.upload(WINDOWS);

            assertThatExceptionOfType(DeviceException.class)
                    .isThrownBy(() -> session.fit(log, onStep(13, FaultsIT::killOwnQemu)))
                    .withMessageContaining("it last reported state")
                    .withMessageContaining("training steps")
                    .havingRootCause()
                    .withMessageContaining("QEMU has ended");
        }

        Checkpoint checkpoint = Checkpoint.load(log.lastCheckpoint());
        // Epochs have four steps; the device may have been some steps ahead of the thirteenth's event.
        assertThat(checkpoint.step())
                .isBetween(12, 44)
                .satisfies(step -> assertThat(step % 4).isZero());
        String resumed;
        try (Device device = Device.open("qemu:");
                TrainingSession session = device.newSession(NETWORK, options(12))) {
            session.restore(checkpoint);
            session.upload(WINDOWS);
            resumed = session.fit().sha256();
        }
        try (Device device = Device.open("sim:?target=gap9");
                TrainingSession session = device.newSession(NETWORK, options(12))) {
            session.upload(WINDOWS);
            assertThat(resumed).isEqualTo(session.fit().sha256());
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

    private static void killOwnQemu() {
        List<ProcessHandle> running = qemuBelow(ProcessHandle.current());
        assertThat(running).hasSize(1);
        running.getFirst().destroyForcibly();
    }

    @Test
    void qemuDoesNotOutliveAJvmThatIsKilled() throws Exception {
        Process jvm = ChildJvm.java(EndlessTraining.class.getName()).start();
        List<ProcessHandle> running;
        try (var output = jvm.inputReader()) {
            assertThat(output.readLine()).isEqualTo(EndlessTraining.READY);
            running = qemuBelow(jvm.toHandle());
            assertThat(running).hasSize(1);
        } finally {
            jvm.destroyForcibly();
        }

        assertThat(running.getFirst().onExit()).succeedsWithin(10, TimeUnit.SECONDS);
    }

    @Test
    void closingADeviceEndsItsQemu() {
        List<ProcessHandle> running;
        try (Device device = Device.open("qemu:")) {
            assertThat(device.info().link()).isEqualTo("qemu");
            running = qemuBelow(ProcessHandle.current());
            assertThat(running).hasSize(1);
        }

        assertThat(running.getFirst().isAlive()).isFalse();
    }

    /** Trains on QEMU until it is killed. */
    static final class EndlessTraining {
        static final String READY = "training";

        private EndlessTraining() {}

        public static void main(String[] arguments) {
            try (Device device = Device.open("qemu:");
                    TrainingSession session = device.newSession(NETWORK, options(1_000_000))) {
                session.upload(WINDOWS);
                session.fit(onStep(2, () -> {
                    System.out.println(READY);
                    System.out.flush();
                }));
            }
        }
    }
}
