/*
 * The memory plan, checked by replaying every instruction over an arena whose words remember which
 * tensor wrote them last. The replay knows operands and their access from its own table, and
 * nothing of the planner.
 */
#include "random_graph.h"
#include "support.h"

#include "plan/memory_plan.h"
#include "plan/recompute.h"
#include "train/autodiff.h"

/* r read, w written, u updated; from the instruction set's description. */
static const char *const operand_access[BT_OPCODE_COUNT] = {
    [BT_OPCODE_CONV_FORWARD] = "rrrw",
    [BT_OPCODE_CONV_GRAD_INPUT] = "rrw",
    [BT_OPCODE_CONV_GRAD_WEIGHT] = "rru",
    [BT_OPCODE_CHANNEL_SUM] = "ru",
    [BT_OPCODE_MATMUL] = "rrrw",
    [BT_OPCODE_NORM_FORWARD] = "rrrwww",
    [BT_OPCODE_NORM_GRAD_INPUT] = "rrrrww",
    [BT_OPCODE_NORM_GRAD_PARAMETERS] = "rrruu",
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
};

typedef struct arena {
    const bt_ir *ir;
    const bt_memory_plan *plan;
    uint32_t *owner; /* per word of L1, then of L2: storage that wrote it last, or
                        BT_NO_TENSOR */
    uint32_t words;
    const char *wrong; /* first violation */
} arena;

typedef struct words {
    uint32_t begin, end;
} words;

static words words_of(const arena *a, uint32_t tensor) {
    const bt_block *block = &a->plan->blocks[a->plan->block_of[tensor]];
    uint64_t base = block->level == BT_LEVEL_L1 ? 0 : a->plan->peak_bytes[BT_LEVEL_L1];
    uint32_t begin = (uint32_t)((base + block->offset + a->ir->tensors[tensor].offset) / 4);
    return (words){begin, begin + bt_ir_bytes(&a->ir->tensors[tensor]) / 4};
}

static void claim(arena *a, uint32_t tensor, words range) {
    for (uint32_t i = range.begin; i < range.end; i++) {
        if (i >= a->words) {
            a->wrong = "a tensor lies outside the arena";
            return;
        }
        a->owner[i] = a->ir->tensors[tensor].storage;
    }
}

static void expect_owned(arena *a, uint32_t tensor, const char *wrong) {
    words range = words_of(a, tensor);
    for (uint32_t i = range.begin; i < range.end; i++) {
        if (i >= a->words || a->owner[i] != a->ir->tensors[tensor].storage) {
            a->wrong = wrong;
            return;
        }
    }
}

/* Words that COPY_BLOCKS writes; other instructions write whole tensors. */
static void write_operand(arena *a, const bt_instruction *instruction, uint32_t tensor) {
    words range = words_of(a, tensor);
    if (instruction->opcode != BT_OPCODE_COPY_BLOCKS) {
        claim(a, tensor, range);
        return;
    }
    const int32_t *t = instruction->attributes;
    for (int32_t block = 0; block < t[0]; block++) {
        uint32_t begin = range.begin + (uint32_t)(t[5] + block * t[4]);
        claim(a, tensor, (words){begin, begin + (uint32_t)t[1]});
    }
}

/* The only overlaps that the kernels allow: the same bytes, element by element. */
static int may_share(const bt_instruction *instruction, uint32_t written, uint32_t read) {
    switch (instruction->opcode) {
    case BT_OPCODE_ACTIVATION_FORWARD:
    case BT_OPCODE_DROPOUT:
    case BT_OPCODE_SOFTMAX_FORWARD:
        return written == 1 && read == 0;
    case BT_OPCODE_ACTIVATION_GRAD:
    case BT_OPCODE_BINARY:
        return written == 2;
    case BT_OPCODE_SOFTMAX_GRAD:
        return written == 2 && read == 1;
    case BT_OPCODE_NORM_FORWARD:
    case BT_OPCODE_CROSS_ENTROPY:
    case BT_OPCODE_MSE:
    case BT_OPCODE_INNER_PRODUCT:
        return written == 3 && read == 0;
    case BT_OPCODE_NORM_GRAD_INPUT:
    case BT_OPCODE_BATCH_NORM_GRAD_INPUT:
        return written == 4 && read == 1;
    case BT_OPCODE_NORM_APPLY:
        return written == 4 && read == 0;
    case BT_OPCODE_NORM_GRAD_APPLY:
        return written == 5 && read == 1;
    case BT_OPCODE_FROZEN_NORM_FORWARD:
        return written == 5 && read == 0;
    case BT_OPCODE_FROZEN_NORM_GRAD_INPUT:
        return written == 3 && read == 0;
    default:
        return 0;
    }
}

static void check_overlaps(arena *a, const bt_instruction *instruction) {
    const char *access = operand_access[instruction->opcode];
    for (uint32_t w = 0; w < instruction->operand_count; w++) {
        for (uint32_t k = 0; k < instruction->operand_count; k++) {
            if (k == w || access[w] == 'r' || instruction->operands[w] == BT_NO_TENSOR ||
                instruction->operands[k] == BT_NO_TENSOR) {
                continue;
            }
            words x = words_of(a, instruction->operands[w]);
            words y = words_of(a, instruction->operands[k]);
            int overlap = x.begin < y.end && y.begin < x.end;
            int same = x.begin == y.begin && x.end == y.end;
            if (overlap && !(same && may_share(instruction, w, k))) {
                a->wrong = "operands overlap";
            }
        }
    }
}

static void replay(arena *a, uint32_t sequence) {
    const bt_ir *ir = a->ir;
    for (uint32_t i = 0; i < a->words; i++) {
        a->owner[i] = BT_NO_TENSOR;
    }
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        if (ir->tensors[i].residence == BT_RESIDENCE_PERSISTENT && ir->tensors[i].storage == i) {
            claim(a, i, words_of(a, i));
        }
    }
    if (sequence == BT_SEQUENCE_TRAIN || sequence == BT_SEQUENCE_EVALUATE) {
        claim(a, ir->input, words_of(a, ir->input));
        claim(a, ir->target, words_of(a, ir->target));
    }
    for (uint32_t i = 0; i < ir->sequences[sequence].count && a->wrong == NULL; i++) {
        const bt_instruction *instruction = &ir->sequences[sequence].instructions[i];
        const char *access = operand_access[instruction->opcode];
        for (uint32_t k = 0; k < instruction->operand_count; k++) {
            uint32_t tensor = instruction->operands[k];
            int adds = instruction->opcode == BT_OPCODE_MATMUL && k == 3 &&
                       instruction->attributes[10] == 1;
            if (tensor != BT_NO_TENSOR && (access[k] != 'w' || adds)) {
                expect_owned(a, tensor, "an operand was not written or has been overwritten");
            }
        }
        check_overlaps(a, instruction);
        for (uint32_t k = 0; k < instruction->operand_count && a->wrong == NULL; k++) {
            if (instruction->operands[k] != BT_NO_TENSOR && access[k] != 'r') {
                write_operand(a, instruction, instruction->operands[k]);
            }
        }
    }
    for (uint32_t i = 0; i < ir->tensor_count && a->wrong == NULL; i++) {
        if (ir->tensors[i].residence == BT_RESIDENCE_PERSISTENT && ir->tensors[i].storage == i) {
            expect_owned(a, i, "a persistent tensor was overwritten");
        }
    }
    if (a->wrong == NULL && sequence == BT_SEQUENCE_TRAIN) {
        expect_owned(a, ir->loss, "the loss is lost");
    }
    if (a->wrong == NULL && sequence == BT_SEQUENCE_EVALUATE) {
        expect_owned(a, ir->loss, "the loss is lost");
        expect_owned(a, ir->output, "the output is lost");
    }
}

static void check_sums(const bt_memory_plan *plan, uint32_t seed) {
    for (uint32_t level = BT_LEVEL_L1; level <= BT_LEVEL_L2; level++) {
        uint64_t bound = plan->lower_bound_bytes[level], peak = plan->peak_bytes[level];
        uint64_t highest = 0;
        CHECK(bound <= peak, "seed %u: %llu > %llu", seed, (unsigned long long)bound,
              (unsigned long long)peak);
        for (uint32_t b = 0; b < plan->block_count; b++) {
            const bt_block *block = &plan->blocks[b];
            uint64_t end = block->level == level ? block->offset + block->bytes : 0;
            highest = end > highest ? end : highest;
            CHECK(block->offset % 4 == 0, "seed %u: block %u", seed, b);
        }
        CHECK(highest == peak, "seed %u, level %u", seed, level);
    }
}

static uint32_t words_in_use(const bt_memory_plan *plan) {
    return (uint32_t)((plan->peak_bytes[BT_LEVEL_L1] + plan->peak_bytes[BT_LEVEL_L2]) / 4);
}

/* The plan after recomputation; *excess grows by how far L2 is above its lower
 * bound. */
static void check_plan(const bt_model *model, const bt_training_options *options, uint32_t seed,
                       uint64_t l1_bytes, double *excess) {
    bt_training training;
    bt_recomputations recomputations;
    bt_memory_plan plan;
    require(bt_training_build(model, options, &training), "bt_training_build");
    require(bt_recompute(&training.ir, UINT64_MAX, &recomputations), "bt_recompute");
    require(bt_memory_plan_make(&training.ir, l1_bytes, &plan), "bt_memory_plan_make");
    CHECK(plan.peak_bytes[BT_LEVEL_L1] <= l1_bytes, "seed %u: %llu bytes of L1", seed,
          (unsigned long long)plan.peak_bytes[BT_LEVEL_L1]);
    arena a = {.ir = &training.ir, .plan = &plan, .words = words_in_use(&plan)};
    a.owner = malloc((a.words + 1) * sizeof *a.owner);
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        replay(&a, s);
        CHECK(a.wrong == NULL, "seed %u, sequence %u: %s", seed, s, a.wrong);
        a.wrong = NULL;
    }
    check_sums(&plan, seed);
    *excess +=
        (double)plan.peak_bytes[BT_LEVEL_L2] / (double)plan.lower_bound_bytes[BT_LEVEL_L2] - 1.0;
    free(a.owner);
    bt_recomputations_free(&recomputations);
    bt_memory_plan_free(&plan);
    bt_training_free(&training);
}

static bt_training_options random_options(uint32_t seed) {
    bt_training_options options = options_default();
    uint32_t state = seed + 99;
    options.loss = 1 + next_below(&state, 3);
    options.optimizer = 1 + next_below(&state, 3);
    options.scheme = next_below(&state, 2) ? BT_UPDATE_FULL : BT_UPDATE_LAST_LAYER;
    options.micro_batch = 1 + next_below(&state, 3);
    options.input_gradient = next_below(&state, 2);
    if (options.micro_batch > 1) {
        options.batch_norm = 1 + next_below(&state, 2);
    }
    return options;
}

static void random_graphs_have_sound_plans(void) {
    enum { GRAPHS = 3000 };
    double excess = 0.0;
    uint32_t planned = 0, instructions = 0;
    for (uint32_t seed = 0; seed < GRAPHS; seed++) {
        bt_model *model = random_model(seed, 2 + seed % 40, 0);
        bt_training_options options = random_options(seed);
        bt_target host = target_named("host");
        bt_program *program;
        if (bt_program_compile(model, &options, &host, &program) == BT_OK) {
            instructions += program_info(program).instructions;
            bt_program_free(program);
            /* Nothing, little or much of it fits L1. */
            static const uint64_t l1_bytes[] = {0, 4096, 65536};
            check_plan(model, &options, seed, l1_bytes[seed % 3], &excess);
            planned++;
        } else {
            /* Joining samples is the only mistake that the generator makes. */
            const char *outer = bt_error_message(bt_error_depth() - 1);
            CHECK(options.micro_batch > 1 && strstr(outer, "micro_batch") != NULL, "seed %u: %s",
                  seed, outer);
        }
        bt_model_free(model);
    }
    printf("    %u of %d graphs planned, %u instructions, %.2f %% above the "
           "lower bound\n",
           planned, GRAPHS, instructions, 100.0 * excess / planned);
    CHECK(planned > GRAPHS * 3 / 4, "only %u graphs were planned", planned);
    CHECK(excess / planned < 0.02, "%.4f above the lower bound", excess / planned);
}

static void published_networks_have_sound_plans(void) {
    bt_model *models[] = {mi_bminet(32, 128, 1), mi_bminet(8, 64, 0), epidenet()};
    for (uint32_t i = 0; i < 3; i++) {
        double excess = 0.0;
        for (uint32_t scheme = BT_UPDATE_FULL; scheme <= BT_UPDATE_NORM_ONLY; scheme++) {
            bt_training_options options = options_default();
            options.scheme = scheme;
            check_plan(models[i], &options, i, i % 2 == 0 ? 114688 : 0, &excess);
        }
        CHECK(excess / 4 < 0.005, "network %u: %.4f above the lower bound", i, excess / 4);
        bt_model_free(models[i]);
    }
}

static void plans_are_deterministic(void) {
    bt_model *model = random_model(5, 30, 0);
    bt_training_options options = options_default();
    bt_program *programs[2];
    const uint8_t *bytes[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        programs[i] = compile(model, &options, "host");
        require(bt_program_bytes(programs[i], &bytes[i], &sizes[i]), "bt_program_bytes");
    }
    CHECK(sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], sizes[0]) == 0, "programs differ");
    bt_program_free(programs[0]);
    bt_program_free(programs[1]);
    bt_model_free(model);
}

/* The checker itself must see a plan that is wrong. */
static void the_replay_sees_overlaps(void) {
    bt_model *model = mi_bminet(8, 64, 0);
    bt_training_options options = options_default();
    bt_training training;
    bt_memory_plan plan;
    require(bt_training_build(model, &options, &training), "bt_training_build");
    require(bt_memory_plan_make(&training.ir, 20000, &plan), "bt_memory_plan_make");
    arena a = {.ir = &training.ir, .plan = &plan, .words = words_in_use(&plan)};
    a.owner = malloc((a.words + 1) * sizeof *a.owner);
    uint32_t missed = 0;
    for (uint32_t b = 0; b < plan.block_count; b++) {
        uint64_t offset = plan.blocks[b].offset;
        plan.blocks[b].offset = offset >= 4 ? offset - 4 : plan.peak_bytes[BT_LEVEL_L2] - 4;
        for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
            replay(&a, s);
        }
        missed += a.wrong == NULL;
        a.wrong = NULL;
        plan.blocks[b].offset = offset;
    }
    /* Moving a block by a word hits a neighbour, except where there happens to be a gap. */
    CHECK(missed * 2 < plan.block_count, "%u of %u moves were not seen", missed, plan.block_count);
    free(a.owner);
    bt_memory_plan_free(&plan);
    bt_training_free(&training);
    bt_model_free(model);
}

int main(void) {
    RUN(published_networks_have_sound_plans);
    RUN(random_graphs_have_sound_plans);
    RUN(plans_are_deterministic);
    RUN(the_replay_sees_overlaps);
    return REPORT();
}
