/*
 * The passes that save memory change no bit: programs compiled with and without
 * them compute the same losses, gradients, parameters and outputs, and no plan
 * gets larger.
 */
#include "machine.h"
#include "random_graph.h"
#include "support.h"

#include "plan/compile.h"
#include "plan/writer.h"

static bt_program *compile_with(const bt_model *model, const bt_training_options *options,
                                uint32_t l1_bytes, const bt_passes *passes) {
    bt_target target = target_named("gap9-l2-only");
    bt_program *program;
    target.l1_bytes = l1_bytes;
    target.l2_bytes = 1u << 27;
    return bt_program_compile_with(model, options, &target, passes, &program) == BT_OK ? program
                                                                                       : NULL;
}

static void fill(const machine *m, uint32_t tensor, uint32_t seed) {
    float *data = machine_data(m, tensor);
    for (uint32_t i = 0; i < bt_tensor_elements(&m->tensors[tensor]); i++) {
        data[i] = next_float(&seed);
    }
}

static void load_sample(const machine *m, uint32_t seed) {
    fill(m, m->header->input_tensor, seed);
    fill(m, m->header->target_tensor, seed + 1);
    if (m->header->target_kind == BT_TARGET_CLASS) {
        int32_t *labels = (int32_t *)(void *)machine_data(m, m->header->target_tensor);
        for (uint32_t i = 0; i < m->header->micro_batch; i++) {
            labels[i] = (int32_t)((seed + i) % m->header->output_elements);
        }
    }
}

/* First tensor of this sequence's results that differs in the two machines, or
 * NULL. */
static const char *difference(const machine *a, const machine *b, uint32_t sequence) {
    for (uint32_t i = 0; i < a->header->tensor_count; i++) {
        const char *name = machine_name(a, i);
        if (name == NULL || i == a->header->input_tensor || i == a->header->target_tensor ||
            (i == a->header->output_tensor && sequence != BT_SEQUENCE_EVALUATE)) {
            continue;
        }
        uint32_t other = machine_find(b, "", name);
        if (other == BT_NO_TENSOR || memcmp(machine_data(a, i), machine_data(b, other),
                                            4 * bt_tensor_elements(&a->tensors[i])) != 0) {
            return name;
        }
    }
    return NULL;
}

/* Two micro-batches, an update and an evaluation. */
static void check_same_bits_with(const bt_program *plain, const bt_program *saving, int eager,
                                 const char *what) {
    static const uint32_t sequences[] = {BT_SEQUENCE_BEGIN, BT_SEQUENCE_TRAIN, BT_SEQUENCE_TRAIN,
                                         BT_SEQUENCE_UPDATE, BT_SEQUENCE_EVALUATE};
    machine a = machine_new(plain), b = machine_new(saving);
    b.eager = eager;
    for (uint32_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        uint32_t sequence = sequences[i];
        if (sequence == BT_SEQUENCE_TRAIN || sequence == BT_SEQUENCE_EVALUATE) {
            load_sample(&a, 17 + i);
            load_sample(&b, 17 + i);
        }
        machine_run(&a, sequence);
        machine_run(&b, sequence);
        if (sequence == BT_SEQUENCE_TRAIN || sequence == BT_SEQUENCE_EVALUATE) {
            const char *name = difference(&a, &b, sequence);
            CHECK(name == NULL, "%s: %s differs after sequence %u, transfers %s", what, name,
                  sequence, eager ? "at once" : "late");
        }
    }
    machine_free(&a);
    machine_free(&b);
}

/* Whenever the transfers between two waits happen, and in whatever order. */
static void check_same_bits(const bt_program *plain, const bt_program *saving, const char *what) {
    check_same_bits_with(plain, saving, 1, what);
    check_same_bits_with(plain, saving, 0, what);
}

static bt_training_options random_options(uint32_t seed) {
    bt_training_options options = options_default();
    uint32_t state = seed + 5;
    options.loss = 1 + next_below(&state, 3);
    options.scheme = next_below(&state, 4) ? BT_UPDATE_FULL : BT_UPDATE_NORM_ONLY;
    options.micro_batch = 1 + next_below(&state, 2);
    options.input_gradient = next_below(&state, 2);
    if (options.micro_batch > 1) {
        options.batch_norm = 1 + next_below(&state, 2);
    }
    return options;
}

static void random_graphs_compute_the_same_bits(void) {
    enum { GRAPHS = ROUNDS_OF(600) };
    uint32_t compared = 0, smaller = 0, recomputed = 0;
    for (uint32_t seed = 0; seed < GRAPHS; seed++) {
        bt_model *model = random_model(seed + 7000, 2 + seed % 30, 0);
        bt_training_options options = random_options(seed);
        uint32_t l1_bytes = seed % 2 == 0 ? 0 : 8192;
        bt_program *plain = compile_with(model, &options, 0, &bt_passes_none);
        bt_program *saving = compile_with(model, &options, l1_bytes, &bt_passes_all);
        CHECK((plain == NULL) == (saving == NULL), "seed %u: one of the programs fails", seed);
        if (plain != NULL && saving != NULL) {
            char what[32];
            snprintf(what, sizeof what, "seed %u", seed);
            check_same_bits(plain, saving, what);
            uint32_t before = program_info(plain).l2_peak_bytes;
            uint32_t after = program_info(saving).l2_peak_bytes;
            CHECK(after <= before, "seed %u: %u instead of %u bytes", seed, after, before);
            compared++;
            smaller += after < before;
            recomputed += saving->recomputations.count;
        }
        bt_program_free(plain);
        bt_program_free(saving);
        bt_model_free(model);
    }
    printf("    %u graphs compared, %u smaller, %u activations recomputed\n", compared, smaller,
           recomputed);
    CHECK(compared > GRAPHS / 2 && smaller > compared / 8 && recomputed > 0, "%u of %u", smaller,
          compared);
}

/* A convolution, layers that treat channels by themselves, a pooling, a linear layer. */
static bt_model *random_chain(uint32_t seed) {
    static const uint32_t channel_counts[] = {4, 6, 8, 12, 16};
    builder b = builder_new(seed * 747796405u + 3u);
    uint32_t state = seed;
    uint32_t channels = channel_counts[next_below(&state, 5)];
    const int32_t dims[] = {1, 1 + (int32_t)next_below(&state, 3),
                            1 + (int32_t)next_below(&state, 2),
                            600 + (int32_t)next_below(&state, 300)};
    uint32_t v = add_input(&b, 4, dims);
    v = add_conv(&b, "first", v, (int32_t)channels, dims[1], dims[2], 3 + next_below(&state, 9), 1,
                 2, 0);
    uint32_t layers = 1 + next_below(&state, 7);
    for (uint32_t i = 0; i < layers; i++) {
        char name[16];
        bt_attributes a = attributes_default();
        snprintf(name, sizeof name, "l%u", i);
        a.epsilon = 1e-3f;
        switch (next_below(&state, 8)) {
        case 0:
        case 1:
            v = add_group_norm(&b, name, v, (int32_t)channels, next_below(&state, 3) ? 1 : 2);
            break;
        case 2: {
            int32_t multiple = 1 + (int32_t)next_below(&state, 2);
            v = add_conv(&b, name, v, (int32_t)channels * multiple, 1, 1, 5, (int32_t)channels, 2,
                         1);
            channels *= (uint32_t)multiple;
            break;
        }
        case 3:
            v = add_unary(&b, next_below(&state, 2) ? BT_OP_RELU : BT_OP_GELU, name, v);
            break;
        case 4: {
            const uint32_t inputs[] = {v, add_vector(&b, NULL, (int32_t)channels, 1.0f, 0.3f),
                                       add_vector(&b, NULL, (int32_t)channels, 0.0f, 0.3f)};
            v = add_node(&b, BT_OP_INSTANCE_NORM, name, 3, inputs, &a);
            break;
        }
        case 5: {
            const uint32_t inputs[] = {v, add_vector(&b, NULL, (int32_t)channels, 1.0f, 0.3f),
                                       add_vector(&b, NULL, (int32_t)channels, 0.0f, 0.3f),
                                       add_vector(&b, NULL, (int32_t)channels, 0.0f, 0.3f),
                                       add_vector(&b, NULL, (int32_t)channels, 1.0f, 0.3f)};
            v = add_node(&b, BT_OP_BATCH_NORM, name, 5, inputs, &a);
            break;
        }
        case 6:
            a.ratio = next_below(&state, 2) ? 0.0f : 0.3f;
            v = add_node(&b, BT_OP_DROPOUT, name, 1, &v, &a);
            break;
        default:
            a.kernel[1] = 2;
            a.strides[1] = 2;
            v = add_node(&b, next_below(&state, 2) ? BT_OP_MAX_POOL : BT_OP_AVERAGE_POOL, name, 1,
                         &v, &a);
        }
    }
    v = add_unary(&b, BT_OP_GLOBAL_AVERAGE_POOL, "pool", v);
    return finish(&b, add_linear(&b, "head", add_flatten(&b, v), (int32_t)channels, 3));
}

/* Steps of one micro-batch, for which a program with fused updates needs TRAIN alone. */
static void check_fused_bits_with(const bt_program *plain, const bt_program *fused, int eager,
                                  const char *what) {
    machine a = machine_new(fused), b = machine_new(plain);
    a.eager = eager;
    CHECK(a.header->sequence_words[BT_SEQUENCE_BEGIN] == 0 &&
              a.header->sequence_words[BT_SEQUENCE_UPDATE] == 0 &&
              a.header->flags == BT_PROGRAM_FUSED_UPDATE,
          "%s is not fused", what);
    for (uint32_t step = 0; step < 4; step++) {
        uint32_t sequence = step < 3 ? BT_SEQUENCE_TRAIN : BT_SEQUENCE_EVALUATE;
        machine_run(&b, BT_SEQUENCE_BEGIN);
        load_sample(&a, 17 + step);
        load_sample(&b, 17 + step);
        machine_run(&a, sequence);
        machine_run(&b, sequence);
        if (sequence == BT_SEQUENCE_TRAIN) {
            machine_run(&b, BT_SEQUENCE_UPDATE);
        }
        const char *name = difference(&a, &b, sequence);
        CHECK(name == NULL, "%s: %s differs after step %u, transfers %s", what, name, step,
              eager ? "at once" : "late");
        a.scalars.micro_step = ++b.scalars.micro_step;
    }
    machine_free(&a);
    machine_free(&b);
}

static void check_fused_bits(const bt_program *plain, const bt_program *fused, const char *what) {
    check_fused_bits_with(plain, fused, 1, what);
    check_fused_bits_with(plain, fused, 0, what);
}

/* What one network takes without passes, with all of them, and with fused updates besides. */
typedef struct fusion {
    bt_program *plain, *keeping, *fused;
} fusion;

static fusion fusion_new(const bt_model *model, bt_training_options options, uint32_t l1_bytes) {
    fusion f = {.plain = compile_with(model, &options, 0, &bt_passes_none),
                .keeping = compile_with(model, &options, l1_bytes, &bt_passes_all)};
    options.fused_update = 1;
    f.fused = compile_with(model, &options, l1_bytes, &bt_passes_all);
    return f;
}

static void fusion_free(fusion *f) {
    bt_program_free(f->plain);
    bt_program_free(f->keeping);
    bt_program_free(f->fused);
}

/* Gradients are not kept, and nothing else is missing. */
static void check_fusion(const fusion *f, const char *what) {
    bt_program_info before = program_info(f->keeping), after = program_info(f->fused);
    CHECK(before.persistent_bytes - after.persistent_bytes == 4 * after.trainable_parameters,
          "%s: %u persistent bytes instead of %u", what, after.persistent_bytes,
          before.persistent_bytes);
    CHECK(after.training_macs == before.training_macs, "%s", what);
    check_fused_bits(f->plain, f->fused, what);
}

/* How many tensors are made again if a map is read before, or behind, the update of a parameter
 * that it is made from. */
static uint32_t recomputed_behind_an_update(bool behind) {
    enum { ELEMENTS = 1000 };
    bt_ir ir;
    bt_recomputations made;
    const bt_shape row = {.rank = 2, .dims = {1, ELEMENTS}}, one = {.rank = 1, .dims = {1}};
    bt_ir_init(&ir);
    uint32_t w = bt_ir_tensor_new(&ir, BT_RESIDENCE_PERSISTENT, BT_DTYPE_F32, &row, "", "w");
    uint32_t v = bt_ir_tensor_new(&ir, BT_RESIDENCE_PERSISTENT, BT_DTYPE_F32, &row, "", "v");
    uint32_t sum = bt_ir_tensor_new(&ir, BT_RESIDENCE_PERSISTENT, BT_DTYPE_F32, &row, "", "sum");
    uint32_t map = bt_ir_tensor_new(&ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &row, "", NULL);
    uint32_t error = bt_ir_tensor_new(&ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &row, "", NULL);
    uint32_t g = bt_ir_tensor_new(&ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &row, "", NULL);
    ir.input = bt_ir_tensor_new(&ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &one, "", "input");
    ir.target = bt_ir_tensor_new(&ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &row, "", "target");
    ir.loss = bt_ir_tensor_new(&ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &one, "", "loss");
    ir.output = bt_ir_tensor_new(&ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &row, "", "output");
    bt_ir_emit(&ir, BT_SEQUENCE_TRAIN, BT_OPCODE_BINARY, BT_OPERANDS(w, v, map),
               BT_ATTRIBUTES(BT_BINARY_MUL));
    bt_ir_emit(&ir, BT_SEQUENCE_TRAIN, BT_OPCODE_MSE,
               BT_OPERANDS(map, ir.target, ir.loss, BT_NO_TENSOR), BT_ATTRIBUTES(ELEMENTS));
    bt_ir_emit(&ir, BT_SEQUENCE_TRAIN, BT_OPCODE_ZERO, BT_OPERANDS(error), BT_NO_ATTRIBUTES);
    bt_ir_emit(&ir, BT_SEQUENCE_TRAIN, BT_OPCODE_ZERO, BT_OPERANDS(g), BT_NO_ATTRIBUTES);
    bt_ir_emit(&ir, BT_SEQUENCE_TRAIN, BT_OPCODE_ACCUMULATE, BT_OPERANDS(error, g),
               BT_NO_ATTRIBUTES);
    for (uint32_t i = 0; i < 2; i++) {
        if (behind == (i == 0)) {
            bt_ir_emit(&ir, BT_SEQUENCE_TRAIN, BT_OPCODE_SGD, BT_OPERANDS(w, g, BT_NO_TENSOR),
                       BT_ATTRIBUTES(0, 0, 0));
        } else {
            bt_ir_emit(&ir, BT_SEQUENCE_TRAIN, BT_OPCODE_ACCUMULATE, BT_OPERANDS(map, sum),
                       BT_NO_ATTRIBUTES);
        }
    }
    require(ir.status, "bt_ir_emit");
    require(bt_recompute(&ir, UINT64_MAX, &made), "bt_recompute");
    uint32_t count = made.count;
    bt_recomputations_free(&made);
    bt_ir_free(&ir);
    return count;
}

static void nothing_is_made_again_from_an_updated_parameter(void) {
    CHECK(recomputed_behind_an_update(false) == 1, "the map is kept");
    CHECK(recomputed_behind_an_update(true) == 0, "the map is made again from other values");
}

static void random_graphs_compute_the_same_bits_with_fused_updates(void) {
    enum { GRAPHS = 400 };
    uint32_t compared = 0, smaller = 0, recomputed = 0;
    for (uint32_t seed = 0; seed < GRAPHS; seed++) {
        bt_model *model = random_model(seed + 9000, 2 + seed % 30, 0);
        bt_training_options options = random_options(seed);
        options.optimizer = 1 + seed % 3;
        options.momentum = seed % 2 == 0 ? 0.9f : 0.0f;
        fusion f = fusion_new(model, options, seed % 4 < 2 ? 0 : 8192);
        CHECK((f.plain == NULL) == (f.fused == NULL), "seed %u: one of the programs fails", seed);
        if (f.plain != NULL && f.fused != NULL) {
            char what[32];
            snprintf(what, sizeof what, "seed %u", seed);
            check_fusion(&f, what);
            compared++;
            smaller += program_info(f.fused).l2_peak_bytes < program_info(f.keeping).l2_peak_bytes;
            recomputed += f.fused->recomputations.count;
        }
        fusion_free(&f);
        bt_model_free(model);
    }
    printf("    %u graphs compared, %u smaller, %u activations recomputed\n", compared, smaller,
           recomputed);
    CHECK(compared > GRAPHS / 2 && smaller > compared / 3 && recomputed > 0, "%u of %u", smaller,
          compared);
}

static void published_networks_need_less_memory_with_fused_updates(void) {
    bt_model *models[] = {epidenet(), mi_bminet(8, 64, 0), mi_bminet(32, 128, 1)};
    static const char *const names[] = {"EpiDeNet", "MI-BMINet F8", "MI-BMINet F32"};
    for (uint32_t i = 0; i < 3; i++) {
        fusion f = fusion_new(models[i], options_default(), 114688);
        bt_program_info before = program_info(f.keeping), after = program_info(f.fused);
        printf("    %s: %u persistent bytes instead of %u; L1 and L2 %u + %u instead of %u + %u\n",
               names[i], after.persistent_bytes, before.persistent_bytes, after.l1_peak_bytes,
               after.l2_peak_bytes, before.l1_peak_bytes, before.l2_peak_bytes);
        check_fusion(&f, names[i]);
        CHECK(after.l1_peak_bytes + after.l2_peak_bytes <
                  before.l1_peak_bytes + before.l2_peak_bytes,
              "%s", names[i]);
        fusion_free(&f);
        bt_model_free(models[i]);
    }
}

/* What a search minimises. */
static uint32_t l2_and_program(const bt_program *program) {
    bt_program_info info = program_info(program);
    return info.l2_peak_bytes + info.bytes;
}

static void random_chains_compute_the_same_bits_in_parts(void) {
    enum { CHAINS = ROUNDS_OF(200) };
    uint32_t in_parts = 0;
    for (uint32_t seed = 0; seed < CHAINS; seed++) {
        bt_model *model = random_chain(seed);
        bt_training_options options = options_default();
        options.scheme = seed % 3 == 0 ? BT_UPDATE_LAST_LAYER : BT_UPDATE_FULL;
        options.micro_batch = 1;
        bt_passes passes = {.chains = true, .recompute = seed % 2 == 0, .l1_homes = seed % 3 == 0};
        bt_program *plain = compile_with(model, &options, 0, &bt_passes_none);
        bt_program *saving = compile_with(model, &options, 4096, &passes);
        char what[32];
        snprintf(what, sizeof what, "chain %u", seed);
        check_same_bits(plain, saving, what);
        CHECK(passes.l1_homes || l2_and_program(saving) <= l2_and_program(plain), "%s", what);
        in_parts += program_info(saving).instructions > program_info(plain).instructions;
        bt_program_free(plain);
        bt_program_free(saving);
        bt_model_free(model);
    }
    printf("    %u of %d chains in parts\n", in_parts, CHAINS);
    CHECK(in_parts > CHAINS / 2, "only %u chains in parts", in_parts);
}

/* The program with chains partitioned like this, whether or not the search would choose it. */
static bt_program partitioned(const bt_model *model, const bt_training_options *options,
                              const bt_partition *partition) {
    bt_training training;
    bt_recomputations recomputations;
    bt_memory_plan plan;
    bt_program program = {0};
    uint32_t size;
    require(bt_training_build_in_parts(model, options, partition, &training), "build");
    require(bt_recompute(&training.ir, UINT64_MAX, &recomputations), "recompute");
    bt_capacity capacity = {{4096, 1u << 27, 0}};
    require(bt_memory_plan_make(&training.ir, &capacity, &plan), "plan");
    uint32_t *table = malloc(training.ir.tensor_count * sizeof *table);
    require(bt_program_write(&training, &plan, options, table, &program.bytes, &size), "write");
    program.size = size;
    free(table);
    bt_memory_plan_free(&plan);
    bt_recomputations_free(&recomputations);
    bt_training_free(&training);
    return program;
}

/* Also where a part of the costly maps is computed again in every backward pass. */
static void every_partition_computes_the_same_bits(void) {
    static const bt_partition partitions[] = {
        {2, 0, 0}, {4, 16, 0}, {8, 8, 0}, {8, 32, 1000}, {32, 12, 0}};
    bt_model *models[] = {mi_bminet(8, 64, 0), mi_bminet(32, 128, 1), random_chain(5)};
    for (uint32_t i = 0; i < 3; i++) {
        bt_training_options options = options_default();
        bt_program *plain = compile_with(models[i], &options, 0, &bt_passes_none);
        for (uint32_t k = 0; k < sizeof partitions / sizeof partitions[0]; k++) {
            char what[64];
            bt_program parts = partitioned(models[i], &options, &partitions[k]);
            parts.initial = malloc(plain->initial_count * sizeof *parts.initial);
            parts.initial_count = plain->initial_count;
            memcpy(parts.initial, plain->initial, plain->initial_count * sizeof *parts.initial);
            /* Named tensors are numbered alike: they come first. */
            snprintf(what, sizeof what, "network %u, %u parts, %u of 32 forgotten", i,
                     partitions[k].parts, partitions[k].forgotten);
            check_same_bits(plain, &parts, what);
            free(parts.initial);
            free(parts.bytes);
        }
        bt_program_free(plain);
        bt_model_free(models[i]);
    }
}

static void published_networks_compute_the_same_bits_in_less_memory(void) {
    bt_model *models[] = {epidenet(), mi_bminet(8, 64, 0), mi_bminet(32, 128, 1)};
    static const char *const names[] = {"EpiDeNet", "MI-BMINet F8", "MI-BMINet F32"};
    static const uint32_t limits[] = {4000, 70000, 440000};
    for (uint32_t i = 0; i < 3; i++) {
        bt_training_options options = options_default();
        bt_program *plain = compile_with(models[i], &options, 0, &bt_passes_none);
        bt_program *saving = compile_with(models[i], &options, 114688, &bt_passes_all);
        bt_program_info before = program_info(plain), after = program_info(saving);
        check_same_bits(plain, saving, names[i]);
        printf("    %s: %u bytes of L2 instead of %u, and %u of L1\n", names[i],
               after.l2_peak_bytes, before.l2_peak_bytes, after.l1_peak_bytes);
        CHECK(after.l2_peak_bytes <= limits[i], "%s needs %u bytes", names[i], after.l2_peak_bytes);
        CHECK(after.training_macs == before.training_macs, "%s", names[i]);
        bt_program_free(plain);
        bt_program_free(saving);
        bt_model_free(models[i]);
    }
}

/* Maps that do not fit L2 come and go by transfers. */
static void a_network_in_l3_computes_the_same_bits(void) {
    bt_model *model = mi_bminet(8, 64, 0);
    bt_training_options options = options_default();
    bt_target target = target_named("gap9");
    bt_program *plain = compile_with(model, &options, 0, &bt_passes_none), *spilled;
    target.l1_bytes = 40000;
    target.l2_bytes = 70000;
    require(bt_program_compile(model, &options, &target, &spilled), "bt_program_compile");
    CHECK(program_info(spilled).l3_peak_bytes > 0, "nothing is in L3");
    check_same_bits(plain, spilled, "in L3");
    bt_program_free(plain);
    bt_program_free(spilled);
    bt_model_free(model);
}

/* Without a decision the peak is higher by what the report says it saved. */
static void decisions_are_recorded(void) {
    bt_model *model = mi_bminet(32, 128, 1);
    bt_training_options options = options_default();
    uint32_t l1_bytes = 0;
    bt_program *program = compile_with(model, &options, l1_bytes, &bt_passes_all);
    const bt_recomputations *made = &program->recomputations;
    uint64_t macs = 0;
    CHECK(made->count > 0, "nothing is recomputed");
    for (uint32_t i = 0; i < made->count; i++) {
        CHECK(made->entries[i].saved_bytes > 0 && made->entries[i].times > 0, "decision %u", i);
        macs += made->entries[i].macs;
    }
    CHECK(4 * macs <= program_info(program).training_macs, "%llu multiply-adds more",
          (unsigned long long)macs);
    bt_program_free(program);
    bt_model_free(model);
}

int main(void) {
    RUN(published_networks_compute_the_same_bits_in_less_memory);
    RUN(a_network_in_l3_computes_the_same_bits);
    RUN(decisions_are_recorded);
    RUN(every_partition_computes_the_same_bits);
    RUN(random_graphs_compute_the_same_bits);
    RUN(random_chains_compute_the_same_bits_in_parts);
    RUN(nothing_is_made_again_from_an_updated_parameter);
    RUN(published_networks_need_less_memory_with_fused_updates);
    RUN(random_graphs_compute_the_same_bits_with_fused_updates);
    return REPORT();
}
