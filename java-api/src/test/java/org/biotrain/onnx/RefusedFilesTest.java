package org.biotrain.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataLocation;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.biotrain.Model;
import org.biotrain.ModelException;
import org.biotrain.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Files that can't be networks of ours end in one sentence that says why. */
class RefusedFilesTest {
    @TempDir
    private Path folder;

    static Stream<Arguments> unsupportedNodes() {
        int[] kernel = {3};
        return Stream.of(
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .node("MaxPool", "pool", "x", "y", "kernel_shape", kernel, "dilations", new int[] {2}),
                        "MaxPool \"pool\": its dilations are not 1"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .node(
                                        "MaxPool",
                                        "pool",
                                        "x",
                                        "y",
                                        "kernel_shape",
                                        kernel,
                                        "strides",
                                        new int[] {2},
                                        "ceil_mode",
                                        1),
                        "its ceil_mode adds an incomplete window"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("MaxPool", "pool", "x", "y", "kernel_shape", new int[] {9}),
                        "its window [9] is larger than the padded input [6]"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("AveragePool", "pool", "x", "y"), "its kernel_shape is missing"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("Flatten", "flat", "x", "y", "axis", 0),
                        "it flattens into the batch"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("Transpose", "turn", "x", "y"),
                        "it moves the batch away from the front"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).integers("t", -1).node("Reshape", "r", "x t", "y"),
                        "its target [-1] mixes the batch with other dimensions"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).integers("t", 0, 5, -1).node("Reshape", "r", "x t", "y"),
                        "can't become"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).integers("t", 0, 1, 1, 1, 4, 6).node("Reshape", "r", "x t", "y"),
                        "has 6 dimensions; at most 5"),
                Arguments.of(new OnnxGraph(13, 4, 6).node("Gemm", "fc", "x x", "y"), "its input 1 must be a constant"),
                Arguments.of(
                        new OnnxGraph(13, 6).parameter("w", 6, 2).node("Gemm", "fc", "x w", "y", "transA", 1),
                        "transA 0 only"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).parameter("w", 2, 3, 3).node("Conv", "conv", "x w", "y"),
                        "its weight [2, 3, 3] with 1 groups does not fit the input's 4 channels"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .parameter("w", 2, 4, 3)
                                .node("Conv", "conv", "x w", "y", "pads", new int[] {1, Integer.MAX_VALUE}),
                        "its pads [1, 2147483647] are not 2 numbers"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).parameter("w", 4).node("BatchNormalization", "bn", "x w w w", "y"),
                        "its input 4 must be a constant of floats"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("Sub", "minus", "x x", "y"),
                        "subtraction is supported only inside"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .integers("p", 0, 0, 1, 0, 0, 1)
                                .node("Pad", "pad", "x p", "z")
                                .node("MaxPool", "pool", "z", "y", "kernel_shape", kernel),
                        "Pad \"pad\": padding is supported only with zeros"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .integers("p", 0, 0, 1, 0, 0, 1)
                                .node("Pad", "pad", "x p", "y", "mode", "reflect"),
                        "it pads with something else than zeros"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("com.vendor.Fused", "f", "x", "y"),
                        "the operator is not supported"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("Relu", "relu", "nowhere", "y"),
                        "its input \"nowhere\" is computed by no node before it"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .node("Dropout", "drop", "x", "z mask")
                                .node("Relu", "relu", "mask", "y"),
                        "a further output of Dropout \"drop\""),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("Dropout", "drop", "x", "y", "ratio", 1f), "its ratio 1.0 is not"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("Elu", "elu", "x", "y", "alpha", 1),
                        "its attribute alpha is not of the type FLOAT"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6).node("Relu", "relu", "", "y"), "its input 0 must be computed from"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .node("Softmax", "s", "x", "a", "axis", 5)
                                .node("Relu", "r", "a", "y"),
                        "its axis 5 does not exist in 3 dimensions"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .integers("huge", 1L << 40, 1L << 40)
                                .node("ConstantOfShape", "c", "huge", "h")
                                .node("Add", "add", "x h", "y"),
                        "is out of range"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .integers("t", 0, 4)
                                .node("Shape", "s", "x", "shape")
                                .node("Mul", "m", "shape shape", "squares")
                                .node("Reshape", "r", "x squares", "y"),
                        "it squares the batch size"),
                Arguments.of(
                        new OnnxGraph(13, 4, 6)
                                .floats("nan", Tensor.filled(Float.NaN, 4, 6))
                                .node("Add", "add", "x nan", "y"),
                        "\"nan\" holds NaN at element 0"));
    }

    @ParameterizedTest
    @MethodSource("unsupportedNodes")
    void unsupportedNodesAreNamedWithTheReason(OnnxGraph graph, String reason) {
        assertThatThrownBy(() -> graph.read(folder, "y"))
                .isInstanceOf(ModelException.class)
                .hasMessageStartingWith(
                        "The model file " + folder.resolve("test.onnx") + " can't be imported: one node is")
                .hasMessageContaining(reason);
    }

    @Test
    void allUnsupportedNodesAreListedWithWhatComesNearest() {
        OnnxGraph graph = new OnnxGraph(13, 4, 6)
                .node("LSTM", "/rnn/LSTM", "x", "a")
                .node("Relu", "relu", "a", "b")
                .node("Resize", "", "b", "c")
                .node("PRelu", "act", "c", "y");

        assertThatThrownBy(() -> graph.read(folder, "y"))
                .hasMessageContaining("3 nodes are not supported: LSTM \"/rnn/LSTM\": the operator is not supported;"
                        + " nearest is Conv over time; Resize of \"c\": ")
                .hasMessageEndingWith("PRelu \"act\": the operator is not supported; nearest is Relu or LeakyRelu");
    }

    @Test
    void dataInAnotherFileAreRefused() {
        OnnxGraph graph = new OnnxGraph(13, 3).node("Mul", "mul", "x w", "y");
        graph.proto.addInitializer(TensorProto.newBuilder()
                .setName("w")
                .setDataType(DataType.FLOAT_VALUE)
                .addDims(3)
                .setDataLocation(DataLocation.EXTERNAL)
                .addExternalData(
                        StringStringEntryProto.newBuilder().setKey("location").setValue("../../etc/passwd")));

        assertThatThrownBy(() -> graph.read(folder, "y"))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining("the data of \"w\" are in another file");
    }

    @Test
    void parametersOfOtherTypesOrLengthsAreRefused() {
        OnnxGraph doubles = new OnnxGraph(13, 3).node("Mul", "mul", "x w", "y");
        doubles.proto.addInitializer(TensorProto.newBuilder()
                .setName("w")
                .setDataType(DataType.DOUBLE_VALUE)
                .addDims(3));
        assertThatThrownBy(() -> doubles.read(folder, "y")).hasMessageContaining("\"w\" is of the type double");

        OnnxGraph shortData = new OnnxGraph(13, 3).node("Mul", "mul", "x w", "y");
        shortData.proto.addInitializer(TensorProto.newBuilder()
                .setName("w")
                .setDataType(DataType.FLOAT_VALUE)
                .addDims(Integer.MAX_VALUE)
                .setRawData(ByteString.copyFrom(new byte[12])));
        assertThatThrownBy(() -> shortData.read(folder, "y")).hasMessageContaining("but data for 3 elements");
    }

    @Test
    void graphsThatAreNoNetworks() {
        OnnxGraph relu = new OnnxGraph(13, 4, 6).node("Relu", "relu", "x", "y");
        assertRefused(relu.toProto("z"), "its output \"z\" is not computed from its input");
        assertRefused(relu.toProto("x"), "computes its output");
        assertRefused(relu.toProto("y").clearGraph(), "holds no graph");
        assertRefused(relu.toProto("y").clearOpsetImport(), "it is written for opset 0");

        ModelProto.Builder twoInputs = relu.toProto("y");
        twoInputs
                .getGraphBuilder()
                .addInput(twoInputs.getGraph().getInput(0).toBuilder().setName("second"));
        assertRefused(twoInputs, "it has 2 inputs (x, second)");

        ModelProto.Builder twoOutputs = relu.toProto("y");
        twoOutputs.getGraphBuilder().addOutput(twoOutputs.getGraph().getOutput(0));
        assertRefused(twoOutputs, "it has 2 outputs (y, y)");

        ModelProto.Builder openLength = relu.toProto("y");
        openLength
                .getGraphBuilder()
                .getInputBuilder(0)
                .getTypeBuilder()
                .getTensorTypeBuilder()
                .getShapeBuilder()
                .getDimBuilder(2)
                .setDimParam("time");
        assertRefused(openLength, "has the open or impossible dimension time");

        ModelProto.Builder integers = relu.toProto("y");
        integers.getGraphBuilder()
                .getInputBuilder(0)
                .getTypeBuilder()
                .getTensorTypeBuilder()
                .setElemType(DataType.INT8_VALUE);
        assertRefused(integers, "is of the type int8");

        ModelProto.Builder twice = relu.toProto("y");
        twice.getGraphBuilder().addNode(twice.getGraph().getNode(0));
        assertRefused(twice, "the value \"y\" is computed twice");
    }

    private void assertRefused(ModelProto.Builder file, String reason) {
        assertThatThrownBy(() -> OnnxGraph.read(folder, file.build().toByteArray()))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining(reason);
    }

    @Test
    void missingFilesAndOtherFiles() throws IOException {
        assertThatThrownBy(() -> Model.load(folder.resolve("none.onnx")))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining("none.onnx can't be read");
        assertThatThrownBy(() -> Model.load(Files.writeString(folder.resolve("text.onnx"), "no network")))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining("is damaged or not ONNX");
        assertThatThrownBy(() -> Model.load(Files.write(folder.resolve("empty.onnx"), new byte[0])))
                .isInstanceOf(ModelException.class);
    }

    @Test
    void anUnwritableFileLeavesNothingBehind() throws IOException {
        Model model = new OnnxGraph(13, 4, 6).node("Relu", "relu", "x", "y").read(folder, "y");
        Path target = Files.createDirectories(folder.resolve("taken").resolve("inside"))
                .getParent();

        assertThatThrownBy(() -> model.save(target))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining("can't be written");
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left.map(file -> file.getFileName().toString())).containsExactlyInAnyOrder("taken", "test.onnx");
        }
    }

    /** Whatever a damaged file holds, it is either read or refused with our exception, and soon. */
    @Test
    void damagedFilesNeverEndInAnotherException() {
        byte[] intact = new OnnxGraph(17, 4, 12)
                .parameter("w", 6, 4, 3)
                .integers("groups", 0, 2, -1)
                .floats("ones", Tensor.filled(1, 2))
                .floats("zeros", Tensor.filled(0, 2))
                .parameter("scale", 6, 1)
                .parameter("bias", 6, 1)
                .parameter("fc", 3, 30)
                .node("Conv", "conv", "x w", "c", "pads", new int[] {0, 0}, "strides", new int[] {1})
                .node("Reshape", "split", "c groups", "r")
                .node("InstanceNormalization", "norm", "r ones zeros", "n", "epsilon", 1e-3f)
                .node("Shape", "shape", "c", "s")
                .node("Reshape", "back", "n s", "b")
                .node("Mul", "mul", "b scale", "m")
                .node("Add", "add", "m bias", "g")
                .node("MaxPool", "pool", "g", "p", "kernel_shape", new int[] {2}, "strides", new int[] {2})
                .node("Flatten", "flat", "p", "f")
                .node("Gemm", "gemm", "f fc", "y", "transB", 1)
                .toProto("y")
                .build()
                .toByteArray();
        Random random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 1_000; i++) {
            byte[] damaged = i % 10 == 0 ? Arrays.copyOf(intact, random.nextInt(intact.length)) : intact.clone();
            for (int change = random.nextInt(1, 4); change > 0 && damaged.length > 0; change--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            }
            try {
                OnnxGraph.read(folder, damaged);
            } catch (ModelException e) {
                refused++;
            }
        }
        assertThat(refused).isBetween(300, 999);
    }
}
