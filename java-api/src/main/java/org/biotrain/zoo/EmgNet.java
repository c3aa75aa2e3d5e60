package org.biotrain.zoo;

import org.biotrain.Model;
import org.biotrain.Op;

/**
 * A small network for EMG envelopes: filters over the channels, then over a short time. The first layer is biased, not
 * normalised: how strong the muscles pull is what tells a grasp from rest, and a normalisation would remove it.
 *
 * @param channels channels of a window
 * @param samples samples of a window
 * @param classes classes
 * @param spatialFilters filters over the channels
 * @param temporalFilters filters over time; a multiple of 4, the groups of their normalisation
 */
public record EmgNet(int channels, int samples, int classes, int spatialFilters, int temporalFilters) {
    private static final int GROUPS = 4;
    private static final int KERNEL = 7;
    private static final float EPSILON = 1e-5f;

    /** 16 filters over the channels and 32 over time. */
    public static EmgNet of(int channels, int samples, int classes) {
        return new EmgNet(channels, samples, classes, 16, 32);
    }

    /** The network with fresh weights. */
    public Model model(String name, long seed) {
        return new Stack(name, seed, channels, samples)
                .spatialConv("conv1", spatialFilters)
                .activation(Op.RELU, "relu1")
                .conv("conv2", temporalFilters, 1, KERNEL, 1, KERNEL / 2, KERNEL / 2)
                .groupNorm("norm2", GROUPS, EPSILON)
                .activation(Op.RELU, "relu2")
                .pool(Op.MAX_POOL, "pool2", 2)
                .classifier("fc", classes);
    }
}
