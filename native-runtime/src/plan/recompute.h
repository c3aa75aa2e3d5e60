/*
 * Recomputation: an activation that only the backward pass still needs is dropped after the forward
 * pass and made again directly before its use, by the same instruction and so with the same bits.
 * Bytes come first: whatever lowers the peak is done, and among equals what computes least; nothing
 * is computed again without lowering the peak.
 */
#ifndef BT_RECOMPUTE_H
#define BT_RECOMPUTE_H

#include "train/ir.h"

/* One decision to recompute instead of to keep. */
typedef struct bt_recomputation {
    uint32_t opcode; /* of the instruction that runs again */
    uint32_t node;   /* of the model, that it belongs to */
    bt_shape shape;  /* of what it makes */
    uint32_t bytes;
    uint32_t times;       /* that it is made again */
    uint64_t macs;        /* of all of them */
    uint64_t saved_bytes; /* the peak would be this much higher if it was kept instead */
} bt_recomputation;

typedef struct bt_recomputations {
    bt_recomputation *entries;
    uint32_t count;
} bt_recomputations;

/*
 * Rewrites the TRAIN sequence; at most budget_macs multiply-adds are added. On failure the IR is as
 * it was and *out needs no bt_recomputations_free.
 */
bt_status bt_recompute(bt_ir *ir, uint64_t budget_macs, bt_recomputations *out);
void bt_recomputations_free(bt_recomputations *recomputations);

#endif
