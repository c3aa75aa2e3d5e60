#include "plan/advice.h"

#include <stdio.h>
#include <string.h>

/* External memory that the option L3 adds: as much as boards have. */
#define BT_EXTERNAL_BYTES (32u << 20)

/* A change that may make a training fit. */
typedef struct option {
    const char *text;
    /* False if it changes nothing here. */
    bool (*apply)(bt_training_options *options, bt_target *target);
} option;

static bool halve_micro_batch(bt_training_options *options, bt_target *target) {
    (void)target;
    bool changed = options->micro_batch > 2;
    options->micro_batch /= 2;
    return changed;
}

static bool single_samples(bt_training_options *options, bt_target *target) {
    (void)target;
    bool changed = options->micro_batch > 1;
    options->micro_batch = 1;
    return changed;
}

static bool change_scheme(bt_training_options *options, bt_update_scheme scheme) {
    bool changed = options->scheme == BT_UPDATE_FULL || options->scheme == BT_UPDATE_LIST ||
                   (options->scheme != scheme && scheme == BT_UPDATE_LAST_LAYER);
    options->scheme = scheme;
    options->trainable_count = 0;
    return changed;
}

static bool norms_only(bt_training_options *options, bt_target *target) {
    (void)target;
    return change_scheme(options, BT_UPDATE_NORM_ONLY);
}

static bool biases_only(bt_training_options *options, bt_target *target) {
    (void)target;
    return change_scheme(options, BT_UPDATE_BIAS_ONLY);
}

static bool last_layer(bt_training_options *options, bt_target *target) {
    (void)target;
    return change_scheme(options, BT_UPDATE_LAST_LAYER);
}

static bool external_memory(bt_training_options *options, bt_target *target) {
    (void)options;
    bool changed = target->l3_bytes < BT_EXTERNAL_BYTES;
    target->l3_bytes = BT_EXTERNAL_BYTES;
    return changed;
}

/* In the order in which they are named: what costs least accuracy and time first. */
static const option all_options[] = {
    {"half the micro-batch", halve_micro_batch},     {"a micro-batch of 1", single_samples},
    {"a target with 32 MiB of L3", external_memory}, {"the update scheme norm-only", norms_only},
    {"the update scheme bias-only", biases_only},    {"the update scheme last-layer", last_layer},
};

#define OPTIONS ((uint32_t)(sizeof all_options / sizeof all_options[0]))

static uint64_t missing_bytes(const bt_plan_info *info, uint32_t level) {
    return info->peak_bytes[level] > info->capacity_bytes[level]
               ? info->peak_bytes[level] - info->capacity_bytes[level]
               : 0;
}

bool bt_plan_fits(const bt_plan *plan) {
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        if (missing_bytes(&plan->info, level) > 0) {
            return false;
        }
    }
    return true;
}

/* A training that is not possible at all does not fit. */
static bool fits_with(const option *change, const bt_model *model,
                      const bt_training_options *options, const bt_target *target,
                      const bt_passes *passes) {
    bt_training_options changed_options = *options;
    bt_target changed_target = *target;
    bt_plan *plan = NULL;
    bool fits = change->apply(&changed_options, &changed_target) &&
                bt_plan_make(model, &changed_options, &changed_target, passes, &plan) == BT_OK &&
                bt_plan_fits(plan);
    bt_plan_free(plan);
    return fits;
}

/* "a, b or c" */
static void list_options(const char *const *texts, uint32_t count, char *out, size_t size) {
    out[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s",
                 i == 0          ? ""
                 : i + 1 < count ? ", "
                                 : " or ",
                 texts[i]);
    }
}

bt_status bt_advise(const bt_model *model, const bt_training_options *options,
                    const bt_target *target, const bt_passes *passes, bt_plan *plan) {
    const char *helpful[OPTIONS];
    char list[BT_ADVICE_BYTES / 2];
    uint32_t count = 0;
    for (uint32_t i = 0; i < OPTIONS; i++) {
        if (fits_with(&all_options[i], model, options, target, passes)) {
            helpful[count++] = all_options[i].text;
        }
    }
    list_options(helpful, count, list, sizeof list);
    uint32_t level = BT_LEVEL_L1;
    while (level < BT_LEVEL_L3 && missing_bytes(&plan->info, level) == 0) {
        level++;
    }
    snprintf(
        plan->advice, sizeof plan->advice,
        "The training program needs %llu bytes of L%u (%llu of them for weights, gradients and "
        "optimizer state), but the target %s has %llu: %llu are missing; %s%s%s.",
        (unsigned long long)plan->info.peak_bytes[level], level + 1,
        (unsigned long long)plan->info.persistent_bytes, target->name,
        (unsigned long long)plan->info.capacity_bytes[level],
        (unsigned long long)missing_bytes(&plan->info, level), count == 0 ? "" : "it fits with ",
        list,
        count == 0 ? "no other option makes it fit, so use shorter windows or fewer filters" : "");
    return BT_OK;
}
