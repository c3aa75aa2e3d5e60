#include "train/topology.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/options.h"

#define BT_FAIL_MEMORY() BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for a model.")

/* ---- rewriting */

/* A model on its way into another one. */
typedef struct rewrite {
    const bt_model *from;
    bt_model *to;
    uint32_t *values; /* per value of from: its counterpart, or BT_NO_VALUE */
} rewrite;

/* rewrite_end must follow in any case. */
static bt_status rewrite_begin(const bt_model *from, rewrite *r) {
    *r = (rewrite){.from = from};
    r->values = malloc((from->value_count + 1) * sizeof *r->values);
    if (r->values == NULL) {
        BT_FAIL_MEMORY();
    }
    for (uint32_t i = 0; i < from->value_count; i++) {
        r->values[i] = BT_NO_VALUE;
    }
    return bt_model_create(&r->to);
}

/* The new model in *out, or nothing after a failure. */
static bt_status rewrite_end(rewrite *r, bt_status status, bt_model **out) {
    free(r->values);
    if (status == BT_OK) {
        *out = r->to;
    } else {
        bt_model_free(r->to);
    }
    return status;
}

static bt_status add_parameter(rewrite *r, const char *name, const bt_shape *shape,
                               const float *data, uint32_t *value) {
    return bt_model_add_parameter(r->to, name, shape->rank, (const int32_t *)shape->dims, data,
                                  value);
}

/* A value of from becomes the input of to. */
static bt_status add_input(rewrite *r, uint32_t value) {
    const bt_shape *shape = &r->from->values[value].shape;
    return bt_model_add_input(r->to, r->from->values[r->from->input].name, shape->rank,
                              (const int32_t *)shape->dims, &r->values[value]);
}

/* The counterpart of an operand; parameters are copied when they are first read. */
static bt_status find_operand(rewrite *r, uint32_t value, uint32_t *out) {
    if (value == BT_NO_VALUE) {
        *out = BT_NO_VALUE;
        return BT_OK;
    }
    const bt_value *source = &r->from->values[value];
    if (r->values[value] == BT_NO_VALUE && source->is_parameter) {
        BT_TRY(add_parameter(r, source->name, &source->shape, source->data, &r->values[value]));
    }
    *out = r->values[value];
    return BT_OK;
}

static bt_status copy_node(rewrite *r, const bt_node *node) {
    uint32_t inputs[BT_MAX_INPUTS];
    for (uint32_t i = 0; i < node->input_count; i++) {
        BT_TRY(find_operand(r, node->inputs[i], &inputs[i]));
    }
    BT_TRY(bt_model_add_node(r->to, node->row->op, node->name, inputs, node->input_count,
                             &node->attributes, &r->values[node->output]));
    r->to->nodes[r->to->node_count - 1].stream = node->stream;
    return BT_OK;
}

/* ---- what holds of a model and its options */

typedef struct facts {
    bool *live;
    bool *trainable;
    bool *is_trained; /* a trainable parameter comes before the value, or it is one */
} facts;

static void facts_free(facts *f) {
    free(f->live);
    free(f->trainable);
    free(f->is_trained);
}

/* facts_free must follow in any case. */
static bt_status facts_find(const bt_model *model, const bt_training_options *options, facts *f) {
    *f = (facts){.live = calloc(model->value_count, sizeof(bool)),
                 .trainable = calloc(model->value_count, sizeof(bool)),
                 .is_trained = calloc(model->value_count, sizeof(bool))};
    if (f->live == NULL || f->trainable == NULL || f->is_trained == NULL) {
        BT_FAIL_MEMORY();
    }
    bt_model_mark_live(model, f->live);
    BT_TRY(bt_scheme_apply(model, options, f->live, f->trainable));
    memcpy(f->is_trained, f->trainable, model->value_count * sizeof(bool));
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *node = &model->nodes[i];
        for (uint32_t k = 0; k < node->input_count; k++) {
            if (node->inputs[k] != BT_NO_VALUE && f->is_trained[node->inputs[k]]) {
                f->is_trained[node->output] = true;
            }
        }
    }
    return BT_OK;
}

static bt_status require_complete(const bt_model *model) {
    if (model->input == BT_NO_VALUE || model->output == BT_NO_VALUE) {
        BT_FAIL(BT_ERROR_MODEL, "The model has no %s; add one before a pass changes it.",
                model->input == BT_NO_VALUE ? "input" : "output");
    }
    return BT_OK;
}

/* ---- batch normalisation as a function of one channel */

typedef struct batch_norm {
    const bt_node *node;
    uint32_t channels;
    const float *scale, *bias, *mean, *variance;
} batch_norm;

/* Scale and bias may be computed. */
static bool has_own_parameters(const bt_model *model, const bt_node *node) {
    return model->values[node->inputs[1]].is_parameter &&
           model->values[node->inputs[2]].is_parameter;
}

/* Of a node with parameters. */
static batch_norm batch_norm_of(const bt_model *model, const bt_node *node) {
    const bt_value *values = model->values;
    return (batch_norm){.node = node,
                        .channels = values[node->inputs[1]].shape.dims[0],
                        .scale = values[node->inputs[1]].data,
                        .bias = values[node->inputs[2]].data,
                        .mean = values[node->inputs[3]].data,
                        .variance = values[node->inputs[4]].data};
}

static double deviation(const batch_norm *norm, uint32_t channel) {
    return sqrt((double)norm->variance[channel] + norm->node->attributes.epsilon);
}

/* ---- batch-norm-to-group-norm */

/*
 * One group. With the running means m_c and variances v_c of its channels, a sample that has these
 * statistics has over the group the mean m = avg(m_c) and the variance v = avg(v_c + (m_c - m)^2).
 * GroupNorm computes scale' (x - m) / sqrt(v + e) + bias', which is the affine function of the
 * BatchNorm, scale (x - m_c) / sqrt(v_c + e) + bias, if slope and value at m agree.
 */
static void convert_group(const batch_norm *norm, uint32_t first, uint32_t count, float *scale,
                          float *bias) {
    double mean = 0, variance = 0;
    for (uint32_t c = first; c < first + count; c++) {
        mean += (double)norm->mean[c] / count;
    }
    for (uint32_t c = first; c < first + count; c++) {
        double distance = norm->mean[c] - mean;
        variance += (norm->variance[c] + distance * distance) / count;
    }
    double pooled = sqrt(variance + norm->node->attributes.epsilon);
    for (uint32_t c = first; c < first + count; c++) {
        double slope = norm->scale[c] / deviation(norm, c);
        scale[c] = (float)(slope * pooled);
        bias[c] = (float)(norm->bias[c] + slope * (mean - norm->mean[c]));
    }
}

static uint32_t count_readers(const bt_model *model, uint32_t value) {
    uint32_t readers = 0;
    for (uint32_t i = 0; i < model->node_count; i++) {
        for (uint32_t k = 0; k < model->nodes[i].input_count; k++) {
            readers += model->nodes[i].inputs[k] == value;
        }
    }
    return readers;
}

static bt_status check_convertible(const bt_model *model, const bt_node *node, uint32_t groups) {
    uint32_t channels = model->values[node->output].shape.dims[1];
    if (!has_own_parameters(model, node) || count_readers(model, node->inputs[1]) > 1 ||
        count_readers(model, node->inputs[2]) > 1) {
        BT_FAIL(BT_ERROR_UNSUPPORTED,
                "BatchNorm '%s' has a scale or a bias that is computed, or that other layers read, "
                "so GroupNorm cannot have its own; give it parameters of its own.",
                node->name);
    }
    if (groups < 1 || channels % groups != 0) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "GroupNorm of %u groups cannot take the place of BatchNorm '%s', because it has %u "
                "channels; the number of groups must divide them, as 1 always does.",
                groups, node->name, channels);
    }
    return BT_OK;
}

static bt_status convert_batch_norm(rewrite *r, const bt_node *node, uint32_t groups) {
    BT_TRY(check_convertible(r->from, node, groups));
    batch_norm norm = batch_norm_of(r->from, node);
    float *scale = malloc(2 * norm.channels * sizeof *scale);
    if (scale == NULL) {
        BT_FAIL_MEMORY();
    }
    float *bias = scale + norm.channels;
    uint32_t per_group = norm.channels / groups;
    for (uint32_t first = 0; first < norm.channels; first += per_group) {
        convert_group(&norm, first, per_group, scale, bias);
    }
    const bt_value *values = r->from->values;
    const bt_shape channels = {.rank = 1, .dims = {norm.channels}};
    uint32_t inputs[] = {r->values[node->inputs[0]], BT_NO_VALUE, BT_NO_VALUE};
    bt_status status = add_parameter(r, values[node->inputs[1]].name, &channels, scale, &inputs[1]);
    if (status == BT_OK) {
        status = add_parameter(r, values[node->inputs[2]].name, &channels, bias, &inputs[2]);
    }
    free(scale);
    BT_TRY(status);
    bt_attributes attributes = node->attributes;
    attributes.groups = (int32_t)groups;
    return bt_model_add_node(r->to, BT_OP_GROUP_NORM, node->name, inputs, 3, &attributes,
                             &r->values[node->output]);
}

static bt_status convert_all(rewrite *r, uint32_t groups) {
    const bt_model *model = r->from;
    BT_TRY(add_input(r, model->input));
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *node = &model->nodes[i];
        BT_TRY(node->row->op == BT_OP_BATCH_NORM ? convert_batch_norm(r, node, groups)
                                                 : copy_node(r, node));
    }
    return bt_model_set_output(r->to, r->values[model->output]);
}

bt_status bt_model_group_norm(const bt_model *model, uint32_t groups, bt_model **out) {
    BT_REQUIRE(model);
    BT_REQUIRE(out);
    BT_TRY(require_complete(model));
    rewrite r;
    bt_status status = rewrite_begin(model, &r);
    return rewrite_end(&r, status == BT_OK ? convert_all(&r, groups) : status, out);
}

/* ---- fold-batch-norm */

/* The convolution or linear layer that a batch normalisation can be folded into, or NULL. */
static const bt_node *folding_target(const bt_model *model, const facts *f, const bt_node *node) {
    if (node->row->op != BT_OP_BATCH_NORM || !f->live[node->output] ||
        f->is_trained[node->output] || !has_own_parameters(model, node)) {
        return NULL;
    }
    const bt_value *input = &model->values[node->inputs[0]];
    if (input->node == BT_NO_VALUE || node->inputs[0] == model->output ||
        count_readers(model, node->inputs[0]) > 1) {
        return NULL;
    }
    const bt_node *target = &model->nodes[input->node];
    uint32_t bias = bt_node_operand(target, 2);
    bool is_affine = target->row->op == BT_OP_CONV ||
                     (target->row->op == BT_OP_LINEAR && input->shape.rank == 2);
    return is_affine && model->values[target->inputs[1]].is_parameter &&
                   (bias == BT_NO_VALUE || model->values[bias].is_parameter)
               ? target
               : NULL;
}

/* Scales the outputs of a layer: y = scale (W x + b - mean) / deviation + bias. */
static void fold_values(const bt_model *model, const bt_node *target, const batch_norm *norm,
                        float *weight, float *bias) {
    const bt_value *w = &model->values[target->inputs[1]];
    uint32_t b = bt_node_operand(target, 2);
    uint32_t elements = bt_shape_elements(&w->shape);
    bool transposed = target->row->op == BT_OP_LINEAR &&
                      (target->attributes.flags & BT_ATTRIBUTE_TRANSPOSED_WEIGHT) != 0;
    uint32_t per_channel = elements / norm->channels;
    for (uint32_t i = 0; i < elements; i++) {
        uint32_t c = transposed ? i % norm->channels : i / per_channel;
        weight[i] = (float)(w->data[i] * (norm->scale[c] / deviation(norm, c)));
    }
    for (uint32_t c = 0; c < norm->channels; c++) {
        double before = b == BT_NO_VALUE ? 0.0 : model->values[b].data[c];
        bias[c] = (float)((before - norm->mean[c]) * (norm->scale[c] / deviation(norm, c)) +
                          norm->bias[c]);
    }
}

/* Adds the layer with the normalisation in it, in the place of the normalisation. */
static bt_status add_folded(rewrite *r, const bt_node *target, const bt_node *node) {
    const bt_model *model = r->from;
    const bt_shape *shape = &model->values[target->inputs[1]].shape;
    batch_norm norm = batch_norm_of(model, node);
    uint32_t elements = bt_shape_elements(shape);
    float *weight = malloc((elements + norm.channels) * sizeof *weight);
    if (weight == NULL) {
        BT_FAIL_MEMORY();
    }
    float *bias = weight + elements;
    fold_values(model, target, &norm, weight, bias);
    char name[48];
    uint32_t inputs[3];
    const bt_shape channels = {.rank = 1, .dims = {norm.channels}};
    bt_status status = find_operand(r, target->inputs[0], &inputs[0]);
    if (status == BT_OK) {
        snprintf(name, sizeof name, BT_FOLDED_PREFIX "%u.weight", target->index);
        status = add_parameter(r, name, shape, weight, &inputs[1]);
    }
    if (status == BT_OK) {
        snprintf(name, sizeof name, BT_FOLDED_PREFIX "%u.bias", target->index);
        status = add_parameter(r, name, &channels, bias, &inputs[2]);
    }
    free(weight);
    BT_TRY(status);
    return bt_model_add_node(r->to, target->row->op, node->name, inputs, 3, &target->attributes,
                             &r->values[node->output]);
}

/* The batch normalisation that a node is folded with, or NULL. */
static const bt_node *folded_norm(const bt_model *model, const facts *f, const bt_node *node) {
    for (uint32_t i = node->index + 1; i < model->node_count; i++) {
        if (model->nodes[i].inputs[0] == node->output &&
            folding_target(model, f, &model->nodes[i]) == node) {
            return &model->nodes[i];
        }
    }
    return NULL;
}

static bt_status fold_all(rewrite *r, const facts *f) {
    const bt_model *model = r->from;
    uint32_t folded = 0;
    BT_TRY(add_input(r, model->input));
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *node = &model->nodes[i];
        const bt_node *target = folding_target(model, f, node);
        if (target != NULL) {
            BT_TRY(add_folded(r, target, node));
            folded++;
        } else if (f->live[node->output] && folded_norm(model, f, node) == NULL) {
            BT_TRY(copy_node(r, node));
        }
    }
    if (folded == 0) {
        BT_FAIL(BT_ERROR_UNSUPPORTED,
                "The pass fold-batch-norm finds no BatchNorm directly behind a convolution or "
                "linear layer with nothing trainable in it or before it; switch the pass off, or "
                "train only later layers.");
    }
    return bt_model_set_output(r->to, r->values[model->output]);
}

static bt_status fold(const bt_model *model, const facts *f, bt_model **out) {
    rewrite r;
    bt_status status = rewrite_begin(model, &r);
    return rewrite_end(&r, status == BT_OK ? fold_all(&r, f) : status, out);
}

bt_status bt_topology_fold(const bt_model *model, const bt_training_options *options,
                           bt_model **out) {
    facts f;
    BT_TRY(require_complete(model));
    if (options->batch_norm == BT_BATCH_NORM_TRAINING) {
        BT_FAIL(BT_ERROR_UNSUPPORTED,
                "The pass fold-batch-norm needs the running statistics, but batch normalisation "
                "trains with those of the micro-batch; add the pass freeze-batch-norm.");
    }
    bt_status status = facts_find(model, options, &f);
    if (status == BT_OK) {
        status = fold(model, &f, out);
    }
    facts_free(&f);
    return status;
}

/* ---- cache-features */

/* Marks the values that a value is computed from, itself included. */
static void mark_ancestors(const bt_model *model, uint32_t value, bool *marked) {
    memset(marked, 0, model->value_count * sizeof *marked);
    marked[value] = true;
    for (uint32_t i = model->node_count; i-- > 0;) {
        const bt_node *node = &model->nodes[i];
        for (uint32_t k = 0; marked[node->output] && k < node->input_count; k++) {
            if (node->inputs[k] != BT_NO_VALUE) {
                marked[node->inputs[k]] = true;
            }
        }
    }
}

/* The same sample has the same output in every step. */
static bool is_constant_in_training(const bt_training_options *options, const bt_node *node) {
    return !(node->row->op == BT_OP_DROPOUT && node->attributes.ratio > 0.0f) &&
           !(node->row->op == BT_OP_BATCH_NORM && options->batch_norm == BT_BATCH_NORM_TRAINING);
}

/* 1 if a network can be cut behind the node; before gets the values computed up to there. */
static bool can_cut(const bt_model *model, const bt_training_options *options, const facts *f,
                    const bt_node *last, bool *before) {
    const bt_value *cut = &model->values[last->output];
    if (!f->live[last->output] || f->is_trained[last->output] || !cut->depends_on_input ||
        last->output == model->output || cut->shape.dims[0] != 1 ||
        bt_shape_elements(&cut->shape) < 2) {
        return false;
    }
    mark_ancestors(model, last->output, before);
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *node = &model->nodes[i];
        if (before[node->output] && !is_constant_in_training(options, node)) {
            return false;
        }
        for (uint32_t k = 0;
             !before[node->output] && f->live[node->output] && k < node->input_count; k++) {
            uint32_t input = node->inputs[k];
            if (input != BT_NO_VALUE && input != last->output && before[input]) {
                return false;
            }
        }
    }
    return true;
}

/* Copies the live nodes before the cut, or those behind it. */
static bt_status copy_side(rewrite *r, const facts *f, const bool *before, uint32_t cut,
                           bool wants_before) {
    const bt_model *model = r->from;
    BT_TRY(add_input(r, wants_before ? model->input : cut));
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *node = &model->nodes[i];
        if (f->live[node->output] && before[node->output] == wants_before) {
            BT_TRY(copy_node(r, node));
        }
    }
    return bt_model_set_output(r->to, r->values[wants_before ? cut : model->output]);
}

static bt_status make_side(const bt_model *model, const facts *f, const bool *before, uint32_t cut,
                           bool wants_before, bt_model **out) {
    rewrite r;
    bt_status status = rewrite_begin(model, &r);
    if (status == BT_OK) {
        status = copy_side(&r, f, before, cut, wants_before);
    }
    return rewrite_end(&r, status, out);
}

static bt_status split(const bt_model *model, const bt_training_options *options, const facts *f,
                       bool *before, bt_model **prefix, bt_model **suffix) {
    for (uint32_t i = model->node_count; i-- > 0;) {
        uint32_t cut = model->nodes[i].output;
        if (!can_cut(model, options, f, &model->nodes[i], before)) {
            continue;
        }
        BT_TRY(make_side(model, f, before, cut, true, prefix));
        bt_status status = make_side(model, f, before, cut, false, suffix);
        if (status != BT_OK) {
            bt_model_free(*prefix);
        }
        return status;
    }
    BT_FAIL(BT_ERROR_UNSUPPORTED,
            "The pass cache-features finds nothing to cache: the first layers train, or dropout or "
            "statistics of a batch make their output differ from step to step; switch the pass "
            "off, or train only later layers.");
}

bt_status bt_topology_split(const bt_model *model, const bt_training_options *options,
                            bt_model **prefix, bt_model **suffix) {
    facts f;
    BT_TRY(require_complete(model));
    if (options->input_gradient == 1) {
        BT_FAIL(BT_ERROR_UNSUPPORTED,
                "The pass cache-features computes no gradient of the input, but the training "
                "option input_gradient is 1; set it to 0, or switch the pass off.");
    }
    bool *before = calloc(model->value_count, sizeof *before);
    bt_status status = facts_find(model, options, &f);
    if (status == BT_OK && before == NULL) {
        status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left for a model.");
    }
    if (status == BT_OK) {
        status = split(model, options, &f, before, prefix, suffix);
    }
    facts_free(&f);
    free(before);
    return status;
}
