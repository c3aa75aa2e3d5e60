#include <stdlib.h>

#include "plan/memory_plan.h"

static bool is_used(bt_lifetime lifetime) { return lifetime.first <= lifetime.last; }

/* The block is alive at a time of a sequence. */
static void touch(bt_block *block, uint32_t sequence, uint32_t time) {
    bt_lifetime *lifetime = &block->lifetimes[sequence];
    lifetime->first = time < lifetime->first ? time : lifetime->first;
    lifetime->last = time > lifetime->last ? time : lifetime->last;
}

/* Number of the block of a tensor's bytes: until they are compacted, block_of leads from a tensor
 * to its storage and from a merged block to the one it was merged into. */
static uint32_t root_of(const bt_memory_plan *plan, uint32_t tensor) {
    while (plan->block_of[tensor] != tensor) {
        tensor = plan->block_of[tensor];
    }
    return tensor;
}

static bt_block *block_at(bt_memory_plan *plan, uint32_t tensor) {
    return &plan->blocks[root_of(plan, tensor)];
}

/* A transfer's bytes are in use until somebody waits for it. */
static uint32_t end_of_use(const bt_sequence *sequence, uint32_t i) {
    uint32_t end = i;
    if (sequence->instructions[i].opcode == BT_OPCODE_TRANSFER) {
        while (end + 1 < sequence->count && sequence->instructions[end].opcode != BT_OPCODE_WAIT) {
            end++;
        }
    }
    return end;
}

static void touch_by_session(bt_block *block, uint32_t sequence, uint32_t time) {
    touch(block, sequence, time);
    block->not_in_l3 = true;
}

static void touch_interface(bt_memory_plan *plan, const bt_ir *ir, uint32_t sequence) {
    uint32_t end = ir->sequences[sequence].count + 1;
    touch_by_session(block_at(plan, ir->input), sequence, 0);
    touch_by_session(block_at(plan, ir->target), sequence, 0);
    touch_by_session(block_at(plan, ir->loss), sequence, end);
    if (sequence == BT_SEQUENCE_EVALUATE) {
        touch_by_session(block_at(plan, ir->output), sequence, end);
    }
}

static void find_lifetimes(bt_memory_plan *plan, const bt_ir *ir) {
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        for (uint32_t i = 0; i < ir->sequences[s].count; i++) {
            const bt_instruction *instruction = &ir->sequences[s].instructions[i];
            for (uint32_t k = 0; k < instruction->operand_count; k++) {
                if (instruction->operands[k] != BT_NO_TENSOR) {
                    bt_block *block = block_at(plan, instruction->operands[k]);
                    touch(block, s, i + 1);
                    touch(block, s, end_of_use(&ir->sequences[s], i) + 1);
                    block->uses++;
                }
            }
        }
    }
    touch_interface(plan, ir, BT_SEQUENCE_TRAIN);
    touch_interface(plan, ir, BT_SEQUENCE_EVALUATE);
}

/* Transient, and used in this sequence only. */
static bool is_local(const bt_block *block, uint32_t sequence) {
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        if (s != sequence && is_used(block->lifetimes[s])) {
            return false;
        }
    }
    return !block->persistent;
}

/* Every operand that lies in the block must allow the written one to take its place. */
static bool reads_allow(const bt_memory_plan *plan, const bt_instruction *instruction,
                        uint32_t written, uint32_t block) {
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        if (k != written && tensor != BT_NO_TENSOR && root_of(plan, tensor) == block &&
            !bt_instruction_in_place(instruction, written, k)) {
            return false;
        }
    }
    return true;
}

/* Merges the block that operand written begins into that of operand read, which ends here. */
static bool merge(bt_memory_plan *plan, const bt_ir *ir, uint32_t sequence, uint32_t time,
                  const bt_instruction *instruction, uint32_t written, uint32_t read) {
    uint32_t from = root_of(plan, instruction->operands[written]);
    uint32_t into = root_of(plan, instruction->operands[read]);
    bt_block *begins = &plan->blocks[from];
    bt_block *ends = &plan->blocks[into];
    /* Whole blocks only: a slice says nothing of the rest. */
    if (bt_ir_bytes(&ir->tensors[instruction->operands[written]]) != begins->bytes ||
        bt_ir_bytes(&ir->tensors[instruction->operands[read]]) != ends->bytes || from == into ||
        begins->bytes != ends->bytes || begins->level != ends->level ||
        !is_local(begins, sequence) || !is_local(ends, sequence) ||
        begins->lifetimes[sequence].first != time || ends->lifetimes[sequence].last != time ||
        !reads_allow(plan, instruction, written, into)) {
        return false;
    }
    ends->lifetimes[sequence].last = begins->lifetimes[sequence].last;
    ends->uses += begins->uses;
    ends->not_in_l3 = ends->not_in_l3 || begins->not_in_l3;
    begins->bytes = 0;
    begins->lifetimes[sequence] = (bt_lifetime){.first = 1, .last = 0};
    plan->block_of[from] = into;
    return true;
}

static void merge_in_place(bt_memory_plan *plan, const bt_ir *ir) {
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        for (uint32_t i = 0; i < ir->sequences[s].count; i++) {
            const bt_instruction *instruction = &ir->sequences[s].instructions[i];
            for (uint32_t w = 0; w < instruction->operand_count; w++) {
                bool merged = false;
                for (uint32_t r = 0; r < w && !merged; r++) {
                    merged = instruction->operands[w] != BT_NO_TENSOR &&
                             instruction->operands[r] != BT_NO_TENSOR &&
                             bt_instruction_in_place(instruction, w, r) &&
                             merge(plan, ir, s, i + 1, instruction, w, r);
                }
            }
        }
    }
}

/* Drops blocks that nothing uses and those merged into others. */
static void compact(bt_memory_plan *plan, const bt_ir *ir, uint32_t *new_index) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        plan->block_of[i] = root_of(plan, i);
    }
    for (uint32_t b = 0; b < plan->block_count; b++) {
        bool used = plan->blocks[b].persistent;
        for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
            used = used || is_used(plan->blocks[b].lifetimes[s]);
        }
        new_index[b] = used ? kept : BT_NO_TENSOR;
        if (used) {
            plan->blocks[kept++] = plan->blocks[b];
        }
    }
    plan->block_count = kept;
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        plan->block_of[i] = new_index[plan->block_of[i]];
    }
}

bt_status bt_lifetimes_find(const bt_ir *ir, bt_memory_plan *plan) {
    uint32_t *new_index = malloc(ir->tensor_count * sizeof *new_index);
    plan->blocks = calloc(ir->tensor_count, sizeof *plan->blocks);
    plan->block_of = malloc(ir->tensor_count * sizeof *plan->block_of);
    if (new_index == NULL || plan->blocks == NULL || plan->block_of == NULL) {
        free(new_index);
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to plan %u tensors.",
                ir->tensor_count);
    }
    plan->block_count = ir->tensor_count;
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        const bt_ir_tensor *tensor = &ir->tensors[i];
        plan->block_of[i] = tensor->storage;
        plan->blocks[i].persistent =
            tensor->storage == i && tensor->residence == BT_RESIDENCE_PERSISTENT;
        plan->blocks[i].level = tensor->level;
        plan->blocks[i].not_in_l3 = bt_dtype_bytes(tensor->dtype) % 4 != 0;
        plan->blocks[i].bytes = bt_ir_bytes(tensor);
        for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
            plan->blocks[i].lifetimes[s] = (bt_lifetime){.first = UINT32_MAX, .last = 0};
        }
    }
    find_lifetimes(plan, ir);
    merge_in_place(plan, ir);
    compact(plan, ir, new_index);
    free(new_index);
    return BT_OK;
}
