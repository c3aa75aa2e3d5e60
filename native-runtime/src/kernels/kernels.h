/*
 * What the files of this folder share: the list of kernels, access to operands, sizes of register
 * tiles. Private to the folder.
 */
#ifndef BT_KERNELS_H
#define BT_KERNELS_H

#include "kernels/kernel.h"

/* One row per opcode: its enumerator and its kernel. */
#define BT_KERNEL_LIST(X)                                                                          \
    X(CONV_FORWARD, bt_conv_forward)                                                               \
    X(CONV_GRAD_INPUT, bt_conv_grad_input)                                                         \
    X(CONV_GRAD_WEIGHT, bt_conv_grad_weight)                                                       \
    X(CHANNEL_SUM, bt_channel_sum)                                                                 \
    X(MATMUL, bt_matmul)                                                                           \
    X(NORM_FORWARD, bt_norm_forward)                                                               \
    X(NORM_GRAD_INPUT, bt_norm_grad_input)                                                         \
    X(NORM_GRAD_PARAMETERS, bt_norm_grad_parameters)                                               \
    X(BATCH_NORM_FORWARD, bt_batch_norm_forward)                                                   \
    X(BATCH_NORM_GRAD_INPUT, bt_batch_norm_grad_input)                                             \
    X(BATCH_NORM_GRAD_PARAMETERS, bt_batch_norm_grad_parameters)                                   \
    X(FROZEN_NORM_FORWARD, bt_frozen_norm_forward)                                                 \
    X(FROZEN_NORM_GRAD_INPUT, bt_frozen_norm_grad_input)                                           \
    X(FROZEN_NORM_GRAD_PARAMETERS, bt_frozen_norm_grad_parameters)                                 \
    X(ACTIVATION_FORWARD, bt_activation_forward)                                                   \
    X(ACTIVATION_GRAD, bt_activation_grad)                                                         \
    X(MAX_POOL_FORWARD, bt_max_pool_forward)                                                       \
    X(MAX_POOL_GRAD, bt_max_pool_grad)                                                             \
    X(AVERAGE_POOL_FORWARD, bt_average_pool_forward)                                               \
    X(AVERAGE_POOL_GRAD, bt_average_pool_grad)                                                     \
    X(BINARY, bt_binary)                                                                           \
    X(BROADCAST_REDUCE, bt_broadcast_reduce)                                                       \
    X(ACCUMULATE, bt_accumulate)                                                                   \
    X(TRANSPOSE, bt_transpose)                                                                     \
    X(COPY_BLOCKS, bt_copy_blocks)                                                                 \
    X(SOFTMAX_FORWARD, bt_softmax_forward)                                                         \
    X(SOFTMAX_GRAD, bt_softmax_grad)                                                               \
    X(DROPOUT, bt_dropout)                                                                         \
    X(CROSS_ENTROPY, bt_cross_entropy)                                                             \
    X(MSE, bt_mse)                                                                                 \
    X(INNER_PRODUCT, bt_inner_product)                                                             \
    X(ZERO, bt_zero)                                                                               \
    X(SGD, bt_sgd)                                                                                 \
    X(ADAM, bt_adam)                                                                               \
    X(NORM_SUMS, bt_norm_sums)                                                                     \
    X(NORM_SQUARES, bt_norm_squares)                                                               \
    X(NORM_FOLD, bt_norm_fold)                                                                     \
    X(NORM_APPLY, bt_norm_apply)                                                                   \
    X(NORM_GRAD_SUMS, bt_norm_grad_sums)                                                           \
    X(NORM_GRAD_APPLY, bt_norm_grad_apply)                                                         \
    X(CONVERT, bt_convert)                                                                         \
    X(SIGN_MASK, bt_sign_mask)                                                                     \
    X(MASK_GRAD, bt_mask_grad)

#define BT_KERNEL_DECLARE(opcode, name)                                                            \
    void BT_KERNEL(name)(const bt_call *call, const bt_team *team);
BT_KERNEL_LIST(BT_KERNEL_DECLARE)
#undef BT_KERNEL_DECLARE

/* Floats per SIMD register; 1 where floats are processed one by one. */
#if defined(__AVX512F__)
#define BT_LANES 16
#elif defined(__AVX2__)
#define BT_LANES 8
#else
#define BT_LANES 1
#endif

/* Elements that element-wise kernels compute before they store them: going through a small buffer
 * lets an output take the place of an input and the compiler still vectorise. A multiple of
 * BT_SUM_LANES that divides BT_REDUCTION_BLOCK. */
#define BT_CHUNK (BT_LANES > 1 ? 64u : 16u)

/* A chunk of n <= BT_CHUNK elements; what is missing from a whole chunk becomes 0, so that loops
 * over a chunk have a constant length. */
static inline void bt_chunk_load(const float *from, uint32_t n, float to[BT_CHUNK]) {
    uint32_t i = 0;
    if (n == BT_CHUNK) {
        for (; i < BT_CHUNK; i++) {
            to[i] = from[i];
        }
    }
    for (; i < n; i++) {
        to[i] = from[i];
    }
    for (; i < BT_CHUNK; i++) {
        to[i] = 0.0f;
    }
}

static inline void bt_chunk_store(const float from[BT_CHUNK], uint32_t n, float *to) {
    uint32_t i = 0;
    if (n == BT_CHUNK) {
        for (; i < BT_CHUNK; i++) {
            to[i] = from[i];
        }
    }
    for (; i < n; i++) {
        to[i] = from[i];
    }
}

/* Data of operand index, NULL if it is absent. */
static inline float *bt_call_operand(const bt_call *call, uint32_t index) {
    return index < call->operand_count && call->tensor[index] ? (float *)call->data[index] : NULL;
}

/* Attribute index as a count or extent. */
static inline uint32_t bt_call_count(const bt_call *call, uint32_t index) {
    return (uint32_t)call->attribute[index];
}

static inline uint32_t bt_call_elements(const bt_call *call, uint32_t index) {
    return bt_tensor_elements(call->tensor[index]);
}

static inline uint32_t bt_min(uint32_t a, uint32_t b) { return a < b ? a : b; }

static inline uint32_t bt_divide_up(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

#endif
