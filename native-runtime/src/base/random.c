#include "base/error.h"
#include "kernels/math.h"
#include "kernels/philox.h"

#include <math.h>

/* Word number index of the generator. */
static uint32_t random_word(uint64_t seed, uint64_t stream, uint64_t index) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)(index / 4), (uint32_t)(index >> 34), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    uint32_t words[4];
    bt_philox(key, counter, words);
    return words[index % 4];
}

bt_status bt_random_uniform(uint64_t seed, uint64_t stream, size_t count, float *out) {
    BT_REQUIRE(out);
    for (size_t i = 0; i < count; i++) {
        out[i] = bt_philox_uniform(random_word(seed, stream, i));
    }
    return BT_OK;
}

static double rational(const double *numerator, uint32_t terms, const double *denominator,
                       double x) {
    double above = 0.0;
    double below = 0.0;
    for (uint32_t i = 0; i < terms; i++) {
        above = above * x + numerator[i];
        below = below * x + denominator[i];
    }
    return above / below;
}

/* Quantile of the normal distribution: Wichura's PPND7 (Applied Statistics 37, 1988), relative
 * error about 1e-7. One number from one word, so that numbers stay independent of each other. */
static float normal_quantile(double p) {
    static const double centre_above[] = {5.9109374720e1, 1.5929113202e2, 5.0434271938e1,
                                          3.3871327179e0};
    static const double centre_below[] = {6.7187563600e1, 7.8757757664e1, 1.7895169469e1, 1.0};
    static const double middle_above[] = {1.7023821103e-1, 1.3067284816e0, 2.7568153900e0,
                                          1.4234372777e0};
    static const double middle_below[] = {0.0, 1.2021132975e-1, 7.3700164250e-1, 1.0};
    double q = p - 0.5;
    if (q >= -0.425 && q <= 0.425) {
        return (float)(q * rational(centre_above, 4, centre_below, 0.180625 - q * q));
    }
    /* p is at least 2^-33, so sqrt(-ln p) < 5 and Wichura's third range is never reached. */
    double r = sqrt(-(double)bt_logf((float)(q < 0.0 ? p : 1.0 - p)));
    double x = rational(middle_above, 4, middle_below, r - 1.6);
    return (float)(q < 0.0 ? -x : x);
}

bt_status bt_random_normal(uint64_t seed, uint64_t stream, size_t count, float *out) {
    BT_REQUIRE(out);
    for (size_t i = 0; i < count; i++) {
        out[i] = normal_quantile(((double)random_word(seed, stream, i) + 0.5) * 0x1p-32);
    }
    return BT_OK;
}

bt_status bt_random_permutation(uint64_t seed, uint64_t stream, uint32_t count, uint32_t *out) {
    BT_REQUIRE(out);
    for (uint32_t i = 0; i < count; i++) {
        out[i] = i;
    }
    for (uint32_t i = count; i > 1; i--) {
        /* A uniform number below i. */
        uint32_t other = (uint32_t)((uint64_t)random_word(seed, stream, i) * i >> 32);
        uint32_t swapped = out[i - 1];
        out[i - 1] = out[other];
        out[other] = swapped;
    }
    return BT_OK;
}
