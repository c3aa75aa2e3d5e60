/* Optimizers: one instruction per parameter; their state is persistent and starts at zero. */
#include "train/autodiff.h"

static uint32_t new_state(bt_ir *ir, const char *prefix, const char *name, const bt_shape *shape) {
    return bt_ir_tensor_new(ir, BT_RESIDENCE_PERSISTENT, BT_DTYPE_F32, shape, prefix, name);
}

void bt_emit_update(bt_ir *ir, const bt_training_options *options, const char *name,
                    const bt_shape *shape, uint32_t parameter, uint32_t gradient) {
    if (options->optimizer == BT_OPTIMIZER_SGD) {
        uint32_t momentum =
            options->momentum > 0.0f ? new_state(ir, "momentum.", name, shape) : BT_NO_TENSOR;
        bt_ir_emit(ir, BT_SEQUENCE_UPDATE, BT_OPCODE_SGD,
                   BT_OPERANDS(parameter, gradient, momentum),
                   BT_ATTRIBUTES(bt_ir_float(options->momentum), bt_ir_float(options->weight_decay),
                                 (int32_t)options->nesterov));
        return;
    }
    uint32_t mean = new_state(ir, "adam_m.", name, shape);
    uint32_t square = new_state(ir, "adam_v.", name, shape);
    bt_ir_emit(ir, BT_SEQUENCE_UPDATE, BT_OPCODE_ADAM,
               BT_OPERANDS(parameter, gradient, mean, square),
               BT_ATTRIBUTES(bt_ir_float(options->beta1), bt_ir_float(options->beta2),
                             bt_ir_float(options->epsilon), bt_ir_float(options->weight_decay),
                             options->optimizer == BT_OPTIMIZER_ADAMW ? 1 : 0));
}
