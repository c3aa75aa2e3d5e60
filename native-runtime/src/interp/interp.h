/*
 * The interpreter: runs one sequence of a validated program. Called on every core of the team at
 * once; all cores decode the same instructions, each computes its share, and a barrier ends every
 * instruction.
 */
#ifndef BT_INTERP_H
#define BT_INTERP_H

#include "kernels/kernel.h"

typedef struct bt_machine {
    const bt_program_header *program;
    uint8_t *arena[BT_LEVEL_COUNT];
    const bt_kernel_fn *kernels;
    bt_profile *profile; /* NULL: nobody counts */
} bt_machine;

void bt_interp_run(const bt_machine *machine, uint32_t sequence, const bt_step_scalars *scalars,
                   const bt_team *team);

#endif
