package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.biotrain.zoo.Networks;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Maps kept in half precision: no more memory, and losses close to those of single precision. */
class StashTest {
    private static final int WINDOWS = 16;

    /** What a training came to. */
    private record Run(List<Float> losses, long l2) {}

    static Stream<Model> networks() {
        return Networks.shipped().stream();
    }

    private static Samples windows(Model network, int classes) {
        int elements = Arrays.stream(network.inputShape()).reduce(1, Math::multiplyExact);
        float[] inputs = CounterRandom.normal(3, 0, WINDOWS * elements);
        int[] labels = new int[WINDOWS];
        for (int i = 0; i < WINDOWS; i++) {
            labels[i] = i % classes;
        }
        return Samples.labelled(inputs, labels);
    }

    private static Run train(Device device, Model network, Stash stash) {
        TrainingOptions options =
                TrainingOptions.builder().epochs(3).batchSize(4).stash(stash).build();
        List<Float> losses = new ArrayList<>();
        try (TrainingSession session = device.newSession(network, options)) {
            session.upload(windows(network, session.plan().outputElements()));
            session.fit(new TrainingListener() {
                @Override
                public void onStep(StepEvent event) {
                    losses.add(event.loss());
                }
            });
            return new Run(losses, session.plan().l2PeakBytes());
        }
    }

    @ParameterizedTest
    @MethodSource("networks")
    void lossesStayClose(Model network) {
        try (Device device = Device.open("sim:?target=gap9")) {
            Run single = train(device, network, Stash.FLOAT32);
            Run half = train(device, network, Stash.FLOAT16);

            assertThat(half.l2).isLessThanOrEqualTo(single.l2);
            assertThat(half.losses).hasSize(single.losses.size());
            for (int i = 0; i < half.losses.size(); i++) {
                assertThat(half.losses.get(i)).isCloseTo(single.losses.get(i), within(0.01f));
            }
        }
    }
}
