package org.biotrain.onnx;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto.Dimension;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.biotrain.Layer;
import org.biotrain.Model;
import org.biotrain.ModelException;
import org.biotrain.Tensor;
import org.biotrain.onnx.Value.Floats;
import org.biotrain.onnx.Value.Signal;
import org.biotrain.onnx.Value.Unknown;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Builds a network from an ONNX graph. */
final class Importer {
    private static final Logger LOG = LoggerFactory.getLogger(Importer.class);

    private static final int MAX_NAME_BYTES = 255;

    private final GraphProto graph;
    private final int opset;
    private final Map<String, TensorProto> initializers = new HashMap<>();
    private final Map<String, Value> values = new HashMap<>();
    /** Second and further outputs of nodes, which nothing may read, with the node. */
    private final Map<String, Node> sideOutputs = new HashMap<>();

    private @Nullable Integer fixedBatch;

    Importer(GraphProto graph, int opset) {
        this.graph = graph;
        this.opset = opset;
    }

    /**
     * Builds the network.
     *
     * @throws ModelException with a clause about what is wrong, to stand after a colon
     */
    Model run(String modelName) {
        for (TensorProto initializer : graph.getInitializerList()) {
            initializers.put(initializer.getName(), initializer);
        }
        Signal input = input();
        values.put(input.name(), input);

        List<Step> steps = new ArrayList<>();
        Set<String> defined = new HashSet<>();
        for (NodeProto proto : graph.getNodeList()) {
            Node node = new Node(proto, opset);
            for (String output : node.outputs()) {
                if (!output.isEmpty() && (values.containsKey(output) || !defined.add(output))) {
                    throw new ModelException("the value \"" + output + "\" is computed twice");
                }
            }
            Step step = evaluate(node);
            if (step != null) {
                steps.add(step);
            }
            for (String side : node.outputs().stream().skip(1).toList()) {
                sideOutputs.put(side, node);
            }
        }

        String output = output();
        String computed = values.get(output) instanceof Signal signal ? signal.name() : output;
        steps = new Fusion(steps, computed).run();
        computed = withoutSoftmax(steps, computed);
        steps = live(steps, computed);
        report(steps);
        return assemble(modelName, input, steps, computed, output);
    }

    private Signal input() {
        List<ValueInfoProto> inputs = graph.getInputList().stream()
                .filter(info -> !initializers.containsKey(info.getName()))
                .toList();
        if (inputs.size() != 1) {
            throw new ModelException("it has " + inputs.size() + " inputs ("
                    + String.join(
                            ", ", inputs.stream().map(ValueInfoProto::getName).toList())
                    + "); a network has exactly one");
        }
        ValueInfoProto info = inputs.getFirst();
        TypeProto.Tensor type = info.getType().getTensorType();
        if (type.getElemType() != DataType.FLOAT_VALUE) {
            throw new ModelException("the input \"" + info.getName() + "\" is of the type "
                    + Tensors.typeName(type.getElemType()) + "; it must be float32");
        }
        List<Dimension> dimensions = type.getShape().getDimList();
        if (dimensions.size() < 2) {
            throw new ModelException("the input \"" + info.getName()
                    + "\" has no shape of a batch and at least one dimension; export the network with its input shape");
        }
        List<Integer> shape = new ArrayList<>();
        for (Dimension dimension : dimensions.subList(1, dimensions.size())) {
            long extent = dimension.getDimValue();
            if (extent < 1 || extent > Integer.MAX_VALUE) {
                throw new ModelException("the input \"" + info.getName() + "\" has the open or impossible dimension "
                        + (dimension.hasDimParam() ? dimension.getDimParam() : extent)
                        + "; only the batch may be open, so export the network for one window length");
            }
            shape.add((int) extent);
        }
        Dimension batch = dimensions.getFirst();
        fixedBatch = batch.getDimValue() > 0 && batch.getDimValue() <= Integer.MAX_VALUE
                ? Integer.valueOf((int) batch.getDimValue())
                : null;
        return new Signal(info.getName(), shape);
    }

    private String output() {
        if (graph.getOutputCount() != 1) {
            throw new ModelException("it has " + graph.getOutputCount() + " outputs ("
                    + String.join(
                            ", ",
                            graph.getOutputList().stream()
                                    .map(ValueInfoProto::getName)
                                    .toList())
                    + "); a network has exactly one");
        }
        String output = graph.getOutput(0).getName();
        Value value = values.get(output);
        if (!(value instanceof Signal) && !(value instanceof Unknown)) {
            throw new ModelException("its output \"" + output + "\" is not computed from its input");
        }
        return output;
    }

    /** Makes a node's first output known; returns the step if it is a signal that a layer must compute. */
    private @Nullable Step evaluate(Node node) {
        List<@Nullable Value> inputs = new ArrayList<>();
        try {
            for (String name : node.inputs()) {
                inputs.add(name.isEmpty() ? null : value(name));
            }
            Value constant = Folding.fold(node, inputs);
            if (constant != null) {
                values.put(node.output(), constant);
                return null;
            }
            if (node.type().equals("Identity") && inputs.getFirst() instanceof Signal signal) {
                values.put(node.output(), signal);
                return null;
            }
            boolean computable = inputs.stream().noneMatch(Unknown.class::isInstance);
            if (computable || !Conversion.knows(node.type())) {
                Step step = new Conversion(node, inputs, fixedBatch).convert();
                List<Integer> shape = step.shape();
                if (shape != null) {
                    // An int counts a tensor's elements everywhere else.
                    Math.toIntExact(Shapes.elements(shape));
                    values.put(node.output(), new Signal(node.output(), shape));
                }
                return step;
            }
            values.put(node.output(), new Unknown());
            return new Step(node, named(node), List.of(), null, null);
        } catch (UnsupportedNodeException e) {
            values.put(node.output(), new Unknown());
            return new Step(node, named(node), List.of(), e.getMessage(), null);
        } catch (ArithmeticException e) {
            values.put(node.output(), new Unknown());
            return new Step(node, named(node), List.of(), "its shapes are too large", null);
        }
    }

    /** A node's inputs as signals of unknown shape, so that what it depends on is found even if it failed. */
    private static List<@Nullable Value> named(Node node) {
        List<@Nullable Value> signals = new ArrayList<>();
        node.inputs().forEach(name -> signals.add(new Signal(name, List.of())));
        return signals;
    }

    private Value value(String name) {
        Value value = values.get(name);
        if (value != null) {
            return value;
        }
        TensorProto initializer = initializers.get(name);
        if (initializer != null) {
            Value decoded = Tensors.decode(name, initializer);
            values.put(name, decoded);
            return decoded;
        }
        Node owner = sideOutputs.get(name);
        throw new UnsupportedNodeException(
                owner == null
                        ? "its input \"" + name + "\" is computed by no node before it"
                        : "its input \"" + name + "\" is a further output of " + owner
                                + ", of which only the first is supported");
    }

    /** Our loss is the cross-entropy of the softmax of the output, so a network's last softmax is left out. */
    private String withoutSoftmax(List<Step> steps, String computed) {
        for (Step step : steps) {
            boolean softmax =
                    step.node().type().equals("Softmax") || step.node().type().equals("LogSoftmax");
            if (softmax && step.output().equals(computed) && step.inputs().getFirst() instanceof Signal logits) {
                LOG.info(
                        "{} at the end of the network is left out: the cross-entropy loss contains it, and the output"
                                + " is the logits",
                        step.node());
                return logits.name();
            }
        }
        return computed;
    }

    /** The steps on which the output depends. */
    private static List<Step> live(List<Step> steps, String output) {
        Set<String> needed = new HashSet<>(Set.of(output));
        List<Step> live = new ArrayList<>();
        for (Step step : steps.reversed()) {
            if (needed.contains(step.output())) {
                needed.addAll(step.reads());
                live.addFirst(step);
            }
        }
        return live;
    }

    private static void report(List<Step> steps) {
        List<String> problems = steps.stream()
                .filter(step -> step.problem() != null)
                .map(step -> step.node() + ": " + step.problem())
                .toList();
        if (!problems.isEmpty()) {
            throw new ModelException((problems.size() == 1 ? "one node is" : problems.size() + " nodes are")
                    + " not supported: " + String.join("; ", problems));
        }
    }

    private Model assemble(String modelName, Signal input, List<Step> steps, String computed, String output) {
        Map<String, String> names = new HashMap<>();
        Set<String> taken = new HashSet<>();
        String inputName = uniqueName(input.name(), taken);
        names.put(input.name(), inputName);
        String outputName = uniqueName(output, taken);
        names.put(computed, outputName);

        Model.Builder model = Model.builder(modelName, inputName, Shapes.array(input.shape()));
        Map<Floats, String> parameters = new LinkedHashMap<>();
        for (Step step : steps) {
            for (Draft draft : step.drafts()) {
                List<String> operands = new ArrayList<>();
                for (Value operand : draft.operands()) {
                    operands.add(
                            switch (operand) {
                                case Signal signal -> Objects.requireNonNull(names.get(signal.name()));
                                case Floats constant -> parameter(model, constant, parameters, taken);
                                case null, default -> "";
                            });
                }
                String name = names.computeIfAbsent(draft.output(), value -> uniqueName(value, taken));
                model.layer(new Layer(draft.op(), clean(draft.name()), operands, name, draft.attributes()));
            }
        }
        return model.build(outputName);
    }

    /** Adds a constant as a parameter once, however many layers read it in the same shape. */
    private static String parameter(
            Model.Builder model, Floats constant, Map<Floats, String> parameters, Set<String> taken) {
        Floats key = new Floats(constant.origin(), constant.tensor());
        String known = parameters.get(key);
        if (known != null) {
            return known;
        }
        String name = uniqueName(constant.origin(), taken);
        Tensor tensor = constant.tensor();
        model.parameter(name, tensor.rank() == 0 ? tensor.reshape(1) : tensor);
        parameters.put(key, name);
        return name;
    }

    /** The name itself, unless it is taken or can't be a name. */
    private static String uniqueName(String name, Set<String> taken) {
        String clean = clean(name);
        String unique = clean;
        for (int i = 2; !taken.add(unique); i++) {
            String suffix = "#" + i;
            unique = cut(clean, MAX_NAME_BYTES - suffix.length()) + suffix;
        }
        return unique;
    }

    /** A name without control characters, not empty and not too long. */
    private static String clean(String name) {
        StringBuilder clean = new StringBuilder();
        name.codePoints().map(c -> Character.isISOControl(c) ? '_' : c).forEach(clean::appendCodePoint);
        return clean.isEmpty() ? "_" : cut(clean.toString(), MAX_NAME_BYTES);
    }

    private static String cut(String text, int bytes) {
        String shorter = text;
        while (shorter.getBytes(StandardCharsets.UTF_8).length > bytes) {
            shorter = shorter.substring(0, shorter.offsetByCodePoints(shorter.length(), -1));
        }
        return shorter;
    }
}
