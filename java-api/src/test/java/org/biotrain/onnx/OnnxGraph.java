package org.biotrain.onnx;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.AttributeProto.AttributeType;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.biotrain.Model;
import org.biotrain.Tensor;

/** Writes small ONNX graphs as exporters would: an input "x" with an open batch, and nodes whose names are free. */
final class OnnxGraph {
    final GraphProto.Builder proto = GraphProto.newBuilder().setName("test");
    private final int opset;

    OnnxGraph(int opset, long... inputShape) {
        this.opset = opset;
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder()
                .addDim(TensorShapeProto.Dimension.newBuilder().setDimParam("batch"));
        for (long extent : inputShape) {
            shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimValue(extent));
        }
        proto.addInput(info("x", shape));
    }

    private static ValueInfoProto info(String name, TensorShapeProto.Builder shape) {
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder()
                                .setElemType(DataType.FLOAT_VALUE)
                                .setShape(shape)))
                .build();
    }

    /** A parameter whose elements are 1, 2, 3, …, so that different ones differ. */
    OnnxGraph parameter(String name, int... shape) {
        float[] data = Tensor.filled(0, shape).data();
        for (int i = 0; i < data.length; i++) {
            data[i] = i + 1;
        }
        return floats(name, Tensor.of(shape, data));
    }

    OnnxGraph floats(String name, Tensor tensor) {
        proto.addInitializer(Tensors.encode(name, tensor));
        return this;
    }

    OnnxGraph scalar(String name, double value) {
        return floats(name, Tensor.of(new int[0], (float) value));
    }

    OnnxGraph integers(String name, long... vector) {
        proto.addInitializer(Tensors.encode(name, vector));
        return this;
    }

    OnnxGraph integer(String name, long value) {
        proto.addInitializer(TensorProto.newBuilder()
                .setName(name)
                .setDataType(DataType.INT64_VALUE)
                .addInt64Data(value));
        return this;
    }

    /**
     * Adds a node.
     *
     * @param inputs names separated by spaces; "_" is an absent one
     * @param attributes names and values: Integer, Float, String, int[]
     */
    OnnxGraph node(String type, String name, String inputs, String outputs, Object... attributes) {
        NodeProto.Builder node = NodeProto.newBuilder().setOpType(type).setName(name);
        Arrays.stream(inputs.split(" "))
                .filter(input -> !input.isEmpty())
                .forEach(input -> node.addInput(input.equals("_") ? "" : input));
        node.addAllOutput(List.of(outputs.split(" ")));
        for (int i = 0; i < attributes.length; i += 2) {
            AttributeProto.Builder attribute = AttributeProto.newBuilder().setName((String) attributes[i]);
            switch (attributes[i + 1]) {
                case Integer value -> attribute.setType(AttributeType.INT).setI(value);
                case Float value -> attribute.setType(AttributeType.FLOAT).setF(value);
                case String value -> attribute.setType(AttributeType.STRING).setS(ByteString.copyFromUtf8(value));
                case int[] values -> {
                    attribute.setType(AttributeType.INTS);
                    Arrays.stream(values).forEach(attribute::addInts);
                }
                default -> throw new IllegalArgumentException("No attribute: " + attributes[i + 1]);
            }
            node.addAttribute(attribute);
        }
        proto.addNode(node);
        return this;
    }

    /** A node that computes zeros, as many as an integer says. */
    OnnxGraph zeros(String name, String count, String output) {
        node("ConstantOfShape", name, count, output);
        proto.getNodeBuilder(proto.getNodeCount() - 1)
                .addAttribute(AttributeProto.newBuilder()
                        .setName("value")
                        .setType(AttributeType.TENSOR)
                        .setT(Tensors.encode("", 0L)));
        return this;
    }

    ModelProto.Builder toProto(String output) {
        return ModelProto.newBuilder()
                .setIrVersion(8)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(opset))
                .setGraph(proto.clone().addOutput(info(output, TensorShapeProto.newBuilder())));
    }

    /** Writes the graph into a folder and reads it as a network. */
    Model read(Path folder, String output) {
        return read(folder, toProto(output).build().toByteArray());
    }

    static Model read(Path folder, byte[] content) {
        try {
            return Model.load(Files.write(folder.resolve("test.onnx"), content));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
