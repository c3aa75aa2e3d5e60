/* Sums and products of two tensors with NumPy broadcasting. */
#include "train/emitter.h"

bt_status bt_binary_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_shape *a = query->operand[0];
    const bt_shape *b = query->operand[1];
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (uint32_t i = 0; i < out->rank; i++) {
        /* Dimensions are aligned at the end. */
        uint32_t from_end = out->rank - i;
        uint32_t da = from_end > a->rank ? 1 : a->dims[a->rank - from_end];
        uint32_t db = from_end > b->rank ? 1 : b->dims[b->rank - from_end];
        if (da != db && da != 1 && db != 1) {
            BT_FAIL(BT_ERROR_MODEL,
                    "the operands %s and %s do not broadcast: aligned at the end, dimensions are "
                    "equal or one of them is 1.",
                    bt_shape_print(a).text, bt_shape_print(b).text);
        }
        out->dims[i] = da == 1 ? db : da;
    }
    return BT_OK;
}

static void emit_binary(bt_emitter *emitter, const bt_node *node, int32_t function) {
    uint32_t a = bt_emit_operand(emitter, node, 0);
    uint32_t b = bt_emit_operand(emitter, node, 1);
    uint32_t y = bt_emit_output(emitter, node);
    bt_emit(emitter, BT_OPCODE_BINARY, BT_OPERANDS(a, b, y), BT_ATTRIBUTES(function));
}

/* An operand of as many elements as the output is not broadcast. */
static bool is_broadcast(const bt_emitter *emitter, const bt_node *node, uint32_t operand) {
    return bt_shape_elements(bt_emit_operand_shape(emitter, node, operand)) !=
           bt_shape_elements(bt_emit_output_shape(emitter, node));
}

static void emit_reduce(bt_emitter *emitter, const bt_node *node, uint32_t operand, uint32_t dy,
                        uint32_t other) {
    uint32_t gradient = bt_gradient_open(emitter, node, operand, false);
    bt_emit(emitter, BT_OPCODE_BROADCAST_REDUCE, BT_OPERANDS(dy, other, gradient),
            BT_NO_ATTRIBUTES);
    bt_gradient_close(emitter, node, operand, gradient);
}

void bt_add_forward(bt_emitter *emitter, const bt_node *node) {
    emit_binary(emitter, node, BT_BINARY_ADD);
}

void bt_add_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    for (uint32_t i = 0; i < 2; i++) {
        if (!bt_gradient_wanted(emitter, node, i)) {
            continue;
        }
        if (is_broadcast(emitter, node, i)) {
            emit_reduce(emitter, node, i, dy, BT_NO_TENSOR);
        } else {
            bt_gradient_add_view(emitter, node, i, dy);
        }
    }
}

void bt_mul_forward(bt_emitter *emitter, const bt_node *node) {
    emit_binary(emitter, node, BT_BINARY_MUL);
}

void bt_mul_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    for (uint32_t i = 0; i < 2; i++) {
        if (!bt_gradient_wanted(emitter, node, i)) {
            continue;
        }
        uint32_t other = bt_emit_operand(emitter, node, 1 - i);
        if (is_broadcast(emitter, node, i)) {
            emit_reduce(emitter, node, i, dy, other);
        } else {
            uint32_t product = bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32,
                                                bt_emit_output_shape(emitter, node), "", NULL);
            bt_emit(emitter, BT_OPCODE_BINARY, BT_OPERANDS(dy, other, product),
                    BT_ATTRIBUTES(BT_BINARY_MUL));
            bt_gradient_add_view(emitter, node, i, product);
        }
    }
}
