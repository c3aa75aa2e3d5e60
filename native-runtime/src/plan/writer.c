#include "plan/writer.h"

#include <stdlib.h>
#include <string.h>

static uint64_t address_of(const bt_ir *ir, const bt_memory_plan *plan, uint32_t tensor) {
    return plan->blocks[plan->block_of[tensor]].offset + ir->tensors[tensor].offset;
}

/* Number of an earlier tensor with the same bytes, type and shape; names are kept apart. */
static uint32_t find_equal(const bt_ir *ir, const bt_memory_plan *plan, const uint32_t *table_index,
                           uint32_t tensor) {
    const bt_ir_tensor *wanted = &ir->tensors[tensor];
    uint32_t level = plan->blocks[plan->block_of[tensor]].level;
    for (uint32_t i = 0; i < tensor && wanted->name == NULL; i++) {
        const bt_ir_tensor *other = &ir->tensors[i];
        if (table_index[i] != BT_NO_TENSOR && other->name == NULL &&
            other->dtype == wanted->dtype && bt_shape_equal(&other->shape, &wanted->shape) &&
            plan->blocks[plan->block_of[i]].level == level &&
            address_of(ir, plan, i) == address_of(ir, plan, tensor)) {
            return table_index[i];
        }
    }
    return BT_NO_TENSOR;
}

/* Marks tensors that instructions use or that have a name, and numbers them. */
static uint32_t number_tensors(const bt_ir *ir, const bt_memory_plan *plan, uint32_t *table_index) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        table_index[i] = ir->tensors[i].name != NULL ? 0 : BT_NO_TENSOR;
    }
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        for (uint32_t i = 0; i < ir->sequences[s].count; i++) {
            const bt_instruction *instruction = &ir->sequences[s].instructions[i];
            for (uint32_t k = 0; k < instruction->operand_count; k++) {
                if (instruction->operands[k] != BT_NO_TENSOR) {
                    table_index[instruction->operands[k]] = 0;
                }
            }
        }
    }
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        if (table_index[i] != BT_NO_TENSOR) {
            table_index[i] = find_equal(ir, plan, table_index, i);
            table_index[i] = table_index[i] == BT_NO_TENSOR ? count++ : table_index[i];
        }
    }
    return count;
}

static uint32_t sequence_words(const bt_sequence *sequence) {
    uint32_t words = 0;
    for (uint32_t i = 0; i < sequence->count; i++) {
        words +=
            1 + sequence->instructions[i].operand_count + sequence->instructions[i].attribute_count;
    }
    return words;
}

static uint32_t names_bytes(const bt_ir *ir) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        bytes += ir->tensors[i].name == NULL ? 0 : strlen(ir->tensors[i].name) + 1;
    }
    return (uint32_t)((bytes + 3) & ~(size_t)3);
}

static void write_tensors(const bt_ir *ir, const bt_memory_plan *plan, const uint32_t *table_index,
                          bt_tensor *table, char *names) {
    uint32_t name_at = 0;
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        const bt_ir_tensor *source = &ir->tensors[i];
        if (table_index[i] == BT_NO_TENSOR) {
            continue;
        }
        bt_tensor *tensor = &table[table_index[i]];
        const bt_block *block = &plan->blocks[plan->block_of[i]];
        tensor->level = (uint8_t)block->level;
        tensor->dtype = (uint8_t)source->dtype;
        tensor->rank = (uint8_t)source->shape.rank;
        tensor->offset = (uint32_t)address_of(ir, plan, i);
        for (uint32_t d = 0; d < BT_PROGRAM_MAX_RANK; d++) {
            tensor->dims[d] = d < source->shape.rank ? source->shape.dims[d] : 1;
        }
        tensor->name = BT_NO_TENSOR;
        if (source->name != NULL) {
            size_t length = strlen(source->name) + 1;
            memcpy(names + name_at, source->name, length);
            tensor->name = name_at;
            name_at += (uint32_t)length;
        }
    }
}

static void write_sequence(const bt_sequence *sequence, const uint32_t *table_index,
                           uint32_t *words) {
    for (uint32_t i = 0; i < sequence->count; i++) {
        const bt_instruction *instruction = &sequence->instructions[i];
        *words++ =
            BT_HEAD(instruction->opcode, instruction->operand_count, instruction->attribute_count);
        for (uint32_t k = 0; k < instruction->operand_count; k++) {
            uint32_t operand = instruction->operands[k];
            *words++ = operand == BT_NO_TENSOR ? BT_NO_TENSOR : table_index[operand];
        }
        memcpy(words, instruction->attributes, instruction->attribute_count * sizeof *words);
        words += instruction->attribute_count;
    }
}

bt_status bt_program_measure(const bt_ir *ir, const bt_memory_plan *plan, uint32_t *tensors,
                             uint32_t *bytes) {
    uint32_t *table_index = malloc((ir->tensor_count + 1) * sizeof *table_index);
    if (table_index == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
    }
    *tensors = number_tensors(ir, plan, table_index);
    *bytes = (uint32_t)sizeof(bt_program_header) + *tensors * (uint32_t)sizeof(bt_tensor) +
             names_bytes(ir);
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        *bytes += sequence_words(&ir->sequences[s]) * (uint32_t)sizeof(uint32_t);
    }
    free(table_index);
    return BT_OK;
}

bt_status bt_program_write(const bt_training *training, const bt_memory_plan *plan,
                           const bt_training_options *options, uint32_t *table_index,
                           uint8_t **bytes, uint32_t *size) {
    const bt_ir *ir = &training->ir;
    bt_program_header header = {.magic = BT_PROGRAM_MAGIC,
                                .version = BT_PROGRAM_VERSION,
                                .arena_bytes = {(uint32_t)plan->peak_bytes[BT_LEVEL_L1],
                                                (uint32_t)plan->peak_bytes[BT_LEVEL_L2],
                                                (uint32_t)plan->peak_bytes[BT_LEVEL_L3]},
                                .micro_batch = options->micro_batch,
                                .input_elements = training->input_elements,
                                .output_elements = training->output_elements,
                                .target_kind = training->target_kind,
                                .seed = {(uint32_t)options->seed, (uint32_t)(options->seed >> 32)},
                                .flags = options->fused_update == 1 ? BT_PROGRAM_FUSED_UPDATE : 0};
    header.tensor_count = number_tensors(ir, plan, table_index);
    if (header.tensor_count > BT_MAX_TENSORS) {
        BT_FAIL(BT_ERROR_UNSUPPORTED,
                "The training program needs %u tensors, but a program has at most "
                "%u; use a "
                "smaller network or train fewer parameters.",
                header.tensor_count, BT_MAX_TENSORS);
    }
    header.input_tensor = table_index[ir->input];
    header.target_tensor = table_index[ir->target];
    header.output_tensor = table_index[ir->output];
    header.loss_tensor = table_index[ir->loss];
    header.tensor_offset = sizeof header;
    uint32_t end = header.tensor_offset + header.tensor_count * (uint32_t)sizeof(bt_tensor);
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        header.sequence_offset[s] = end;
        header.sequence_words[s] = sequence_words(&ir->sequences[s]);
        end += header.sequence_words[s] * (uint32_t)sizeof(uint32_t);
    }
    header.names_offset = end;
    header.names_bytes = names_bytes(ir);
    header.bytes = end + header.names_bytes;
    uint8_t *block = calloc(1, header.bytes);
    if (block == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for a program of %u bytes.",
                header.bytes);
    }
    write_tensors(ir, plan, table_index, (bt_tensor *)(block + header.tensor_offset),
                  (char *)block + header.names_offset);
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        write_sequence(&ir->sequences[s], table_index,
                       (uint32_t *)(block + header.sequence_offset[s]));
    }
    memcpy(block, &header, sizeof header);
    header.crc = bt_crc32c(0, block, header.bytes);
    memcpy(block, &header, sizeof header);
    *bytes = block;
    *size = header.bytes;
    return BT_OK;
}
