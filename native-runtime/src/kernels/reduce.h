/*
 * Sums over large extents. A block of at most BT_REDUCTION_BLOCK elements is summed in 16 lanes
 * (element i belongs to lane i mod 16) that are then folded as a fixed tree; the sums of blocks are
 * added in order. Lanes map to SIMD registers, hide the latency of an addition on a device, and
 * keep the rounding error small.
 */
#ifndef BT_REDUCE_H
#define BT_REDUCE_H

#include "kernels/kernels.h"

#define BT_SUM_LANES 16u

/* Four lanes at once, in the compiler's own vector type: GCC 12 does not recognise the same sums
 * written as a loop over an array. */
typedef float bt_four __attribute__((vector_size(16), aligned(4), may_alias));

typedef struct bt_sum {
    float lane[BT_SUM_LANES];
} bt_sum;

static inline void bt_sum_clear(bt_sum *sum) {
    for (uint32_t l = 0; l < BT_SUM_LANES; l++) {
        sum->lane[l] = 0.0f;
    }
}

/* Adds the next count elements; only the last call of a block may have a count that is not a
 * multiple of BT_SUM_LANES. */
static inline void bt_sum_add(bt_sum *sum, const float *x, uint32_t count) {
    bt_four *lanes = (bt_four *)sum->lane;
    bt_four a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
    uint32_t i = 0;
    for (; i + BT_SUM_LANES <= count; i += BT_SUM_LANES) {
        const bt_four *v = (const bt_four *)(x + i);
        a += v[0];
        b += v[1];
        c += v[2];
        d += v[3];
    }
    lanes[0] = a;
    lanes[1] = b;
    lanes[2] = c;
    lanes[3] = d;
    for (uint32_t l = 0; i + l < count; l++) {
        sum->lane[l] += x[i + l];
    }
}

static inline float bt_sum_value(const bt_sum *sum) {
    bt_sum folded = *sum;
    for (uint32_t half = BT_SUM_LANES / 2; half > 0; half /= 2) {
        for (uint32_t l = 0; l < half; l++) {
            folded.lane[l] += folded.lane[l + half];
        }
    }
    return folded.lane[0];
}

/* Sum of one block. */
static inline float bt_block_sum(const float *x, uint32_t count) {
    bt_sum sum;
    bt_sum_clear(&sum);
    bt_sum_add(&sum, x, count);
    return bt_sum_value(&sum);
}

/* Sum over one block of (x - mean)^2. */
static inline float bt_block_variance(const float *x, float mean, uint32_t count) {
    bt_sum sum;
    bt_sum_clear(&sum);
    for (uint32_t i = 0; i < count; i += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, count - i);
        float square[BT_CHUNK];
        bt_chunk_load(x + i, n, square);
        for (uint32_t j = 0; j < BT_CHUNK; j++) {
            float difference = square[j] - mean;
            square[j] = difference * difference;
        }
        bt_sum_add(&sum, square, n);
    }
    return bt_sum_value(&sum);
}

/* Sum over one block of a * b. */
static inline float bt_block_dot(const float *a, const float *b, uint32_t count) {
    bt_sum sum;
    bt_sum_clear(&sum);
    for (uint32_t i = 0; i < count; i += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, count - i);
        float product[BT_CHUNK], factor[BT_CHUNK];
        bt_chunk_load(a + i, n, product);
        bt_chunk_load(b + i, n, factor);
        for (uint32_t j = 0; j < BT_CHUNK; j++) {
            product[j] *= factor[j];
        }
        bt_sum_add(&sum, product, n);
    }
    return bt_sum_value(&sum);
}

/* Sum over one block of dy * (x - mean) * inverse. */
static inline float bt_block_normalized_dot(const float *x, const float *dy, float mean,
                                            float inverse, uint32_t count) {
    bt_sum sum;
    bt_sum_clear(&sum);
    for (uint32_t i = 0; i < count; i += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, count - i);
        float product[BT_CHUNK], value[BT_CHUNK];
        bt_chunk_load(dy + i, n, product);
        bt_chunk_load(x + i, n, value);
        for (uint32_t j = 0; j < BT_CHUNK; j++) {
            product[j] *= (value[j] - mean) * inverse;
        }
        bt_sum_add(&sum, product, n);
    }
    return bt_sum_value(&sum);
}

#endif
