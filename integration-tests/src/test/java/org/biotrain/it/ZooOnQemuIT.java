package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.util.stream.Stream;
import org.biotrain.Device;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.PlanSummary;
import org.biotrain.Statistics;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.UpdateScheme;
import org.biotrain.data.Dataset;
import org.biotrain.zoo.Networks;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every network that ships, with every update scheme: the firmware on RISC-V, with one worker and with eight, computes
 * the losses and weights of the in-process device bit by bit, in the memory that was planned.
 */
@TestInstance(Lifecycle.PER_CLASS)
class ZooOnQemuIT {
    private static final int BATCH = 2;

    private Device inProcess;
    private Device oneWorker;
    private Device eightWorkers;

    /** What a training came to, with nothing in it that may differ between devices. */
    private record Outcome(String sha256, long l1, long l2, long l3) {}

    @BeforeAll
    void open() {
        Requirements.qemu();
        inProcess = Device.open("sim:?target=gap9&cores=2");
        oneWorker = Device.open("qemu:?harts=2");
        eightWorkers = Device.open("qemu:?harts=9");
    }

    @AfterAll
    void close() {
        for (Device device : new Device[] {inProcess, oneWorker, eightWorkers}) {
            if (device != null) {
                device.close();
            }
        }
    }

    static Stream<Arguments> networksAndSchemes() {
        return Networks.shipped().stream()
                .flatMap(model -> Stream.of(UpdateScheme.Preset.values())
                        .map(scheme -> arguments(Named.of(model.name(), model), scheme)));
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("networksAndSchemes")
    void theDeviceComputesTheSameBits(Model model, UpdateScheme scheme) {
        Outcome expected = train(inProcess, model, scheme);

        assertThat(train(oneWorker, model, scheme)).as("one worker").isEqualTo(expected);
        assertThat(train(eightWorkers, model, scheme)).as("eight workers").isEqualTo(expected);
    }

    private static Outcome train(Device device, Model model, UpdateScheme scheme) {
        TrainingOptions options = TrainingOptions.builder()
                .optimizer(Optimizer.sgd(0.02f).momentum(0.9f).weightDecay(1e-3f))
                .batchSize(BATCH)
                .epochs(1)
                .scheme(scheme)
                .seed(5)
                .build();
        try (TrainingSession session = device.newSession(model, options)) {
            PlanSummary plan = session.plan();
            // Two steps show that the optimizer's state is the same too; for the large networks one must do.
            int steps = plan.trainingMacs() > 20_000_000 ? 1 : 2;
            Dataset windows = Signals.windows(model, plan.outputElements(), steps * BATCH);
            session.upload(windows);
            String sha256 = session.fit().sha256();
            session.evaluate(windows); // the peak of a level may be reached here

            Statistics statistics = session.statistics();
            assertThat(statistics.l1HighWater()).as("L1 on %s", device).isEqualTo(plan.l1PeakBytes());
            assertThat(statistics.l2HighWater()).as("L2 on %s", device).isEqualTo(plan.l2PeakBytes());
            return new Outcome(sha256, plan.l1PeakBytes(), plan.l2PeakBytes(), plan.l3PeakBytes());
        }
    }
}
