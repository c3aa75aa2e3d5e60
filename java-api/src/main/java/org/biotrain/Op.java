package org.biotrain;

/**
 * The operations a network is made of. Shapes are given for batch N; see {@code biotrain ops} for the limits of each.
 */
public enum Op {
    /** x (N,C,H,W) or (N,C,L), weight (O,C/groups,kh,kw) or (O,C/groups,k), bias (O) or absent. */
    CONV(1, 2, 3),
    /** x (…,in), weight (out,in), bias (out) or absent. */
    LINEAR(2, 2, 3),
    /** a (…,M,K), b (…,K,N) with equal or absent batch dimensions in b. */
    MATMUL(3, 2, 2),
    /** x (N,C,…), scale, bias, running mean and running variance (C) each. */
    BATCH_NORM(4, 5, 5),
    /** x (N,C,…), scale (C), bias (C). */
    GROUP_NORM(5, 3, 3),
    /** x, scale and bias (or absent), both shaped as x from {@code axis} on. */
    LAYER_NORM(6, 2, 3),
    /** x (N,C,…), scale (C), bias (C). */
    INSTANCE_NORM(7, 3, 3),
    RELU(8, 1, 1),
    ELU(9, 1, 1),
    LEAKY_RELU(10, 1, 1),
    GELU(11, 1, 1),
    SIGMOID(12, 1, 1),
    TANH(13, 1, 1),
    SILU(14, 1, 1),
    HARDSWISH(15, 1, 1),
    MAX_POOL(16, 1, 1),
    AVERAGE_POOL(17, 1, 1),
    GLOBAL_AVERAGE_POOL(18, 1, 1),
    /** Two operands, broadcast as in NumPy. */
    ADD(19, 2, 2),
    /** Two operands, broadcast as in NumPy. */
    MUL(20, 2, 2),
    /** Two to six operands along {@code axis}. */
    CONCAT(21, 2, 6),
    /** {@code dims}: 0 keeps the input's dimension, one −1 is inferred. */
    RESHAPE(22, 1, 1),
    /** {@code dims}: the permutation. */
    TRANSPOSE(23, 1, 1),
    SOFTMAX(24, 1, 1),
    DROPOUT(25, 1, 1);

    private final int number;
    private final int leastInputs;
    private final int mostInputs;

    Op(int number, int leastInputs, int mostInputs) {
        this.number = number;
        this.leastInputs = leastInputs;
        this.mostInputs = mostInputs;
    }

    /** The operation's number in the native library ({@code bt_op}). */
    public int number() {
        return number;
    }

    int leastInputs() {
        return leastInputs;
    }

    int mostInputs() {
        return mostInputs;
    }
}
