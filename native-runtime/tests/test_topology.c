/*
 * Topology passes: what each changes and what it does not. Exact ones give the same losses,
 * parameters and outputs bit by bit; folding and the change to group normalisation give the same
 * function within stated limits.
 */
#include "networks.h"
#include "random_graph.h"
#include "support.h"

#include <math.h>
#include <stdbool.h>

#define SAMPLES 24u
#define CHANNELS 4
#define LENGTH 96
#define ELEMENTS (CHANNELS * LENGTH)
#define CLASSES 3
#define STEPS 20u

/* ---- networks */

typedef struct shape_of_network {
    bool linear_norm; /* a hidden linear layer with BatchNorm, of transposed weight */
    float dropout;    /* before the last layer; 0: none */
} shape_of_network;

static uint32_t add_batch_norm(builder *b, const char *name, uint32_t x, int32_t channels) {
    char names[4][40];
    static const char *const parts[] = {"weight", "bias", "mean", "variance"};
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s.%s", name, parts[i]);
    }
    const uint32_t inputs[] = {x, add_vector(b, names[0], channels, 1.0f, 0.4f),
                               add_vector(b, names[1], channels, 0.0f, 0.4f),
                               add_vector(b, names[2], channels, 0.1f, 0.5f),
                               add_vector(b, names[3], channels, 0.8f, 0.6f)};
    bt_attributes attributes = attributes_default();
    attributes.epsilon = 1e-3f;
    return add_node(b, BT_OP_BATCH_NORM, name, 5, inputs, &attributes);
}

/* Convolutions with BatchNorm, as EEGNet has them, and a linear layer, the last. */
static bt_model *network(shape_of_network shape) {
    builder b = builder_new(21);
    const int32_t dims[] = {1, 1, CHANNELS, LENGTH};
    uint32_t v = add_input(&b, 4, dims);
    v = add_conv(&b, "conv1", v, 4, 1, 1, 8, 1, 3, 4);
    v = add_batch_norm(&b, "bn1", v, 4);
    v = add_conv(&b, "conv2", v, 8, 1, CHANNELS, 1, 4, 0, 0);
    v = add_batch_norm(&b, "bn2", v, 8);
    v = add_unary(&b, BT_OP_ELU, "elu", v);
    v = add_average_pool(&b, "pool", v, 4);
    v = add_flatten(&b, v);
    int32_t features = 8 * LENGTH / 4;
    if (shape.linear_norm) {
        const int32_t weight[] = {features, 10};
        bt_attributes attributes = attributes_parse("flags=2");
        const uint32_t inputs[] = {v, add_parameter(&b, "hidden.weight", 2, weight, 0.0f, 0.1f),
                                   add_vector(&b, "hidden.bias", 10, 0.0f, 0.2f)};
        v = add_node(&b, BT_OP_LINEAR, "hidden", 3, inputs, &attributes);
        v = add_batch_norm(&b, "bn3", v, 10);
        v = add_unary(&b, BT_OP_TANH, "tanh", v);
        features = 10;
    }
    if (shape.dropout > 0.0f) {
        bt_attributes attributes = attributes_default();
        attributes.ratio = shape.dropout;
        v = add_node(&b, BT_OP_DROPOUT, "dropout", 1, &v, &attributes);
    }
    return finish(&b, add_linear(&b, "fc", v, features, CLASSES));
}

static bt_training_options last_layer(void) {
    bt_training_options options = options_default();
    options.scheme = BT_UPDATE_LAST_LAYER;
    options.seed = 77;
    return options;
}

/* ---- sessions */

typedef struct rig {
    bt_device *device;
    bt_session *session;
    bt_program_info plan;
} rig;

static rig rig_open(const bt_model *model, const bt_training_options *options) {
    rig r;
    bt_program *program = compile(model, options, "gap9");
    r.plan = program_info(program);
    require(bt_device_open("sim:?cores=2", NULL, &r.device), "sim:");
    require(bt_session_open(r.device, program, &r.session), "bt_session_open");
    bt_program_free(program); /* a session keeps what it needs of it */
    return r;
}

static void rig_close(rig *r) {
    bt_session_close(r->session);
    bt_device_close(r->device);
}

/* Uploads count samples of the network's input, classes in turn; returns the first index. */
static uint32_t upload_noise(rig *r, uint32_t format, uint32_t count, uint32_t seed) {
    uint32_t elements = r->plan.input_elements;
    float *inputs = malloc((size_t)count * elements * sizeof *inputs);
    int32_t *labels = malloc(count * sizeof *labels);
    uint32_t first;
    for (uint32_t i = 0; i < count * elements; i++) {
        inputs[i] = next_float(&seed) + (float)(i / elements % 3) * 0.2f;
    }
    for (uint32_t i = 0; i < count; i++) {
        labels[i] = (int32_t)(i % (r->plan.output_elements < 3 ? 2 : 3));
    }
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = count,
                                .format = format,
                                .channels = elements % CHANNELS == 0 ? CHANNELS : 1,
                                .inputs = inputs,
                                .labels = labels};
    require(bt_session_upload(r->session, &samples, &first), "bt_session_upload");
    free(inputs);
    free(labels);
    return first;
}

typedef struct losses {
    uint32_t count;
    float values[4 * STEPS];
} losses;

static uint32_t keep_loss(void *user, const bt_step_record *record) {
    losses *all = user;
    all->values[all->count++] = record->loss;
    return 0;
}

static void train(rig *r, uint32_t batch, uint32_t count, losses *all) {
    bt_step steps[STEPS];
    uint32_t indices[STEPS * 8];
    for (uint32_t i = 0; i < count; i++) {
        steps[i] = (bt_step){.samples = batch, .learning_rate = 0.02f};
    }
    for (uint32_t i = 0; i < count * batch; i++) {
        indices[i] = (5 * i + all->count) % SAMPLES;
    }
    require(bt_session_train(r->session, steps, count, indices, keep_loss, all), "train");
}

/* Outputs of the samples first … first + SAMPLES - 1; the caller frees them. */
static float *outputs_of(rig *r, uint32_t first) {
    uint32_t indices[SAMPLES];
    float *outputs = malloc(SAMPLES * r->plan.output_elements * sizeof *outputs);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        indices[i] = first + i;
    }
    require(bt_session_evaluate(r->session, indices, SAMPLES, outputs, NULL), "evaluate");
    return outputs;
}

/* The first named tensor of a that b has with other bits, or does not have; NULL if none. Folded
 * parameters are a matter of one program. */
static const char *different_tensor(const rig *a, const rig *b) {
    for (uint32_t i = 0; i < bt_session_tensor_count(a->session); i++) {
        bt_tensor_info info = {.struct_size = sizeof info};
        require(bt_session_tensor_info(a->session, i, &info), "bt_session_tensor_info");
        float *x = malloc(info.bytes), *y = malloc(info.bytes);
        require(bt_session_read(a->session, info.name, x, info.bytes / 4), info.name);
        bool same = strncmp(info.name, "folded.", 7) == 0 ||
                    (bt_session_read(b->session, info.name, y, info.bytes / 4) == BT_OK &&
                     memcmp(x, y, info.bytes) == 0);
        free(x);
        free(y);
        if (!same) {
            return info.name;
        }
    }
    return NULL;
}

static void check_refused(bt_status status, bt_status expected, const char *words) {
    const char *message = bt_error_depth() > 0 ? bt_error_message(0) : "";
    CHECK(status == expected, "%s (%s) instead of %s", bt_status_name(status), message,
          bt_status_name(expected));
    CHECK(strstr(message, words) != NULL, "\"%s\" does not say \"%s\"", message, words);
}

static void check_compile_refused(const bt_model *model, const bt_training_options *options,
                                  bt_status expected, const char *words) {
    bt_target target = target_named("gap9");
    bt_program *program = NULL;
    check_refused(bt_program_compile(model, options, &target, &program), expected, words);
    CHECK(program == NULL, "a program in spite of it");
}

/* Largest difference of the outputs of SAMPLES samples, relative to the largest output. */
static double output_difference(const float *a, const float *b, uint32_t count) {
    double difference = 0, largest = 0;
    for (uint32_t i = 0; i < count; i++) {
        difference = fmax(difference, fabs((double)a[i] - b[i]));
        largest = fmax(largest, fabs((double)a[i]));
    }
    return difference / largest;
}

/* ---- the list */

static void passes_are_listed(void) {
    CHECK(bt_pass_count() == 5, "%u passes", bt_pass_count());
    for (uint32_t i = 0; i < bt_pass_count(); i++) {
        bt_pass_info info = {.struct_size = sizeof info};
        require(bt_pass_info_get(i, &info), "bt_pass_info_get");
        CHECK(info.pass == i + 1 && strlen(info.name) > 0 && strlen(info.effect) > 0 &&
                  strlen(info.limits) > 0 && info.exactness >= BT_EXACTNESS_BITS &&
                  info.exactness <= BT_EXACTNESS_CHANGES,
              "pass %u", i);
    }
    bt_pass_info info = {.struct_size = sizeof info};
    check_refused(bt_pass_info_get(5, &info), BT_ERROR_ARGUMENT, "no pass 5");
}

static void options_are_checked(void) {
    bt_model *model = network((shape_of_network){0});
    bt_training_options options = options_default();
    options.cache_features = 2;
    check_compile_refused(model, &options, BT_ERROR_ARGUMENT, "cache_features is 2");
    options = options_default();
    options.batch_norm = BT_BATCH_NORM_TRAINING;
    check_compile_refused(model, &options, BT_ERROR_UNSUPPORTED, "batch-norm-to-group-norm");
    bt_model_free(model);
}

/* ---- dead-gradients */

static void dead_gradients_change_no_bit(void) {
    static const uint32_t schemes[] = {BT_UPDATE_FULL, BT_UPDATE_LAST_LAYER, BT_UPDATE_BIAS_ONLY,
                                       BT_UPDATE_NORM_ONLY};
    bt_model *model = network((shape_of_network){.linear_norm = true, .dropout = 0.25f});
    for (uint32_t i = 0; i < 4; i++) {
        bt_training_options options = last_layer();
        options.scheme = schemes[i];
        rig with = rig_open(model, &options);
        options.dead_gradients = 0;
        rig without = rig_open(model, &options);
        losses a = {0}, b = {0};
        upload_noise(&with, BT_SAMPLE_INT16, SAMPLES, 5);
        upload_noise(&without, BT_SAMPLE_INT16, SAMPLES, 5);
        train(&with, 4, STEPS, &a);
        train(&without, 4, STEPS, &b);
        CHECK(memcmp(a.values, b.values, sizeof a.values) == 0, "scheme %u: losses", schemes[i]);
        const char *name = different_tensor(&with, &without);
        CHECK(name == NULL, "scheme %u: %s differs", schemes[i], name);
        CHECK(with.plan.training_macs < without.plan.training_macs,
              "scheme %u: %llu and %llu multiply-adds", schemes[i],
              (unsigned long long)with.plan.training_macs,
              (unsigned long long)without.plan.training_macs);
        printf("    scheme %u: %llu multiply-adds instead of %llu, %u bytes of L1 and L2 instead "
               "of %u\n",
               schemes[i], (unsigned long long)with.plan.training_macs,
               (unsigned long long)without.plan.training_macs,
               with.plan.l1_peak_bytes + with.plan.l2_peak_bytes,
               without.plan.l1_peak_bytes + without.plan.l2_peak_bytes);
        rig_close(&with);
        rig_close(&without);
    }
    bt_model_free(model);
}

/* ---- batch-norm-to-group-norm */

/* One BatchNorm of 6 channels with 20 positions. */
static bt_model *norm_network(void) {
    builder b = builder_new(8);
    const int32_t dims[] = {1, 6, 20};
    uint32_t v = add_input(&b, 3, dims);
    return finish(&b, add_batch_norm(&b, "bn", v, 6));
}

/* A sample whose channels have exactly the running statistics: mean ± deviation in turn. */
static void fill_with_statistics(const bt_model *model, float sample[120]) {
    float mean[6], variance[6];
    require(bt_model_parameter_get(model, "bn.mean", mean, 6), "mean");
    require(bt_model_parameter_get(model, "bn.variance", variance, 6), "variance");
    for (uint32_t i = 0; i < 120; i++) {
        float deviation = sqrtf(variance[i / 20]);
        sample[i] = mean[i / 20] + (i % 2 == 0 ? deviation : -deviation);
    }
}

static void outputs_of_sample(const bt_model *model, const float sample[120], float outputs[120]) {
    bt_training_options options = options_default();
    const float targets[120] = {0};
    const uint32_t index = 0;
    uint32_t first;
    options.loss = BT_LOSS_MSE;
    rig r = rig_open(model, &options);
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = 1,
                                .format = BT_SAMPLE_FLOAT32,
                                .channels = 1,
                                .inputs = sample,
                                .targets = targets};
    require(bt_session_upload(r.session, &samples, &first), "bt_session_upload");
    require(bt_session_evaluate(r.session, &index, 1, outputs, NULL), "evaluate");
    rig_close(&r);
}

static void group_norm_equals_batch_norm_on_the_running_statistics(void) {
    bt_model *model = norm_network();
    for (uint32_t groups = 1; groups <= 6; groups++) {
        bt_model *converted = NULL;
        bt_status status = bt_model_group_norm(model, groups, &converted);
        if (6 % groups != 0) {
            check_refused(status, BT_ERROR_ARGUMENT, "6 channels");
            continue;
        }
        require(status, "bt_model_group_norm");
        float sample[120], other[120], expected[120], computed[120];
        fill_with_statistics(model, sample);
        outputs_of_sample(model, sample, expected);
        outputs_of_sample(converted, sample, computed);
        double same = output_difference(expected, computed, 120);
        CHECK(same < 2e-6, "%u groups: %g", groups, same);
        /* Half the amplitude around the mean of each channel is not a sample of these statistics.
         */
        for (uint32_t i = 0; i < 120; i++) {
            other[i] =
                0.5f * (sample[i] + sample[i / 20 * 20] * 0.5f + sample[i / 20 * 20 + 1] * 0.5f);
        }
        outputs_of_sample(model, other, expected);
        outputs_of_sample(converted, other, computed);
        double differs = output_difference(expected, computed, 120);
        CHECK(differs > 1e-2, "%u groups: %g", groups, differs);
        printf("    %u groups: %.1e on the running statistics, %.2f on half the amplitude\n",
               groups, same, differs);
        bt_model_free(converted);
    }
    bt_model_free(model);
}

static void group_norm_keeps_names_and_trains_alone(void) {
    bt_model *model = network((shape_of_network){0}), *converted;
    bt_training_options options = options_default();
    float value[8];
    require(bt_model_group_norm(model, 2, &converted), "bt_model_group_norm");
    require(bt_model_parameter_get(converted, "bn2.weight", value, 8), "bn2.weight");
    check_refused(bt_model_parameter_get(converted, "bn2.mean", value, 8), BT_ERROR_ARGUMENT,
                  "no parameter 'bn2.mean'");
    options.batch_norm = BT_BATCH_NORM_TRAINING; /* concerns no layer any more */
    rig r = rig_open(converted, &options);
    losses all = {0};
    upload_noise(&r, BT_SAMPLE_INT16, SAMPLES, 6);
    train(&r, 8, STEPS, &all);
    CHECK(all.values[STEPS - 1] < all.values[0], "loss from %f to %f", (double)all.values[0],
          (double)all.values[STEPS - 1]);
    rig_close(&r);
    bt_model_free(converted);
    bt_model_free(model);
}

static void shared_scales_are_refused(void) {
    builder b = builder_new(8);
    const int32_t dims[] = {1, 6, 20};
    uint32_t v = add_input(&b, 3, dims);
    const uint32_t scale = add_vector(&b, "scale", 6, 1.0f, 0.1f);
    const uint32_t inputs[] = {v, scale, add_vector(&b, "bias", 6, 0.0f, 0.1f),
                               add_vector(&b, "mean", 6, 0.0f, 0.1f),
                               add_vector(&b, "variance", 6, 1.0f, 0.1f)};
    v = add_node(&b, BT_OP_BATCH_NORM, "bn", 5, inputs, NULL);
    const uint32_t again[] = {v, scale, add_vector(&b, "bias2", 6, 0.0f, 0.1f)};
    bt_model *model = finish(&b, add_node(&b, BT_OP_GROUP_NORM, "gn", 3, again, NULL)), *converted;
    check_refused(bt_model_group_norm(model, 1, &converted), BT_ERROR_UNSUPPORTED,
                  "other layers read");
    bt_model_free(model);
}

/* ---- fold-batch-norm */

static void folding_keeps_the_function(void) {
    bt_model *model = network((shape_of_network){.linear_norm = true});
    bt_training_options options = last_layer();
    rig plain = rig_open(model, &options);
    options.fold_batch_norm = 1;
    rig folded = rig_open(model, &options);
    upload_noise(&plain, BT_SAMPLE_FLOAT32, SAMPLES, 9);
    upload_noise(&folded, BT_SAMPLE_FLOAT32, SAMPLES, 9);
    float *a = outputs_of(&plain, 0), *b = outputs_of(&folded, 0);
    double difference = output_difference(a, b, SAMPLES * CLASSES);
    CHECK(difference < 2e-6, "outputs differ by %g", difference);
    CHECK(folded.plan.instructions < plain.plan.instructions, "%u instructions instead of %u",
          folded.plan.instructions, plain.plan.instructions);
    CHECK(folded.plan.parameters == plain.plan.parameters, "%llu parameters",
          (unsigned long long)folded.plan.parameters);
    printf("    outputs differ by %.1e; %u instructions instead of %u, %u bytes of L1 and L2 "
           "instead of %u\n",
           difference, folded.plan.instructions, plain.plan.instructions,
           folded.plan.l1_peak_bytes + folded.plan.l2_peak_bytes,
           plain.plan.l1_peak_bytes + plain.plan.l2_peak_bytes);
    losses x = {0}, y = {0};
    train(&plain, 4, STEPS, &x);
    train(&folded, 4, STEPS, &y);
    for (uint32_t i = 0; i < STEPS; i++) {
        CHECK(fabsf(x.values[i] - y.values[i]) <= 2e-5f * x.values[i], "step %u: loss %f and %f", i,
              (double)x.values[i], (double)y.values[i]);
    }
    free(a);
    free(b);
    rig_close(&plain);
    rig_close(&folded);
    bt_model_free(model);
}

static void folded_parameters_read_as_before_and_stay(void) {
    bt_model *model = network((shape_of_network){.linear_norm = true});
    bt_training_options options = last_layer();
    float expected[8], value[8];
    options.fold_batch_norm = 1;
    rig r = rig_open(model, &options);
    require(bt_model_parameter_get(model, "bn2.mean", expected, 8), "bn2.mean of the model");
    require(bt_session_read(r.session, "bn2.mean", value, 8), "bn2.mean");
    CHECK(memcmp(value, expected, sizeof value) == 0, "bn2.mean changed");
    require(bt_session_write(r.session, "bn2.mean", value, 8), "the same value again");
    value[3] += 1.0f;
    check_refused(bt_session_write(r.session, "bn2.mean", value, 8), BT_ERROR_UNSUPPORTED,
                  "is frozen");
    check_refused(bt_session_read(r.session, "bn2.mean", value, 7), BT_ERROR_ARGUMENT,
                  "8 elements");
    rig_close(&r);
    bt_model_free(model);
}

static void folding_needs_a_frozen_norm(void) {
    bt_model *model = network((shape_of_network){0});
    bt_training_options options = options_default();
    options.fold_batch_norm = 1;
    check_compile_refused(model, &options, BT_ERROR_UNSUPPORTED, "finds no BatchNorm");
    options = last_layer();
    options.fold_batch_norm = 1;
    options.micro_batch = 2;
    options.batch_norm = BT_BATCH_NORM_TRAINING;
    check_compile_refused(model, &options, BT_ERROR_UNSUPPORTED, "freeze-batch-norm");
    bt_model_free(model);
}

/* ---- cache-features */

/* Trains with and without the pass, in two parts with an evaluation set between them. */
static void check_cache(const bt_model *model, bt_training_options options, uint32_t format,
                        uint32_t batch, const char *what) {
    rig plain = rig_open(model, &options);
    options.cache_features = 1;
    rig cached = rig_open(model, &options);
    losses x = {0}, y = {0};
    uint32_t first[2];
    rig *rigs[] = {&plain, &cached};
    losses *all[] = {&x, &y};
    float *outputs[2];
    for (uint32_t i = 0; i < 2; i++) {
        upload_noise(rigs[i], format, SAMPLES, 31);
        train(rigs[i], batch, STEPS, all[i]);
        first[i] = upload_noise(rigs[i], format, SAMPLES, 32);
        outputs[i] = outputs_of(rigs[i], first[i]);
        train(rigs[i], batch, STEPS, all[i]);
    }
    CHECK(first[0] == SAMPLES && first[1] == SAMPLES, "%s: first %u and %u", what, first[0],
          first[1]);
    CHECK(x.count == 2 * STEPS && memcmp(x.values, y.values, x.count * 4) == 0, "%s: losses differ",
          what);
    CHECK(memcmp(outputs[0], outputs[1], SAMPLES * plain.plan.output_elements * 4) == 0,
          "%s: outputs differ", what);
    const char *name = different_tensor(&plain, &cached);
    CHECK(name == NULL, "%s: %s differs", what, name);
    name = different_tensor(&cached, &plain);
    CHECK(name == NULL, "%s: %s differs", what, name);
    bt_statistics a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    require(bt_session_statistics(plain.session, &a), "statistics");
    require(bt_session_statistics(cached.session, &b), "statistics");
    CHECK(a.micro_steps == b.micro_steps && a.updates == b.updates, "%s: progress", what);
    CHECK(b.l1_high_water <= cached.plan.l1_peak_bytes &&
              b.l2_high_water <= cached.plan.l2_peak_bytes,
          "%s: %u of L1, %u of L2", what, b.l1_high_water, b.l2_high_water);
    CHECK(cached.plan.input_elements == plain.plan.input_elements &&
              cached.plan.parameters == plain.plan.parameters &&
              cached.plan.forward_macs == plain.plan.forward_macs &&
              cached.plan.training_macs <= plain.plan.training_macs,
          "%s: plan", what);
    free(outputs[0]);
    free(outputs[1]);
    rig_close(&plain);
    rig_close(&cached);
}

static void cached_features_change_no_bit(void) {
    static const uint32_t formats[] = {BT_SAMPLE_INT16, BT_SAMPLE_FLOAT32};
    bt_model *models[] = {network((shape_of_network){0}),
                          network((shape_of_network){.linear_norm = true, .dropout = 0.5f})};
    for (uint32_t i = 0; i < 8; i++) {
        bt_training_options options = last_layer();
        options.micro_batch = 1 + i / 2 % 2;
        options.optimizer = i % 2 == 0 ? BT_OPTIMIZER_SGD : BT_OPTIMIZER_ADAM;
        char what[16];
        snprintf(what, sizeof what, "case %u", i);
        check_cache(models[i / 4], options, formats[i % 2], 4, what);
    }
    bt_model_free(models[0]);
    bt_model_free(models[1]);
}

static void features_of_any_frozen_first_part_are_cached(void) {
    static const char *const names[] = {"bn2.weight", "fc.bias"};
    bt_model *model = network((shape_of_network){.linear_norm = true, .dropout = 0.5f});
    bt_training_options options = options_default();
    options.scheme = BT_UPDATE_LIST;
    options.trainable = names;
    options.trainable_count = 2;
    check_cache(model, options, BT_SAMPLE_INT16, 4, "a list");
    options = last_layer();
    options.fold_batch_norm = 1;
    check_cache(model, options, BT_SAMPLE_INT16, 4, "folded");
    bt_model_free(model);
}

static void random_graphs_train_the_same_on_features(void) {
    uint32_t compared = 0;
    for (uint32_t seed = 0; seed < ROUNDS_OF(300); seed++) {
        bt_model *model = random_model(seed + 4000, 3 + seed % 20, 0);
        bt_training_options options = last_layer();
        bt_target target = target_named("gap9");
        bt_program *program;
        options.cache_features = 1;
        options.micro_batch = 1 + seed % 2;
        bool can_cache = bt_program_compile(model, &options, &target, &program) == BT_OK;
        bt_program_free(can_cache ? program : NULL);
        options.cache_features = 0;
        bool can_train = bt_program_compile(model, &options, &target, &program) == BT_OK;
        bt_program_free(can_train ? program : NULL);
        if (can_cache && can_train) {
            char what[32];
            snprintf(what, sizeof what, "seed %u", seed);
            check_cache(model, options, BT_SAMPLE_FLOAT32, 2, what);
            compared++;
        }
        bt_model_free(model);
    }
    printf("    %u graphs compared\n", compared);
    CHECK(compared > ROUNDS_OF(60), "only %u graphs", compared);
}

static void what_cannot_be_cached_is_refused(void) {
    bt_model *model = network((shape_of_network){0});
    bt_training_options options = options_default();
    options.cache_features = 1;
    check_compile_refused(model, &options, BT_ERROR_UNSUPPORTED, "finds nothing to cache");
    options = last_layer();
    options.cache_features = 1;
    options.input_gradient = 1;
    check_compile_refused(model, &options, BT_ERROR_UNSUPPORTED, "input_gradient");
    options = last_layer();
    options.cache_features = 1;
    options.micro_batch = 2;
    options.batch_norm = BT_BATCH_NORM_TRAINING;
    rig r = rig_open(model, &options); /* conv1 alone comes before the statistics of a batch */
    CHECK(r.plan.training_macs > 0, "no plan");
    rig_close(&r);
    bt_model_free(model);
}

static void the_store_tells_how_many_features_fit(void) {
    bt_model *model = network((shape_of_network){0});
    bt_training_options options = last_layer();
    options.cache_features = 1;
    rig r = rig_open(model, &options);
    uint32_t before, after;
    require(bt_session_capacity(r.session, BT_SAMPLE_INT16, &before), "capacity");
    upload_noise(&r, BT_SAMPLE_INT16, SAMPLES, 3);
    require(bt_session_capacity(r.session, BT_SAMPLE_INT16, &after), "capacity");
    CHECK(before - after == SAMPLES, "%u, then %u", before, after);
    require(bt_session_clear_samples(r.session), "clear");
    require(bt_session_capacity(r.session, BT_SAMPLE_INT16, &after), "capacity");
    CHECK(before == after, "%u, then %u", before, after);
    check_refused(bt_session_capacity(r.session, 9, &after), BT_ERROR_ARGUMENT, "format 9");
    rig_close(&r);
    bt_model_free(model);
}

static void a_full_store_refuses_and_goes_on(void) {
    bt_model *model = network((shape_of_network){0});
    bt_training_options options = last_layer();
    losses before = {0}, after = {0};
    uint32_t capacity;
    options.cache_features = 1;
    rig full = rig_open(model, &options);
    rig other = rig_open(model, &options);
    upload_noise(&full, BT_SAMPLE_INT16, SAMPLES, 3);
    upload_noise(&other, BT_SAMPLE_INT16, SAMPLES, 3);
    require(bt_session_capacity(full.session, BT_SAMPLE_INT16, &capacity), "capacity");
    upload_noise(&full, BT_SAMPLE_INT16, capacity, 4);
    const float input[8 * ELEMENTS] = {0};
    const int32_t labels[8] = {0};
    uint32_t first;
    const bt_samples more = {.struct_size = sizeof more,
                             .count = 8,
                             .format = BT_SAMPLE_INT16,
                             .channels = CHANNELS,
                             .inputs = input,
                             .labels = labels};
    check_refused(bt_session_upload(full.session, &more, &first), BT_ERROR_CAPACITY, "do not fit");
    train(&full, 4, STEPS, &after);
    train(&other, 4, STEPS, &before);
    CHECK(memcmp(before.values, after.values, sizeof before.values) == 0, "losses differ");
    rig_close(&full);
    rig_close(&other);
    bt_model_free(model);
}

/* What the pass buys where the networks are those that were published. */
static void published_networks_train_their_last_layer_cheaper(void) {
    bt_model *models[] = {epidenet(), mi_bminet(8, 64, 0), mi_bminet(32, 128, 1)};
    static const char *const names[] = {"EpiDeNet", "MI-BMINet F8", "MI-BMINet F32"};
    for (uint32_t i = 0; i < 3; i++) {
        bt_training_options options = last_layer();
        bt_program *plain = compile(models[i], &options, "gap9-l2-only");
        options.cache_features = 1;
        bt_program *cached = compile(models[i], &options, "gap9-l2-only");
        bt_program_info a = program_info(plain), b = program_info(cached);
        printf("    %s: %llu multiply-adds per sample and epoch instead of %llu, %u bytes of L2 "
               "instead of %u\n",
               names[i], (unsigned long long)b.training_macs, (unsigned long long)a.training_macs,
               b.l2_peak_bytes, a.l2_peak_bytes);
        CHECK(20 * b.training_macs < a.training_macs, "%s", names[i]);
        CHECK(b.l2_peak_bytes <= a.l2_peak_bytes, "%s", names[i]);
        bt_program_free(plain);
        bt_program_free(cached);
        bt_model_free(models[i]);
    }
}

int main(void) {
    RUN(passes_are_listed);
    RUN(options_are_checked);
    RUN(dead_gradients_change_no_bit);
    RUN(group_norm_equals_batch_norm_on_the_running_statistics);
    RUN(group_norm_keeps_names_and_trains_alone);
    RUN(shared_scales_are_refused);
    RUN(folding_keeps_the_function);
    RUN(folded_parameters_read_as_before_and_stay);
    RUN(folding_needs_a_frozen_norm);
    RUN(cached_features_change_no_bit);
    RUN(features_of_any_frozen_first_part_are_cached);
    RUN(random_graphs_train_the_same_on_features);
    RUN(what_cannot_be_cached_is_refused);
    RUN(the_store_tells_how_many_features_fit);
    RUN(a_full_store_refuses_and_goes_on);
    RUN(published_networks_train_their_last_layer_cheaper);
    return REPORT();
}
