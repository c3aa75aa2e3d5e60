/* From a model to instructions: update schemes, gradients, options, learning rates, programs. */
#include "networks.h"
#include "support.h"

#include "plan/program_object.h"
#include "train/autodiff.h"

#include <math.h>

/* Opcode names of a sequence, one per line. */
static const char *listing(const bt_training *training, uint32_t sequence) {
    static char text[4096];
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < training->ir.sequences[sequence].count; i++) {
        length += (size_t)snprintf(
            text + length, sizeof text - length, "%s\n",
            bt_opcode_name(training->ir.sequences[sequence].instructions[i].opcode));
    }
    return text;
}

static bt_training build(const bt_model *model, const bt_training_options *options) {
    bt_training training;
    require(bt_training_build(model, options, &training), "bt_training_build");
    return training;
}

static void expect_listing(const bt_model *model, const bt_training_options *options,
                           uint32_t sequence, const char *expected) {
    bt_training training = build(model, options);
    const char *actual = listing(&training, sequence);
    CHECK(strcmp(actual, expected) == 0, "sequence %u is\n%sand should be\n%s", sequence, actual,
          expected);
    bt_training_free(&training);
}

/* conv - group norm - relu - max pool - dropout - flatten - linear. */
static bt_model *small_network(void) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 2, 1, 32};
    uint32_t v = add_input(&b, 4, dims);
    v = add_conv(&b, "conv", v, 4, 2, 1, 5, 1, 2, 2);
    v = add_group_norm(&b, "norm", v, 4, 2);
    v = add_unary(&b, BT_OP_RELU, "relu", v);
    bt_attributes pool = attributes_default();
    pool.kernel[1] = 4;
    pool.strides[1] = 4;
    v = add_node(&b, BT_OP_MAX_POOL, "pool", 1, &v, &pool);
    v = add_unary(&b, BT_OP_DROPOUT, "dropout", v);
    v = add_flatten(&b, v);
    return finish(&b, add_linear(&b, "fc", v, 32, 3));
}

#define FORWARD_TRAIN                                                                              \
    "conv.forward\nnorm.forward\nactivation.forward\nmax_pool."                                    \
    "forward\ndropout\nmatmul\n"                                                                   \
    "cross_entropy\n"

static void full_update_computes_every_gradient_but_the_inputs(void) {
    bt_model *model = small_network();
    bt_training_options options = options_default();
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   FORWARD_TRAIN "matmul\nchannel_sum\nmatmul\ndropout\nmax_pool.grad\n"
                                 "activation.grad\nnorm.grad_parameters\nnorm.grad_input\n"
                                 "conv.grad_weight\n");
    expect_listing(model, &options, BT_SEQUENCE_EVALUATE,
                   "conv.forward\nnorm.forward\nactivation.forward\nmax_pool."
                   "forward\nmatmul\n"
                   "cross_entropy\n");
    expect_listing(model, &options, BT_SEQUENCE_BEGIN, "zero\nzero\nzero\nzero\nzero\n");
    expect_listing(model, &options, BT_SEQUENCE_UPDATE, "sgd\nsgd\nsgd\nsgd\nsgd\n");
    options.optimizer = BT_OPTIMIZER_ADAMW;
    expect_listing(model, &options, BT_SEQUENCE_UPDATE, "adam\nadam\nadam\nadam\nadam\n");
    options.input_gradient = 1;
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   FORWARD_TRAIN "matmul\nchannel_sum\nmatmul\ndropout\nmax_pool.grad\n"
                                 "activation.grad\nnorm.grad_parameters\nnorm.grad_input\n"
                                 "conv.grad_weight\nconv.grad_input\n");
    bt_model_free(model);
}

static void a_frozen_prefix_has_no_backward_pass(void) {
    bt_model *model = small_network();
    bt_training_options options = options_default();
    options.scheme = BT_UPDATE_LAST_LAYER;
    expect_listing(model, &options, BT_SEQUENCE_TRAIN, FORWARD_TRAIN "matmul\nchannel_sum\n");
    expect_listing(model, &options, BT_SEQUENCE_UPDATE, "sgd\nsgd\n");
    options.scheme = BT_UPDATE_NORM_ONLY;
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   FORWARD_TRAIN "matmul\ndropout\nmax_pool.grad\nactivation.grad\n"
                                 "norm.grad_parameters\n");
    options.scheme = BT_UPDATE_BIAS_ONLY;
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   FORWARD_TRAIN "channel_sum\nmatmul\ndropout\nmax_pool.grad\nactivation.grad\n"
                                 "norm.grad_parameters\n");
    const char *const names[] = {"fc.bias"};
    options.scheme = BT_UPDATE_LIST;
    options.trainable = names;
    options.trainable_count = 1;
    expect_listing(model, &options, BT_SEQUENCE_TRAIN, FORWARD_TRAIN "channel_sum\n");
    bt_model_free(model);
}

static void pools_keep_positions_only_for_a_backward_pass(void) {
    bt_model *model = small_network();
    bt_training_options options = options_default();
    for (uint32_t scheme = BT_UPDATE_FULL; scheme <= BT_UPDATE_LAST_LAYER; scheme++) {
        options.scheme = scheme;
        bt_training training = build(model, &options);
        const bt_instruction *pool = &training.ir.sequences[BT_SEQUENCE_TRAIN].instructions[3];
        CHECK((pool->operands[2] == BT_NO_TENSOR) == (scheme == BT_UPDATE_LAST_LAYER), "scheme %u",
              scheme);
        CHECK(training.ir.sequences[BT_SEQUENCE_EVALUATE].instructions[3].operands[2] ==
                  BT_NO_TENSOR,
              "scheme %u", scheme);
        bt_training_free(&training);
    }
    bt_model_free(model);
}

/* x is used by two branches: relu(x) + x. */
static void a_value_used_twice_collects_both_gradients(void) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 6};
    uint32_t x = add_input(&b, 2, dims);
    x = add_linear(&b, "first", x, 6, 6);
    const uint32_t both[] = {add_unary(&b, BT_OP_TANH, "tanh", x), x};
    bt_model *model = finish(&b, add_node(&b, BT_OP_ADD, "sum", 2, both, NULL));
    bt_training_options options = options_default();
    options.loss = BT_LOSS_MSE;
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   "matmul\nactivation.forward\nbinary\nmse\nactivation."
                   "grad\nbinary\nmatmul\n"
                   "channel_sum\n");
    bt_model_free(model);
}

static bt_model *batch_norm_network(void) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 3, 8};
    uint32_t x = add_input(&b, 3, dims);
    const uint32_t inputs[] = {x, add_vector(&b, "bn.weight", 3, 1.0f, 0.1f),
                               add_vector(&b, "bn.bias", 3, 0.0f, 0.1f),
                               add_vector(&b, "bn.running_mean", 3, 0.0f, 0.1f),
                               add_vector(&b, "bn.running_var", 3, 1.0f, 0.1f)};
    uint32_t v = add_node(&b, BT_OP_BATCH_NORM, "bn", 5, inputs, NULL);
    return finish(&b, add_linear(&b, "fc", add_flatten(&b, v), 24, 2));
}

static void batch_norm_is_frozen_or_trained_with_a_batch(void) {
    bt_model *model = batch_norm_network();
    bt_training_options options = options_default();
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   "frozen_norm.forward\nmatmul\ncross_entropy\nmatmul\nchannel_"
                   "sum\nmatmul\n"
                   "frozen_norm.grad_parameters\n");
    options.batch_norm = BT_BATCH_NORM_TRAINING;
    bt_training training;
    CHECK(bt_training_build(model, &options, &training) == BT_ERROR_UNSUPPORTED &&
              strstr(bt_error_message(0), "micro_batch of 2 or more") != NULL,
          "%s", bt_error_message(0));
    options.micro_batch = 4;
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   "batch_norm.forward\nmatmul\ncross_entropy\nmatmul\nchannel_sum\nmatmul\n"
                   "batch_norm.grad_parameters\n");
    expect_listing(model, &options, BT_SEQUENCE_EVALUATE,
                   "frozen_norm.forward\nmatmul\ncross_entropy\n");
    training = build(model, &options);
    CHECK(training.parameters == 6 + 50 && training.trainable_parameters == 6 + 50, "%llu of %llu",
          (unsigned long long)training.trainable_parameters,
          (unsigned long long)training.parameters);
    bt_training_free(&training);
    bt_model_free(model);
}

/* Nothing but a parameter or the input as output: what losses are tested with. */
static void models_without_nodes_compile(void) {
    for (int parameter = 0; parameter < 2; parameter++) {
        builder b = builder_new(3);
        const int32_t dims[] = {1, 5};
        uint32_t x = add_input(&b, 2, dims);
        uint32_t p = add_parameter(&b, "p", 2, dims, 0.0f, 1.0f);
        bt_model *model = finish(&b, parameter ? p : x);
        bt_training_options options = options_default();
        options.input_gradient = 1;
        expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                       parameter ? "cross_entropy\naccumulate\nzero\n" : "cross_entropy\n");
        bt_program_free(compile(model, &options, "gap9"));
        bt_model_free(model);
    }
}

/* Products of two parameters, and a convolution over one. */
static void parameters_can_be_any_operand(void) {
    builder b = builder_new(3);
    const int32_t in[] = {1, 2}, a_dims[] = {1, 3, 4}, b_dims[] = {4, 5}, w_dims[] = {2, 3, 2};
    add_input(&b, 2, in);
    uint32_t p = add_parameter(&b, "a", 3, a_dims, 0.0f, 1.0f);
    const uint32_t matmul[] = {p, add_parameter(&b, "b", 2, b_dims, 0.0f, 1.0f)};
    uint32_t v = add_node(&b, BT_OP_MATMUL, "product", 2, matmul, NULL);
    const uint32_t conv[] = {p, add_parameter(&b, "w", 3, w_dims, 0.0f, 1.0f)};
    uint32_t w = add_node(&b, BT_OP_CONV, "conv", 2, conv, NULL);
    const uint32_t joined[] = {add_flatten(&b, v), add_flatten(&b, w)};
    bt_attributes axis = attributes_default();
    axis.axis = 1;
    bt_model *model = finish(&b, add_node(&b, BT_OP_CONCAT, "join", 2, joined, &axis));
    bt_training_options options = options_default();
    options.loss = BT_LOSS_INNER_PRODUCT;
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   "matmul\nconv.forward\ncopy_blocks\ncopy_blocks\ninner_"
                   "product\ncopy_blocks\n"
                   "copy_blocks\nconv.grad_weight\nconv.grad_"
                   "input\naccumulate\nmatmul\nmatmul\n");
    bt_model_free(model);
}

/* A node that the output does not depend on costs nothing and its parameters are not trained. */
static void dead_nodes_are_left_out(void) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 4};
    uint32_t x = add_input(&b, 2, dims);
    uint32_t y = add_linear(&b, "fc", x, 4, 2);
    add_linear(&b, "dead", x, 4, 2);
    bt_model *model = finish(&b, y);
    bt_training_options options = options_default();
    expect_listing(model, &options, BT_SEQUENCE_TRAIN,
                   "matmul\ncross_entropy\nmatmul\nchannel_sum\n");
    const char *const names[] = {"dead.bias"};
    options.scheme = BT_UPDATE_LIST;
    options.trainable = names;
    options.trainable_count = 1;
    bt_training training;
    CHECK(bt_training_build(model, &options, &training) == BT_ERROR_ARGUMENT &&
              strstr(bt_error_message(0), "does not depend") != NULL,
          "%s", bt_error_message(0));
    bt_model_free(model);
}

static void expect_refused(const bt_model *model, const bt_training_options *options,
                           const char *sentence) {
    bt_target host = target_named("host");
    bt_program *program = NULL;
    bt_status status = bt_program_compile(model, options, &host, &program);
    CHECK(status != BT_OK && status != BT_ERROR_INTERNAL && program == NULL, "%s: %s", sentence,
          bt_status_name(status));
    CHECK(status == BT_OK || strstr(bt_error_message(0), sentence) != NULL, "'%s' is not in '%s'",
          sentence, bt_error_message(0));
}

#define REFUSED(change, sentence)                                                                  \
    do {                                                                                           \
        bt_training_options options = options_default();                                           \
        change;                                                                                    \
        expect_refused(model, &options, sentence);                                                 \
    } while (0)

static void options_that_make_no_sense_are_refused(void) {
    bt_model *model = small_network();
    const char *const unknown[] = {"fc.bias", "fc.wieght"};
    REFUSED(options.struct_size = 4, "struct_size is 4");
    REFUSED(options.loss = 0, "loss is 0");
    REFUSED(options.loss = 4, "loss is 4");
    REFUSED(options.optimizer = 9, "optimizer is 9");
    REFUSED(options.scheme = 0, "scheme is 0");
    REFUSED(options.schedule = 7, "schedule is 7");
    REFUSED(options.batch_norm = 3, "batch_norm is 3");
    REFUSED(options.micro_batch = 0, "micro_batch is 0");
    REFUSED(options.micro_batch = 5000, "micro_batch is 5000");
    REFUSED(options.nesterov = 2, "nesterov is 2");
    REFUSED(options.input_gradient = 2, "input_gradient is 2");
    REFUSED(options.stash_fp16 = 2, "stash_fp16 is 2");
    REFUSED(options.learning_rate = -1.0f, "learning_rate is -1");
    REFUSED(options.learning_rate = NAN, "learning_rate is");
    REFUSED(options.momentum = 1.0f, "momentum is 1");
    REFUSED(options.weight_decay = INFINITY, "weight_decay is inf");
    REFUSED((options.nesterov = 1, options.momentum = 0.0f), "Nesterov needs momentum");
    REFUSED((options.optimizer = BT_OPTIMIZER_ADAM, options.beta1 = 1.0f), "beta1 is 1");
    REFUSED((options.optimizer = BT_OPTIMIZER_ADAM, options.beta2 = -0.5f), "beta2 is -0.5");
    REFUSED((options.optimizer = BT_OPTIMIZER_ADAMW, options.epsilon = 0.0f), "epsilon is 0");
    REFUSED(options.minimum_rate = 1.0f, "minimum_rate is 1");
    REFUSED((options.schedule = BT_SCHEDULE_STEP, options.decay_steps = 0), "decay_steps is 0");
    REFUSED((options.schedule = BT_SCHEDULE_STEP, options.decay = -1.0f), "decay is -1");
    REFUSED(options.scheme = BT_UPDATE_LIST, "the list is empty");
    REFUSED(
        (options.scheme = BT_UPDATE_LIST, options.trainable = unknown, options.trainable_count = 2),
        "no parameter 'fc.wieght', named in trainable; these can be trained: "
        "conv.weight, "
        "norm.weight, norm.bias, fc.weight, fc.bias");
    bt_model_free(model);
}

static void models_that_cannot_be_trained_are_refused(void) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 1};
    bt_model *model = b.model;
    REFUSED((void)0, "no input");
    uint32_t x = add_input(&b, 2, dims);
    REFUSED((void)0, "no output");
    bt_model_set_output(model, x);
    REFUSED((void)0, "at least 2 classes");
    REFUSED(options.loss = BT_LOSS_MSE, "full finds no parameter");
    uint32_t p = add_vector(&b, "p", 3, 0.0f, 1.0f);
    bt_model_set_output(model, p);
    REFUSED(options.loss = BT_LOSS_MSE, "first dimension must be the batch");
    bt_model_free(model);
    model = batch_norm_network();
    const char *const statistic[] = {"bn.running_var"};
    REFUSED((options.scheme = BT_UPDATE_LIST, options.trainable = statistic,
             options.trainable_count = 1),
            "running statistic");
    bt_model_free(model);
}

static void a_program_that_does_not_fit_says_how_much_it_needs(void) {
    bt_model *model = mi_bminet(8, 64, 0);
    bt_training_options options = options_default();
    bt_target small = target_named("gap9");
    small.l2_bytes = 20000;
    small.l3_bytes = 0;
    bt_program *program;
    CHECK(bt_program_compile(model, &options, &small, &program) == BT_ERROR_CAPACITY &&
              strstr(bt_error_message(0), "gap9 has 20000") != NULL,
          "%s", bt_error_message(0));
    bt_model_free(model);
}

static void what_does_not_fit_l2_lives_in_l3(void) {
    bt_model *model = mi_bminet(8, 64, 0);
    bt_training_options options = options_default();
    bt_target small = target_named("gap9");
    small.l2_bytes = 20000;
    bt_program *program;
    require(bt_program_compile(model, &options, &small, &program), "bt_program_compile");
    bt_program_info info = program_info(program);
    CHECK(info.l2_peak_bytes <= 20000 && info.l3_peak_bytes > 0, "%u bytes of L2, %u of L3",
          info.l2_peak_bytes, info.l3_peak_bytes);
    bt_program_free(program);
    bt_model_free(model);
}

static void targets_are_found_by_name(void) {
    bt_target target;
    require(bt_target_find("gap9", &target), "gap9");
    CHECK(target.cores == 8 && target.l1_bytes == 114688 && target.l2_bytes == 1310720 &&
              target.l3_bytes == 33554432 && target.struct_size == sizeof target,
          "%u %u", target.l1_bytes, target.l2_bytes);
    CHECK(bt_target_find("gap8", &target) == BT_ERROR_ARGUMENT, "%s", bt_error_message(0));
}

static void information_matches_the_network(void) {
    bt_model *model = epidenet();
    bt_training_options options = options_default();
    bt_program *one = compile(model, &options, "gap9");
    options.micro_batch = 4;
    bt_program *four = compile(model, &options, "gap9");
    bt_program_info a = program_info(one), b = program_info(four);
    CHECK(a.parameters == 4179 && a.trainable_parameters == 4179, "%u", a.trainable_parameters);
    CHECK(a.input_elements == 2000 && a.output_elements == 11, "%u", a.input_elements);
    /* The first layer's input needs no gradient: 3 x forward less one conv1. */
    CHECK(a.forward_macs == 341072 && a.training_macs == 3 * 341072 - 31904, "%llu, %llu",
          (unsigned long long)a.forward_macs, (unsigned long long)a.training_macs);
    CHECK(b.forward_macs == a.forward_macs && b.training_macs == a.training_macs, "per sample");
    CHECK(b.micro_batch == 4 && b.input_elements == 2000, "%u", b.input_elements);
    CHECK(a.persistent_bytes == 3 * 4 * 4179, "%u", a.persistent_bytes);
    bt_program_free(one);
    bt_program_free(four);
    bt_model_free(model);
}

static void programs_survive_as_bytes(void) {
    bt_model *model = small_network();
    bt_training_options options = options_default();
    bt_program *program = compile(model, &options, "gap9"), *loaded = NULL;
    const uint8_t *bytes, *loaded_bytes;
    size_t size, loaded_size;
    require(bt_program_bytes(program, &bytes, &size), "bt_program_bytes");
    require(bt_program_from_bytes(bytes, size, &loaded), "bt_program_from_bytes");
    require(bt_program_bytes(loaded, &loaded_bytes, &loaded_size), "bt_program_bytes");
    CHECK(size == loaded_size && memcmp(bytes, loaded_bytes, size) == 0, "%zu bytes", loaded_size);
    bt_program_info a = program_info(program), b = program_info(loaded);
    CHECK(a.instructions == b.instructions && a.l2_peak_bytes == b.l2_peak_bytes &&
              a.output_elements == b.output_elements && b.parameters == 0,
          "%u instructions", b.instructions);
    CHECK(program->initial_count == 5 && loaded->initial_count == 0, "%u", program->initial_count);
    bt_program_free(loaded);
    bt_program_free(program);
    bt_program_free(NULL);
    bt_model_free(model);
}

static void every_damaged_byte_is_seen(void) {
    bt_model *model = small_network();
    bt_training_options options = options_default();
    bt_program *program = compile(model, &options, "gap9"), *loaded;
    uint8_t *copy = malloc(program->size);
    uint32_t accepted = 0;
    for (size_t i = 0; i < program->size; i++) {
        memcpy(copy, program->bytes, program->size);
        copy[i] ^= 0x10;
        if (bt_program_from_bytes(copy, program->size, &loaded) == BT_OK) {
            accepted++;
            bt_program_free(loaded);
        }
    }
    CHECK(accepted == 0, "%u of %zu damaged programs were accepted", accepted, program->size);
    CHECK(bt_program_from_bytes(program->bytes, 12, &loaded) == BT_ERROR_PROGRAM, "%s",
          bt_error_message(0));
    CHECK(bt_program_from_bytes(program->bytes, 0, &loaded) == BT_ERROR_PROGRAM, "%s",
          bt_error_message(0));
    /* With a right checksum the sentence names the place. */
    bt_program_header header;
    memcpy(copy, program->bytes, program->size);
    memcpy(&header, copy, sizeof header);
    copy[header.sequence_offset[BT_SEQUENCE_TRAIN]] = 0xEE;
    header.crc = 0;
    memcpy(copy, &header, sizeof header);
    header.crc = bt_crc32c(0, copy, program->size);
    memcpy(copy, &header, sizeof header);
    CHECK(bt_program_from_bytes(copy, program->size, &loaded) == BT_ERROR_PROGRAM &&
              strstr(bt_error_message(0), "Instruction 0 of the sequence train") != NULL,
          "%s", bt_error_message(0));
    free(copy);
    bt_program_free(program);
    bt_model_free(model);
}

static float rate(const bt_training_options *options, uint64_t step, uint64_t total) {
    float value = NAN;
    require(bt_learning_rate(options, step, total, &value), "bt_learning_rate");
    return value;
}

static void learning_rates_follow_the_schedule(void) {
    bt_training_options options = options_default();
    /* PyTorch's CosineAnnealingLR from 0.005 with T_max 4. */
    const float cosine[] = {0.005f, 0.00426776695f, 0.0025f, 0.000732233047f};
    for (uint64_t i = 0; i < 4; i++) {
        CHECK(fabsf(rate(&options, i, 4) - cosine[i]) <= 1e-9f, "step %d: %g", (int)i,
              (double)rate(&options, i, 4));
    }
    options.minimum_rate = 0.001f;
    CHECK(fabsf(rate(&options, 2, 4) - 0.003f) <= 1e-9f, "%g", (double)rate(&options, 2, 4));
    options.schedule = BT_SCHEDULE_CONSTANT;
    CHECK(rate(&options, 3, 4) == 0.005f, "%g", (double)rate(&options, 3, 4));
    options.schedule = BT_SCHEDULE_STEP;
    options.decay = 0.5f;
    options.decay_steps = 3;
    CHECK(rate(&options, 2, 9) == 0.005f && rate(&options, 3, 9) == 0.0025f &&
              rate(&options, 8, 9) == 0.00125f,
          "%g", (double)rate(&options, 8, 9));
    options.warmup_steps = 2;
    CHECK(rate(&options, 0, 9) == 0.0f && rate(&options, 1, 9) == 0.0025f &&
              rate(&options, 2, 9) == 0.005f && rate(&options, 5, 9) == 0.0025f,
          "%g", (double)rate(&options, 5, 9));
    float value;
    CHECK(bt_learning_rate(&options, 9, 9, &value) == BT_ERROR_ARGUMENT, "%s", bt_error_message(0));
}

int main(void) {
    RUN(full_update_computes_every_gradient_but_the_inputs);
    RUN(a_frozen_prefix_has_no_backward_pass);
    RUN(pools_keep_positions_only_for_a_backward_pass);
    RUN(a_value_used_twice_collects_both_gradients);
    RUN(batch_norm_is_frozen_or_trained_with_a_batch);
    RUN(models_without_nodes_compile);
    RUN(parameters_can_be_any_operand);
    RUN(dead_nodes_are_left_out);
    RUN(options_that_make_no_sense_are_refused);
    RUN(models_that_cannot_be_trained_are_refused);
    RUN(a_program_that_does_not_fit_says_how_much_it_needs);
    RUN(what_does_not_fit_l2_lives_in_l3);
    RUN(targets_are_found_by_name);
    RUN(information_matches_the_network);
    RUN(programs_survive_as_bytes);
    RUN(every_damaged_byte_is_seen);
    RUN(learning_rates_follow_the_schedule);
    return REPORT();
}
