#include <stdlib.h>
#include <string.h>

#include "plan/program_object.h"
#include "plan/writer.h"

static bt_status check_capacity(const bt_memory_plan *plan, const bt_training_options *options,
                                const bt_target *target) {
    if (plan->peak_bytes <= target->l2_bytes) {
        return BT_OK;
    }
    BT_FAIL(BT_ERROR_CAPACITY,
            "The training program needs %llu bytes of L2 (%llu of them for weights, gradients and "
            "optimizer state), but the target %s has %u; use %sshorter windows, fewer filters, or "
            "an update scheme that trains less.",
            (unsigned long long)plan->peak_bytes, (unsigned long long)plan->persistent_bytes,
            target->name, target->l2_bytes,
            options->micro_batch > 1 ? "a smaller micro_batch, " : "");
}

static uint64_t macs_per_sample(const bt_ir *ir, uint32_t sequence, uint32_t micro_batch) {
    uint64_t macs = 0;
    for (uint32_t i = 0; i < ir->sequences[sequence].count; i++) {
        macs += bt_instruction_macs(ir, &ir->sequences[sequence].instructions[i]);
    }
    return macs / micro_batch;
}

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

static void fill_info(const bt_training *training, const bt_memory_plan *plan, uint32_t micro_batch,
                      bt_program *program) {
    bt_program_info *info = &program->info;
    info->struct_size = sizeof *info;
    info->bytes = (uint32_t)program->size;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        info->instructions += training->ir.sequences[s].count;
    }
    info->l2_peak_bytes = (uint32_t)plan->peak_bytes;
    info->l2_lower_bound_bytes = (uint32_t)plan->lower_bound_bytes;
    info->persistent_bytes = (uint32_t)plan->persistent_bytes;
    info->micro_batch = micro_batch;
    info->input_elements = training->input_elements;
    info->output_elements = training->output_elements;
    info->trainable_parameters = (uint32_t)training->trainable_parameters;
    info->parameters = training->parameters;
    info->forward_macs = macs_per_sample(&training->ir, BT_SEQUENCE_EVALUATE, micro_batch);
    info->training_macs = macs_per_sample(&training->ir, BT_SEQUENCE_TRAIN, micro_batch);
}

/* Fills an empty program. */
static bt_status assemble(const bt_model *model, const bt_training *training,
                          const bt_memory_plan *plan, const bt_training_options *options,
                          const bt_target *target, uint32_t *table_index, bt_program *program) {
    const uint32_t arenas[BT_LEVEL_COUNT] = {target->l1_bytes, target->l2_bytes, target->l3_bytes};
    uint32_t size;
    BT_TRY(check_capacity(plan, options, target));
    BT_TRY(bt_program_write(training, plan, options, table_index, &program->bytes, &size));
    program->size = size;
    /* A program that its own validator refuses is a defect here, not the user's mistake. */
    if (bt_program_check(program->bytes, size, arenas) != BT_OK) {
        return bt_error_append(BT_ERROR_INTERNAL, "The compiler wrote a program that is not valid; "
                                                  "please report this network.");
    }
    BT_TRY(keep_initial_values(model, training, table_index, program));
    fill_info(training, plan, options->micro_batch, program);
    return BT_OK;
}

static bt_status plan_and_assemble(const bt_model *model, const bt_training *training,
                                   const bt_training_options *options, const bt_target *target,
                                   bt_program **out) {
    bt_memory_plan plan;
    BT_TRY(bt_memory_plan_make(&training->ir, &plan));
    uint32_t *table_index = malloc(training->ir.tensor_count * sizeof *table_index);
    bt_program *program = calloc(1, sizeof *program);
    bt_status status =
        table_index != NULL && program != NULL
            ? assemble(model, training, &plan, options, target, table_index, program)
            : bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
    free(table_index);
    bt_memory_plan_free(&plan);
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
    bt_training training;
    BT_TRY(bt_training_build(model, options, &training));
    bt_status status = plan_and_assemble(model, &training, options, target, out);
    bt_training_free(&training);
    return status;
}
