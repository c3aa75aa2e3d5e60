/* Training options: what is allowed, and which parameters a scheme updates. */
#ifndef BT_OPTIONS_H
#define BT_OPTIONS_H

#include "model/graph.h"

/* Refuses options that make no sense by themselves. */
bt_status bt_options_check(const bt_training_options *options);

/* Marks the parameters that the scheme updates; live and trainable hold value_count entries. */
bt_status bt_scheme_apply(const bt_model *model, const bt_training_options *options,
                          const bool *live, bool *trainable);

#endif
