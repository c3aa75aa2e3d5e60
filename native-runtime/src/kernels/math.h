/*
 * Elementary functions in single precision, the same bits on every device: only IEEE operations and
 * explicit multiply-adds, no tables, no branches, so that loops over them vectorise.
 *
 * Errors, measured against double precision over all exponents (test_kernel_math): at most 2 ulp
 * for exp, expm1, log, tanh and erf, 3 ulp for sigmoid. Polynomials are minimax fits (weighted
 * least squares on Chebyshev nodes).
 */
#ifndef BT_KERNEL_MATH_H
#define BT_KERNEL_MATH_H

#include "kernels/kernel.h"

#define BT_INFINITY __builtin_inff()
#define BT_NAN __builtin_nanf("")

static inline uint32_t bt_float_bits(float x) {
    union {
        float f;
        uint32_t u;
    } value;
    value.f = x;
    return value.u;
}

static inline float bt_bits_float(uint32_t bits) {
    union {
        uint32_t u;
        float f;
    } value;
    value.u = bits;
    return value.f;
}

static inline float bt_sqrtf(float x) { return __builtin_sqrtf(x); }

/* e^x = 2^n (1 + p): returns p, |p| < 0.42, and n as the bits of a signed integer. */
static inline float bt_exp_reduce(float x, uint32_t *n) {
    /* Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. */
    const float shift = 12582912.0f;
    float shifted = bt_fma(x, 0x1.715476p+0f, shift);
    float whole = shifted - shift;
    *n = bt_float_bits(shifted) - bt_float_bits(shift);
    float r = bt_fma(whole, -0x1.62e430p-1f, x);
    r = bt_fma(whole, 0x1.05c610p-29f, r);
    float q = 0x1.6dbc68p-10f;
    q = bt_fma(q, r, 0x1.124148p-7f);
    q = bt_fma(q, r, 0x1.555454p-5f);
    q = bt_fma(q, r, 0x1.555486p-3f);
    q = bt_fma(q, r, 0.5f);
    return bt_fma(r * r, q, r);
}

/* Underflows gradually, overflows to infinity, keeps NaN. */
static inline float bt_expf(float x) {
    /* Beyond these bounds the result is 0 or infinity anyway; NaN passes both comparisons. */
    float bounded = x < -104.0f ? -104.0f : x;
    bounded = bounded > 89.0f ? 89.0f : bounded;
    uint32_t n;
    float p = bt_exp_reduce(bounded, &n);
    /* 2^n in two factors: n runs from -150 to 128, beyond the exponents of normal numbers. */
    uint32_t half = ((n + 256u) >> 1) - 128u;
    float first = bt_bits_float((half + 127u) << 23);
    float second = bt_bits_float((n - half + 127u) << 23);
    return (p + 1.0f) * first * second;
}

/* e^x - 1 for x <= 0. */
static inline float bt_expm1f(float x) {
    float bounded = x < -60.0f ? -60.0f : x;
    uint32_t n;
    float p = bt_exp_reduce(bounded, &n);
    float scale = bt_bits_float((n + 127u) << 23);
    return bt_fma(p, scale, scale - 1.0f);
}

/* ln(x) = e ln(2) + ln(1 + f) with 1 + f in [sqrt(1/2), sqrt(2)). 0 gives -infinity, x < 0 NaN. */
static inline float bt_logf(float x) {
    uint32_t subnormal = x < 0x1p-126f;
    float scaled = subnormal ? x * 0x1p+23f : x;
    uint32_t offset = bt_float_bits(scaled) - 0x3F3504F3u;
    float e = (float)((int32_t)offset >> 23) - (subnormal ? 23.0f : 0.0f);
    float f = bt_bits_float((offset & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    /* ln(1 + f) = 2 atanh(s) = 2s + s z q(z) with s = f / (2 + f), z = s^2, and 2s = f - s f. */
    float s = f / (2.0f + f);
    float z = s * s;
    float q = 0x1.e31f7cp-3f;
    q = bt_fma(q, z, 0x1.2437d2p-2f);
    q = bt_fma(q, z, 0x1.999a7ep-2f);
    q = bt_fma(q, z, 0x1.555554p-1f);
    float small = bt_fma(-s, bt_fma(-z, q, f), e * -0x1.05c610p-29f);
    float result = bt_fma(e, 0x1.62e430p-1f, f + small);
    result = x == 0.0f ? -BT_INFINITY : result;
    result = x < 0.0f ? BT_NAN : result;
    /* Infinity and NaN themselves. */
    return x < BT_INFINITY ? result : x;
}

/* An odd polynomial near 0, 1 - 2 / (e^2x + 1) elsewhere. */
static inline float bt_tanhf(float x) {
    float a = __builtin_fabsf(x);
    float z = a * a;
    float q = -0x1.722b06p-8f;
    q = bt_fma(q, z, 0x1.5157fep-6f);
    q = bt_fma(q, z, -0x1.b81dc2p-5f);
    q = bt_fma(q, z, 0x1.110646p-3f);
    q = bt_fma(q, z, -0x1.55552ep-2f);
    float near = bt_fma(a * z, q, a);
    float far = 1.0f - 2.0f / (bt_expf(2.0f * a) + 1.0f);
    return __builtin_copysignf(a < 0.625f ? near : far, x);
}

/* An odd polynomial near 0, 1 - e^p(x) with p a fit of ln(erfc) elsewhere; 1 from 4 on. */
static inline float bt_erff(float x) {
    float a = __builtin_fabsf(x);
    a = a > 4.0f ? 4.0f : a;
    float z = a * a;
    float q = 0x1.5d47bcp-14f;
    q = bt_fma(q, z, -0x1.aa6a2ep-11f);
    q = bt_fma(q, z, 0x1.54cde6p-8f);
    q = bt_fma(q, z, -0x1.b80f50p-6f);
    q = bt_fma(q, z, 0x1.ce2e14p-4f);
    q = bt_fma(q, z, -0x1.812744p-2f);
    q = bt_fma(q, z, 0x1.06eba8p-3f);
    float near = bt_fma(a, q, a);
    float p = -0x1.63099ap-16f;
    p = bt_fma(p, a, 0x1.c85c20p-12f);
    p = bt_fma(p, a, -0x1.1196e0p-8f);
    p = bt_fma(p, a, 0x1.9bb516p-6f);
    p = bt_fma(p, a, -0x1.bb926ep-4f);
    p = bt_fma(p, a, -0x1.444470p-1f);
    p = bt_fma(p, a, -0x1.212846p+0f);
    p = bt_fma(p, a, 0x1.70d600p-13f);
    float far = 1.0f - bt_expf(p);
    return __builtin_copysignf(a < 0.92f ? near : far, x);
}

/* 1 / (1 + e^-x) without overflow on either side. */
static inline float bt_sigmoidf(float x) {
    float e = bt_expf(-__builtin_fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

#endif
