/*
 * Dropout: in training a mask from the seed, the micro-batch's number and the node's stream; the
 * same mask applies to the gradient, so nothing is kept. In evaluation it is the identity.
 */
#include "train/emitter.h"

bt_status bt_dropout_shape(const bt_shape_query *query, bt_shape *out) {
    float ratio = query->attributes->ratio;
    if (!(ratio >= 0.0f && ratio < 1.0f)) {
        BT_FAIL(BT_ERROR_MODEL, "the ratio is %g; 0 to less than 1 is allowed.", (double)ratio);
    }
    *out = *query->operand[0];
    return BT_OK;
}

static bool is_active(const bt_emitter *emitter, const bt_node *node) {
    return emitter->sequence == BT_SEQUENCE_TRAIN && node->attributes.ratio > 0.0f;
}

static void emit_mask(bt_emitter *emitter, const bt_node *node, uint32_t from, uint32_t to) {
    bt_emit(emitter, BT_OPCODE_DROPOUT, BT_OPERANDS(from, to),
            BT_ATTRIBUTES(bt_ir_float(node->attributes.ratio), (int32_t)node->stream,
                          (int32_t)emitter->first_element));
}

void bt_dropout_forward(bt_emitter *emitter, const bt_node *node) {
    if (is_active(emitter, node)) {
        uint32_t x = bt_emit_operand(emitter, node, 0);
        emit_mask(emitter, node, x, bt_emit_output(emitter, node));
    } else {
        bt_emit_output_view(emitter, node);
    }
}

void bt_dropout_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    if (is_active(emitter, node)) {
        uint32_t dx = bt_gradient_open(emitter, node, 0, false);
        emit_mask(emitter, node, dy, dx);
        bt_gradient_close(emitter, node, 0, dx);
    } else {
        bt_gradient_add_view(emitter, node, 0, dy);
    }
}
