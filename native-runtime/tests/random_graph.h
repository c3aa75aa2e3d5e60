/* Random models: every op, branches that join again, shared parameters, parameters as operands. */
#ifndef BT_TEST_RANDOM_GRAPH_H
#define BT_TEST_RANDOM_GRAPH_H

#include "networks.h"

static inline bt_value_info value_info(const bt_model *model, uint32_t value) {
    bt_value_info info = {.struct_size = sizeof info};
    require(bt_model_value_info(model, value, &info), "bt_model_value_info");
    return info;
}

static inline int32_t value_elements(const bt_value_info *info) {
    int32_t elements = 1;
    for (uint32_t i = 0; i < info->rank; i++) {
        elements *= info->dims[i];
    }
    return elements;
}

/* Random attributes that often fit a value of this shape. */
static inline bt_attributes random_attributes(uint32_t *seed, const bt_value_info *x) {
    bt_attributes a = attributes_default();
    a.flags = next_below(seed, 8);
    for (uint32_t i = 0; i < 2; i++) {
        a.kernel[i] = 1 + (int32_t)next_below(seed, 3);
        a.strides[i] = 1 + (int32_t)next_below(seed, 2);
        a.dilations[i] = 1 + (int32_t)next_below(seed, 2);
    }
    for (uint32_t i = 0; i < 4; i++) {
        a.pads[i] = (int32_t)next_below(seed, 2);
    }
    a.groups = 1 + (int32_t)next_below(seed, 3);
    a.axis = 1 + (int32_t)next_below(seed, 2);
    a.alpha = 0.5f;
    a.epsilon = 0.01f;
    a.ratio = next_below(seed, 2) == 0 ? 0.0f : 0.5f;
    a.rank = x->rank;
    /* A permutation that keeps the batch in front. */
    for (uint32_t i = 0; i < x->rank; i++) {
        a.dims[i] = (int32_t)i;
    }
    for (uint32_t i = x->rank; i-- > 2;) {
        uint32_t other = 1 + next_below(seed, i);
        int32_t swapped = a.dims[i];
        a.dims[i] = a.dims[other];
        a.dims[other] = swapped;
    }
    return a;
}

/* Operands behind x that fit op; returns their number. */
static inline uint32_t random_operands(builder *b, bt_op op, const bt_value_info *x,
                                       const bt_attributes *a, const uint32_t *values,
                                       uint32_t value_count, uint32_t *inputs) {
    int32_t channels = x->rank > 1 ? x->dims[1] : 1;
    int32_t last = x->dims[x->rank - 1];
    int32_t out = 1 + (int32_t)next_below(&b->seed, 4);
    int32_t dims[BT_MAX_RANK];
    switch (op) {
    case BT_OP_CONV:
        dims[0] = out * a->groups;
        dims[1] = channels / a->groups;
        dims[2] = 1 + (int32_t)next_below(&b->seed, 3);
        dims[3] = 1 + (int32_t)next_below(&b->seed, 3);
        if (dims[1] == 0) {
            return 1;
        }
        inputs[1] = add_parameter(b, NULL, x->rank < 4 ? 3 : 4, dims, 0.0f, 0.5f);
        inputs[2] =
            next_below(&b->seed, 2) ? add_vector(b, NULL, dims[0], 0.0f, 0.5f) : BT_NO_VALUE;
        return 3;
    case BT_OP_LINEAR: {
        uint32_t transposed = (a->flags & BT_ATTRIBUTE_TRANSPOSED_WEIGHT) != 0;
        dims[transposed] = out;
        dims[1 - transposed] = last;
        inputs[1] = add_parameter(b, NULL, 2, dims, 0.0f, 0.5f);
        inputs[2] = add_vector(b, NULL, out, 0.0f, 0.5f);
        return 2 + next_below(&b->seed, 2);
    }
    case BT_OP_MATMUL:
        dims[0] = last;
        dims[1] = out;
        inputs[1] = add_parameter(b, NULL, 2, dims, 0.0f, 0.5f);
        return 2;
    case BT_OP_BATCH_NORM:
        inputs[1] = add_vector(b, NULL, channels, 1.0f, 0.3f);
        inputs[2] = add_vector(b, NULL, channels, 0.0f, 0.3f);
        inputs[3] = add_vector(b, NULL, channels, 0.0f, 0.3f);
        inputs[4] = add_vector(b, NULL, channels, 1.0f, 0.3f);
        return 5;
    case BT_OP_GROUP_NORM:
    case BT_OP_INSTANCE_NORM:
        inputs[1] = add_vector(b, NULL, channels, 1.0f, 0.3f);
        inputs[2] = add_vector(b, NULL, channels, 0.0f, 0.3f);
        return 3;
    case BT_OP_LAYER_NORM:
        for (uint32_t i = (uint32_t)a->axis; i < x->rank; i++) {
            dims[i - (uint32_t)a->axis] = x->dims[i];
        }
        if ((uint32_t)a->axis >= x->rank) {
            return 2;
        }
        inputs[1] = add_parameter(b, NULL, x->rank - (uint32_t)a->axis, dims, 1.0f, 0.3f);
        inputs[2] = add_parameter(b, NULL, x->rank - (uint32_t)a->axis, dims, 0.0f, 0.3f);
        return 2 + next_below(&b->seed, 2);
    case BT_OP_ADD:
    case BT_OP_MUL:
    case BT_OP_CONCAT:
        if (next_below(&b->seed, 3) == 0) {
            inputs[1] = inputs[0];
        } else if (next_below(&b->seed, 3) == 0) {
            inputs[1] = add_vector(b, NULL, last, 0.5f, 0.5f);
        } else {
            inputs[1] = values[next_below(&b->seed, value_count)];
        }
        return 2;
    default:
        return 1;
    }
}

/* Ops whose gradient jumps, so that finite differences need not agree with it. */
static inline int has_kinks(bt_op op) {
    return op == BT_OP_RELU || op == BT_OP_LEAKY_RELU || op == BT_OP_HARDSWISH ||
           op == BT_OP_MAX_POOL;
}

/* About node_count nodes; the output has one row per sample. smooth: only ops without kinks. */
static inline bt_model *random_model(uint32_t seed, uint32_t node_count, uint32_t smooth) {
    enum { VALUES = 128 };
    builder b = builder_new(seed * 2654435761u + 1u);
    uint32_t values[VALUES], value_count = 1;
    uint32_t rank = 3 + next_below(&b.seed, 2);
    int32_t dims[BT_MAX_RANK] = {1, 1 + (int32_t)next_below(&b.seed, 6)};
    for (uint32_t i = 2; i < rank; i++) {
        dims[i] = 2 + (int32_t)next_below(&b.seed, 9);
    }
    values[0] = add_input(&b, rank, dims);
    for (uint32_t tries = 0; value_count < node_count + 1 && tries < 6 * node_count; tries++) {
        bt_op op = (bt_op)(1 + next_below(&b.seed, bt_op_count()));
        /* Mostly the newest value, so that networks are deep. */
        uint32_t from =
            next_below(&b.seed, 3) == 0 ? next_below(&b.seed, value_count) : value_count - 1;
        uint32_t inputs[BT_MAX_INPUTS] = {values[from]};
        bt_value_info x = value_info(b.model, values[from]);
        bt_attributes a = random_attributes(&b.seed, &x);
        if (op == BT_OP_RESHAPE) {
            a.rank = 3;
            a.dims[0] = (int32_t)next_below(&b.seed, 2);
            a.dims[1] = -1;
            a.dims[2] = 1 + (int32_t)next_below(&b.seed, 3);
        }
        if (smooth) {
            a.alpha = 1.0f;
        }
        uint32_t count = random_operands(&b, op, &x, &a, values, value_count, inputs);
        uint32_t value;
        if (smooth && has_kinks(op)) {
            continue;
        }
        if (bt_model_add_node(b.model, op, NULL, inputs, count, &a, &value) != BT_OK) {
            continue;
        }
        bt_value_info y = value_info(b.model, value);
        if (value_elements(&y) <= 4096 && y.dims[0] == 1) {
            values[value_count++] = value;
        }
    }
    bt_value_info last = value_info(b.model, values[value_count - 1]);
    uint32_t output = add_flatten(&b, values[value_count - 1]);
    return finish(&b, add_linear(&b, "head", output, value_elements(&last), 3));
}

#endif
