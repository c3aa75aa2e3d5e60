package org.biotrain;

import java.util.List;
import org.biotrain.internal.NativeLibraryInfo;

/**
 * One row of the op table: what can be imported and trained, with which limits.
 *
 * @param op the operation
 * @param name for example {@code Conv}
 * @param onnx the ONNX operators that become this operation
 * @param limits what is supported, one sentence
 * @param backwardNeeds what the backward pass keeps: {@code x, weight}, {@code y}, {@code shape} …
 * @param differentiable whether gradients of every operand exist
 * @param tolerance relative error allowed against float64 references
 */
public record OpInfo(
        Op op,
        String name,
        List<String> onnx,
        String limits,
        String backwardNeeds,
        boolean differentiable,
        float tolerance) {
    /** The table, in the order of the native library. */
    public static List<OpInfo> table() {
        return NativeLibraryInfo.ops();
    }
}
