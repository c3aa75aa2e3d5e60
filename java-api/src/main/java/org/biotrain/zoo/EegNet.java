package org.biotrain.zoo;

import org.biotrain.Model;
import org.biotrain.Op;

/**
 * EEGNet (Lawhern et al., J. Neural Eng. 15, 2018): filters over time, for each some over the channels, and a
 * depthwise-separable filter.
 *
 * @param channels channels of a window
 * @param samples samples of a window
 * @param classes classes
 * @param temporalFilters filters over time, F1
 * @param depth spatial filters per temporal filter, D
 * @param pointwiseFilters filters of the last convolution, F2
 * @param temporalKernel samples of the temporal filter; even
 * @param normalization how feature maps are normalised
 * @param dropout probability of dropping an element after each pooling, 0 for no dropout
 */
public record EegNet(
        int channels,
        int samples,
        int classes,
        int temporalFilters,
        int depth,
        int pointwiseFilters,
        int temporalKernel,
        Normalization normalization,
        float dropout) {

    private static final int SEPARABLE_KERNEL = 16;
    private static final float EPSILON = 1e-3f;
    private static final float MOMENTUM = 0.01f;

    /** How feature maps are normalised. */
    public enum Normalization {
        /** Over the batch, as published; to be frozen where a device trains sample by sample. */
        BATCH,
        /** Over each sample, as one group. */
        GROUP
    }

    /** EEGNet-8,2: 8 temporal filters of 64 samples, 2 spatial filters for each, dropout ¼. */
    public static EegNet of(Normalization normalization, int channels, int samples, int classes) {
        return new EegNet(channels, samples, classes, 8, 2, 16, 64, normalization, 0.25f);
    }

    /** The network with fresh weights. */
    public Model model(String name, long seed) {
        int spatialFilters = depth * temporalFilters;
        Stack stack = new Stack(name, seed, channels, samples);
        stack.conv("temporal", temporalFilters, 1, temporalKernel, 1, temporalKernel / 2, temporalKernel / 2);
        normalize(stack, "norm1");
        stack.conv("spatial", spatialFilters, channels, 1, temporalFilters);
        normalize(stack, "norm2");
        stack.activation(Op.ELU, "elu1")
                .pool(Op.AVERAGE_POOL, "pool1", 4)
                .dropout("dropout1", dropout)
                .conv(
                        "depthwise",
                        spatialFilters,
                        1,
                        SEPARABLE_KERNEL,
                        spatialFilters,
                        SEPARABLE_KERNEL / 2,
                        SEPARABLE_KERNEL / 2)
                .conv("pointwise", pointwiseFilters, 1, 1, 1);
        normalize(stack, "norm3");
        return stack.activation(Op.ELU, "elu2")
                .pool(Op.AVERAGE_POOL, "pool2", 8)
                .dropout("dropout2", dropout)
                .classifier("classifier", classes);
    }

    private void normalize(Stack stack, String layer) {
        switch (normalization) {
            case BATCH -> stack.batchNorm(layer, EPSILON, MOMENTUM);
            case GROUP -> stack.groupNorm(layer, 1, EPSILON);
        }
    }
}
