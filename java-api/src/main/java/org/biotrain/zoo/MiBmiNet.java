package org.biotrain.zoo;

import org.biotrain.Model;
import org.biotrain.Op;

/**
 * MI-BMINet (Wang et al., arXiv 2203.14592), for EEG: a filter over the channels, a depthwise filter over time, and a
 * depthwise-separable one. As BioTrain trains it: group normalisation of one group in place of batch normalisation.
 *
 * @param channels channels of a window
 * @param samples samples of a window
 * @param classes classes
 * @param spatialFilters filters over the channels, F1
 * @param depth temporal filters per spatial filter, D
 * @param pointwiseFilters filters of the last convolution, F2
 * @param temporalKernel samples of the temporal filter, Nf; even
 * @param separableKernel samples of the depthwise-separable filter, Nf2; even
 * @param padded whether both temporal filters keep the length, by kernel/2 − 1 zeros before and kernel/2 after
 * @param dropout probability of dropping an element after each pooling, 0 for no dropout
 */
public record MiBmiNet(
        int channels,
        int samples,
        int classes,
        int spatialFilters,
        int depth,
        int pointwiseFilters,
        int temporalKernel,
        int separableKernel,
        boolean padded,
        float dropout) {

    private static final int POOL = 8;
    private static final float EPSILON = 1e-3f;

    /** The network that BioTrain deploys: 8 spatial filters, a temporal filter of 64 samples, no padding. */
    public static MiBmiNet f8(int channels, int samples, int classes) {
        return new MiBmiNet(channels, samples, classes, 8, 1, 8, 64, 16, false, 0f);
    }

    /** The larger network: 32 spatial filters, a temporal filter of 128 samples, padded. */
    public static MiBmiNet f32(int channels, int samples, int classes) {
        return new MiBmiNet(channels, samples, classes, 32, 1, 32, 128, 16, true, 0f);
    }

    /** The network with fresh weights. */
    public Model model(String name, long seed) {
        int temporalFilters = depth * spatialFilters;
        Stack stack = new Stack(name, seed, channels, samples)
                .conv("conv1", spatialFilters, channels, 1, 1)
                .groupNorm("norm1", 1, EPSILON)
                .conv(
                        "conv2",
                        temporalFilters,
                        1,
                        temporalKernel,
                        spatialFilters,
                        before(temporalKernel),
                        after(temporalKernel))
                .groupNorm("norm2", 1, EPSILON)
                .activation(Op.RELU, "relu1")
                .pool(Op.AVERAGE_POOL, "pool1", POOL)
                .dropout("dropout1", dropout)
                .conv(
                        "sep1",
                        temporalFilters,
                        1,
                        separableKernel,
                        temporalFilters,
                        before(separableKernel),
                        after(separableKernel))
                .conv("sep2", pointwiseFilters, 1, 1, 1)
                .groupNorm("norm3", 1, EPSILON)
                .activation(Op.RELU, "relu2")
                .pool(Op.AVERAGE_POOL, "pool2", POOL)
                .dropout("dropout2", dropout);
        return stack.classifier("fc", classes);
    }

    private int before(int kernel) {
        return padded ? kernel / 2 - 1 : 0;
    }

    private int after(int kernel) {
        return padded ? kernel / 2 : 0;
    }
}
