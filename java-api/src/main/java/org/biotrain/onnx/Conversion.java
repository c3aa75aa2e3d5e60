package org.biotrain.onnx;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.biotrain.Attributes;
import org.biotrain.Op;
import org.biotrain.Tensor;
import org.biotrain.onnx.Value.Floats;
import org.biotrain.onnx.Value.Integers;
import org.biotrain.onnx.Value.Signal;
import org.jspecify.annotations.Nullable;

/**
 * Converts one node that computes a signal. Nodes that are only ever pieces of a larger layer get their shape and a
 * problem, which counts if {@link Fusion} does not find that layer.
 */
final class Conversion {
    /** The most dimensions of a tensor, the batch included, and the most operands of a concatenation. */
    private static final int MAX_RANK = 5;

    private static final int MAX_CONCAT = 6;

    private final Node node;
    private final List<@Nullable Value> inputs;
    private final @Nullable Integer fixedBatch;

    /**
     * @param inputs the node's inputs, null where absent
     * @param fixedBatch the batch size with which the file was exported, or null if it is open
     */
    Conversion(Node node, List<@Nullable Value> inputs, @Nullable Integer fixedBatch) {
        this.node = node;
        this.inputs = inputs;
        this.fixedBatch = fixedBatch;
    }

    /** Whether a node of this type can be converted or be a piece of a layer. */
    static boolean knows(String type) {
        return UnknownOperators.hint(type) == null;
    }

    /** Converts the node. */
    Step convert() {
        Step step = switch (node.type()) {
            case "Conv" -> conv(signal(0), null, null);
            case "Gemm" -> gemm();
            case "MatMul" -> matMul();
            case "BatchNormalization" -> batchNorm();
            case "GroupNormalization" -> groupNorm();
            case "LayerNormalization" -> layerNorm();
            case "InstanceNormalization" -> instanceNorm();
            case "Relu" -> unary(Op.RELU, Attributes.defaults());
            case "Elu" -> unary(Op.ELU, Attributes.defaults().withAlpha(node.real("alpha", 1f)));
            case "LeakyRelu" -> unary(Op.LEAKY_RELU, Attributes.defaults().withAlpha(node.real("alpha", 0.01f)));
            case "Gelu" ->
                unary(
                        Op.GELU,
                        Attributes.defaults()
                                .withTanhApproximation(
                                        node.text("approximate", "none").equals("tanh")));
            case "Sigmoid" -> unary(Op.SIGMOID, Attributes.defaults());
            case "Tanh" -> unary(Op.TANH, Attributes.defaults());
            case "Swish" -> swish();
            case "HardSwish" -> unary(Op.HARDSWISH, Attributes.defaults());
            case "MaxPool", "AveragePool" -> pool(signal(0), null, null);
            case "GlobalMaxPool" -> globalMaxPool();
            case "GlobalAveragePool" -> globalAveragePool();
            case "ReduceMean" -> reduceMean();
            case "Add" -> broadcasting(Op.ADD);
            case "Mul" -> broadcasting(Op.MUL);
            case "Concat" -> concat();
            case "Reshape" -> reshape();
            case "Flatten" -> flatten();
            case "Squeeze", "Unsqueeze" -> squeeze();
            case "Transpose" -> transpose();
            case "Softmax" -> softmax();
            case "Dropout" -> dropout();
            case "LogSoftmax" ->
                piece(
                        signal(0).shape(),
                        "it is supported only as the last node, where it is dropped because the loss contains it");
            case "Sub" ->
                piece(binaryShape(), "subtraction is supported only inside a layer normalisation; nearest is Add");
            case "Div" ->
                piece(
                        binaryShape(),
                        "division is supported only inside a layer normalisation or GELU; nearest is Mul by the reciprocal");
            case "Pow", "Sqrt" ->
                piece(signal(0).shape(), "it is supported only inside a layer normalisation; nearest is Mul");
            case "Erf" -> piece(signal(0).shape(), "it is supported only inside a GELU");
            case "HardSigmoid" ->
                piece(signal(0).shape(), "it is supported only inside a HardSwish; nearest is Sigmoid");
            case "Pad" -> pad();
            default ->
                throw new UnsupportedNodeException(
                        Objects.requireNonNullElse(UnknownOperators.hint(node.type()), "it is not supported"));
        };
        if (step.shape() != null && step.shape().size() >= MAX_RANK) {
            throw new UnsupportedNodeException("its result has " + (step.shape().size() + 1) + " dimensions; at most "
                    + MAX_RANK + " are possible");
        }
        return step;
    }

    /** A convolution or pooling over an input to which a Pad node adds zeros. */
    Step convertPadded(Signal unpadded, List<Integer> before, List<Integer> after) {
        return node.type().equals("Conv") ? conv(unpadded, before, after) : pool(unpadded, before, after);
    }

    private Step conv(Signal x, @Nullable List<Integer> before, @Nullable List<Integer> after) {
        Floats weight = parameter(1);
        List<Integer> shape = weight.shape();
        if (shape.size() != x.shape().size() + 1 || shape.size() < 3) {
            throw new UnsupportedNodeException("its weight " + shape + " does not fit the input " + x.shape());
        }
        List<Integer> kernel = shape.subList(2, shape.size());
        if (!Window.setting(node, "kernel_shape", kernel.size(), 1, 1).equals(kernel) && node.has("kernel_shape")) {
            throw new UnsupportedNodeException("its kernel_shape differs from its weight " + shape);
        }
        int groups = Size.of(node.integer("group", 1)).index();
        if (groups < 1 || x.shape().getFirst() != (long) shape.get(1) * groups || shape.getFirst() % groups != 0) {
            throw new UnsupportedNodeException("its weight " + shape + " with " + groups
                    + " groups does not fit the input's " + x.shape().getFirst() + " channels");
        }
        List<Integer> spatial = spatial(x);
        Window window = Window.of(node, kernel, paddedExtents(spatial, before, after));
        if (before != null && after != null) {
            window = window.padded(before, after);
        }
        List<Integer> output = new ArrayList<>(List.of(shape.getFirst()));
        output.addAll(window.outputs(spatial));
        Floats bias = optionalVector(2, shape.getFirst());
        Attributes attributes = window.attributes().withGroups(groups);
        return bias == null
                ? layer(Op.CONV, attributes, output, x, weight)
                : layer(Op.CONV, attributes, output, x, weight, bias);
    }

    private Step pool(Signal x, @Nullable List<Integer> before, @Nullable List<Integer> after) {
        boolean maximum = node.type().equals("MaxPool");
        int @Nullable [] kernel = node.integers("kernel_shape");
        if (kernel == null) {
            throw new UnsupportedNodeException("its kernel_shape is missing");
        }
        List<Integer> spatial = spatial(x);
        List<Integer> seen = paddedExtents(spatial, before, after);
        Window window = Window.of(node, Window.setting(node, "kernel_shape", kernel.length, 1, 1), seen);
        if (window.isDilated()) {
            throw new UnsupportedNodeException("its dilations are not 1; nearest is a pooling without them");
        }
        if (node.flag("ceil_mode") && window.roundsUp(seen)) {
            throw new UnsupportedNodeException(
                    "its ceil_mode adds an incomplete window; nearest is ceil_mode 0 with padding behind");
        }
        boolean countPads = node.flag("count_include_pad") && !maximum;
        if (before != null && after != null) {
            if (!maximum && window.hasPads() && !countPads) {
                throw new UnsupportedNodeException(
                        "its own padding is left out of the mean, that of the Pad before it is not");
            }
            window = window.padded(before, after);
            countPads = !maximum;
        }
        List<Integer> output = new ArrayList<>(x.shape().subList(0, 1));
        output.addAll(window.outputs(spatial));
        // Without padding both ways of counting are the same; one of them is enough.
        Attributes attributes = window.poolAttributes().withCountIncludePad(countPads && window.hasPads());
        return layer(maximum ? Op.MAX_POOL : Op.AVERAGE_POOL, attributes, output, x);
    }

    private Step globalMaxPool() {
        Signal x = signal(0);
        List<Integer> spatial = spatial(x);
        List<Integer> none = Collections.nCopies(spatial.size(), 0);
        List<Integer> one = Collections.nCopies(spatial.size(), 1);
        Window window = new Window(spatial, one, one, none, none);
        return layer(Op.MAX_POOL, window.poolAttributes(), pooledShape(x), x);
    }

    private Step globalAveragePool() {
        Signal x = signal(0);
        spatial(x);
        return layer(Op.GLOBAL_AVERAGE_POOL, Attributes.defaults(), pooledShape(x), x);
    }

    private Step reduceMean() {
        Signal x = signal(0);
        int rank = x.shape().size() + 1;
        int[] axes = Folding.axes(node, inputs);
        boolean[] reduced = new boolean[rank];
        for (int axis : axes) {
            reduced[Shapes.axis(axis, rank)] = true;
        }
        if (axes.length == 0 || reduced[0]) {
            throw new UnsupportedNodeException("it averages over the batch");
        }
        boolean keep = node.integer("keepdims", 1) != 0;
        List<Integer> shape = new ArrayList<>();
        boolean allSpatial = rank > 2;
        for (int i = 1; i < rank; i++) {
            allSpatial &= reduced[i] == (i >= 2);
            if (keep || !reduced[i]) {
                shape.add(reduced[i] ? 1 : x.shape().get(i - 1));
            }
        }
        if (!allSpatial || rank > 4) {
            return piece(shape, "means are supported over all spatial dimensions only; nearest is AveragePool");
        }
        if (keep) {
            return layer(Op.GLOBAL_AVERAGE_POOL, Attributes.defaults(), shape, x);
        }
        Signal pooled = new Signal(node.output() + "/pooled", pooledShape(x));
        return new Step(
                node,
                inputs,
                List.of(
                        Draft.of(Op.GLOBAL_AVERAGE_POOL, node.name(), Attributes.defaults(), pooled.name(), x),
                        Draft.of(
                                Op.RESHAPE,
                                node.name() + "/Reshape",
                                Attributes.defaults().withDims(0, -1),
                                node.output(),
                                pooled)),
                null,
                shape);
    }

    private Step gemm() {
        Signal x = signal(0);
        Floats weight = parameter(1);
        boolean transposed = !node.flag("transB");
        if (node.flag("transA") || x.shape().size() != 1 || weight.shape().size() != 2) {
            throw new UnsupportedNodeException(
                    "it is supported for an input (N,in), a constant matrix and transA 0 only");
        }
        int in = weight.shape().get(transposed ? 0 : 1);
        int out = weight.shape().get(transposed ? 1 : 0);
        if (in != x.shape().getFirst()) {
            throw new UnsupportedNodeException("its matrix " + weight.shape() + " does not fit the input's "
                    + x.shape().getFirst() + " features");
        }
        Floats bias = node.input(2).isEmpty() ? null : vector(parameter(2), out);
        return linear(
                x,
                scaled(weight, node.real("alpha", 1f)),
                bias == null ? null : scaled(bias, node.real("beta", 1f)),
                transposed,
                List.of(out));
    }

    private Step matMul() {
        Signal x = signal(0);
        int rank = x.shape().size();
        int in = x.shape().getLast();
        List<Integer> shape = new ArrayList<>(x.shape());
        if (input(1) instanceof Floats weight && weight.shape().size() == 2) {
            if (weight.shape().getFirst() != in) {
                throw new UnsupportedNodeException(
                        "its matrix " + weight.shape() + " does not fit the input's " + in + " features");
            }
            shape.set(rank - 1, weight.shape().getLast());
            Floats stored = weight.untransposed();
            return stored == null ? linear(x, weight, null, true, shape) : linear(x, stored, null, false, shape);
        }
        Value right = operand(1);
        List<Integer> other = right instanceof Signal signal ? signal.shape() : ((Floats) right).shape();
        int otherRank = other.size();
        if (rank < 2
                || otherRank < 2
                || other.get(otherRank - 2) != in
                || (right instanceof Signal && !other.subList(0, otherRank - 2).equals(shape.subList(0, rank - 2)))) {
            throw new UnsupportedNodeException("it multiplies the shapes " + x.shape() + " and " + other
                    + "; supported are matrices (…,M,K) and (…,K,N) with equal dimensions before");
        }
        shape.set(rank - 1, other.getLast());
        return layer(Op.MATMUL, Attributes.defaults(), shape, x, right);
    }

    private Step linear(Signal x, Floats weight, @Nullable Floats bias, boolean transposed, List<Integer> shape) {
        Attributes attributes = Attributes.defaults().withTransposedWeight(transposed);
        return bias == null
                ? layer(Op.LINEAR, attributes, shape, x, weight)
                : layer(Op.LINEAR, attributes, shape, x, weight, bias);
    }

    private Step batchNorm() {
        Signal x = signal(0);
        int channels = x.shape().getFirst();
        // ONNX keeps this share of the old statistics, we name the share of the new ones. In decimal, because
        // 1 − 0.9f is not 0.1f.
        float momentum = BigDecimal.ONE
                .subtract(new BigDecimal(Float.toString(node.real("momentum", 0.9f))))
                .floatValue();
        Attributes attributes =
                Attributes.defaults().withEpsilon(node.real("epsilon", 1e-5f)).withMomentum(momentum);
        return layer(
                Op.BATCH_NORM,
                attributes,
                x.shape(),
                x,
                vector(parameter(1), channels),
                vector(parameter(2), channels),
                vector(parameter(3), channels),
                vector(parameter(4), channels));
    }

    private Step instanceNorm() {
        Signal x = signal(0);
        int channels = x.shape().getFirst();
        return layer(
                Op.INSTANCE_NORM,
                Attributes.defaults().withEpsilon(node.real("epsilon", 1e-5f)),
                x.shape(),
                x,
                vector(parameter(1), channels),
                vector(parameter(2), channels));
    }

    private Step groupNorm() {
        Signal x = signal(0);
        int channels = x.shape().getFirst();
        int groups = Size.of(node.integer("num_groups", 0)).index();
        if (groups < 1 || channels % groups != 0) {
            throw new UnsupportedNodeException("its " + groups + " groups do not divide " + channels + " channels");
        }
        return layer(
                Op.GROUP_NORM,
                Attributes.defaults().withEpsilon(node.real("epsilon", 1e-5f)).withGroups(groups),
                x.shape(),
                x,
                perChannel(parameter(1), groups, channels),
                perChannel(parameter(2), groups, channels));
    }

    /** Opset 18 had one scale per group; since opset 21 there is one per channel, as everywhere else. */
    private static Floats perChannel(Floats values, int groups, int channels) {
        if (values.tensor().elements() == channels) {
            return vector(values, channels);
        }
        float[] perGroup = vector(values, groups).tensor().data();
        float[] data = new float[channels];
        for (int i = 0; i < channels; i++) {
            data[i] = perGroup[i / (channels / groups)];
        }
        return new Floats(values.origin(), Tensor.of(new int[] {channels}, data));
    }

    private Step layerNorm() {
        Signal x = signal(0);
        int rank = x.shape().size() + 1;
        int axis = Size.of(node.integer("axis", -1)).index();
        int first = Shapes.axis(axis, rank);
        if (first == 0) {
            throw new UnsupportedNodeException("it normalises over the batch");
        }
        List<Integer> normalised = x.shape().subList(first - 1, rank - 1);
        Floats scale = parameter(1);
        Floats bias = node.input(2).isEmpty() ? null : parameter(2);
        if (!scale.shape().equals(normalised) || (bias != null && !bias.shape().equals(normalised))) {
            throw new UnsupportedNodeException(
                    "its scale " + scale.shape() + " or its bias is not of the normalised shape " + normalised);
        }
        Attributes attributes =
                Attributes.defaults().withEpsilon(node.real("epsilon", 1e-5f)).withAxis(axis);
        return bias == null
                ? layer(Op.LAYER_NORM, attributes, x.shape(), x, scale)
                : layer(Op.LAYER_NORM, attributes, x.shape(), x, scale, bias);
    }

    private Step swish() {
        if (node.real("alpha", 1f) != 1f) {
            throw new UnsupportedNodeException("its alpha is not 1");
        }
        return unary(Op.SILU, Attributes.defaults());
    }

    private Step unary(Op op, Attributes attributes) {
        Signal x = signal(0);
        return layer(op, attributes, x.shape(), x);
    }

    private Step broadcasting(Op op) {
        List<Integer> shape = binaryShape();
        return layer(op, Attributes.defaults(), shape, atLeastVector(operand(0)), atLeastVector(operand(1)));
    }

    /** A scalar as a tensor of one element, which broadcasts the same. */
    private static Value atLeastVector(Value operand) {
        return operand instanceof Floats floats && floats.shape().isEmpty() ? floats.reshape(List.of(1)) : operand;
    }

    /** The shape of a broadcasting operation's result. */
    private List<Integer> binaryShape() {
        List<Integer> a = fullShape(operand(0));
        List<Integer> b = fullShape(operand(1));
        int rank = Math.max(operand(0) instanceof Signal ? a.size() : 0, operand(1) instanceof Signal ? b.size() : 0);
        boolean aligned = (a.size() == rank || operand(0) instanceof Floats)
                && (b.size() == rank || operand(1) instanceof Floats);
        List<Integer> shape = Shapes.broadcast(a, b);
        if (!aligned || shape.size() != rank || shape.getFirst() != 1) {
            throw new UnsupportedNodeException("its operands " + a + " and " + b + " broadcast over the batch");
        }
        return shape.subList(1, rank);
    }

    /** An operand's shape, with 1 for the batch. */
    private static List<Integer> fullShape(Value operand) {
        if (operand instanceof Signal signal) {
            List<Integer> shape = new ArrayList<>(List.of(1));
            shape.addAll(signal.shape());
            return shape;
        }
        return ((Floats) operand).shape();
    }

    private Step concat() {
        if (inputs.size() < 2 || inputs.size() > MAX_CONCAT) {
            throw new UnsupportedNodeException(
                    "it joins " + inputs.size() + " tensors; 2 to " + MAX_CONCAT + " are possible");
        }
        Signal first = signal(0);
        int axis = Size.of(node.integer("axis", 1)).index();
        int place = Shapes.axis(axis, first.shape().size() + 1) - 1;
        if (place < 0) {
            throw new UnsupportedNodeException("it joins along the batch");
        }
        Value[] operands = new Value[inputs.size()];
        List<Integer> shape = new ArrayList<>(first.shape());
        shape.set(place, 0);
        for (int i = 0; i < operands.length; i++) {
            Signal next = signal(i);
            for (int k = 0; k < shape.size(); k++) {
                if (next.shape().size() != shape.size()
                        || (k != place && !next.shape().get(k).equals(shape.get(k)))) {
                    throw new UnsupportedNodeException(
                            "its inputs " + first.shape() + " and " + next.shape() + " do not fit together");
                }
            }
            shape.set(place, Math.addExact(shape.get(place), next.shape().get(place)));
            operands[i] = next;
        }
        return layer(Op.CONCAT, Attributes.defaults().withAxis(axis), shape, operands);
    }

    private Step reshape() {
        Signal x = signal(0);
        if (!(input(1) instanceof Integers target) || target.shape().size() != 1) {
            throw new UnsupportedNodeException("its target shape is not known at import");
        }
        List<Size> sizes = target.elements();
        if (sizes.isEmpty() || (node.flag("allowzero") && sizes.contains(Size.of(0)))) {
            throw new UnsupportedNodeException("its target has no extent or one of 0");
        }
        List<Integer> rest =
                sizes.subList(1, sizes.size()).stream().map(Size::index).toList();
        Size leading = sizes.getFirst();
        boolean fixed = fixedBatch != null && leading.equals(Size.of(fixedBatch));
        boolean inferred = leading.equals(Size.of(-1)) && Shapes.elements(rest) == Shapes.elements(x.shape());
        if (!leading.equals(Size.BATCH) && !leading.equals(Size.of(0)) && !fixed && !inferred) {
            throw new UnsupportedNodeException("its target "
                    + sizes.stream().map(s -> s.batch() ? "N" : "" + s.factor()).toList()
                    + " mixes the batch with other dimensions; it must begin with the batch");
        }
        return reshapeTo(x, rest);
    }

    private Step flatten() {
        Signal x = signal(0);
        if (Shapes.axis(node.integer("axis", 1), x.shape().size() + 2) != 1) {
            throw new UnsupportedNodeException("its axis is not 1, so that it flattens into the batch");
        }
        return reshapeTo(x, List.of(-1));
    }

    private Step squeeze() {
        Signal x = signal(0);
        int[] axes = Folding.axes(node, inputs);
        boolean insert = node.type().equals("Unsqueeze");
        int rank = x.shape().size() + 1 + (insert ? axes.length : 0);
        int[] inner =
                IntStream.of(axes).map(axis -> Shapes.axis(axis, rank) - 1).toArray();
        if (IntStream.of(inner).anyMatch(axis -> axis < 0)) {
            throw new UnsupportedNodeException("it changes the batch dimension");
        }
        return reshapeTo(x, insert ? Shapes.unsqueeze(x.shape(), inner) : Shapes.squeeze(x.shape(), inner));
    }

    /** A reshape to the batch and these extents, of which 0 and −1 mean what they mean in ONNX. */
    private Step reshapeTo(Signal x, List<Integer> rest) {
        List<Integer> target = new ArrayList<>(List.of(0));
        target.addAll(rest);
        List<Integer> shape = Shapes.reshape(fullShape(x), target);
        return layer(
                Op.RESHAPE, Attributes.defaults().withDims(Shapes.array(target)), shape.subList(1, shape.size()), x);
    }

    private Step transpose() {
        Signal x = signal(0);
        int[] permutation = Folding.permutation(node, x.shape().size() + 1);
        List<Integer> shape = Shapes.permute(fullShape(x), permutation);
        if (permutation[0] != 0) {
            throw new UnsupportedNodeException("it moves the batch away from the front");
        }
        return layer(Op.TRANSPOSE, Attributes.defaults().withDims(permutation), shape.subList(1, shape.size()), x);
    }

    private Step softmax() {
        Signal x = signal(0);
        boolean old = node.opset() < 13;
        int axis = Size.of(node.integer("axis", old ? 1 : -1)).index();
        int place = Shapes.axis(axis, x.shape().size() + 1);
        if (place == 0 || (old && place != x.shape().size())) {
            throw new UnsupportedNodeException("its axis " + axis + " is not the last one");
        }
        return unary(Op.SOFTMAX, Attributes.defaults().withAxis(old ? -1 : axis));
    }

    private Step dropout() {
        float ratio = node.real("ratio", 0.5f);
        if (!node.input(1).isEmpty()) {
            Floats given = parameter(1);
            ratio = given.tensor().data()[0];
        }
        if (!(ratio >= 0 && ratio < 1)) {
            throw new UnsupportedNodeException("its ratio " + ratio + " is not from 0 to below 1");
        }
        return unary(Op.DROPOUT, Attributes.defaults().withRatio(ratio));
    }

    private Step pad() {
        Signal x = signal(0);
        int[] pads = padding();
        List<Integer> shape = new ArrayList<>();
        for (int i = 0; i < x.shape().size(); i++) {
            shape.add(Math.addExact(x.shape().get(i), Math.addExact(pads[i + 1], pads[pads.length / 2 + i + 1])));
        }
        return piece(
                shape,
                "padding is supported only with zeros, of spatial dimensions, in front of Conv, AveragePool or, after"
                        + " Relu, MaxPool");
    }

    /** A Pad node's zeros: before each dimension, the batch first, then behind each. */
    int[] padding() {
        int rank = signal(0).shape().size() + 1;
        int[] given = Folding.setting(node, "pads", inputs, 1);
        int[] axes = Folding.setting(node, "axes", inputs, 3);
        if (axes.length == 0) {
            axes = IntStream.range(0, rank).toArray();
        }
        if (given.length != 2 * axes.length) {
            throw new UnsupportedNodeException("it has " + given.length + " pads for " + axes.length + " axes");
        }
        Value constant = input(2);
        float value = constant instanceof Floats floats ? floats.tensor().data()[0] : node.real("value", 0f);
        if (!node.text("mode", "constant").equals("constant") || value != 0) {
            throw new UnsupportedNodeException("it pads with something else than zeros");
        }
        int[] pads = new int[2 * rank];
        for (int i = 0; i < axes.length; i++) {
            int axis = Shapes.axis(axes[i], rank);
            pads[axis] = given[i];
            pads[rank + axis] = given[axes.length + i];
        }
        if (IntStream.of(pads).anyMatch(pad -> pad < 0) || pads[0] + pads[rank] > 0) {
            throw new UnsupportedNodeException("it pads the batch or cuts something off");
        }
        return pads;
    }

    private Step layer(Op op, Attributes attributes, List<Integer> shape, @Nullable Value... operands) {
        return new Step(
                node, inputs, List.of(Draft.of(op, node.name(), attributes, node.output(), operands)), null, shape);
    }

    private Step piece(List<Integer> shape, String problem) {
        return new Step(node, inputs, List.of(), problem, shape);
    }

    private static List<Integer> spatial(Signal x) {
        int dimensions = x.shape().size() - 1;
        if (dimensions < 1 || dimensions > 2) {
            throw new UnsupportedNodeException(
                    "its input has " + dimensions + " spatial dimensions; supported are 1 (N,C,L) and 2 (N,C,H,W)");
        }
        return x.shape().subList(1, x.shape().size());
    }

    private static List<Integer> paddedExtents(
            List<Integer> spatial, @Nullable List<Integer> before, @Nullable List<Integer> after) {
        if (before == null || after == null) {
            return spatial;
        }
        return IntStream.range(0, spatial.size())
                .mapToObj(i -> spatial.get(i) + before.get(i) + after.get(i))
                .toList();
    }

    /** One value per channel. */
    private static List<Integer> pooledShape(Signal x) {
        List<Integer> shape = new ArrayList<>(Collections.nCopies(x.shape().size(), 1));
        shape.set(0, x.shape().getFirst());
        return shape;
    }

    private @Nullable Value input(int index) {
        return index < inputs.size() ? inputs.get(index) : null;
    }

    private Signal signal(int index) {
        if (input(index) instanceof Signal signal) {
            return signal;
        }
        throw new UnsupportedNodeException("its input " + index + " must be computed from the network's input");
    }

    private Floats parameter(int index) {
        if (input(index) instanceof Floats floats) {
            return floats;
        }
        throw new UnsupportedNodeException("its input " + index + " must be a constant of floats");
    }

    private Value operand(int index) {
        Value value = input(index);
        if (value instanceof Signal || value instanceof Floats) {
            return value;
        }
        throw new UnsupportedNodeException(
                "its input " + index + " is neither computed from the network's input nor a constant of floats");
    }

    private @Nullable Floats optionalVector(int index, int length) {
        return node.input(index).isEmpty() ? null : vector(parameter(index), length);
    }

    /** A constant as a vector; a single value counts for all elements. */
    private static Floats vector(Floats constant, int length) {
        if (constant.tensor().elements() == length) {
            return constant.reshape(List.of(length));
        }
        if (constant.tensor().elements() == 1) {
            return new Floats(constant.origin(), Tensor.filled(constant.tensor().data()[0], length));
        }
        throw new UnsupportedNodeException("\"" + constant.origin() + "\" has the shape " + constant.shape() + " where "
                + length + " values are needed");
    }

    private static Floats scaled(Floats constant, float factor) {
        if (factor == 1f) {
            return constant;
        }
        float[] data = constant.tensor().data();
        for (int i = 0; i < data.length; i++) {
            data[i] *= factor;
        }
        return new Floats(constant.origin(), Tensor.of(constant.tensor().shape(), data));
    }
}
