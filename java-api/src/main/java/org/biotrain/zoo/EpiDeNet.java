package org.biotrain.zoo;

import java.util.List;
import org.biotrain.Model;
import org.biotrain.Op;

/**
 * EpiDeNet (Ingolfsson et al., arXiv 2309.07135), for EOG and epileptic seizures: three filters over time, then one over
 * the channels. As BioTrain trains it: group normalisation of one group, average pooling.
 *
 * @param channels channels of a window
 * @param samples samples of a window
 * @param classes classes
 * @param pools samples per pooling window after the first three filters
 * @param padded whether the temporal filters keep the length, by kernel/2 − 1 zeros before and kernel/2 after
 */
public record EpiDeNet(int channels, int samples, int classes, List<Integer> pools, boolean padded) {
    private static final float EPSILON = 1e-3f;

    /** Copies the list. */
    public EpiDeNet {
        pools = List.copyOf(pools);
        if (pools.size() != 3) {
            throw new IllegalArgumentException("EpiDeNet has 3 poolings of a given length, not " + pools.size());
        }
    }

    /** The network as published for windows of about a thousand samples: pools 8, 4, 4, no padding. */
    public static EpiDeNet published(int channels, int samples, int classes) {
        return new EpiDeNet(channels, samples, classes, List.of(8, 4, 4), false);
    }

    /** The network for windows of about a hundred samples: pools 4, 2, 2, padded. */
    public static EpiDeNet compact(int channels, int samples, int classes) {
        return new EpiDeNet(channels, samples, classes, List.of(4, 2, 2), true);
    }

    /** The network with fresh weights. */
    public Model model(String name, long seed) {
        Stack stack = new Stack(name, seed, channels, samples);
        temporal(stack, 1, 4, 4);
        temporal(stack, 2, 16, 16);
        temporal(stack, 3, 16, 8);
        stack.conv("conv4", 16, channels, 1, 1)
                .groupNorm("norm4", 1, EPSILON)
                .activation(Op.RELU, "relu4")
                .conv("conv5", 16, 1, 1, 1)
                .groupNorm("norm5", 1, EPSILON)
                .activation(Op.RELU, "relu5");
        return stack.pool(Op.AVERAGE_POOL, "pool5", stack.width()).classifier("fc", classes);
    }

    private void temporal(Stack stack, int number, int filters, int kernel) {
        stack.conv("conv" + number, filters, 1, kernel, 1, padded ? kernel / 2 - 1 : 0, padded ? kernel / 2 : 0)
                .groupNorm("norm" + number, 1, EPSILON)
                .activation(Op.RELU, "relu" + number)
                .pool(Op.AVERAGE_POOL, "pool" + number, pools.get(number - 1));
    }
}
