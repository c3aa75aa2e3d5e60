/* Elementary functions of the kernels against double precision, and the random generator. */
#include <math.h>
#include <string.h>

#include "kernels/math.h"
#include "kernels/philox.h"
#include "support.h"

/* Distance in units of the last place of the exact result (that of the least normal number at
 * least half as coarse below it: subnormal results count in their own spacing). */
static double ulps(float actual, double exact) {
    if (isnan(exact)) {
        return isnan(actual) ? 0 : INFINITY;
    }
    if (fabs(exact) > 3.4028235677973366e38) { /* rounds to infinity */
        return isinf(actual) && signbit(actual) == signbit(exact) ? 0 : INFINITY;
    }
    int exponent;
    frexp(exact, &exponent);
    double unit = ldexp(1.0, exponent < -125 ? -149 : exponent - 24);
    return fabs(actual - exact) / unit;
}

/* Largest error over every step-th float of both signs. */
static void check_function(const char *name, float (*actual)(float), double (*exact)(double),
                           uint32_t first, uint32_t last, int both_signs, double limit) {
    double worst = 0;
    float where = 0;
    for (uint32_t bits = first; bits <= last; bits += 1021) {
        for (int negative = 0; negative <= both_signs; negative++) {
            float x = bt_bits_float(bits | (negative ? 0x80000000u : 0));
            double error = ulps(actual(x), exact(x));
            if (!(error <= worst)) {
                worst = error;
                where = x;
            }
        }
    }
    printf("    %-8s %.3f ulp at %.9g\n", name, worst, where);
    CHECK(worst <= limit, "%s(%a) is off by %g ulp", name, where, worst);
}

static double exact_sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* Out-of-line copies whose address can be taken. */
static float exp_of(float x) { return bt_expf(x); }
static float expm1_of(float x) { return bt_expm1f(-x); }
static double exact_expm1(double x) { return expm1(-x); }
static float log_of(float x) { return bt_logf(x); }
static float tanh_of(float x) { return bt_tanhf(x); }
static float erf_of(float x) { return bt_erff(x); }
static float sigmoid_of(float x) { return bt_sigmoidf(x); }

#define ALL_FINITE 0x00000000u, 0x7F7FFFFFu

static void errors_are_at_most_two_ulp(void) {
    check_function("exp", exp_of, exp, ALL_FINITE, 1, 2);
    check_function("expm1", expm1_of, exact_expm1, ALL_FINITE, 0, 2);
    check_function("log", log_of, log, 0x00000001u, 0x7F7FFFFFu, 0, 2);
    check_function("tanh", tanh_of, tanh, ALL_FINITE, 1, 2);
    check_function("erf", erf_of, erf, ALL_FINITE, 1, 2);
    /* Two roundings more than exp. */
    check_function("sigmoid", sigmoid_of, exact_sigmoid, ALL_FINITE, 1, 3);
}

static void special_values(void) {
    float nan = BT_NAN, infinity = BT_INFINITY;
    CHECK(bt_expf(0.0f) == 1.0f && bt_expf(-0.0f) == 1.0f, "e^0");
    CHECK(bt_expf(infinity) == infinity && bt_expf(-infinity) == 0.0f, "e^infinity");
    CHECK(bt_expf(-103.0f) > 0.0f, "gradual underflow");
    CHECK(bt_logf(1.0f) == 0.0f, "ln 1");
    CHECK(bt_logf(0.0f) == -infinity && bt_logf(-0.0f) == -infinity, "ln 0");
    CHECK(isnan(bt_logf(-1.0f)) && isnan(bt_logf(-infinity)), "ln of a negative number");
    CHECK(bt_logf(infinity) == infinity, "ln infinity");
    CHECK(bt_tanhf(infinity) == 1.0f && bt_tanhf(-infinity) == -1.0f, "tanh infinity");
    CHECK(bt_erff(infinity) == 1.0f && bt_erff(-infinity) == -1.0f, "erf infinity");
    CHECK(signbit(bt_tanhf(-0.0f)) && signbit(bt_erff(-0.0f)), "odd functions keep -0");
    CHECK(bt_sigmoidf(infinity) == 1.0f && bt_sigmoidf(-infinity) == 0.0f, "sigmoid infinity");
    CHECK(isnan(bt_expf(nan)) && isnan(bt_expm1f(nan)) && isnan(bt_logf(nan)) &&
              isnan(bt_tanhf(nan)) && isnan(bt_erff(nan)) && isnan(bt_sigmoidf(nan)),
          "NaN in, NaN out");
}

/* The known answers that the authors of Philox publish with it. */
static void philox_known_answers(void) {
    static const struct {
        uint32_t counter[4], key[2], word[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627E8D5u, 0xE169C58Du, 0xBC57AC4Cu, 0x9B00DBD8u}},
        {{0xFFFFFFFFu, 0xFFFFFFFFu, 0xFFFFFFFFu, 0xFFFFFFFFu},
         {0xFFFFFFFFu, 0xFFFFFFFFu},
         {0x408F276Du, 0x41C83B0Eu, 0xA20BC7C6u, 0x6D5451FDu}},
        {{0x243F6A88u, 0x85A308D3u, 0x13198A2Eu, 0x03707344u},
         {0xA4093822u, 0x299F31D0u},
         {0xD16CFE09u, 0x94FDCCEBu, 0x5001E420u, 0x24126EA1u}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t word[4];
        bt_philox(known[i].key, known[i].counter, word);
        CHECK(memcmp(word, known[i].word, sizeof word) == 0, "case %zu: %08x", i, word[0]);
    }
    CHECK(bt_philox_uniform(0) == 0.0f && bt_philox_uniform(0xFFFFFFFFu) < 1.0f, "[0, 1)");
}

int main(void) {
    RUN(errors_are_at_most_two_ulp);
    RUN(special_values);
    RUN(philox_known_answers);
    return REPORT();
}
