/* Packing: valid placements, optimal heights against brute force, proofs, budgets, the tool. */
#include "plan/pack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#define MAX_BUFFERS 400u
#define MAX_INTERVALS 2u

typedef struct instance {
    uint32_t count;
    bt_pack_buffer buffers[MAX_BUFFERS];
    bt_pack_interval intervals[MAX_BUFFERS][MAX_INTERVALS];
} instance;

static void add(instance *in, uint64_t lower, uint64_t upper, uint64_t size) {
    uint32_t i = in->count++;
    in->intervals[i][0] = (bt_pack_interval){lower, upper};
    in->buffers[i] = (bt_pack_buffer){size, in->intervals[i], 1};
}

/* SplitMix64. */
static uint32_t draw(uint64_t *seed, uint32_t bound) {
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((x ^ (x >> 31)) % bound);
}

static bool alive_together(const bt_pack_buffer *a, const bt_pack_buffer *b) {
    for (uint32_t i = 0; i < a->interval_count; i++) {
        for (uint32_t k = 0; k < b->interval_count; k++) {
            if (a->intervals[i].lower < b->intervals[k].upper &&
                b->intervals[k].lower < a->intervals[i].upper) {
                return true;
            }
        }
    }
    return false;
}

/* Whether no two buffers overlap and the highest ends at height. */
static bool valid(const instance *in, const uint64_t *offsets, uint64_t height) {
    uint64_t highest = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        const bt_pack_buffer *a = &in->buffers[i];
        uint64_t end = offsets[i] + a->size;
        highest = end > highest ? end : highest;
        for (uint32_t k = 0; k < i; k++) {
            const bt_pack_buffer *b = &in->buffers[k];
            if (a->size > 0 && b->size > 0 && alive_together(a, b) &&
                offsets[i] < offsets[k] + b->size && offsets[k] < end) {
                return false;
            }
        }
    }
    return highest == height;
}

/* Packs, and checks what holds of every answer. */
static bt_pack_result pack(const instance *in, uint64_t capacity, uint64_t budget) {
    static uint64_t offsets[MAX_BUFFERS];
    bt_pack_result result = {0};
    bt_status status = bt_pack(in->buffers, in->count, capacity, budget, offsets, &result);
    CHECK(status == BT_OK, "%s: %s", bt_status_name(status), bt_error_message(0));
    CHECK(valid(in, offsets, result.height), "%u buffers, capacity %llu, height %llu", in->count,
          (unsigned long long)capacity, (unsigned long long)result.height);
    CHECK(result.lower_bound <= result.height || result.verdict == BT_PACK_INFEASIBLE,
          "lower bound %llu, height %llu", (unsigned long long)result.lower_bound,
          (unsigned long long)result.height);
    if (capacity > 0 && result.verdict <= BT_PACK_FITS) {
        CHECK(result.height <= capacity, "height %llu in %llu", (unsigned long long)result.height,
              (unsigned long long)capacity);
    }
    return result;
}

static uint64_t most_alive(const instance *in) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        for (uint32_t t = 0; t < in->buffers[i].interval_count; t++) {
            bt_pack_interval moment = {in->intervals[i][t].lower, in->intervals[i][t].lower + 1};
            bt_pack_buffer probe = {1, &moment, 1};
            uint64_t alive = 0;
            for (uint32_t k = 0; k < in->count; k++) {
                alive += alive_together(&probe, &in->buffers[k]) ? in->buffers[k].size : 0;
            }
            most = alive > most ? alive : most;
        }
    }
    return most;
}

/*
 * The lowest height by brute force: an optimal placement exists in which the buffers, taken by
 * offset, each lie as low as the earlier ones below them allow. So every order is tried that may
 * still be lower than the best so far.
 */
static uint64_t stack_all(const instance *in, uint64_t bound, uint64_t *offsets, bool *placed,
                          uint32_t depth, uint64_t height, uint64_t best) {
    if (depth == in->count) {
        return height;
    }
    for (uint32_t i = 0; i < in->count && best > bound; i++) {
        if (placed[i]) {
            continue;
        }
        offsets[i] = 0;
        for (uint32_t k = 0; k < in->count; k++) {
            if (placed[k] && alive_together(&in->buffers[i], &in->buffers[k]) &&
                offsets[k] + in->buffers[k].size > offsets[i]) {
                offsets[i] = offsets[k] + in->buffers[k].size;
            }
        }
        uint64_t end = offsets[i] + in->buffers[i].size;
        if (end < best) {
            placed[i] = true;
            best =
                stack_all(in, bound, offsets, placed, depth + 1, end > height ? end : height, best);
            placed[i] = false;
        }
    }
    return best;
}

static uint64_t brute_force(const instance *in) {
    uint64_t offsets[MAX_BUFFERS];
    bool placed[MAX_BUFFERS] = {false};
    return stack_all(in, most_alive(in), offsets, placed, 0, 0, UINT64_MAX);
}

static void random_instance(instance *in, uint32_t count, uint32_t time, uint32_t size,
                            uint64_t *seed) {
    in->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t lower = draw(seed, time);
        add(in, lower, lower + 1 + draw(seed, time - lower), 1 + draw(seed, size));
    }
}

/* Gives every third buffer a second life after all first ones. */
static void add_second_lives(instance *in, uint32_t time, uint64_t *seed) {
    for (uint32_t i = 0; i < in->count; i += 3) {
        uint32_t lower = time + draw(seed, time);
        in->intervals[i][1] = (bt_pack_interval){lower, lower + 1 + draw(seed, 2 * time - lower)};
        in->buffers[i].interval_count = 2;
    }
}

/*
 * Sizes sum to height at every time: where one or two buffers end, others of the same sum start.
 * Not all such instances fit their height.
 */
static void full_instance(instance *in, uint32_t count, uint64_t height, uint64_t *seed) {
    uint32_t alive[MAX_BUFFERS];
    uint32_t alive_count = 0;
    uint64_t time = 0;
    uint64_t free_bytes = height;
    uint32_t starts = 4;
    in->count = 0;
    while (in->count < count) {
        while (free_bytes > 0) {
            starts--;
            bool rest = starts == 0 || free_bytes == 1 || in->count + 1 == count;
            uint64_t size = rest ? free_bytes : 1 + draw(seed, (uint32_t)free_bytes - 1);
            alive[alive_count++] = in->count;
            add(in, time, time + 1, size);
            free_bytes -= size;
        }
        time++;
        uint32_t ends = 1 + draw(seed, 2);
        for (uint32_t i = 0; i < alive_count; i++) {
            in->intervals[alive[i]][0].upper = time;
        }
        starts = 3 - ends;
        for (uint32_t i = 0; i < ends && alive_count > 0 && in->count < count; i++) {
            uint32_t ended = draw(seed, alive_count);
            free_bytes += in->buffers[alive[ended]].size;
            alive[ended] = alive[--alive_count];
        }
    }
}

/* Cuts a rectangle of time and bytes into count pieces: they fit its height without a gap. */
static void cut_rectangle(instance *in, uint32_t count, uint64_t time, uint64_t height,
                          uint64_t *seed) {
    uint64_t heights[MAX_BUFFERS] = {height};
    in->count = 0;
    add(in, 0, time, height);
    while (in->count < count) {
        /* The largest of a few pieces, so that none becomes tiny early. */
        uint32_t i = draw(seed, in->count);
        for (uint32_t tries = 0; tries < 4; tries++) {
            uint32_t k = draw(seed, in->count);
            uint64_t area_i = heights[i] * (in->intervals[i][0].upper - in->intervals[i][0].lower);
            uint64_t area_k = heights[k] * (in->intervals[k][0].upper - in->intervals[k][0].lower);
            i = area_k > area_i ? k : i;
        }
        bt_pack_interval *cut = &in->intervals[i][0];
        uint64_t length = cut->upper - cut->lower;
        if (draw(seed, 2) == 0 && length > 1) {
            uint64_t at = cut->lower + 1 + draw(seed, (uint32_t)length - 1);
            heights[in->count] = heights[i];
            add(in, at, cut->upper, heights[i]);
            cut->upper = at;
        } else if (heights[i] > 1) {
            uint64_t below = 1 + draw(seed, (uint32_t)heights[i] - 1);
            heights[in->count] = heights[i] - below;
            add(in, cut->lower, cut->upper, heights[i] - below);
            heights[i] = in->buffers[i].size = below;
        }
    }
}

/* ---------------------------------------------------------------------------------- placements */

static void nothing_has_height_zero(void) {
    instance in = {0};
    bt_pack_result result = pack(&in, 0, 1000);
    CHECK(result.verdict == BT_PACK_OPTIMAL && result.height == 0, "height %llu",
          (unsigned long long)result.height);
}

static void buffers_share_bytes_when_one_starts_as_the_other_ends(void) {
    instance in = {0};
    add(&in, 0, 3, 100);
    add(&in, 3, 9, 100);
    bt_pack_result result = pack(&in, 100, 1000);
    CHECK(result.verdict == BT_PACK_OPTIMAL, "verdict %d", result.verdict);
}

static void buffers_without_bytes_overlap_with_nothing(void) {
    instance in = {0};
    add(&in, 0, 9, 0);
    add(&in, 0, 9, 64);
    add(&in, 2, 3, 0);
    bt_pack_result result = pack(&in, 0, 1000);
    CHECK(result.height == 64 && result.verdict == BT_PACK_OPTIMAL, "height %llu",
          (unsigned long long)result.height);
}

static void a_buffer_can_live_twice(void) {
    instance in = {0};
    add(&in, 0, 2, 10);
    in.intervals[0][1] = (bt_pack_interval){6, 8};
    in.buffers[0].interval_count = 2;
    add(&in, 2, 6, 10); /* in the pause of the first */
    bt_pack_result result = pack(&in, 0, 1000);
    CHECK(result.height == 10, "height %llu", (unsigned long long)result.height);
}

static void sizes_and_times_may_be_huge(void) {
    instance in = {0};
    add(&in, 0, UINT64_MAX, (uint64_t)1 << 60);
    add(&in, UINT64_MAX - 1, UINT64_MAX, ((uint64_t)1 << 60) + 1);
    bt_pack_result result = pack(&in, UINT64_MAX, 1000);
    CHECK(result.height == ((uint64_t)1 << 61) + 1, "height %llu",
          (unsigned long long)result.height);
}

/* The lowest height is found and proved; returns whether it is above the sum of sizes. */
static bool matches_brute_force(const instance *in) {
    uint64_t lowest = brute_force(in);
    bt_pack_result result = pack(in, 0, 100000);
    CHECK(result.verdict == BT_PACK_OPTIMAL && result.height == lowest,
          "verdict %d, height %llu, brute force %llu", result.verdict,
          (unsigned long long)result.height, (unsigned long long)lowest);
    CHECK(pack(in, lowest, 100000).verdict <= BT_PACK_FITS, "%llu is too low",
          (unsigned long long)lowest);
    CHECK(lowest == 1 || pack(in, lowest - 1, 100000).verdict == BT_PACK_INFEASIBLE,
          "%llu is not the lowest", (unsigned long long)lowest);
    return lowest > most_alive(in);
}

static void random_instances_match_brute_force(void) {
    uint64_t seed = 1;
    instance in;
    for (uint32_t round = 0; round < 1000; round++) {
        random_instance(&in, 2 + draw(&seed, 6), 4 + draw(&seed, 6), 9, &seed);
        matches_brute_force(&in);
    }
}

/*
 * Both pairs of ones lie side by side in the place of a two, and two later twos ask for the inner
 * and for the outer ones: at a height of four the outer ones are not neighbours.
 */
static void neighbours_that_cannot_be_need_another_byte(void) {
    instance in = {0};
    add(&in, 0, 1, 2);
    add(&in, 0, 2, 2);
    add(&in, 1, 4, 1);
    add(&in, 1, 3, 1);
    add(&in, 2, 3, 1);
    add(&in, 2, 4, 1);
    add(&in, 3, 5, 2);
    add(&in, 4, 5, 2);
    CHECK(most_alive(&in) == 4, "%llu alive", (unsigned long long)most_alive(&in));
    CHECK(pack(&in, 4, 1000).verdict == BT_PACK_INFEASIBLE, "fits 4");
    CHECK(pack(&in, 5, 1000).height == 5, "does not fit 5");
    matches_brute_force(&in);
}

static void instances_without_slack_match_brute_force(void) {
    uint64_t seed = 2;
    instance in;
    uint32_t above_the_sum = 0;
    for (uint32_t round = 0; round < 2000; round++) {
        full_instance(&in, 8 + draw(&seed, 3), 4 + draw(&seed, 7), &seed);
        above_the_sum += matches_brute_force(&in);
    }
    CHECK(above_the_sum > 0, "every instance fits the sum of sizes");
}

static void instances_with_two_lives_match_brute_force(void) {
    uint64_t seed = 3;
    instance in;
    uint32_t above_the_sum = 0;
    for (uint32_t round = 0; round < 1000; round++) {
        random_instance(&in, 3 + draw(&seed, 5), 5, 9, &seed);
        add_second_lives(&in, 5, &seed);
        above_the_sum += matches_brute_force(&in);
    }
    CHECK(above_the_sum >= 5, "%u instances needed more than the sum of sizes", above_the_sum);
}

static void pieces_of_a_rectangle_fit_it_again(void) {
    instance in;
    for (uint64_t round = 0; round < 40; round++) {
        uint64_t seed = round;
        uint32_t count = 10 + 2 * (uint32_t)round;
        cut_rectangle(&in, count, 100, 4096, &seed);
        bt_pack_result result = pack(&in, 4096, BT_PACK_DEFAULT_BUDGET);
        CHECK(result.verdict == BT_PACK_OPTIMAL, "%u pieces: verdict %d, height %llu", count,
              result.verdict, (unsigned long long)result.height);
    }
}

/* A step of training: activations live from the forward to the backward pass. */
static void activations_of_a_training_step_reach_the_lower_bound(void) {
    instance in;
    for (uint64_t round = 0; round < 20; round++) {
        uint64_t seed = round;
        uint32_t layers = 10 + 6 * (uint32_t)round;
        in.count = 0;
        for (uint32_t i = 0; i < layers; i++) {
            add(&in, i, 2 * layers - i + 1, 4 + 4 * draw(&seed, 4000));
            add(&in, i, i + 2, 4 + 4 * draw(&seed, 1000));
            add(&in, 2 * layers - i, 2 * layers - i + 2, 4 + 4 * draw(&seed, 1000));
        }
        bt_pack_result result = pack(&in, 0, 20000);
        CHECK(result.verdict == BT_PACK_OPTIMAL && result.height == most_alive(&in),
              "%u layers: height %llu, bound %llu", layers, (unsigned long long)result.height,
              (unsigned long long)most_alive(&in));
    }
}

static void random_instances_are_packed_within_a_small_budget(void) {
    instance in;
    for (uint64_t round = 0; round < 60; round++) {
        uint64_t seed = round;
        random_instance(&in, 20 + 6 * (uint32_t)round, 60, 50, &seed);
        if (round % 2 == 1) {
            add_second_lives(&in, 60, &seed);
        }
        bt_pack_result result = pack(&in, 0, 3000);
        CHECK(result.verdict == BT_PACK_OPTIMAL || result.verdict == BT_PACK_BUDGET, "verdict %d",
              result.verdict);
        CHECK(result.height <= 2 * most_alive(&in), "height %llu, bound %llu",
              (unsigned long long)result.height, (unsigned long long)most_alive(&in));
    }
}

/* ------------------------------------------------------------------------- proofs and budgets */

static void a_capacity_below_the_sum_is_refused_without_search(void) {
    instance in = {0};
    add(&in, 0, 2, 6);
    add(&in, 1, 3, 6);
    bt_pack_result result = pack(&in, 11, 1000);
    CHECK(result.verdict == BT_PACK_INFEASIBLE && result.lower_bound == 12, "lower bound %llu",
          (unsigned long long)result.lower_bound);
}

static void a_search_without_a_placement_is_a_proof(void) {
    instance in;
    uint32_t proofs = 0;
    for (uint64_t round = 0; round < 200; round++) {
        uint64_t seed = round;
        full_instance(&in, 20, 8, &seed);
        bt_pack_result result = pack(&in, 8, BT_PACK_DEFAULT_BUDGET);
        CHECK(result.verdict == BT_PACK_OPTIMAL || result.verdict == BT_PACK_INFEASIBLE,
              "verdict %d", result.verdict);
        if (result.verdict == BT_PACK_INFEASIBLE) {
            CHECK(result.lower_bound == 9, "lower bound %llu",
                  (unsigned long long)result.lower_bound);
            proofs++;
        }
    }
    CHECK(proofs >= 5, "%u proofs", proofs);
}

static void the_budget_limits_the_nodes(void) {
    instance in;
    uint64_t seed = 3;
    cut_rectangle(&in, 300, 150, 4096, &seed);
    bt_pack_result none = pack(&in, 4096, 0);
    CHECK(none.verdict == BT_PACK_BUDGET && none.height > 4096, "verdict %d", none.verdict);
    bt_pack_result some = pack(&in, 4096, 2000);
    CHECK(some.verdict == BT_PACK_BUDGET && some.nodes >= 2000 && some.nodes < 2100,
          "verdict %d, %llu nodes", some.verdict, (unsigned long long)some.nodes);
    CHECK(some.height <= none.height, "height %llu with more nodes, %llu with fewer",
          (unsigned long long)some.height, (unsigned long long)none.height);
}

static void the_same_question_has_the_same_answer(void) {
    static uint64_t offsets[2][MAX_BUFFERS];
    bt_pack_result results[2];
    instance in;
    uint64_t seed = 4;
    cut_rectangle(&in, 200, 100, 4096, &seed);
    for (uint32_t i = 0; i < 2; i++) {
        memset(&results[i], 0, sizeof results[i]);
        CHECK(bt_pack(in.buffers, in.count, 4300, 20000, offsets[i], &results[i]) == BT_OK, "%s",
              bt_error_message(0));
    }
    CHECK(memcmp(&results[0], &results[1], sizeof results[0]) == 0, "other results");
    CHECK(memcmp(offsets[0], offsets[1], in.count * sizeof offsets[0][0]) == 0, "other offsets");
}

/* ----------------------------------------------------------------------------------- refusals */

static void check_refused(const instance *in, const char *what) {
    uint64_t offsets[MAX_BUFFERS];
    bt_pack_result result;
    bt_status status = bt_pack(in->buffers, in->count, 0, 1000, offsets, &result);
    CHECK(status == BT_ERROR_ARGUMENT, "%s: %s", what, bt_status_name(status));
    CHECK(strstr(bt_error_message(0), what) != NULL, "\"%s\" does not say \"%s\"",
          bt_error_message(0), what);
}

static void wrong_arguments_are_refused(void) {
    instance in = {0};
    bt_pack_result result;
    add(&in, 0, 2, 6);
    add(&in, 5, 5, 6);
    check_refused(&in, "lives from 5 to 5");
    in.intervals[1][0] = (bt_pack_interval){5, 7};
    in.intervals[1][1] = (bt_pack_interval){6, 8};
    in.buffers[1].interval_count = 2;
    check_refused(&in, "disjoint and ascending");
    in.buffers[1].interval_count = 0;
    check_refused(&in, "no interval");
    in.buffers[1].interval_count = 1;
    in.buffers[1].size = ((uint64_t)1 << 62) - 5;
    check_refused(&in, "more than 2^62");
    CHECK(bt_pack(in.buffers, 1, 0, 1, NULL, &result) == BT_ERROR_ARGUMENT, "NULL offsets");
    CHECK(bt_pack(NULL, 1, 0, 1, (uint64_t[1]){0}, &result) == BT_ERROR_ARGUMENT, "NULL buffers");

    uint32_t count = BT_PACK_MAX_BUFFERS + 1;
    bt_pack_buffer *many = calloc(count, sizeof *many);
    bt_pack_interval interval = {0, 1};
    for (uint32_t i = 0; many != NULL && i < count; i++) {
        many[i] = (bt_pack_buffer){1, &interval, 1};
    }
    CHECK(bt_pack(many, count, 0, 1, (uint64_t[1]){0}, &result) == BT_ERROR_ARGUMENT,
          "too many buffers");
    free(many);
}

/* ----------------------------------------------------------------------------------- the tool */

typedef struct run {
    int exit_status;
    char out[512];
    char err[512];
} run;

static void read_file(const char *path, char *text, size_t capacity) {
    FILE *file = fopen(path, "rb");
    size_t length = file != NULL ? fread(text, 1, capacity - 1, file) : 0;
    text[length] = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

/* Runs bt-pack with these arguments on a file with this text. */
static run run_tool(const char *arguments, const char *text, size_t length) {
    run run = {.exit_status = -1};
    char directory[] = "/tmp/bt-pack-XXXXXX";
    char path[3][64];
    char command[1024];
    if (mkdtemp(directory) == NULL) {
        CHECK(false, "no temporary directory");
        return run;
    }
    static const char *const names[] = {"in.csv", "out", "err"};
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", directory, names[i]);
    }
    FILE *file = fopen(path[0], "wb");
    if (file != NULL) {
        fwrite(text, 1, length, file);
        fclose(file);
    }
    snprintf(command, sizeof command, "'%s' %s %s >%s 2>%s", BT_PACK_TOOL, arguments, path[0],
             path[1], path[2]);
    int status = system(command);
    run.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_file(path[1], run.out, sizeof run.out);
    read_file(path[2], run.err, sizeof run.err);
    for (uint32_t i = 0; i < 3; i++) {
        unlink(path[i]);
    }
    rmdir(directory);
    return run;
}

static void check_tool(const char *arguments, const char *text, int exit_status, const char *out,
                       const char *err) {
    run run = run_tool(arguments, text, strlen(text));
    CHECK(run.exit_status == exit_status, "%s: exit status %d", err, run.exit_status);
    CHECK(strcmp(run.out, out) == 0, "%s: stdout is \"%s\"", err, run.out);
    CHECK(strstr(run.err, err) != NULL, "stderr is \"%s\", not \"%s\"", run.err, err);
}

static void the_tool_prints_rows_and_height(void) {
    check_tool("8", "id,lower,upper,size\na,0,3,8\nb,3,9,8\n", 0, "id,offset\na,0\nb,0\n",
               "height 8, lower bound 8, optimal");
    check_tool("9", "size, upper ,id,lower\r\n8,3,a,0\r\n\r\n8,9,b,3", 0, "id,offset\na,0\nb,0\n",
               "height 8");
    check_tool("min", "id,lower,upper,size\na,0,3,8\n", 0, "id,offset\na,0\n", "height 8");
    check_tool("1", "id,lower,upper,size\n", 0, "id,offset\n", "height 0");
}

static void the_tool_says_why_nothing_is_printed(void) {
    const char *crossing = "id,lower,upper,size\na,0,3,8\nb,2,9,8\n";
    check_tool("15", crossing, 1, "", "infeasible: nothing fits 15 bytes, proved");
    char text[16384] = "id,lower,upper,size\n";
    instance in;
    uint64_t seed = 3;
    cut_rectangle(&in, 300, 150, 4096, &seed);
    for (uint32_t i = 0; i < in.count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%u,%llu,%llu,%llu\n", i,
                 (unsigned long long)in.intervals[i][0].lower,
                 (unsigned long long)in.intervals[i][0].upper,
                 (unsigned long long)in.buffers[i].size);
    }
    check_tool("--budget 1000 4096", text, 1, "", "budget: ended after 10");
}

static void the_tool_refuses_with_the_line(void) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "is empty"},
        {"id,lower,upper\na,0,1\n", "in.csv:1: column \"size\" is missing"},
        {"id,lower,upper,size,color\n", "in.csv:1: column \"color\" is unknown"},
        {"id,lower,id,upper,size\n", "in.csv:1: column \"id\" appears twice"},
        {"id,lower,upper,size\na,0,1\n", "in.csv:2: there are 3 fields"},
        {"id,lower,upper,size\na,0,1,2,3\n", "in.csv:2: there are 5 fields"},
        {"id,lower,upper,size\na,0,1,2\nb,x,1,2\n", "in.csv:3: lower is \"x\""},
        {"id,lower,upper,size\na,0,-1,2\n", "in.csv:2: upper is \"-1\""},
        {"id,lower,upper,size\na,0,1,18446744073709551616\n", "in.csv:2: size is \"18446744"},
        {"id,lower,upper,size\na,4,4,2\n", "in.csv:2: the buffer lives from 4 to before 4"},
        {"id,lower,upper,size\n,0,1,2\n", "in.csv:2: the id is empty"},
        {"id,lower,upper,size\na,0,1,2\nb,0,1,2\na,2,3,2\n",
         "in.csv:4: id \"a\" is that of line 2"},
        {"id,lower,upper,size\na,0,1,9223372036854775807\n", "more than 2^62"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_tool("8", cases[i].text, 2, "", cases[i].message);
    }
    run zero = run_tool("8", "id,lower,upper,size\na\0,0,1,2\n", 29);
    CHECK(zero.exit_status == 2 && strstr(zero.err, "zero byte") != NULL, "stderr is \"%s\"",
          zero.err);
}

static void the_tool_refuses_wrong_commands(void) {
    const char *text = "id,lower,upper,size\n";
    check_tool("", text, 2, "", "FILE.csv is missing");
    check_tool("8x", text, 2, "", "CAPACITY is \"8x\"");
    check_tool("0", text, 2, "", "CAPACITY is \"0\"");
    check_tool("--budget few 8", text, 2, "", "--budget is \"few\"");
    check_tool("--fast 8", text, 2, "", "option --fast is unknown");
    check_tool("8 /nonexistent.csv", text, 2, "", "is too much");
    run help = run_tool("--help", text, strlen(text));
    CHECK(help.exit_status == 0 && strstr(help.out, "Usage: bt-pack") == help.out,
          "stdout is \"%s\"", help.out);
}

int main(void) {
    RUN(nothing_has_height_zero);
    RUN(buffers_share_bytes_when_one_starts_as_the_other_ends);
    RUN(buffers_without_bytes_overlap_with_nothing);
    RUN(a_buffer_can_live_twice);
    RUN(sizes_and_times_may_be_huge);
    RUN(random_instances_match_brute_force);
    RUN(neighbours_that_cannot_be_need_another_byte);
    RUN(instances_without_slack_match_brute_force);
    RUN(instances_with_two_lives_match_brute_force);
    RUN(pieces_of_a_rectangle_fit_it_again);
    RUN(activations_of_a_training_step_reach_the_lower_bound);
    RUN(random_instances_are_packed_within_a_small_budget);
    RUN(a_capacity_below_the_sum_is_refused_without_search);
    RUN(a_search_without_a_placement_is_a_proof);
    RUN(the_budget_limits_the_nodes);
    RUN(the_same_question_has_the_same_answer);
    RUN(wrong_arguments_are_refused);
    RUN(the_tool_prints_rows_and_height);
    RUN(the_tool_says_why_nothing_is_printed);
    RUN(the_tool_refuses_with_the_line);
    RUN(the_tool_refuses_wrong_commands);
    return REPORT();
}
