#include "plan/conventional.h"

#include <stdio.h>
#include <stdlib.h>

#include "plan/advice.h"

/* ---- BatchNorm */

/* A running statistic of a channel each: zeros, since only its bytes matter. */
static bt_status add_statistic(bt_model *model, const char *node, const char *what,
                               uint32_t channels, uint32_t *value) {
    char name[300];
    const int32_t dims[] = {(int32_t)channels};
    float *zeros = calloc(channels, sizeof *zeros);
    if (zeros == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for the statistics of %s.", node);
    }
    /* Names of nodes need not be unique, those of parameters must be. */
    snprintf(name, sizeof name, "%s.%u.%.200s", what, bt_model_value_count(model), node);
    bt_status status = bt_model_add_parameter(model, name, 1, dims, zeros, value);
    free(zeros);
    return status;
}

static bt_status copy_node(const bt_model *model, const bt_node *node, const uint32_t *values,
                           bt_model *out, uint32_t *value) {
    uint32_t inputs[BT_MAX_INPUTS];
    uint32_t count = node->input_count;
    bt_op op = (bt_op)node->row->op;
    for (uint32_t k = 0; k < count; k++) {
        inputs[k] = node->inputs[k] == BT_NO_VALUE ? BT_NO_VALUE : values[node->inputs[k]];
    }
    if (op == BT_OP_GROUP_NORM || op == BT_OP_INSTANCE_NORM) {
        uint32_t channels = model->values[node->output].shape.dims[1];
        op = BT_OP_BATCH_NORM;
        BT_TRY(add_statistic(out, node->name, "mean", channels, &inputs[3]));
        BT_TRY(add_statistic(out, node->name, "variance", channels, &inputs[4]));
        count = 5;
    }
    return bt_model_add_node(out, op, node->name, inputs, count, &node->attributes, value);
}

static bt_status copy_value(const bt_model *model, uint32_t index, const uint32_t *values,
                            bt_model *out, uint32_t *value) {
    const bt_value *from = &model->values[index];
    int32_t dims[BT_MAX_RANK];
    for (uint32_t d = 0; d < from->shape.rank; d++) {
        dims[d] = (int32_t)from->shape.dims[d];
    }
    if (from->is_parameter) {
        return bt_model_add_parameter(out, from->name, from->shape.rank, dims, from->data, value);
    }
    if (from->node != BT_NO_VALUE) {
        return copy_node(model, &model->nodes[from->node], values, out, value);
    }
    return bt_model_add_input(out, from->name, from->shape.rank, dims, value);
}

bt_status bt_with_batch_norms(const bt_model *model, bt_model **out) {
    bt_model *copy = NULL;
    uint32_t *values = malloc((model->value_count + 1) * sizeof *values);
    bt_status status =
        values != NULL
            ? bt_model_create(&copy)
            : bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to copy a model.");
    for (uint32_t i = 0; i < model->value_count && status == BT_OK; i++) {
        status = copy_value(model, i, values, copy, &values[i]);
    }
    if (status == BT_OK && model->output != BT_NO_VALUE) {
        status = bt_model_set_output(copy, values[model->output]);
    }
    free(values);
    if (status != BT_OK) {
        bt_model_free(copy);
        return status;
    }
    *out = copy;
    return BT_OK;
}

/* ---- memory */

static bool is_used(bt_lifetime lifetime) { return lifetime.first <= lifetime.last; }

static bool is_used_outside_train(const bt_touches *touches) {
    return is_used((*touches)[BT_SEQUENCE_BEGIN]) || is_used((*touches)[BT_SEQUENCE_UPDATE]) ||
           is_used((*touches)[BT_SEQUENCE_EVALUATE]);
}

/* Puts a block at the end of an area. */
static void append(bt_block *block, uint64_t *end) {
    block->offset = *end;
    *end += block->bytes;
}

static void make_blocks(const bt_ir *ir, const bt_touches *touches, bt_memory_plan *plan) {
    uint32_t end = ir->sequences[BT_SEQUENCE_TRAIN].count + 1;
    plan->block_count = ir->tensor_count;
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        const bt_ir_tensor *tensor = &ir->tensors[i];
        bt_block *block = &plan->blocks[i];
        plan->block_of[i] = tensor->storage;
        *block = (bt_block){.level = BT_LEVEL_L2,
                            .bytes = tensor->storage == i ? bt_ir_bytes(tensor) : 0,
                            .persistent = tensor->storage == i &&
                                          tensor->residence == BT_RESIDENCE_PERSISTENT};
        for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
            block->lifetimes[s] = touches[i][s];
        }
        bt_lifetime *train = &block->lifetimes[BT_SEQUENCE_TRAIN];
        train->last = is_used(*train) ? end : train->last;
    }
}

/*
 * All in L2, one after the other: what is kept for ever, then what TRAIN and other sequences use,
 * then what TRAIN alone uses. What only other sequences use overlays the last.
 */
static void place(const bt_ir *ir, const bt_touches *touches, bt_memory_plan *plan) {
    make_blocks(ir, touches, plan);
    for (uint32_t b = 0; b < plan->block_count; b++) {
        if (plan->blocks[b].persistent) {
            append(&plan->blocks[b], &plan->persistent_bytes);
        }
    }
    uint64_t top = plan->persistent_bytes;
    for (uint32_t b = 0; b < plan->block_count; b++) {
        if (!plan->blocks[b].persistent && is_used(touches[b][BT_SEQUENCE_TRAIN]) &&
            is_used_outside_train(&touches[b])) {
            append(&plan->blocks[b], &top);
        }
    }
    uint64_t others = top;
    for (uint32_t b = 0; b < plan->block_count; b++) {
        bool trains = is_used(touches[b][BT_SEQUENCE_TRAIN]);
        if (!plan->blocks[b].persistent && trains != is_used_outside_train(&touches[b])) {
            append(&plan->blocks[b], trains ? &top : &others);
        }
    }
    plan->peak_bytes[BT_LEVEL_L2] = top > others ? top : others;
    plan->lower_bound_bytes[BT_LEVEL_L2] = plan->peak_bytes[BT_LEVEL_L2];
}

static bt_status report(const bt_report_source *source, bt_memory_plan *memory, bt_plan **out) {
    const bt_ir *ir = &source->training->ir;
    bt_decisions none = {0};
    bt_status status;
    bt_touches *touches = malloc((ir->tensor_count + 1) * sizeof *touches);
    memory->blocks = calloc(ir->tensor_count + 1, sizeof *memory->blocks);
    memory->block_of = malloc((ir->tensor_count + 1) * sizeof *memory->block_of);
    if (touches == NULL || memory->blocks == NULL || memory->block_of == NULL) {
        status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    } else {
        bt_touches_find(ir, touches);
        place(ir, (const bt_touches *)touches, memory);
        status = bt_report_make(source, &none, out);
    }
    free(touches);
    return status;
}

/* Tensors live until the step ends. */
static void keep_all(bt_plan *plan) {
    uint32_t end = plan->info.instructions[BT_SEQUENCE_TRAIN] + 1;
    for (uint32_t i = 0; i < plan->info.tensors; i++) {
        bt_plan_tensor *tensor = &plan->tensors[i];
        if (tensor->first[BT_SEQUENCE_TRAIN] <= tensor->last[BT_SEQUENCE_TRAIN]) {
            tensor->last[BT_SEQUENCE_TRAIN] = end;
        }
    }
}

bt_status bt_conventional_plan(const bt_model *model, const bt_training_options *options,
                               const bt_target *target, uint32_t batch, bt_plan **out) {
    bt_training_options whole = *options;
    bt_training training;
    bt_memory_plan memory = {0};
    bt_model *normed;
    whole.micro_batch = batch;
    /* One sample has no statistics of a batch; its maps are as large either way. */
    whole.batch_norm = whole.micro_batch > 1 ? BT_BATCH_NORM_TRAINING : BT_BATCH_NORM_FROZEN;
    whole.fused_update = 0;
    BT_TRY(bt_with_batch_norms(model, &normed));
    bt_status status = bt_training_build(normed, &whole, &training);
    if (status == BT_OK) {
        bt_report_source source = {.model = normed,
                                   .training = &training,
                                   .memory = &memory,
                                   .target = target,
                                   .micro_batch = batch,
                                   .training_macs =
                                       bt_sequence_macs(&training.ir, BT_SEQUENCE_TRAIN) / batch};
        status = report(&source, &memory, out);
        bt_training_free(&training);
    }
    bt_memory_plan_free(&memory);
    bt_model_free(normed);
    if (status == BT_OK) {
        keep_all(*out);
    }
    return status;
}

bt_status bt_plan_create(const bt_model *model, const bt_training_options *options,
                         const bt_target *target, bt_policy policy, uint32_t batch, bt_plan **out) {
    BT_REQUIRE(model);
    BT_REQUIRE_SIZE(options);
    BT_REQUIRE_SIZE(target);
    BT_REQUIRE(out);
    if (batch < 1 || batch > 65536) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The batch is %u; 1 to 65536 samples are allowed.", batch);
    }
    if (options->fold_batch_norm == 1 || options->cache_features == 1) {
        BT_FAIL(
            BT_ERROR_UNSUPPORTED,
            "Passes that rewrite the network (fold_batch_norm, cache_features) cannot be planned "
            "on their own; compile the program and take its plan.");
    }
    if (policy == BT_POLICY_CONVENTIONAL) {
        return bt_conventional_plan(model, options, target, batch, out);
    }
    if (policy != BT_POLICY_COMPILE) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The policy is %u; BT_POLICY_COMPILE and BT_POLICY_CONVENTIONAL are known.",
                (unsigned)policy);
    }
    bt_plan *plan;
    BT_TRY(bt_plan_make(model, options, target, &bt_passes_all, &plan));
    if (!bt_plan_fits(plan)) {
        BT_TRY(bt_advise(model, options, target, &bt_passes_all, plan));
    }
    *out = plan;
    return BT_OK;
}
