/* The public random numbers. */
#include "biotrain/biotrain.h"
#include "support.h"

#include <math.h>
#include <string.h>

#define COUNT 100000u

static float numbers[COUNT];

static void words_are_those_of_philox(void) {
    /* Known answers of Random123: key 0, counter 0. */
    static const uint32_t words[] = {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8};
    float out[4];
    CHECK(bt_random_uniform(0, 0, 4, out) == BT_OK, "refused");
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(out[i] == (float)(words[i] >> 8) * 0x1p-24f, "number %u is %.9g", i, (double)out[i]);
    }
}

static void numbers_depend_on_seed_stream_and_position_only(void) {
    float few[10], other[10];
    bt_random_normal(5, 9, COUNT, numbers);
    bt_random_normal(5, 9, 10, few);
    CHECK(memcmp(few, numbers, sizeof few) == 0, "a shorter row differs");
    bt_random_normal(6, 9, 10, other);
    CHECK(memcmp(few, other, sizeof few) != 0, "another seed gives the same");
    bt_random_normal(5, 10, 10, other);
    CHECK(memcmp(few, other, sizeof few) != 0, "another stream gives the same");
    bt_random_normal(5ull << 32, 9, 10, other);
    CHECK(memcmp(few, other, sizeof few) != 0, "the seed's high word is ignored");
}

/* Share of numbers below limit. */
static double share_below(double limit) {
    uint32_t below = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        below += numbers[i] < limit;
    }
    return (double)below / COUNT;
}

static void normal_numbers_follow_the_normal_distribution(void) {
    bt_random_normal(1, 2, COUNT, numbers);
    for (double limit = -3.5; limit <= 3.5; limit += 0.25) {
        double expected = 0.5 * erfc(-limit / sqrt(2.0));
        double deviation = sqrt(expected * (1.0 - expected) / COUNT);
        CHECK(fabs(share_below(limit) - expected) < 4.5 * deviation, "%f below %f instead of %f",
              share_below(limit), limit, expected);
    }
}

static void uniform_numbers_fill_their_interval(void) {
    bt_random_uniform(1, 2, COUNT, numbers);
    CHECK(share_below(0.0) == 0.0 && share_below(1.0) == 1.0, "numbers outside [0, 1)");
    for (double limit = 0.1; limit < 1.0; limit += 0.1) {
        CHECK(fabs(share_below(limit) - limit) < 0.007, "%f below %f", share_below(limit), limit);
    }
}

static void permutations_hold_every_number_once(void) {
    uint32_t permutation[1000], seen[1000] = {0}, fixed = 0;
    bt_random_permutation(3, 4, 1000, permutation);
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK(permutation[i] < 1000, "%u at %u", permutation[i], i);
        seen[permutation[i] % 1000]++;
        fixed += permutation[i] == i;
    }
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK(seen[i] == 1, "%u occurs %u times", i, seen[i]);
    }
    CHECK(fixed < 10, "%u numbers stayed in place", fixed);
    uint32_t first[3] = {0};
    for (uint64_t seed = 0; seed < 3000; seed++) {
        bt_random_permutation(seed, 0, 3, permutation);
        first[permutation[0]]++;
    }
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(first[i] > 880 && first[i] < 1120, "%u is first %u times of 3000", i, first[i]);
    }
}

static void a_missing_array_is_refused(void) {
    CHECK(bt_random_uniform(0, 0, 1, NULL) == BT_ERROR_ARGUMENT, "uniform");
    CHECK(bt_random_normal(0, 0, 1, NULL) == BT_ERROR_ARGUMENT, "normal");
    CHECK(bt_random_permutation(0, 0, 1, NULL) == BT_ERROR_ARGUMENT, "permutation");
}

int main(void) {
    RUN(words_are_those_of_philox);
    RUN(numbers_depend_on_seed_stream_and_position_only);
    RUN(normal_numbers_follow_the_normal_distribution);
    RUN(uniform_numbers_fill_their_interval);
    RUN(permutations_hold_every_number_once);
    RUN(a_missing_array_is_refused);
    return REPORT();
}
