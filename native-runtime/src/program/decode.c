#include "program/program.h"

uint32_t bt_call_decode(const uint32_t *words, uint32_t available, const bt_tensor *tensors,
                        uint32_t tensor_count, uint8_t *const arenas[BT_LEVEL_COUNT],
                        bt_call *out) {
    uint32_t i;
    if (available == 0) {
        return 0;
    }
    out->opcode = words[0] & 0xFFu;
    out->operand_count = (words[0] >> 8) & 0xFFu;
    out->attribute_count = words[0] >> 16;
    out->scalars = NULL;
    if (out->opcode >= BT_OPCODE_COUNT || out->operand_count > BT_MAX_OPERANDS ||
        out->attribute_count > BT_MAX_CALL_ATTRIBUTES ||
        1u + out->operand_count + out->attribute_count > available) {
        return 0;
    }
    words++;
    for (i = 0; i < out->operand_count; i++) {
        const bt_tensor *tensor = NULL;
        uint8_t *data = NULL;
        if (words[i] != BT_NO_TENSOR) {
            if (words[i] >= tensor_count) {
                return 0;
            }
            tensor = &tensors[words[i]];
            if (arenas != NULL) {
                data = arenas[tensor->level] + tensor->offset;
            }
        }
        out->tensor[i] = tensor;
        out->data[i] = data;
    }
    words += out->operand_count;
    for (i = 0; i < out->attribute_count; i++) {
        out->attribute[i] = (int32_t)words[i];
    }
    return 1u + out->operand_count + out->attribute_count;
}
