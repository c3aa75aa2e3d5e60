#include "train/chain.h"

#include <stdlib.h>
#include <string.h>

#define BT_CHAIN_MAX_LAYERS 16u
#define BT_CHAIN_MAX_PARTS 32u

/* A convolution with at least this part of the network's multiply-adds is not computed twice. */
#define BT_CHAIN_COSTLY_SHARE 4u

/* Kept gradients are scaled by 2^12 in half precision: a map's gradients are often below 2^-14, the
 * least half with all its bits, and never near 16, the largest that fits then. */
#define BT_GRADIENT_EXPONENT 12

/* Value 0 is the chain's input, value i the output of layer i - 1; each with one tensor per part.
 */
typedef uint32_t part_tensors[BT_CHAIN_MAX_LAYERS + 1][BT_CHAIN_MAX_PARTS];

struct bt_chain {
    uint32_t layers;
    uint32_t nodes[BT_CHAIN_MAX_LAYERS];
    uint32_t parts;
    uint32_t forgotten; /* the first so many are not kept for the backward pass */
    bool keeps_value[BT_CHAIN_MAX_LAYERS + 1];
    bool keeps_gradient[BT_CHAIN_MAX_LAYERS + 1];
    /* State while a sequence is emitted: what lasts, and what lasts for one part of one pass. */
    bool backward;
    uint32_t output;                                         /* whole */
    uint32_t output_gradient;                                /* whole */
    uint32_t input_gradient;                                 /* whole, or BT_NO_TENSOR */
    uint32_t statistics[BT_CHAIN_MAX_LAYERS];                /* of normalisations: per row */
    uint32_t means[BT_CHAIN_MAX_LAYERS];                     /* of their gradients: per row */
    uint32_t saved[BT_CHAIN_MAX_LAYERS][BT_CHAIN_MAX_PARTS]; /* what forward rules save */
    bool trained[BT_CHAIN_MAX_LAYERS][BT_CHAIN_MAX_PARTS];   /* parameters' gradients are done */
    part_tensors values, gradients;
    uint32_t pass_values[BT_CHAIN_MAX_LAYERS + 1];
    uint32_t pass_gradients[BT_CHAIN_MAX_LAYERS + 1];
};

static const bt_node *node_at(const bt_emitter *emitter, const bt_chain *chain, uint32_t layer) {
    return &emitter->model->nodes[chain->nodes[layer]];
}

/* The model's value of a chain's value. */
static uint32_t value_at(const bt_emitter *emitter, const bt_chain *chain, uint32_t value) {
    return value == 0 ? node_at(emitter, chain, 0)->inputs[0]
                      : node_at(emitter, chain, value - 1)->output;
}

static const bt_shape *shape_at(const bt_emitter *emitter, const bt_chain *chain, uint32_t value) {
    return &emitter->shapes[value_at(emitter, chain, value)];
}

static bool is_norm(const bt_node *node) {
    return node->row->op == BT_OP_GROUP_NORM || node->row->op == BT_OP_INSTANCE_NORM;
}

static bool is_activation(const bt_node *node) {
    return BT_OP_RELU <= node->row->op && node->row->op <= BT_OP_HARDSWISH;
}

static bool is_pool(const bt_node *node) {
    return node->row->op == BT_OP_MAX_POOL || node->row->op == BT_OP_AVERAGE_POOL ||
           node->row->op == BT_OP_GLOBAL_AVERAGE_POOL;
}

/* Every output channel reads all of the input. */
static bool reads_all(const bt_node *node) {
    return node->row->op == BT_OP_CONV && node->attributes.groups == 1;
}

/* Instructions from here on belong to this layer. */
static void name_layer(bt_emitter *emitter, const bt_chain *chain, uint32_t layer) {
    emitter->ir->node = chain->nodes[layer];
}

/* ---- finding */

static uint64_t conv_macs(const bt_emitter *emitter, const bt_node *node) {
    const bt_shape *weight = &emitter->shapes[node->inputs[1]];
    return (uint64_t)bt_shape_elements(&emitter->shapes[node->output]) *
           bt_shape_product(weight, 1, weight->rank);
}

static bool is_costly(const bt_emitter *emitter, const bt_node *node) {
    const bt_model *model = emitter->model;
    uint64_t all = 0;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *other = &model->nodes[i];
        if (other->row->op == BT_OP_CONV && emitter->live[other->output]) {
            all += conv_macs(emitter, other);
        }
    }
    return node->row->op == BT_OP_CONV && conv_macs(emitter, node) * BT_CHAIN_COSTLY_SHARE >= all;
}

/* The only live node that reads a value, or NULL. */
static const bt_node *only_reader(const bt_emitter *emitter, uint32_t value) {
    const bt_model *model = emitter->model;
    const bt_node *reader = NULL;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const bt_node *node = &model->nodes[i];
        for (uint32_t k = 0; emitter->live[node->output] && k < node->input_count; k++) {
            if (node->inputs[k] == value) {
                if (reader != NULL) {
                    return NULL;
                }
                reader = node;
            }
        }
    }
    return value == model->output ? NULL : reader;
}

static bool has_own_parameters(const bt_emitter *emitter, const bt_node *node) {
    for (uint32_t k = 1; k < node->input_count; k++) {
        if (node->inputs[k] != BT_NO_VALUE &&
            !emitter->model->values[node->inputs[k]].is_parameter) {
            return false;
        }
    }
    return true;
}

/* Treats every channel by itself. */
static bool is_channel_wise(const bt_emitter *emitter, const bt_node *node) {
    const bt_shape *x = &emitter->shapes[node->inputs[0]];
    if (!has_own_parameters(emitter, node) || x->rank < 3) {
        return false;
    }
    if (is_norm(node)) {
        return bt_shape_product(x, 2, x->rank) > 1; /* else block sums run across channels */
    }
    return is_activation(node) || is_pool(node) || node->row->op == BT_OP_DROPOUT ||
           node->row->op == BT_OP_BATCH_NORM ||
           (node->row->op == BT_OP_CONV && node->attributes.groups == (int32_t)x->dims[1]);
}

/* Channels of every part make up whole groups, or parts of one. */
static bool parts_fit(const bt_emitter *emitter, const bt_chain *chain, uint32_t parts) {
    for (uint32_t i = 0; i < chain->layers; i++) {
        const bt_node *node = node_at(emitter, chain, i);
        uint32_t channels = emitter->shapes[node->output].dims[1];
        if (channels % parts != 0) {
            return false;
        }
        if (node->row->op == BT_OP_GROUP_NORM) {
            uint32_t of_part = channels / parts;
            uint32_t of_group = channels / (uint32_t)node->attributes.groups;
            if (of_part % of_group != 0 && of_group % of_part != 0) {
                return false;
            }
        }
    }
    return true;
}

/* Bytes. */
static uint32_t largest_map(const bt_emitter *emitter, const bt_chain *chain) {
    uint32_t largest = 0;
    for (uint32_t i = 0; i < chain->layers; i++) {
        uint32_t bytes =
            4 * bt_shape_elements(&emitter->shapes[node_at(emitter, chain, i)->output]);
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

/* Gradients behind a costly convolution are kept for the pass that comes after. */
static void decide_what_to_keep(const bt_emitter *emitter, bt_chain *chain) {
    bool costly = false;
    for (uint32_t i = chain->layers; i-- > 0;) {
        const bt_node *node = node_at(emitter, chain, i);
        chain->keeps_value[i + 1] = is_costly(emitter, node);
        if (is_norm(node)) {
            chain->keeps_gradient[i + 1] = costly;
            costly = false;
        }
        costly = costly || is_costly(emitter, node);
    }
}

/* The chain that begins with a convolution; 0 layers if it is not worth one. */
static void follow(const bt_emitter *emitter, const bt_node *first, const bt_partition *partition,
                   bt_chain *chain) {
    uint32_t end = 0; /* layers up to the last pooling, or a convolution behind it */
    bool behind_pool = false;
    *chain = (bt_chain){0};
    const bt_node *node = first;
    while (chain->layers < BT_CHAIN_MAX_LAYERS && node != NULL &&
           (node == first || is_channel_wise(emitter, node))) {
        chain->nodes[chain->layers++] = node->index;
        behind_pool =
            is_pool(node) ||
            (behind_pool && (node->row->op == BT_OP_DROPOUT || node->row->op == BT_OP_CONV));
        end = behind_pool && node->row->op != BT_OP_DROPOUT ? chain->layers : end;
        node = only_reader(emitter, node->output);
        if (node != NULL && node->inputs[0] != node_at(emitter, chain, chain->layers - 1)->output) {
            node = NULL;
        }
    }
    chain->layers = end;
    chain->parts = partition->parts;
    while (chain->parts > 1 &&
           (!parts_fit(emitter, chain, chain->parts) ||
            largest_map(emitter, chain) / chain->parts < partition->least_bytes)) {
        chain->parts--;
    }
    chain->forgotten = chain->parts * partition->forgotten / BT_CHAIN_MAX_PARTS;
    chain->layers = chain->parts > 1 ? chain->layers : 0;
    decide_what_to_keep(emitter, chain);
}

/* A convolution that is the first layer to be trained, or a normalisation. */
static bool may_begin(const bt_emitter *emitter, const bt_node *node) {
    if (!emitter->live[node->output] || bt_chain_of(emitter, node->index) != NULL) {
        return false;
    }
    return is_norm(node) ? is_channel_wise(emitter, node)
                         : reads_all(node) && has_own_parameters(emitter, node) &&
                               !bt_gradient_wanted(emitter, node, 0);
}

void bt_chains_find(bt_emitter *emitter, const bt_partition *partition) {
    const bt_model *model = emitter->model;
    emitter->chains = calloc(model->node_count + 1, sizeof(bt_chain));
    if (emitter->chains == NULL) {
        emitter->ir->status =
            bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
        return;
    }
    for (uint32_t i = 0; i < model->node_count && emitter->options->micro_batch == 1; i++) {
        const bt_node *node = &model->nodes[i];
        if (may_begin(emitter, node)) {
            bt_chain *chain = &emitter->chains[emitter->chain_count];
            follow(emitter, node, partition, chain);
            emitter->chain_count += chain->layers > 0;
        }
    }
}

void bt_chains_free(bt_emitter *emitter) { free(emitter->chains); }

bt_chain *bt_chain_of(const bt_emitter *emitter, uint32_t node) {
    for (uint32_t i = 0; i < emitter->chain_count; i++) {
        for (uint32_t layer = 0; layer < emitter->chains[i].layers; layer++) {
            if (emitter->chains[i].nodes[layer] == node) {
                return &emitter->chains[i];
            }
        }
    }
    return NULL;
}

bool bt_chain_begins(const bt_chain *chain, uint32_t node) { return chain->nodes[0] == node; }

bool bt_chain_ends(const bt_chain *chain, uint32_t node) {
    return chain->nodes[chain->layers - 1] == node;
}

/* ---- parts of tensors */

/* Part number part of what has its channels along this axis; the axes before it are 1. */
static uint32_t slice(bt_emitter *emitter, const bt_chain *chain, uint32_t tensor, uint32_t axis,
                      uint32_t part) {
    if (tensor == BT_NO_TENSOR || emitter->ir->status != BT_OK) {
        return BT_NO_TENSOR;
    }
    bt_shape shape = emitter->ir->tensors[tensor].shape;
    shape.dims[axis] /= chain->parts;
    return bt_ir_slice(emitter->ir, tensor, part * bt_shape_elements(&shape), &shape);
}

static bt_shape part_shape(const bt_chain *chain, const bt_shape *whole, uint32_t axis) {
    bt_shape shape = *whole;
    shape.dims[axis] /= chain->parts;
    return shape;
}

/* What an emitter says of a layer's operands and output while one part of it is emitted. */
typedef struct saved_operand {
    bt_shape shape;
    uint32_t tensor, gradient;
    bool needs_gradient;
} saved_operand;

typedef struct part_scope {
    bt_node node; /* with the groups of the part */
    saved_operand operands[BT_MAX_INPUTS];
    bt_shape output_shape;
    uint32_t output;
} part_scope;

/* Makes the layer look like one with the channels of one part only. */
static void enter_part(bt_emitter *emitter, const bt_chain *chain, uint32_t layer, uint32_t part,
                       uint32_t x, uint32_t y, part_scope *scope) {
    const bt_node *node = node_at(emitter, chain, layer);
    name_layer(emitter, chain, layer);
    scope->node = *node;
    scope->output_shape = emitter->shapes[node->output];
    scope->output = emitter->tensors[node->output];
    emitter->shapes[node->output] = part_shape(chain, &scope->output_shape, 1);
    emitter->tensors[node->output] = y;
    for (uint32_t k = 0; k < node->input_count; k++) {
        uint32_t value = node->inputs[k];
        if (value == BT_NO_VALUE) {
            continue;
        }
        scope->operands[k] =
            (saved_operand){emitter->shapes[value], emitter->tensors[value],
                            emitter->gradients[value], emitter->needs_gradient[value]};
        if (k > 0) {
            emitter->shapes[value] = part_shape(chain, &emitter->shapes[value], 0);
            emitter->tensors[value] = slice(emitter, chain, emitter->tensors[value], 0, part);
            emitter->gradients[value] = slice(emitter, chain, emitter->gradients[value], 0, part);
        } else if (!reads_all(node)) {
            emitter->shapes[value] = part_shape(chain, &emitter->shapes[value], 1);
        }
    }
    emitter->tensors[node->inputs[0]] = x;
    emitter->gradients[node->inputs[0]] = BT_NO_TENSOR;
    emitter->first_element = part * bt_shape_elements(&emitter->shapes[node->output]);
    if (node->row->op == BT_OP_CONV && !reads_all(node)) {
        scope->node.attributes.groups /= (int32_t)chain->parts;
    }
}

static void leave_part(bt_emitter *emitter, const part_scope *scope) {
    const bt_node *node = &scope->node;
    for (uint32_t k = 0; k < node->input_count; k++) {
        uint32_t value = node->inputs[k];
        if (value != BT_NO_VALUE) {
            emitter->shapes[value] = scope->operands[k].shape;
            emitter->tensors[value] = scope->operands[k].tensor;
            emitter->gradients[value] = scope->operands[k].gradient;
            emitter->needs_gradient[value] = scope->operands[k].needs_gradient;
        }
    }
    emitter->shapes[node->output] = scope->output_shape;
    emitter->tensors[node->output] = scope->output;
    emitter->first_element = 0;
}

static void begin_part(bt_chain *chain) {
    memset(chain->pass_values, 0xFF, sizeof chain->pass_values);
    memset(chain->pass_gradients, 0xFF, sizeof chain->pass_gradients);
}

/* ---- normalisation in parts */

/* Rows that are normalised together, as a whole and as one part sees them. */
typedef struct norm_part {
    uint32_t channels, span;       /* channels of one part */
    uint32_t rows, of_group;       /* of the part; of_group: of its channels in a row */
    uint32_t all_rows, all_blocks; /* blocks of a whole row */
    uint32_t row_elements;         /* of a whole row */
    float epsilon;
} norm_part;

static norm_part norm_part_of(const bt_emitter *emitter, const bt_chain *chain, uint32_t layer) {
    const bt_node *node = node_at(emitter, chain, layer);
    const bt_shape *x = shape_at(emitter, chain, layer);
    uint32_t groups =
        node->row->op == BT_OP_INSTANCE_NORM ? x->dims[1] : (uint32_t)node->attributes.groups;
    uint32_t of_group = x->dims[1] / groups;
    norm_part n = {.channels = x->dims[1] / chain->parts,
                   .span = bt_shape_product(x, 2, x->rank),
                   .all_rows = groups,
                   .epsilon = node->attributes.epsilon};
    n.of_group = of_group < n.channels ? of_group : n.channels;
    n.rows = n.channels / n.of_group;
    n.all_blocks = bt_norm_partials(1, of_group, n.span) / 2;
    n.row_elements = of_group * n.span;
    return n;
}

#define NORM_PART_ATTRIBUTES(n)                                                                    \
    BT_ATTRIBUTES((int32_t)(n).rows, (int32_t)((n).of_group * (n).span), (int32_t)(n).rows,        \
                  (int32_t)(n).of_group, (int32_t)(n).span, bt_ir_float((n).epsilon))

/* The block sums of one part. */
static uint32_t partials_of(bt_emitter *emitter, const norm_part *n, uint32_t partials,
                            uint32_t part) {
    bt_shape shape = {.rank = 1, .dims = {bt_norm_partials(n->rows, n->of_group, n->span)}};
    return bt_ir_slice(emitter->ir, partials, part * shape.dims[0], &shape);
}

/* Two numbers for each row of one part. */
static uint32_t row_pairs_of(bt_emitter *emitter, const bt_chain *chain, const norm_part *n,
                             uint32_t pairs, uint32_t part) {
    bt_shape shape = {.rank = 1, .dims = {2 * n->rows}};
    uint32_t row = part * n->all_rows / chain->parts;
    return bt_ir_slice(emitter->ir, pairs, 2 * row, &shape);
}

static uint32_t fold_partials(bt_emitter *emitter, const norm_part *n, uint32_t partials,
                              int32_t quantity) {
    uint32_t out = bt_emit_scratch(emitter, BT_DTYPE_F32, 2 * n->all_rows);
    bt_emit(emitter, BT_OPCODE_NORM_FOLD, BT_OPERANDS(partials, out),
            BT_ATTRIBUTES((int32_t)n->all_rows, (int32_t)n->all_blocks, (int32_t)n->row_elements,
                          bt_ir_float(n->epsilon), quantity));
    return out;
}

static uint32_t all_partials(bt_emitter *emitter, const norm_part *n) {
    return bt_emit_scratch(emitter, BT_DTYPE_F32, 2 * n->all_rows * n->all_blocks);
}

/* ---- forward */

static uint32_t part_value(bt_emitter *emitter, bt_chain *chain, uint32_t value, uint32_t part);

static uint32_t emit_norm_part(bt_emitter *emitter, const bt_chain *chain, uint32_t layer,
                               uint32_t part, uint32_t x) {
    norm_part n = norm_part_of(emitter, chain, layer);
    part_scope scope;
    enter_part(emitter, chain, layer, part, x, BT_NO_TENSOR, &scope);
    uint32_t statistics = row_pairs_of(emitter, chain, &n, chain->statistics[layer], part);
    uint32_t scale = bt_emit_operand(emitter, &scope.node, 1);
    uint32_t bias = bt_emit_operand(emitter, &scope.node, 2);
    uint32_t y = bt_emit_output(emitter, &scope.node);
    bt_emit(emitter, BT_OPCODE_NORM_APPLY, BT_OPERANDS(x, scale, bias, statistics, y),
            NORM_PART_ATTRIBUTES(n));
    leave_part(emitter, &scope);
    return y;
}

/* One part of a layer's output. */
static uint32_t emit_part(bt_emitter *emitter, bt_chain *chain, uint32_t layer, uint32_t part) {
    const bt_node *node = node_at(emitter, chain, layer);
    uint32_t x = part_value(emitter, chain, layer, part);
    if (layer + 1 == chain->layers) {
        emitter->place = slice(emitter, chain, chain->output, 1, part);
    }
    if (is_norm(node)) {
        return emit_norm_part(emitter, chain, layer, part, x);
    }
    part_scope scope;
    enter_part(emitter, chain, layer, part, x, BT_NO_TENSOR, &scope);
    node->row->forward(emitter, &scope.node);
    uint32_t y = emitter->tensors[node->output];
    leave_part(emitter, &scope);
    if (chain->saved[layer][part] == BT_NO_TENSOR) {
        chain->saved[layer][part] = emitter->saved[node->index][0];
    }
    return y;
}

/* The backward pass keeps nothing for parts that are forgotten. */
static bool keeps(const bt_chain *chain, const bool *keeps_what, uint32_t value, uint32_t part) {
    return keeps_what[value] && !(chain->backward && part < chain->forgotten);
}

/* One part of a value, computed if it is not there. */
static uint32_t part_value(bt_emitter *emitter, bt_chain *chain, uint32_t value, uint32_t part) {
    if (value == 0) {
        uint32_t input = emitter->tensors[value_at(emitter, chain, 0)];
        return reads_all(node_at(emitter, chain, 0)) ? input
                                                     : slice(emitter, chain, input, 1, part);
    }
    if (chain->pass_values[value] == BT_NO_TENSOR) {
        uint32_t *kept = &chain->values[value][part];
        uint32_t made = BT_NO_TENSOR;
        if (*kept == BT_NO_TENSOR) {
            made = emit_part(emitter, chain, value - 1, part);
            *kept = keeps(chain, chain->keeps_value, value, part) ? bt_emit_stash(emitter, made, 0)
                                                                  : BT_NO_TENSOR;
        }
        /* A value that is kept rounded is rounded for all passes, so that statistics fit it. */
        chain->pass_values[value] =
            *kept == BT_NO_TENSOR ? made : bt_emit_unstash(emitter, *kept, 0);
    }
    return chain->pass_values[value];
}

/* Statistics of a normalisation: its input is computed twice if it is not kept. */
static void emit_statistics(bt_emitter *emitter, bt_chain *chain, uint32_t layer) {
    norm_part n = norm_part_of(emitter, chain, layer);
    uint32_t partials = all_partials(emitter, &n);
    for (uint32_t part = 0; part < chain->parts; part++) {
        begin_part(chain);
        uint32_t x = part_value(emitter, chain, layer, part);
        name_layer(emitter, chain, layer);
        bt_emit(emitter, BT_OPCODE_NORM_SUMS,
                BT_OPERANDS(x, partials_of(emitter, &n, partials, part)), NORM_PART_ATTRIBUTES(n));
    }
    uint32_t means = fold_partials(emitter, &n, partials, BT_FOLD_MEAN);
    for (uint32_t part = 0; part < chain->parts; part++) {
        begin_part(chain);
        uint32_t x = part_value(emitter, chain, layer, part);
        name_layer(emitter, chain, layer);
        bt_emit(emitter, BT_OPCODE_NORM_SQUARES,
                BT_OPERANDS(x, row_pairs_of(emitter, chain, &n, means, part),
                            partials_of(emitter, &n, partials, part)),
                NORM_PART_ATTRIBUTES(n));
    }
    chain->statistics[layer] = fold_partials(emitter, &n, partials, BT_FOLD_STATISTICS);
}

void bt_chain_forward(bt_emitter *emitter, bt_chain *chain) {
    memset(chain->values, 0xFF, sizeof chain->values);
    memset(chain->gradients, 0xFF, sizeof chain->gradients);
    memset(chain->saved, 0xFF, sizeof chain->saved);
    memset(chain->trained, 0, sizeof chain->trained);
    chain->backward = false;
    chain->output = bt_emit_output(emitter, node_at(emitter, chain, chain->layers - 1));
    for (uint32_t layer = 0; layer < chain->layers; layer++) {
        if (is_norm(node_at(emitter, chain, layer))) {
            emit_statistics(emitter, chain, layer);
        }
    }
    for (uint32_t part = 0; part < chain->parts; part++) {
        begin_part(chain);
        chain->values[chain->layers][part] = part_value(emitter, chain, chain->layers, part);
    }
}

/* ---- backward */

static uint32_t part_gradient(bt_emitter *emitter, bt_chain *chain, uint32_t value, uint32_t part);

static bool trains_parameters(const bt_emitter *emitter, const bt_node *node) {
    for (uint32_t k = 1; k < node->input_count; k++) {
        if (bt_gradient_wanted(emitter, node, k)) {
            return true;
        }
    }
    return false;
}

static void emit_norm_parameters(bt_emitter *emitter, const bt_chain *chain, uint32_t layer,
                                 uint32_t part, uint32_t x, uint32_t dy) {
    norm_part n = norm_part_of(emitter, chain, layer);
    part_scope scope;
    enter_part(emitter, chain, layer, part, x, BT_NO_TENSOR, &scope);
    uint32_t gradients[2];
    for (uint32_t i = 0; i < 2; i++) {
        gradients[i] = bt_gradient_wanted(emitter, &scope.node, i + 1)
                           ? bt_gradient_open(emitter, &scope.node, i + 1, true)
                           : BT_NO_TENSOR;
    }
    uint32_t partials =
        bt_emit_scratch(emitter, BT_DTYPE_F32, bt_norm_partials(n.rows, n.of_group, n.span));
    bt_emit(emitter, BT_OPCODE_NORM_GRAD_PARAMETERS,
            BT_OPERANDS(x, dy, row_pairs_of(emitter, chain, &n, chain->statistics[layer], part),
                        gradients[0], gradients[1], partials),
            NORM_PART_ATTRIBUTES(n));
    leave_part(emitter, &scope);
}

/* Sums or, if they are folded, the gradient itself; returns what was written. */
static uint32_t emit_norm_gradient(bt_emitter *emitter, bt_chain *chain, uint32_t layer,
                                   uint32_t part, uint32_t partials) {
    norm_part n = norm_part_of(emitter, chain, layer);
    uint32_t dy = part_gradient(emitter, chain, layer + 1, part);
    uint32_t x = part_value(emitter, chain, layer, part);
    part_scope scope;
    enter_part(emitter, chain, layer, part, x, BT_NO_TENSOR, &scope);
    uint32_t scale = bt_emit_operand(emitter, &scope.node, 1);
    uint32_t statistics = row_pairs_of(emitter, chain, &n, chain->statistics[layer], part);
    uint32_t out;
    if (partials != BT_NO_TENSOR) {
        out = partials_of(emitter, &n, partials, part);
        bt_emit(emitter, BT_OPCODE_NORM_GRAD_SUMS, BT_OPERANDS(x, dy, scale, statistics, out),
                NORM_PART_ATTRIBUTES(n));
    } else {
        out = layer == 0 ? slice(emitter, chain, chain->input_gradient, 1, part)
                         : bt_gradient_open(emitter, &scope.node, 0, false);
        uint32_t means = row_pairs_of(emitter, chain, &n, chain->means[layer], part);
        bt_emit(emitter, BT_OPCODE_NORM_GRAD_APPLY,
                BT_OPERANDS(x, dy, scale, statistics, means, out), NORM_PART_ATTRIBUTES(n));
    }
    leave_part(emitter, &scope);
    return out;
}

/* Which of its input and output a layer's backward rule reads. */
static uint32_t kept_input(bt_emitter *emitter, bt_chain *chain, uint32_t layer, uint32_t part,
                           bool trains) {
    const bt_node *node = node_at(emitter, chain, layer);
    bool reads = is_activation(node) ? !bt_activation_keeps_output(bt_activation_function(node))
                                     : trains && !is_pool(node);
    return reads ? part_value(emitter, chain, layer, part) : BT_NO_TENSOR;
}

static uint32_t kept_output(bt_emitter *emitter, bt_chain *chain, uint32_t layer, uint32_t part) {
    const bt_node *node = node_at(emitter, chain, layer);
    bool reads = is_activation(node) && bt_activation_keeps_output(bt_activation_function(node));
    return reads ? part_value(emitter, chain, layer + 1, part) : BT_NO_TENSOR;
}

/* What is cheap to compute again makes room once the layers above have used it. */
static void drop_cheap_values(bt_chain *chain, uint32_t part) {
    for (uint32_t value = 1; value < chain->layers; value++) {
        if (!chain->keeps_value[value] || chain->values[value][part] != BT_NO_TENSOR) {
            chain->pass_values[value] = BT_NO_TENSOR;
        }
    }
}

/* A bit per element of an activation's output, all that its gradient needs. */
static uint32_t emit_mask(bt_emitter *emitter, bt_chain *chain, uint32_t layer, uint32_t part) {
    uint32_t y = part_value(emitter, chain, layer + 1, part);
    uint32_t elements = bt_shape_elements(shape_at(emitter, chain, layer + 1)) / chain->parts;
    uint32_t mask = bt_emit_scratch(emitter, BT_DTYPE_U8, (elements + 7) / 8);
    bt_emit(emitter, BT_OPCODE_SIGN_MASK, BT_OPERANDS(y, mask), BT_NO_ATTRIBUTES);
    return mask;
}

static uint32_t emit_mask_gradient(bt_emitter *emitter, const bt_chain *chain, uint32_t layer,
                                   uint32_t mask, uint32_t dy) {
    const bt_node *node = node_at(emitter, chain, layer);
    bt_shape shape = part_shape(chain, shape_at(emitter, chain, layer), 1);
    uint32_t dx =
        bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &shape, "", NULL);
    float slope = node->row->op == BT_OP_RELU ? 0.0f : node->attributes.alpha;
    bt_emit(emitter, BT_OPCODE_MASK_GRAD, BT_OPERANDS(mask, dy, dx),
            BT_ATTRIBUTES(bt_ir_float(slope)));
    return dx;
}

/* Gradients of a layer's parameters, once, and if asked for that of its input, which is returned.
 */
static uint32_t emit_layer_backward(bt_emitter *emitter, bt_chain *chain, uint32_t layer,
                                    uint32_t part, bool input) {
    const bt_node *node = node_at(emitter, chain, layer);
    bool trains = !chain->trained[layer][part] && trains_parameters(emitter, node);
    /* A mask first: the map that it is of need not be there together with dy. */
    bool masks = input && (node->row->op == BT_OP_RELU || node->row->op == BT_OP_LEAKY_RELU);
    uint32_t mask = masks ? emit_mask(emitter, chain, layer, part) : BT_NO_TENSOR;
    uint32_t dy = part_gradient(emitter, chain, layer + 1, part);
    chain->trained[layer][part] = true;
    drop_cheap_values(chain, part);
    if (is_norm(node)) {
        if (trains) {
            uint32_t x = part_value(emitter, chain, layer, part);
            emit_norm_parameters(emitter, chain, layer, part, x, dy);
        }
        return input ? emit_norm_gradient(emitter, chain, layer, part, BT_NO_TENSOR) : BT_NO_TENSOR;
    }
    if (mask != BT_NO_TENSOR) {
        return emit_mask_gradient(emitter, chain, layer, mask, dy);
    }
    uint32_t x = kept_input(emitter, chain, layer, part, trains);
    uint32_t y = kept_output(emitter, chain, layer, part);
    part_scope scope;
    enter_part(emitter, chain, layer, part, x, y, &scope);
    for (uint32_t k = 1; k < node->input_count && !trains; k++) {
        if (node->inputs[k] != BT_NO_VALUE) {
            emitter->needs_gradient[node->inputs[k]] = false;
        }
    }
    emitter->needs_gradient[node->inputs[0]] = input;
    emitter->saved[node->index][0] = chain->saved[layer][part];
    node->row->backward(emitter, &scope.node, dy);
    uint32_t dx = emitter->gradients[node->inputs[0]];
    leave_part(emitter, &scope);
    return dx;
}

/* One part of the gradient of a value, computed if it is not there. */
static uint32_t part_gradient(bt_emitter *emitter, bt_chain *chain, uint32_t value, uint32_t part) {
    if (value == chain->layers) {
        return slice(emitter, chain, chain->output_gradient, 1, part);
    }
    if (chain->pass_gradients[value] == BT_NO_TENSOR) {
        uint32_t *kept = &chain->gradients[value][part];
        uint32_t made = BT_NO_TENSOR;
        if (*kept == BT_NO_TENSOR) {
            made = emit_layer_backward(emitter, chain, value, part, true);
            *kept = keeps(chain, chain->keeps_gradient, value, part)
                        ? bt_emit_stash(emitter, made, BT_GRADIENT_EXPONENT)
                        : BT_NO_TENSOR;
        }
        chain->pass_gradients[value] =
            *kept == BT_NO_TENSOR ? made : bt_emit_unstash(emitter, *kept, BT_GRADIENT_EXPONENT);
    }
    return chain->pass_gradients[value];
}

/* From the gradient of the output down to a layer; sums for its input's gradient if it needs one.
 */
static void emit_pass(bt_emitter *emitter, bt_chain *chain, uint32_t layer) {
    const bt_node *node = node_at(emitter, chain, layer);
    bool sums = is_norm(node) && bt_gradient_wanted(emitter, node, 0);
    norm_part n = {0};
    uint32_t partials = BT_NO_TENSOR;
    if (sums) {
        n = norm_part_of(emitter, chain, layer);
        partials = all_partials(emitter, &n);
    }
    for (uint32_t part = 0; part < chain->parts; part++) {
        begin_part(chain);
        emit_layer_backward(emitter, chain, layer, part, false);
        if (sums) {
            emit_norm_gradient(emitter, chain, layer, part, partials);
        }
    }
    if (sums) {
        name_layer(emitter, chain, layer);
        chain->means[layer] = fold_partials(emitter, &n, partials, BT_FOLD_MEANS);
    }
}

/* What the forward pass has kept of these parts. */
static void forget(bt_chain *chain) {
    for (uint32_t value = 1; value < chain->layers; value++) {
        for (uint32_t part = 0; part < chain->forgotten; part++) {
            chain->values[value][part] = BT_NO_TENSOR;
        }
    }
}

/* The node that makes a value, or NULL. */
static const bt_node *maker_of(const bt_emitter *emitter, uint32_t value) {
    const bt_model *model = emitter->model;
    for (uint32_t i = 0; i < model->node_count; i++) {
        if (model->nodes[i].output == value) {
            return &model->nodes[i];
        }
    }
    return NULL;
}

/* Where the gradient of the chain's input goes: in place of the input if only this chain reads it.
 * The backward rule of a convolution, for one, does not read what it has made. */
static uint32_t place_input_gradient(const bt_emitter *emitter, const bt_chain *chain) {
    uint32_t value = value_at(emitter, chain, 0);
    const bt_node *maker = maker_of(emitter, value);
    uint32_t x = emitter->tensors[value];
    if (emitter->ir->status == BT_OK && maker != NULL && maker->row->op == BT_OP_CONV &&
        only_reader(emitter, value) != NULL && emitter->ir->tensors[x].storage == x) {
        return bt_ir_view(emitter->ir, x, &emitter->shapes[value]);
    }
    return bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32,
                            &emitter->shapes[value], "", NULL);
}

static void hand_on_gradient(bt_emitter *emitter, bt_chain *chain) {
    chain->input_gradient = place_input_gradient(emitter, chain);
    for (uint32_t part = 0; part < chain->parts; part++) {
        begin_part(chain);
        emit_norm_gradient(emitter, chain, 0, part, BT_NO_TENSOR);
    }
    bt_gradient_close(emitter, node_at(emitter, chain, 0), 0, chain->input_gradient);
}

void bt_chain_backward(bt_emitter *emitter, bt_chain *chain, uint32_t dy) {
    uint32_t lowest = 0;
    while (!emitter->needs_gradient[node_at(emitter, chain, lowest)->output]) {
        lowest++;
    }
    chain->output_gradient = dy;
    chain->backward = true;
    forget(chain);
    for (uint32_t layer = chain->layers; layer-- > lowest;) {
        if (layer == lowest || is_norm(node_at(emitter, chain, layer))) {
            emit_pass(emitter, chain, layer);
        }
    }
    if (bt_gradient_wanted(emitter, node_at(emitter, chain, 0), 0)) {
        hand_on_gradient(emitter, chain);
    }
}
