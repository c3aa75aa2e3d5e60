package org.biotrain.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.biotrain.onnx.ModelAssertions.assertSame;
import static org.biotrain.onnx.ModelAssertions.ops;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.nio.file.Path;
import java.util.List;
import org.biotrain.Attributes;
import org.biotrain.Layer;
import org.biotrain.Model;
import org.biotrain.Op;
import org.biotrain.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Forms in which exporters write layers. Whatever is read is also written and read again, and must stay the same. */
class RecognisedLayersTest {
    @TempDir
    private Path folder;

    private Model model;

    @AfterEach
    void readsBackTheSame() {
        Path file = folder.resolve("again.onnx");
        OnnxWriter.write(model, file);
        assertSame(Model.load(file), model);
    }

    private Layer only() {
        assertThat(model.layers()).hasSize(1);
        return model.layers().getFirst();
    }

    private void read(OnnxGraph graph) {
        model = graph.read(folder, "y");
    }

    // ------------------------------------------------------------------------------------- normalisations

    @Test
    void layerNormalisationSpreadOverNineNodes() {
        read(new OnnxGraph(13, 5, 8)
                .parameter("weight", 8)
                .parameter("bias", 8)
                .scalar("two", 2)
                .scalar("epsilon", 1e-6)
                .node("ReduceMean", "/ln/ReduceMean", "x", "mean", "axes", new int[] {-1})
                .node("Sub", "/ln/Sub", "x mean", "d")
                .node("Pow", "/ln/Pow", "d two", "squares")
                .node("ReduceMean", "/ln/ReduceMean_1", "squares", "variance", "axes", new int[] {-1})
                .node("Add", "/ln/Add", "variance epsilon", "stable")
                .node("Sqrt", "/ln/Sqrt", "stable", "root")
                .node("Div", "/ln/Div", "d root", "normalised")
                .node("Mul", "/ln/Mul", "normalised weight", "scaled")
                .node("Add", "/ln/Add_1", "scaled bias", "y"));

        assertThat(only())
                .isEqualTo(new Layer(
                        Op.LAYER_NORM,
                        "/ln",
                        List.of("x", "weight", "bias"),
                        "y",
                        Attributes.defaults().withEpsilon(1e-6f).withAxis(-1)));
    }

    @Test
    void layerNormalisationWithoutBiasThatSubtractsTwice() {
        read(new OnnxGraph(17, 2, 4, 8)
                .parameter("weight", 4, 8)
                .scalar("epsilon", 1e-5)
                .integers("axes", 2, 3)
                .node("ReduceMean", "mean", "x", "mean", "axes", new int[] {2, 3})
                .node("Sub", "sub", "x mean", "d")
                .node("Sub", "sub2", "x mean", "e")
                .node("Mul", "square", "e e", "squares")
                .node("ReduceMean", "variance", "squares", "variance", "axes", new int[] {2, 3})
                .node("Add", "add", "epsilon variance", "stable")
                .node("Sqrt", "sqrt", "stable", "root")
                .node("Div", "norm", "d root", "normalised")
                .node("Mul", "mul", "weight normalised", "y"));

        assertThat(only().op()).isEqualTo(Op.LAYER_NORM);
        assertThat(only().inputs()).containsExactly("x", "weight");
        assertThat(only().attributes().axis()).isEqualTo(-2);
    }

    @Test
    void layerNormalizationOperator() {
        read(new OnnxGraph(17, 5, 8)
                .parameter("weight", 8)
                .parameter("bias", 8)
                .node("LayerNormalization", "norm", "x weight bias", "y mean deviation", "axis", 2));

        assertThat(only().attributes()).isEqualTo(Attributes.defaults().withAxis(2));
    }

    @Test
    void groupNormalizationOperatorOfOpset21() {
        read(new OnnxGraph(21, 8, 5)
                .parameter("weight", 8)
                .parameter("bias", 8)
                .node("GroupNormalization", "norm", "x weight bias", "y", "num_groups", 2, "epsilon", 1e-3f));

        assertThat(only().op()).isEqualTo(Op.GROUP_NORM);
        assertThat(only().attributes())
                .isEqualTo(Attributes.defaults().withGroups(2).withEpsilon(1e-3f));
    }

    @Test
    void groupNormalizationOperatorOfOpset18ScalesGroups() {
        read(new OnnxGraph(18, 4, 5)
                .parameter("weight", 2)
                .parameter("bias", 2)
                .node("GroupNormalization", "norm", "x weight bias", "y", "num_groups", 2));

        assertThat(model.parameters().get("weight")).isEqualTo(Tensor.of(new int[] {4}, 1, 1, 2, 2));
    }

    @Test
    void groupNormalizationOperatorOfOpset18WithTheChannelsScaledBehindIt() {
        read(new OnnxGraph(18, 4, 5)
                .floats("ones", Tensor.filled(1, 2))
                .floats("zeros", Tensor.filled(0, 2))
                .parameter("weight", 4, 1)
                .parameter("bias", 4, 1)
                .node("GroupNormalization", "/gn/norm", "x ones zeros", "n", "num_groups", 2)
                .node("Mul", "/gn/Mul", "n weight", "s")
                .node("Add", "/gn/Add", "s bias", "y"));

        assertThat(only().inputs()).containsExactly("x", "weight", "bias");
        assertThat(model.parameters().get("weight").shape()).containsExactly(4);
        assertThat(only().name()).isEqualTo("/gn");
    }

    @Test
    void groupNormWhoseInsidesAreReadElsewhereStaysInPieces() {
        read(new OnnxGraph(17, 4, 6)
                .integers("groups", 0, 2, -1)
                .floats("ones", Tensor.filled(1, 2))
                .floats("zeros", Tensor.filled(0, 2))
                .parameter("weight", 4, 1)
                .parameter("bias", 4, 1)
                .node("Reshape", "split", "x groups", "r")
                .node("InstanceNormalization", "norm", "r ones zeros", "n")
                .node("Shape", "shape", "x", "s")
                .node("Reshape", "back", "n s", "b")
                .node("Mul", "mul", "b weight", "m")
                .node("Add", "add", "m bias", "g")
                .node("Add", "skip", "g b", "y"));

        assertThat(ops(model)).containsExactly(Op.RESHAPE, Op.INSTANCE_NORM, Op.RESHAPE, Op.MUL, Op.ADD, Op.ADD);
        assertThat(model.layers().get(2).attributes().dims()).containsExactly(0, 4, 6);
    }

    @Test
    void momentumOfBatchNormalizationIsTheShareOfTheNewStatistics() {
        read(new OnnxGraph(15, 4, 5)
                .parameter("scale", 4)
                .parameter("bias", 4)
                .parameter("mean", 4)
                .parameter("variance", 4)
                .node(
                        "BatchNormalization",
                        "bn",
                        "x scale bias mean variance",
                        "y m v",
                        "training_mode",
                        1,
                        "momentum",
                        0.9f));

        assertThat(only().attributes().momentum()).isEqualTo(0.1f);
    }

    // ----------------------------------------------------------------------------------------- activations

    @Test
    void geluSpreadOverFiveNodes() {
        read(new OnnxGraph(13, 4, 5)
                .scalar("sqrt2", 1.4142135)
                .scalar("one", 1)
                .scalar("half", 0.5)
                .node("Div", "/act/Div", "x sqrt2", "scaled")
                .node("Erf", "/act/Erf", "scaled", "erf")
                .node("Add", "/act/Add", "erf one", "raised")
                .node("Mul", "/act/Mul", "x raised", "product")
                .node("Mul", "/act/Mul_1", "product half", "y"));

        assertThat(only()).isEqualTo(new Layer(Op.GELU, "/act", List.of("x"), "y", Attributes.defaults()));
        assertThat(model.parameters()).isEmpty();
    }

    @Test
    void geluWithItsFactorsInAnotherOrder() {
        read(new OnnxGraph(13, 4, 5)
                .scalar("reciprocal", 0.70710678)
                .scalar("one", 1)
                .scalar("half", 0.5)
                .node("Mul", "m0", "x half", "halved")
                .node("Mul", "m1", "reciprocal x", "scaled")
                .node("Erf", "e", "scaled", "erf")
                .node("Add", "a", "one erf", "raised")
                .node("Mul", "m2", "raised halved", "y"));

        assertThat(only().op()).isEqualTo(Op.GELU);
    }

    @Test
    void geluByTanh() {
        read(new OnnxGraph(13, 4, 5)
                .scalar("three", 3)
                .scalar("cubic", 0.044715)
                .scalar("scale", 0.7978845608)
                .scalar("one", 1)
                .scalar("half", 0.5)
                .node("Pow", "p", "x three", "cube")
                .node("Mul", "m0", "cubic cube", "term")
                .node("Add", "a0", "x term", "sum")
                .node("Mul", "m1", "sum scale", "argument")
                .node("Tanh", "t", "argument", "curve")
                .node("Add", "a1", "curve one", "raised")
                .node("Mul", "m2", "x half", "halved")
                .node("Mul", "m3", "halved raised", "y"));

        assertThat(only().attributes().tanhApproximation()).isTrue();
    }

    @Test
    void geluOperator() {
        read(new OnnxGraph(20, 4, 5).node("Gelu", "g", "x", "y", "approximate", "tanh"));

        assertThat(only().attributes().tanhApproximation()).isTrue();
    }

    @Test
    void siluIsInputTimesSigmoid() {
        read(new OnnxGraph(13, 4, 5)
                .node("Sigmoid", "/act/Sigmoid", "x", "gate")
                .node("Mul", "/act/Mul", "gate x", "y"));

        assertThat(only()).isEqualTo(new Layer(Op.SILU, "/act", List.of("x"), "y", Attributes.defaults()));
    }

    @Test
    void hardSwishIsInputTimesHardSigmoid() {
        read(new OnnxGraph(13, 4, 5)
                .node("HardSigmoid", "gate", "x", "gate", "alpha", 1 / 6f)
                .node("Mul", "mul", "x gate", "y"));

        assertThat(only().op()).isEqualTo(Op.HARDSWISH);
    }

    @Test
    void simpleActivationsInARow() {
        read(new OnnxGraph(14, 4, 5)
                .node("Relu", "", "x", "a")
                .node("Elu", "", "a", "b", "alpha", 0.5f)
                .node("LeakyRelu", "", "b", "c")
                .node("Sigmoid", "", "c", "d")
                .node("Tanh", "", "d", "e")
                .node("HardSwish", "", "e", "f")
                .node("Softmax", "", "f", "g", "axis", 1)
                .node("Identity", "", "g", "h")
                .node("Dropout", "", "h", "i")
                .node("Relu", "last", "i", "y"));

        assertThat(ops(model))
                .containsExactly(
                        Op.RELU,
                        Op.ELU,
                        Op.LEAKY_RELU,
                        Op.SIGMOID,
                        Op.TANH,
                        Op.HARDSWISH,
                        Op.SOFTMAX,
                        Op.DROPOUT,
                        Op.RELU);
        assertThat(model.layers().get(1).attributes().alpha()).isEqualTo(0.5f);
        assertThat(model.layers().get(2).attributes().alpha()).isEqualTo(0.01f);
        assertThat(model.layers().get(7).inputs()).containsExactly("g");
    }

    // -------------------------------------------------------------------------- convolutions and poolings

    @Test
    void convolutionOverOneDimensionUsesTheWidth() {
        read(new OnnxGraph(13, 4, 50)
                .parameter("weight", 6, 2, 5)
                .parameter("bias", 6)
                .node(
                        "Conv",
                        "conv",
                        "x weight bias",
                        "y",
                        "group",
                        2,
                        "kernel_shape",
                        new int[] {5},
                        "strides",
                        new int[] {2},
                        "pads",
                        new int[] {1, 3},
                        "dilations",
                        new int[] {3}));

        assertThat(only().attributes())
                .isEqualTo(Attributes.defaults()
                        .withGroups(2)
                        .withStrides(1, 2)
                        .withPads(0, 1, 0, 3)
                        .withDilations(1, 3));
    }

    @Test
    void samePaddingPutsTheOddZeroBehindOrBefore() {
        OnnxGraph graph = new OnnxGraph(13, 1, 8, 50).parameter("weight", 6, 1, 1, 16);
        read(new OnnxGraph(13, 1, 8, 50)
                .parameter("weight", 6, 1, 1, 16)
                .node("Conv", "conv", "x weight", "y", "auto_pad", "SAME_UPPER"));
        assertThat(only().attributes().pads()).containsExactly(0, 7, 0, 8);

        read(graph.node("Conv", "conv", "x weight", "y", "auto_pad", "SAME_LOWER"));
        assertThat(only().attributes().pads()).containsExactly(0, 8, 0, 7);
    }

    @Test
    void zerosInFrontOfAConvolutionBecomeItsPadding() {
        read(new OnnxGraph(13, 1, 8, 50)
                .parameter("weight", 6, 1, 1, 16)
                .integers("pads", 0, 0, 0, 7, 0, 0, 0, 8)
                .node("Pad", "pad", "x pads", "padded")
                .node("Conv", "conv", "padded weight", "y", "pads", new int[] {0, 1, 0, 1}));

        assertThat(only().attributes().pads()).containsExactly(0, 8, 0, 9);
        assertThat(only().inputs()).containsExactly("x", "weight");
    }

    @Test
    void padsThatPyTorchComputesAtRunTime() {
        // F.pad without constant folding: zeros are appended to the given pads, which are then reversed in pairs.
        read(new OnnxGraph(13, 1, 8, 50)
                .parameter("weight", 6, 1, 1, 16)
                .integers("given", 7, 8, 0, 0)
                .integers("pairs", -1, 2)
                .integers("minus1", -1)
                .integers("end", Long.MIN_VALUE + 1)
                .integers("axis", 0)
                .integers("count", 4)
                .zeros("zeros", "count", "four_zeros")
                .node("Concat", "concat", "given four_zeros", "all", "axis", 0)
                .node("Reshape", "reshape", "all pairs", "matrix")
                .node("Slice", "slice", "matrix minus1 end axis minus1", "reversed")
                .node("Transpose", "transpose", "reversed", "columns", "perm", new int[] {1, 0})
                .node("Reshape", "flat", "columns minus1", "pads")
                .node("Cast", "cast2", "pads", "pads64", "to", 7)
                .node("Pad", "pad", "x pads64", "padded", "mode", "constant")
                .node("Conv", "conv", "padded weight", "y"));

        assertThat(only().attributes().pads()).containsExactly(0, 7, 0, 8);
    }

    @Test
    void zerosInFrontOfPoolings() {
        read(new OnnxGraph(13, 4, 50)
                .integers("pads", 0, 0, 1, 0, 0, 0)
                .node("Pad", "pad", "x pads", "padded")
                .node("AveragePool", "mean", "padded", "m", "kernel_shape", new int[] {3}, "strides", new int[] {3})
                .node("Relu", "relu", "m", "r")
                .node("Pad", "pad2", "r pads", "padded2")
                .node("MaxPool", "max", "padded2", "y", "kernel_shape", new int[] {2}, "strides", new int[] {2}));

        assertThat(ops(model)).containsExactly(Op.AVERAGE_POOL, Op.RELU, Op.MAX_POOL);
        assertThat(model.layers().getFirst().attributes())
                .isEqualTo(Attributes.defaults()
                        .withKernel(1, 3)
                        .withStrides(1, 3)
                        .withPads(0, 1, 0, 0)
                        .withCountIncludePad(true));
        assertThat(model.layers().getLast().attributes().pads()).containsExactly(0, 1, 0, 0);
    }

    @Test
    void roundingUpThatChangesNothingIsNoReasonToRefuse() {
        read(new OnnxGraph(13, 4, 50)
                .node(
                        "MaxPool",
                        "max",
                        "x",
                        "y",
                        "kernel_shape",
                        new int[] {2},
                        "strides",
                        new int[] {2},
                        "ceil_mode",
                        1));

        assertThat(only().attributes().strides()).containsExactly(1, 2);
    }

    @Test
    void meansOverAllSpatialDimensions() {
        read(new OnnxGraph(18, 4, 2, 50)
                .integers("axes", -1, -2)
                .node("ReduceMean", "mean", "x axes", "m")
                .node("Relu", "relu", "m", "r")
                .node("ReduceMean", "mean2", "r axes", "y", "keepdims", 0));

        assertThat(ops(model)).containsExactly(Op.GLOBAL_AVERAGE_POOL, Op.RELU, Op.GLOBAL_AVERAGE_POOL, Op.RESHAPE);
    }

    @Test
    void globalMaximumIsAPoolingOverEverything() {
        read(new OnnxGraph(13, 4, 2, 50)
                .node("GlobalMaxPool", "max", "x", "m")
                .node("GlobalAveragePool", "mean", "m", "y"));

        assertThat(model.layers().getFirst().attributes().kernel()).containsExactly(2, 50);
    }

    // ------------------------------------------------------------------------------------ linear layers

    @Test
    void productWithTheTransposeOfAConstantIsALinearLayerThatKeepsItsWeight() {
        read(new OnnxGraph(13, 5, 8)
                .parameter("fc.weight", 3, 8)
                .parameter("fc.bias", 3)
                .node("Transpose", "/fc/Transpose", "fc.weight", "turned", "perm", new int[] {1, 0})
                .node("MatMul", "/fc/MatMul", "x turned", "product")
                .node("Add", "/fc/Add", "fc.bias product", "y"));

        assertThat(only())
                .isEqualTo(
                        new Layer(Op.LINEAR, "/fc", List.of("x", "fc.weight", "fc.bias"), "y", Attributes.defaults()));
        assertThat(model.parameters().get("fc.weight").shape()).containsExactly(3, 8);
    }

    @Test
    void productWithAConstantIsALinearLayerWithATransposedWeight() {
        read(new OnnxGraph(13, 8).parameter("w", 8, 3).node("MatMul", "fc", "x w", "y"));

        assertThat(only())
                .isEqualTo(new Layer(
                        Op.LINEAR,
                        "fc",
                        List.of("x", "w"),
                        "y",
                        Attributes.defaults().withTransposedWeight(true)));
    }

    @Test
    void factorsOfGemmGoIntoItsParameters() {
        read(new OnnxGraph(13, 2)
                .parameter("w", 2, 2)
                .parameter("b", 1, 2)
                .node("Gemm", "fc", "x w b", "y", "alpha", 0.5f, "beta", 2f));

        assertThat(only().attributes().transposedWeight()).isTrue();
        assertThat(model.parameters().get("w")).isEqualTo(Tensor.of(new int[] {2, 2}, 0.5f, 1, 1.5f, 2));
        assertThat(model.parameters().get("b")).isEqualTo(Tensor.of(new int[] {2}, 2, 4));
    }

    @Test
    void productOfTwoSignals() {
        read(new OnnxGraph(13, 5, 8)
                .node("Transpose", "turn", "x", "t", "perm", new int[] {0, 2, 1})
                .node("MatMul", "product", "x t", "y"));

        assertThat(ops(model)).containsExactly(Op.TRANSPOSE, Op.MATMUL);
    }

    // ------------------------------------------------------------------------------- shapes and constants

    @Test
    void shapesComputedFromTheBatchKeepItOpen() {
        read(new OnnxGraph(13, 4, 6)
                .integer("zero", 0)
                .integers("axis", 0)
                .integers("minus1", -1)
                .node("Shape", "s", "x", "shape")
                .node("Gather", "g", "shape zero", "batch")
                .node("Unsqueeze", "u", "batch axis", "batch1")
                .node("Concat", "c", "batch1 minus1", "target", "axis", 0)
                .node("Reshape", "flatten", "x target", "y"));

        assertThat(only().attributes().dims()).containsExactly(0, -1);
    }

    @Test
    void shapesComputedByArithmetic() {
        read(new OnnxGraph(13, 4, 6)
                .integers("one", 1)
                .integers("two", 2)
                .integers("three", 3)
                .integers("zero", 0)
                .node("Shape", "s", "x", "shape")
                .node("Slice", "s0", "shape zero one", "batch")
                .node("Slice", "s1", "shape one two", "channels")
                .node("Slice", "s2", "shape two three", "samples")
                .node("Div", "d", "samples three", "third")
                .node("Mul", "m", "channels three", "more")
                .node("Concat", "c", "batch more third", "target", "axis", 0)
                .node("Reshape", "reshape", "x target", "y"));

        assertThat(only().attributes().dims()).containsExactly(0, 12, 2);
    }

    @Test
    void aTargetThatInfersTheBatch() {
        read(new OnnxGraph(13, 4, 6).integers("target", -1, 24).node("Reshape", "view", "x target", "y"));

        assertThat(only().attributes().dims()).containsExactly(0, 24);
    }

    @Test
    void insertedAndRemovedDimensions() {
        read(new OnnxGraph(12, 4, 6)
                .node("Unsqueeze", "in", "x", "a", "axes", new int[] {1})
                .node("Relu", "relu", "a", "b")
                .node("Squeeze", "out", "b", "y", "axes", new int[] {-3}));

        assertThat(model.layers().getFirst().attributes().dims()).containsExactly(0, 1, 4, 6);
        assertThat(model.layers().getLast().attributes().dims()).containsExactly(0, 4, 6);
    }

    @Test
    void constantsThatAreAddedOrMultipliedBecomeParameters() {
        read(new OnnxGraph(13, 4, 6)
                .parameter("position", 1, 4, 6)
                .scalar("gain", 3)
                .node("Add", "add", "x position", "a")
                .node("Mul", "mul", "gain a", "y"));

        assertThat(model.parameters().keySet()).containsExactly("position", "gain");
        assertThat(model.parameters().get("gain")).isEqualTo(Tensor.of(new int[] {1}, 3));
        assertThat(model.layers().getLast().inputs()).containsExactly("gain", "a");
    }

    @Test
    void concatenationOfBranches() {
        read(new OnnxGraph(13, 4, 6)
                .node("Relu", "r", "x", "a")
                .node("Tanh", "t", "x", "b")
                .node("Concat", "join", "a b x", "y", "axis", 1));

        assertThat(model.layers().getLast().inputs()).containsExactly("a", "b", "x");
    }

    @Test
    void aLastSoftmaxIsLeftOutBecauseTheLossContainsIt() {
        read(new OnnxGraph(13, 8)
                .parameter("w", 3, 8)
                .node("Gemm", "fc", "x w", "logits", "transB", 1)
                .node("Softmax", "softmax", "logits", "y"));

        assertThat(only().op()).isEqualTo(Op.LINEAR);
        assertThat(model.outputName()).isEqualTo("y");
    }

    @Test
    void nodesThatNothingNeedsAreLeftOut() {
        read(new OnnxGraph(13, 4, 6)
                .node("LSTM", "unused", "x", "z")
                .node("Relu", "relu", "x", "a")
                .node("Identity", "same", "a", "y"));

        assertThat(only().output()).isEqualTo("y");
    }

    @Test
    void constantsInTypedFieldsAndInTheirOwnNodes() {
        OnnxGraph graph = new OnnxGraph(13, 3);
        graph.proto.addInitializer(TensorProto.newBuilder()
                .setName("listed")
                .setDataType(DataType.FLOAT_VALUE)
                .addDims(3)
                .addFloatData(1)
                .addFloatData(2)
                .addFloatData(3));
        read(graph.node("Constant", "c", "", "own", "value_float", 2f)
                .node("Mul", "mul", "x listed", "a")
                .node("Mul", "mul2", "a own", "y"));

        assertThat(model.parameters().get("listed")).isEqualTo(Tensor.of(new int[] {3}, 1, 2, 3));
        assertThat(model.parameters().get("own")).isEqualTo(Tensor.of(new int[] {1}, 2));
    }

    @Test
    void aFixedBatchIsOpened() {
        OnnxGraph graph = new OnnxGraph(13, 4, 6).integers("target", 16, 24).node("Reshape", "view", "x target", "y");
        graph.proto
                .getInputBuilder(0)
                .getTypeBuilder()
                .getTensorTypeBuilder()
                .getShapeBuilder()
                .getDimBuilder(0)
                .setDimValue(16);
        ModelProto file = graph.toProto("y").build();
        model = OnnxGraph.read(folder, file.toByteArray());

        assertThat(only().attributes().dims()).containsExactly(0, 24);
    }

    @Test
    void namesThatAreTooLongOrHoldControlCharactersAreCleaned() {
        read(new OnnxGraph(13, 3)
                .parameter("w\n" + "z".repeat(300), 3)
                .node("Mul", "a\tb", "x w\n" + "z".repeat(300), "y"));

        assertThat(model.parameters().keySet()).containsExactly("w_" + "z".repeat(253));
        assertThat(only().name()).isEqualTo("a_b");
    }
}
