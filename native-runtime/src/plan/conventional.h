/*
 * The conventional plan, to compare with: the whole batch at once, BatchNorm in training mode,
 * every activation and every gradient of one in bytes of its own until the step ends.
 */
#ifndef BT_CONVENTIONAL_H
#define BT_CONVENTIONAL_H

#include "plan/report.h"

/* The model with its GroupNorm and InstanceNorm replaced by BatchNorm; freed by the caller. */
bt_status bt_with_batch_norms(const bt_model *model, bt_model **out);

bt_status bt_conventional_plan(const bt_model *model, const bt_training_options *options,
                               const bt_target *target, uint32_t batch, bt_plan **out);

#endif
