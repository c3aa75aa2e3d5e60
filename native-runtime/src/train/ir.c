#include "train/ir.h"

#include <stdlib.h>
#include <string.h>

void bt_ir_init(bt_ir *ir) {
    *ir = (bt_ir){.status = BT_OK,
                  .input = BT_NO_TENSOR,
                  .target = BT_NO_TENSOR,
                  .output = BT_NO_TENSOR,
                  .loss = BT_NO_TENSOR,
                  .node = BT_NO_NODE};
}

void bt_ir_free(bt_ir *ir) {
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        free(ir->tensors[i].name);
    }
    free(ir->tensors);
    for (uint32_t i = 0; i < BT_SEQUENCE_COUNT; i++) {
        free(ir->sequences[i].instructions);
    }
    bt_ir_init(ir);
}

/* A copy of count elements; at least one byte, so that NULL means failure. */
static void *duplicate(const void *source, size_t count, size_t size) {
    void *copy = malloc(count * size + 1);
    if (copy != NULL && count > 0) {
        memcpy(copy, source, count * size);
    }
    return copy;
}

static bool copy_arrays(const bt_ir *ir, bt_ir *out) {
    bool complete = true;
    out->tensors = duplicate(ir->tensors, ir->tensor_count, sizeof *ir->tensors);
    out->tensor_count = out->tensors == NULL ? 0 : ir->tensor_count;
    out->tensor_capacity = out->tensor_count;
    for (uint32_t i = 0; i < out->tensor_count; i++) {
        const char *name = ir->tensors[i].name;
        out->tensors[i].name = name == NULL ? NULL : duplicate(name, strlen(name) + 1, 1);
        complete = complete && (name == NULL) == (out->tensors[i].name == NULL);
    }
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        const bt_sequence *source = &ir->sequences[s];
        bt_sequence *sequence = &out->sequences[s];
        sequence->instructions =
            duplicate(source->instructions, source->count, sizeof *source->instructions);
        sequence->count = sequence->capacity = sequence->instructions == NULL ? 0 : source->count;
        complete = complete && sequence->instructions != NULL;
    }
    return complete && out->tensors != NULL;
}

bt_status bt_ir_copy(const bt_ir *ir, bt_ir *out) {
    bt_ir_init(out);
    out->input = ir->input;
    out->target = ir->target;
    out->output = ir->output;
    out->loss = ir->loss;
    if (!copy_arrays(ir, out)) {
        bt_ir_free(out);
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
    }
    return BT_OK;
}

static void fail_memory(bt_ir *ir) {
    ir->status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
}

static void *grow(bt_ir *ir, void *array, uint32_t *capacity, uint32_t count, size_t size) {
    if (count < *capacity) {
        return array;
    }
    uint32_t larger = *capacity == 0 ? 64 : *capacity * 2;
    void *moved = realloc(array, larger * size);
    if (moved == NULL) {
        fail_memory(ir);
        return array;
    }
    *capacity = larger;
    return moved;
}

static char *join(bt_ir *ir, const char *prefix, const char *name) {
    size_t prefix_bytes = strlen(prefix);
    size_t name_bytes = strlen(name) + 1;
    char *text = malloc(prefix_bytes + name_bytes);
    if (text == NULL) {
        fail_memory(ir);
        return NULL;
    }
    memcpy(text, prefix, prefix_bytes);
    memcpy(text + prefix_bytes, name, name_bytes);
    return text;
}

uint32_t bt_ir_tensor_new(bt_ir *ir, bt_residence residence, uint32_t dtype, const bt_shape *shape,
                          const char *prefix, const char *name) {
    if (ir->status != BT_OK) {
        return BT_NO_TENSOR;
    }
    ir->tensors =
        grow(ir, ir->tensors, &ir->tensor_capacity, ir->tensor_count, sizeof *ir->tensors);
    char *text = name == NULL ? NULL : join(ir, prefix, name);
    if (ir->status != BT_OK) {
        free(text);
        return BT_NO_TENSOR;
    }
    uint32_t index = ir->tensor_count++;
    ir->tensors[index] = (bt_ir_tensor){.shape = *shape,
                                        .dtype = dtype,
                                        .storage = index,
                                        .value = index,
                                        .residence = residence,
                                        .level = BT_LEVEL_L2,
                                        .name = text};
    return index;
}

uint32_t bt_ir_slice(bt_ir *ir, uint32_t source, uint32_t first, const bt_shape *shape) {
    if (ir->status != BT_OK) {
        return BT_NO_TENSOR;
    }
    bt_ir_tensor from = ir->tensors[source];
    uint32_t slice =
        bt_ir_tensor_new(ir, ir->tensors[from.storage].residence, from.dtype, shape, "", NULL);
    if (ir->status == BT_OK) {
        ir->tensors[slice].storage = from.storage;
        ir->tensors[slice].value = from.value;
        ir->tensors[slice].offset = from.offset + first * bt_dtype_bytes(from.dtype);
    }
    return slice;
}

uint32_t bt_ir_view(bt_ir *ir, uint32_t source, const bt_shape *shape) {
    return bt_ir_slice(ir, source, 0, shape);
}

void bt_ir_name(bt_ir *ir, uint32_t tensor, const char *prefix, const char *name) {
    if (ir->status == BT_OK) {
        free(ir->tensors[tensor].name);
        ir->tensors[tensor].name = join(ir, prefix, name);
    }
}

void bt_ir_keep(bt_ir *ir, uint32_t tensor) {
    if (ir->status == BT_OK) {
        ir->tensors[ir->tensors[tensor].storage].residence = BT_RESIDENCE_PERSISTENT;
    }
}

void bt_ir_emit(bt_ir *ir, uint32_t sequence, uint32_t opcode, uint32_t operand_count,
                const uint32_t *operands, uint32_t attribute_count, const int32_t *attributes) {
    bt_sequence *target = &ir->sequences[sequence];
    if (ir->status != BT_OK) {
        return;
    }
    target->instructions = grow(ir, target->instructions, &target->capacity, target->count,
                                sizeof *target->instructions);
    if (ir->status != BT_OK) {
        return;
    }
    bt_instruction *instruction = &target->instructions[target->count++];
    *instruction = (bt_instruction){.opcode = opcode,
                                    .operand_count = operand_count,
                                    .attribute_count = attribute_count,
                                    .node = ir->node};
    if (operand_count > 0) {
        memcpy(instruction->operands, operands, operand_count * sizeof *operands);
    }
    if (attribute_count > 0) {
        memcpy(instruction->attributes, attributes, attribute_count * sizeof *attributes);
    }
}

uint32_t bt_ir_bytes(const bt_ir_tensor *tensor) {
    return (bt_shape_elements(&tensor->shape) * bt_dtype_bytes(tensor->dtype) + 3u) & ~3u;
}

int32_t bt_ir_float(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Access of every opcode's operands in order: r read, w written, u updated (read and written). */
static const char *const access_of[BT_OPCODE_COUNT] = {
    [BT_OPCODE_CONV_FORWARD] = "rrrw",
    [BT_OPCODE_CONV_GRAD_INPUT] = "rrw",
    [BT_OPCODE_CONV_GRAD_WEIGHT] = "rru",
    [BT_OPCODE_CHANNEL_SUM] = "ru",
    [BT_OPCODE_MATMUL] = "rrrw",
    [BT_OPCODE_NORM_FORWARD] = "rrrwww",
    [BT_OPCODE_NORM_GRAD_INPUT] = "rrrrww",
    [BT_OPCODE_NORM_GRAD_PARAMETERS] = "rrruuw",
    [BT_OPCODE_BATCH_NORM_FORWARD] = "rrruuww",
    [BT_OPCODE_BATCH_NORM_GRAD_INPUT] = "rrrrw",
    [BT_OPCODE_BATCH_NORM_GRAD_PARAMETERS] = "rrruu",
    [BT_OPCODE_FROZEN_NORM_FORWARD] = "rrrrrw",
    [BT_OPCODE_FROZEN_NORM_GRAD_INPUT] = "rrrw",
    [BT_OPCODE_FROZEN_NORM_GRAD_PARAMETERS] = "rrrruu",
    [BT_OPCODE_ACTIVATION_FORWARD] = "rw",
    [BT_OPCODE_ACTIVATION_GRAD] = "rrw",
    [BT_OPCODE_MAX_POOL_FORWARD] = "rww",
    [BT_OPCODE_MAX_POOL_GRAD] = "rrw",
    [BT_OPCODE_AVERAGE_POOL_FORWARD] = "rw",
    [BT_OPCODE_AVERAGE_POOL_GRAD] = "rw",
    [BT_OPCODE_BINARY] = "rrw",
    [BT_OPCODE_BROADCAST_REDUCE] = "rrw",
    [BT_OPCODE_ACCUMULATE] = "ru",
    [BT_OPCODE_TRANSPOSE] = "rw",
    [BT_OPCODE_COPY_BLOCKS] = "rw",
    [BT_OPCODE_SOFTMAX_FORWARD] = "rw",
    [BT_OPCODE_SOFTMAX_GRAD] = "rrw",
    [BT_OPCODE_DROPOUT] = "rw",
    [BT_OPCODE_CROSS_ENTROPY] = "rrww",
    [BT_OPCODE_MSE] = "rrww",
    [BT_OPCODE_INNER_PRODUCT] = "rrww",
    [BT_OPCODE_ZERO] = "w",
    [BT_OPCODE_SGD] = "uru",
    [BT_OPCODE_ADAM] = "uruu",
    [BT_OPCODE_NORM_SUMS] = "rw",
    [BT_OPCODE_NORM_SQUARES] = "rru",
    [BT_OPCODE_NORM_FOLD] = "rw",
    [BT_OPCODE_NORM_APPLY] = "rrrrw",
    [BT_OPCODE_NORM_GRAD_SUMS] = "rrrrw",
    [BT_OPCODE_NORM_GRAD_APPLY] = "rrrrrw",
    [BT_OPCODE_TRANSFER] = "rw",
    [BT_OPCODE_WAIT] = "",
    [BT_OPCODE_CONVERT] = "rw",
    [BT_OPCODE_SIGN_MASK] = "rw",
    [BT_OPCODE_MASK_GRAD] = "rrw",
};

uint32_t bt_instruction_access(const bt_instruction *instruction, uint32_t operand) {
    char access = access_of[instruction->opcode][operand];
    /* The last attribute of a matrix product says that the result is added to. */
    if (instruction->opcode == BT_OPCODE_MATMUL && operand == 3 &&
        instruction->attributes[instruction->attribute_count - 1] != 0) {
        access = 'u';
    }
    return access == 'r'   ? BT_ACCESS_READ
           : access == 'w' ? BT_ACCESS_WRITE
                           : BT_ACCESS_READ | BT_ACCESS_WRITE;
}

bool bt_instruction_in_place(const bt_instruction *instruction, uint32_t written, uint32_t read) {
    switch (instruction->opcode) {
    case BT_OPCODE_ACTIVATION_FORWARD:
    case BT_OPCODE_DROPOUT:
    case BT_OPCODE_SOFTMAX_FORWARD:
        return written == 1 && read == 0;
    case BT_OPCODE_ACTIVATION_GRAD:
    case BT_OPCODE_BINARY:
        return written == 2 && (read == 0 || read == 1);
    case BT_OPCODE_SOFTMAX_GRAD:
    case BT_OPCODE_MASK_GRAD:
        return written == 2 && read == 1;
    case BT_OPCODE_NORM_FORWARD:
    case BT_OPCODE_CROSS_ENTROPY:
    case BT_OPCODE_MSE:
    case BT_OPCODE_INNER_PRODUCT:
        return written == 3 && read == 0;
    case BT_OPCODE_NORM_GRAD_INPUT:
        return written == 4 && (read == 0 || read == 1);
    case BT_OPCODE_BATCH_NORM_GRAD_INPUT:
        return written == 4 && read == 1;
    case BT_OPCODE_NORM_APPLY:
        return written == 4 && read == 0;
    case BT_OPCODE_NORM_GRAD_APPLY:
        return written == 5 && (read == 0 || read == 1);
    case BT_OPCODE_FROZEN_NORM_FORWARD:
        return written == 5 && read == 0;
    case BT_OPCODE_FROZEN_NORM_GRAD_INPUT:
        return written == 3 && read == 0;
    default:
        return false;
    }
}

uint64_t bt_instruction_macs(const bt_ir *ir, const bt_instruction *instruction) {
    const bt_shape *output, *weight;
    const int32_t *attributes = instruction->attributes;
    switch (instruction->opcode) {
    case BT_OPCODE_CONV_FORWARD:
        output = &ir->tensors[instruction->operands[3]].shape;
        weight = &ir->tensors[instruction->operands[1]].shape;
        break;
    case BT_OPCODE_CONV_GRAD_INPUT:
        output = &ir->tensors[instruction->operands[0]].shape;
        weight = &ir->tensors[instruction->operands[1]].shape;
        break;
    case BT_OPCODE_CONV_GRAD_WEIGHT:
        output = &ir->tensors[instruction->operands[1]].shape;
        weight = &ir->tensors[instruction->operands[2]].shape;
        break;
    case BT_OPCODE_MATMUL:
        return (uint64_t)attributes[0] * (uint64_t)attributes[1] * (uint64_t)attributes[2] *
               (uint64_t)attributes[3];
    default:
        return 0;
    }
    return (uint64_t)bt_shape_elements(output) * bt_shape_product(weight, 1, weight->rank);
}
