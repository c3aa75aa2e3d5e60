/*
 * Training without accumulation: every parameter is updated within TRAIN, as soon as its gradient
 * is complete and nothing reads the parameter any more, so that no gradient outlives the step.
 */
#ifndef BT_FUSED_UPDATE_H
#define BT_FUSED_UPDATE_H

#include "train/ir.h"

/* Moves all of BEGIN and UPDATE into TRAIN; what it leaves there computes the same bits for a step
 * of one micro-batch. */
bt_status bt_fuse_updates(bt_ir *ir);

#endif
