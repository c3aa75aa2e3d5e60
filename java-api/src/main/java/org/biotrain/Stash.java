package org.biotrain;

/** How maps are kept that one part of a training step makes and a later one needs. */
public enum Stash {
    /** As they are. */
    FLOAT32,
    /**
     * Rounded to IEEE half precision, where the plan keeps them longer than it computes with them: about half the
     * memory for a loss that is a little off. All arithmetic stays in single precision. Numbers beyond 65504 become
     * 65504; kept gradients are scaled by 4096, so theirs is 16.
     */
    FLOAT16
}
