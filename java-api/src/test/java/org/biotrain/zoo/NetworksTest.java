package org.biotrain.zoo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.biotrain.Model;
import org.biotrain.ModelException;
import org.biotrain.Tensor;
import org.biotrain.zoo.EegNet.Normalization;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class NetworksTest {
    private static final Path MODELS = Path.of("../models");

    @TempDir
    private Path folder;

    static List<Model> shipped() {
        return Networks.shipped();
    }

    @Test
    void countsAreThePublishedOnes() {
        assertThat(MiBmiNet.f32(8, 1900, 2).model("m", 1).summary().parameters())
                .isEqualTo(7_938);
        assertThat(MiBmiNet.f8(8, 1900, 2).model("m", 1).summary().parameters()).isEqualTo(1_234);
        assertThat(EpiDeNet.published(2, 1000, 11).model("m", 1).summary().parameters())
                .isEqualTo(4_179);
        assertThat(EegNet.of(Normalization.GROUP, 8, 640, 2)
                        .model("m", 1)
                        .summary()
                        .parameters())
                .isEqualTo(1_874);
        assertThat(EegNet.of(Normalization.BATCH, 8, 640, 2)
                        .model("m", 1)
                        .summary()
                        .parameters())
                .isEqualTo(1_874);
    }

    @Test
    void multiplyAddsOfTheFiltersAreThePublishedOnes() {
        assertThat(filterMacs(MiBmiNet.f32(8, 1900, 2).model("m", 1))).isBetween(8_625_000L, 8_635_000L);
        assertThat(filterMacs(MiBmiNet.f8(8, 1900, 2).model("m", 1))).isBetween(1_095_000L, 1_105_000L);
        assertThat(filterMacs(EpiDeNet.published(2, 1000, 11).model("m", 1))).isBetween(340_500L, 341_500L);
    }

    /** Multiply-adds of convolutions and linear layers, which is what publications count. */
    private static long filterMacs(Model model) {
        return model.summary().layers().stream()
                .filter(layer -> layer.name().matches("(conv|sep|fc).*"))
                .mapToLong(layer -> layer.macs())
                .sum();
    }

    @Test
    void paddingKeepsTheLength() {
        assertThat(outputShape(MiBmiNet.f32(8, 1900, 2).model("m", 1), "conv2")).containsExactly(1, 32, 1, 1900);
        assertThat(outputShape(MiBmiNet.f8(8, 1900, 2).model("m", 1), "conv2")).containsExactly(1, 8, 1, 1837);
        assertThat(outputShape(EpiDeNet.compact(2, 100, 3).model("m", 1), "pool3"))
                .containsExactly(1, 16, 2, 6);
    }

    private static List<Integer> outputShape(Model model, String layer) {
        return model.summary().layers().stream()
                .filter(summary -> summary.name().equals(layer))
                .findFirst()
                .orElseThrow()
                .outputShape();
    }

    @Test
    void weightsComeFromTheSeedAndStayInsideXaviersBound() {
        Tensor weight = parameter(EmgNet.of(4, 30, 6).model("m", 1), "conv1.weight");
        float bound = (float) Math.sqrt(6.0 / ((1 + 16) * 4));

        assertThat(weight.shape()).containsExactly(16, 1, 4, 1);
        for (float value : weight.data()) {
            assertThat(value).isBetween(-bound, bound);
        }
        assertThat(parameter(EmgNet.of(4, 30, 6).model("m", 1), "conv1.weight")).isEqualTo(weight);
        assertThat(parameter(EmgNet.of(4, 30, 6).model("m", 2), "conv1.weight")).isNotEqualTo(weight);
    }

    private static Tensor parameter(Model model, String name) {
        Tensor tensor = model.parameters().get(name);
        assertThat(tensor).as(name).isNotNull();
        return tensor;
    }

    @Test
    void windowsThatAreTooShortAreRefusedByTheLayerThatHasNoRoom() {
        assertThatThrownBy(() -> EpiDeNet.published(2, 100, 3).model("short", 1))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining("The windows are too small for the layer conv2 of short");
    }

    @ParameterizedTest
    @MethodSource("shipped")
    void readsBackAsItWasBuilt(Model model) throws IOException {
        Model read = Model.load(MODELS.resolve(model.name() + ".onnx"));

        assertThat(read.layers()).isEqualTo(model.layers());
        assertThat(read.parameters()).isEqualTo(model.parameters());
        assertThat(read.name()).isEqualTo(model.name());
        assertThat(read.summary()).isEqualTo(model.summary());
    }

    @Test
    void filesAreWhatTheGeneratorWrites() throws IOException {
        Generate.main(new String[] {folder.toString()});

        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files)
                    .hasSize(Networks.shipped().size() + 1)
                    .allSatisfy(file ->
                            assertThat(MODELS.resolve(file.getFileName())).hasSameBinaryContentAs(file));
        }
    }
}
