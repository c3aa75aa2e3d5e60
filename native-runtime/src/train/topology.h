/*
 * Topology passes that rewrite a network before it is compiled. Rewritten networks are new models,
 * which the caller frees; dropout keeps its masks.
 */
#ifndef BT_TOPOLOGY_H
#define BT_TOPOLOGY_H

#include "model/graph.h"

/*
 * The pass fold-batch-norm: every batch normalisation that nothing trainable comes before, or is
 * in, becomes part of the convolution or linear layer before it; the new parameters' names begin
 * with BT_FOLDED_PREFIX. BT_ERROR_UNSUPPORTED if there is none.
 */
#define BT_FOLDED_PREFIX "folded."
bt_status bt_topology_fold(const bt_model *model, const bt_training_options *options,
                           bt_model **out);

/*
 * The pass cache-features: cuts a network at the last value that nothing trainable, no active
 * dropout and no statistic of a batch comes before and that all later layers depend on alone, with
 * parameters of their own.
 * prefix computes that value; it is the input of suffix. BT_ERROR_UNSUPPORTED if there is none.
 */
bt_status bt_topology_split(const bt_model *model, const bt_training_options *options,
                            bt_model **prefix, bt_model **suffix);

#endif
