/* Softmax along one axis: the tensor is seen as (rows, channels, inner), the axis in the middle. */
#include "train/emitter.h"

bt_status bt_softmax_shape(const bt_shape_query *query, bt_shape *out) {
    uint32_t axis;
    *out = *query->operand[0];
    BT_TRY(bt_shape_axis(out, query->attributes->axis, &axis));
    if (axis == 0 && query->batch[0] > 1) {
        BT_FAIL(BT_ERROR_MODEL, "the softmax runs along the batch; use micro_batch 1.");
    }
    return BT_OK;
}

static void softmax_attributes(const bt_emitter *emitter, const bt_node *node, int32_t out[3]) {
    const bt_shape *x = bt_emit_operand_shape(emitter, node, 0);
    int32_t signed_axis = node->attributes.axis;
    uint32_t axis = (uint32_t)(signed_axis < 0 ? signed_axis + (int32_t)x->rank : signed_axis);
    out[0] = (int32_t)bt_shape_product(x, 0, axis);
    out[1] = (int32_t)x->dims[axis];
    out[2] = (int32_t)bt_shape_product(x, axis + 1, x->rank);
}

void bt_softmax_forward(bt_emitter *emitter, const bt_node *node) {
    int32_t view[3];
    softmax_attributes(emitter, node, view);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t y = bt_emit_output(emitter, node);
    bt_emit(emitter, BT_OPCODE_SOFTMAX_FORWARD, BT_OPERANDS(x, y), 3, view);
}

void bt_softmax_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    int32_t view[3];
    softmax_attributes(emitter, node, view);
    uint32_t dx = bt_gradient_open(emitter, node, 0, false);
    bt_emit(emitter, BT_OPCODE_SOFTMAX_GRAD, BT_OPERANDS(bt_emit_result(emitter, node), dy, dx), 3,
            view);
    bt_gradient_close(emitter, node, 0, dx);
}
