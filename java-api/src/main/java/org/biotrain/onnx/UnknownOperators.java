package org.biotrain.onnx;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What to say about operators that can't be imported. */
final class UnknownOperators {
    /** Operators that {@link Conversion} converts, knows as pieces of layers, or that compute shapes. */
    private static final Set<String> KNOWN = Set.of(
            "Add",
            "AveragePool",
            "BatchNormalization",
            "Concat",
            "Conv",
            "Div",
            "Dropout",
            "Elu",
            "Erf",
            "Flatten",
            "Gelu",
            "Gemm",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "GroupNormalization",
            "HardSigmoid",
            "HardSwish",
            "InstanceNormalization",
            "LayerNormalization",
            "LeakyRelu",
            "LogSoftmax",
            "MatMul",
            "MaxPool",
            "Mul",
            "Pad",
            "Pow",
            "ReduceMean",
            "Relu",
            "Reshape",
            "Sigmoid",
            "Softmax",
            "Sqrt",
            "Squeeze",
            "Sub",
            "Swish",
            "Tanh",
            "Transpose",
            "Unsqueeze");

    private UnknownOperators() {}

    /** Why nodes of a type can't be imported and what comes nearest, or null if some can. */
    static @Nullable String hint(String type) {
        if (KNOWN.contains(type)) {
            return null;
        }
        if (type.indexOf(':') >= 0 || type.startsWith("Q") || type.startsWith("Dequantize")) {
            return "operators outside plain ONNX and quantised ones are not supported; export the network unfused, in"
                    + " float32 and before quantisation";
        }
        String nearest = switch (type) {
            case "LSTM", "GRU", "RNN" -> "Conv over time";
            case "ConvTranspose", "Resize", "Upsample" -> "Conv";
            case "ReduceMax", "ReduceSum", "LpPool", "GlobalLpPool" -> "AveragePool, MaxPool or GlobalAveragePool";
            case "PRelu", "Clip", "Selu", "ThresholdedRelu" -> "Relu or LeakyRelu";
            case "Celu" -> "Elu";
            case "Mish", "Softplus", "Softsign" -> "Gelu, SiLU or HardSwish";
            case "LRN", "MeanVarianceNormalization", "LpNormalization", "RMSNormalization" ->
                "GroupNormalization or LayerNormalization";
            case "Einsum", "Attention" -> "MatMul, Transpose and Softmax";
            case "Split", "Slice", "Gather" -> "Conv with groups";
            case "If", "Loop", "Scan" -> "a network exported without branches";
            default -> "one of the operators that `biotrain ops` lists";
        };
        return "the operator is not supported; nearest is " + nearest;
    }
}
