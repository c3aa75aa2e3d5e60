#include "train/autodiff.h"

#include <stdlib.h>
#include <string.h>

#include "train/fused_update.h"
#include "train/options.h"

static bt_status allocate(bt_emitter *emitter, bt_training *training) {
    size_t values = emitter->model->value_count;
    size_t nodes = emitter->model->node_count;
    emitter->shapes = calloc(values, sizeof *emitter->shapes);
    emitter->live = calloc(values, sizeof *emitter->live);
    emitter->trainable = calloc(values, sizeof *emitter->trainable);
    emitter->needs_gradient = calloc(values, sizeof *emitter->needs_gradient);
    emitter->tensors = calloc(values, sizeof *emitter->tensors);
    emitter->gradients = calloc(values, sizeof *emitter->gradients);
    emitter->saved = calloc(nodes + 1, sizeof *emitter->saved);
    training->parameter_tensors = calloc(values, sizeof *training->parameter_tensors);
    if (emitter->shapes == NULL || emitter->live == NULL || emitter->trainable == NULL ||
        emitter->needs_gradient == NULL || emitter->tensors == NULL || emitter->gradients == NULL ||
        emitter->saved == NULL || training->parameter_tensors == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
    }
    return BT_OK;
}

static void release(bt_emitter *emitter) {
    free(emitter->shapes);
    free(emitter->live);
    free(emitter->trainable);
    free(emitter->needs_gradient);
    free(emitter->tensors);
    free(emitter->gradients);
    free(emitter->saved);
    bt_chains_free(emitter);
}

void bt_training_free(bt_training *training) {
    bt_ir_free(&training->ir);
    free(training->parameter_tensors);
    training->parameter_tensors = NULL;
}

static bt_status check_batch_norm(const bt_emitter *emitter) {
    const bt_model *model = emitter->model;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *node = &model->nodes[i];
        if (node->row->op == BT_OP_BATCH_NORM && emitter->live[node->output] &&
            emitter->options->batch_norm == BT_BATCH_NORM_TRAINING &&
            emitter->options->micro_batch == 1) {
            BT_FAIL(BT_ERROR_UNSUPPORTED,
                    "BatchNorm '%s' cannot train its statistics with micro_batch 1, because the "
                    "statistics of one sample say nothing about a batch; use a micro_batch of 2 or "
                    "more, or one of the passes freeze-batch-norm and batch-norm-to-group-norm.",
                    node->name);
        }
    }
    return BT_OK;
}

/* The output must hold one row per sample, and the loss must make sense for it. */
static bt_status check_output(const bt_emitter *emitter, bt_training *training) {
    const bt_model *model = emitter->model;
    uint32_t batch = emitter->options->micro_batch;
    const bt_value *value = &model->values[model->output];
    const bt_shape *shape = &emitter->shapes[model->output];
    if (shape->dims[0] != batch) {
        BT_FAIL(BT_ERROR_MODEL,
                "The output '%s' has the shape %s with micro_batch %u; its first dimension must be "
                "the batch.",
                value->name, bt_shape_print(shape).text, batch);
    }
    training->input_elements = bt_shape_elements(&emitter->shapes[model->input]) / batch;
    training->output_elements = bt_shape_elements(shape) / batch;
    if (emitter->options->loss == BT_LOSS_CROSS_ENTROPY && training->output_elements < 2) {
        BT_FAIL(BT_ERROR_MODEL,
                "The output '%s' has the shape %s; cross-entropy needs at least 2 classes per "
                "sample.",
                value->name, bt_shape_print(shape).text);
    }
    training->target_kind =
        emitter->options->loss == BT_LOSS_CROSS_ENTROPY ? BT_TARGET_CLASS : BT_TARGET_VECTOR;
    return BT_OK;
}

/*
 * Gradients are needed by trainable parameters, the input if asked for, and all on the way; without
 * the pass dead-gradients everything is given one that could have one.
 */
static void mark_gradients(bt_emitter *emitter) {
    const bt_model *model = emitter->model;
    for (uint32_t i = 0; i < model->value_count; i++) {
        bool dead = (model->values[i].roles & BT_ROLE_STATISTIC) != 0 || !emitter->live[i];
        emitter->needs_gradient[i] =
            emitter->trainable[i] || (emitter->options->dead_gradients == 0 && !dead) ||
            (i == model->input && emitter->live[i] && emitter->options->input_gradient == 1);
    }
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *node = &model->nodes[i];
        for (uint32_t k = 0; emitter->live[node->output] && k < node->input_count; k++) {
            if (bt_gradient_wanted(emitter, node, k)) {
                emitter->needs_gradient[node->output] = true;
            }
        }
    }
}

/* Tensors that outlive a sequence: parameters, gradients, and what the session reads and writes. */
static void create_interface(bt_emitter *emitter, bt_training *training) {
    const bt_model *model = emitter->model;
    bt_ir *ir = &training->ir;
    uint32_t batch = emitter->options->micro_batch;
    for (uint32_t i = 0; i < model->value_count; i++) {
        const bt_value *value = &model->values[i];
        training->parameter_tensors[i] = BT_NO_TENSOR;
        emitter->gradients[i] = BT_NO_TENSOR;
        if (!value->is_parameter) {
            continue;
        }
        training->parameter_tensors[i] = bt_ir_tensor_new(ir, BT_RESIDENCE_PERSISTENT, BT_DTYPE_F32,
                                                          &value->shape, "", value->name);
        if ((value->roles & BT_ROLE_STATISTIC) == 0) {
            training->parameters += bt_shape_elements(&value->shape);
        }
        if (emitter->trainable[i]) {
            training->trainable_parameters += bt_shape_elements(&value->shape);
            emitter->gradients[i] = bt_ir_tensor_new(ir, BT_RESIDENCE_PERSISTENT, BT_DTYPE_F32,
                                                     &value->shape, "gradient.", value->name);
        }
    }
    bt_shape per_sample = {.rank = 1, .dims = {batch}};
    bt_shape vectors = {.rank = 2, .dims = {batch, training->output_elements}};
    bool classes = training->target_kind == BT_TARGET_CLASS;
    ir->input = bt_ir_tensor_new(ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32,
                                 &emitter->shapes[model->input], "", "input");
    ir->target = bt_ir_tensor_new(ir, BT_RESIDENCE_TRANSIENT, classes ? BT_DTYPE_I32 : BT_DTYPE_F32,
                                  classes ? &per_sample : &vectors, "", "target");
    ir->loss = bt_ir_tensor_new(ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &per_sample, "", "loss");
}

/* The forward pass of the current sequence; returns the output, one row per sample. */
static uint32_t emit_forward(bt_emitter *emitter, const bt_training *training) {
    const bt_model *model = emitter->model;
    memcpy(emitter->tensors, training->parameter_tensors,
           model->value_count * sizeof *emitter->tensors);
    emitter->tensors[model->input] = emitter->ir->input;
    for (uint32_t i = 0; i < model->node_count && emitter->ir->status == BT_OK; i++) {
        const bt_node *node = &model->nodes[i];
        bt_chain *chain = bt_chain_of(emitter, i);
        if (chain != NULL && bt_chain_begins(chain, i)) {
            bt_chain_forward(emitter, chain);
        } else if (chain == NULL && emitter->live[node->output]) {
            emitter->ir->node = i;
            node->row->forward(emitter, node);
        }
    }
    emitter->ir->node = BT_NO_NODE;
    bt_shape rows = {.rank = 2, .dims = {emitter->options->micro_batch, training->output_elements}};
    return bt_ir_view(emitter->ir, emitter->tensors[model->output], &rows);
}

/* Adds the loss's gradient to that of the output value. */
static void add_output_gradient(bt_emitter *emitter, uint32_t dy) {
    uint32_t output = emitter->model->output;
    uint32_t view = bt_ir_view(emitter->ir, dy, &emitter->shapes[output]);
    if (emitter->trainable[output]) {
        bt_emit(emitter, BT_OPCODE_ACCUMULATE, BT_OPERANDS(view, emitter->gradients[output]),
                BT_NO_ATTRIBUTES);
    } else {
        emitter->gradients[output] = view;
    }
}

/* Keeps the input's gradient under a name; where no gradient arrives it is zero. */
static void keep_input_gradient(bt_emitter *emitter) {
    const bt_model *model = emitter->model;
    uint32_t input = model->input;
    uint32_t *gradient = &emitter->gradients[input];
    if (*gradient == BT_NO_TENSOR) {
        *gradient = bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32,
                                     &emitter->shapes[input], "", NULL);
        bt_emit(emitter, BT_OPCODE_ZERO, BT_OPERANDS(*gradient), BT_NO_ATTRIBUTES);
    }
    bt_ir_keep(emitter->ir, *gradient);
    bt_ir_name(emitter->ir, *gradient, "gradient.", model->values[input].name);
}

static void emit_train(bt_emitter *emitter, const bt_training *training) {
    const bt_model *model = emitter->model;
    emitter->sequence = BT_SEQUENCE_TRAIN;
    uint32_t output = emit_forward(emitter, training);
    uint32_t dy = BT_NO_TENSOR;
    if (emitter->needs_gradient[model->output]) {
        bt_shape rows = {.rank = 2,
                         .dims = {emitter->options->micro_batch, training->output_elements}};
        dy = bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &rows, "", NULL);
    }
    bt_emit_loss(emitter, output, training->output_elements, dy);
    if (emitter->ir->status == BT_OK && dy != BT_NO_TENSOR) {
        add_output_gradient(emitter, dy);
    }
    for (uint32_t i = model->node_count; i-- > 0 && emitter->ir->status == BT_OK;) {
        const bt_node *node = &model->nodes[i];
        uint32_t gradient = emitter->gradients[node->output];
        bt_chain *chain = bt_chain_of(emitter, i);
        if (!emitter->needs_gradient[node->output] || gradient == BT_NO_TENSOR) {
            continue;
        }
        if (chain != NULL && bt_chain_ends(chain, i)) {
            bt_chain_backward(emitter, chain, gradient);
        } else if (chain == NULL) {
            emitter->ir->node = i;
            node->row->backward(emitter, node, gradient);
        }
    }
    emitter->ir->node = BT_NO_NODE;
    if (emitter->options->input_gradient == 1) {
        keep_input_gradient(emitter);
    }
}

static void emit_evaluate(bt_emitter *emitter, const bt_training *training) {
    bt_ir *ir = emitter->ir;
    emitter->sequence = BT_SEQUENCE_EVALUATE;
    ir->output = emit_forward(emitter, training);
    bt_emit_loss(emitter, ir->output, training->output_elements, BT_NO_TENSOR);
    bt_ir_name(ir, ir->output, "", "output");
}

static void emit_begin_and_update(bt_emitter *emitter, const bt_training *training) {
    const bt_model *model = emitter->model;
    for (uint32_t i = 0; i < model->value_count; i++) {
        if (emitter->trainable[i]) {
            bt_ir_emit(emitter->ir, BT_SEQUENCE_BEGIN, BT_OPCODE_ZERO,
                       BT_OPERANDS(emitter->gradients[i]), BT_NO_ATTRIBUTES);
            bt_emit_update(emitter->ir, emitter->options, model->values[i].name,
                           &model->values[i].shape, training->parameter_tensors[i],
                           emitter->gradients[i]);
        }
    }
}

static bt_status build(bt_emitter *emitter, const bt_partition *partition, bt_training *training) {
    const bt_model *model = emitter->model;
    BT_TRY(allocate(emitter, training));
    BT_TRY(bt_model_shapes(model, emitter->options->micro_batch, emitter->shapes));
    bt_model_mark_live(model, emitter->live);
    BT_TRY(check_batch_norm(emitter));
    BT_TRY(check_output(emitter, training));
    BT_TRY(bt_scheme_apply(model, emitter->options, emitter->live, emitter->trainable));
    mark_gradients(emitter);
    if (partition->parts > 1) {
        bt_chains_find(emitter, partition);
    }
    create_interface(emitter, training);
    emit_begin_and_update(emitter, training);
    emit_train(emitter, training);
    emit_evaluate(emitter, training);
    BT_TRY(training->ir.status);
    return emitter->options->fused_update == 1 ? bt_fuse_updates(&training->ir) : BT_OK;
}

bt_status bt_training_build(const bt_model *model, const bt_training_options *options,
                            bt_training *out) {
    const bt_partition whole = {.parts = 1};
    return bt_training_build_in_parts(model, options, &whole, out);
}

bt_status bt_training_build_in_parts(const bt_model *model, const bt_training_options *options,
                                     const bt_partition *partition, bt_training *out) {
    BT_REQUIRE(model);
    BT_TRY(bt_options_check(options));
    if (model->input == BT_NO_VALUE) {
        BT_FAIL(BT_ERROR_MODEL, "The model has no input; add one with bt_model_add_input.");
    }
    if (model->output == BT_NO_VALUE) {
        BT_FAIL(BT_ERROR_MODEL, "The model has no output; set one with bt_model_set_output.");
    }
    bt_training training = {0};
    bt_ir_init(&training.ir);
    bt_emitter emitter = {
        .model = model, .options = options, .ir = &training.ir, .place = BT_NO_TENSOR};
    bt_status status = build(&emitter, partition, &training);
    release(&emitter);
    if (status != BT_OK) {
        bt_training_free(&training);
        return status;
    }
    *out = training;
    return BT_OK;
}
