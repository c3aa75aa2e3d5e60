/*
 * IEEE half precision (1 sign, 5 exponent, 10 fraction bits) by integer arithmetic and one exact
 * addition: the same bits on every device, whatever instructions it has for it.
 */
#ifndef BT_KERNEL_HALF_H
#define BT_KERNEL_HALF_H

#include "kernels/math.h"

/*
 * The nearest half, ties to even; halves below 2^-14 are subnormal. A finite number of 65520 or
 * more, which would round to infinity, becomes the largest half, 65504: one large element must not
 * turn a whole map into NaN. Infinity stays infinity, NaN the quiet NaN 0x7E00, so that a diverged
 * training is seen.
 */
static inline uint16_t bt_half_from_float(float x) {
    uint32_t bits = bt_float_bits(x);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    /* Exponent rebiased by 15 - 127; the 13 bits that fall away round into the others. */
    uint32_t half = (magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1u)) >> 13;
    /* One unit in the last place of 0.5 … 1 is 2^-24, the least half: the addition rounds to it. */
    uint32_t small = bt_float_bits(bt_bits_float(magnitude) + 0.5f) - 0x3F000000u;
    half = magnitude < 0x38800000u ? small : half;
    half = magnitude >= 0x477FF000u ? 0x7BFFu : half;
    half = magnitude >= 0x7F800000u ? 0x7C00u : half;
    half = magnitude > 0x7F800000u ? 0x7E00u : half;
    return (uint16_t)(sign | half);
}

/* Exact. */
static inline float bt_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7FFFu;
    uint32_t bits = (magnitude << 13) + 0x38000000u;
    uint32_t small = bt_float_bits(bt_bits_float(0x3F000000u + magnitude) - 0.5f);
    bits = magnitude < 0x400u ? small : bits;
    bits = magnitude >= 0x7C00u ? (magnitude << 13) + 0x70000000u : bits;
    return bt_bits_float(sign | bits);
}

#endif
