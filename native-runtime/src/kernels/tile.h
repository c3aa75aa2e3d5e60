/*
 * Register tiles: the inner loops of convolutions and matrix products. Every element of a tile is
 * one output with its own sum; a tile adds count products to each, in order:
 *
 *     sum[c][i] = fma(a[c * a_channel + k * a_step], b[k * b_step + i], sum[c][i])   k = 0 …
 * count-1
 *
 * The loops are plain C that GCC and Clang turn into multiply-adds on registers.
 */
#ifndef BT_TILE_H
#define BT_TILE_H

#include "kernels/kernels.h"

#define BT_TILE_CHANNELS 4u
#define BT_TILE (2u * BT_LANES)      /* outputs per channel of a tile of four channels */
#define BT_TILE_WIDE (8u * BT_LANES) /* outputs of a tile of one channel */

/* Four channels by BT_TILE outputs. The rows have names because GCC 12 would otherwise vectorise
 * across them. */
static inline void bt_tile_four(float sum[BT_TILE_CHANNELS][BT_TILE], uint32_t count,
                                const float *restrict a, int32_t a_channel, int32_t a_step,
                                const float *restrict b, int32_t b_step) {
    float s0[BT_TILE], s1[BT_TILE], s2[BT_TILE], s3[BT_TILE];
    for (uint32_t i = 0; i < BT_TILE; i++) {
        s0[i] = sum[0][i];
        s1[i] = sum[1][i];
        s2[i] = sum[2][i];
        s3[i] = sum[3][i];
    }
    for (uint32_t k = 0; k < count; k++) {
        float a0 = a[0], a1 = a[a_channel], a2 = a[2 * a_channel], a3 = a[3 * a_channel];
        for (uint32_t i = 0; i < BT_TILE; i++) {
            float x = b[i];
            s0[i] = bt_fma(a0, x, s0[i]);
            s1[i] = bt_fma(a1, x, s1[i]);
            s2[i] = bt_fma(a2, x, s2[i]);
            s3[i] = bt_fma(a3, x, s3[i]);
        }
        a += a_step;
        b += b_step;
    }
    for (uint32_t i = 0; i < BT_TILE; i++) {
        sum[0][i] = s0[i];
        sum[1][i] = s1[i];
        sum[2][i] = s2[i];
        sum[3][i] = s3[i];
    }
}

/* One channel by width outputs; width is a constant where this is inlined, at most BT_TILE_WIDE. */
static inline __attribute__((always_inline)) void
bt_tile_one(float *sum, uint32_t width, uint32_t count, const float *restrict a, int32_t a_step,
            const float *restrict b, int32_t b_step) {
    float s[BT_TILE_WIDE];
    for (uint32_t i = 0; i < width; i++) {
        s[i] = sum[i];
    }
    for (uint32_t k = 0; k < count; k++) {
        float a0 = a[0];
        for (uint32_t i = 0; i < width; i++) {
            s[i] = bt_fma(a0, b[i], s[i]);
        }
        a += a_step;
        b += b_step;
    }
    for (uint32_t i = 0; i < width; i++) {
        sum[i] = s[i];
    }
}

/* One channel by BT_TILE_WIDE, BT_TILE or BT_LANES outputs. */
static inline void bt_tile_row(float *sum, uint32_t width, uint32_t count, const float *a,
                               int32_t a_step, const float *b, int32_t b_step) {
    if (width == BT_TILE_WIDE) {
        bt_tile_one(sum, BT_TILE_WIDE, count, a, a_step, b, b_step);
    } else if (width == BT_TILE) {
        bt_tile_one(sum, BT_TILE, count, a, a_step, b, b_step);
    } else {
        bt_tile_one(sum, BT_LANES, count, a, a_step, b, b_step);
    }
}

#endif
