#include "train/options.h"

#include <math.h>

#define BT_MAX_MICRO_BATCH 4096u

bt_status bt_training_options_default(bt_training_options *out) {
    BT_REQUIRE(out);
    *out = (bt_training_options){.struct_size = sizeof *out,
                                 .loss = BT_LOSS_CROSS_ENTROPY,
                                 .optimizer = BT_OPTIMIZER_SGD,
                                 .scheme = BT_UPDATE_FULL,
                                 .schedule = BT_SCHEDULE_COSINE,
                                 .batch_norm = BT_BATCH_NORM_FROZEN,
                                 .micro_batch = 1,
                                 .learning_rate = 5e-3f,
                                 .momentum = 0.9f,
                                 .weight_decay = 1e-3f,
                                 .beta1 = 0.9f,
                                 .beta2 = 0.999f,
                                 .epsilon = 1e-8f,
                                 .decay = 0.1f,
                                 .decay_steps = 100,
                                 .dead_gradients = 1};
    return BT_OK;
}

static bt_status check_range(const char *name, uint32_t value, uint32_t first, uint32_t last) {
    if (value < first || value > last) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The training option %s is %u; %u to %u are allowed.", name,
                value, first, last);
    }
    return BT_OK;
}

static bt_status check_not_negative(const char *name, float value) {
    if (!isfinite(value) || value < 0.0f) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The training option %s is %g; it must be finite and at least 0.", name,
                (double)value);
    }
    return BT_OK;
}

/* 0 is allowed, 1 is not. */
static bt_status check_fraction(const char *name, float value) {
    if (!(value >= 0.0f && value < 1.0f)) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The training option %s is %g; 0 to less than 1 is allowed.",
                name, (double)value);
    }
    return BT_OK;
}

static bt_status check_schedule(const bt_training_options *options) {
    if (options->schedule == BT_SCHEDULE_COSINE) {
        BT_TRY(check_not_negative("minimum_rate", options->minimum_rate));
        if (options->minimum_rate > options->learning_rate) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The training option minimum_rate is %g; the cosine schedule falls from "
                    "learning_rate, which is %g, so it cannot be more.",
                    (double)options->minimum_rate, (double)options->learning_rate);
        }
    }
    if (options->schedule == BT_SCHEDULE_STEP) {
        BT_TRY(check_not_negative("decay", options->decay));
        if (options->decay_steps == 0) {
            BT_FAIL(BT_ERROR_ARGUMENT, "The training option decay_steps is 0; the step schedule "
                                       "multiplies by decay every 1 or more steps.");
        }
    }
    return BT_OK;
}

bt_status bt_options_check(const bt_training_options *options) {
    BT_REQUIRE_SIZE(options);
    BT_TRY(check_range("loss", options->loss, BT_LOSS_CROSS_ENTROPY, BT_LOSS_INNER_PRODUCT));
    BT_TRY(check_range("optimizer", options->optimizer, BT_OPTIMIZER_SGD, BT_OPTIMIZER_ADAMW));
    BT_TRY(check_range("scheme", options->scheme, BT_UPDATE_FULL, BT_UPDATE_NONE));
    BT_TRY(check_range("schedule", options->schedule, BT_SCHEDULE_CONSTANT, BT_SCHEDULE_STEP));
    BT_TRY(check_range("batch_norm", options->batch_norm, BT_BATCH_NORM_FROZEN,
                       BT_BATCH_NORM_TRAINING));
    BT_TRY(check_range("micro_batch", options->micro_batch, 1, BT_MAX_MICRO_BATCH));
    BT_TRY(check_range("nesterov", options->nesterov, 0, 1));
    BT_TRY(check_range("input_gradient", options->input_gradient, 0, 1));
    BT_TRY(check_range("stash_fp16", options->stash_fp16, 0, 1));
    BT_TRY(check_range("dead_gradients", options->dead_gradients, 0, 1));
    BT_TRY(check_range("fold_batch_norm", options->fold_batch_norm, 0, 1));
    BT_TRY(check_range("cache_features", options->cache_features, 0, 1));
    BT_TRY(check_range("fused_update", options->fused_update, 0, 1));
    BT_TRY(check_not_negative("learning_rate", options->learning_rate));
    BT_TRY(check_not_negative("weight_decay", options->weight_decay));
    if (options->optimizer == BT_OPTIMIZER_SGD) {
        BT_TRY(check_fraction("momentum", options->momentum));
        if (options->nesterov == 1 && options->momentum == 0.0f) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "Nesterov needs momentum, but the training option momentum is 0; set it to "
                    "more, or nesterov to 0.");
        }
    } else {
        BT_TRY(check_fraction("beta1", options->beta1));
        BT_TRY(check_fraction("beta2", options->beta2));
        if (!isfinite(options->epsilon) || options->epsilon <= 0.0f) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The training option epsilon is %g; it must be greater than 0.",
                    (double)options->epsilon);
        }
    }
    BT_TRY(check_schedule(options));
    if (options->scheme == BT_UPDATE_LIST &&
        (options->trainable == NULL || options->trainable_count == 0)) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The scheme is a list of parameters, but the list is empty; name "
                "at least one parameter in trainable.");
    }
    return BT_OK;
}
