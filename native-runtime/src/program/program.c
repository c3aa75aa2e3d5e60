#include "program/program.h"

#include "biotrain/biotrain.h"

static const char *const opcode_names[BT_OPCODE_COUNT] = {
#define BT_OPCODE_NAME(name, text) text,
    BT_OPCODES(BT_OPCODE_NAME)
#undef BT_OPCODE_NAME
};

const char *bt_opcode_name(uint32_t opcode) {
    return opcode < BT_OPCODE_COUNT ? opcode_names[opcode] : "unknown";
}

uint32_t bt_dtype_bytes(uint32_t dtype) {
    switch (dtype) {
    case BT_DTYPE_F32:
    case BT_DTYPE_I32:
        return 4;
    case BT_DTYPE_U16:
    case BT_DTYPE_F16:
        return 2;
    case BT_DTYPE_U8:
        return 1;
    default:
        return 0;
    }
}

uint32_t bt_tensor_elements(const bt_tensor *tensor) {
    uint32_t elements = 1;
    uint32_t axis;
    for (axis = 0; axis < tensor->rank; axis++) {
        elements *= tensor->dims[axis];
    }
    return elements;
}

uint32_t bt_activation_keeps_output(uint32_t function) {
    switch (function) {
    case BT_FUNCTION_RELU:
    case BT_FUNCTION_ELU:
    case BT_FUNCTION_LEAKY_RELU:
    case BT_FUNCTION_SIGMOID:
    case BT_FUNCTION_TANH:
        return 1;
    default:
        return 0;
    }
}

uint32_t bt_norm_partials(uint32_t rows, uint32_t channels_per_group, uint32_t span) {
    uint32_t length = span > 1u ? span : channels_per_group;
    uint32_t lines = span > 1u ? rows * channels_per_group : rows;
    uint32_t blocks = length / BT_REDUCTION_BLOCK + (length % BT_REDUCTION_BLOCK != 0);
    return 2u * lines * blocks;
}

uint32_t bt_sample_layout_get(const bt_program_header *header, uint32_t format, uint32_t channels,
                              bt_sample_layout *out) {
    uint64_t target = header->target_kind == BT_TARGET_CLASS ? 4u : 4ull * header->output_elements;
    uint64_t scale = 0;
    uint64_t data = 0;
    if (channels == 0 || header->input_elements % channels != 0) {
        return 0;
    }
    if (format == BT_SAMPLE_INT16) {
        scale = 8ull * channels;
        data = (2ull * header->input_elements + 3u) & ~3ull;
    } else if (format == BT_SAMPLE_FLOAT32) {
        data = 4ull * header->input_elements;
    } else {
        return 0;
    }
    if (target + scale + data > 0xFFFFFFFFull) {
        return 0;
    }
    out->target_bytes = (uint32_t)target;
    out->scale_bytes = (uint32_t)scale;
    out->data_bytes = (uint32_t)data;
    out->record_bytes = (uint32_t)(target + scale + data);
    return 1;
}

const char *bt_program_fault_text(bt_fault fault) {
    switch (fault) {
    case BT_FAULT_NONE:
        return "no fault";
    case BT_FAULT_SIZE:
        return "its size is not what its header says";
    case BT_FAULT_MAGIC:
        return "it does not begin with the magic number of a program";
    case BT_FAULT_VERSION:
        return "its format version is not supported";
    case BT_FAULT_CRC:
        return "its checksum is wrong";
    case BT_FAULT_SECTION:
        return "a section lies outside it, overlaps another or is misaligned";
    case BT_FAULT_ARENA:
        return "it needs more memory than the device has";
    case BT_FAULT_TENSOR:
        return "a tensor's type, shape, address or name is not valid";
    case BT_FAULT_INSTRUCTION:
        return "an instruction is truncated, unknown or has a wrong number of operands or "
               "attributes";
    case BT_FAULT_OPERAND:
        return "an operand is missing, has a wrong type or overlaps another";
    case BT_FAULT_SHAPE:
        return "the shapes and attributes of an instruction do not fit together";
    case BT_FAULT_INTERFACE:
        return "the input, target, output or loss tensor does not fit the header";
    }
    return "unknown fault";
}
