#include "plan/report.h"

#include <stdlib.h>
#include <string.h>

/* ---- when values are touched */

static void touch(bt_lifetime *lifetime, uint32_t time) {
    lifetime->first = time < lifetime->first ? time : lifetime->first;
    lifetime->last = time > lifetime->last ? time : lifetime->last;
}

void bt_touches_find(const bt_ir *ir, bt_touches *touches) {
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
            touches[i][s] = (bt_lifetime){.first = UINT32_MAX, .last = 0};
        }
    }
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        for (uint32_t i = 0; i < ir->sequences[s].count; i++) {
            const bt_instruction *instruction = &ir->sequences[s].instructions[i];
            for (uint32_t k = 0; k < instruction->operand_count; k++) {
                if (instruction->operands[k] != BT_NO_TENSOR) {
                    touch(&touches[ir->tensors[instruction->operands[k]].value][s], i + 1);
                }
            }
        }
        if (s == BT_SEQUENCE_TRAIN || s == BT_SEQUENCE_EVALUATE) {
            touch(&touches[ir->tensors[ir->input].value][s], 0);
            touch(&touches[ir->tensors[ir->target].value][s], 0);
            touch(&touches[ir->tensors[ir->loss].value][s], ir->sequences[s].count + 1);
        }
    }
    touch(&touches[ir->tensors[ir->output].value][BT_SEQUENCE_EVALUATE],
          ir->sequences[BT_SEQUENCE_EVALUATE].count + 1);
}

/* ---- kinds */

static bool is_loss(uint32_t opcode) {
    return opcode == BT_OPCODE_CROSS_ENTROPY || opcode == BT_OPCODE_MSE ||
           opcode == BT_OPCODE_INNER_PRODUCT;
}

static bool is_update(uint32_t opcode) {
    return opcode == BT_OPCODE_SGD || opcode == BT_OPCODE_ADAM;
}

/* Number of the instruction of TRAIN that writes the loss. */
static uint32_t find_turn(const bt_ir *ir) {
    const bt_sequence *train = &ir->sequences[BT_SEQUENCE_TRAIN];
    uint32_t turn = 0;
    for (uint32_t i = 0; i < train->count; i++) {
        turn = is_loss(train->instructions[i].opcode) ? i : turn;
    }
    return turn;
}

/* The operand that holds block sums, or BT_MAX_OPERANDS. */
static uint32_t scratch_operand(uint32_t opcode) {
    switch (opcode) {
    case BT_OPCODE_NORM_FORWARD:
    case BT_OPCODE_NORM_GRAD_INPUT:
    case BT_OPCODE_NORM_GRAD_PARAMETERS:
        return 5;
    case BT_OPCODE_NORM_GRAD_SUMS:
        return 4;
    case BT_OPCODE_NORM_SQUARES:
        return 2;
    case BT_OPCODE_NORM_SUMS:
        return 1;
    default:
        return BT_MAX_OPERANDS;
    }
}

/* What kinds are found from, per value. */
typedef struct traits {
    bool error;   /* computed from the loss's gradient */
    bool scratch; /* block sums */
} traits;

static bool reads_error(const bt_ir *ir, const bt_instruction *instruction, const traits *of) {
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        if (tensor != BT_NO_TENSOR && of[ir->tensors[tensor].value].error &&
            (bt_instruction_access(instruction, k) & BT_ACCESS_READ) != 0) {
            return true;
        }
    }
    return false;
}

static uint32_t level_of(const bt_memory_plan *memory, uint32_t tensor) {
    return memory->blocks[memory->block_of[tensor]].level;
}

static void find_traits(const bt_report_source *source, uint32_t sequence, traits *of) {
    const bt_ir *ir = &source->training->ir;
    for (uint32_t i = 0; i < ir->sequences[sequence].count; i++) {
        const bt_instruction *instruction = &ir->sequences[sequence].instructions[i];
        /* A parameter made from its gradient is none. */
        bool error = !is_update(instruction->opcode) && reads_error(ir, instruction, of);
        for (uint32_t k = 0; k < instruction->operand_count; k++) {
            uint32_t tensor = instruction->operands[k];
            if (tensor == BT_NO_TENSOR) {
                continue;
            }
            traits *t = &of[ir->tensors[tensor].value];
            bool written = (bt_instruction_access(instruction, k) & BT_ACCESS_WRITE) != 0;
            t->error = t->error || (written && (error || (is_loss(instruction->opcode) && k == 3)));
            t->scratch = t->scratch || k == scratch_operand(instruction->opcode);
        }
    }
}

static bool begins_with(const char *text, const char *prefix) {
    return text != NULL && strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What is kept beside the parameters is known by the names that it is given. */
static void mark_kept(const bt_ir *ir, uint32_t *kinds) {
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        const bt_ir_tensor *tensor = &ir->tensors[i];
        bool kept = tensor->residence == BT_RESIDENCE_PERSISTENT;
        if (kept && begins_with(tensor->name, "gradient.")) {
            kinds[tensor->value] = BT_TENSOR_GRADIENT;
        } else if (kept &&
                   (begins_with(tensor->name, "momentum.") || begins_with(tensor->name, "adam_"))) {
            kinds[tensor->value] = BT_TENSOR_OPTIMIZER;
        }
    }
}

static void mark_parameters(const bt_report_source *source, uint32_t *kinds) {
    const bt_ir *ir = &source->training->ir;
    for (uint32_t i = 0; i < source->model->value_count; i++) {
        uint32_t tensor = source->training->parameter_tensors[i];
        if (tensor != BT_NO_TENSOR && source->model->values[i].is_parameter) {
            kinds[ir->tensors[tensor].value] = BT_TENSOR_WEIGHT;
        }
    }
}

/* kinds holds an entry per tensor of the IR; those of values are set. */
static void find_kinds(const bt_report_source *source, const bt_touches *touches, uint32_t turn,
                       traits *of, uint32_t *kinds) {
    const bt_ir *ir = &source->training->ir;
    find_traits(source, BT_SEQUENCE_TRAIN, of);
    find_traits(source, BT_SEQUENCE_EVALUATE, of);
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        const bt_lifetime *train = &touches[i][BT_SEQUENCE_TRAIN];
        bool kept = train->first <= turn + 1 && train->last > turn + 1;
        kinds[i] = ir->tensors[i].is_tile       ? BT_TENSOR_TILE
                   : ir->tensors[i].is_gradient ? BT_TENSOR_GRADIENT
                   : of[i].scratch              ? BT_TENSOR_SCRATCH
                   : of[i].error                ? BT_TENSOR_ERROR
                   : kept                       ? BT_TENSOR_STASH
                                                : BT_TENSOR_ACTIVATION;
    }
    kinds[ir->tensors[ir->input].value] = BT_TENSOR_INPUT;
    kinds[ir->tensors[ir->target].value] = BT_TENSOR_INPUT;
    kinds[ir->tensors[ir->loss].value] = BT_TENSOR_SCRATCH;
    mark_kept(ir, kinds);
    mark_parameters(source, kinds);
}

/* ---- entries */

static const char *keep_text(bt_plan *plan, const char *text) {
    char **larger = realloc(plan->texts, (plan->text_count + 1) * sizeof *larger);
    char *copy = malloc(strlen(text) + 1);
    if (larger != NULL) {
        plan->texts = larger;
    }
    if (larger == NULL || copy == NULL) {
        free(copy);
        return NULL;
    }
    plan->texts[plan->text_count++] = copy;
    return strcpy(copy, text);
}

/* The first texts are the names of the model's nodes, then "". */
static bt_status keep_node_names(bt_plan *plan, const bt_model *model) {
    for (uint32_t i = 0; i <= model->node_count; i++) {
        if (keep_text(plan, i < model->node_count ? model->nodes[i].name : "") == NULL) {
            BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to report a plan.");
        }
    }
    return BT_OK;
}

static const char *node_name(const bt_plan *plan, const bt_model *model, uint32_t node) {
    return plan->texts[node < model->node_count ? node : model->node_count];
}

/* Node of the instruction that writes a value first, BT_NO_NODE if it belongs to none. */
static void find_writers(const bt_ir *ir, uint32_t *writers) {
    memset(writers, 0xFF, ir->tensor_count * sizeof *writers);
    for (uint32_t s = BT_SEQUENCE_COUNT; s-- > 0;) {
        for (uint32_t i = ir->sequences[s].count; i-- > 0;) {
            const bt_instruction *instruction = &ir->sequences[s].instructions[i];
            for (uint32_t k = 0; k < instruction->operand_count; k++) {
                uint32_t tensor = instruction->operands[k];
                if (tensor != BT_NO_TENSOR && instruction->node != BT_NO_NODE &&
                    (bt_instruction_access(instruction, k) & BT_ACCESS_WRITE) != 0) {
                    writers[ir->tensors[tensor].value] = instruction->node;
                }
            }
        }
    }
}

static void describe_tensor(const bt_ir_tensor *tensor, const bt_block *block,
                            const bt_touches *touches, bt_plan_tensor *out) {
    out->struct_size = sizeof *out;
    out->level = block->level + 1;
    out->persistent = block->persistent;
    out->bytes = bt_ir_bytes(tensor);
    out->rank = tensor->shape.rank;
    for (uint32_t d = 0; d < out->rank; d++) {
        out->dims[d] = (int32_t)tensor->shape.dims[d];
    }
    out->offset = block->offset;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        bool used = (*touches)[s].first <= (*touches)[s].last;
        out->first[s] = used ? (*touches)[s].first : 1;
        out->last[s] = used ? (*touches)[s].last : 0;
    }
}

static bool is_touched(const bt_touches *touches) {
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        if ((*touches)[s].first <= (*touches)[s].last) {
            return true;
        }
    }
    return false;
}

static bt_status report_tensors(const bt_report_source *source, const bt_touches *touches,
                                const uint32_t *kinds, const uint32_t *writers, bt_plan *plan) {
    const bt_ir *ir = &source->training->ir;
    plan->tensors = calloc(ir->tensor_count + 1, sizeof *plan->tensors);
    if (plan->tensors == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to report a plan.");
    }
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        const bt_ir_tensor *tensor = &ir->tensors[i];
        uint32_t block = source->memory->block_of[i];
        if (tensor->value != i || block == BT_NO_TENSOR ||
            !(is_touched(&touches[i]) || source->memory->blocks[block].persistent)) {
            continue;
        }
        bt_plan_tensor *out = &plan->tensors[plan->info.tensors++];
        describe_tensor(tensor, &source->memory->blocks[block], &touches[i], out);
        out->kind = kinds[i];
        out->block = block;
        out->layer = node_name(plan, source->model, writers[i]);
        out->name = keep_text(plan, tensor->name == NULL ? "" : tensor->name);
        if (out->name == NULL) {
            BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to report a plan.");
        }
    }
    return BT_OK;
}

/* Elements that an instruction without multiply-adds goes over: those of its largest operand. */
static uint64_t work_of(const bt_ir *ir, const bt_instruction *instruction) {
    uint64_t work = bt_instruction_macs(ir, instruction);
    for (uint32_t k = 0; work == 0 && k < instruction->operand_count; k++) {
        if (instruction->operands[k] != BT_NO_TENSOR) {
            uint64_t elements = bt_shape_elements(&ir->tensors[instruction->operands[k]].shape);
            work = elements > work ? elements : work;
        }
    }
    return work;
}

/* Both sides of a transfer move what the side in L1 holds. */
static void describe_transfer(const bt_report_source *source, const bt_instruction *instruction,
                              bt_plan_instruction *out) {
    const uint32_t *operands = instruction->operands;
    uint32_t near = level_of(source->memory, operands[0]) == BT_LEVEL_L1 ? 0 : 1;
    uint32_t far_level = level_of(source->memory, operands[1 - near]);
    uint32_t bytes = bt_ir_bytes(&source->training->ir.tensors[operands[near]]);
    float rate = far_level == BT_LEVEL_L3 ? source->target->l3_bytes_per_cycle
                                          : source->target->l2_bytes_per_cycle;
    out->traffic_bytes[BT_LEVEL_L1] = bytes;
    out->traffic_bytes[far_level] = bytes;
    out->cycles = (uint64_t)((float)bytes / rate);
}

/* The cores share the work and the words of L2, which they touch one by one. */
static void describe_computation(const bt_report_source *source, const bt_instruction *instruction,
                                 bt_plan_instruction *out) {
    const bt_ir *ir = &source->training->ir;
    const bt_target *target = source->target;
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        if (tensor != BT_NO_TENSOR) {
            uint32_t access = bt_instruction_access(instruction, k);
            uint32_t times = access == (BT_ACCESS_READ | BT_ACCESS_WRITE) ? 2 : 1;
            out->traffic_bytes[level_of(source->memory, tensor)] +=
                (uint64_t)times * bt_ir_bytes(&ir->tensors[tensor]);
        }
    }
    double cycles = target->dispatch_cycles;
    cycles += (double)work_of(ir, instruction) / (double)target->macs_per_cycle;
    cycles += (double)out->traffic_bytes[BT_LEVEL_L2] / 4.0 * target->l2_load_cycles /
              (double)target->cores;
    out->cycles = (uint64_t)cycles;
}

static void describe_instruction(const bt_report_source *source, const bt_instruction *instruction,
                                 bt_plan_instruction *out) {
    out->struct_size = sizeof *out;
    out->operands = instruction->operand_count;
    out->name = bt_opcode_name(instruction->opcode);
    out->macs = bt_instruction_macs(&source->training->ir, instruction);
    if (instruction->opcode == BT_OPCODE_TRANSFER) {
        describe_transfer(source, instruction, out);
    } else {
        describe_computation(source, instruction, out);
    }
}

static bt_status report_instructions(const bt_report_source *source, bt_plan *plan) {
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        const bt_sequence *sequence = &source->training->ir.sequences[s];
        plan->instructions[s] = calloc(sequence->count + 1, sizeof *plan->instructions[s]);
        if (plan->instructions[s] == NULL) {
            BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to report a plan.");
        }
        plan->info.instructions[s] = sequence->count;
        for (uint32_t i = 0; i < sequence->count; i++) {
            bt_plan_instruction *out = &plan->instructions[s][i];
            describe_instruction(source, &sequence->instructions[i], out);
            out->layer = node_name(plan, source->model, sequence->instructions[i].node);
        }
    }
    return BT_OK;
}

uint64_t bt_sequence_macs(const bt_ir *ir, uint32_t sequence) {
    uint64_t macs = 0;
    for (uint32_t i = 0; i < ir->sequences[sequence].count; i++) {
        macs += bt_instruction_macs(ir, &ir->sequences[sequence].instructions[i]);
    }
    return macs;
}

static void report_totals(const bt_report_source *source, uint32_t turn, bt_plan_info *info) {
    const bt_training *training = source->training;
    const uint32_t capacities[BT_LEVEL_COUNT] = {source->target->l1_bytes, source->target->l2_bytes,
                                                 source->target->l3_bytes};
    info->struct_size = sizeof *info;
    info->backward = turn + 1;
    info->micro_batch = source->micro_batch;
    info->persistent_bytes = source->memory->persistent_bytes;
    info->parameters = training->parameters;
    info->forward_macs =
        bt_sequence_macs(&training->ir, BT_SEQUENCE_EVALUATE) / source->micro_batch;
    info->training_macs = source->training_macs;
    info->planned_macs = bt_sequence_macs(&training->ir, BT_SEQUENCE_TRAIN) / source->micro_batch;
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        info->peak_bytes[level] = source->memory->peak_bytes[level];
        info->lower_bound_bytes[level] = source->memory->lower_bound_bytes[level];
        info->capacity_bytes[level] = capacities[level];
    }
}

static bt_status make(const bt_report_source *source, bt_plan *plan) {
    const bt_ir *ir = &source->training->ir;
    bt_touches *touches = malloc((ir->tensor_count + 1) * sizeof *touches);
    traits *of = calloc(ir->tensor_count + 1, sizeof *of);
    uint32_t *kinds = malloc((ir->tensor_count + 1) * sizeof *kinds);
    uint32_t *writers = malloc((ir->tensor_count + 1) * sizeof *writers);
    bt_status status = BT_OK;
    if (touches == NULL || of == NULL || kinds == NULL || writers == NULL) {
        status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to report a plan.");
        goto done;
    }
    uint32_t turn = find_turn(ir);
    bt_touches_find(ir, touches);
    find_kinds(source, (const bt_touches *)touches, turn, of, kinds);
    find_writers(ir, writers);
    report_totals(source, turn, &plan->info);
    status = keep_node_names(plan, source->model);
    if (status == BT_OK) {
        status = report_tensors(source, (const bt_touches *)touches, kinds, writers, plan);
    }
    if (status == BT_OK) {
        status = report_instructions(source, plan);
    }
done:
    free(touches);
    free(of);
    free(kinds);
    free(writers);
    return status;
}

bt_status bt_report_make(const bt_report_source *source, bt_decisions *decisions, bt_plan **out) {
    bt_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to report a plan.");
    }
    bt_status status = make(source, plan);
    if (status != BT_OK) {
        bt_plan_free(plan);
        return status;
    }
    plan->info.decisions = decisions->count;
    plan->decisions = *decisions;
    *decisions = (bt_decisions){0};
    *out = plan;
    return BT_OK;
}

void bt_plan_free(bt_plan *plan) {
    if (plan == NULL) {
        return;
    }
    for (uint32_t i = 0; i < plan->text_count; i++) {
        free(plan->texts[i]);
    }
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        free(plan->instructions[s]);
    }
    free(plan->texts);
    free(plan->tensors);
    bt_decisions_free(&plan->decisions);
    free(plan);
}

/* ---- what is told */

bt_status bt_plan_info_get(const bt_plan *plan, bt_plan_info *out) {
    BT_REQUIRE(plan);
    BT_REQUIRE_SIZE(out);
    *out = plan->info;
    return BT_OK;
}

static bt_status check_index(const char *what, uint32_t index, uint32_t count) {
    if (index >= count) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The plan has %u %s, but number %u is asked for.", count, what,
                index);
    }
    return BT_OK;
}

bt_status bt_plan_tensor_get(const bt_plan *plan, uint32_t index, bt_plan_tensor *out) {
    BT_REQUIRE(plan);
    BT_REQUIRE_SIZE(out);
    BT_TRY(check_index("tensors", index, plan->info.tensors));
    *out = plan->tensors[index];
    return BT_OK;
}

bt_status bt_plan_instruction_get(const bt_plan *plan, uint32_t sequence, uint32_t index,
                                  bt_plan_instruction *out) {
    BT_REQUIRE(plan);
    BT_REQUIRE_SIZE(out);
    BT_TRY(check_index("sequences", sequence, BT_SEQUENCE_COUNT));
    BT_TRY(check_index("instructions in this sequence", index, plan->info.instructions[sequence]));
    *out = plan->instructions[sequence][index];
    return BT_OK;
}

bt_status bt_plan_decision_get(const bt_plan *plan, uint32_t index, bt_plan_decision *out) {
    BT_REQUIRE(plan);
    BT_REQUIRE_SIZE(out);
    BT_TRY(check_index("decisions", index, plan->info.decisions));
    const bt_decision *decision = &plan->decisions.entries[index];
    *out = (bt_plan_decision){.struct_size = sizeof *out,
                              .pass = decision->pass,
                              .text = decision->text,
                              .saved_bytes = decision->saved_bytes,
                              .macs = decision->macs};
    return BT_OK;
}

const char *bt_plan_advice(const bt_plan *plan) { return plan == NULL ? "" : plan->advice; }
