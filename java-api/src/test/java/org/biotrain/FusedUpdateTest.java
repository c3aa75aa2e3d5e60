package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Parameters that the backward pass updates: the same bits as with gradients that are kept. */
class FusedUpdateTest {
    /** What a training came to. */
    private record Run(TrainingResult result, Map<String, Tensor> parameters) {}

    private static TrainingOptions.Builder options(int batch) {
        return Fixtures.options().batchSize(batch).microBatch(batch).epochs(2);
    }

    private static TrainingSession session(Device device, TrainingOptions options) {
        TrainingSession session = device.newSession(Fixtures.network(), options);
        session.upload(Fixtures.windows(30, 1));
        return session;
    }

    private static Run train(Device device, TrainingOptions options) {
        try (TrainingSession session = session(device, options)) {
            TrainingResult result = session.fit();
            return new Run(result, session.model().parameters());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void lossesAndWeightsAreTheSame(int batch) {
        try (Device device = Device.open("sim:?target=gap9")) {
            TrainingOptions kept = options(batch).build();
            Run expected = train(device, kept);
            Run fused = train(device, kept.toBuilder().fusedUpdate(true).build());

            assertThat(fused.result.losses()).isEqualTo(expected.result.losses());
            assertThat(fused.parameters).isEqualTo(expected.parameters);
        }
    }

    @Test
    void noGradientIsKept() {
        try (Device device = Device.open("sim:?target=gap9");
                TrainingSession session =
                        session(device, options(2).fusedUpdate(true).build())) {
            assertThat(session.tensors())
                    .extracting(TensorInfo::name)
                    .contains("conv.weight", "momentum.conv.weight")
                    .noneMatch(name -> name.startsWith("gradient."));
            Dataset two = Fixtures.windows(2, 1);
            assertThatThrownBy(() -> session.accumulate(two))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("needs gradients that are kept");
        }
    }

    @Test
    void aStepIsOneMicroBatch() {
        TrainingOptions.Builder builder = options(2).batchSize(8).fusedUpdate(true);

        assertThatThrownBy(builder::build)
                .isInstanceOf(InvalidArgumentException.class)
                .hasMessageContaining("the batch size is 8 and the micro-batch 2");
    }
}
