package org.biotrain.cli.verify;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.biotrain.Attributes;
import org.biotrain.BatchNormMode;
import org.biotrain.Device;
import org.biotrain.Gradients;
import org.biotrain.Loss;
import org.biotrain.Model;
import org.biotrain.Op;
import org.biotrain.SampleFormat;
import org.biotrain.Samples;
import org.biotrain.Tensor;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;

/**
 * Cases of single operations and losses. A case becomes a network of one layer whose loss is the inner product of the
 * output with the case's upstream gradient, so that backward passes exactly this gradient on.
 */
final class LayerCases {
    static final double LIMIT = 5e-6;

    private static final String INPUT = "input";

    /** Operands of the operations besides their input, in the order in which a layer takes them. */
    private static final Map<String, List<String>> OPERANDS = Map.of(
            "conv2d", List.of("w", "b"),
            "linear", List.of("w", "b"),
            "group_norm", List.of("gamma", "beta"),
            "layer_norm", List.of("gamma", "beta"),
            "instance_norm", List.of("gamma", "beta"),
            "batch_norm", List.of("gamma", "beta", "running_mean", "running_var"),
            "matmul", List.of("b"));

    private LayerCases() {}

    static List<Comparison> runLayer(Device device, GoldenCase golden) {
        // MatMul's first operand has batch dimensions of its own: all of it is one sample.
        boolean oneSample = golden.kind().equals("matmul");
        String x = oneSample ? "a" : "x";
        int count = oneSample ? 1 : golden.shape(x)[0];
        int[] inputShape = oneSample ? golden.shape(x) : Arrays.copyOfRange(golden.shape(x), 1, golden.shape(x).length);

        Model.Builder builder = Model.builder(golden.name(), INPUT, inputShape);
        List<String> inputs = new ArrayList<>(List.of(INPUT));
        for (String operand : OPERANDS.getOrDefault(golden.kind(), List.of())) {
            if (golden.has(operand)) {
                Tensor value = golden.tensor(operand);
                builder.parameter(operand, oneSample ? value.reshape(withOneSample(value.shape())) : value);
                inputs.add(operand);
            } else if (operand.startsWith("running_")) {
                // Statistics of the batch are used; what runs along starts as in a new layer.
                int channels = golden.shape("gamma")[0];
                builder.parameter(operand, Tensor.filled(operand.equals("running_var") ? 1 : 0, channels));
                inputs.add(operand);
            }
        }
        Model model =
                builder.build(builder.layer(op(golden), "layer", attributes(golden), inputs.toArray(String[]::new)));

        boolean batchStatistics = golden.kind().equals("batch_norm") && golden.flag("training");
        TrainingOptions options = options(count, Loss.INNER_PRODUCT)
                .batchNorm(batchStatistics ? BatchNormMode.TRAINING : BatchNormMode.FROZEN)
                .build();
        List<Comparison> comparisons = new ArrayList<>();
        try (TrainingSession session = device.newSession(model, options)) {
            Samples samples = Samples.withTargets(count, golden.floats(x), golden.floats("dy"));
            Gradients gradients = session.accumulate(samples);
            float[] y = batchStatistics ? trainingOutput(session, golden, count) : flatten(session.predict(samples));
            comparisons.add(Comparison.relative("y", y, golden.floats("y"), LIMIT));
            gradients.gradients().forEach((operand, gradient) -> {
                String array = "d_" + (operand.equals(INPUT) ? x : operand);
                if (golden.has(array)) {
                    comparisons.add(
                            Comparison.relative(array, scaled(gradient.data(), count), golden.floats(array), LIMIT));
                }
            });
        }
        requireAll(golden, comparisons);
        return comparisons;
    }

    static List<Comparison> runLoss(Device device, GoldenCase golden) {
        int count = golden.shape("x")[0];
        int width = golden.shape("x")[1];
        boolean classes = golden.kind().equals("cross_entropy");
        Model.Builder builder = Model.builder(golden.name(), INPUT, width);
        // A network has at least one layer; this one changes nothing.
        Model model = builder.build(
                builder.layer(Op.RESHAPE, "same", Attributes.defaults().withDims(0, width), INPUT));
        TrainingOptions options =
                options(count, classes ? Loss.CROSS_ENTROPY : Loss.MSE).build();
        try (TrainingSession session = device.newSession(model, options)) {
            Gradients gradients = session.accumulate(
                    classes
                            ? Samples.labelled(golden.floats("x"), golden.ints("label"))
                            : Samples.withTargets(count, golden.floats("x"), golden.floats("target")));
            double sum = 0;
            for (float loss : gradients.losses()) {
                sum += loss;
            }
            float[] mean = {(float) (sum / count)};
            List<Comparison> comparisons = new ArrayList<>();
            comparisons.add(Comparison.relative("loss", mean, golden.floats("loss"), LIMIT));
            Tensor gradient = gradients.gradients().get(INPUT);
            if (gradient != null) {
                comparisons.add(Comparison.relative("d_x", gradient.data(), golden.floats("d_x"), LIMIT));
            }
            requireAll(golden, comparisons);
            return comparisons;
        }
    }

    private static TrainingOptions.Builder options(int count, Loss loss) {
        return TrainingOptions.builder()
                .loss(loss)
                .batchSize(count)
                .microBatch(count)
                .inputGradient(true)
                .sampleFormat(SampleFormat.FLOAT32);
    }

    /** Every reference gradient must have been compared: a gradient that was not computed is no match. */
    private static void requireAll(GoldenCase golden, List<Comparison> comparisons) {
        List<String> compared = comparisons.stream().map(Comparison::array).toList();
        List<String> missing = golden.arrays().names().stream()
                .filter(array -> array.startsWith("d_") && !compared.contains(array))
                .toList();
        if (!missing.isEmpty()) {
            throw new CaseException("The device computed no " + String.join(", ", missing));
        }
    }

    /**
     * The output of the forward pass of training, which {@code predict} does not show. The loss with a target that is 1
     * for one element and 0 elsewhere is this element, exactly.
     */
    private static float[] trainingOutput(TrainingSession session, GoldenCase golden, int count) {
        int length = golden.floats("y").length / count;
        float[] y = new float[count * length];
        for (int element = 0; element < length; element++) {
            float[] targets = new float[count * length];
            for (int sample = 0; sample < count; sample++) {
                targets[sample * length + element] = 1;
            }
            float[] losses = session.accumulate(Samples.withTargets(count, golden.floats("x"), targets))
                    .losses();
            for (int sample = 0; sample < count; sample++) {
                y[sample * length + element] = losses[sample];
            }
        }
        return y;
    }

    private static Op op(GoldenCase golden) {
        return switch (golden.kind()) {
            case "conv2d" -> Op.CONV;
            case "linear" -> Op.LINEAR;
            case "matmul" -> Op.MATMUL;
            case "group_norm" -> Op.GROUP_NORM;
            case "layer_norm" -> Op.LAYER_NORM;
            case "instance_norm" -> Op.INSTANCE_NORM;
            case "batch_norm" -> Op.BATCH_NORM;
            case "avg_pool" -> Op.AVERAGE_POOL;
            case "max_pool" -> Op.MAX_POOL;
            case "global_avg_pool" -> Op.GLOBAL_AVERAGE_POOL;
            case "softmax" -> Op.SOFTMAX;
            case "activation" -> activation(golden.text("function"));
            default -> throw unknown("kind", golden.kind());
        };
    }

    private static Op activation(String function) {
        return switch (function) {
            case "relu" -> Op.RELU;
            case "elu" -> Op.ELU;
            case "leaky_relu" -> Op.LEAKY_RELU;
            case "gelu_erf", "gelu_tanh" -> Op.GELU;
            case "sigmoid" -> Op.SIGMOID;
            case "tanh" -> Op.TANH;
            case "silu" -> Op.SILU;
            case "hardswish" -> Op.HARDSWISH;
            default -> throw unknown("function", function);
        };
    }

    private static CaseException unknown(String what, String value) {
        return new CaseException("The " + what + " " + value + " is unknown to this version; update it");
    }

    private static Attributes attributes(GoldenCase golden) {
        Attributes none = Attributes.defaults();
        return switch (golden.kind()) {
            case "conv2d" ->
                none.withStrides(golden.integer("strides", 0), golden.integer("strides", 1))
                        .withPads(
                                golden.integer("pads", 0),
                                golden.integer("pads", 1),
                                golden.integer("pads", 2),
                                golden.integer("pads", 3))
                        .withDilations(golden.integer("dilations", 0), golden.integer("dilations", 1))
                        .withGroups(golden.integer("groups"));
            case "group_norm" -> none.withGroups(golden.integer("groups")).withEpsilon(golden.number("eps"));
            case "layer_norm" ->
                none.withAxis(-golden.attributes().path("normalized_shape").size())
                        .withEpsilon(golden.number("eps"));
            case "instance_norm", "batch_norm" -> none.withEpsilon(golden.number("eps"));
            case "avg_pool" -> pool(golden).withCountIncludePad(golden.flag("count_include_pad"));
            case "max_pool" -> pool(golden);
            case "softmax" -> none.withAxis(golden.integer("axis"));
            case "activation" ->
                none.withAlpha(golden.number("alpha"))
                        .withTanhApproximation(golden.text("function").equals("gelu_tanh"));
            default -> none;
        };
    }

    private static Attributes pool(GoldenCase golden) {
        int height = golden.integer("pads", 0);
        int width = golden.integer("pads", 1);
        return Attributes.defaults()
                .withKernel(golden.integer("kernel", 0), golden.integer("kernel", 1))
                .withStrides(golden.integer("strides", 0), golden.integer("strides", 1))
                .withPads(height, width, height, width);
    }

    private static int[] withOneSample(int[] shape) {
        int[] extended = new int[shape.length + 1];
        extended[0] = 1;
        System.arraycopy(shape, 0, extended, 1, shape.length);
        return extended;
    }

    private static float[] scaled(float[] values, int factor) {
        for (int i = 0; i < values.length; i++) {
            values[i] *= factor;
        }
        return values;
    }

    static float[] flatten(float[][] rows) {
        int length = rows.length == 0 ? 0 : rows[0].length;
        float[] flat = new float[rows.length * length];
        for (int row = 0; row < rows.length; row++) {
            System.arraycopy(rows[row], 0, flat, row * length, length);
        }
        return flat;
    }
}
