/*
 * The memory plan: which tensors share bytes, how long they live, and where they lie.
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
    uint32_t level;  /* BT_LEVEL_…: home for its whole life; L2 if it is persistent */
    uint32_t bytes;  /* multiple of 4 */
    uint32_t uses;   /* operands of instructions that lie in it */
    uint64_t offset; /* in the arena of its level */
    bt_lifetime lifetimes[BT_SEQUENCE_COUNT];
} bt_block;

typedef struct bt_memory_plan {
    bt_block *blocks;
    uint32_t block_count;
    uint32_t *block_of;        /* per tensor of the IR; BT_NO_TENSOR if nothing uses it */
    uint64_t persistent_bytes; /* all in L2 */
    uint64_t peak_bytes[BT_LEVEL_COUNT];
    uint64_t lower_bound_bytes[BT_LEVEL_COUNT]; /* largest sum of bytes alive at once */
} bt_memory_plan;

/* At most l1_bytes of L1 are used. On failure *out needs no bt_memory_plan_free. */
bt_status bt_memory_plan_make(const bt_ir *ir, uint64_t l1_bytes, bt_memory_plan *out);
void bt_memory_plan_free(bt_memory_plan *plan);

/* ---- steps of bt_memory_plan_make */

/* Blocks with their lifetimes; in-place operations are merged into one block. */
bt_status bt_lifetimes_find(const bt_ir *ir, bt_memory_plan *plan);
/* Homes, so that as little as possible is in L2; offsets of what is in L1. */
bt_status bt_levels_assign(bt_memory_plan *plan, uint64_t l1_bytes);
/* Offsets of what is in L2, all peaks and lower bounds. */
bt_status bt_offsets_assign(bt_memory_plan *plan);

/* ---- shared by them */

/* Bytes of a level alive at the worst time, which is told unless sequence is NULL. */
bt_status bt_alive_most(const bt_memory_plan *plan, uint32_t level, uint64_t *bytes,
                        uint32_t *sequence, uint32_t *time);

bool bt_blocks_meet(const bt_block *a, const bt_block *b);

/*
 * Start of the smallest hole from base on that holds the block among placed ones, which are in the
 * order of their offsets; or the end of all.
 */
uint64_t bt_hole_find(const bt_memory_plan *plan, uint64_t base, const uint32_t *placed,
                      uint32_t placed_count, const bt_block *block);

#endif
