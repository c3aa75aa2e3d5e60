package org.biotrain;

/** What batch normalisation does during training. */
public enum BatchNormMode {
    /** Running statistics are used and kept; scale and bias train. */
    FROZEN,
    /** Statistics of the micro-batch, which must then hold at least two samples. */
    TRAINING
}
