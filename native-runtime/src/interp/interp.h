/*
 * The interpreter: runs one sequence of a validated program. Called on every core of the team at
 * once; all cores decode the same instructions, each computes its share, and a barrier ends every
 * instruction that computes. Transfers are started and waited for by the first core.
 */
#ifndef BT_INTERP_H
#define BT_INTERP_H

#include "kernels/kernel.h"

/*
 * A transfer between L1 and another level: rows of row_bytes bytes, which follow each other in L1
 * and are stride bytes apart on the other side. At most BT_TRANSFER_MAX_BYTES in all.
 */
typedef struct bt_dma {
    void *l1;
    uint32_t level;  /* of the other side: BT_LEVEL_L2 or BT_LEVEL_L3 */
    uint32_t offset; /* of its first row in that level's arena, in bytes */
    uint32_t rows;
    uint32_t row_bytes;
    uint32_t stride;
    uint32_t to_l1; /* 1: into L1; 0: out of it */
} bt_dma;

typedef struct bt_machine {
    const bt_program_header *program;
    uint8_t *arena[BT_LEVEL_COUNT];
    const bt_kernel_fn *kernels;
    bt_profile *profile; /* NULL: nobody counts */
    /* As in bt_hal. */
    void (*dma_start)(void *context, const bt_dma *transfer);
    void (*dma_wait)(void *context);
    void *context;
} bt_machine;

void bt_interp_run(const bt_machine *machine, uint32_t sequence, const bt_step_scalars *scalars,
                   const bt_team *team);

#endif
