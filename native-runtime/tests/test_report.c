/* What a plan tells: tensors, instructions, decisions, the conventional plan, advice. */
#include "random_graph.h"
#include "support.h"
#include "zoo.h"

static bt_plan_info info_of(const bt_plan *plan) {
    bt_plan_info info = {.struct_size = sizeof info};
    require(bt_plan_info_get(plan, &info), "bt_plan_info_get");
    return info;
}

static bt_plan_tensor tensor_at(const bt_plan *plan, uint32_t index) {
    bt_plan_tensor tensor = {.struct_size = sizeof tensor};
    require(bt_plan_tensor_get(plan, index, &tensor), "bt_plan_tensor_get");
    return tensor;
}

static bt_plan_instruction instruction_at(const bt_plan *plan, uint32_t sequence, uint32_t index) {
    bt_plan_instruction instruction = {.struct_size = sizeof instruction};
    require(bt_plan_instruction_get(plan, sequence, index, &instruction), "instruction_get");
    return instruction;
}

static bt_plan *plan_of(const bt_model *model, const bt_training_options *options,
                        const char *target_name, bt_policy policy) {
    bt_target target = target_named(target_name);
    bt_plan *plan;
    require(bt_plan_create(model, options, &target, policy, 8, &plan), "bt_plan_create");
    return plan;
}

/* Both have bytes at the same time; tensors of one block follow each other in place. */
static int collide(const bt_plan_tensor *a, const bt_plan_tensor *b) {
    if (a->level != b->level || (a->block == b->block && !a->persistent) ||
        a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset) {
        return 0;
    }
    for (uint32_t s = 0; s < BT_PLAN_SEQUENCES; s++) {
        int always = a->persistent || b->persistent;
        int used = a->first[s] <= a->last[s] && b->first[s] <= b->last[s];
        int meet = a->first[s] <= b->last[s] && b->first[s] <= a->last[s];
        if (always || (used && meet)) {
            return 1;
        }
    }
    return 0;
}

/* No two tensors collide, all lie below the peaks, and the counts are right. */
static void check_report(const bt_plan *plan, const char *what) {
    bt_plan_info info = info_of(plan);
    uint64_t highest[BT_PLAN_LEVELS] = {0};
    uint32_t collisions = 0;
    bt_plan_tensor *tensors = malloc((info.tensors + 1) * sizeof *tensors);
    for (uint32_t i = 0; i < info.tensors; i++) {
        tensors[i] = tensor_at(plan, i);
        uint64_t end = tensors[i].offset + tensors[i].bytes;
        uint32_t level = tensors[i].level - 1;
        highest[level] = end > highest[level] ? end : highest[level];
        for (uint32_t k = 0; k < i; k++) {
            collisions += (uint32_t)collide(&tensors[i], &tensors[k]);
        }
    }
    CHECK(collisions == 0, "%s: %u pairs of tensors collide", what, collisions);
    for (uint32_t level = 0; level < BT_PLAN_LEVELS; level++) {
        CHECK(highest[level] == info.peak_bytes[level], "%s: L%u ends at %llu, the peak is %llu",
              what, level + 1, (unsigned long long)highest[level],
              (unsigned long long)info.peak_bytes[level]);
        CHECK(info.lower_bound_bytes[level] <= info.peak_bytes[level], "%s: L%u", what, level + 1);
    }
    uint64_t macs = 0;
    for (uint32_t i = 0; i < info.instructions[1]; i++) {
        bt_plan_instruction instruction = instruction_at(plan, 1, i);
        macs += instruction.macs;
        CHECK(instruction.layer != NULL && instruction.name[0] != '\0', "%s: %u", what, i);
    }
    CHECK(macs / info.micro_batch == info.planned_macs, "%s: %llu multiply-adds", what,
          (unsigned long long)macs);
    CHECK(info.planned_macs >= info.training_macs, "%s: fewer than needed", what);
    free(tensors);
}

static void plans_of_shipped_networks_are_reported(void) {
    for (uint32_t i = 0; i < ZOO_SIZE; i++) {
        bt_model *model = zoo_model(i);
        for (uint32_t scheme = BT_UPDATE_FULL; scheme <= BT_UPDATE_NORM_ONLY; scheme++) {
            bt_training_options options = options_default();
            options.scheme = scheme;
            bt_plan *plan = plan_of(model, &options, "gap9", BT_POLICY_COMPILE);
            bt_program *program = compile(model, &options, "gap9");
            bt_plan_info info = info_of(plan);
            bt_program_info compiled = program_info(program);
            check_report(plan, zoo_names[i]);
            CHECK(info.peak_bytes[1] == compiled.l2_peak_bytes &&
                      info.peak_bytes[0] == compiled.l1_peak_bytes &&
                      info.program_bytes == compiled.bytes,
                  "%s: not what is compiled", zoo_names[i]);
            CHECK(bt_plan_advice(plan)[0] == '\0', "%s: %s", zoo_names[i], bt_plan_advice(plan));
            bt_program_free(program);
            bt_plan_free(plan);
        }
        bt_model_free(model);
    }
}

static uint32_t count_kind(const bt_plan *plan, uint32_t kind, int persistent) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < info_of(plan).tensors; i++) {
        bt_plan_tensor tensor = tensor_at(plan, i);
        count += tensor.kind == kind && (tensor.persistent != 0) == persistent;
    }
    return count;
}

/*
 * The gradient of a norm could be computed from its output instead of its input (InPlace-ABN), in
 * other bits. That saves bytes only where the output is kept anyway. It never is: a norm's input is
 * kept, or both are computed again, and of the norm itself nothing but its statistics.
 */
static void no_plan_keeps_the_output_of_a_norm(void) {
    uint32_t statistics = 0;
    for (uint32_t i = 0; i < ZOO_SIZE; i++) {
        bt_model *model = zoo_model(i);
        bt_training_options options = options_default();
        bt_plan *plan = plan_of(model, &options, "gap9-l2-only", BT_POLICY_COMPILE);
        for (uint32_t k = 0; k < info_of(plan).tensors; k++) {
            bt_plan_tensor tensor = tensor_at(plan, k);
            if (tensor.kind == BT_TENSOR_STASH && strncmp(tensor.layer, "norm", 4) == 0) {
                CHECK(tensor.bytes <= 8 * 32, "%s keeps %llu bytes of %s", zoo_names[i],
                      (unsigned long long)tensor.bytes, tensor.layer);
                statistics++;
            }
        }
        bt_plan_free(plan);
        bt_model_free(model);
    }
    CHECK(statistics > 0, "no norm keeps its statistics");
}

/* Gradients are no longer kept, and updated parameters make no errors of what reads them. */
static void fused_updates_are_reported(void) {
    for (uint32_t network = 0; network < ZOO_SIZE; network++) {
        bt_model *model = zoo_model(network);
        bt_training_options options = options_default();
        bt_plan *kept = plan_of(model, &options, "gap9", BT_POLICY_COMPILE);
        options.fused_update = 1;
        bt_plan *fused = plan_of(model, &options, "gap9", BT_POLICY_COMPILE);
        check_report(fused, zoo_names[network]);
        /* One that lives in a tile from beginning to end is none in the report. */
        uint32_t gradients = count_kind(fused, BT_TENSOR_GRADIENT, 0);
        CHECK(count_kind(fused, BT_TENSOR_GRADIENT, 1) == 0 && gradients > 0 &&
                  gradients <= count_kind(kept, BT_TENSOR_GRADIENT, 1),
              "%s: %u gradients", zoo_names[network], gradients);
        CHECK(count_kind(fused, BT_TENSOR_WEIGHT, 1) == count_kind(kept, BT_TENSOR_WEIGHT, 1) &&
                  count_kind(fused, BT_TENSOR_OPTIMIZER, 1) ==
                      count_kind(kept, BT_TENSOR_OPTIMIZER, 1),
              "%s", zoo_names[network]);
        for (uint32_t i = 0; i < info_of(fused).tensors; i++) {
            bt_plan_tensor tensor = tensor_at(fused, i);
            CHECK(tensor.kind != BT_TENSOR_ERROR || tensor.first[3] > tensor.last[3],
                  "%s: tensor %u is an error in an evaluation", zoo_names[network], i);
        }
        bt_plan_free(kept);
        bt_plan_free(fused);
        bt_model_free(model);
    }
}

static void plans_of_random_graphs_are_reported(void) {
    uint32_t reported = 0;
    for (uint32_t seed = 0; seed < ROUNDS_OF(400); seed++) {
        char what[32];
        bt_model *model = random_model(seed + 40000, 2 + seed % 30, 0);
        bt_training_options options = options_default();
        bt_target target = target_named(seed % 2 == 0 ? "host" : "pulp-open");
        bt_policy policy = seed % 4 == 3 ? BT_POLICY_CONVENTIONAL : BT_POLICY_COMPILE;
        bt_plan *plan;
        snprintf(what, sizeof what, "seed %u", seed);
        if (bt_plan_create(model, &options, &target, policy, 4, &plan) == BT_OK) {
            check_report(plan, what);
            bt_plan_free(plan);
            reported++;
        }
        bt_model_free(model);
    }
    CHECK(reported > ROUNDS_OF(300), "%u reported", reported);
}

static const bt_plan_tensor *find(const bt_plan *plan, const char *name, const char *layer,
                                  uint32_t kind, bt_plan_tensor *out) {
    for (uint32_t i = 0; i < info_of(plan).tensors; i++) {
        *out = tensor_at(plan, i);
        if (strcmp(out->name, name) == 0 && strcmp(out->layer, layer) == 0 && out->kind == kind) {
            return out;
        }
    }
    return NULL;
}

static void tensors_have_kinds_and_layers(void) {
    bt_model *model = epidenet();
    bt_training_options options = options_default();
    bt_plan *plan = plan_of(model, &options, "gap9", BT_POLICY_COMPILE);
    bt_plan_info info = info_of(plan);
    static const struct {
        const char *name, *layer;
        uint32_t kind;
    } wanted[] = {
        {"conv1.weight", "", BT_TENSOR_WEIGHT},
        {"gradient.conv1.weight", "conv1", BT_TENSOR_GRADIENT},
        {"momentum.conv1.weight", "", BT_TENSOR_OPTIMIZER},
        {"input", "", BT_TENSOR_INPUT},
        {"", "norm1", BT_TENSOR_ACTIVATION},
    };
    for (uint32_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        bt_plan_tensor tensor;
        CHECK(find(plan, wanted[i].name, wanted[i].layer, wanted[i].kind, &tensor) != NULL,
              "no tensor '%s' of '%s' and kind %u", wanted[i].name, wanted[i].layer,
              wanted[i].kind);
    }
    bt_plan_instruction first = {.struct_size = sizeof first};
    for (uint32_t i = 0; first.macs == 0; i++) {
        first = instruction_at(plan, 1, i);
    }
    CHECK(strcmp(first.name, "conv.forward") == 0 && strcmp(first.layer, "conv1") == 0 &&
              first.macs > 0 && first.cycles > first.macs,
          "%s of %s, %llu, %llu", first.name, first.layer, (unsigned long long)first.macs,
          (unsigned long long)first.cycles);
    bt_plan_instruction loss = instruction_at(plan, 1, info.backward - 1);
    CHECK(strcmp(loss.name, "cross_entropy") == 0, "%s", loss.name);
    bt_plan_tensor none = {.struct_size = sizeof none};
    CHECK(bt_plan_tensor_get(plan, info.tensors, &none) == BT_ERROR_ARGUMENT, "beyond the last");
    CHECK(bt_plan_tensor_get(plan, 0, &(bt_plan_tensor){0}) == BT_ERROR_ARGUMENT, "no size");
    bt_plan_free(plan);
    bt_model_free(model);
}

static void decisions_say_what_they_saved(void) {
    bt_model *model = mi_bminet(32, 128, 1);
    bt_training_options options = options_default();
    bt_plan *plan = plan_of(model, &options, "gap9", BT_POLICY_COMPILE);
    uint32_t passes = 0;
    for (uint32_t i = 0; i < info_of(plan).decisions; i++) {
        bt_plan_decision decision = {.struct_size = sizeof decision};
        require(bt_plan_decision_get(plan, i, &decision), "bt_plan_decision_get");
        CHECK(decision.text[0] != '\0' &&
                  (decision.saved_bytes > 0 || strcmp(decision.pass, "tiles") == 0),
              "%s: %s", decision.pass, decision.text);
        passes |= strcmp(decision.pass, "chains") == 0      ? 1u
                  : strcmp(decision.pass, "recompute") == 0 ? 2u
                  : strcmp(decision.pass, "homes") == 0     ? 4u
                                                            : 0u;
    }
    CHECK(passes == 7, "passes %u", passes);
    bt_plan_free(plan);
    bt_model_free(model);
}

/* Published: 5.36 MB for EEG and 2.24 MB for EOG, batch 8, BatchNorm. */
static void the_conventional_plan_is_as_large_as_published(void) {
    static const struct {
        uint32_t network;
        double published;
    } cases[] = {{0, 5.36e6}, {2, 2.24e6}};
    for (uint32_t i = 0; i < 2; i++) {
        bt_model *model = zoo_model(cases[i].network);
        bt_training_options options = options_default();
        bt_plan *plan = plan_of(model, &options, "gap9", BT_POLICY_CONVENTIONAL);
        bt_plan_info info = info_of(plan);
        double ratio = (double)info.peak_bytes[1] / cases[i].published;
        uint32_t batch_norms = 0;
        for (uint32_t k = 0; k < info.instructions[1]; k++) {
            batch_norms += strcmp(instruction_at(plan, 1, k).name, "batch_norm.forward") == 0;
        }
        printf("    %s: %llu bytes, %.2f of the published\n", zoo_names[cases[i].network],
               (unsigned long long)info.peak_bytes[1], ratio);
        check_report(plan, zoo_names[cases[i].network]);
        CHECK(ratio > 0.9 && ratio < 1.2, "%.2f", ratio);
        CHECK(batch_norms == (i == 0 ? 3 : 5) && info.micro_batch == 8, "%u norms, batch %u",
              batch_norms, info.micro_batch);
        bt_plan_free(plan);
        bt_model_free(model);
    }
}

/* L2 in which training all parameters does not fit, but what is named does. */
static void advice_names_only_what_helps(void) {
    bt_model *model = epidenet();
    bt_training_options options = options_default();
    options.micro_batch = 4;
    bt_target target = target_named("gap9-l2-only");
    target.l1_bytes = 0;
    target.l2_bytes = 260000;
    bt_plan *plan;
    bt_program *program;
    require(bt_plan_create(model, &options, &target, BT_POLICY_COMPILE, 8, &plan), "create");
    bt_plan_info info = info_of(plan);
    const char *advice = bt_plan_advice(plan);
    char missing[64];
    printf("    %s\n", advice);
    snprintf(missing, sizeof missing, ": %llu are missing",
             (unsigned long long)(info.peak_bytes[1] - target.l2_bytes));
    CHECK(strstr(advice, missing) != NULL, "%s", missing);
    CHECK(bt_program_compile(model, &options, &target, &program) == BT_ERROR_CAPACITY &&
              strcmp(bt_error_message(0), advice) == 0,
          "%s", bt_error_message(0));
    static const struct {
        const char *text;
        uint32_t micro_batch, scheme;
    } options_named[] = {{"half the micro-batch", 2, BT_UPDATE_FULL},
                         {"a micro-batch of 1", 1, BT_UPDATE_FULL},
                         {"the update scheme norm-only", 4, BT_UPDATE_NORM_ONLY},
                         {"the update scheme bias-only", 4, BT_UPDATE_BIAS_ONLY},
                         {"the update scheme last-layer", 4, BT_UPDATE_LAST_LAYER}};
    uint32_t named = 0;
    for (uint32_t i = 0; i < 5; i++) {
        options.micro_batch = options_named[i].micro_batch;
        options.scheme = options_named[i].scheme;
        bt_status status = bt_program_compile(model, &options, &target, &program);
        int says = strstr(advice, options_named[i].text) != NULL;
        CHECK(says == (status == BT_OK), "%s: %s", options_named[i].text, bt_status_name(status));
        named += says;
        if (status == BT_OK) {
            bt_program_free(program);
        }
    }
    CHECK(named > 0 && named < 5, "%u options are named", named);
    bt_plan_free(plan);
    target.l2_bytes = 4096;
    require(bt_plan_create(model, &options, &target, BT_POLICY_COMPILE, 8, &plan), "create");
    CHECK(strstr(bt_plan_advice(plan), "shorter windows") != NULL, "%s", bt_plan_advice(plan));
    bt_plan_free(plan);
    bt_model_free(model);
}

static void a_program_has_its_plan(void) {
    bt_model *model = emgnet();
    bt_training_options options = options_default();
    bt_program *program = compile(model, &options, "gap9"), *copy;
    const bt_plan *plan;
    const uint8_t *bytes;
    size_t size;
    require(bt_program_plan(program, &plan), "bt_program_plan");
    CHECK(info_of(plan).peak_bytes[1] == program_info(program).l2_peak_bytes, "other bytes");
    require(bt_program_bytes(program, &bytes, &size), "bt_program_bytes");
    require(bt_program_from_bytes(bytes, size, &copy), "bt_program_from_bytes");
    CHECK(bt_program_plan(copy, &plan) == BT_ERROR_STATE, "bytes have a plan");
    bt_program_free(copy);
    bt_program_free(program);
    bt_model_free(model);
}

int main(void) {
    RUN(plans_of_shipped_networks_are_reported);
    RUN(fused_updates_are_reported);
    RUN(plans_of_random_graphs_are_reported);
    RUN(tensors_have_kinds_and_layers);
    RUN(decisions_say_what_they_saved);
    RUN(no_plan_keeps_the_output_of_a_norm);
    RUN(the_conventional_plan_is_as_large_as_published);
    RUN(advice_names_only_what_helps);
    RUN(a_program_has_its_plan);
    return REPORT();
}
