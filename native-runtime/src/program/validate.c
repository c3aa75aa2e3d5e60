#include "program/program.h"

/* Largest tensor: element counts and indices then fit int32_t everywhere. */
#define BT_MAX_TENSOR_BYTES 0x7FFFFFFFu
#define BT_MAX_MICRO_BATCH 65536u

#define BT_SECTION_COUNT (BT_SEQUENCE_COUNT + 2u)

typedef struct bt_section {
    uint32_t offset;
    uint32_t bytes;
} bt_section;

static uint32_t program_crc(const uint8_t *bytes, const bt_program_header *header) {
    bt_program_header unsealed = *header;
    uint32_t crc;
    unsealed.crc = 0;
    crc = bt_crc32c(0, &unsealed, sizeof unsealed);
    return bt_crc32c(crc, bytes + sizeof unsealed, header->bytes - sizeof unsealed);
}

static bt_fault check_sections(const bt_program_header *header) {
    bt_section sections[BT_SECTION_COUNT];
    uint32_t i;
    uint32_t j;
    if (header->tensor_count > BT_MAX_TENSORS || header->names_bytes % 4u != 0) {
        return BT_FAULT_SECTION;
    }
    sections[0].offset = header->tensor_offset;
    sections[0].bytes = header->tensor_count * (uint32_t)sizeof(bt_tensor);
    sections[1].offset = header->names_offset;
    sections[1].bytes = header->names_bytes;
    for (i = 0; i < BT_SEQUENCE_COUNT; i++) {
        if (header->sequence_words[i] > header->bytes / 4u) {
            return BT_FAULT_SECTION;
        }
        sections[2u + i].offset = header->sequence_offset[i];
        sections[2u + i].bytes = header->sequence_words[i] * 4u;
    }
    for (i = 0; i < BT_SECTION_COUNT; i++) {
        const bt_section *a = &sections[i];
        if (a->offset % 4u != 0 || a->offset < sizeof *header || a->offset > header->bytes ||
            a->bytes > header->bytes - a->offset) {
            return BT_FAULT_SECTION;
        }
        for (j = 0; j < i; j++) {
            const bt_section *b = &sections[j];
            if (a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes) {
                return BT_FAULT_SECTION;
            }
        }
    }
    return BT_FAULT_NONE;
}

static uint32_t tensor_is_valid(const bt_tensor *tensor, const bt_program_header *header) {
    uint64_t bytes = bt_dtype_bytes(tensor->dtype);
    uint32_t axis;
    if (tensor->level >= BT_LEVEL_COUNT || bytes == 0 || tensor->rank < 1 ||
        tensor->rank > BT_PROGRAM_MAX_RANK || tensor->reserved != 0 || tensor->offset % 4u != 0 ||
        (tensor->name != BT_NO_TENSOR && tensor->name >= header->names_bytes)) {
        return 0;
    }
    for (axis = 0; axis < BT_PROGRAM_MAX_RANK; axis++) {
        uint32_t dim = tensor->dims[axis];
        if (dim == 0 || (axis >= tensor->rank && dim != 1)) {
            return 0;
        }
        bytes *= dim; /* at most 2^31 * 2^32 */
        if (bytes > BT_MAX_TENSOR_BYTES) {
            return 0;
        }
    }
    return tensor->offset + bytes <= header->arena_bytes[tensor->level];
}

static bt_fault check_sequence(const uint32_t *words, uint32_t available, const bt_tensor *tensors,
                               uint32_t tensor_count, uint32_t *instruction) {
    *instruction = 0;
    while (available > 0) {
        bt_call call;
        bt_fault fault;
        uint32_t operands = (words[0] >> 8) & 0xFFu;
        uint32_t taken;
        uint32_t i;
        /* Told apart from other faults, all of which bt_call_decode answers with 0. */
        for (i = 1; i <= operands && operands <= BT_MAX_OPERANDS && i < available; i++) {
            if (words[i] != BT_NO_TENSOR && words[i] >= tensor_count) {
                return BT_FAULT_OPERAND;
            }
        }
        taken = bt_call_decode(words, available, tensors, tensor_count, NULL, &call);
        if (taken == 0) {
            return BT_FAULT_INSTRUCTION;
        }
        fault = bt_call_check(&call);
        if (fault == BT_FAULT_NONE) {
            fault = bt_call_check_overlap(&call);
        }
        if (fault != BT_FAULT_NONE) {
            return fault;
        }
        words += taken;
        available -= taken;
        (*instruction)++;
    }
    return BT_FAULT_NONE;
}

/* Tensor index is of this type, reachable by the firmware and has this many elements. */
static uint32_t interface_fits(const bt_program_header *header, const bt_tensor *tensors,
                               uint32_t index, uint32_t dtype, uint64_t elements) {
    return index < header->tensor_count && tensors[index].dtype == dtype &&
           tensors[index].level != BT_LEVEL_L3 && bt_tensor_elements(&tensors[index]) == elements;
}

static bt_fault check_interface(const bt_program_header *header, const bt_tensor *tensors,
                                uint32_t *tensor) {
    uint64_t batch = header->micro_batch;
    uint64_t inputs = batch * header->input_elements;
    uint64_t outputs = batch * header->output_elements;
    if (batch < 1 || batch > BT_MAX_MICRO_BATCH || header->input_elements == 0 ||
        header->output_elements == 0 || header->target_kind > BT_TARGET_VECTOR ||
        (header->flags & ~BT_PROGRAM_FUSED_UPDATE) != 0) {
        return BT_FAULT_INTERFACE;
    }
    *tensor = header->input_tensor;
    if (!interface_fits(header, tensors, *tensor, BT_DTYPE_F32, inputs)) {
        return BT_FAULT_INTERFACE;
    }
    *tensor = header->target_tensor;
    if (header->target_kind == BT_TARGET_CLASS
            ? !interface_fits(header, tensors, *tensor, BT_DTYPE_I32, batch)
            : !interface_fits(header, tensors, *tensor, BT_DTYPE_F32, outputs)) {
        return BT_FAULT_INTERFACE;
    }
    *tensor = header->output_tensor;
    if (!interface_fits(header, tensors, *tensor, BT_DTYPE_F32, outputs)) {
        return BT_FAULT_INTERFACE;
    }
    *tensor = header->loss_tensor;
    if (!interface_fits(header, tensors, *tensor, BT_DTYPE_F32, batch)) {
        return BT_FAULT_INTERFACE;
    }
    *tensor = BT_NO_TENSOR;
    return BT_FAULT_NONE;
}

static bt_fault check_header(const uint8_t *bytes, uint32_t size,
                             const uint32_t arena_bytes[BT_LEVEL_COUNT]) {
    const bt_program_header *header = (const bt_program_header *)(const void *)bytes;
    uint32_t level;
    if (size < sizeof *header) {
        return BT_FAULT_SIZE;
    }
    if (header->magic != BT_PROGRAM_MAGIC) {
        return BT_FAULT_MAGIC;
    }
    if (header->version != BT_PROGRAM_VERSION) {
        return BT_FAULT_VERSION;
    }
    if (header->bytes != size || size % 4u != 0) {
        return BT_FAULT_SIZE;
    }
    if (header->crc != program_crc(bytes, header)) {
        return BT_FAULT_CRC;
    }
    for (level = 0; level < BT_LEVEL_COUNT; level++) {
        if (header->arena_bytes[level] > arena_bytes[level]) {
            return BT_FAULT_ARENA;
        }
    }
    return check_sections(header);
}

bt_fault bt_program_validate(const uint8_t *bytes, uint32_t size,
                             const uint32_t arena_bytes[BT_LEVEL_COUNT], bt_fault_location *where) {
    const bt_program_header *header = (const bt_program_header *)(const void *)bytes;
    const bt_tensor *tensors;
    uint32_t i;
    where->sequence = BT_NO_TENSOR;
    where->instruction = BT_NO_TENSOR;
    where->tensor = BT_NO_TENSOR;
    where->fault = check_header(bytes, size, arena_bytes);
    if (where->fault != BT_FAULT_NONE) {
        return where->fault;
    }
    /* Names are then terminated whatever they hold. */
    if (header->names_bytes > 0 && bytes[header->names_offset + header->names_bytes - 1u] != 0) {
        return where->fault = BT_FAULT_SECTION;
    }
    tensors = (const bt_tensor *)(const void *)(bytes + header->tensor_offset);
    for (i = 0; i < header->tensor_count; i++) {
        if (!tensor_is_valid(&tensors[i], header)) {
            where->tensor = i;
            return where->fault = BT_FAULT_TENSOR;
        }
    }
    for (i = 0; i < BT_SEQUENCE_COUNT; i++) {
        const uint32_t *words =
            (const uint32_t *)(const void *)(bytes + header->sequence_offset[i]);
        uint32_t instruction;
        where->fault = check_sequence(words, header->sequence_words[i], tensors,
                                      header->tensor_count, &instruction);
        if (where->fault != BT_FAULT_NONE) {
            where->sequence = i;
            where->instruction = instruction;
            return where->fault;
        }
    }
    return where->fault = check_interface(header, tensors, &where->tensor);
}
