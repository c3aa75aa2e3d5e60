/* Memory plans are sound, in every network and in random graphs; and a plan that is not is seen. */
#include "plan_validator.h"
#include "random_graph.h"
#include "support.h"
#include "zoo.h"

#include "plan/compile.h"
#include "plan/recompute.h"
#include "train/autodiff.h"
#include "train/chain.h"

/* A training and its plan, as one variant of the compiler makes them. */
typedef struct planned {
    bt_training training;
    bt_memory_plan plan;
} planned;

static planned plan_training(const bt_model *model, const bt_training_options *options,
                             uint32_t parts, uint64_t l1_bytes) {
    planned p;
    bt_recomputations recomputations;
    const bt_partition partition = {.parts = parts};
    require(bt_training_build_in_parts(model, options, &partition, &p.training), "build");
    require(bt_recompute(&p.training.ir, UINT64_MAX, &recomputations), "bt_recompute");
    bt_recomputations_free(&recomputations);
    bt_capacity capacity = {{l1_bytes, 1u << 27, 0}};
    require(bt_memory_plan_make(&p.training.ir, &capacity, &p.plan), "bt_memory_plan_make");
    return p;
}

static void planned_free(planned *p) {
    bt_memory_plan_free(&p->plan);
    bt_training_free(&p->training);
}

/* *excess grows by how far L2 is above its lower bound. */
static void check_plan(const bt_model *model, const bt_training_options *options, uint32_t parts,
                       uint64_t l1_bytes, const char *what, double *excess) {
    char wrong[160];
    planned p = plan_training(model, options, parts, l1_bytes);
    validate_plan(&p.training.ir, &p.plan, wrong);
    CHECK(wrong[0] == '\0', "%s: %s", what, wrong);
    CHECK(p.plan.peak_bytes[BT_LEVEL_L1] <= l1_bytes, "%s: %llu bytes of L1", what,
          (unsigned long long)p.plan.peak_bytes[BT_LEVEL_L1]);
    double bound = (double)p.plan.lower_bound_bytes[BT_LEVEL_L2];
    *excess += bound > 0.0 ? (double)p.plan.peak_bytes[BT_LEVEL_L2] / bound - 1.0 : 0.0;
    planned_free(&p);
}

static bt_training_options random_options(uint32_t seed) {
    bt_training_options options = options_default();
    uint32_t state = seed + 99;
    options.loss = 1 + next_below(&state, 3);
    options.optimizer = 1 + next_below(&state, 3);
    options.scheme = next_below(&state, 2) ? BT_UPDATE_FULL : BT_UPDATE_LAST_LAYER;
    options.micro_batch = 1 + next_below(&state, 3);
    options.input_gradient = next_below(&state, 2);
    options.fused_update = seed / 3 % 2;
    if (options.micro_batch > 1) {
        options.batch_norm = 1 + next_below(&state, 2);
    }
    return options;
}

static void random_graphs_have_sound_plans(void) {
    enum { GRAPHS = ROUNDS_OF(3000) };
    /* Nothing, little or much of it fits L1. */
    static const uint64_t l1_bytes[] = {0, 4096, 65536};
    double excess = 0.0;
    uint32_t planned_graphs = 0;
    for (uint32_t seed = 0; seed < GRAPHS; seed++) {
        char what[32];
        bt_model *model = random_model(seed, 2 + seed % 40, 0);
        bt_training_options options = random_options(seed);
        bt_training training;
        snprintf(what, sizeof what, "seed %u", seed);
        if (bt_training_build(model, &options, &training) == BT_OK) {
            bt_training_free(&training);
            check_plan(model, &options, 1 + seed % 4, l1_bytes[seed % 3], what, &excess);
            planned_graphs++;
        } else {
            /* Joining samples is the only mistake that the generator makes. */
            const char *outer = bt_error_message(bt_error_depth() - 1);
            CHECK(options.micro_batch > 1 && strstr(outer, "micro_batch") != NULL, "%s: %s", what,
                  outer);
        }
        bt_model_free(model);
    }
    printf("    %u of %d graphs planned, %.2f %% above the lower bound\n", planned_graphs, GRAPHS,
           100.0 * excess / planned_graphs);
    CHECK(planned_graphs > GRAPHS * 3 / 4, "only %u graphs were planned", planned_graphs);
    CHECK(excess / planned_graphs < 0.02, "%.4f above the lower bound", excess / planned_graphs);
}

static void shipped_networks_have_sound_plans(void) {
    for (uint32_t i = 0; i < ZOO_SIZE; i++) {
        double excess = 0.0;
        bt_model *model = zoo_model(i);
        for (uint32_t scheme = BT_UPDATE_FULL; scheme <= BT_UPDATE_NORM_ONLY; scheme++) {
            bt_training_options options = options_default();
            options.scheme = scheme;
            check_plan(model, &options, 1 + 7 * (scheme % 2), i % 2 == 0 ? 114688 : 0, zoo_names[i],
                       &excess);
        }
        CHECK(excess / 4 < 0.02, "%s: %.4f above the lower bound", zoo_names[i], excess / 4);
        bt_model_free(model);
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

/* ---- plans that are broken on purpose */

static int blocks_meet(const bt_block *a, const bt_block *b) {
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        if (a->lifetimes[s].first <= b->lifetimes[s].last &&
            b->lifetimes[s].first <= a->lifetimes[s].last) {
            return 1;
        }
    }
    return 0;
}

static int is_sound(const planned *p) {
    char wrong[160];
    validate_plan(&p->training.ir, &p->plan, wrong);
    return wrong[0] == '\0';
}

/* Every change is tried on plans without tiles; on those with tiles, every so many. */
typedef struct subject {
    uint32_t network;
    uint64_t l1_bytes;
    uint32_t stride;
} subject;

static const subject subjects[] = {{0, 0, 1}, {2, 0, 1},      {3, 0, 1},      {4, 0, 1},
                                   {7, 0, 1}, {2, 20000, 41}, {3, 20000, 41}, {7, 4096, 41}};

#define SUBJECTS ((uint32_t)(sizeof subjects / sizeof subjects[0]))

static planned plan_subject(const subject *chosen) {
    uint32_t index = chosen->network;
    bt_model *model = zoo_model(index);
    bt_training_options options = options_default();
    planned p = plan_training(model, &options, 1, chosen->l1_bytes);
    CHECK(is_sound(&p), "%s is not sound to begin with", zoo_names[index]);
    bt_model_free(model);
    return p;
}

static void blocks_that_are_moved_onto_others_are_seen(void) {
    for (uint32_t n = 0; n < SUBJECTS; n++) {
        planned p = plan_subject(&subjects[n]);
        uint32_t moved = 0, missed = 0, count = p.plan.block_count;
        for (uint32_t i = 0; i < count * count; i += subjects[n].stride * subjects[n].stride) {
            bt_block *block = &p.plan.blocks[i / count], *other = &p.plan.blocks[i % count];
            uint64_t offset = block->offset;
            int meet = blocks_meet(block, other) || block->persistent || other->persistent;
            if (block == other || block->level != other->level || !meet) {
                continue;
            }
            block->offset = other->offset;
            moved++;
            missed += is_sound(&p);
            block->offset = offset;
        }
        CHECK(moved > 2 && missed == 0, "subject %u: %u of %u moves were not seen", n, missed,
              moved);
        planned_free(&p);
    }
}

static void blocks_that_are_shifted_by_a_word_are_seen(void) {
    planned p = plan_subject(&subjects[0]);
    uint32_t missed = 0;
    for (uint32_t b = 0; b < p.plan.block_count; b++) {
        uint64_t offset = p.plan.blocks[b].offset;
        p.plan.blocks[b].offset = offset >= 4 ? offset - 4 : p.plan.peak_bytes[BT_LEVEL_L2] - 4;
        missed += is_sound(&p);
        p.plan.blocks[b].offset = offset;
    }
    /* It hits a neighbour, except where there happens to be a gap. */
    CHECK(missed * 2 < p.plan.block_count, "%u of %u shifts were not seen", missed,
          p.plan.block_count);
    planned_free(&p);
}

static void lifetimes_that_are_too_short_are_seen(void) {
    for (uint32_t n = 0; n < SUBJECTS; n++) {
        planned p = plan_subject(&subjects[n]);
        for (uint32_t b = 0; b < p.plan.block_count; b += subjects[n].stride) {
            bt_lifetime *train = &p.plan.blocks[b].lifetimes[BT_SEQUENCE_TRAIN];
            bt_lifetime whole = *train;
            if (p.plan.blocks[b].persistent || whole.first >= whole.last ||
                whole.last > p.training.ir.sequences[BT_SEQUENCE_TRAIN].count) {
                continue;
            }
            train->last--;
            CHECK(!is_sound(&p), "subject %u: block %u ends early, unseen", n, b);
            *train = whole;
            if (whole.first > 0) {
                train->first++;
                CHECK(!is_sound(&p), "subject %u: block %u begins late, unseen", n, b);
                *train = whole;
            }
        }
        planned_free(&p);
    }
}

/* It works in place: its result lies where its operand did, so that nobody can tell them apart. */
static int is_in_place(const bt_ir *ir, const bt_instruction *instruction) {
    for (uint32_t w = 0; w < instruction->operand_count; w++) {
        for (uint32_t k = 0; k < instruction->operand_count; k++) {
            uint32_t written = instruction->operands[w], read = instruction->operands[k];
            if (k != w && written != BT_NO_TENSOR && read != BT_NO_TENSOR &&
                operand_access[instruction->opcode][w] != 'r' &&
                ir->tensors[written].storage == ir->tensors[read].storage) {
                return 1;
            }
        }
    }
    return 0;
}

static void instructions_that_are_missing_are_seen(void) {
    for (uint32_t n = 0; n < SUBJECTS; n++) {
        planned p = plan_subject(&subjects[n]);
        bt_sequence *train = &p.training.ir.sequences[BT_SEQUENCE_TRAIN];
        uint32_t removed = 0, missed = 0;
        for (uint32_t i = 0; i < train->count; i += subjects[n].stride) {
            bt_instruction whole = train->instructions[i];
            if (is_in_place(&p.training.ir, &whole)) {
                continue;
            }
            /* The place stays, so that no lifetime moves: WAIT without a transfer does nothing. */
            train->instructions[i] = (bt_instruction){.opcode = BT_OPCODE_WAIT};
            removed += whole.opcode != BT_OPCODE_WAIT;
            missed += whole.opcode != BT_OPCODE_WAIT && is_sound(&p);
            train->instructions[i] = whole;
        }
        /* Of several tiles that add to the same sum, one that is missing can't be told. */
        CHECK(removed > 0 && missed * 2 <= removed && (missed == 0 || subjects[n].stride > 1),
              "subject %u: %u of %u were not seen", n, missed, removed);
        planned_free(&p);
    }
}

/* ---- transfers */

/* BEGIN brings two rows of a tensor in L2 to L1 and takes them to another place of it. */
typedef struct moved {
    bt_ir ir;
    bt_memory_plan plan;
    uint32_t far, near;
} moved;

static moved moved_new(void) {
    moved m;
    bt_shape far = {.rank = 2, .dims = {4, 10}}, near = {.rank = 2, .dims = {2, 10}};
    bt_shape one = {.rank = 1, .dims = {1}};
    bt_ir_init(&m.ir);
    m.far = bt_ir_tensor_new(&m.ir, BT_RESIDENCE_PERSISTENT, BT_DTYPE_F32, &far, "", "far");
    m.near = bt_ir_tensor_new(&m.ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &near, "", NULL);
    m.ir.input = bt_ir_tensor_new(&m.ir, BT_RESIDENCE_PERSISTENT, BT_DTYPE_F32, &one, "", "x");
    m.ir.target = m.ir.output = m.ir.loss = m.ir.input;
    bt_ir_emit(&m.ir, BT_SEQUENCE_BEGIN, BT_OPCODE_TRANSFER, BT_OPERANDS(m.far, m.near),
               BT_ATTRIBUTES(0, 2, 10, 10));
    bt_ir_emit(&m.ir, BT_SEQUENCE_BEGIN, BT_OPCODE_WAIT, 0, NULL, BT_NO_ATTRIBUTES);
    bt_ir_emit(&m.ir, BT_SEQUENCE_BEGIN, BT_OPCODE_TRANSFER, BT_OPERANDS(m.near, m.far),
               BT_ATTRIBUTES(20, 2, 10, 10));
    bt_ir_emit(&m.ir, BT_SEQUENCE_BEGIN, BT_OPCODE_WAIT, 0, NULL, BT_NO_ATTRIBUTES);
    require(m.ir.status, "bt_ir_emit");
    m.plan = (bt_memory_plan){0};
    require(bt_lifetimes_find(&m.ir, &m.plan), "bt_lifetimes_find");
    for (uint32_t b = 0; b < m.plan.block_count; b++) {
        bt_block *block = &m.plan.blocks[b];
        block->level = b == m.plan.block_of[m.near] ? BT_LEVEL_L1 : BT_LEVEL_L2;
        block->offset = m.plan.peak_bytes[block->level];
        m.plan.peak_bytes[block->level] += block->bytes;
    }
    return m;
}

static void moved_free(moved *m) {
    bt_memory_plan_free(&m->plan);
    bt_ir_free(&m->ir);
}

static void transfers_that_are_wrong_are_seen(void) {
    char wrong[160];
    for (uint32_t mistake = 0; mistake < 7; mistake++) {
        static const char *const told[] = {
            "",
            "before their transfer was waited for",
            "leaves its tensor",
            "sides differ in size",
            "takes what was not written",
            "not between L1 and another memory",
            "used outside the lifetime",
        };
        moved m = moved_new();
        bt_instruction *first = m.ir.sequences[BT_SEQUENCE_BEGIN].instructions;
        if (mistake == 1) {
            first[1] = first[3]; /* nobody waits; the place is taken by what follows */
            first[1].opcode = BT_OPCODE_ZERO;
            first[1].operand_count = 1;
            first[1].operands[0] = m.near;
        } else if (mistake == 2) {
            first[2].attributes[0] = 21;
        } else if (mistake == 3) {
            first[0].attributes[1] = 1;
        } else if (mistake == 4) {
            first[0] = first[1];
        } else if (mistake == 5) {
            m.plan.blocks[m.plan.block_of[m.near]].level = BT_LEVEL_L2;
            m.plan.blocks[m.plan.block_of[m.near]].offset = m.plan.peak_bytes[BT_LEVEL_L2];
            m.plan.peak_bytes[BT_LEVEL_L2] += 80;
            m.plan.peak_bytes[BT_LEVEL_L1] = 0;
        } else if (mistake == 6) {
            m.plan.blocks[m.plan.block_of[m.near]].lifetimes[BT_SEQUENCE_BEGIN].last = 2;
        }
        validate_plan(&m.ir, &m.plan, wrong);
        CHECK(mistake == 0 ? wrong[0] == '\0' : strstr(wrong, told[mistake]) != NULL,
              "mistake %u: \"%s\"", mistake, wrong);
        moved_free(&m);
    }
}

int main(void) {
    RUN(shipped_networks_have_sound_plans);
    RUN(random_graphs_have_sound_plans);
    RUN(plans_are_deterministic);
    RUN(blocks_that_are_moved_onto_others_are_seen);
    RUN(blocks_that_are_shifted_by_a_word_are_seen);
    RUN(lifetimes_that_are_too_short_are_seen);
    RUN(instructions_that_are_missing_are_seen);
    RUN(transfers_that_are_wrong_are_seen);
    return REPORT();
}
