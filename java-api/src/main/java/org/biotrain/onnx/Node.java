package org.biotrain.onnx;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.AttributeProto.AttributeType;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A node of an ONNX graph, with typed access to its attributes. */
final class Node {
    private final NodeProto proto;
    private final Map<String, AttributeProto> attributes = new HashMap<>();
    private final int opset;

    Node(NodeProto proto, int opset) {
        this.proto = proto;
        this.opset = opset;
        proto.getAttributeList().forEach(attribute -> attributes.put(attribute.getName(), attribute));
    }

    /** The operator, with its domain unless that is ONNX itself. */
    String type() {
        String domain = proto.getDomain();
        return domain.isEmpty() || domain.equals("ai.onnx") ? proto.getOpType() : domain + ":" + proto.getOpType();
    }

    int opset() {
        return opset;
    }

    /** The node's name, or its output's where it has none. */
    String name() {
        return proto.getName().isEmpty() ? output() : proto.getName();
    }

    /** The scope that the node's name begins with, "/norm1" of "/norm1/Mul"; else its name. */
    String scope() {
        int slash = name().lastIndexOf('/');
        return slash > 0 ? name().substring(0, slash) : name();
    }

    List<String> inputs() {
        return proto.getInputList();
    }

    /** Input number i, or "" if it is absent. */
    String input(int i) {
        return i < proto.getInputCount() ? proto.getInput(i) : "";
    }

    List<String> outputs() {
        return proto.getOutputList();
    }

    /** The first output, the only one that an imported layer has. */
    String output() {
        return proto.getOutputCount() == 0 ? "" : proto.getOutput(0);
    }

    boolean has(String name) {
        return attributes.containsKey(name);
    }

    long integer(String name, long otherwise) {
        AttributeProto attribute = attribute(name, AttributeType.INT);
        return attribute == null ? otherwise : attribute.getI();
    }

    boolean flag(String name) {
        return integer(name, 0) != 0;
    }

    float real(String name, float otherwise) {
        AttributeProto attribute = attribute(name, AttributeType.FLOAT);
        return attribute == null ? otherwise : attribute.getF();
    }

    String text(String name, String otherwise) {
        AttributeProto attribute = attribute(name, AttributeType.STRING);
        return attribute == null ? otherwise : attribute.getS().toStringUtf8();
    }

    /** A list of integers that fit 32 bits, or null if the attribute is absent. */
    int @Nullable [] integers(String name) {
        AttributeProto attribute = attribute(name, AttributeType.INTS);
        return attribute == null
                ? null
                : attribute.getIntsList().stream()
                        .mapToInt(value -> Size.of(value).index())
                        .toArray();
    }

    @Nullable
    TensorProto tensor(String name) {
        AttributeProto attribute = attribute(name, AttributeType.TENSOR);
        return attribute == null ? null : attribute.getT();
    }

    List<Float> reals(String name) {
        AttributeProto attribute = attribute(name, AttributeType.FLOATS);
        return attribute == null ? List.of() : attribute.getFloatsList();
    }

    private @Nullable AttributeProto attribute(String name, AttributeType type) {
        AttributeProto attribute = attributes.get(name);
        if (attribute != null && attribute.getType() != type) {
            throw new UnsupportedNodeException("its attribute " + name + " is not of the type " + type);
        }
        return attribute;
    }

    /** How messages name the node. */
    @Override
    public String toString() {
        return proto.getName().isEmpty()
                ? type() + " of \"" + output() + "\""
                : type() + " \"" + proto.getName() + "\"";
    }
}
