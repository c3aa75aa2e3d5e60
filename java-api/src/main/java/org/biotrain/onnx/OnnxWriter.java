package org.biotrain.onnx;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.AttributeProto.AttributeType;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.biotrain.Attributes;
import org.biotrain.Layer;
import org.biotrain.Model;
import org.biotrain.ModelException;
import org.biotrain.Tensor;

/**
 * Writes networks as ONNX of opset 17: an open batch dimension, and each layer in operators that every runtime has. A
 * group normalisation becomes the nodes by which PyTorch writes it, GELU and SiLU their formulas. Dropout stays, as a
 * node that does nothing in inference. What is written reads back as the same network, and the same network always
 * gives the same bytes.
 */
public final class OnnxWriter {
    private static final int OPSET = 17;

    /** The file format's version that came with opset 17. */
    private static final int IR_VERSION = 8;

    private final Model model;
    private final GraphProto.Builder graph = GraphProto.newBuilder();
    /** Number of dimensions of each signal, the batch included. */
    private final Map<String, Integer> ranks = new HashMap<>();

    private final Set<String> names = new HashSet<>();

    private OnnxWriter(Model model) {
        this.model = model;
    }

    /**
     * Writes a network; the file appears whole or not at all.
     *
     * @throws ModelException if the file can't be written
     */
    public static void write(Model model, Path path) {
        Path temporary = path.resolveSibling(path.getFileName() + ".part");
        try {
            try {
                Files.write(temporary, bytes(model));
                Files.move(temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(temporary);
            }
        } catch (IOException e) {
            throw new ModelException("The model file " + path + " can't be written: " + e, e);
        }
    }

    /** The file's content. */
    static byte[] bytes(Model model) {
        return new OnnxWriter(model).toProto().toByteArray();
    }

    private ModelProto toProto() {
        int[] inputShape = model.inputShape();
        ranks.put(model.inputName(), inputShape.length + 1);
        names.add(model.inputName());
        model.parameters().forEach((name, tensor) -> {
            names.add(name);
            graph.addInitializer(Tensors.encode(name, tensor));
        });
        model.layers().forEach(layer -> names.add(layer.output()));
        for (Layer layer : model.layers()) {
            add(layer);
            ranks.put(layer.output(), outputRank(layer));
        }
        graph.setName(model.name());
        TensorShapeProto.Builder input = openBatch();
        for (int extent : inputShape) {
            input.addDim(TensorShapeProto.Dimension.newBuilder().setDimValue(extent));
        }
        TensorShapeProto.Builder output = openBatch();
        for (int i = 1; i < rank(model.outputName()); i++) {
            output.addDim(TensorShapeProto.Dimension.getDefaultInstance());
        }
        graph.addInput(value(model.inputName(), input)).addOutput(value(model.outputName(), output));
        return ModelProto.newBuilder()
                .setIrVersion(IR_VERSION)
                .setProducerName("BioTrain for Java")
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(OPSET))
                .setGraph(graph)
                .build();
    }

    private static TensorShapeProto.Builder openBatch() {
        return TensorShapeProto.newBuilder()
                .addDim(TensorShapeProto.Dimension.newBuilder().setDimParam("N"));
    }

    private static ValueInfoProto value(String name, TensorShapeProto.Builder shape) {
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder()
                                .setElemType(DataType.FLOAT_VALUE)
                                .setShape(shape)))
                .build();
    }

    private int outputRank(Layer layer) {
        return switch (layer.op()) {
            case RESHAPE -> layer.attributes().dims().size();
            case ADD, MUL -> layer.inputs().stream().mapToInt(this::rank).max().orElseThrow();
            default -> rank(layer.inputs().getFirst());
        };
    }

    /** Number of dimensions of a signal or parameter. */
    private int rank(String value) {
        Integer rank = ranks.get(value);
        return rank != null
                ? rank
                : Objects.requireNonNull(model.parameters().get(value)).rank();
    }

    private void add(Layer layer) {
        Attributes settings = layer.attributes();
        switch (layer.op()) {
            case CONV -> {
                NodeProto.Builder node = node("Conv", layer).addAttribute(integer("group", settings.groups()));
                int[] weight = Objects.requireNonNull(
                                model.parameters().get(layer.inputs().get(1)))
                        .shape();
                AttributeProto.Builder kernel = list("kernel_shape");
                for (int i = 2; i < weight.length; i++) {
                    kernel.addInts(weight[i]);
                }
                graph.addNode(node.addAttribute(kernel)
                        .addAttribute(spatial("dilations", layer, settings.dilations()))
                        .addAttribute(pads(layer))
                        .addAttribute(spatial("strides", layer, settings.strides())));
            }
            case MAX_POOL -> graph.addNode(pool("MaxPool", layer));
            case AVERAGE_POOL ->
                graph.addNode(pool("AveragePool", layer)
                        .addAttribute(integer("count_include_pad", settings.countIncludePad() ? 1 : 0)));
            case LINEAR -> linear(layer);
            case BATCH_NORM ->
                // ONNX names the share of the old statistics; in decimal, because 1 − 0.1f is not 0.9f.
                graph.addNode(node("BatchNormalization", layer)
                        .addAttribute(real("epsilon", settings.epsilon()))
                        .addAttribute(real(
                                "momentum",
                                BigDecimal.ONE
                                        .subtract(new BigDecimal(Float.toString(settings.momentum())))
                                        .floatValue())));
            case GROUP_NORM -> groupNorm(layer);
            case LAYER_NORM ->
                graph.addNode(node("LayerNormalization", layer)
                        .addAttribute(integer("axis", settings.axis()))
                        .addAttribute(real("epsilon", settings.epsilon())));
            case INSTANCE_NORM ->
                graph.addNode(node("InstanceNormalization", layer).addAttribute(real("epsilon", settings.epsilon())));
            case ELU -> graph.addNode(node("Elu", layer).addAttribute(real("alpha", settings.alpha())));
            case LEAKY_RELU -> graph.addNode(node("LeakyRelu", layer).addAttribute(real("alpha", settings.alpha())));
            case GELU -> gelu(layer);
            case SILU -> {
                String gate = step(layer, "Sigmoid", input(layer));
                finish(layer, "Mul", input(layer), gate);
            }
            case RESHAPE -> {
                String target = inner(layer, "shape");
                long[] dims =
                        settings.dims().stream().mapToLong(Integer::longValue).toArray();
                graph.addInitializer(Tensors.encode(target, dims));
                graph.addNode(node("Reshape", layer).addInput(target));
            }
            case TRANSPOSE -> {
                AttributeProto.Builder permutation = list("perm");
                settings.dims().forEach(permutation::addInts);
                graph.addNode(node("Transpose", layer).addAttribute(permutation));
            }
            case CONCAT -> graph.addNode(node("Concat", layer).addAttribute(integer("axis", settings.axis())));
            case SOFTMAX -> graph.addNode(node("Softmax", layer).addAttribute(integer("axis", settings.axis())));
            case MATMUL -> graph.addNode(node("MatMul", layer));
            case RELU -> graph.addNode(node("Relu", layer));
            case SIGMOID -> graph.addNode(node("Sigmoid", layer));
            case TANH -> graph.addNode(node("Tanh", layer));
            case HARDSWISH -> graph.addNode(node("HardSwish", layer));
            case GLOBAL_AVERAGE_POOL -> graph.addNode(node("GlobalAveragePool", layer));
            case ADD -> graph.addNode(node("Add", layer));
            case MUL -> graph.addNode(node("Mul", layer));
            case DROPOUT -> graph.addNode(node("Dropout", layer).addInput(scalar(layer, "ratio", settings.ratio())));
        }
    }

    private void linear(Layer layer) {
        String weight = layer.inputs().get(1);
        boolean transposed = layer.attributes().transposedWeight();
        if (rank(input(layer)) == 2) {
            graph.addNode(node("Gemm", layer).addAttribute(integer("transB", transposed ? 0 : 1)));
            return;
        }
        boolean biased = layer.inputs().size() > 2 && !layer.inputs().get(2).isEmpty();
        String matrix = weight;
        if (!transposed) {
            matrix = inner(layer, "Transpose");
            graph.addNode(node("Transpose", layer.name() + "/Transpose", matrix, weight)
                    .addAttribute(list("perm").addInts(1).addInts(0)));
        }
        if (biased) {
            String product = step(layer, "MatMul", input(layer), matrix);
            finish(layer, "Add", product, layer.inputs().get(2));
        } else {
            graph.addNode(node("MatMul", layer.name(), layer.output(), input(layer), matrix));
        }
    }

    private void groupNorm(Layer layer) {
        int groups = layer.attributes().groups();
        int rank = rank(input(layer));
        String target = inner(layer, "groups");
        String ones = inner(layer, "ones");
        String zeros = inner(layer, "zeros");
        graph.addInitializer(Tensors.encode(target, 0, groups, -1));
        graph.addInitializer(Tensors.encode(ones, Tensor.filled(1f, groups)));
        graph.addInitializer(Tensors.encode(zeros, Tensor.filled(0f, groups)));
        String split = step(layer, "Reshape", input(layer), target);
        String normalised = inner(layer, "InstanceNormalization");
        graph.addNode(
                node("InstanceNormalization", layer.name() + "/InstanceNormalization", normalised, split, ones, zeros)
                        .addAttribute(real("epsilon", layer.attributes().epsilon())));
        String shape = step(layer, "Shape", input(layer));
        String back = inner(layer, "Reshape_1");
        graph.addNode(node("Reshape", layer.name() + "/Reshape_1", back, normalised, shape));

        String scale = layer.inputs().get(1);
        String bias = layer.inputs().get(2);
        if (rank > 2) {
            String axes = inner(layer, "axes");
            long[] spatial = new long[rank - 2];
            for (int i = 0; i < spatial.length; i++) {
                spatial[i] = i + 1L;
            }
            graph.addInitializer(Tensors.encode(axes, spatial));
            scale = step(layer, "Unsqueeze", scale, axes);
            String unsqueezed = inner(layer, "Unsqueeze_1");
            graph.addNode(node("Unsqueeze", layer.name() + "/Unsqueeze_1", unsqueezed, bias, axes));
            bias = unsqueezed;
        }
        String scaled = step(layer, "Mul", back, scale);
        finish(layer, "Add", scaled, bias);
    }

    private void gelu(Layer layer) {
        String x = input(layer);
        String curve;
        if (layer.attributes().tanhApproximation()) {
            String cube = step(layer, "Pow", x, scalar(layer, "three", 3f));
            String term = step(layer, "Mul", cube, scalar(layer, "cubic", 0.044715f));
            String sum = step(layer, "Add", x, term);
            String argument = inner(layer, "Mul_1");
            String factor = scalar(layer, "scale", (float) Math.sqrt(2 / Math.PI));
            graph.addNode(node("Mul", layer.name() + "/Mul_1", argument, sum, factor));
            curve = step(layer, "Tanh", argument);
        } else {
            curve = step(layer, "Erf", step(layer, "Div", x, scalar(layer, "sqrt2", (float) Math.sqrt(2))));
        }
        String raised = inner(layer, "Add_1");
        graph.addNode(node("Add", layer.name() + "/Add_1", raised, curve, scalar(layer, "one", 1f)));
        String product = inner(layer, "Mul_2");
        graph.addNode(node("Mul", layer.name() + "/Mul_2", product, x, raised));
        graph.addNode(node("Mul", layer.name() + "/Mul_3", layer.output(), product, scalar(layer, "half", 0.5f)));
    }

    private String scalar(Layer layer, String name, float value) {
        String scalar = inner(layer, name);
        graph.addInitializer(Tensors.encode(scalar, Tensor.of(new int[0], value)));
        return scalar;
    }

    private NodeProto.Builder pool(String type, Layer layer) {
        Attributes settings = layer.attributes();
        return node(type, layer)
                .addAttribute(spatial("kernel_shape", layer, settings.kernel()))
                .addAttribute(pads(layer))
                .addAttribute(spatial("strides", layer, settings.strides()));
    }

    private AttributeProto.Builder spatial(String name, Layer layer, List<Integer> pair) {
        AttributeProto.Builder attribute = list(name);
        pair.subList(isOneDimensional(layer) ? 1 : 0, 2).forEach(attribute::addInts);
        return attribute;
    }

    private AttributeProto.Builder pads(Layer layer) {
        List<Integer> pads = layer.attributes().pads();
        AttributeProto.Builder attribute = list("pads");
        (isOneDimensional(layer) ? List.of(pads.get(1), pads.get(3)) : pads).forEach(attribute::addInts);
        return attribute;
    }

    private boolean isOneDimensional(Layer layer) {
        return rank(input(layer)) == 3;
    }

    private static String input(Layer layer) {
        return layer.inputs().getFirst();
    }

    /** Adds a node that computes one step of a layer; returns the name of its output. */
    private String step(Layer layer, String type, String... inputs) {
        String output = inner(layer, type);
        graph.addNode(node(type, layer.name() + "/" + type, output, inputs));
        return output;
    }

    /** Adds the node that computes a layer's output. */
    private void finish(Layer layer, String type, String... inputs) {
        graph.addNode(node(type, layer.name() + "/" + type, layer.output(), inputs));
    }

    /** A name for a value inside a layer, which no other value has. */
    private String inner(Layer layer, String what) {
        String name = layer.output() + "/" + what;
        while (!names.add(name)) {
            name += "_";
        }
        return name;
    }

    private static NodeProto.Builder node(String type, Layer layer) {
        return node(type, layer.name(), layer.output(), layer.inputs().toArray(String[]::new));
    }

    private static NodeProto.Builder node(String type, String name, String output, String... inputs) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .setName(name)
                .addAllInput(List.of(inputs))
                .addOutput(output);
    }

    private static AttributeProto.Builder list(String name) {
        return AttributeProto.newBuilder().setName(name).setType(AttributeType.INTS);
    }

    private static AttributeProto.Builder integer(String name, int value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeType.INT)
                .setI(value);
    }

    private static AttributeProto.Builder real(String name, float value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeType.FLOAT)
                .setF(value);
    }
}
