/*
 * The memory plan: which tensors share bytes, at which level they live, how long, and where they
 * lie; and how instructions reach what does not live in L1.
 *
 * A block is a run of bytes for one storage, or for several that follow each other in place. Time
 * runs separately in every sequence: 0 is before its first instruction (the session fills the
 * input), instruction i runs at i + 1, and the session reads results one after the last. Two blocks
 * may lie at the same address if they are never alive together; since only one sequence runs at a
 * time, the transient blocks of different sequences overlay each other.
 */
#ifndef BT_MEMORY_PLAN_H
#define BT_MEMORY_PLAN_H

#include "train/ir.h"

typedef struct bt_lifetime {
    uint32_t first, last; /* inclusive; first > last: not used in the sequence */
} bt_lifetime;

typedef struct bt_block {
    bool persistent;
    bool not_in_l3;  /* the session reads or writes it, or its elements are no whole words,
                        which is what every external memory can move */
    uint32_t level;  /* BT_LEVEL_…: home for its whole life */
    uint32_t bytes;  /* multiple of 4 */
    uint32_t uses;   /* operands of instructions that lie in it */
    uint64_t offset; /* in the arena of its level */
    bt_lifetime lifetimes[BT_SEQUENCE_COUNT];
} bt_block;

/* What it takes to bring operands into L1, see stage.h. */
typedef struct bt_staging {
    uint32_t tiles;
    uint32_t direct;      /* operands that a kernel reaches in L2, because no cut fits L1 */
    uint64_t bytes_moved; /* by the transfers of TRAIN */
} bt_staging;

typedef struct bt_memory_plan {
    bt_block *blocks;
    uint32_t block_count;
    uint32_t *block_of; /* per tensor of the IR; BT_NO_TENSOR if nothing uses it */
    uint64_t persistent_bytes;
    uint64_t peak_bytes[BT_LEVEL_COUNT];
    uint64_t lower_bound_bytes[BT_LEVEL_COUNT]; /* largest sum of bytes alive at once */
    bt_staging staging;
} bt_memory_plan;

/* Bytes of each level that a program may take. */
typedef struct bt_capacity {
    uint64_t bytes[BT_LEVEL_COUNT];
} bt_capacity;

/*
 * Plans a program and adds the tiles and transfers that the plan needs to its IR. L1 and L3 are
 * never exceeded, L2 only if nothing fits, which peak_bytes then says. Without L1 kernels reach L2
 * directly. On failure the IR is as it was and *out needs no bt_memory_plan_free.
 */
bt_status bt_memory_plan_make(bt_ir *ir, const bt_capacity *capacity, bt_memory_plan *out);
void bt_memory_plan_free(bt_memory_plan *plan);

/* How good a plan is: the first value that differs decides, smaller is better. Bytes beyond L1 and
 * L3, beyond L2; operands reached directly; bytes of L2, those of the program included; traffic. */
#define BT_MERIT_VALUES 5u
#define BT_MERIT_L2 3u
typedef struct bt_merit {
    uint64_t values[BT_MERIT_VALUES];
} bt_merit;

bt_merit bt_memory_plan_merit(const bt_ir *ir, const bt_memory_plan *plan,
                              const bt_capacity *capacity);
bool bt_merit_is_better(const bt_merit *a, const bt_merit *b);

/* About what bt_memory_plan_make will come to, in a small part of its time. */
bt_status bt_memory_plan_estimate(const bt_ir *ir, const bt_capacity *capacity, bt_merit *out);

/* ---- steps of bt_memory_plan_make */

/* Blocks with their lifetimes; in-place operations are merged into one block. */
bt_status bt_lifetimes_find(const bt_ir *ir, bt_memory_plan *plan);
/* Homes, so that as little as possible is in L2 and that fits; gaps in L1 are not looked at. */
bt_status bt_levels_assign(bt_memory_plan *plan, const bt_capacity *capacity);
/* Offsets, peaks and lower bounds; nodes: budget of bt_pack for each level. */
bt_status bt_offsets_assign(bt_memory_plan *plan, const bt_capacity *capacity, uint64_t nodes);

/* ---- shared by them */

/* Bytes of a level alive at the worst time, which is told unless sequence is NULL. */
bt_status bt_alive_most(const bt_memory_plan *plan, uint32_t level, uint64_t *bytes,
                        uint32_t *sequence, uint32_t *time);

/* Start of the smallest hole that holds the block among placed ones, which are in the order of
 * their offsets; or the end of all. */
uint64_t bt_hole_find(const bt_memory_plan *plan, const uint32_t *placed, uint32_t placed_count,
                      const bt_block *block);

#endif
