/* The list of topology passes. */
#include "base/error.h"

static const bt_pass_info passes[] = {
    {.pass = BT_PASS_BATCH_NORM_TO_GROUP_NORM,
     .exactness = BT_EXACTNESS_CHANGES,
     .name = "batch-norm-to-group-norm",
     .effect = "Puts GroupNorm in place of every BatchNorm and derives its scales and biases from "
               "the running statistics, so that one sample at a time can train.",
     .limits = "Equal for a sample whose group means and variances are those of the running "
               "statistics; otherwise each sample is normalised by its own."},
    {.pass = BT_PASS_FREEZE_BATCH_NORM,
     .exactness = BT_EXACTNESS_CHANGES,
     .is_default = 1,
     .name = "freeze-batch-norm",
     .effect = "BatchNorm uses its running statistics and keeps them; scales and biases train.",
     .limits = "Without it BatchNorm trains with the statistics of the micro-batch, which needs 2 "
               "samples or more."},
    {.pass = BT_PASS_FOLD_BATCH_NORM,
     .exactness = BT_EXACTNESS_ROUNDING,
     .name = "fold-batch-norm",
     .effect = "Makes a BatchNorm part of the convolution or linear layer before it.",
     .limits = "Where nothing trains in or before the BatchNorm and its statistics are frozen."},
    {.pass = BT_PASS_DEAD_GRADIENTS,
     .exactness = BT_EXACTNESS_BITS,
     .is_default = 1,
     .name = "dead-gradients",
     .effect = "Computes no gradient that no update needs: none of the input, none behind a frozen "
               "first part.",
     .limits = "Always applies; switched off to see what it saves."},
    {.pass = BT_PASS_CACHE_FEATURES,
     .exactness = BT_EXACTNESS_BITS,
     .name = "cache-features",
     .effect = "Runs a frozen first part once per sample; its output replaces the sample in the "
               "device's store.",
     .limits = "Up to the first layer that trains, the first dropout, or the first layer that "
               "reads more than the one before; features are stored as 32-bit floats."},
};

#define PASS_COUNT ((uint32_t)(sizeof passes / sizeof passes[0]))

uint32_t bt_pass_count(void) { return PASS_COUNT; }

bt_status bt_pass_info_get(uint32_t index, bt_pass_info *out) {
    BT_REQUIRE_SIZE(out);
    if (index >= PASS_COUNT) {
        BT_FAIL(BT_ERROR_ARGUMENT, "There is no pass %u; the list has passes 0 to %u.", index,
                PASS_COUNT - 1);
    }
    *out = passes[index];
    out->struct_size = sizeof *out;
    return BT_OK;
}
