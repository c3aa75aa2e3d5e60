package org.biotrain;

import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/**
 * The settings of a layer. Each operation reads those that concern it; the others stay at their defaults. Immutable.
 *
 * <p>Pairs are (height, width); a tensor (N,C,L) uses the width. Start from {@link #defaults()}.
 *
 * @param kernel window of a pooling layer; a convolution's is that of its weight
 * @param strides steps of a convolution or pooling window
 * @param pads zeros around the input: top, left, bottom, right
 * @param dilations distances between a convolution's taps
 * @param groups groups of a convolution or group normalisation
 * @param axis axis of concat and softmax, first axis of layer normalisation; negative counts from the end
 * @param alpha slope of leaky ReLU, scale of ELU
 * @param epsilon added to a normalisation's variance
 * @param momentum share of the batch's statistics in batch normalisation's running ones
 * @param ratio probability that dropout zeroes an element
 * @param countIncludePad whether average pooling divides by the whole window where it overlaps the padding
 * @param transposedWeight whether a linear layer's weight is (in,out)
 * @param tanhApproximation whether GELU is computed by its tanh approximation
 * @param dims target of a reshape, permutation of a transpose
 */
public record Attributes(
        List<Integer> kernel,
        List<Integer> strides,
        List<Integer> pads,
        List<Integer> dilations,
        int groups,
        int axis,
        float alpha,
        float epsilon,
        float momentum,
        float ratio,
        boolean countIncludePad,
        boolean transposedWeight,
        boolean tanhApproximation,
        List<Integer> dims) {

    private static final Attributes DEFAULTS = new Attributes(
            List.of(1, 1),
            List.of(1, 1),
            List.of(0, 0, 0, 0),
            List.of(1, 1),
            1,
            -1,
            1f,
            1e-5f,
            0.1f,
            0.5f,
            false,
            false,
            false,
            List.of());

    /**
     * Copies the lists.
     *
     * @throws IllegalArgumentException if a list has not as many entries as it must
     */
    public Attributes {
        kernel = entries("kernel", kernel, 2);
        strides = entries("strides", strides, 2);
        pads = entries("pads", pads, 4);
        dilations = entries("dilations", dilations, 2);
        dims = List.copyOf(dims);
    }

    /**
     * Window 1×1, strides, dilations and groups 1, no padding, axis −1, alpha 1, epsilon 1e-5, momentum 0.1, ratio
     * 0.5, no flags, no dims.
     */
    public static Attributes defaults() {
        return DEFAULTS;
    }

    public Attributes withKernel(int height, int width) {
        return with(fields -> fields.kernel = List.of(height, width));
    }

    public Attributes withStrides(int height, int width) {
        return with(fields -> fields.strides = List.of(height, width));
    }

    public Attributes withPads(int top, int left, int bottom, int right) {
        return with(fields -> fields.pads = List.of(top, left, bottom, right));
    }

    public Attributes withDilations(int height, int width) {
        return with(fields -> fields.dilations = List.of(height, width));
    }

    public Attributes withGroups(int value) {
        return with(fields -> fields.groups = value);
    }

    public Attributes withAxis(int value) {
        return with(fields -> fields.axis = value);
    }

    public Attributes withAlpha(float value) {
        return with(fields -> fields.alpha = value);
    }

    public Attributes withEpsilon(float value) {
        return with(fields -> fields.epsilon = value);
    }

    public Attributes withMomentum(float value) {
        return with(fields -> fields.momentum = value);
    }

    public Attributes withRatio(float value) {
        return with(fields -> fields.ratio = value);
    }

    public Attributes withCountIncludePad(boolean value) {
        return with(fields -> fields.countIncludePad = value);
    }

    public Attributes withTransposedWeight(boolean value) {
        return with(fields -> fields.transposedWeight = value);
    }

    public Attributes withTanhApproximation(boolean value) {
        return with(fields -> fields.tanhApproximation = value);
    }

    public Attributes withDims(int... values) {
        return with(fields -> fields.dims = Arrays.stream(values).boxed().toList());
    }

    private Attributes with(Consumer<Fields> change) {
        Fields fields = new Fields(this);
        change.accept(fields);
        return fields.toAttributes();
    }

    private static List<Integer> entries(String name, List<Integer> values, int count) {
        if (values.size() != count) {
            throw new IllegalArgumentException(
                    "The attribute " + name + " is " + values + ", but it must have " + count + " entries");
        }
        return List.copyOf(values);
    }

    /** The components, changeable, so that each {@code with…} names only its own. */
    private static final class Fields {
        private List<Integer> kernel;
        private List<Integer> strides;
        private List<Integer> pads;
        private List<Integer> dilations;
        private int groups;
        private int axis;
        private float alpha;
        private float epsilon;
        private float momentum;
        private float ratio;
        private boolean countIncludePad;
        private boolean transposedWeight;
        private boolean tanhApproximation;
        private List<Integer> dims;

        Fields(Attributes attributes) {
            kernel = attributes.kernel;
            strides = attributes.strides;
            pads = attributes.pads;
            dilations = attributes.dilations;
            groups = attributes.groups;
            axis = attributes.axis;
            alpha = attributes.alpha;
            epsilon = attributes.epsilon;
            momentum = attributes.momentum;
            ratio = attributes.ratio;
            countIncludePad = attributes.countIncludePad;
            transposedWeight = attributes.transposedWeight;
            tanhApproximation = attributes.tanhApproximation;
            dims = attributes.dims;
        }

        Attributes toAttributes() {
            return new Attributes(
                    kernel,
                    strides,
                    pads,
                    dilations,
                    groups,
                    axis,
                    alpha,
                    epsilon,
                    momentum,
                    ratio,
                    countIncludePad,
                    transposedWeight,
                    tanhApproximation,
                    dims);
        }
    }
}
