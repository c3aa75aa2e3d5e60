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
    uint32_t bytes;  /* multiple of 4 */
    uint64_t offset; /* in the arena */
    bt_lifetime lifetimes[BT_SEQUENCE_COUNT];
} bt_block;

typedef struct bt_memory_plan {
    bt_block *blocks;
    uint32_t block_count;
    uint32_t *block_of; /* per tensor of the IR; BT_NO_TENSOR if nothing uses it */
    uint64_t persistent_bytes;
    uint64_t peak_bytes;
    uint64_t lower_bound_bytes; /* largest sum of bytes alive at once */
} bt_memory_plan;

/* On failure *out needs no bt_memory_plan_free. */
bt_status bt_memory_plan_make(const bt_ir *ir, bt_memory_plan *out);
void bt_memory_plan_free(bt_memory_plan *plan);

/* ---- steps of bt_memory_plan_make */

/* Blocks with their lifetimes; in-place operations are merged into one block. */
bt_status bt_lifetimes_find(const bt_ir *ir, bt_memory_plan *plan);
/* Offsets, peak and lower bound. */
bt_status bt_offsets_assign(bt_memory_plan *plan);

#endif
