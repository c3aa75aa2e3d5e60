package org.biotrain.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.biotrain.Op.AVERAGE_POOL;
import static org.biotrain.Op.BATCH_NORM;
import static org.biotrain.Op.CONV;
import static org.biotrain.Op.DROPOUT;
import static org.biotrain.Op.ELU;
import static org.biotrain.Op.GROUP_NORM;
import static org.biotrain.Op.LINEAR;
import static org.biotrain.Op.MAX_POOL;
import static org.biotrain.Op.RELU;
import static org.biotrain.Op.RESHAPE;
import static org.biotrain.onnx.ModelAssertions.assertSame;
import static org.biotrain.onnx.ModelAssertions.ops;

import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import org.biotrain.Attributes;
import org.biotrain.Layer;
import org.biotrain.Model;
import org.biotrain.Op;
import org.biotrain.Tensor;
import org.biotrain.data.Npz;
import org.biotrain.data.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The six networks that PyTorch exported: each is read as the layers that its author wrote. */
class ExportedNetworksTest {
    @TempDir
    private Path folder;

    @Test
    void epiDeNetHasFiveConvolutionsWithGroupNorms() {
        Model model = load("epidenet_gn_opset17");

        assertThat(model.inputShape()).containsExactly(1, 2, 1000);
        assertThat(ops(model))
                .containsExactly(
                        CONV,
                        GROUP_NORM,
                        RELU,
                        AVERAGE_POOL,
                        CONV,
                        GROUP_NORM,
                        RELU,
                        AVERAGE_POOL,
                        CONV,
                        GROUP_NORM,
                        RELU,
                        AVERAGE_POOL,
                        CONV,
                        GROUP_NORM,
                        RELU,
                        CONV,
                        GROUP_NORM,
                        RELU,
                        AVERAGE_POOL,
                        RESHAPE,
                        LINEAR);
        assertThat(model.name()).isEqualTo("epidenet_gn_opset17");
        assertThat(trainable(model)).isEqualTo(4_179);
        assertThat(layer(model, GROUP_NORM, 0))
                .isEqualTo(new Layer(
                        GROUP_NORM,
                        "/features/features.0/features.0.1",
                        List.of(
                                "/features/features.0/features.0.0/Conv_output_0",
                                "features.0.1.weight",
                                "features.0.1.bias"),
                        "/features/features.0/features.0.1/Add_output_0",
                        Attributes.defaults().withEpsilon(1e-3f)));
        assertThat(layer(model, AVERAGE_POOL, 0).attributes())
                .isEqualTo(Attributes.defaults().withKernel(1, 8).withStrides(1, 8));
    }

    @Test
    void miBmiNetFiltersChannelsThenTime() {
        Model model = load("mibminet_f8_gn_opset17");

        assertThat(ops(model))
                .containsExactly(
                        CONV,
                        GROUP_NORM,
                        CONV,
                        GROUP_NORM,
                        RELU,
                        AVERAGE_POOL,
                        CONV,
                        CONV,
                        GROUP_NORM,
                        RELU,
                        AVERAGE_POOL,
                        RESHAPE,
                        LINEAR);
        assertThat(trainable(model)).isEqualTo(1_234);
        assertThat(layer(model, CONV, 1).attributes())
                .isEqualTo(Attributes.defaults().withGroups(8));
        assertThat(layer(model, LINEAR, 0).inputs()).containsExactly("/Flatten_output_0", "fc.weight", "fc.bias");
        assertThat(model.outputName()).isEqualTo("output");
    }

    @Test
    void eegNetForTrainingKeepsBatchNormAndDropout() {
        Model model = load("eegnet_bn_training_opset13");

        assertThat(ops(model))
                .containsExactly(
                        CONV,
                        BATCH_NORM,
                        CONV,
                        BATCH_NORM,
                        ELU,
                        AVERAGE_POOL,
                        DROPOUT,
                        CONV,
                        CONV,
                        BATCH_NORM,
                        ELU,
                        AVERAGE_POOL,
                        DROPOUT,
                        RESHAPE,
                        LINEAR);
        assertThat(layer(model, BATCH_NORM, 0).inputs())
                .endsWith("norm1.weight", "norm1.bias", "norm1.running_mean", "norm1.running_var");
        // PyTorch's momentum 0.01 is ONNX's 0.99.
        assertThat(layer(model, BATCH_NORM, 0).attributes())
                .isEqualTo(Attributes.defaults().withEpsilon(1e-3f).withMomentum(0.01f));
        assertThat(layer(model, DROPOUT, 0).attributes().ratio()).isEqualTo(0.25f);
        assertThat(layer(model, CONV, 0).attributes().pads()).containsExactly(0, 32, 0, 32);
        assertThat(ops(model.withoutDropout())).doesNotContain(DROPOUT).hasSize(13);
    }

    @Test
    void eegNetForInferenceHasItsBatchNormsFolded() {
        Model model = load("eegnet_bn_folded_opset13");

        assertThat(ops(model))
                .containsExactly(CONV, CONV, ELU, AVERAGE_POOL, CONV, CONV, ELU, AVERAGE_POOL, RESHAPE, LINEAR);
        assertThat(layer(model, CONV, 0).inputs()).containsExactly("input", "onnx::Conv_36", "onnx::Conv_37");
    }

    @Test
    void eegNetWithGroupNorm() {
        Model model = load("eegnet_gn_opset17");

        assertThat(ops(model)).filteredOn(GROUP_NORM::equals).hasSize(3);
        assertThat(trainable(model)).isEqualTo(1_874);
    }

    @Test
    void emgNetHasOneAndFourGroupsAndAnOpenBatch() {
        Model model = load("emgnet_gn_opset12_dynamic");

        assertThat(ops(model))
                .containsExactly(CONV, GROUP_NORM, RELU, CONV, GROUP_NORM, RELU, MAX_POOL, RESHAPE, LINEAR);
        assertThat(layer(model, GROUP_NORM, 0).attributes().groups()).isEqualTo(1);
        assertThat(layer(model, GROUP_NORM, 1).attributes().groups()).isEqualTo(4);
        assertThat(layer(model, RESHAPE, 0).attributes().dims()).containsExactly(0, -1);
        assertThat(trainable(model)).isEqualTo(6_630);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "epidenet_gn_opset17",
                "mibminet_f8_gn_opset17",
                "eegnet_bn_training_opset13",
                "eegnet_gn_opset17",
                "emgnet_gn_opset12_dynamic"
            })
    void parametersAreThoseOfPyTorchUnderItsNames(String name) {
        Model model = load(name);
        Npz reference = Npz.read(SharedData.folder("onnx").resolve(name + ".npz"));
        TreeMap<String, Tensor> expected = new TreeMap<>();
        for (String array : reference.names()) {
            if (array.startsWith("parameter.")) {
                expected.put(
                        array.substring("parameter.".length()),
                        Tensor.of(
                                reference.array(array).shape(),
                                reference.array(array).toFloats()));
            }
        }

        TreeMap<String, Tensor> actual = new TreeMap<>(model.parameters());
        actual.keySet().removeIf(parameter -> parameter.contains(".running_"));
        assertThat(actual).isEqualTo(expected).isNotEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "epidenet_gn_opset17",
                "mibminet_f8_gn_opset17",
                "eegnet_bn_training_opset13",
                "eegnet_bn_folded_opset13",
                "eegnet_gn_opset17",
                "emgnet_gn_opset12_dynamic"
            })
    void whatIsWrittenReadsBackTheSame(String name) {
        Model model = load(name);
        Path file = folder.resolve(name + ".onnx");

        OnnxWriter.write(model, file);
        assertSame(Model.load(file), model);

        model.save(file);
        assertSame(Model.load(file), model.withoutDropout());
    }

    private static Model load(String name) {
        return Model.load(SharedData.folder("onnx").resolve(name + ".onnx"));
    }

    private static Layer layer(Model model, Op op, int index) {
        return model.layers().stream()
                .filter(layer -> layer.op() == op)
                .skip(index)
                .findFirst()
                .orElseThrow();
    }

    private static int trainable(Model model) {
        return model.parameters().entrySet().stream()
                .filter(parameter -> !parameter.getKey().contains(".running_"))
                .mapToInt(parameter -> parameter.getValue().elements())
                .sum();
    }
}
