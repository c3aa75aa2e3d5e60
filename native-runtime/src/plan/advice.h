/* What to change when a training does not fit its target; every option that is named was tried. */
#ifndef BT_ADVICE_H
#define BT_ADVICE_H

#include "plan/compile.h"
#include "plan/report.h"

bool bt_plan_fits(const bt_plan *plan);

/* Fills the advice of a plan that does not fit: what is missing, and the options that would help.
 */
bt_status bt_advise(const bt_model *model, const bt_training_options *options,
                    const bt_target *target, const bt_passes *passes, bt_plan *plan);

#endif
