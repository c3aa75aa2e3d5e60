package org.biotrain;

/** What training minimises: a mean over the samples of a step. */
public enum Loss {
    /** Cross-entropy of the output's softmax and a class label per sample. */
    CROSS_ENTROPY,
    /** Mean over the output's elements of (output − target)². */
    MSE,
    /** Sum of output · target; it back-propagates a given gradient, so it serves to check gradients. */
    INNER_PRODUCT
}
