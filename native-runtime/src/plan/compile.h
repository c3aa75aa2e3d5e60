/*
 * The passes of the compiler that save memory. None changes a bit of any result, which tests show
 * by compiling with and without them.
 */
#ifndef BT_COMPILE_H
#define BT_COMPILE_H

#include <stdbool.h>

#include "base/error.h"

typedef struct bt_passes {
    bool recompute; /* recompute.h */
    bool l1_homes;  /* tensors may live in L1 */
    bool chains;    /* chain.h */
} bt_passes;

extern const bt_passes bt_passes_all, bt_passes_none;

/* Compiles a network as it is, with these passes; the arguments are valid. */
bt_status bt_program_compile_with(const bt_model *model, const bt_training_options *options,
                                  const bt_target *target, const bt_passes *passes,
                                  bt_program **out);

/* The same with the passes that rewrite the network, which the options ask for. */
bt_status bt_program_compile_rewritten(const bt_model *model, const bt_training_options *options,
                                       const bt_target *target, const bt_passes *passes,
                                       bt_program **out);
/* What bt_program_compile_with plans; also a plan that does not fit the target. */
bt_status bt_plan_make(const bt_model *model, const bt_training_options *options,
                       const bt_target *target, const bt_passes *passes, bt_plan **out);

#endif
