/* Losses: one value per sample; the gradient is that of the mean over the step's samples. */
#include "train/autodiff.h"

void bt_emit_loss(bt_emitter *emitter, uint32_t output, uint32_t elements, uint32_t dy) {
    static const uint32_t opcodes[] = {[BT_LOSS_CROSS_ENTROPY] = BT_OPCODE_CROSS_ENTROPY,
                                       [BT_LOSS_MSE] = BT_OPCODE_MSE,
                                       [BT_LOSS_INNER_PRODUCT] = BT_OPCODE_INNER_PRODUCT};
    const bt_ir *ir = emitter->ir;
    bt_emit(emitter, opcodes[emitter->options->loss], BT_OPERANDS(output, ir->target, ir->loss, dy),
            BT_ATTRIBUTES((int32_t)elements));
}
