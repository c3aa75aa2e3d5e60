#include "plan/recompute.h"

#include <stdlib.h>
#include <string.h>

#include "plan/memory_plan.h"

/* Smaller activations, as a part of the peak, are kept: they are not worth an instruction. */
#define BT_STASH_SHARE 64u

/* Instructions between an activation and what it is made again from. */
#define BT_DEEPEST 8u

typedef enum stash {
    STASH_KEEP,
    STASH_RECOMPUTE,       /* once: what is made again serves all later uses */
    STASH_RECOMPUTE_TWICE, /* likewise, but further recomputations that read it make their own */
    STASH_RECOMPUTE_DEEP   /* once, and with it what it is made from and the backward pass lacks */
} stash;

/* An activation that could be made again. */
typedef struct candidate {
    uint32_t storage;
    bool alone; /* one instruction writes it, and all that this reads may be kept */
    bool deep;  /* what it is made from can be made again too */
    stash stash;
} candidate;

/* First and last instruction of TRAIN that writes a storage, and the last that reads it. */
typedef struct usage {
    uint32_t first_write, last_write, last_read;
} usage;

typedef struct recompute {
    const bt_ir *ir; /* as it was */
    usage *usages;   /* per storage */
    uint32_t turn;   /* instruction that writes the loss: the backward pass follows */
    candidate *candidates;
    uint32_t candidate_count;
    uint32_t *candidate_of; /* per storage, BT_NO_TENSOR */
} recompute;

/* What a set of decisions leads to. */
typedef struct outcome {
    bool is_wrong; /* other bits would be computed */
    uint64_t peak;
    double pressure; /* sum of squares of the bytes alive at every instruction: breaks ties */
    uint64_t work;   /* elements and multiply-adds computed again */
    uint64_t macs;
    uint32_t peak_instruction; /* of the original sequence: the first one with the peak */
} outcome;

/* ---- rewriting */

typedef struct repetition {
    uint32_t times;
    uint64_t macs;
} repetition;

typedef struct rewriter {
    const recompute *recompute;
    bt_ir *out;
    uint32_t *shared;        /* per tensor of the original: what was made again, or BT_NO_TENSOR */
    repetition *repetitions; /* per candidate */
    uint32_t *before;        /* per original instruction: instructions of the result up to it */
    uint32_t now;            /* original instruction that is being rewritten */
    bool is_stale;           /* something was made again from what has changed since */
    uint64_t work, macs;
} rewriter;

static uint32_t copy_tensor(rewriter *r, uint32_t tensor) {
    const bt_ir_tensor *original = &r->recompute->ir->tensors[tensor];
    return bt_ir_tensor_new(r->out, BT_RESIDENCE_TRANSIENT, original->dtype, &original->shape, "",
                            NULL);
}

/* The same view of a storage that was made again. */
static uint32_t copy_view(rewriter *r, uint32_t tensor, uint32_t storage_copy) {
    const bt_ir_tensor *original = &r->recompute->ir->tensors[tensor];
    uint32_t first = original->offset / bt_dtype_bytes(original->dtype);
    return original->storage == tensor ? storage_copy
                                       : bt_ir_slice(r->out, storage_copy, first, &original->shape);
}

static uint32_t make_again(rewriter *r, uint32_t chosen);

/* The tensor to read instead of one of the original. nested: the reader is itself made again. */
static uint32_t read_instead(rewriter *r, uint32_t tensor, bool nested) {
    if (tensor == BT_NO_TENSOR || r->out->status != BT_OK) {
        return tensor;
    }
    uint32_t storage = r->recompute->ir->tensors[tensor].storage;
    uint32_t chosen = r->recompute->candidate_of[storage];
    if (chosen == BT_NO_TENSOR || r->recompute->candidates[chosen].stash == STASH_KEEP) {
        return tensor;
    }
    if (nested && r->recompute->candidates[chosen].stash == STASH_RECOMPUTE_TWICE) {
        return copy_view(r, tensor, make_again(r, chosen));
    }
    if (r->shared[storage] == BT_NO_TENSOR) {
        r->shared[storage] = make_again(r, chosen);
    }
    if (r->shared[tensor] == BT_NO_TENSOR) {
        r->shared[tensor] = copy_view(r, tensor, r->shared[storage]);
    }
    return r->shared[tensor];
}

/* What one candidate's turn to be made again has made so far. */
typedef struct scope {
    uint32_t chosen;
    uint32_t *copies; /* per storage, BT_NO_TENSOR */
    bool *done;       /* per instruction of the forward pass */
} scope;

/* The forward pass makes it and the backward pass has no use for it. */
static bool is_forgotten(const recompute *c, uint32_t storage) {
    const usage *u = &c->usages[storage];
    return c->ir->tensors[storage].residence == BT_RESIDENCE_TRANSIENT &&
           u->first_write != BT_NO_TENSOR && u->last_write < c->turn &&
           (u->last_read == BT_NO_TENSOR || u->last_read < c->turn);
}

static uint32_t copy_storage(rewriter *r, scope *s, uint32_t storage) {
    if (s->copies[storage] == BT_NO_TENSOR) {
        s->copies[storage] = copy_tensor(r, storage);
    }
    return s->copies[storage];
}

static bool writes(const bt_ir *ir, const bt_instruction *instruction, uint32_t storage) {
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        if (tensor != BT_NO_TENSOR && ir->tensors[tensor].storage == storage &&
            (bt_instruction_access(instruction, k) & BT_ACCESS_WRITE) != 0) {
            return true;
        }
    }
    return false;
}

/* What instruction number index reads has been written since: an updated parameter. */
static bool has_changed(const rewriter *r, uint32_t storage, uint32_t index) {
    const usage *u = &r->recompute->usages[storage];
    return u->last_write != BT_NO_TENSOR && u->last_write > index && u->first_write < r->now;
}

static uint32_t remake(rewriter *r, scope *s, uint32_t storage);

static void repeat(rewriter *r, scope *s, uint32_t index) {
    const recompute *c = r->recompute;
    const bt_instruction *original = &c->ir->sequences[BT_SEQUENCE_TRAIN].instructions[index];
    bt_instruction again = *original;
    uint32_t elements = 0;
    bool deep = c->candidates[s->chosen].stash == STASH_RECOMPUTE_DEEP;
    for (uint32_t k = 0; k < again.operand_count && r->out->status == BT_OK; k++) {
        uint32_t tensor = again.operands[k];
        if (tensor == BT_NO_TENSOR) {
            continue;
        }
        uint32_t storage = c->ir->tensors[tensor].storage;
        if (bt_instruction_access(original, k) != BT_ACCESS_READ) {
            again.operands[k] = copy_view(r, tensor, copy_storage(r, s, storage));
            elements = elements > 0 ? elements : bt_shape_elements(&c->ir->tensors[tensor].shape);
        } else if (deep && is_forgotten(c, storage)) {
            again.operands[k] = copy_view(r, tensor, remake(r, s, storage));
        } else {
            r->is_stale = r->is_stale || has_changed(r, storage, index);
            again.operands[k] = read_instead(r, tensor, true);
        }
    }
    r->out->node = again.node;
    bt_ir_emit(r->out, BT_SEQUENCE_TRAIN, again.opcode, again.operand_count, again.operands,
               again.attribute_count, again.attributes);
    uint64_t macs = bt_instruction_macs(c->ir, original);
    r->work += elements;
    r->macs += macs;
    r->repetitions[s->chosen].macs += macs;
}

/* Emits again what writes a storage; returns its copy. */
static uint32_t remake(rewriter *r, scope *s, uint32_t storage) {
    const recompute *c = r->recompute;
    const bt_instruction *train = c->ir->sequences[BT_SEQUENCE_TRAIN].instructions;
    uint32_t copy = copy_storage(r, s, storage);
    for (uint32_t i = c->usages[storage].first_write; i <= c->usages[storage].last_write; i++) {
        if (!s->done[i] && writes(c->ir, &train[i], storage)) {
            s->done[i] = true;
            repeat(r, s, i);
        }
    }
    return copy;
}

static uint32_t make_again(rewriter *r, uint32_t chosen) {
    const recompute *c = r->recompute;
    scope s = {.chosen = chosen};
    uint32_t copy = BT_NO_TENSOR;
    s.copies = malloc(c->ir->tensor_count * sizeof *s.copies);
    s.done = calloc(c->turn + 1, sizeof *s.done);
    if (s.copies == NULL || s.done == NULL) {
        r->out->status =
            bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    } else {
        memset(s.copies, 0xFF, c->ir->tensor_count * sizeof *s.copies);
        copy = remake(r, &s, c->candidates[chosen].storage);
        r->repetitions[chosen].times++;
    }
    free(s.copies);
    free(s.done);
    return copy;
}

static void rewrite_sequence(rewriter *r) {
    const bt_sequence *train = &r->recompute->ir->sequences[BT_SEQUENCE_TRAIN];
    r->out->sequences[BT_SEQUENCE_TRAIN].count = 0;
    for (uint32_t i = 0; i < train->count; i++) {
        bt_instruction instruction = train->instructions[i];
        r->now = i;
        for (uint32_t k = 0; i > r->recompute->turn && k < instruction.operand_count; k++) {
            instruction.operands[k] = read_instead(r, instruction.operands[k], false);
        }
        r->out->node = instruction.node;
        bt_ir_emit(r->out, BT_SEQUENCE_TRAIN, instruction.opcode, instruction.operand_count,
                   instruction.operands, instruction.attribute_count, instruction.attributes);
        r->before[i] = r->out->sequences[BT_SEQUENCE_TRAIN].count;
    }
}

static void rewriter_free(rewriter *r) {
    free(r->shared);
    free(r->repetitions);
    free(r->before);
}

/* The program with the decisions as they are; on failure nothing is to be freed. */
static bt_status rewrite(const recompute *recompute, bt_ir *out, rewriter *r) {
    const bt_ir *ir = recompute->ir;
    uint32_t count = ir->sequences[BT_SEQUENCE_TRAIN].count;
    *r = (rewriter){.recompute = recompute, .out = out};
    BT_TRY(bt_ir_copy(ir, out));
    r->shared = malloc(ir->tensor_count * sizeof *r->shared);
    r->repetitions = calloc(recompute->candidate_count + 1, sizeof *r->repetitions);
    r->before = malloc((count + 1) * sizeof *r->before);
    if (r->shared == NULL || r->repetitions == NULL || r->before == NULL) {
        out->status =
            bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    } else {
        memset(r->shared, 0xFF, ir->tensor_count * sizeof *r->shared);
        rewrite_sequence(r);
        r->work += r->macs;
    }
    bt_status status = out->status;
    if (status != BT_OK) {
        rewriter_free(r);
        bt_ir_free(out);
    }
    return status;
}

/* ---- judging */

/* Bytes alive at every time of TRAIN; alive has room for end + 2 entries. */
static void find_alive(const bt_memory_plan *plan, uint32_t end, int64_t *alive) {
    memset(alive, 0, ((size_t)end + 2) * sizeof *alive);
    for (uint32_t b = 0; b < plan->block_count; b++) {
        bt_lifetime lifetime = plan->blocks[b].lifetimes[BT_SEQUENCE_TRAIN];
        if (plan->blocks[b].persistent) {
            alive[0] += plan->blocks[b].bytes;
        } else if (lifetime.first <= lifetime.last) {
            alive[lifetime.first] += plan->blocks[b].bytes;
            alive[lifetime.last + 1] -= plan->blocks[b].bytes;
        }
    }
    for (uint32_t t = 1; t <= end; t++) {
        alive[t] += alive[t - 1];
    }
}

/* Peak and pressure; what is made again counts towards the instruction that it is made for. */
static void weigh(const recompute *recompute, const rewriter *r, const int64_t *alive, uint32_t end,
                  outcome *out) {
    uint32_t time = 0;
    uint32_t count = recompute->ir->sequences[BT_SEQUENCE_TRAIN].count;
    out->peak = 0;
    out->pressure = 0.0;
    for (uint32_t i = 0; i <= count; i++) {
        uint32_t last = i < count ? r->before[i] : end;
        uint64_t most = 0;
        for (; time <= last; time++) {
            most = (uint64_t)alive[time] > most ? (uint64_t)alive[time] : most;
        }
        out->pressure += (double)most * (double)most;
        if (most > out->peak) {
            out->peak = most;
            out->peak_instruction = i;
        }
    }
}

static bt_status judge(const recompute *recompute, outcome *out) {
    bt_ir ir;
    rewriter r;
    bt_memory_plan plan = {0};
    BT_TRY(rewrite(recompute, &ir, &r));
    uint32_t end = ir.sequences[BT_SEQUENCE_TRAIN].count + 1;
    int64_t *alive = malloc(((size_t)end + 2) * sizeof *alive);
    bt_status status =
        alive != NULL
            ? bt_lifetimes_find(&ir, &plan)
            : bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    if (status == BT_OK) {
        *out = (outcome){.is_wrong = r.is_stale, .work = r.work, .macs = r.macs};
        find_alive(&plan, end, alive);
        weigh(recompute, &r, alive, end, out);
    }
    bt_memory_plan_free(&plan);
    free(alive);
    rewriter_free(&r);
    bt_ir_free(&ir);
    return status;
}

static bool better(const outcome *a, const outcome *b) {
    if (a->is_wrong) {
        return false;
    }
    if (a->peak != b->peak) {
        return a->peak < b->peak;
    }
    return a->pressure != b->pressure ? a->pressure < b->pressure : a->work < b->work;
}

/* ---- candidates */

static void find_usage(const bt_ir *ir, usage *usages) {
    const bt_sequence *train = &ir->sequences[BT_SEQUENCE_TRAIN];
    memset(usages, 0xFF, ir->tensor_count * sizeof *usages);
    for (uint32_t i = 0; i < train->count; i++) {
        const bt_instruction *instruction = &train->instructions[i];
        for (uint32_t k = 0; k < instruction->operand_count; k++) {
            if (instruction->operands[k] == BT_NO_TENSOR) {
                continue;
            }
            usage *u = &usages[ir->tensors[instruction->operands[k]].storage];
            uint32_t access = bt_instruction_access(instruction, k);
            if ((access & BT_ACCESS_READ) != 0) {
                u->last_read = i;
            }
            if ((access & BT_ACCESS_WRITE) != 0) {
                u->first_write = u->first_write == BT_NO_TENSOR ? i : u->first_write;
                u->last_write = i;
            }
        }
    }
}

/*
 * An instruction computes the same bits if it runs once more in the backward pass. What is written
 * there alone, a parameter, is read before its update or the rewriting says that it is stale.
 */
static bool is_repeatable(const recompute *c, uint32_t index) {
    const bt_instruction *instruction = &c->ir->sequences[BT_SEQUENCE_TRAIN].instructions[index];
    if (instruction->opcode == BT_OPCODE_COPY_BLOCKS) {
        return false; /* writes a part of its result only */
    }
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        uint32_t access = bt_instruction_access(instruction, k);
        if (tensor == BT_NO_TENSOR) {
            continue;
        }
        const usage *u = &c->usages[c->ir->tensors[tensor].storage];
        bool written_later = u->last_write != BT_NO_TENSOR && u->last_write > index;
        if (access == (BT_ACCESS_READ | BT_ACCESS_WRITE) ||
            (access == BT_ACCESS_READ && written_later && u->first_write <= c->turn)) {
            return false;
        }
    }
    return true;
}

/* All that it writes are whole storages. */
static bool writes_whole(const bt_ir *ir, const bt_instruction *instruction) {
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        if (tensor != BT_NO_TENSOR &&
            (bt_instruction_access(instruction, k) & BT_ACCESS_WRITE) != 0 &&
            bt_ir_bytes(&ir->tensors[tensor]) !=
                bt_ir_bytes(&ir->tensors[ir->tensors[tensor].storage])) {
            return false;
        }
    }
    return true;
}

/* All that makes a storage can be repeated, together with what makes its forgotten operands;
 * *gains is set if there are any. */
static bool can_remake(const recompute *c, uint32_t storage, uint32_t depth, bool *gains) {
    const bt_instruction *train = c->ir->sequences[BT_SEQUENCE_TRAIN].instructions;
    const usage *u = &c->usages[storage];
    for (uint32_t i = u->first_write; i <= u->last_write; i++) {
        if (!writes(c->ir, &train[i], storage)) {
            continue;
        }
        if (depth == 0 || !is_repeatable(c, i)) {
            return false;
        }
        for (uint32_t k = 0; k < train[i].operand_count; k++) {
            uint32_t operand = train[i].operands[k];
            if (operand == BT_NO_TENSOR || bt_instruction_access(&train[i], k) != BT_ACCESS_READ ||
                !is_forgotten(c, c->ir->tensors[operand].storage)) {
                continue;
            }
            *gains = true;
            if (!can_remake(c, c->ir->tensors[operand].storage, depth - 1, gains)) {
                return false;
            }
        }
    }
    return true;
}

/* A transient that the forward pass makes and the backward pass reads, and that is worth it. */
static bool is_stashed(const recompute *c, uint32_t storage, uint64_t peak) {
    const bt_ir_tensor *tensor = &c->ir->tensors[storage];
    const usage *u = &c->usages[storage];
    return tensor->storage == storage && tensor->residence == BT_RESIDENCE_TRANSIENT &&
           tensor->name == NULL && tensor->dtype != BT_DTYPE_F16 &&
           bt_ir_bytes(tensor) >= peak / BT_STASH_SHARE && u->first_write != BT_NO_TENSOR &&
           u->last_write < c->turn && u->last_read != BT_NO_TENSOR && u->last_read > c->turn;
}

static void find_candidates(recompute *c, uint64_t peak) {
    const bt_instruction *train = c->ir->sequences[BT_SEQUENCE_TRAIN].instructions;
    for (uint32_t i = 0; i < c->ir->tensor_count; i++) {
        if (!is_stashed(c, i, peak)) {
            continue;
        }
        uint32_t writer = c->usages[i].first_write;
        bool gains = false;
        candidate found = {.storage = i};
        found.alone = writer == c->usages[i].last_write && is_repeatable(c, writer) &&
                      writes_whole(c->ir, &train[writer]);
        found.deep = can_remake(c, i, BT_DEEPEST, &gains) && gains;
        if (found.alone || found.deep) {
            c->candidate_of[i] = c->candidate_count;
            c->candidates[c->candidate_count++] = found;
        }
    }
}

/* ---- search */

static bool allows(const candidate *candidate, stash stash) {
    return stash == STASH_KEEP ||
           (stash == STASH_RECOMPUTE_DEEP ? candidate->deep : candidate->alone);
}

/* The one change that is best, among what the instruction with the peak holds for later. */
static bt_status improve(recompute *c, uint64_t budget_macs, outcome *current, bool *improved) {
    uint32_t best = BT_NO_TENSOR;
    stash best_stash = STASH_KEEP;
    outcome best_outcome = *current;
    for (uint32_t i = 0; i < c->candidate_count; i++) {
        stash before = c->candidates[i].stash;
        if (c->usages[c->candidates[i].storage].last_read < current->peak_instruction) {
            continue;
        }
        for (stash s = STASH_RECOMPUTE; s <= STASH_RECOMPUTE_DEEP; s++) {
            outcome next;
            if (s == before || !allows(&c->candidates[i], s)) {
                continue;
            }
            c->candidates[i].stash = s;
            BT_TRY(judge(c, &next));
            if (next.macs <= budget_macs && better(&next, &best_outcome)) {
                best = i;
                best_stash = s;
                best_outcome = next;
            }
        }
        c->candidates[i].stash = before;
    }
    *improved = best != BT_NO_TENSOR;
    if (*improved) {
        c->candidates[best].stash = best_stash;
        *current = best_outcome;
    }
    return BT_OK;
}

/* Takes back decisions that buy nothing, until every one of them lowers the peak. */
static bt_status prune(recompute *c, outcome *current) {
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < c->candidate_count; i++) {
            stash before = c->candidates[i].stash;
            bool taken_back = false;
            for (stash s = STASH_KEEP; s < before && !taken_back; s++) {
                outcome next;
                if (!allows(&c->candidates[i], s)) {
                    continue;
                }
                c->candidates[i].stash = s;
                BT_TRY(judge(c, &next));
                taken_back =
                    !next.is_wrong && next.peak <= current->peak && next.work < current->work;
                *current = taken_back ? next : *current;
            }
            c->candidates[i].stash = taken_back ? c->candidates[i].stash : before;
            changed = changed || taken_back;
        }
    }
    return BT_OK;
}

/* What each decision bought, given all others. */
static bt_status record(recompute *c, const outcome *final, const repetition *repetitions,
                        bt_recomputations *out) {
    const bt_ir *ir = c->ir;
    out->entries = calloc(c->candidate_count + 1, sizeof *out->entries);
    if (out->entries == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    }
    for (uint32_t i = 0; i < c->candidate_count; i++) {
        candidate *chosen = &c->candidates[i];
        const bt_instruction *writer =
            &ir->sequences[BT_SEQUENCE_TRAIN].instructions[c->usages[chosen->storage].last_write];
        stash stash = chosen->stash;
        outcome without;
        if (stash == STASH_KEEP) {
            continue;
        }
        chosen->stash = STASH_KEEP;
        BT_TRY(judge(c, &without));
        chosen->stash = stash;
        out->entries[out->count++] =
            (bt_recomputation){.opcode = writer->opcode,
                               .node = writer->node,
                               .shape = ir->tensors[chosen->storage].shape,
                               .bytes = bt_ir_bytes(&ir->tensors[chosen->storage]),
                               .times = repetitions[i].times,
                               .macs = repetitions[i].macs,
                               .saved_bytes = without.peak - final->peak};
    }
    return BT_OK;
}

static bt_status search(recompute *c, uint64_t budget_macs, outcome *out) {
    bool improved = true;
    BT_TRY(judge(c, out));
    find_candidates(c, out->peak);
    while (improved) {
        BT_TRY(improve(c, budget_macs, out, &improved));
    }
    return prune(c, out);
}

static bt_status decide_and_rewrite(recompute *c, uint64_t budget_macs, bt_ir *result,
                                    bt_recomputations *out) {
    outcome final;
    rewriter r;
    BT_TRY(search(c, budget_macs, &final));
    BT_TRY(rewrite(c, result, &r));
    bt_status status = record(c, &final, r.repetitions, out);
    rewriter_free(&r);
    if (status != BT_OK) {
        bt_recomputations_free(out);
        bt_ir_free(result);
    }
    return status;
}

bt_status bt_recompute(bt_ir *ir, uint64_t budget_macs, bt_recomputations *out) {
    recompute c = {.ir = ir};
    bt_ir result;
    bt_status status = BT_OK;
    *out = (bt_recomputations){0};
    c.usages = malloc(ir->tensor_count * sizeof *c.usages);
    c.candidates = calloc(ir->tensor_count, sizeof *c.candidates);
    c.candidate_of = malloc(ir->tensor_count * sizeof *c.candidate_of);
    if (c.usages == NULL || c.candidates == NULL || c.candidate_of == NULL) {
        status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    } else {
        memset(c.candidate_of, 0xFF, ir->tensor_count * sizeof *c.candidate_of);
        find_usage(ir, c.usages);
        c.turn = c.usages[ir->tensors[ir->loss].storage].last_write;
        status = decide_and_rewrite(&c, budget_macs, &result, out);
    }
    free(c.usages);
    free(c.candidates);
    free(c.candidate_of);
    if (status == BT_OK) {
        bt_ir_free(ir);
        *ir = result;
    }
    return status;
}

void bt_recomputations_free(bt_recomputations *recomputations) {
    free(recomputations->entries);
    *recomputations = (bt_recomputations){0};
}
