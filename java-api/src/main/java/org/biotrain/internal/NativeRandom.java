package org.biotrain.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.biotrain.InvalidArgumentException;
import org.biotrain.ffi.biotrain_h;

/** The native library's random numbers. */
public final class NativeRandom {
    private NativeRandom() {}

    /** Numbers uniform in [0, 1). */
    public static float[] uniform(long seed, long stream, int count) {
        return floats(count, out -> biotrain_h.bt_random_uniform(seed, stream, count, out));
    }

    /** Standard normal numbers. */
    public static float[] normal(long seed, long stream, int count) {
        return floats(count, out -> biotrain_h.bt_random_normal(seed, stream, count, out));
    }

    /** A permutation of 0 … count − 1. */
    public static int[] permutation(long seed, long stream, int count) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = allocate(arena, ValueLayout.JAVA_INT, count);
            Native.check(biotrain_h.bt_random_permutation(seed, stream, count, out));
            return out.toArray(ValueLayout.JAVA_INT);
        }
    }

    private interface Call {
        int into(MemorySegment out);
    }

    private static float[] floats(int count, Call call) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = allocate(arena, ValueLayout.JAVA_FLOAT, count);
            Native.check(call.into(out));
            return out.toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    private static MemorySegment allocate(Arena arena, ValueLayout layout, int count) {
        Native.load();
        if (count < 1) {
            throw new InvalidArgumentException("The number of random values is " + count + ", but must be at least 1");
        }
        return arena.allocate(layout, count);
    }
}
