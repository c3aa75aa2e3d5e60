/*
 * Normalisations. Group, layer and instance normalisation are one kernel: contiguous rows that are
 * normalised one by one, with a parameter per channel. Batch normalisation either uses and keeps
 * its running statistics (frozen; always in evaluation) or those of the micro-batch.
 */
#include <math.h>

#include "train/emitter.h"

static bt_status check_epsilon(const bt_attributes *attributes) {
    if (!isfinite(attributes->epsilon) || attributes->epsilon <= 0.0f) {
        BT_FAIL(BT_ERROR_MODEL, "epsilon is %g; it must be greater than 0.",
                (double)attributes->epsilon);
    }
    return BT_OK;
}

/* Operands first … are one value per channel of x. */
static bt_status check_channels(const bt_shape_query *query, uint32_t minimum_rank) {
    const bt_shape *x = query->operand[0];
    BT_TRY(check_epsilon(query->attributes));
    if (x->rank < minimum_rank) {
        BT_FAIL(BT_ERROR_MODEL, "the input %s has rank %u; at least %u dimensions are expected.",
                bt_shape_print(x).text, x->rank, minimum_rank);
    }
    for (uint32_t i = 1; i < query->count; i++) {
        const bt_shape *operand = query->operand[i];
        if (operand != NULL && (operand->rank != 1 || operand->dims[0] != x->dims[1])) {
            BT_FAIL(BT_ERROR_MODEL,
                    "operand %u has the shape %s, but the input %s has %u channels: (%u) is "
                    "expected.",
                    i, bt_shape_print(operand).text, bt_shape_print(x).text, x->dims[1],
                    x->dims[1]);
        }
    }
    return BT_OK;
}

/* ---- rows */

bt_status bt_group_norm_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_shape *x = query->operand[0];
    int32_t groups = query->attributes->groups;
    BT_TRY(check_channels(query, 2));
    if (groups < 1 || x->dims[1] % (uint32_t)groups != 0) {
        BT_FAIL(BT_ERROR_MODEL, "groups is %d; it must divide the %u channels of the input %s.",
                groups, x->dims[1], bt_shape_print(x).text);
    }
    *out = *x;
    return BT_OK;
}

bt_status bt_instance_norm_shape(const bt_shape_query *query, bt_shape *out) {
    BT_TRY(check_channels(query, 3));
    *out = *query->operand[0];
    return BT_OK;
}

bt_status bt_layer_norm_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_shape *x = query->operand[0];
    uint32_t axis;
    BT_TRY(check_epsilon(query->attributes));
    BT_TRY(bt_shape_axis(x, query->attributes->axis, &axis));
    if (axis == 0 && query->batch[0] > 1) {
        BT_FAIL(BT_ERROR_MODEL, "it normalises over the batch; use micro_batch 1.");
    }
    bt_shape trailing = {.rank = x->rank - axis};
    for (uint32_t i = axis; i < x->rank; i++) {
        trailing.dims[i - axis] = x->dims[i];
    }
    for (uint32_t i = 1; i < query->count; i++) {
        if (query->operand[i] != NULL && !bt_shape_equal(query->operand[i], &trailing)) {
            BT_FAIL(BT_ERROR_MODEL,
                    "operand %u has the shape %s; %s, the dimensions of the input %s from axis %u "
                    "on, is expected.",
                    i, bt_shape_print(query->operand[i]).text, bt_shape_print(&trailing).text,
                    bt_shape_print(x).text, axis);
        }
    }
    *out = *x;
    return BT_OK;
}

typedef struct norm_rows {
    uint32_t rows, row_length, groups, channels_per_group, span;
} norm_rows;

static norm_rows norm_rows_of(const bt_emitter *emitter, const bt_node *node) {
    const bt_shape *x = bt_emit_operand_shape(emitter, node, 0);
    norm_rows n = {.groups = 1, .span = 1};
    if (node->row->op == BT_OP_LAYER_NORM) {
        int32_t axis = node->attributes.axis;
        uint32_t first = (uint32_t)(axis < 0 ? axis + (int32_t)x->rank : axis);
        n.rows = bt_shape_product(x, 0, first);
        n.channels_per_group = bt_shape_product(x, first, x->rank);
    } else {
        n.groups =
            node->row->op == BT_OP_GROUP_NORM ? (uint32_t)node->attributes.groups : x->dims[1];
        n.rows = x->dims[0] * n.groups;
        n.channels_per_group = x->dims[1] / n.groups;
        n.span = bt_shape_product(x, 2, x->rank);
    }
    n.row_length = n.channels_per_group * n.span;
    return n;
}

#define NORM_ATTRIBUTES(n, epsilon)                                                                \
    BT_ATTRIBUTES((int32_t)(n).rows, (int32_t)(n).row_length, (int32_t)(n).groups,                 \
                  (int32_t)(n).channels_per_group, (int32_t)(n).span, bt_ir_float(epsilon))

static uint32_t norm_partials(bt_emitter *emitter, const norm_rows *n) {
    return bt_emit_scratch(emitter, BT_DTYPE_F32,
                           bt_norm_partials(n->rows, n->channels_per_group, n->span));
}

void bt_norm_forward(bt_emitter *emitter, const bt_node *node) {
    norm_rows n = norm_rows_of(emitter, node);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t scale = bt_emit_operand(emitter, node, 1);
    uint32_t bias = bt_emit_operand(emitter, node, 2);
    uint32_t y = bt_emit_output(emitter, node);
    uint32_t statistics = bt_emit_scratch(emitter, BT_DTYPE_F32, 2 * n.rows);
    uint32_t partials = norm_partials(emitter, &n);
    bt_emit(emitter, BT_OPCODE_NORM_FORWARD, BT_OPERANDS(x, scale, bias, y, statistics, partials),
            NORM_ATTRIBUTES(n, node->attributes.epsilon));
    emitter->saved[node->index][0] = statistics;
}

/* Opens the gradients of scale and bias that are wanted; BT_NO_TENSOR for the others. */
static void open_parameters(bt_emitter *emitter, const bt_node *node, uint32_t gradients[2]) {
    for (uint32_t i = 0; i < 2; i++) {
        gradients[i] = bt_gradient_wanted(emitter, node, i + 1)
                           ? bt_gradient_open(emitter, node, i + 1, true)
                           : BT_NO_TENSOR;
    }
}

static void close_parameters(bt_emitter *emitter, const bt_node *node,
                             const uint32_t gradients[2]) {
    for (uint32_t i = 0; i < 2; i++) {
        if (gradients[i] != BT_NO_TENSOR) {
            bt_gradient_close(emitter, node, i + 1, gradients[i]);
        }
    }
}

static bool parameters_wanted(const bt_emitter *emitter, const bt_node *node) {
    return bt_gradient_wanted(emitter, node, 1) || bt_gradient_wanted(emitter, node, 2);
}

void bt_norm_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    norm_rows n = norm_rows_of(emitter, node);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t statistics = emitter->saved[node->index][0];
    if (parameters_wanted(emitter, node)) {
        uint32_t gradients[2];
        open_parameters(emitter, node, gradients);
        bt_emit(
            emitter, BT_OPCODE_NORM_GRAD_PARAMETERS,
            BT_OPERANDS(x, dy, statistics, gradients[0], gradients[1], norm_partials(emitter, &n)),
            NORM_ATTRIBUTES(n, node->attributes.epsilon));
        close_parameters(emitter, node, gradients);
    }
    if (bt_gradient_wanted(emitter, node, 0)) {
        uint32_t dx = bt_gradient_open(emitter, node, 0, false);
        uint32_t partials = norm_partials(emitter, &n);
        uint32_t scale = bt_emit_operand(emitter, node, 1);
        bt_emit(emitter, BT_OPCODE_NORM_GRAD_INPUT,
                BT_OPERANDS(x, dy, scale, statistics, dx, partials),
                NORM_ATTRIBUTES(n, node->attributes.epsilon));
        bt_gradient_close(emitter, node, 0, dx);
    }
}

/* ---- batch */

bt_status bt_batch_norm_shape(const bt_shape_query *query, bt_shape *out) {
    float momentum = query->attributes->momentum;
    BT_TRY(check_channels(query, 2));
    if (!(momentum >= 0.0f && momentum <= 1.0f)) {
        BT_FAIL(BT_ERROR_MODEL, "momentum is %g; 0 to 1 is allowed.", (double)momentum);
    }
    *out = *query->operand[0];
    return BT_OK;
}

#define BATCH_NORM_ATTRIBUTES(x, node)                                                             \
    BT_ATTRIBUTES((int32_t)(x)->dims[0], (int32_t)(x)->dims[1],                                    \
                  (int32_t)bt_shape_product((x), 2, (x)->rank),                                    \
                  bt_ir_float((node)->attributes.epsilon),                                         \
                  bt_ir_float((node)->attributes.momentum))

static bool uses_batch_statistics(const bt_emitter *emitter) {
    return emitter->sequence == BT_SEQUENCE_TRAIN &&
           emitter->options->batch_norm == BT_BATCH_NORM_TRAINING;
}

void bt_batch_norm_forward(bt_emitter *emitter, const bt_node *node) {
    const bt_shape *shape = bt_emit_operand_shape(emitter, node, 0);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t scale = bt_emit_operand(emitter, node, 1);
    uint32_t bias = bt_emit_operand(emitter, node, 2);
    uint32_t mean = bt_emit_operand(emitter, node, 3);
    uint32_t variance = bt_emit_operand(emitter, node, 4);
    uint32_t y = bt_emit_output(emitter, node);
    if (uses_batch_statistics(emitter)) {
        uint32_t statistics = bt_emit_scratch(emitter, BT_DTYPE_F32, 2 * shape->dims[1]);
        bt_emit(emitter, BT_OPCODE_BATCH_NORM_FORWARD,
                BT_OPERANDS(x, scale, bias, mean, variance, y, statistics),
                BATCH_NORM_ATTRIBUTES(shape, node));
        emitter->saved[node->index][0] = statistics;
    } else {
        bt_emit(emitter, BT_OPCODE_FROZEN_NORM_FORWARD,
                BT_OPERANDS(x, scale, bias, mean, variance, y), BATCH_NORM_ATTRIBUTES(shape, node));
    }
}

void bt_batch_norm_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    const bt_shape *shape = bt_emit_operand_shape(emitter, node, 0);
    bool batch = uses_batch_statistics(emitter);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t scale = bt_emit_operand(emitter, node, 1);
    uint32_t mean = bt_emit_operand(emitter, node, 3);
    uint32_t variance = bt_emit_operand(emitter, node, 4);
    uint32_t statistics = emitter->saved[node->index][0];
    if (parameters_wanted(emitter, node)) {
        uint32_t gradients[2];
        open_parameters(emitter, node, gradients);
        if (batch) {
            bt_emit(emitter, BT_OPCODE_BATCH_NORM_GRAD_PARAMETERS,
                    BT_OPERANDS(x, dy, statistics, gradients[0], gradients[1]),
                    BATCH_NORM_ATTRIBUTES(shape, node));
        } else {
            bt_emit(emitter, BT_OPCODE_FROZEN_NORM_GRAD_PARAMETERS,
                    BT_OPERANDS(x, dy, mean, variance, gradients[0], gradients[1]),
                    BATCH_NORM_ATTRIBUTES(shape, node));
        }
        close_parameters(emitter, node, gradients);
    }
    if (bt_gradient_wanted(emitter, node, 0)) {
        uint32_t dx = bt_gradient_open(emitter, node, 0, false);
        if (batch) {
            bt_emit(emitter, BT_OPCODE_BATCH_NORM_GRAD_INPUT,
                    BT_OPERANDS(x, dy, scale, statistics, dx), BATCH_NORM_ATTRIBUTES(shape, node));
        } else {
            bt_emit(emitter, BT_OPCODE_FROZEN_NORM_GRAD_INPUT, BT_OPERANDS(dy, scale, variance, dx),
                    BATCH_NORM_ATTRIBUTES(shape, node));
        }
        bt_gradient_close(emitter, node, 0, dx);
    }
}
