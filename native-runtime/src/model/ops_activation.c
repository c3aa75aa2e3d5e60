/* Elementwise functions of one operand. */
#include <math.h>

#include "train/emitter.h"

bt_status bt_activation_shape(const bt_shape_query *query, bt_shape *out) {
    *out = *query->operand[0];
    return BT_OK;
}

/* The gradients are computed from the output, whose sign must tell that of the input. */
bt_status bt_elu_shape(const bt_shape_query *query, bt_shape *out) {
    float alpha = query->attributes->alpha;
    if (!isfinite(alpha) || alpha <= 0.0f) {
        BT_FAIL(BT_ERROR_MODEL, "alpha is %g; it must be greater than 0.", (double)alpha);
    }
    return bt_activation_shape(query, out);
}

bt_status bt_leaky_relu_shape(const bt_shape_query *query, bt_shape *out) {
    float alpha = query->attributes->alpha;
    if (!isfinite(alpha) || alpha < 0.0f) {
        BT_FAIL(BT_ERROR_MODEL, "alpha is %g; it must be at least 0.", (double)alpha);
    }
    return bt_activation_shape(query, out);
}

uint32_t bt_activation_function(const bt_node *node) {
    switch (node->row->op) {
    case BT_OP_RELU:
        return BT_FUNCTION_RELU;
    case BT_OP_ELU:
        return BT_FUNCTION_ELU;
    case BT_OP_LEAKY_RELU:
        return BT_FUNCTION_LEAKY_RELU;
    case BT_OP_GELU:
        return (node->attributes.flags & BT_ATTRIBUTE_TANH_APPROXIMATION) != 0
                   ? BT_FUNCTION_GELU_TANH
                   : BT_FUNCTION_GELU;
    case BT_OP_SIGMOID:
        return BT_FUNCTION_SIGMOID;
    case BT_OP_TANH:
        return BT_FUNCTION_TANH;
    case BT_OP_SILU:
        return BT_FUNCTION_SILU;
    default:
        return BT_FUNCTION_HARDSWISH;
    }
}

void bt_activation_forward(bt_emitter *emitter, const bt_node *node) {
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t y = bt_emit_output(emitter, node);
    bt_emit(
        emitter, BT_OPCODE_ACTIVATION_FORWARD, BT_OPERANDS(x, y),
        BT_ATTRIBUTES((int32_t)bt_activation_function(node), bt_ir_float(node->attributes.alpha)));
}

void bt_activation_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    uint32_t function = bt_activation_function(node);
    uint32_t kept = bt_activation_keeps_output(function) ? bt_emit_result(emitter, node)
                                                         : bt_emit_operand(emitter, node, 0);
    uint32_t dx = bt_gradient_open(emitter, node, 0, false);
    bt_emit(emitter, BT_OPCODE_ACTIVATION_GRAD, BT_OPERANDS(kept, dy, dx),
            BT_ATTRIBUTES((int32_t)function, bt_ir_float(node->attributes.alpha)));
    bt_gradient_close(emitter, node, 0, dx);
}
