/*
 * The cluster's transfers in hal/gap9, on a PMSIS made of threads. This file stands in for the
 * resident firmware: hal/gap9 starts the machine and hands over its HAL, and the tests drive that.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "hal/gap9/gap9.h"
#include "resident.h"
#include "support.h"
#include "threads.h"

#define L3_BYTES 2097152u /* of the external memory, as much as the tests touch */
#define MAX_TRANSFERS 24u

static const bt_hal *hal;
static uint8_t *staging;

/* What every level should hold. */
static uint8_t l1[BT_GAP9_L1_ARENA_BYTES], l2[BT_GAP9_L2_ARENA_BYTES], l3[L3_BYTES];

static bt_dma transfers[MAX_TRANSFERS];
static uint32_t count;

/* ------------------------------------------------------------------------------------ levels */

static uint32_t next_random(uint32_t limit) {
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % limit;
}

static void fill(uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)next_random(256);
    }
}

static void fill_levels(void) {
    fill(l1, sizeof l1);
    fill(l2, sizeof l2);
    fill(l3, sizeof l3);
    memcpy(hal->arena[BT_LEVEL_L1], l1, sizeof l1);
    memcpy(hal->arena[BT_LEVEL_L2], l2, sizeof l2);
    for (uint32_t i = 0; i < L3_BYTES; i += BT_STAGING_BYTES) {
        memcpy(staging, l3 + i, BT_STAGING_BYTES);
        hal->l3_write(hal->context, i, staging, BT_STAGING_BYTES);
    }
}

static void check_levels(const char *what) {
    CHECK(memcmp(hal->arena[BT_LEVEL_L1], l1, sizeof l1) == 0, "%s: L1 differs", what);
    CHECK(memcmp(hal->arena[BT_LEVEL_L2], l2, sizeof l2) == 0, "%s: L2 differs", what);
    for (uint32_t i = 0; i < L3_BYTES; i += BT_STAGING_BYTES) {
        bt_l3_read(hal, i, staging, BT_STAGING_BYTES);
        CHECK(memcmp(staging, l3 + i, BT_STAGING_BYTES) == 0, "%s: L3 differs at %u", what, i);
    }
}

/* --------------------------------------------------------------------------------- transfers */

/* Adds a transfer behind the earlier ones, which it does not overlap, and does it in the model. */
static void add(uint32_t level, uint32_t to_l1, uint32_t rows, uint32_t row_bytes,
                uint32_t stride) {
    uint32_t near = 0, far = 0;
    for (uint32_t i = 0; i < count; i++) {
        const bt_dma *t = &transfers[i];
        near += t->rows * t->row_bytes;
        far += t->level == level ? (t->rows * t->stride + 3) & ~3u : 0;
    }
    uint8_t *bytes = (level == BT_LEVEL_L2 ? l2 : l3) + far;
    transfers[count++] = (bt_dma){.l1 = hal->arena[BT_LEVEL_L1] + near,
                                  .level = level,
                                  .offset = far,
                                  .rows = rows,
                                  .row_bytes = row_bytes,
                                  .stride = stride,
                                  .to_l1 = to_l1};
    for (uint32_t row = 0; row < rows; row++) {
        uint8_t *here = l1 + near + row * row_bytes, *there = bytes + row * stride;
        memcpy(to_l1 ? here : there, to_l1 ? there : here, row_bytes);
    }
}

static void run_transfers(void *argument, const bt_team *team) {
    (void)argument;
    if (team->core == 0) {
        for (uint32_t i = 0; i < count; i++) {
            hal->dma_start(hal->context, &transfers[i]);
        }
        hal->dma_wait(hal->context);
    }
}

static void run_all(const char *what) {
    hal->run_on_cores(hal->context, run_transfers, NULL);
    check_levels(what);
    count = 0;
}

/* ------------------------------------------------------------------------------------- tests */

static void single_transfers_arrive(void) {
    static const struct {
        const char *what;
        uint32_t level, rows, row_bytes, stride;
    } cases[] = {
        {"L2, one row", BT_LEVEL_L2, 1, 1000, 1000},
        {"L2, all of L1", BT_LEVEL_L2, 1, BT_GAP9_L1_ARENA_BYTES, BT_GAP9_L1_ARENA_BYTES},
        {"L2, odd bytes", BT_LEVEL_L2, 7, 13, 29},
        {"L2, dense rows", BT_LEVEL_L2, 8, 4000, 4000},
        {"L2, rows", BT_LEVEL_L2, 100, 60, 7600},
        {"L2, rows far apart", BT_LEVEL_L2, 12, 100, 70000},
        {"L2, more rows far apart than commands", BT_LEVEL_L2, 17, 64, 65536},
        {"L3, one row", BT_LEVEL_L3, 1, 1000, 1000},
        {"L3, all of L1", BT_LEVEL_L3, 1, BT_GAP9_L1_ARENA_BYTES, BT_GAP9_L1_ARENA_BYTES},
        {"L3, rows", BT_LEVEL_L3, 100, 60, 7600},
        {"L3, more rows than the buffer holds", BT_LEVEL_L3, 50, 2000, 8000},
        {"L3, rows larger than the buffer", BT_LEVEL_L3, 2, 50000, 100000},
        {"L3, dense rows", BT_LEVEL_L3, 1000, 4, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (uint32_t to_l1 = 0; to_l1 < 2; to_l1++) {
            fill_levels();
            add(cases[i].level, to_l1, cases[i].rows, cases[i].row_bytes, cases[i].stride);
            run_all(cases[i].what);
        }
    }
}

static void many_transfers_at_once_arrive(void) {
    for (uint32_t trial = 0; trial < 20; trial++) {
        fill_levels();
        while (count < 1 + trial) {
            uint32_t level = next_random(2) == 0 ? BT_LEVEL_L2 : BT_LEVEL_L3;
            uint32_t rows = 1 + next_random(8);
            uint32_t row_bytes = 4 * (1 + next_random(140));
            add(level, next_random(2), rows, row_bytes, row_bytes + 4 * next_random(1000));
        }
        run_all("many");
    }
}

/* ------------------------------------------------------- in place of the resident firmware */

void bt_resident_init(bt_resident *resident, const bt_hal *the_hal,
                      const bt_resident_memory *memory, uint32_t build_id, uint32_t generation) {
    (void)resident, (void)build_id, (void)generation;
    hal = the_hal;
    staging = memory->staging[0];
    RUN(single_transfers_arrive);
    RUN(many_transfers_at_once_arrive);
    int status = REPORT();
    fflush(stdout);
    _exit(status);
}

uint32_t bt_resident_poll(bt_resident *resident) {
    (void)resident;
    return 0;
}

void *volatile __rt_debug_struct_ptr;
int bt_gap9_main(void);

int main(void) { return pmsis_threads_run(8, PMSIS_THREADS_RAM_BYTES, bt_gap9_main); }
