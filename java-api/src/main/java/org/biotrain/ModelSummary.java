package org.biotrain;

import java.util.List;

/**
 * What a network consists of and costs, as the native library counts it.
 *
 * @param layers one entry per layer, in order
 * @param parameters elements of all parameters, batch normalisation's running statistics excluded
 * @param macs multiply-adds of the forward pass of one sample
 */
public record ModelSummary(List<LayerSummary> layers, long parameters, long macs) {

    /** Copies the list. */
    public ModelSummary {
        layers = List.copyOf(layers);
    }

    /**
     * One layer.
     *
     * @param op what it computes
     * @param name its name
     * @param outputShape shape of its result, with batch 1
     * @param parameters elements of its parameters, running statistics excluded
     * @param macs multiply-adds of its forward pass of one sample
     */
    public record LayerSummary(Op op, String name, List<Integer> outputShape, long parameters, long macs) {
        /** Copies the list. */
        public LayerSummary {
            outputShape = List.copyOf(outputShape);
        }
    }
}
