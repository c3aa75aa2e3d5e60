#include <stdlib.h>
#include <string.h>

#include "plan/advice.h"
#include "plan/compile.h"
#include "plan/program_object.h"
#include "plan/writer.h"

/* Recomputation adds at most this part of a training program's multiply-adds. */
#define BT_RECOMPUTE_SHARE 3u

const bt_passes bt_passes_all = {.recompute = true, .l1_homes = true, .chains = true};
const bt_passes bt_passes_none = {0};

/* Copies the parameters' initial values into the handle. */
static bt_status keep_initial_values(const bt_model *model, const bt_training *training,
                                     const uint32_t *table_index, bt_program *program) {
    program->initial = calloc(model->value_count, sizeof *program->initial);
    if (program->initial == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for the parameters.");
    }
    for (uint32_t i = 0; i < model->value_count; i++) {
        const bt_value *value = &model->values[i];
        if (!value->is_parameter) {
            continue;
        }
        uint32_t elements = bt_shape_elements(&value->shape);
        float *data = malloc(elements * sizeof *data);
        if (data == NULL) {
            BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for the parameter '%s'.",
                    value->name);
        }
        memcpy(data, value->data, elements * sizeof *data);
        program->initial[program->initial_count++] =
            (bt_initial_value){.tensor = table_index[training->parameter_tensors[i]],
                               .elements = elements,
                               .data = data};
    }
    return BT_OK;
}

/* What follows from the network and the options, whatever the plan. */
static void describe_training(const bt_training *training, uint32_t micro_batch,
                              bt_program_info *info) {
    info->struct_size = sizeof *info;
    info->micro_batch = micro_batch;
    info->input_elements = training->input_elements;
    info->output_elements = training->output_elements;
    info->trainable_parameters = (uint32_t)training->trainable_parameters;
    info->parameters = training->parameters;
    info->forward_macs = bt_sequence_macs(&training->ir, BT_SEQUENCE_EVALUATE) / micro_batch;
    info->training_macs = bt_sequence_macs(&training->ir, BT_SEQUENCE_TRAIN) / micro_batch;
}

static void describe_plan(const bt_training *training, const bt_memory_plan *plan,
                          bt_program *program) {
    bt_program_info *info = &program->info;
    info->bytes = (uint32_t)program->size;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        info->instructions += training->ir.sequences[s].count;
    }
    info->l1_peak_bytes = (uint32_t)plan->peak_bytes[BT_LEVEL_L1];
    info->l2_peak_bytes = (uint32_t)plan->peak_bytes[BT_LEVEL_L2];
    info->l3_peak_bytes = (uint32_t)plan->peak_bytes[BT_LEVEL_L3];
    info->l2_lower_bound_bytes = (uint32_t)plan->lower_bound_bytes[BT_LEVEL_L2];
    info->persistent_bytes = (uint32_t)plan->persistent_bytes;
}

/* Fills an empty program. */
static bt_status assemble(const bt_model *model, const bt_training *training,
                          const bt_memory_plan *plan, const bt_training_options *options,
                          const bt_target *target, uint32_t *table_index, bt_program *program) {
    const uint32_t arenas[BT_LEVEL_COUNT] = {target->l1_bytes, target->l2_bytes, target->l3_bytes};
    uint32_t size;
    BT_TRY(bt_program_write(training, plan, options, table_index, &program->bytes, &size));
    program->size = size;
    /* A program that its own validator refuses is a defect here, not the user's mistake. */
    if (bt_program_check(program->bytes, size, arenas) != BT_OK) {
        return bt_error_append(BT_ERROR_INTERNAL, "The compiler wrote a program that is not valid; "
                                                  "please report this network.");
    }
    BT_TRY(keep_initial_values(model, training, table_index, program));
    describe_plan(training, plan, program);
    return BT_OK;
}

/* One way to compute a training step, and its plan. */
typedef struct variant {
    bt_training training;
    bt_recomputations recomputations;
    bt_memory_plan plan;
    bt_merit estimate; /* before it is planned */
    bt_merit merit;
    bt_partition partition; /* of its chains */
    uint64_t most_macs;     /* that recomputation was allowed */
    uint64_t whole_macs;    /* of TRAIN before recomputation */
    uint64_t macs;          /* of TRAIN */
    uint64_t unparted_peak; /* of L2 if its chains ran in one piece */
    bool is_small;          /* enough for a device to load */
    uint64_t single_peak;   /* of L2 in single precision; 0 if it is in single precision */
} variant;

static void variant_free(variant *v) {
    bt_training_free(&v->training);
    bt_recomputations_free(&v->recomputations);
    bt_memory_plan_free(&v->plan);
    *v = (variant){0};
}

static bt_capacity capacity_of(const bt_target *target, const bt_passes *passes) {
    return (bt_capacity){
        {passes->l1_homes ? target->l1_bytes : 0, target->l2_bytes, target->l3_bytes}};
}

/* Of a program with its chains in parts; *out is freed by the caller in any case. */
static bt_status variant_build(const bt_model *model, const bt_training_options *options,
                               const bt_target *target, const bt_passes *passes,
                               const bt_partition *partition, uint64_t most_macs, variant *out) {
    BT_TRY(bt_training_build_in_parts(model, options, partition, &out->training));
    bt_ir *ir = &out->training.ir;
    uint64_t macs = bt_sequence_macs(ir, BT_SEQUENCE_TRAIN);
    if (passes->recompute) {
        uint64_t budget = macs < most_macs ? most_macs - macs : 0;
        BT_TRY(bt_recompute(ir, budget, &out->recomputations));
    }
    out->partition = *partition;
    out->most_macs = most_macs;
    out->whole_macs = macs;
    out->macs = bt_sequence_macs(ir, BT_SEQUENCE_TRAIN);
    bt_capacity capacity = capacity_of(target, passes);
    return bt_memory_plan_estimate(ir, &capacity, &out->estimate);
}

static bt_status variant_plan(const bt_target *target, const bt_passes *passes, variant *v) {
    bt_ir *ir = &v->training.ir;
    bt_capacity capacity = capacity_of(target, passes);
    uint32_t tensors, bytes;
    BT_TRY(bt_memory_plan_make(ir, &capacity, &v->plan));
    BT_TRY(bt_program_measure(ir, &v->plan, &tensors, &bytes));
    v->merit = bt_memory_plan_merit(ir, &v->plan, &capacity);
    v->merit.values[BT_MERIT_L2] = v->plan.peak_bytes[BT_LEVEL_L2] + bytes;
    v->is_small = tensors <= BT_MAX_TENSORS && bytes <= BT_PROGRAM_LIMIT;
    return BT_OK;
}

static const bt_partition partitions[] = {
    {1, 0, 0},     {2, 0, 4096},  {4, 0, 4096},  {8, 0, 4096},  {16, 0, 4096}, {16, 2, 4096},
    {16, 4, 4096}, {16, 6, 4096}, {16, 2, 8192}, {16, 4, 8192}, {16, 6, 8192}};
#define BT_PARTITIONS (sizeof partitions / sizeof partitions[0])

/* Of the variants that promise most, so many are planned. */
#define BT_PLANNED_VARIANTS 3u

/* The most promising variant that has not been planned, or NULL; one like another is left out. */
static variant *most_promising(variant *variants, uint32_t count, const bool *done,
                               uint64_t most_macs) {
    variant *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        bool repeats = false;
        for (uint32_t k = 0; k < i; k++) {
            repeats = repeats || memcmp(&variants[k].estimate, &variants[i].estimate,
                                        sizeof variants[i].estimate) == 0;
        }
        if (!done[i] && !repeats && (i == 0 || variants[i].macs <= most_macs) &&
            (best == NULL || bt_merit_is_better(&variants[i].estimate, &best->estimate))) {
            best = &variants[i];
        }
    }
    return best;
}

/* Plans the first variant, which takes no more instructions than it must, and the most promising of
 * the others; *best is the best of them. */
static bt_status plan_variants(variant *variants, uint32_t count, const bt_target *target,
                               const bt_passes *passes, uint64_t most_macs, variant *best) {
    bool done[BT_PARTITIONS] = {false};
    uint64_t unparted_peak = 0;
    variant *next = &variants[0];
    for (uint32_t planned = 0; planned <= BT_PLANNED_VARIANTS && next != NULL; planned++) {
        BT_TRY(variant_plan(target, passes, next));
        unparted_peak = planned == 0 ? next->plan.peak_bytes[BT_LEVEL_L2] : unparted_peak;
        if (planned == 0 || (next->is_small && bt_merit_is_better(&next->merit, &best->merit))) {
            variant swapped = *best;
            *best = *next;
            *next = swapped;
            next->estimate = best->estimate;
        }
        done[next - variants] = true;
        next = most_promising(variants, count, done, most_macs);
    }
    best->unparted_peak = unparted_peak;
    return BT_OK;
}

/* The variant with the least L2, then the fewest multiply-adds, of those with at most most_macs. */
static bt_status search_variants(const bt_model *model, const bt_training_options *options,
                                 const bt_target *target, const bt_passes *passes,
                                 uint64_t most_macs, variant *best) {
    variant variants[BT_PARTITIONS] = {0};
    uint32_t count = passes->chains ? BT_PARTITIONS : 1;
    bt_status status = BT_OK;
    for (uint32_t i = 0; i < count && status == BT_OK; i++) {
        status =
            variant_build(model, options, target, passes, &partitions[i], most_macs, &variants[i]);
    }
    if (status == BT_OK) {
        status = plan_variants(variants, count, target, passes, most_macs, best);
    }
    for (uint32_t i = 0; i < count; i++) {
        variant_free(&variants[i]);
    }
    return status;
}

/* Computes more than its share again only if nothing fits otherwise. */
static bt_status choose_of_one_precision(const bt_model *model, const bt_training_options *options,
                                         const bt_target *target, const bt_passes *passes,
                                         uint64_t plain_macs, variant *best) {
    uint64_t most_macs = plain_macs + plain_macs / BT_RECOMPUTE_SHARE;
    BT_TRY(search_variants(model, options, target, passes, most_macs, best));
    if (best->plan.peak_bytes[BT_LEVEL_L2] > target->l2_bytes) {
        variant_free(best);
        BT_TRY(search_variants(model, options, target, passes, UINT64_MAX, best));
    }
    return BT_OK;
}

/* Half precision, if the options allow it, is used only if it lowers the peak of L2. */
static bt_status choose_variant(const bt_model *model, const bt_training_options *options,
                                const bt_target *target, const bt_passes *passes,
                                uint64_t plain_macs, variant *best) {
    bt_training_options single = *options;
    variant half = {0};
    single.stash_fp16 = 0;
    BT_TRY(choose_of_one_precision(model, &single, target, passes, plain_macs, best));
    if (options->stash_fp16 == 0) {
        return BT_OK;
    }
    uint64_t peak = best->plan.peak_bytes[BT_LEVEL_L2];
    bt_status status = choose_of_one_precision(model, options, target, passes, plain_macs, &half);
    if (status == BT_OK && half.plan.peak_bytes[BT_LEVEL_L2] < peak) {
        variant swapped = *best;
        *best = half;
        half = swapped;
        best->single_peak = peak;
    }
    variant_free(&half);
    return status;
}

/* How much more L2 a variant needs than the chosen one. */
static uint64_t more_than(const variant *chosen, uint64_t peak) {
    uint64_t chosen_peak = chosen->plan.peak_bytes[BT_LEVEL_L2];
    return peak > chosen_peak ? peak - chosen_peak : 0;
}

/* L1 against the same program with everything in L2. */
static bt_status record_homes(const bt_model *model, const bt_training_options *options,
                              const bt_target *target, const bt_passes *passes, const variant *v,
                              bt_decisions *out) {
    const bt_staging *staging = &v->plan.staging;
    bt_passes without_homes = *passes;
    bt_training_options same = *options;
    variant without = {0};
    without_homes.l1_homes = false;
    same.stash_fp16 = v->single_peak > 0;
    bt_status status =
        variant_build(model, &same, target, &without_homes, &v->partition, v->most_macs, &without);
    if (status == BT_OK) {
        status = variant_plan(target, &without_homes, &without);
    }
    if (status == BT_OK) {
        status = bt_decision_add(out, "homes", more_than(v, without.plan.peak_bytes[BT_LEVEL_L2]),
                                 0, "Homes and tiles in L1 take %llu bytes there.",
                                 (unsigned long long)v->plan.peak_bytes[BT_LEVEL_L1]);
    }
    variant_free(&without);
    BT_TRY(status);
    if (staging->tiles > 0) {
        BT_TRY(bt_decision_add(out, "tiles", 0, 0,
                               "%u tiles move %llu bytes per micro-batch; %u operands are reached "
                               "in L2 without one.",
                               staging->tiles, (unsigned long long)staging->bytes_moved,
                               staging->direct));
    }
    return BT_OK;
}

/* What the passes of the chosen variant bought. */
static bt_status record_decisions(const bt_model *model, const bt_training_options *options,
                                  const bt_target *target, const bt_passes *passes,
                                  const variant *v, uint64_t plain_macs, bt_decisions *out) {
    if (v->single_peak > 0) {
        BT_TRY(bt_decision_add(out, "fp16 stash", more_than(v, v->single_peak), 0,
                               "Maps that are kept for later are rounded to half precision."));
    }
    if (v->partition.parts > 1) {
        BT_TRY(bt_decision_add(out, "chains", more_than(v, v->unparted_peak),
                               v->whole_macs - plain_macs,
                               "Convolutions and what treats their channels one by one run in up "
                               "to %u parts of the channels.",
                               v->partition.parts));
    }
    for (uint32_t i = 0; i < v->recomputations.count; i++) {
        const bt_recomputation *made = &v->recomputations.entries[i];
        BT_TRY(bt_decision_add(out, "recompute", made->saved_bytes, made->macs,
                               "The output %s of %s (%s) is computed again, not kept.",
                               bt_shape_print(&made->shape).text,
                               made->node < model->node_count ? model->nodes[made->node].name : "?",
                               bt_opcode_name(made->opcode)));
    }
    return v->plan.peak_bytes[BT_LEVEL_L1] > 0
               ? record_homes(model, options, target, passes, v, out)
               : BT_OK;
}

/* The variant and its report, whether it fits the target or not. */
static bt_status plan_variant(const bt_model *model, const bt_training_options *options,
                              const bt_target *target, const bt_passes *passes, variant *v,
                              bt_program_info *info, bt_plan **out) {
    bt_training plain;
    bt_decisions decisions = {0};
    BT_TRY(bt_training_build(model, options, &plain));
    describe_training(&plain, options->micro_batch, info);
    uint64_t plain_macs = bt_sequence_macs(&plain.ir, BT_SEQUENCE_TRAIN);
    bt_training_free(&plain);
    BT_TRY(choose_variant(model, options, target, passes, plain_macs, v));
    bt_report_source source = {.model = model,
                               .training = &v->training,
                               .memory = &v->plan,
                               .target = target,
                               .micro_batch = options->micro_batch,
                               .training_macs = info->training_macs};
    bt_status status = record_decisions(model, options, target, passes, v, plain_macs, &decisions);
    if (status == BT_OK) {
        status = bt_report_make(&source, &decisions, out);
    }
    bt_decisions_free(&decisions);
    return status;
}

bt_status bt_plan_make(const bt_model *model, const bt_training_options *options,
                       const bt_target *target, const bt_passes *passes, bt_plan **out) {
    variant chosen = {0};
    bt_program_info info;
    uint32_t tensors;
    bt_status status = plan_variant(model, options, target, passes, &chosen, &info, out);
    if (status == BT_OK) {
        status = bt_program_measure(&chosen.training.ir, &chosen.plan, &tensors,
                                    &(*out)->info.program_bytes);
    }
    variant_free(&chosen);
    return status;
}

static bt_status compile_program(const bt_model *model, const bt_training_options *options,
                                 const bt_target *target, const bt_passes *passes, variant *v,
                                 bt_program *program) {
    BT_TRY(plan_variant(model, options, target, passes, v, &program->info, &program->plan));
    if (!bt_plan_fits(program->plan)) {
        BT_TRY(bt_advise(model, options, target, passes, program->plan));
        BT_FAIL(BT_ERROR_CAPACITY, "%s", program->plan->advice);
    }
    uint32_t *table_index = malloc(v->training.ir.tensor_count * sizeof *table_index);
    bt_status status =
        table_index != NULL
            ? assemble(model, &v->training, &v->plan, options, target, table_index, program)
            : bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
    free(table_index);
    program->plan->info.program_bytes = (uint32_t)program->size;
    program->recomputations = v->recomputations;
    v->recomputations = (bt_recomputations){0};
    return status;
}

bt_status bt_program_compile_with(const bt_model *model, const bt_training_options *options,
                                  const bt_target *target, const bt_passes *passes,
                                  bt_program **out) {
    variant chosen = {0};
    bt_program *program = bt_program_new();
    bt_status status =
        program != NULL
            ? compile_program(model, options, target, passes, &chosen, program)
            : bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
    variant_free(&chosen);
    if (status != BT_OK) {
        bt_program_free(program);
        return status;
    }
    *out = program;
    return BT_OK;
}

bt_status bt_program_compile(const bt_model *model, const bt_training_options *options,
                             const bt_target *target, bt_program **out) {
    BT_REQUIRE(model);
    BT_REQUIRE_SIZE(options);
    BT_REQUIRE_SIZE(target);
    BT_REQUIRE(out);
    return bt_program_compile_rewritten(model, options, target, &bt_passes_all, out);
}
