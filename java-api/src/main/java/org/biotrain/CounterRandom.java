package org.biotrain;

import org.biotrain.internal.NativeRandom;

/**
 * The counter-based generator (Philox4x32-10) that also orders the samples and drives dropout: number i of a (seed,
 * stream) pair is a pure function of the three, on every platform.
 */
public final class CounterRandom {
    private CounterRandom() {}

    /** Numbers uniform in [0, 1). */
    public static float[] uniform(long seed, long stream, int count) {
        return NativeRandom.uniform(seed, stream, count);
    }

    /** Numbers with mean 0 and standard deviation 1. */
    public static float[] normal(long seed, long stream, int count) {
        return NativeRandom.normal(seed, stream, count);
    }

    /** A permutation of 0 … {@code count} − 1. */
    public static int[] permutation(long seed, long stream, int count) {
        return NativeRandom.permutation(seed, stream, count);
    }
}
