package org.biotrain.zoo;

import java.util.List;
import org.biotrain.Attributes;
import org.biotrain.CounterRandom;
import org.biotrain.Layer;
import org.biotrain.Model;
import org.biotrain.ModelException;
import org.biotrain.Op;
import org.biotrain.Tensor;

/**
 * Stacks layers on windows of shape 1 × channels × samples and follows the shape. Weights are Xavier-uniform (Glorot
 * and Bengio, AISTATS 2010) from the counter-based generator, one stream per parameter; biases 0, scales 1.
 */
final class Stack {
    private final String name;
    private final long seed;
    private final Model.Builder model;
    private String value = "input";
    private int maps = 1;
    private int height;
    private int width;
    private int streams;

    Stack(String name, long seed, int channels, int samples) {
        this.name = name;
        this.seed = seed;
        this.model = Model.builder(name, value, 1, channels, samples);
        this.height = channels;
        this.width = samples;
    }

    /** A convolution without padding or bias. */
    Stack conv(String layer, int outputs, int kernelHeight, int kernelWidth, int groups) {
        return conv(layer, outputs, kernelHeight, kernelWidth, groups, 0, 0);
    }

    /** A convolution without bias, with zeros before and after each row. */
    Stack conv(String layer, int outputs, int kernelHeight, int kernelWidth, int groups, int left, int right) {
        Attributes attributes = Attributes.defaults().withGroups(groups).withPads(0, left, 0, right);
        weight(layer + ".weight", outputs, maps / groups, kernelHeight, kernelWidth);
        value = model.layer(Op.CONV, layer, attributes, value, layer + ".weight");
        maps = outputs;
        resize(layer, height - kernelHeight + 1, width + left + right - kernelWidth + 1);
        return this;
    }

    /** A convolution over all channels, with bias. */
    Stack spatialConv(String layer, int outputs) {
        weight(layer + ".weight", outputs, maps, height, 1);
        model.parameter(layer + ".bias", Tensor.filled(0f, outputs));
        value = model.layer(Op.CONV, layer, Attributes.defaults(), value, layer + ".weight", layer + ".bias");
        maps = outputs;
        resize(layer, 1, width);
        return this;
    }

    Stack groupNorm(String layer, int groups, float epsilon) {
        model.parameter(layer + ".weight", Tensor.filled(1f, maps));
        model.parameter(layer + ".bias", Tensor.filled(0f, maps));
        value = model.layer(
                Op.GROUP_NORM,
                layer,
                Attributes.defaults().withGroups(groups).withEpsilon(epsilon),
                value,
                layer + ".weight",
                layer + ".bias");
        return this;
    }

    Stack batchNorm(String layer, float epsilon, float momentum) {
        model.parameter(layer + ".weight", Tensor.filled(1f, maps));
        model.parameter(layer + ".bias", Tensor.filled(0f, maps));
        model.parameter(layer + ".running_mean", Tensor.filled(0f, maps));
        model.parameter(layer + ".running_var", Tensor.filled(1f, maps));
        value = model.layer(
                Op.BATCH_NORM,
                layer,
                Attributes.defaults().withEpsilon(epsilon).withMomentum(momentum),
                value,
                layer + ".weight",
                layer + ".bias",
                layer + ".running_mean",
                layer + ".running_var");
        return this;
    }

    Stack activation(Op op, String layer) {
        value = model.layer(op, layer, Attributes.defaults(), value);
        return this;
    }

    /** A pooling along the samples, whose windows do not overlap. */
    Stack pool(Op op, String layer, int samples) {
        value = model.layer(
                op, layer, Attributes.defaults().withKernel(1, samples).withStrides(1, samples), value);
        resize(layer, height, width / samples);
        return this;
    }

    /** Dropout, or nothing if the ratio is 0. */
    Stack dropout(String layer, float ratio) {
        if (ratio > 0) {
            value = model.layer(Op.DROPOUT, layer, Attributes.defaults().withRatio(ratio), value);
        }
        return this;
    }

    /** How many samples are left of each row. */
    int width() {
        return width;
    }

    /** A linear layer with bias on all that is left; its output is the network's. */
    Model classifier(String layer, int classes) {
        int features = maps * height * width;
        value = model.layer(Op.RESHAPE, "flatten", Attributes.defaults().withDims(0, -1), value);
        weight(layer + ".weight", classes, features);
        model.parameter(layer + ".bias", Tensor.filled(0f, classes));
        return model.build(model.layer(new Layer(
                Op.LINEAR,
                layer,
                List.of(value, layer + ".weight", layer + ".bias"),
                "output",
                Attributes.defaults())));
    }

    private void weight(String parameter, int... shape) {
        Tensor zeros = Tensor.filled(0f, shape);
        int field = zeros.elements() / (shape[0] * shape[1]);
        double bound = Math.sqrt(6.0 / ((double) (shape[0] + shape[1]) * field));
        float[] data = CounterRandom.uniform(seed, streams++, zeros.elements());
        for (int i = 0; i < data.length; i++) {
            data[i] = (float) ((2.0 * data[i] - 1.0) * bound);
        }
        model.parameter(parameter, Tensor.of(shape, data));
    }

    private void resize(String layer, int newHeight, int newWidth) {
        if (newHeight < 1 || newWidth < 1) {
            throw new ModelException("The windows are too small for the layer " + layer + " of " + name
                    + ", which would leave " + newHeight + " × " + newWidth
                    + "; give more channels or samples, smaller pools, or padding");
        }
        height = newHeight;
        width = newWidth;
    }
}
