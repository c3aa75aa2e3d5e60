#include "train/emitter.h"

uint32_t bt_emit_operand(const bt_emitter *emitter, const bt_node *node, uint32_t operand) {
    uint32_t value = bt_node_operand(node, operand);
    return value == BT_NO_VALUE ? BT_NO_TENSOR : emitter->tensors[value];
}

const bt_shape *bt_emit_operand_shape(const bt_emitter *emitter, const bt_node *node,
                                      uint32_t operand) {
    return &emitter->shapes[node->inputs[operand]];
}

const bt_shape *bt_emit_output_shape(const bt_emitter *emitter, const bt_node *node) {
    return &emitter->shapes[node->output];
}

uint32_t bt_emit_output(bt_emitter *emitter, const bt_node *node) {
    uint32_t tensor = emitter->place;
    emitter->place = BT_NO_TENSOR;
    if (tensor == BT_NO_TENSOR) {
        tensor = bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32,
                                  bt_emit_output_shape(emitter, node), "", NULL);
    }
    emitter->tensors[node->output] = tensor;
    return tensor;
}

void bt_emit_output_view(bt_emitter *emitter, const bt_node *node) {
    emitter->tensors[node->output] = bt_ir_view(emitter->ir, bt_emit_operand(emitter, node, 0),
                                                bt_emit_output_shape(emitter, node));
}

uint32_t bt_emit_result(const bt_emitter *emitter, const bt_node *node) {
    return emitter->tensors[node->output];
}

uint32_t bt_emit_scratch(bt_emitter *emitter, uint32_t dtype, uint32_t elements) {
    bt_shape shape = {.rank = 1, .dims = {elements}};
    return bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, dtype, &shape, "", NULL);
}

static uint32_t convert(bt_emitter *emitter, uint32_t tensor, uint32_t dtype, int32_t exponent) {
    if (emitter->ir->status != BT_OK) {
        return BT_NO_TENSOR;
    }
    bt_shape shape = emitter->ir->tensors[tensor].shape;
    uint32_t out = bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, dtype, &shape, "", NULL);
    bt_emit(emitter, BT_OPCODE_CONVERT, BT_OPERANDS(tensor, out), BT_ATTRIBUTES(exponent));
    return out;
}

uint32_t bt_emit_stash(bt_emitter *emitter, uint32_t tensor, int32_t exponent) {
    return emitter->options->stash_fp16 == 1 ? convert(emitter, tensor, BT_DTYPE_F16, exponent)
                                             : tensor;
}

uint32_t bt_emit_unstash(bt_emitter *emitter, uint32_t kept, int32_t exponent) {
    return emitter->ir->status == BT_OK && emitter->ir->tensors[kept].dtype == BT_DTYPE_F16
               ? convert(emitter, kept, BT_DTYPE_F32, exponent)
               : kept;
}

void bt_emit(bt_emitter *emitter, uint32_t opcode, uint32_t operand_count, const uint32_t *operands,
             uint32_t attribute_count, const int32_t *attributes) {
    bt_ir_emit(emitter->ir, emitter->sequence, opcode, operand_count, operands, attribute_count,
               attributes);
}

bool bt_gradient_wanted(const bt_emitter *emitter, const bt_node *node, uint32_t operand) {
    uint32_t value = bt_node_operand(node, operand);
    return value != BT_NO_VALUE && emitter->needs_gradient[value];
}

bool bt_gradient_persists(const bt_emitter *emitter, const bt_node *node, uint32_t operand) {
    return emitter->trainable[node->inputs[operand]];
}

uint32_t bt_gradient_open(bt_emitter *emitter, const bt_node *node, uint32_t operand,
                          bool accumulates) {
    if (accumulates && bt_gradient_persists(emitter, node, operand)) {
        return emitter->gradients[node->inputs[operand]];
    }
    uint32_t gradient = bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32,
                                         bt_emit_operand_shape(emitter, node, operand), "", NULL);
    if (accumulates) {
        bt_emit(emitter, BT_OPCODE_ZERO, BT_OPERANDS(gradient), BT_NO_ATTRIBUTES);
    }
    return gradient;
}

void bt_gradient_close(bt_emitter *emitter, const bt_node *node, uint32_t operand,
                       uint32_t gradient) {
    uint32_t value = node->inputs[operand];
    uint32_t *sum = &emitter->gradients[value];
    if (emitter->trainable[value]) {
        if (gradient != *sum) {
            bt_emit(emitter, BT_OPCODE_ACCUMULATE, BT_OPERANDS(gradient, *sum), BT_NO_ATTRIBUTES);
        }
    } else if (*sum == BT_NO_TENSOR) {
        *sum = gradient;
    } else {
        /* A new tensor, because either term may be a view of a gradient that is still needed; the
         * planner puts the sum in place of a term that is not. */
        uint32_t total = bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32,
                                          &emitter->shapes[value], "", NULL);
        bt_emit(emitter, BT_OPCODE_BINARY, BT_OPERANDS(*sum, gradient, total),
                BT_ATTRIBUTES(BT_BINARY_ADD));
        *sum = total;
    }
}

void bt_gradient_add_view(bt_emitter *emitter, const bt_node *node, uint32_t operand,
                          uint32_t gradient) {
    uint32_t view =
        bt_ir_view(emitter->ir, gradient, bt_emit_operand_shape(emitter, node, operand));
    bt_gradient_close(emitter, node, operand, view);
}
