/* Ops that move elements without computing: concatenation, reshape, transposition. */
#include "train/emitter.h"

/* ---- concatenation */

bt_status bt_concat_shape(const bt_shape_query *query, bt_shape *out) {
    uint32_t axis;
    uint64_t extent = 0;
    *out = *query->operand[0];
    BT_TRY(bt_shape_axis(out, query->attributes->axis, &axis));
    for (uint32_t i = 0; i < query->count; i++) {
        if (query->operand[i] == NULL) {
            BT_FAIL(BT_ERROR_MODEL, "operand %u is absent; concatenated operands are all present.",
                    i);
        }
        if (axis == 0 && query->batch[i] > 1) {
            BT_FAIL(BT_ERROR_MODEL, "it concatenates along the batch; use micro_batch 1.");
        }
        bt_shape other = *query->operand[i];
        extent += axis < other.rank ? other.dims[axis] : 0;
        if (axis < other.rank) {
            other.dims[axis] = query->operand[0]->dims[axis];
        }
        if (!bt_shape_equal(&other, query->operand[0])) {
            BT_FAIL(BT_ERROR_MODEL,
                    "operand %u has the shape %s; all but axis %u of %s must agree.", i,
                    bt_shape_print(query->operand[i]).text, axis,
                    bt_shape_print(query->operand[0]).text);
        }
    }
    if (extent > BT_MAX_ELEMENTS) {
        BT_FAIL(BT_ERROR_MODEL,
                "the result would have %llu elements along axis %u; %u are allowed.",
                (unsigned long long)extent, axis, BT_MAX_ELEMENTS);
    }
    out->dims[axis] = (uint32_t)extent;
    return BT_OK;
}

/* Where an operand's blocks lie in the concatenated tensor. */
typedef struct blocks {
    int32_t count, length, stride, offset;
} blocks;

static blocks blocks_of(const bt_emitter *emitter, const bt_node *node, uint32_t operand) {
    const bt_shape *y = bt_emit_output_shape(emitter, node);
    int32_t signed_axis = node->attributes.axis;
    uint32_t axis = (uint32_t)(signed_axis < 0 ? signed_axis + (int32_t)y->rank : signed_axis);
    uint32_t inner = bt_shape_product(y, axis + 1, y->rank);
    uint32_t before = 0;
    for (uint32_t i = 0; i < operand; i++) {
        before += bt_emit_operand_shape(emitter, node, i)->dims[axis];
    }
    return (blocks){
        .count = (int32_t)bt_shape_product(y, 0, axis),
        .length = (int32_t)(bt_emit_operand_shape(emitter, node, operand)->dims[axis] * inner),
        .stride = (int32_t)(y->dims[axis] * inner),
        .offset = (int32_t)(before * inner)};
}

void bt_concat_forward(bt_emitter *emitter, const bt_node *node) {
    uint32_t y = bt_emit_output(emitter, node);
    for (uint32_t i = 0; i < node->input_count; i++) {
        blocks b = blocks_of(emitter, node, i);
        bt_emit(emitter, BT_OPCODE_COPY_BLOCKS, BT_OPERANDS(bt_emit_operand(emitter, node, i), y),
                BT_ATTRIBUTES(b.count, b.length, b.length, 0, b.stride, b.offset));
    }
}

void bt_concat_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (bt_gradient_wanted(emitter, node, i)) {
            blocks b = blocks_of(emitter, node, i);
            uint32_t gradient = bt_gradient_open(emitter, node, i, false);
            bt_emit(emitter, BT_OPCODE_COPY_BLOCKS, BT_OPERANDS(dy, gradient),
                    BT_ATTRIBUTES(b.count, b.length, b.stride, b.offset, b.length, 0));
            bt_gradient_close(emitter, node, i, gradient);
        }
    }
}

/* ---- reshape */

/*
 * The dimensions asked for describe one sample; with a batch in front, the first of them grows by
 * the number of samples.
 */
bt_status bt_reshape_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_attributes *a = query->attributes;
    bt_shape x = *query->operand[0];
    x.dims[0] /= query->batch[0];
    uint32_t elements = bt_shape_elements(&x);
    uint32_t inferred = BT_MAX_RANK;
    uint64_t product = 1;
    if (a->rank < 1 || a->rank > BT_MAX_RANK) {
        BT_FAIL(BT_ERROR_MODEL, "the new shape has rank %u; 1 to %d is allowed.", a->rank,
                BT_MAX_RANK);
    }
    out->rank = a->rank;
    for (uint32_t i = 0; i < a->rank; i++) {
        int32_t dim = a->dims[i];
        if (dim == -1 && inferred == BT_MAX_RANK) {
            inferred = i;
            dim = 1;
        } else if (dim == 0 && i < x.rank) {
            dim = (int32_t)x.dims[i];
        } else if (dim < 1) {
            BT_FAIL(BT_ERROR_MODEL,
                    "dimension %u of the new shape is %d; it is at least 1, or 0 to keep that of "
                    "the input %s, or -1 once.",
                    i, a->dims[i], bt_shape_print(&x).text);
        }
        out->dims[i] = (uint32_t)dim;
        product *= (uint32_t)dim;
        if (product > BT_MAX_ELEMENTS) {
            break;
        }
    }
    if (product > elements || elements % product != 0 ||
        (inferred == BT_MAX_RANK && product != elements)) {
        BT_FAIL(BT_ERROR_MODEL,
                "the input %s has %u elements, which the new shape with %llu%s cannot hold.",
                bt_shape_print(&x).text, elements, (unsigned long long)product,
                inferred == BT_MAX_RANK ? "" : " times an inferred dimension");
    }
    if (inferred != BT_MAX_RANK) {
        out->dims[inferred] = (uint32_t)(elements / product);
    }
    out->dims[0] *= query->batch[0];
    return BT_OK;
}

void bt_reshape_forward(bt_emitter *emitter, const bt_node *node) {
    bt_emit_output_view(emitter, node);
}

void bt_reshape_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    bt_gradient_add_view(emitter, node, 0, dy);
}

/* ---- transposition */

bt_status bt_transpose_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_attributes *a = query->attributes;
    const bt_shape *x = query->operand[0];
    uint32_t seen = 0;
    if (a->rank != x->rank) {
        BT_FAIL(BT_ERROR_MODEL, "the permutation has %u entries; the input %s needs %u.", a->rank,
                bt_shape_print(x).text, x->rank);
    }
    out->rank = x->rank;
    for (uint32_t i = 0; i < x->rank; i++) {
        int32_t from = a->dims[i];
        if (from < 0 || from >= (int32_t)x->rank || (seen & (1u << from)) != 0) {
            BT_FAIL(BT_ERROR_MODEL,
                    "entry %u of the permutation is %d; every axis from 0 to %u occurs once.", i,
                    from, x->rank - 1);
        }
        seen |= 1u << from;
        out->dims[i] = x->dims[from];
    }
    return BT_OK;
}

/* A permutation that moves only dimensions of size 1 leaves the bytes as they are. */
static bool moves_nothing(const bt_emitter *emitter, const bt_node *node) {
    const bt_shape *x = bt_emit_operand_shape(emitter, node, 0);
    int32_t last = -1;
    for (uint32_t i = 0; i < x->rank; i++) {
        int32_t from = node->attributes.dims[i];
        if (x->dims[from] > 1) {
            if (from < last) {
                return false;
            }
            last = from;
        }
    }
    return true;
}

void bt_transpose_forward(bt_emitter *emitter, const bt_node *node) {
    if (moves_nothing(emitter, node)) {
        bt_emit_output_view(emitter, node);
        return;
    }
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t y = bt_emit_output(emitter, node);
    bt_emit(emitter, BT_OPCODE_TRANSPOSE, BT_OPERANDS(x, y), node->attributes.rank,
            node->attributes.dims);
}

void bt_transpose_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    if (moves_nothing(emitter, node)) {
        bt_gradient_add_view(emitter, node, 0, dy);
        return;
    }
    int32_t inverse[BT_MAX_RANK];
    for (uint32_t i = 0; i < node->attributes.rank; i++) {
        inverse[node->attributes.dims[i]] = (int32_t)i;
    }
    uint32_t dx = bt_gradient_open(emitter, node, 0, false);
    bt_emit(emitter, BT_OPCODE_TRANSPOSE, BT_OPERANDS(dy, dx), node->attributes.rank, inverse);
    bt_gradient_close(emitter, node, 0, dx);
}
