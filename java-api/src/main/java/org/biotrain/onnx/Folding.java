package org.biotrain.onnx;

import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.biotrain.Tensor;
import org.biotrain.onnx.Value.Floats;
import org.biotrain.onnx.Value.Integers;
import org.biotrain.onnx.Value.Signal;
import org.jspecify.annotations.Nullable;

/**
 * Computes what is constant at import: the integer chains by which exporters compute shapes, and other shapes of
 * parameters. The batch size stays a symbol.
 */
final class Folding {
    /** Shapes and paddings are short; a file that asks for more than this means harm. */
    private static final int MAX_ELEMENTS = 1 << 16;

    private Folding() {}

    /**
     * The constant that a node computes, or null if the node computes a signal.
     *
     * @param inputs the node's inputs; null where absent
     */
    static @Nullable Value fold(Node node, List<@Nullable Value> inputs) {
        if (node.type().equals("Constant")) {
            return constant(node);
        }
        if (node.type().equals("Shape")) {
            return shape(node, inputs.getFirst());
        }
        if (inputs.isEmpty()) {
            return null;
        }
        if (inputs.stream().allMatch(input -> input == null || input instanceof Integers)) {
            List<Integers> integers =
                    inputs.stream().map(input -> (Integers) input).toList();
            return foldIntegers(node, integers);
        }
        return inputs.getFirst() instanceof Floats floats ? foldFloats(node, floats, inputs) : null;
    }

    private static Value constant(Node node) {
        TensorProto tensor = node.tensor("value");
        if (tensor != null) {
            return Tensors.decode(node.output(), tensor);
        }
        if (node.has("value_int")) {
            return new Integers(List.of(), List.of(Size.of(node.integer("value_int", 0))));
        }
        int[] integers = node.integers("value_ints");
        if (integers != null) {
            return Integers.vector(sizes(Arrays.stream(integers).asLongStream()));
        }
        if (node.has("value_float")) {
            return new Floats(node.output(), Tensor.of(new int[0], node.real("value_float", 0)));
        }
        List<Float> reals = node.reals("value_floats");
        if (!reals.isEmpty()) {
            Tensor vector = Tensor.filled(0, reals.size());
            float[] data = vector.data();
            for (int i = 0; i < data.length; i++) {
                data[i] = reals.get(i);
            }
            return new Floats(node.output(), Tensor.of(vector.shape(), data));
        }
        throw new UnsupportedNodeException("it holds neither a tensor, nor integers, nor floats");
    }

    private static @Nullable Value shape(Node node, @Nullable Value input) {
        List<Size> sizes = new ArrayList<>();
        switch (input) {
            case Signal signal -> {
                sizes.add(Size.BATCH);
                signal.shape().forEach(extent -> sizes.add(Size.of(extent)));
            }
            case Floats floats -> floats.shape().forEach(extent -> sizes.add(Size.of(extent)));
            case Integers integers -> integers.shape().forEach(extent -> sizes.add(Size.of(extent)));
            case null, default -> {
                return null;
            }
        }
        int start = bounded(node.integer("start", 0), sizes.size());
        int end = bounded(node.integer("end", sizes.size()), sizes.size());
        return Integers.vector(sizes.subList(start, Math.max(start, end)));
    }

    private static @Nullable Value foldFloats(Node node, Floats input, List<@Nullable Value> inputs) {
        int rank = input.shape().size();
        return switch (node.type()) {
            case "Identity" -> input;
            case "Cast" -> node.integer("to", 0) == DataType.FLOAT_VALUE ? input : null;
            case "Unsqueeze" -> input.reshape(Shapes.unsqueeze(input.shape(), axes(node, inputs)));
            case "Squeeze" -> input.reshape(Shapes.squeeze(input.shape(), axes(node, inputs)));
            case "Flatten" -> {
                List<Integer> shape = input.shape();
                int axis = rank == 0 ? 0 : Shapes.axis(node.integer("axis", 1), rank + 1);
                yield input.reshape(List.of(
                        Math.toIntExact(Shapes.elements(shape.subList(0, axis))),
                        Math.toIntExact(Shapes.elements(shape.subList(axis, rank)))));
            }
            case "Reshape" ->
                inputs.get(1) instanceof Integers target
                        ? input.reshape(Shapes.reshape(input.shape(), Shapes.list(target.indices())))
                        : null;
            case "Transpose" -> {
                int[] permutation = permutation(node, rank);
                int[] places = Shapes.permutedPlaces(input.shape(), permutation);
                float[] from = input.tensor().data();
                float[] to = new float[from.length];
                for (int i = 0; i < to.length; i++) {
                    to[i] = from[places[i]];
                }
                int[] shape = Shapes.array(Shapes.permute(input.shape(), permutation));
                boolean matrix = Arrays.equals(permutation, new int[] {1, 0});
                yield new Floats(input.origin(), Tensor.of(shape, to), matrix ? input : null);
            }
            default -> null;
        };
    }

    private static @Nullable Value foldIntegers(Node node, List<@Nullable Integers> inputs) {
        Integers first = required(inputs, 0);
        int rank = first.shape().size();
        return switch (node.type()) {
            case "Identity" -> first;
            case "Cast" -> cast(node, first);
            case "Add" -> combine(first, required(inputs, 1), (a, b) -> Size.of(Math.addExact(a.number(), b.number())));
            case "Sub" ->
                combine(first, required(inputs, 1), (a, b) -> Size.of(Math.subtractExact(a.number(), b.number())));
            case "Mul" -> combine(first, required(inputs, 1), Size::times);
            case "Div" -> combine(first, required(inputs, 1), Folding::divide);
            case "Concat" -> concat(inputs);
            case "Gather" -> gather(first, required(inputs, 1));
            case "Slice" -> slice(node, first, inputs);
            case "Unsqueeze" -> new Integers(Shapes.unsqueeze(first.shape(), axes(node, inputs)), first.elements());
            case "Squeeze" -> new Integers(Shapes.squeeze(first.shape(), axes(node, inputs)), first.elements());
            case "Reshape" ->
                new Integers(
                        first.elements().isEmpty()
                                ? List.of(0)
                                : Shapes.reshape(
                                        first.shape(),
                                        Shapes.list(required(inputs, 1).indices())),
                        first.elements());
            case "Transpose" -> {
                int[] permutation = permutation(node, rank);
                int[] places = Shapes.permutedPlaces(first.shape(), permutation);
                yield new Integers(
                        Shapes.permute(first.shape(), permutation),
                        Arrays.stream(places).mapToObj(first.elements()::get).toList());
            }
            case "ReduceProd" ->
                new Integers(
                        node.integer("keepdims", 1) != 0 ? Collections.nCopies(rank, 1) : List.of(),
                        List.of(first.elements().stream().reduce(Size.of(1), Size::times)));
            case "ConstantOfShape" -> constantOfShape(node, first);
            case "Range" -> {
                long start = scalar(first).number();
                long limit = scalar(required(inputs, 1)).number();
                long step = scalar(required(inputs, 2)).number();
                long count = step == 0 ? -1 : Math.max(0, Math.ceilDiv(Math.subtractExact(limit, start), step));
                yield Integers.vector(sizes(LongStream.range(0, limited(count)).map(i -> start + i * step)));
            }
            default -> null;
        };
    }

    private static @Nullable Value cast(Node node, Integers input) {
        return switch ((int) node.integer("to", 0)) {
            case DataType.INT64_VALUE, DataType.INT32_VALUE -> input;
            case DataType.FLOAT_VALUE -> {
                float[] data = new float[input.elements().size()];
                for (int i = 0; i < data.length; i++) {
                    data[i] = input.elements().get(i).number();
                }
                yield new Floats(node.output(), Tensor.of(Shapes.array(input.shape()), data));
            }
            default -> null;
        };
    }

    private static Size divide(Size a, Size b) {
        long divisor = b.number();
        if (divisor == 0 || (a.batch() && a.factor() % divisor != 0)) {
            throw new UnsupportedNodeException(
                    "it divides " + (a.batch() ? "the batch size" : a.number()) + " by " + divisor);
        }
        return new Size(a.factor() / divisor, a.batch());
    }

    private static Integers combine(Integers a, Integers b, BinaryOperator<Size> operation) {
        List<Integer> shape = Shapes.broadcast(a.shape(), b.shape());
        int count = limited(Shapes.elements(shape));
        boolean plain = (a.elements().size() == count || a.elements().size() == 1)
                && (b.elements().size() == count || b.elements().size() == 1);
        if (!plain) {
            throw new UnsupportedNodeException(
                    "it broadcasts integers of the shapes " + a.shape() + " and " + b.shape());
        }
        return new Integers(
                shape,
                IntStream.range(0, count)
                        .mapToObj(i -> operation.apply(
                                a.elements().get(a.elements().size() == 1 ? 0 : i),
                                b.elements().get(b.elements().size() == 1 ? 0 : i)))
                        .toList());
    }

    private static Integers concat(List<@Nullable Integers> inputs) {
        List<Size> elements = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            elements.addAll(vector(required(inputs, i)));
        }
        limited(elements.size());
        return Integers.vector(elements);
    }

    private static Integers gather(Integers data, Integers indices) {
        List<Size> vector = vector(data);
        List<Size> elements = new ArrayList<>();
        for (int index : indices.indices()) {
            elements.add(vector.get(Shapes.axis(index, vector.size())));
        }
        return new Integers(indices.shape(), elements);
    }

    /** Along the first axis, which is all that shape computations do. */
    private static Integers slice(Node node, Integers data, List<@Nullable Integers> inputs) {
        int[] starts = setting(node, "starts", inputs, 1);
        int[] ends = setting(node, "ends", inputs, 2);
        int[] axes = setting(node, "axes", inputs, 3);
        int[] steps = setting(node, "steps", inputs, 4);
        int rank = data.shape().size();
        if (rank == 0
                || starts.length != 1
                || ends.length != 1
                || axes.length > 1
                || steps.length > 1
                || (axes.length == 1 && Shapes.axis(axes[0], rank) != 0)) {
            throw new UnsupportedNodeException("it slices integers along more than the first axis");
        }
        int rows = data.shape().getFirst();
        int rowLength = rows == 0 ? 0 : data.elements().size() / rows;
        int step = steps.length == 0 ? 1 : steps[0];
        if (step == 0) {
            throw new UnsupportedNodeException("its step is 0");
        }
        List<Size> elements = new ArrayList<>();
        int count = 0;
        int first = step > 0 ? bounded(starts[0], rows) : Math.min(bounded(starts[0], rows), rows - 1);
        // Towards the front, an end before the first row means that the first row belongs to the slice.
        int last = step < 0 && ends[0] < -rows ? -1 : bounded(ends[0], rows);
        for (long row = first; step > 0 ? row < last : row > last; row += step) {
            elements.addAll(data.elements().subList((int) row * rowLength, ((int) row + 1) * rowLength));
            count++;
        }
        List<Integer> shape = new ArrayList<>(data.shape());
        shape.set(0, count);
        return new Integers(shape, elements);
    }

    private static @Nullable Value constantOfShape(Node node, Integers shape) {
        List<Integer> extents = Shapes.list(shape.indices());
        TensorProto tensor = node.tensor("value");
        Value value = tensor == null
                ? new Floats(node.output(), Tensor.of(new int[0], 0f))
                : Tensors.decode(node.output(), tensor);
        int count = limited(Shapes.elements(extents));
        return switch (value) {
            case Integers integers -> new Integers(extents, Collections.nCopies(count, scalar(integers)));
            case Floats floats
            when count > 0 ->
                new Floats(node.output(), Tensor.filled(floats.tensor().data()[0], Shapes.array(extents)));
            default -> null;
        };
    }

    /** The axes of a Squeeze or Unsqueeze: an attribute before opset 13, an input since. */
    static int[] axes(Node node, List<? extends @Nullable Value> inputs) {
        return setting(node, "axes", inputs, 1);
    }

    /** A setting that old opsets have as an attribute and new ones as an input; empty if it is absent. */
    static int[] setting(Node node, String name, List<? extends @Nullable Value> inputs, int index) {
        int[] attribute = node.integers(name);
        if (attribute != null) {
            return attribute;
        }
        return switch (index < inputs.size() ? inputs.get(index) : null) {
            case null -> new int[0];
            case Integers integers ->
                // Exporters write "to the end" as the largest or smallest 64-bit integer.
                integers.elements().stream()
                        .mapToInt(size -> Math.clamp(size.number(), Integer.MIN_VALUE, Integer.MAX_VALUE))
                        .toArray();
            default -> throw new UnsupportedNodeException("its " + name + " are not constant");
        };
    }

    static int[] permutation(Node node, int rank) {
        int[] permutation = node.integers("perm");
        return permutation != null
                ? permutation
                : IntStream.range(0, rank).map(i -> rank - 1 - i).toArray();
    }

    private static Integers required(List<@Nullable Integers> inputs, int index) {
        Integers input = index < inputs.size() ? inputs.get(index) : null;
        if (input == null) {
            throw new UnsupportedNodeException("its input " + index + " is missing");
        }
        return input;
    }

    private static List<Size> vector(Integers integers) {
        if (integers.shape().size() != 1) {
            throw new UnsupportedNodeException("it takes integers of the shape " + integers.shape() + " for a list");
        }
        return integers.elements();
    }

    private static Size scalar(Integers integers) {
        if (integers.elements().size() != 1) {
            throw new UnsupportedNodeException(
                    "it takes " + integers.elements().size() + " integers where one is needed");
        }
        return integers.elements().getFirst();
    }

    private static List<Size> sizes(LongStream numbers) {
        return numbers.mapToObj(Size::of).toList();
    }

    /** An index into a list of some length, negative from the end, cut to 0 … length. */
    private static int bounded(long index, int length) {
        return Math.clamp(index < 0 ? index + length : index, 0, length);
    }

    private static int limited(long count) {
        if (count < 0 || count > MAX_ELEMENTS) {
            throw new UnsupportedNodeException(
                    "it computes " + count + " constant integers; " + MAX_ELEMENTS + " are possible");
        }
        return (int) count;
    }
}
