package org.biotrain.onnx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.biotrain.Attributes;
import org.biotrain.Op;
import org.biotrain.onnx.Value.Floats;
import org.biotrain.onnx.Value.Integers;
import org.biotrain.onnx.Value.Signal;
import org.jspecify.annotations.Nullable;

/**
 * Recognises layers that exporters spread over several nodes. Each pattern is looked for at its last node, backwards;
 * it counts only if nothing else reads what its inner nodes compute.
 */
final class Fusion {
    private static final double SQRT_2 = Math.sqrt(2);

    /** Constants that exporters round to float32, sometimes through fewer digits. */
    private static final double TOLERANCE = 1e-4;

    private final List<Step> steps;
    private final String graphOutput;
    private final Map<String, Step> producers = new HashMap<>();
    /** Outputs of the steps that read a signal. */
    private final Map<String, List<String>> readers = new HashMap<>();
    /** Outputs of the steps that are inside a recognised layer. */
    private final Set<String> absorbed = new HashSet<>();

    /**
     * @param steps in the order of the graph; kept
     * @param graphOutput name of the signal that the network computes
     */
    Fusion(List<Step> steps, String graphOutput) {
        this.steps = steps;
        this.graphOutput = graphOutput;
        for (Step step : steps) {
            producers.put(step.output(), step);
            for (String read : step.reads()) {
                readers.computeIfAbsent(read, name -> new ArrayList<>()).add(step.output());
            }
        }
    }

    /** A layer in place of several steps. */
    private record Match(Draft layer, List<Step> inner) {}

    /** The steps with recognised layers in place of their last nodes, without their inner nodes. */
    List<Step> run() {
        Map<String, Step> replaced = new HashMap<>();
        // From the end, so that the longest form of a pattern is seen first: an affine map closes a normalisation.
        for (Step step : steps.reversed()) {
            if (absorbed.contains(step.output()) || step.shape() == null) {
                continue;
            }
            Match match = firstMatch(step);
            if (match != null) {
                match.inner.forEach(inner -> absorbed.add(inner.output()));
                replaced.put(
                        step.output(), new Step(step.node(), step.inputs(), List.of(match.layer), null, step.shape()));
            }
        }
        return steps.stream()
                .filter(step -> !absorbed.contains(step.output()))
                .map(step -> replaced.getOrDefault(step.output(), step))
                .toList();
    }

    private @Nullable Match firstMatch(Step step) {
        List<@Nullable Match> candidates = switch (step.node().type()) {
            case "Add" -> candidates(groupNorm(step), layerNorm(step), linear(step));
            case "Mul" -> candidates(layerNorm(step), gelu(step), gated(step));
            case "Conv", "AveragePool", "MaxPool" -> candidates(padded(step));
            default -> candidates();
        };
        for (Match match : candidates) {
            if (match != null && isPrivate(match.inner, step)) {
                return match;
            }
        }
        return null;
    }

    private static List<@Nullable Match> candidates(@Nullable Match... matches) {
        return Arrays.asList(matches);
    }

    /** Whether only these steps and the last one read what these compute. */
    private boolean isPrivate(List<Step> inner, Step last) {
        Set<String> inside = new HashSet<>(Set.of(last.output()));
        inner.forEach(step -> inside.add(step.output()));
        return inner.stream()
                .map(Step::output)
                .allMatch(output -> inside.containsAll(readers.getOrDefault(output, List.of()))
                        && !absorbed.contains(output)
                        && !output.equals(graphOutput));
    }

    /** Reshape (0,G,−1) → InstanceNormalization (1, 0) → Reshape back → Mul → Add, the latter two per channel. */
    private @Nullable Match groupNorm(Step add) {
        Operands sum = operands(add);
        Step mul = sum == null ? null : producer(sum.signal, "Mul");
        Operands product = mul == null ? null : operands(mul);
        Step back = product == null ? null : producer(product.signal, "Reshape", "GroupNormalization");
        if (sum == null || mul == null || product == null || back == null || back.shape() == null) {
            return null;
        }
        List<Integer> shape = back.shape();
        if (!isPerChannel(product.constant, shape) || !isPerChannel(sum.constant, shape)) {
            return null;
        }
        int channels = shape.getFirst();
        Floats scale = product.constant.reshape(List.of(channels));
        Floats bias = sum.constant.reshape(List.of(channels));

        // Opset 18's operator scales groups, not channels; exporters give it ones and zeros and scale behind it.
        Draft whole = back.only();
        if (whole != null && whole.op() == Op.GROUP_NORM && isNeutral(whole)) {
            Draft layer = Draft.of(
                    Op.GROUP_NORM,
                    back.node().scope(),
                    whole.attributes(),
                    add.output(),
                    whole.operands().getFirst(),
                    scale,
                    bias);
            return new Match(layer, List.of(back, mul));
        }

        Step norm = producer(first(back), "InstanceNormalization");
        Step split = norm == null ? null : producer(first(norm), "Reshape");
        Draft instance = norm == null ? null : norm.only();
        if (norm == null
                || split == null
                || instance == null
                || !isNeutral(instance)
                || split.shape() == null
                || !(first(split) instanceof Signal x)
                || !x.shape().equals(shape)
                || split.shape().size() != 2
                || channels % split.shape().getFirst() != 0) {
            return null;
        }
        Attributes attributes = Attributes.defaults()
                .withGroups(split.shape().getFirst())
                .withEpsilon(instance.attributes().epsilon());
        Draft layer = Draft.of(Op.GROUP_NORM, norm.node().scope(), attributes, add.output(), x, scale, bias);
        return new Match(layer, List.of(split, norm, back, mul));
    }

    /** Whether a normalisation's scale is 1 and its bias 0. */
    private static boolean isNeutral(Draft norm) {
        Floats scale = norm.parameter(1);
        Floats bias = norm.parameter(2);
        return scale != null && bias != null && isFilled(scale, 1f) && isFilled(bias, 0f);
    }

    private static boolean isFilled(Floats constant, float value) {
        for (float element : constant.tensor().data()) {
            if (element != value) {
                return false;
            }
        }
        return true;
    }

    /** Whether a constant broadcasts to one value per channel of a signal of this shape. */
    private static boolean isPerChannel(Floats constant, List<Integer> shape) {
        List<Integer> expected = new ArrayList<>(Collections.nCopies(shape.size(), 1));
        expected.set(0, shape.getFirst());
        List<Integer> actual = constant.shape();
        boolean withBatch = actual.size() == shape.size() + 1 && actual.getFirst() == 1;
        return (withBatch ? actual.subList(1, actual.size()) : actual).equals(expected);
    }

    /** (x − mean) / √(mean of squares + epsilon), then Mul and perhaps Add, over the last dimensions. */
    private @Nullable Match layerNorm(Step last) {
        Operands outer = operands(last);
        if (outer == null) {
            return null;
        }
        Floats bias = null;
        Operands product = outer;
        List<Step> inner = new ArrayList<>();
        if (last.node().type().equals("Add")) {
            Step mul = producer(outer.signal, "Mul");
            product = mul == null ? null : operands(mul);
            if (mul == null || product == null) {
                return null;
            }
            bias = outer.constant;
            inner.add(mul);
        }
        Step div = producer(product.signal, "Div");
        Step sub = div == null ? null : producer(first(div), "Sub");
        Step root = div == null ? null : producer(second(div), "Sqrt");
        Step stable = root == null ? null : producer(first(root), "Add");
        Operands variance = stable == null ? null : operands(stable);
        Step meanOfSquares = variance == null ? null : producer(variance.signal, "ReduceMean");
        Step square = meanOfSquares == null ? null : producer(first(meanOfSquares), "Pow", "Mul");
        Step mean = sub == null ? null : producer(second(sub), "ReduceMean");
        if (div == null
                || sub == null
                || root == null
                || stable == null
                || variance == null
                || meanOfSquares == null
                || square == null
                || mean == null
                || !(first(sub) instanceof Signal x)
                || !(first(mean) instanceof Signal averaged)
                || !averaged.name().equals(x.name())
                || variance.constant.tensor().elements() != 1
                || !isSquare(square, sub)) {
            return null;
        }
        int trailing = trailingMeans(mean, x.shape());
        if (trailing == 0 || trailingMeans(meanOfSquares, x.shape()) != trailing) {
            return null;
        }
        List<Integer> normalised =
                x.shape().subList(x.shape().size() - trailing, x.shape().size());
        if (!product.constant.shape().equals(normalised)
                || (bias != null && !bias.shape().equals(normalised))) {
            return null;
        }
        Collections.addAll(inner, div, sub, root, stable, meanOfSquares, square, mean);
        // Some exporters subtract twice, once for the square and once for the quotient.
        Step other = producer(first(square), "Sub");
        if (other != null && !other.output().equals(sub.output())) {
            inner.add(other);
        }
        Attributes attributes = Attributes.defaults()
                .withAxis(-trailing)
                .withEpsilon(variance.constant.tensor().data()[0]);
        String name = div.node().scope();
        Draft layer = bias == null
                ? Draft.of(Op.LAYER_NORM, name, attributes, last.output(), x, product.constant)
                : Draft.of(Op.LAYER_NORM, name, attributes, last.output(), x, product.constant, bias);
        return new Match(layer, inner);
    }

    /** Whether a step squares the difference that another computes, or one of the same operands. */
    private boolean isSquare(Step square, Step difference) {
        Step base = producer(first(square), "Sub");
        boolean twice = square.node().type().equals("Mul")
                ? square.reads().size() == 2
                        && square.reads().getFirst().equals(square.reads().getLast())
                : (second(square) instanceof Integers two && two.elements().equals(List.of(Size.of(2))))
                        || (second(square) instanceof Floats exponent && isFilled(exponent, 2f));
        return twice && base != null && base.reads().equals(difference.reads());
    }

    /** Over how many of the last dimensions a ReduceMean averages and keeps them as 1; 0 if it does something else. */
    private static int trailingMeans(Step mean, List<Integer> shape) {
        int rank = shape.size() + 1;
        int[] axes = IntStream.of(Folding.axes(mean.node(), mean.inputs()))
                .map(axis -> Shapes.axis(axis, rank))
                .sorted()
                .toArray();
        boolean last = mean.node().integer("keepdims", 1) != 0 && axes.length < rank;
        for (int i = 0; i < axes.length; i++) {
            last &= axes[i] == rank - axes.length + i;
        }
        return last ? axes.length : 0;
    }

    /** x · ½ · (1 + erf(x / √2)), or its approximation by tanh, with the factors in any order. */
    private @Nullable Match gelu(Step last) {
        List<Step> inner = new ArrayList<>();
        List<Value> factors = new ArrayList<>();
        collectFactors(last, inner, factors);
        double constant = 1;
        List<Signal> signals = new ArrayList<>();
        for (Value factor : factors) {
            if (factor instanceof Floats floats && floats.tensor().elements() == 1) {
                constant *= floats.tensor().data()[0];
            } else if (factor instanceof Signal signal) {
                signals.add(signal);
            } else {
                return null;
            }
        }
        if (signals.size() != 2 || !isNear(constant, 0.5)) {
            return null;
        }
        for (int i = 0; i < 2; i++) {
            Signal x = signals.get(1 - i);
            Step onePlus = producer(signals.get(i), "Add");
            Operands sum = onePlus == null ? null : operands(onePlus);
            Step curve = sum == null ? null : producer(sum.signal, "Erf", "Tanh");
            if (onePlus == null || sum == null || curve == null || !isFilled(sum.constant, 1f)) {
                continue;
            }
            List<Step> argument = curve.node().type().equals("Erf") ? erfArgument(curve, x) : tanhArgument(curve, x);
            if (argument != null) {
                inner.add(onePlus);
                inner.add(curve);
                inner.addAll(argument);
                Attributes attributes = Attributes.defaults()
                        .withTanhApproximation(curve.node().type().equals("Tanh"));
                return new Match(Draft.of(Op.GELU, last.node().scope(), attributes, last.output(), x), inner);
            }
        }
        return null;
    }

    /** The factors of a product of products; the inner products' steps are added to {@code inner}. */
    private void collectFactors(Step product, List<Step> inner, List<Value> factors) {
        for (Value factor : product.inputs()) {
            Step mul = factor == null ? null : producer(factor, "Mul");
            if (mul != null && inner.size() < 2) {
                inner.add(mul);
                collectFactors(mul, inner, factors);
            } else if (factor != null) {
                factors.add(factor);
            }
        }
    }

    private @Nullable List<Step> erfArgument(Step erf, Signal x) {
        Step scaled = producer(first(erf), "Div", "Mul");
        Operands operands = scaled == null ? null : operands(scaled);
        if (scaled == null || operands == null || !operands.signal.name().equals(x.name())) {
            return null;
        }
        double constant = operands.constant.tensor().data()[0];
        boolean fits = scaled.node().type().equals("Div")
                ? first(scaled) instanceof Signal && isNear(constant, SQRT_2)
                : isNear(constant, 1 / SQRT_2);
        return fits && operands.constant.tensor().elements() == 1 ? List.of(scaled) : null;
    }

    /** √(2/π) · (x + 0.044715 · x³) */
    private @Nullable List<Step> tanhArgument(Step tanh, Signal x) {
        Step outer = producer(first(tanh), "Mul");
        Operands scaled = outer == null ? null : operands(outer);
        Step sum = scaled == null ? null : producer(scaled.signal, "Add");
        Step cubic = sum == null ? null : producer(otherSignal(sum, x), "Mul");
        Operands term = cubic == null ? null : operands(cubic);
        Step power = term == null ? null : producer(term.signal, "Pow");
        boolean fits = outer != null
                && scaled != null
                && sum != null
                && cubic != null
                && term != null
                && power != null
                && isConstant(scaled.constant, Math.sqrt(2 / Math.PI))
                && isConstant(term.constant, 0.044715)
                && first(power) instanceof Signal base
                && base.name().equals(x.name())
                && second(power) instanceof Floats exponent
                && isConstant(exponent, 3);
        return fits ? List.of(outer, sum, cubic, power) : null;
    }

    /** x · Sigmoid(x) is SiLU, x · HardSigmoid(x) with slope 1/6 and offset 1/2 is HardSwish. */
    private @Nullable Match gated(Step mul) {
        for (int i = 0; i < 2; i++) {
            Step gate = producer(i == 0 ? first(mul) : second(mul), "Sigmoid", "HardSigmoid");
            Value other = i == 0 ? second(mul) : first(mul);
            if (gate == null
                    || !(other instanceof Signal x)
                    || !(first(gate) instanceof Signal argument)
                    || !argument.name().equals(x.name())) {
                continue;
            }
            boolean hard = gate.node().type().equals("HardSigmoid");
            if (hard
                    && !(isNear(gate.node().real("alpha", 0.2f), 1 / 6.0)
                            && isNear(gate.node().real("beta", 0.5f), 0.5))) {
                continue;
            }
            Draft layer =
                    Draft.of(hard ? Op.HARDSWISH : Op.SILU, mul.node().scope(), Attributes.defaults(), mul.output(), x);
            return new Match(layer, List.of(gate));
        }
        return null;
    }

    /** A product with a constant matrix, and a bias. */
    private @Nullable Match linear(Step add) {
        Operands sum = operands(add);
        Step product = sum == null ? null : producer(sum.signal, "MatMul");
        Draft linear = product == null ? null : product.only();
        if (sum == null || product == null || linear == null || linear.op() != Op.LINEAR || product.shape() == null) {
            return null;
        }
        int outputs = product.shape().getLast();
        List<Integer> shape = sum.constant.shape();
        if (shape.isEmpty() || shape.getLast() != outputs || Shapes.elements(shape) != outputs) {
            return null;
        }
        Draft layer = Draft.of(
                Op.LINEAR,
                product.node().scope(),
                linear.attributes(),
                add.output(),
                linear.operands().get(0),
                linear.operands().get(1),
                sum.constant.reshape(List.of(outputs)));
        return new Match(layer, List.of(product));
    }

    /** Zeros added in front of a window become its padding. */
    private @Nullable Match padded(Step window) {
        Step pad = producer(first(window), "Pad");
        if (pad == null || !(first(pad) instanceof Signal x)) {
            return null;
        }
        int[] pads = new Conversion(pad.node(), pad.inputs(), null).padding();
        int rank = pads.length / 2;
        List<Integer> before =
                IntStream.range(2, rank).map(i -> pads[i]).boxed().toList();
        List<Integer> after =
                IntStream.range(2, rank).map(i -> pads[rank + i]).boxed().toList();
        if (pads[1] != 0 || pads[rank + 1] != 0) {
            return null;
        }
        // A pooling's own padding never is the maximum; zeros are not either if something else is at least zero.
        boolean maximum = window.node().type().equals("MaxPool");
        int[] kernel = maximum ? window.node().integers("kernel_shape") : null;
        boolean alwaysData = kernel != null
                && IntStream.range(0, before.size())
                        .allMatch(i -> before.get(i) < kernel[i] && after.get(i) < kernel[i]);
        if (maximum && !(alwaysData && producer(x, "Relu") != null)) {
            return null;
        }
        Step converted = new Conversion(window.node(), window.inputs(), null).convertPadded(x, before, after);
        Draft layer = converted.only();
        return layer == null ? null : new Match(layer, List.of(pad));
    }

    /** The operands of a step that combines a signal and a constant, in either order. */
    private record Operands(Signal signal, Floats constant) {}

    private static @Nullable Operands operands(Step step) {
        Value a = first(step);
        Value b = second(step);
        if (a instanceof Signal signal && b instanceof Floats constant) {
            return new Operands(signal, constant);
        }
        return a instanceof Floats constant && b instanceof Signal signal ? new Operands(signal, constant) : null;
    }

    /** The other signal that a step of two signals reads, or null. */
    private static @Nullable Value otherSignal(Step step, Signal x) {
        return first(step) instanceof Signal a && a.name().equals(x.name()) ? second(step) : first(step);
    }

    private static @Nullable Value first(Step step) {
        return step.inputs().isEmpty() ? null : step.inputs().getFirst();
    }

    private static @Nullable Value second(Step step) {
        return step.inputs().size() < 2 ? null : step.inputs().get(1);
    }

    /** The step that computes a value, if it is a signal of a node of one of these types. */
    private @Nullable Step producer(@Nullable Value value, String... types) {
        Step step = value instanceof Signal signal ? producers.get(signal.name()) : null;
        return step != null && List.of(types).contains(step.node().type()) ? step : null;
    }

    private static boolean isConstant(Floats constant, double expected) {
        return constant.tensor().elements() == 1 && isNear(constant.tensor().data()[0], expected);
    }

    private static boolean isNear(double value, double expected) {
        return Math.abs(value - expected) < TOLERANCE * Math.abs(expected);
    }
}
