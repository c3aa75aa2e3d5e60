/*
 * Sums over large extents. A block of at most BT_REDUCTION_BLOCK elements is summed in eight lanes
 * (element i belongs to lane i mod 8) that are then folded as a fixed tree; the sums of blocks are
 * added in order. Lanes map to SIMD registers, hide the latency of an addition on a device, and
 * keep the rounding error small.
 */
#ifndef BT_REDUCE_H
#define BT_REDUCE_H

#include "kernels/kernels.h"

#define BT_SUM_LANES 8u

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
    float lane[BT_SUM_LANES];
    for (uint32_t l = 0; l < BT_SUM_LANES; l++) {
        lane[l] = sum->lane[l];
    }
    uint32_t i = 0;
    for (; i + BT_SUM_LANES <= count; i += BT_SUM_LANES) {
        for (uint32_t l = 0; l < BT_SUM_LANES; l++) {
            lane[l] += x[i + l];
        }
    }
    for (uint32_t l = 0; i + l < count; l++) {
        lane[l] += x[i + l];
    }
    for (uint32_t l = 0; l < BT_SUM_LANES; l++) {
        sum->lane[l] = lane[l];
    }
}

static inline float bt_sum_value(const bt_sum *sum) {
    const float *lane = sum->lane;
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
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
        for (uint32_t j = 0; j < n; j++) {
            float difference = x[i + j] - mean;
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
        float product[BT_CHUNK];
        for (uint32_t j = 0; j < n; j++) {
            product[j] = a[i + j] * b[i + j];
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
        float product[BT_CHUNK];
        for (uint32_t j = 0; j < n; j++) {
            product[j] = dy[i + j] * ((x[i + j] - mean) * inverse);
        }
        bt_sum_add(&sum, product, n);
    }
    return bt_sum_value(&sum);
}

#endif
