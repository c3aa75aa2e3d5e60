package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.biotrain.PassInfo.Exactness;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Topology passes: what they are called, what they change and what they leave. */
class PassTest {
    private static final Dataset TRAINING = Fixtures.windows(24, 1);
    private static final Dataset TEST = Fixtures.windows(12, 2);

    @TempDir
    private Path directory;

    /** Convolution, batch normalisation, ReLU, linear. */
    private static Model batchNormNetwork() {
        Model.Builder builder = Model.builder("batch", "window", 1, Fixtures.CHANNELS, Fixtures.SAMPLES)
                .parameter("conv.weight", scaled(CounterRandom.normal(3, 0, 40), 0.3f, 4, 1, Fixtures.CHANNELS, 5))
                .parameter("bn.weight", Tensor.of(new int[] {4}, 1f, 0.5f, 1.5f, -1f))
                .parameter("bn.bias", Tensor.of(new int[] {4}, 0f, 0.2f, -0.1f, 0.3f))
                .parameter("bn.mean", Tensor.of(new int[] {4}, 0.1f, -0.2f, 0.3f, 0f))
                .parameter("bn.variance", Tensor.of(new int[] {4}, 1f, 0.7f, 1.6f, 0.9f))
                .parameter("fc.weight", scaled(CounterRandom.normal(4, 0, 3 * 4 * 28), 0.1f, 3, 4 * 28))
                .parameter("fc.bias", Tensor.filled(0, 3));
        Attributes none = Attributes.defaults();
        String value = builder.layer(Op.CONV, "conv", none, "window", "conv.weight");
        value = builder.layer(Op.BATCH_NORM, "bn", none, value, "bn.weight", "bn.bias", "bn.mean", "bn.variance");
        value = builder.layer(Op.RELU, "relu", none, value);
        value = builder.layer(Op.RESHAPE, "flatten", none.withDims(0, -1), value);
        return builder.build(builder.layer(Op.LINEAR, "fc", none, value, "fc.weight", "fc.bias"));
    }

    private static Tensor scaled(float[] data, float factor, int... shape) {
        for (int i = 0; i < data.length; i++) {
            data[i] *= factor;
        }
        return Tensor.of(shape, data);
    }

    private static TrainingOptions.Builder lastLayer() {
        return Fixtures.options().scheme(UpdateScheme.LAST_LAYER);
    }

    /** What a training leaves behind. */
    private record Trained(TrainingResult result, Evaluation evaluation, Model model, PlanSummary plan) {}

    private static Trained train(Model model, TrainingOptions options) {
        try (Device device = Fixtures.device();
                TrainingSession session = device.newSession(model, options)) {
            session.upload(TRAINING);
            TrainingResult result = session.fit();
            return new Trained(result, session.evaluate(TEST), session.model(), session.plan());
        }
    }

    @Test
    void theTableIsThatOfTheNativeLibrary() {
        assertThat(PassInfo.table()).extracting(PassInfo::pass).containsExactly(Pass.values());
        assertThat(PassInfo.table())
                .extracting(PassInfo::name)
                .allSatisfy(name -> assertThat(Pass.of(name).passName()).isEqualTo(name));
        assertThat(PassInfo.table())
                .filteredOn(info -> info.exactness() == Exactness.BITS)
                .extracting(PassInfo::pass)
                .containsExactly(Pass.DEAD_GRADIENTS, Pass.CACHE_FEATURES);
        assertThatThrownBy(() -> Pass.of("fold"))
                .isInstanceOf(InvalidArgumentException.class)
                .hasMessageContaining("no pass fold; the passes are batch-norm-to-group-norm, freeze-batch-norm");
    }

    @Test
    void theBuilderSwitchesPasses() {
        TrainingOptions options = TrainingOptions.builder()
                .microBatch(2)
                .pass(Pass.CACHE_FEATURES, true)
                .pass(Pass.DEAD_GRADIENTS, false)
                .pass(Pass.FREEZE_BATCH_NORM, false)
                .build();

        assertThat(options.passes()).containsExactly(Pass.CACHE_FEATURES);
        assertThat(options.batchNorm()).isEqualTo(BatchNormMode.TRAINING);
        assertThat(options.toBuilder().build()).isEqualTo(options);
        assertThat(TrainingOptions.defaults().passes()).containsExactly(Pass.DEAD_GRADIENTS);
        assertThatThrownBy(() -> TrainingOptions.builder().pass(Pass.BATCH_NORM_TO_GROUP_NORM, true))
                .isInstanceOf(InvalidArgumentException.class)
                .hasMessageContaining("model.withGroupNorm");
    }

    @Test
    void batchStatisticsOfOneSampleAreRefusedWithThePassesThatHelp() {
        assertThatThrownBy(() -> TrainingOptions.builder()
                        .pass(Pass.FREEZE_BATCH_NORM, false)
                        .build())
                .isInstanceOf(InvalidArgumentException.class)
                .hasMessageContaining("freeze-batch-norm and batch-norm-to-group-norm");
    }

    @Test
    void cachedFeaturesChangeNoBit() {
        for (Model model : List.of(Fixtures.network(), batchNormNetwork())) {
            Trained plain = train(model, lastLayer().build());
            Trained cached =
                    train(model, lastLayer().pass(Pass.CACHE_FEATURES, true).build());

            assertThat(cached.result.losses()).isEqualTo(plain.result.losses());
            assertThat(cached.result.sha256()).isEqualTo(plain.result.sha256());
            assertThat(cached.evaluation.loss()).isEqualTo(plain.evaluation.loss());
            assertThat(cached.model.parameters()).isEqualTo(plain.model.parameters());
            assertThat(cached.plan.trainingMacs()).isLessThan(plain.plan.trainingMacs() / 2);
            assertThat(cached.plan.parameters()).isEqualTo(plain.plan.parameters());
        }
    }

    @Test
    void aCheckpointOfOtherFrozenWeightsIsRefusedWhereTheyAreCompiledIn() {
        Model model = batchNormNetwork();
        TrainingOptions options = lastLayer().pass(Pass.CACHE_FEATURES, true).build();
        Checkpoint other;
        try (Device device = Fixtures.device();
                TrainingSession session =
                        device.newSession(model.withParameters(Map.of("bn.bias", Tensor.filled(0.5f, 4))), options)) {
            other = session.checkpoint();
        }
        try (Device device = Fixtures.device();
                TrainingSession session = device.newSession(model, options)) {
            assertThatThrownBy(() -> session.restore(other))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("frozen parameter bn.bias");
        }
    }

    @Test
    void aFoldedNetworkComesBackAsItWas() {
        Model model = batchNormNetwork();
        Trained plain = train(model, lastLayer().build());
        Trained folded =
                train(model, lastLayer().pass(Pass.FOLD_BATCH_NORM, true).build());

        assertThat(folded.model.layers()).isEqualTo(model.layers());
        assertThat(folded.model.parameters().get("bn.mean"))
                .isEqualTo(model.parameters().get("bn.mean"));
        float[] losses = plain.result.losses();
        for (int i = 0; i < losses.length; i++) {
            assertThat(folded.result.losses()[i]).isCloseTo(losses[i], within(1e-4f));
        }
        assertThatThrownBy(() -> train(
                        model,
                        Fixtures.options().pass(Pass.FOLD_BATCH_NORM, true).build()))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("fold-batch-norm finds no BatchNorm");
    }

    @Test
    void groupNormTakesThePlaceOfBatchNorm() {
        Model model = batchNormNetwork().withGroupNorm(2);
        Path file = directory.resolve("group.onnx");
        model.save(file);

        assertThat(model.layers()).extracting(Layer::op).doesNotContain(Op.BATCH_NORM);
        assertThat(model.layers().get(1).attributes().groups()).isEqualTo(2);
        assertThat(model.parameters().keySet())
                .containsExactly("conv.weight", "bn.weight", "bn.bias", "fc.weight", "fc.bias");
        // Both channels of the first group, by hand: m = (0.1 - 0.2) / 2, v = (1 + 0.15² + 0.7 + 0.15²) / 2.
        double pooled = Math.sqrt((1 + 0.7) / 2 + 0.15 * 0.15 + 1e-5);
        float[] scale = model.parameters().get("bn.weight").data();
        float[] bias = model.parameters().get("bn.bias").data();
        assertThat(scale[0]).isCloseTo((float) (pooled / Math.sqrt(1 + 1e-5)), within(1e-6f));
        assertThat(bias[0]).isCloseTo((float) (-0.15 / Math.sqrt(1 + 1e-5)), within(1e-6f));
        assertThat(scale[1]).isCloseTo((float) (0.5 * pooled / Math.sqrt(0.7 + 1e-5)), within(1e-6f));
        assertThat(Model.load(file).layers()).extracting(Layer::op).contains(Op.GROUP_NORM);
        Trained trained = train(model, Fixtures.options().build());
        assertThat(trained.result.losses()[trained.result.losses().length - 1])
                .isLessThan(trained.result.losses()[0]);
    }

    @Test
    void groupsMustDivideTheChannels() {
        assertThatThrownBy(() -> batchNormNetwork().withGroupNorm(3))
                .isInstanceOf(InvalidArgumentException.class)
                .hasMessageContaining("'bn', because it has 4 channels");
        assertThatThrownBy(() -> batchNormNetwork().withGroupNorm(0)).isInstanceOf(InvalidArgumentException.class);
        assertThat(Fixtures.network().withGroupNorm(7).layers())
                .as("a network without BatchNorm stays as it is")
                .isEqualTo(Fixtures.network().layers());
    }

    @Test
    void theNetworkThatShipsWithBatchNormConverts() {
        Model model = Model.load(Path.of("../models/eegnet-bn.onnx"));
        Model converted = model.withGroupNorm(1);

        assertThat(Arrays.stream(Op.values())
                        .filter(op -> converted.layers().stream().anyMatch(layer -> layer.op() == op)))
                .contains(Op.GROUP_NORM)
                .doesNotContain(Op.BATCH_NORM);
        assertThat(converted.summary().parameters()).isEqualTo(model.summary().parameters());
    }
}
