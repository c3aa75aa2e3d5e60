/*
 * Checks a memory plan by replaying every instruction over arenas whose words remember which tensor
 * wrote them last. It knows operands, their access and what may overlap from tables of its own, and
 * nothing of the planner, so that a mistake there is not made here again.
 *
 * A plan is sound if
 *   - every tensor lies in its arena, and is used within the lifetime of its block only;
 *   - every word that is read was written by the tensor it is read as, and by nothing since;
 *   - no operand that is written overlaps another one, except where kernels work in place;
 *   - nothing touches the bytes of a transfer before it was waited for, and transfers reach exactly
 *     the rows that they name, in L2 or L3 on one side and in L1 on the other;
 *   - what is kept for ever survives, and results are there at the end;
 *   - every word of a gradient is cleared, summed and used by the optimizer.
 */
#ifndef BT_TEST_PLAN_VALIDATOR_H
#define BT_TEST_PLAN_VALIDATOR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/memory_plan.h"

/* r read, w written, u updated; from the instruction set's description. */
static const char *const operand_access[BT_OPCODE_COUNT] = {
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

/* Bytes of a transfer under way, as words of the arenas: nobody may touch them. */
enum { MOVES_FROM = 1, MOVES_TO = 2 };

typedef struct validator {
    const bt_ir *ir;
    const bt_memory_plan *plan;
    uint32_t sequence;
    uint32_t instruction;
    uint32_t words;
    uint32_t base[BT_LEVEL_COUNT + 1]; /* first word of each arena; the end of all */
    uint32_t *owner;                   /* per word: value that wrote it last, or BT_NO_TENSOR */
    uint8_t *moving;                   /* per word: MOVES_… */
    uint8_t *summed;                   /* per word: added to in TRAIN */
    uint32_t started;                  /* first instruction whose transfers nobody has waited for */
    char wrong[160];                   /* first violation, "" if there is none */
} validator;

typedef struct words {
    uint32_t begin, end;
} words;

static inline void violation(validator *v, const char *what) {
    if (v->wrong[0] == '\0') {
        const bt_sequence *sequence = &v->ir->sequences[v->sequence];
        snprintf(v->wrong, sizeof v->wrong, "%s (sequence %u, instruction %u, %s)", what,
                 v->sequence, v->instruction,
                 v->instruction < sequence->count
                     ? bt_opcode_name(sequence->instructions[v->instruction].opcode)
                     : "end");
    }
}

static inline uint32_t block_level(const validator *v, uint32_t tensor) {
    return v->plan->blocks[v->plan->block_of[tensor]].level;
}

/* Empty, with a violation, if they do not lie in the arena. */
static inline words words_of(validator *v, uint32_t tensor) {
    const bt_block *block = &v->plan->blocks[v->plan->block_of[tensor]];
    uint64_t first = v->base[block->level] + (block->offset + v->ir->tensors[tensor].offset) / 4;
    uint64_t end = first + bt_ir_bytes(&v->ir->tensors[tensor]) / 4;
    if (end > v->base[block->level + 1] || block->offset % 4 != 0) {
        violation(v, "a tensor lies outside its arena");
        return (words){0, 0};
    }
    return (words){(uint32_t)first, (uint32_t)end};
}

static inline void claim(validator *v, uint32_t tensor, words range) {
    for (uint32_t i = range.begin; i < range.end; i++) {
        if (v->moving[i] != 0) {
            violation(v, "bytes are written before their transfer was waited for");
        }
        v->owner[i] = v->ir->tensors[tensor].value;
    }
}

static inline void expect_owned(validator *v, uint32_t tensor, words range, const char *what) {
    for (uint32_t i = range.begin; i < range.end; i++) {
        if (v->owner[i] != v->ir->tensors[tensor].value) {
            violation(v, what);
        }
        if ((v->moving[i] & MOVES_TO) != 0) {
            violation(v, "bytes are read before their transfer was waited for");
        }
    }
}

/* The only overlaps that the kernels allow: the same bytes, element by element. */
static inline int may_share(const bt_instruction *instruction, uint32_t written, uint32_t read) {
    switch (instruction->opcode) {
    case BT_OPCODE_ACTIVATION_FORWARD:
    case BT_OPCODE_DROPOUT:
    case BT_OPCODE_SOFTMAX_FORWARD:
        return written == 1 && read == 0;
    case BT_OPCODE_ACTIVATION_GRAD:
    case BT_OPCODE_BINARY:
        return written == 2;
    case BT_OPCODE_SOFTMAX_GRAD:
    case BT_OPCODE_MASK_GRAD:
        return written == 2 && read == 1;
    case BT_OPCODE_NORM_FORWARD:
    case BT_OPCODE_CROSS_ENTROPY:
    case BT_OPCODE_MSE:
    case BT_OPCODE_INNER_PRODUCT:
        return written == 3 && read == 0;
    case BT_OPCODE_NORM_GRAD_INPUT:
        return written == 4 && read <= 1;
    case BT_OPCODE_BATCH_NORM_GRAD_INPUT:
        return written == 4 && read == 1;
    case BT_OPCODE_NORM_APPLY:
        return written == 4 && read == 0;
    case BT_OPCODE_NORM_GRAD_APPLY:
        return written == 5 && read <= 1;
    case BT_OPCODE_FROZEN_NORM_FORWARD:
        return written == 5 && read == 0;
    case BT_OPCODE_FROZEN_NORM_GRAD_INPUT:
        return written == 3 && read == 0;
    default:
        return 0;
    }
}

static inline void check_overlaps(validator *v, const bt_instruction *instruction) {
    const char *access = operand_access[instruction->opcode];
    for (uint32_t w = 0; w < instruction->operand_count; w++) {
        for (uint32_t k = 0; k < instruction->operand_count; k++) {
            if (k == w || access[w] == 'r' || instruction->operands[w] == BT_NO_TENSOR ||
                instruction->operands[k] == BT_NO_TENSOR) {
                continue;
            }
            words x = words_of(v, instruction->operands[w]);
            words y = words_of(v, instruction->operands[k]);
            int overlap = x.begin < y.end && y.begin < x.end;
            int same = x.begin == y.begin && x.end == y.end;
            if (overlap && !(same && may_share(instruction, w, k))) {
                violation(v, "operands overlap");
            }
        }
    }
}

static inline void check_lifetimes(validator *v, const bt_instruction *instruction) {
    uint32_t time = v->instruction + 1; /* transfers last until their WAIT */
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (instruction->operands[k] == BT_NO_TENSOR) {
            continue;
        }
        const bt_block *block = &v->plan->blocks[v->plan->block_of[instruction->operands[k]]];
        const bt_lifetime *lifetime = &block->lifetimes[v->sequence];
        if (!block->persistent && (time < lifetime->first || time > lifetime->last)) {
            violation(v, "a tensor is used outside the lifetime of its block");
        }
    }
}

/* ---- instructions */

/* Rows of a tensor, or none with a violation if they leave it. */
typedef struct rows {
    uint32_t count, length, stride, first; /* in bytes; first of the arenas */
} rows;

static inline words row_at(const rows *r, uint32_t row) {
    uint32_t begin = r->first + row * r->stride;
    return (words){begin / 4, (begin + r->length + 3) / 4};
}

/* near holds as many elements as the rows have together. */
static inline rows far_rows(validator *v, uint32_t far, uint32_t near,
                            const bt_instruction *instruction) {
    const int32_t *t = instruction->attributes; /* offset, or offset rows row_length stride */
    bool dense = instruction->attribute_count == 1;
    words whole = words_of(v, far);
    uint32_t size = bt_dtype_bytes(v->ir->tensors[far].dtype);
    uint32_t all = bt_shape_elements(&v->ir->tensors[near].shape);
    rows r = {.count = dense ? 1 : (uint32_t)t[1],
              .length = (dense ? all : (uint32_t)t[2]) * size,
              .stride = (dense ? all : (uint32_t)t[3]) * size,
              .first = 4 * whole.begin + (uint32_t)t[0] * size};
    if (r.count < 1 || row_at(&r, r.count - 1).end > whole.end || r.first / 4 < whole.begin) {
        violation(v, "a transfer leaves its tensor");
        r.count = 0;
    }
    return r;
}

static inline void mark_summed(validator *v, words range) {
    if (v->sequence == BT_SEQUENCE_TRAIN) {
        memset(v->summed + range.begin, 1, range.end - range.begin);
    }
}

static inline void mark_moving(validator *v, words range, uint8_t how) {
    for (uint32_t i = range.begin; i < range.end; i++) {
        if (v->moving[i] != 0 && ((v->moving[i] | how) & MOVES_TO) != 0) {
            violation(v, "two transfers meet");
        }
        v->moving[i] |= how;
    }
}

static inline void replay_transfer(validator *v, const bt_instruction *instruction) {
    uint32_t from = instruction->operands[0], to = instruction->operands[1];
    uint32_t near = block_level(v, from) == BT_LEVEL_L1 ? from : to;
    uint32_t far = near == from ? to : from;
    if (block_level(v, near) != BT_LEVEL_L1 || block_level(v, far) == BT_LEVEL_L1) {
        violation(v, "a transfer is not between L1 and another memory");
        return;
    }
    words inside = words_of(v, near);
    rows outside = far_rows(v, far, near, instruction);
    uint32_t bytes = outside.count * outside.length;
    if ((bytes + 3) / 4 != inside.end - inside.begin || bytes > BT_TRANSFER_MAX_BYTES) {
        violation(v, "a transfer's sides differ in size, or it is too large");
    }
    if (near == from) {
        expect_owned(v, near, inside, "a transfer takes what was not written");
    }
    for (uint32_t r = 0; r < outside.count; r++) {
        words row = row_at(&outside, r);
        if (near == from) {
            claim(v, far, row);
            mark_summed(v, row);
        } else {
            expect_owned(v, far, row, "a transfer takes what was not written");
        }
        mark_moving(v, row, near == from ? MOVES_TO : MOVES_FROM);
    }
    if (near == to) {
        claim(v, near, inside);
    }
    mark_moving(v, inside, near == from ? MOVES_FROM : MOVES_TO);
}

/* Both sides of every transfer live until now. */
static inline void end_transfers(validator *v) {
    const bt_sequence *instructions = &v->ir->sequences[v->sequence];
    for (uint32_t i = v->started; i < v->instruction; i++) {
        if (instructions->instructions[i].opcode == BT_OPCODE_TRANSFER) {
            check_lifetimes(v, &instructions->instructions[i]);
        }
    }
    v->started = v->instruction;
    memset(v->moving, 0, v->words);
}

/* Words that COPY_BLOCKS writes; other instructions write whole tensors. */
static inline void write_operand(validator *v, const bt_instruction *instruction, uint32_t tensor) {
    words range = words_of(v, tensor);
    if (instruction->opcode != BT_OPCODE_COPY_BLOCKS) {
        claim(v, tensor, range);
        return;
    }
    const int32_t *t = instruction->attributes;
    for (int32_t block = 0; block < t[0]; block++) {
        uint32_t begin = range.begin + (uint32_t)(t[5] + block * t[4]);
        claim(v, tensor, (words){begin, begin + (uint32_t)t[1]});
    }
}

static inline void replay_computation(validator *v, const bt_instruction *instruction) {
    const char *access = operand_access[instruction->opcode];
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        int adds =
            instruction->opcode == BT_OPCODE_MATMUL && k == 3 && instruction->attributes[10] == 1;
        if (tensor == BT_NO_TENSOR) {
            continue;
        }
        if (block_level(v, tensor) == BT_LEVEL_L3) {
            violation(v, "a kernel touches L3");
        }
        if (access[k] != 'w' || adds) {
            expect_owned(v, tensor, words_of(v, tensor),
                         "an operand was not written or has been overwritten");
        }
    }
    check_overlaps(v, instruction);
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        if (tensor != BT_NO_TENSOR && access[k] != 'r') {
            words range = words_of(v, tensor);
            write_operand(v, instruction, tensor);
            mark_summed(v, range);
        }
    }
}

/* ---- sequences */

static inline void begin_sequence(validator *v) {
    const bt_ir *ir = v->ir;
    memset(v->moving, 0, v->words);
    memset(v->owner, 0xFF, v->words * sizeof *v->owner);
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        if (ir->tensors[i].residence == BT_RESIDENCE_PERSISTENT && ir->tensors[i].value == i) {
            claim(v, i, words_of(v, i));
        }
    }
    if (v->sequence == BT_SEQUENCE_TRAIN || v->sequence == BT_SEQUENCE_EVALUATE) {
        claim(v, ir->input, words_of(v, ir->input));
        claim(v, ir->target, words_of(v, ir->target));
    }
}

static inline void end_sequence(validator *v) {
    const bt_ir *ir = v->ir;
    for (uint32_t i = 0; i < v->words; i++) {
        if (v->moving[i] != 0) {
            violation(v, "nobody waits for the last transfers");
        }
    }
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        if (ir->tensors[i].residence == BT_RESIDENCE_PERSISTENT && ir->tensors[i].value == i) {
            expect_owned(v, i, words_of(v, i), "a persistent tensor was overwritten");
        }
    }
    if (v->sequence == BT_SEQUENCE_TRAIN || v->sequence == BT_SEQUENCE_EVALUATE) {
        expect_owned(v, ir->loss, words_of(v, ir->loss), "the loss is lost");
    }
    if (v->sequence == BT_SEQUENCE_EVALUATE) {
        expect_owned(v, ir->output, words_of(v, ir->output), "the output is lost");
    }
}

static inline void replay(validator *v, uint32_t sequence) {
    v->sequence = sequence;
    v->instruction = 0;
    v->started = 0;
    begin_sequence(v);
    const bt_sequence *instructions = &v->ir->sequences[sequence];
    for (; v->instruction < instructions->count && v->wrong[0] == '\0'; v->instruction++) {
        const bt_instruction *instruction = &instructions->instructions[v->instruction];
        check_lifetimes(v, instruction);
        if (instruction->opcode == BT_OPCODE_WAIT) {
            end_transfers(v);
        } else if (instruction->opcode == BT_OPCODE_TRANSFER) {
            replay_transfer(v, instruction);
        } else {
            replay_computation(v, instruction);
        }
    }
    end_sequence(v);
}

/* Gradients were written in TRAIN, word by word. */
static inline void check_gradients(validator *v) {
    for (uint32_t i = 0; i < v->ir->tensor_count; i++) {
        const bt_ir_tensor *tensor = &v->ir->tensors[i];
        if (tensor->name == NULL || strncmp(tensor->name, "gradient.", 9) != 0) {
            continue;
        }
        words range = words_of(v, i);
        if (memchr(v->summed + range.begin, 0, range.end - range.begin) != NULL) {
            violation(v, "a gradient is not summed completely");
        }
    }
}

/* Blocks end where the peaks say, and no bound is above its peak. */
static inline void check_sums(validator *v) {
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        uint64_t highest = 0;
        for (uint32_t b = 0; b < v->plan->block_count; b++) {
            const bt_block *block = &v->plan->blocks[b];
            uint64_t end = block->level == level ? block->offset + block->bytes : 0;
            highest = end > highest ? end : highest;
        }
        if (highest != v->plan->peak_bytes[level] ||
            v->plan->lower_bound_bytes[level] > v->plan->peak_bytes[level]) {
            violation(v, "a peak is not where the highest block ends, or below its bound");
        }
    }
}

/* Writes the first violation into wrong, "" if the plan is sound. */
static inline void validate_plan(const bt_ir *ir, const bt_memory_plan *plan, char wrong[160]) {
    validator v = {.ir = ir, .plan = plan};
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        v.base[level] = v.words;
        v.words += (uint32_t)((plan->peak_bytes[level] + 3) / 4);
    }
    v.base[BT_LEVEL_COUNT] = v.words;
    v.owner = malloc((v.words + 1) * sizeof *v.owner);
    v.moving = calloc(v.words + 1, 1);
    v.summed = calloc(v.words + 1, 1);
    check_sums(&v);
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT && v.wrong[0] == '\0'; s++) {
        replay(&v, s);
        if (s == BT_SEQUENCE_TRAIN) {
            check_gradients(&v);
        }
    }
    free(v.owner);
    free(v.moving);
    free(v.summed);
    memcpy(wrong, v.wrong, sizeof v.wrong);
}

#endif
