/*
 * Sessions, from compiled networks to trained weights, on the in-process device. With the path of
 * biotrain-gap9-threads as argument: on that, less what concerns sim: alone.
 */
#define _GNU_SOURCE
#include "gap9_link.h"
#include "networks.h"
#include "program/program.h"
#include "session/device.h"
#include "support.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 48u
#define MAX_WEIGHTS 4096u

/* ------------------------------------------------------------------------------------ networks */

/* conv 1x8 -> group norm -> ELU -> max pool -> dropout -> linear: 2 channels of 64 samples. */
static bt_model *small_network(float dropout) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 1, 2, 64};
    bt_attributes attributes = attributes_default();
    uint32_t v = add_input(&b, 4, dims);
    v = add_conv(&b, "conv", v, 8, 1, 2, 8, 1, 3, 4);
    v = add_group_norm(&b, "norm", v, 8, 2);
    v = add_unary(&b, BT_OP_ELU, "elu", v);
    attributes.kernel[0] = 1;
    attributes.kernel[1] = 4;
    attributes.strides[1] = 4;
    v = add_node(&b, BT_OP_MAX_POOL, "pool", 1, &v, &attributes);
    attributes = attributes_default();
    attributes.ratio = dropout;
    v = add_node(&b, BT_OP_DROPOUT, "dropout", 1, &v, &attributes);
    v = add_flatten(&b, v);
    v = add_linear(&b, "fc", v, 8 * 16, 3);
    return finish(&b, v);
}

/* Two inputs, a hidden layer, two classes. */
static bt_model *xor_network(void) {
    builder b = builder_new(5);
    const int32_t dims[] = {1, 2};
    uint32_t v = add_input(&b, 2, dims);
    v = add_linear(&b, "hidden", v, 2, 16);
    v = add_unary(&b, BT_OP_TANH, "tanh", v);
    v = add_linear(&b, "out", v, 16, 2);
    return finish(&b, v);
}

static bt_program *small_program(const bt_training_options *options, float dropout) {
    bt_model *model = small_network(dropout);
    bt_program *program = compile(model, options, "gap9");
    bt_model_free(model);
    return program;
}

/* ------------------------------------------------------------------------------------- sessions */

typedef struct fixture {
    bt_device *device;
    bt_session *session;
} fixture;

static const char *gap9_machine; /* NULL: sim: */

/* On GAP9 a sim: URI stands for as many cores there. */
static fixture fixture_open(const char *uri, const bt_program *program) {
    fixture f;
    if (gap9_machine != NULL) {
        uint32_t cores = 8;
        sscanf(uri, "sim:?cores=%u", &cores);
        require(bt_device_open_link(gap9_link_open(gap9_machine, cores), NULL, &f.device), uri);
    } else {
        require(bt_device_open(uri, NULL, &f.device), uri);
    }
    require(bt_session_open(f.device, program, &f.session), "bt_session_open");
    return f;
}

static void fixture_close(fixture *f) {
    bt_session_close(f->session);
    bt_device_close(f->device);
}

/* Waves whose frequency depends on the class. */
static void make_samples(float *inputs, int32_t *labels) {
    uint32_t seed = 17;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        labels[i] = (int32_t)(i % 3);
        for (uint32_t e = 0; e < 128; e++) {
            float phase = (float)(e % 64) * (0.2f + 0.3f * (float)labels[i]) + (float)i;
            inputs[i * 128 + e] = sinf(phase) + 0.3f * next_float(&seed);
        }
    }
}

static void upload_waves(bt_session *session, uint32_t format) {
    float inputs[SAMPLES * 128];
    int32_t labels[SAMPLES];
    uint32_t first;
    make_samples(inputs, labels);
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = SAMPLES,
                                .format = format,
                                .channels = 2,
                                .inputs = inputs,
                                .labels = labels};
    require(bt_session_upload(session, &samples, &first), "bt_session_upload");
    CHECK(first == 0, "first is %u", first);
}

typedef struct history {
    uint32_t count;
    uint32_t stop_after; /* 0: never */
    float losses[1024];
    uint64_t last_step;
} history;

static uint32_t on_step(void *user, const bt_step_record *record) {
    history *h = user;
    h->losses[h->count++] = record->loss;
    h->last_step = record->step;
    return h->count == h->stop_after;
}

/* count steps of batch samples, samples in order, beginning at sample from. */
static bt_status train(bt_session *session, uint32_t count, uint32_t batch, uint32_t from,
                       float rate, history *h) {
    bt_step *steps = malloc(count * sizeof *steps);
    uint32_t *indices = malloc((size_t)count * batch * sizeof *indices);
    for (uint32_t i = 0; i < count; i++) {
        steps[i] = (bt_step){.samples = batch, .learning_rate = rate};
    }
    for (uint32_t i = 0; i < count * batch; i++) {
        indices[i] = (from + i) % SAMPLES;
    }
    bt_status status = bt_session_train(session, steps, count, indices, on_step, h);
    free(indices);
    free(steps);
    return status;
}

/* Checksum of every named tensor. */
static uint32_t weights_crc(bt_session *session) {
    float values[MAX_WEIGHTS];
    uint32_t crc = 0;
    for (uint32_t i = 0; i < bt_session_tensor_count(session); i++) {
        bt_tensor_info info = {.struct_size = sizeof info};
        require(bt_session_tensor_info(session, i, &info), "bt_session_tensor_info");
        require(bt_session_read(session, info.name, values, info.bytes / 4), info.name);
        crc = bt_crc32c(crc, values, info.bytes);
    }
    return crc;
}

static void check_status(bt_status status, bt_status expected, const char *words) {
    const char *message = bt_error_depth() > 0 ? bt_error_message(0) : "";
    CHECK(status == expected, "%s (%s) instead of %s", bt_status_name(status), message,
          bt_status_name(expected));
    CHECK(strstr(message, words) != NULL, "\"%s\" does not say \"%s\"", message, words);
}

/* ---------------------------------------------------------------------------------------- tests */

static void a_network_learns_xor(void) {
    bt_model *model = xor_network();
    bt_training_options options = options_default();
    options.micro_batch = 2;
    options.weight_decay = 0.0f;
    bt_program *program = compile(model, &options, "gap9");
    fixture f = fixture_open("sim:?cores=2", program);
    const float inputs[] = {-1, -1, -1, 1, 1, -1, 1, 1};
    const int32_t labels[] = {0, 1, 1, 0};
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = 4,
                                .format = BT_SAMPLE_FLOAT32,
                                .channels = 1,
                                .inputs = inputs,
                                .labels = labels};
    uint32_t first;
    require(bt_session_upload(f.session, &samples, &first), "upload");
    bt_step steps[600];
    uint32_t indices[600 * 4];
    history h = {0};
    for (uint32_t i = 0; i < 600; i++) {
        steps[i] = (bt_step){.samples = 4, .learning_rate = 0.05f};
        for (uint32_t s = 0; s < 4; s++) {
            indices[4 * i + s] = s;
        }
    }
    require(bt_session_train(f.session, steps, 600, indices, on_step, &h), "train");
    CHECK(h.count == 600 && h.last_step == 600, "%u steps, the last is %llu", h.count,
          (unsigned long long)h.last_step);
    CHECK(h.losses[599] < 0.05f && h.losses[0] > 0.3f, "loss from %f to %f", (double)h.losses[0],
          (double)h.losses[599]);
    float outputs[3 * 2], losses[3];
    require(bt_session_evaluate(f.session, indices, 3, outputs, losses), "evaluate");
    for (uint32_t i = 0; i < 3; i++) {
        CHECK((outputs[2 * i + 1] > outputs[2 * i]) == (labels[i] == 1), "sample %u: %f %f", i,
              (double)outputs[2 * i], (double)outputs[2 * i + 1]);
        CHECK(losses[i] > 0.0f && losses[i] < 0.1f, "loss %f", (double)losses[i]);
    }
    fixture_close(&f);
    bt_program_free(program);
    bt_model_free(model);
}

static void results_do_not_depend_on_cores_or_kernels(void) {
    static const char *const uris[] = {"sim:?cores=1", "sim:?cores=2", "sim:?cores=3",
                                       "sim:?cores=8"};
    static const char *const sets[] = {"baseline", "avx2", "avx512"};
    bt_training_options options = options_default();
    options.optimizer = BT_OPTIMIZER_ADAMW;
    bt_program *program = small_program(&options, 0.25f);
    uint32_t expected = 0;
    uint32_t runs = 0;
    for (uint32_t set = 0; set < 3; set++) {
        setenv("BIOTRAIN_KERNELS", sets[set], 1);
        for (uint32_t i = 0; i < 4; i++) {
            bt_device *device;
            if (bt_device_open(uris[i], NULL, &device) == BT_ERROR_UNSUPPORTED) {
                continue; /* a kernel set that this processor lacks */
            }
            bt_device_close(device);
            fixture f = fixture_open(uris[i], program);
            history h = {0};
            upload_waves(f.session, BT_SAMPLE_INT16);
            require(train(f.session, 12, 4, 0, 0.01f, &h), "train");
            uint32_t crc = weights_crc(f.session) ^ bt_crc32c(0, h.losses, h.count * 4);
            expected = runs++ == 0 ? crc : expected;
            CHECK(crc == expected, "%s with %s: %08X instead of %08X", uris[i], sets[set], crc,
                  expected);
            fixture_close(&f);
        }
    }
    unsetenv("BIOTRAIN_KERNELS");
    bt_program_free(program);
}

static void a_long_training_is_split_and_reported_in_order(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    fixture whole = fixture_open("sim:", program);
    fixture parts = fixture_open("sim:", program);
    history h = {0}, p = {0};
    upload_waves(whole.session, BT_SAMPLE_FLOAT32);
    upload_waves(parts.session, BT_SAMPLE_FLOAT32);
    /* More steps than one command takes, and more than the record ring holds. */
    require(train(whole.session, 600, 8, 0, 0.01f, &h), "train");
    for (uint32_t i = 0; i < 600; i++) {
        require(train(parts.session, 1, 8, i * 8 % SAMPLES, 0.01f, &p), "train");
    }
    CHECK(h.count == 600 && p.count == 600, "%u and %u records", h.count, p.count);
    CHECK(memcmp(h.losses, p.losses, 600 * 4) == 0, "losses differ");
    CHECK(weights_crc(whole.session) == weights_crc(parts.session), "weights differ");
    CHECK(h.losses[599] < 0.5f * h.losses[0], "loss from %f to %f", (double)h.losses[0],
          (double)h.losses[599]);
    fixture_close(&whole);
    fixture_close(&parts);
    bt_program_free(program);
}

static void a_resumed_training_continues_bit_exactly(void) {
    bt_training_options options = options_default();
    options.optimizer = BT_OPTIMIZER_ADAM;
    options.seed = 0x123456789ABCDEFull;
    bt_program *program = small_program(&options, 0.5f);
    fixture f = fixture_open("sim:", program);
    history whole = {0}, resumed = {0};
    float saved[32][MAX_WEIGHTS];
    upload_waves(f.session, BT_SAMPLE_INT16);
    require(train(f.session, 10, 4, 0, 0.01f, &whole), "first half");
    uint32_t tensors = bt_session_tensor_count(f.session);
    for (uint32_t i = 0; i < tensors; i++) {
        bt_tensor_info info = {.struct_size = sizeof info};
        require(bt_session_tensor_info(f.session, i, &info), "info");
        require(bt_session_read(f.session, info.name, saved[i], info.bytes / 4), "read");
    }
    bt_statistics statistics = {.struct_size = sizeof statistics};
    require(bt_session_statistics(f.session, &statistics), "statistics");
    CHECK(statistics.micro_steps == 40 && statistics.updates == 10,
          "%llu micro-steps, %llu updates", (unsigned long long)statistics.micro_steps,
          (unsigned long long)statistics.updates);
    require(train(f.session, 10, 4, 40, 0.01f, &whole), "second half");
    uint32_t expected = weights_crc(f.session);
    fixture_close(&f);

    fixture g = fixture_open("sim:", program);
    for (uint32_t i = 0; i < tensors; i++) {
        bt_tensor_info info = {.struct_size = sizeof info};
        require(bt_session_tensor_info(g.session, i, &info), "info");
        require(bt_session_write(g.session, info.name, saved[i], info.bytes / 4), "write");
    }
    require(bt_session_set_progress(g.session, statistics.micro_steps, statistics.updates),
            "progress");
    upload_waves(g.session, BT_SAMPLE_INT16);
    require(train(g.session, 10, 4, 40, 0.01f, &resumed), "resumed");
    CHECK(memcmp(resumed.losses, whole.losses + 10, 40) == 0, "losses differ");
    CHECK(weights_crc(g.session) == expected, "weights differ");
    CHECK(resumed.last_step == 20, "last step is %llu", (unsigned long long)resumed.last_step);
    fixture_close(&g);
    bt_program_free(program);
}

static void accumulate_and_update_are_a_step(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.5f);
    fixture f = fixture_open("sim:", program);
    fixture g = fixture_open("sim:", program);
    const uint32_t indices[] = {3, 1, 4, 15};
    const bt_step step = {.samples = 4, .learning_rate = 0.1f};
    float losses[4], gradient[3];
    history h = {0};
    upload_waves(f.session, BT_SAMPLE_INT16);
    upload_waves(g.session, BT_SAMPLE_INT16);
    require(bt_session_train(f.session, &step, 1, indices, on_step, &h), "train");
    require(bt_session_accumulate(g.session, indices, 4, losses), "accumulate");
    CHECK((losses[0] + losses[1] + losses[2] + losses[3]) / 4 == h.losses[0], "loss %f",
          (double)h.losses[0]);
    require(bt_session_read(g.session, "gradient.fc.bias", gradient, 3), "gradient");
    CHECK(gradient[0] != 0.0f, "no gradient");
    require(bt_session_update(g.session, 0.1f), "update");
    CHECK(weights_crc(f.session) == weights_crc(g.session), "weights differ");
    fixture_close(&f);
    fixture_close(&g);
    bt_program_free(program);
}

/* The same weights and losses, step by step, without gradients that are kept. */
static void fused_updates_give_the_same_bits(void) {
    static const uint32_t optimizers[] = {BT_OPTIMIZER_SGD, BT_OPTIMIZER_ADAM, BT_OPTIMIZER_ADAMW};
    for (uint32_t i = 0; i < 3; i++) {
        bt_training_options options = options_default();
        options.optimizer = optimizers[i];
        options.micro_batch = 1 + i % 2;
        bt_program *plain = small_program(&options, 0.5f);
        options.fused_update = 1;
        bt_program *fused = small_program(&options, 0.5f);
        fixture f = fixture_open("sim:", plain);
        fixture g = fixture_open("sim:", fused);
        history h = {0}, k = {0};
        float expected[MAX_WEIGHTS], values[MAX_WEIGHTS];
        upload_waves(f.session, BT_SAMPLE_INT16);
        upload_waves(g.session, BT_SAMPLE_INT16);
        require(train(f.session, 200, options.micro_batch, 0, 0.01f, &h), "train");
        require(train(g.session, 200, options.micro_batch, 0, 0.01f, &k), "train");
        CHECK(h.count == 200 && k.count == 200, "%u and %u records", h.count, k.count);
        CHECK(memcmp(h.losses, k.losses, 200 * 4) == 0, "optimizer %u: losses differ", i);
        for (uint32_t t = 0; t < bt_session_tensor_count(g.session); t++) {
            bt_tensor_info info = {.struct_size = sizeof info};
            require(bt_session_tensor_info(g.session, t, &info), "bt_session_tensor_info");
            require(bt_session_read(f.session, info.name, expected, info.bytes / 4), info.name);
            require(bt_session_read(g.session, info.name, values, info.bytes / 4), info.name);
            CHECK(memcmp(values, expected, info.bytes) == 0, "optimizer %u: %s differs", i,
                  info.name);
            CHECK(strncmp(info.name, "gradient.", 9) != 0, "%s is kept", info.name);
        }
        fixture_close(&f);
        fixture_close(&g);
        bt_program_free(plain);
        bt_program_free(fused);
    }
}

static void fused_updates_take_steps_of_one_micro_batch(void) {
    bt_training_options options = options_default();
    options.micro_batch = 2;
    options.fused_update = 1;
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    const uint32_t indices[] = {0, 1, 2, 3};
    history h = {0};
    float bias[3];
    upload_waves(f.session, BT_SAMPLE_INT16);
    check_status(train(f.session, 1, 4, 0, 0.01f, &h), BT_ERROR_ARGUMENT,
                 "exactly one micro-batch per step, which is 2");
    check_status(bt_session_accumulate(f.session, indices, 4, NULL), BT_ERROR_STATE,
                 "bt_session_accumulate needs gradients that are kept");
    check_status(bt_session_update(f.session, 0.1f), BT_ERROR_STATE,
                 "bt_session_update needs gradients that are kept");
    check_status(bt_session_read(f.session, "gradient.fc.bias", bias, 3), BT_ERROR_ARGUMENT,
                 "not with fused_update");
    require(bt_session_read(f.session, "fc.bias", bias, 3), "read");
    bias[0] = INFINITY;
    require(bt_session_write(f.session, "fc.bias", bias, 3), "write");
    check_status(train(f.session, 1, 2, 0, 0.01f, &h), BT_ERROR_NUMERIC, "Restore a checkpoint");
    require(bt_session_read(f.session, "fc.bias", bias, 3), "read");
    CHECK(h.count == 0 && isnan(bias[1]), "%u steps, fc.bias[1] is %f", h.count, (double)bias[1]);
    fixture_close(&f);
    bt_program_free(program);
}

static void evaluation_does_not_depend_on_the_micro_batch(void) {
    uint32_t indices[SAMPLES - 1];
    float outputs[2][(SAMPLES - 1) * 3], losses[2][SAMPLES - 1];
    for (uint32_t i = 0; i < SAMPLES - 1; i++) {
        indices[i] = i * 7 % SAMPLES;
    }
    for (uint32_t run = 0; run < 2; run++) {
        bt_training_options options = options_default();
        options.micro_batch = run == 0 ? 1 : 4;
        bt_program *program = small_program(&options, 0.5f);
        fixture f = fixture_open("sim:", program);
        upload_waves(f.session, BT_SAMPLE_INT16);
        require(bt_session_evaluate(f.session, indices, SAMPLES - 1, outputs[run], losses[run]),
                "evaluate");
        fixture_close(&f);
        bt_program_free(program);
    }
    CHECK(memcmp(outputs[0], outputs[1], sizeof outputs[0]) == 0, "outputs differ");
    CHECK(memcmp(losses[0], losses[1], sizeof losses[0]) == 0, "losses differ");
}

static void outputs_larger_than_a_staging_buffer_come_whole(void) {
    static float inputs[3 * 5000], targets[3 * 5000], outputs[3 * 5000];
    const int32_t dims[] = {1, 5000};
    const uint32_t indices[] = {2, 0, 1};
    float losses[3];
    uint32_t first;
    bt_training_options options = options_default();
    options.loss = BT_LOSS_MSE;
    builder b = builder_new(9);
    uint32_t v = add_input(&b, 2, dims);
    const uint32_t operands[] = {v, add_parameter(&b, "shift", 2, dims, 1.0f, 0.0f)};
    bt_model *model = finish(&b, add_node(&b, BT_OP_ADD, "add", 2, operands, NULL));
    bt_program *program = compile(model, &options, "gap9");
    fixture f = fixture_open("sim:", program);
    for (uint32_t i = 0; i < 3 * 5000; i++) {
        inputs[i] = targets[i] = (float)i;
    }
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = 3,
                                .format = BT_SAMPLE_FLOAT32,
                                .channels = 1,
                                .inputs = inputs,
                                .targets = targets};
    require(bt_session_upload(f.session, &samples, &first), "bt_session_upload");
    require(bt_session_evaluate(f.session, indices, 3, outputs, losses), "bt_session_evaluate");
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t e = 0; e < 5000; e++) {
            float expected = inputs[indices[i] * 5000 + e] + 1.0f;
            if (outputs[i * 5000 + e] != expected) {
                CHECK(false, "sample %u, output %u: %g instead of %g", i, e, outputs[i * 5000 + e],
                      expected);
                break;
            }
        }
        CHECK(losses[i] == 1.0f, "sample %u: loss %g", i, losses[i]);
    }
    fixture_close(&f);
    bt_program_free(program);
    bt_model_free(model);
}

static void check_high_water(const bt_program *program) {
    bt_program_info info = program_info(program);
    fixture f = fixture_open("sim:", program);
    history h = {0};
    upload_waves(f.session, BT_SAMPLE_INT16);
    require(train(f.session, 2, 4, 0, 0.01f, &h), "train");
    bt_statistics statistics = {.struct_size = sizeof statistics};
    require(bt_session_statistics(f.session, &statistics), "statistics");
    CHECK(statistics.l1_high_water == info.l1_peak_bytes, "L1: %u, planned %u",
          statistics.l1_high_water, info.l1_peak_bytes);
    CHECK(statistics.l2_high_water == info.l2_peak_bytes, "L2: %u, planned %u",
          statistics.l2_high_water, info.l2_peak_bytes);
    CHECK(statistics.l3_high_water == info.l3_peak_bytes, "L3: %u, planned %u",
          statistics.l3_high_water, info.l3_peak_bytes);
    CHECK(statistics.bytes_to_device > SAMPLES * (4 + 2 * 8 + 128 * 2), "no bytes counted");
    fixture_close(&f);
}

static void the_plan_and_the_high_water_mark_agree(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.5f);
    check_high_water(program);
    bt_program_free(program);
}

/* With memories so small that maps must live in L3. */
static void in_external_memory_they_agree_too(void) {
    bt_training_options options = options_default();
    bt_model *model = small_network(0.5f);
    bt_target target = target_named("gap9");
    bt_program *program;
    target.l1_bytes = 4096;
    target.l2_bytes = 8192;
    require(bt_program_compile(model, &options, &target, &program), "bt_program_compile");
    CHECK(program_info(program).l3_peak_bytes > 0, "nothing is in L3");
    check_high_water(program);
    bt_program_free(program);
    bt_model_free(model);
}

static void int16_samples_are_close_and_constant_channels_exact(void) {
    bt_training_options options = options_default();
    options.loss = BT_LOSS_MSE;
    builder b = builder_new(1);
    const int32_t dims[] = {1, 2, 3};
    uint32_t v = add_input(&b, 3, dims);
    v = add_flatten(&b, v);
    v = add_linear(&b, "fc", v, 6, 6);
    bt_model *model = finish(&b, v);
    bt_program *program = compile(model, &options, "gap9");
    fixture f = fixture_open("sim:", program);
    float identity[36] = {0};
    const float zero[6] = {0};
    for (uint32_t i = 0; i < 6; i++) {
        identity[7 * i] = 1.0f;
    }
    require(bt_session_write(f.session, "fc.weight", identity, 36), "weight");
    require(bt_session_write(f.session, "fc.bias", zero, 6), "bias");
    const float inputs[] = {-1.0f, 0.25f, 3.0f, 0.1f, 0.1f, 0.1f};
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = 1,
                                .format = BT_SAMPLE_INT16,
                                .channels = 2,
                                .inputs = inputs,
                                .targets = zero};
    const uint32_t index = 0;
    uint32_t first;
    float outputs[6];
    require(bt_session_upload(f.session, &samples, &first), "upload");
    require(bt_session_evaluate(f.session, &index, 1, outputs, NULL), "evaluate");
    for (uint32_t i = 0; i < 6; i++) {
        float allowed = i < 3 ? 4.0f / 65534.0f : 0.0f;
        CHECK(fabsf(outputs[i] - inputs[i]) <= allowed, "%u: %.9g for %.9g", i, (double)outputs[i],
              (double)inputs[i]);
    }
    fixture_close(&f);
    bt_program_free(program);
    bt_model_free(model);
}

static void wrong_samples_are_refused(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    float inputs[SAMPLES * 128];
    int32_t labels[SAMPLES];
    uint32_t first, capacity;
    make_samples(inputs, labels);
    bt_samples samples = {.struct_size = sizeof samples,
                          .count = SAMPLES,
                          .format = BT_SAMPLE_INT16,
                          .channels = 2,
                          .inputs = inputs,
                          .labels = labels};
    inputs[5 * 128 + 70] = NAN;
    check_status(bt_session_upload(f.session, &samples, &first), BT_ERROR_ARGUMENT,
                 "sample 5 is nan at channel 1, position 6");
    inputs[5 * 128 + 70] = 0.0f;
    labels[7] = 3;
    check_status(bt_session_upload(f.session, &samples, &first), BT_ERROR_ARGUMENT,
                 "label of sample 7 is 3");
    labels[7] = -1;
    check_status(bt_session_upload(f.session, &samples, &first), BT_ERROR_ARGUMENT,
                 "label of sample 7 is -1");
    labels[7] = 1;
    samples.channels = 5;
    check_status(bt_session_upload(f.session, &samples, &first), BT_ERROR_ARGUMENT, "5 channels");
    samples.channels = 2;
    samples.format = 9;
    check_status(bt_session_upload(f.session, &samples, &first), BT_ERROR_ARGUMENT, "format 9");
    samples.format = BT_SAMPLE_INT16;
    samples.labels = NULL;
    check_status(bt_session_upload(f.session, &samples, &first), BT_ERROR_ARGUMENT, "labels");
    samples.labels = labels;
    require(bt_session_upload(f.session, &samples, &first), "upload");
    samples.format = BT_SAMPLE_FLOAT32;
    check_status(bt_session_upload(f.session, &samples, &first), BT_ERROR_STATE, "clear");
    require(bt_session_capacity(f.session, BT_SAMPLE_INT16, &capacity), "capacity");
    CHECK(capacity == f.device->info.l3_bytes / 276u - SAMPLES, "capacity %u", capacity);
    require(bt_session_clear_samples(f.session), "clear");
    require(bt_session_capacity(f.session, BT_SAMPLE_FLOAT32, &capacity), "capacity");
    CHECK(capacity == f.device->info.l3_bytes / 516u, "capacity %u", capacity);
    samples.format = BT_SAMPLE_FLOAT32;
    require(bt_session_upload(f.session, &samples, &first), "upload");
    CHECK(first == 0, "first is %u", first);
    fixture_close(&f);
    bt_program_free(program);
}

static void wrong_calls_are_refused(void) {
    bt_training_options options = options_default();
    options.micro_batch = 2;
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    uint32_t indices[] = {0, 1, SAMPLES};
    float value[3], many[128 * 3];
    bt_step step = {.samples = 2, .learning_rate = 0.1f};
    bt_session *second;
    check_status(bt_session_train(f.session, &step, 1, indices, NULL, NULL), BT_ERROR_ARGUMENT,
                 "0 samples were uploaded");
    upload_waves(f.session, BT_SAMPLE_INT16);
    check_status(bt_session_evaluate(f.session, indices, 3, NULL, NULL), BT_ERROR_ARGUMENT,
                 "index 48 at position 2");
    step.samples = 1;
    check_status(bt_session_train(f.session, &step, 1, indices, NULL, NULL), BT_ERROR_ARGUMENT,
                 "micro-batch 2");
    step.samples = 2;
    step.learning_rate = NAN;
    check_status(bt_session_train(f.session, &step, 1, indices, NULL, NULL), BT_ERROR_ARGUMENT,
                 "learning rate");
    check_status(bt_session_read(f.session, "fc.wait", value, 3), BT_ERROR_ARGUMENT, "fc.wait");
    check_status(bt_session_read(f.session, "fc.bias", value, 2), BT_ERROR_ARGUMENT, "3 elements");
    check_status(bt_session_write(f.session, "fc.weight", many, 383), BT_ERROR_ARGUMENT,
                 "384 elements");
    check_status(bt_session_open(f.device, program, &second), BT_ERROR_STATE, "already");
    bt_device_close(f.device);
    check_status(bt_session_read(f.session, "fc.bias", value, 3), BT_ERROR_STATE, "closed");
    bt_session_close(f.session);
    bt_program_free(program);
}

static void a_loss_that_is_not_finite_leaves_the_weights(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    history h = {0};
    float bias[3], after[3];
    upload_waves(f.session, BT_SAMPLE_INT16);
    require(train(f.session, 3, 4, 0, 0.01f, &h), "train");
    require(bt_session_read(f.session, "fc.bias", bias, 3), "read");
    bias[0] = INFINITY;
    require(bt_session_write(f.session, "fc.bias", bias, 3), "write");
    check_status(train(f.session, 5, 4, 0, 0.01f, &h), BT_ERROR_NUMERIC, "step 4");
    CHECK(h.count == 3, "%u steps reported", h.count);
    require(bt_session_read(f.session, "fc.bias", after, 3), "read");
    CHECK(memcmp(bias, after, sizeof bias) == 0, "the weights changed");
    bias[0] = 0.0f;
    require(bt_session_write(f.session, "fc.bias", bias, 3), "write");
    require(train(f.session, 1, 4, 0, 0.01f, &h), "training goes on");
    CHECK(h.last_step == 4, "last step is %llu", (unsigned long long)h.last_step);
    fixture_close(&f);
    bt_program_free(program);
}

static void a_listener_stops_the_training(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    fixture g = fixture_open("sim:", program);
    history stopped = {.stop_after = 5}, h = {0};
    upload_waves(f.session, BT_SAMPLE_INT16);
    upload_waves(g.session, BT_SAMPLE_INT16);
    check_status(train(f.session, 500, 8, 0, 0.01f, &stopped), BT_ERROR_ABORTED, "stopped");
    CHECK(stopped.count >= 5 && stopped.count < 500, "%u steps", stopped.count);
    /* Exactly the reported steps were done. */
    require(train(g.session, stopped.count, 8, 0, 0.01f, &h), "train");
    CHECK(weights_crc(f.session) == weights_crc(g.session), "weights differ after %u steps",
          stopped.count);
    fixture_close(&f);
    fixture_close(&g);
    bt_program_free(program);
}

typedef struct aborter {
    bt_session *session;
    _Atomic bool started; /* the first step was reported */
} aborter;

static void *abort_when_started(void *user) {
    aborter *a = user;
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!atomic_load(&a->started)) {
        nanosleep(&pause, NULL);
    }
    bt_session_abort(a->session);
    return NULL;
}

static uint32_t tell_aborter(void *user, const bt_step_record *record) {
    (void)record;
    atomic_store(&((aborter *)user)->started, true);
    return 0;
}

static void another_thread_aborts_the_training(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    pthread_t thread;
    aborter a = {.session = f.session};
    uint32_t count = 100000;
    bt_step *steps = malloc(count * sizeof *steps);
    uint32_t *indices = calloc((size_t)count * 8, sizeof *indices);
    upload_waves(f.session, BT_SAMPLE_INT16);
    for (uint32_t i = 0; i < count; i++) {
        steps[i] = (bt_step){.samples = 8, .learning_rate = 0.01f};
    }
    pthread_create(&thread, NULL, abort_when_started, &a);
    check_status(bt_session_train(f.session, steps, count, indices, tell_aborter, &a),
                 BT_ERROR_ABORTED, "stopped");
    pthread_join(thread, NULL);
    history h = {0};
    require(train(f.session, 1, 8, 0, 0.01f, &h), "training goes on");
    CHECK(h.last_step < count, "all %u steps were done", count);
    free(indices);
    free(steps);
    fixture_close(&f);
    bt_program_free(program);
}

static void a_uri_says_what_is_wrong(void) {
    static const struct {
        const char *uri;
        const char *words;
    } wrong[] = {
        {"sim", "scheme:"},
        {"sym:", "known are sim:"},
        {"sim:?core=2", "has no option \"core\"; it knows target, cores"},
        {"sim:?cores=0", "from 1 to 64"},
        {"sim:?cores=65", "from 1 to 64"},
        {"sim:?cores=-1", "from 1 to 64"},
        {"sim:?cores=99999999999999999999", "from 1 to 64"},
        {"sim:?cores=2&cores=3", "twice"},
        {"sim:?cores", "key=value"},
        {"sim:gap9", "target=gap9"},
        {"sim:?target=gap10", "gap9"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bt_device *device;
        check_status(bt_device_open(wrong[i].uri, NULL, &device), BT_ERROR_ARGUMENT,
                     wrong[i].words);
    }
}

static void a_device_describes_itself(void) {
    bt_device *device;
    bt_device_info info = {.struct_size = sizeof info};
    bt_target target = {.struct_size = sizeof target};
    uint64_t nanoseconds;
    require(bt_device_open("sim:?target=gap9&cores=3", NULL, &device), "open");
    require(bt_device_info_get(device, &info), "info");
    require(bt_device_target(device, &target), "target");
    require(bt_device_ping(device, &nanoseconds), "ping");
    CHECK(info.cores == 3 && target.cores == 3, "%u cores", info.cores);
    CHECK(info.l2_bytes == target_named("gap9").l2_bytes, "L2 %u", info.l2_bytes);
    CHECK(strcmp(info.link, "sim") == 0 && strcmp(info.target, "gap9") == 0, "%s %s", info.link,
          info.target);
    CHECK(nanoseconds > 0, "a ping took no time");
    bt_device_close(device);
}

/* ------------------------------------------------------------------------------------ bad links */

/* A link in front of a simulated device that damages what is written, or swallows commands. */
typedef struct bad_link {
    bt_link link;
    bt_link *inner;
    uint32_t damage;  /* writes of bulk data still to damage */
    uint32_t ignored; /* 1: commands are no longer passed on */
} bad_link;

static bt_status bad_start(bt_link *link) {
    bad_link *bad = (bad_link *)link;
    bt_status status = bad->inner->operations->start(bad->inner);
    link->mailbox_address = bad->inner->mailbox_address;
    return status;
}

static bt_status bad_stop(bt_link *link) {
    bad_link *bad = (bad_link *)link;
    return bad->inner->operations->stop(bad->inner);
}

static bt_status bad_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    bad_link *bad = (bad_link *)link;
    bt_status status = bad->inner->operations->read(bad->inner, address, to, size);
    if (bad->damage > 0 && address >= link->mailbox_address + sizeof(bt_mailbox)) {
        bad->damage--;
        ((uint8_t *)to)[size / 2] ^= 4;
    }
    return status;
}

static bt_status bad_write(bt_link *link, uint32_t address, const void *from, uint32_t size) {
    bad_link *bad = (bad_link *)link;
    if (address < link->mailbox_address + sizeof(bt_mailbox)) {
        return bad->ignored ? BT_OK
                            : bad->inner->operations->write(bad->inner, address, from, size);
    }
    uint8_t *copy = malloc(size);
    memcpy(copy, from, size);
    if (bad->damage > 0) {
        bad->damage--;
        copy[size / 2] ^= 4;
    }
    bt_status status = bad->inner->operations->write(bad->inner, address, copy, size);
    free(copy);
    return status;
}

static bt_link_state bad_state(bt_link *link) {
    bad_link *bad = (bad_link *)link;
    return bad->inner->operations->state(bad->inner);
}

static bt_status bad_wait_change(bt_link *link, uint32_t address, uint32_t value,
                                 uint64_t timeout_ns) {
    bad_link *bad = (bad_link *)link;
    return bad->inner->operations->wait_change(bad->inner, address, value, timeout_ns);
}

static void bad_close(bt_link *link) {
    bad_link *bad = (bad_link *)link;
    bad->inner->operations->close(bad->inner);
}

static const bt_link_operations bad_operations = {
    .start = bad_start,
    .stop = bad_stop,
    .read = bad_read,
    .write = bad_write,
    .state = bad_state,
    .wait_change = bad_wait_change,
    .close = bad_close,
};

static fixture bad_fixture(bad_link *bad, const bt_program *program, uint32_t timeout_ms) {
    fixture f;
    const bt_device_options options = {.struct_size = sizeof options, .timeout_ms = timeout_ms};
    memset(bad, 0, sizeof *bad);
    require(bt_link_open("sim:?cores=1", NULL, &bad->inner), "sim:");
    bad->link = *bad->inner;
    bad->link.operations = &bad_operations;
    require(bt_device_open_link(&bad->link, &options, &f.device), "open");
    require(bt_session_open(f.device, program, &f.session), "session");
    return f;
}

static void damaged_chunks_are_sent_again(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    bad_link bad;
    fixture f = bad_fixture(&bad, program, 1000);
    fixture g = fixture_open("sim:", program);
    history h = {0}, good = {0};
    bad.damage = 2;
    upload_waves(f.session, BT_SAMPLE_INT16);
    upload_waves(g.session, BT_SAMPLE_INT16);
    require(train(g.session, 3, 4, 0, 0.01f, &good), "train");
    bad.damage = 3;
    require(train(f.session, 3, 4, 0, 0.01f, &h), "train over a bad link");
    CHECK(memcmp(h.losses, good.losses, 12) == 0, "losses differ");
    bad.damage = 2;
    CHECK(weights_crc(f.session) == weights_crc(g.session), "weights differ");
    bad.damage = 1000;
    float value[3] = {0};
    check_status(bt_session_write(f.session, "fc.bias", value, 3), BT_ERROR_DEVICE, "damaged");
    check_status(bt_session_read(f.session, "fc.bias", value, 3), BT_ERROR_DEVICE, "damaged");
    fixture_close(&f);
    fixture_close(&g);
    bt_program_free(program);
}

static void a_device_that_does_not_answer_times_out(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    bad_link bad;
    fixture f = bad_fixture(&bad, program, 60);
    float value[3] = {0};
    uint64_t nanoseconds;
    bad.ignored = 1;
    check_status(bt_session_read(f.session, "fc.bias", value, 3), BT_ERROR_TIMEOUT,
                 "did not complete READ within 60 ms");
    check_status(bt_device_ping(f.device, &nanoseconds), BT_ERROR_TIMEOUT, "READ");
    fixture_close(&f);
    bt_program_free(program);
}

/* -------------------------------------------------------------------------------- raw commands */

/* Sends a command as a careless or hostile host would. */
static uint32_t raw_command(bt_device *device, uint32_t command, const uint32_t *arguments) {
    require(bt_command_post(device, command, arguments, BT_MAILBOX_ARGUMENTS), "post");
    require(bt_command_wait(device, NULL, NULL), "wait");
    return device->mailbox.status;
}

static void the_firmware_checks_every_argument(void) {
    bt_training_options options = options_default();
    options.micro_batch = 2;
    bt_program *program = small_program(&options, 0.0f);
    bt_program_info info = program_info(program);
    fixture f = fixture_open("sim:", program);
    const uint32_t zero_crc = bt_crc32c(0, (const uint32_t[4]){0}, 16);
    const struct {
        uint32_t command;
        uint32_t arguments[BT_MAILBOX_ARGUMENTS];
        uint32_t status;
    } cases[] = {
        {99, {0}, BT_RESULT_COMMAND},
        {BT_COMMAND_TRAIN, {1, 2, 0, 0}, BT_RESULT_STATE}, /* no samples */
        {BT_COMMAND_SAMPLES, {BT_SAMPLE_INT16, 3}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_SAMPLES, {7, 2}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_SAMPLES, {BT_SAMPLE_INT16, 2}, BT_RESULT_OK},
        {BT_COMMAND_WRITE, {5, 0, 16, 0, zero_crc}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_WRITE, {BT_SPACE_L1, 2, 16, 0, zero_crc}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_WRITE, {BT_SPACE_L1, 0, 0, 0, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_WRITE, {BT_SPACE_L1, 0, BT_STAGING_BYTES + 4, 0, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_WRITE, {BT_SPACE_L1, 0, 16, 2, zero_crc}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_WRITE, {BT_SPACE_L1, 0, 16, 0, zero_crc + 1}, BT_RESULT_CRC},
        {BT_COMMAND_WRITE,
         {BT_SPACE_L1, info.l1_peak_bytes & ~3u, 16, 0, zero_crc},
         BT_RESULT_ARGUMENT},
        {BT_COMMAND_WRITE, {BT_SPACE_L1, 0xFFFFFFF0u, 16, 0, zero_crc}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_READ, {BT_SPACE_L2, info.l2_peak_bytes & ~3u, 16, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_READ, {BT_SPACE_L3, 0, 16, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_READ, {BT_SPACE_SAMPLES, 33554432u - 12, 16, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_TRAIN, {0, 0, 0, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_TRAIN, {1, 0xFFFFFFFFu, 0, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_TRAIN, {0x10000001u, 0, 0, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_TRAIN, {1, 0, 3, zero_crc}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_TRAIN, {1, 0, 0, zero_crc}, BT_RESULT_ARGUMENT}, /* a step of 0 samples */
        {BT_COMMAND_ACCUMULATE, {0, 0, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_ACCUMULATE, {4097, 0, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_ACCUMULATE,
         {1, 0, bt_crc32c(0, (const uint32_t[1]){0}, 4)},
         BT_RESULT_ARGUMENT}, /* half a micro-batch */
        {BT_COMMAND_EVALUATE, {1025, 0, 0, 1}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_UPDATE, {0, zero_crc}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_UPDATE, {2, 0}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_STATISTICS, {2}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_LOAD, {0xFFFFFFFCu}, BT_RESULT_ARGUMENT},
        {BT_COMMAND_EVALUATE, {1, 0, 0}, BT_RESULT_STATE}, /* LOAD forgot the program */
        {BT_COMMAND_READ, {BT_SPACE_L2, 0, 16, 0}, BT_RESULT_STATE},
        {BT_COMMAND_LOAD, {64}, BT_RESULT_PROGRAM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t zeros[4] = {0};
        require(bt_device_write(f.device, f.device->mailbox.staging[0], zeros, sizeof zeros),
                "staging");
        uint32_t status = raw_command(f.device, cases[i].command, cases[i].arguments);
        CHECK(status == cases[i].status, "case %zu: result %u instead of %u", i, status,
              cases[i].status);
    }
    fixture_close(&f);
    bt_program_free(program);
}

static void the_firmware_checks_steps_with_fused_updates(void) {
    bt_training_options options = options_default();
    options.fused_update = 1;
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    const uint32_t staged[] = {2, 0, 0, 0, 0, 1}; /* a step of two samples: 0 and 1 */
    const uint32_t train_two[BT_MAILBOX_ARGUMENTS] = {1, 2, 0, bt_crc32c(0, staged, sizeof staged)};
    const uint32_t accumulate[BT_MAILBOX_ARGUMENTS] = {1, 0, bt_crc32c(0, staged, 4)};
    const uint32_t update[BT_MAILBOX_ARGUMENTS] = {0, bt_crc32c(0, staged, 16)};
    upload_waves(f.session, BT_SAMPLE_INT16);
    require(bt_device_write(f.device, f.device->mailbox.staging[0], staged, sizeof staged),
            "staging");
    CHECK(raw_command(f.device, BT_COMMAND_TRAIN, train_two) == BT_RESULT_ARGUMENT, "TRAIN: %u",
          f.device->mailbox.status);
    CHECK(raw_command(f.device, BT_COMMAND_ACCUMULATE, accumulate) == BT_RESULT_STATE,
          "ACCUMULATE: %u", f.device->mailbox.status);
    CHECK(raw_command(f.device, BT_COMMAND_UPDATE, update) == BT_RESULT_STATE, "UPDATE: %u",
          f.device->mailbox.status);
    fixture_close(&f);
    bt_program_free(program);
}

static void the_firmware_refuses_labels_and_samples_that_are_out_of_range(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    const uint32_t record_bytes = 4 + 2 * 8 + 128 * 2;
    const uint32_t label = 3;
    upload_waves(f.session, BT_SAMPLE_INT16);
    require(bt_command_upload(f.device, BT_SPACE_SAMPLES, 2 * record_bytes, &label, 4), "label");
    const uint32_t indices[] = {2, 33554432u / record_bytes};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t arguments[] = {1, 0, bt_crc32c(0, &indices[i], 4), 0, 0, 0, 0, 0};
        require(bt_device_write(f.device, f.device->mailbox.staging[0], &indices[i], 4), "staging");
        CHECK(raw_command(f.device, BT_COMMAND_EVALUATE, arguments) == BT_RESULT_ARGUMENT,
              "evaluating sample %u: %u", indices[i], f.device->mailbox.status);
    }
    history h = {0};
    check_status(train(f.session, 1, 4, 0, 0.01f, &h), BT_ERROR_DEVICE, "TRAIN");
    CHECK(h.count == 0, "a step was reported");
    fixture_close(&f);
    bt_program_free(program);
}

static void a_program_that_was_overwritten_is_forgotten(void) {
    bt_training_options options = options_default();
    bt_program *program = small_program(&options, 0.0f);
    fixture f = fixture_open("sim:", program);
    const uint32_t word = 0xFFFFFFFFu;
    float value[3];
    require(bt_command_upload(f.device, BT_SPACE_PROGRAM, 512, &word, 4), "program");
    check_status(bt_session_read(f.session, "fc.bias", value, 3), BT_ERROR_DEVICE, "no program");
    const uint32_t load[BT_MAILBOX_ARGUMENTS] = {program_info(program).bytes};
    CHECK(raw_command(f.device, BT_COMMAND_LOAD, load) == BT_RESULT_PROGRAM, "it was accepted");
    CHECK(f.device->mailbox.results[0] == BT_FAULT_CRC, "fault %u", f.device->mailbox.results[0]);
    fixture_close(&f);
    bt_program_free(program);
}

static void test_any_device(void) {
    RUN(a_network_learns_xor);
    RUN(results_do_not_depend_on_cores_or_kernels);
    RUN(a_long_training_is_split_and_reported_in_order);
    RUN(a_resumed_training_continues_bit_exactly);
    RUN(accumulate_and_update_are_a_step);
    RUN(fused_updates_give_the_same_bits);
    RUN(fused_updates_take_steps_of_one_micro_batch);
    RUN(evaluation_does_not_depend_on_the_micro_batch);
    RUN(outputs_larger_than_a_staging_buffer_come_whole);
    RUN(the_plan_and_the_high_water_mark_agree);
    RUN(in_external_memory_they_agree_too);
    RUN(int16_samples_are_close_and_constant_channels_exact);
    RUN(wrong_samples_are_refused);
    RUN(wrong_calls_are_refused);
    RUN(a_loss_that_is_not_finite_leaves_the_weights);
    RUN(a_listener_stops_the_training);
    RUN(another_thread_aborts_the_training);
    RUN(the_firmware_checks_every_argument);
    RUN(the_firmware_checks_steps_with_fused_updates);
    RUN(the_firmware_refuses_labels_and_samples_that_are_out_of_range);
    RUN(a_program_that_was_overwritten_is_forgotten);
}

static void test_sim(void) {
    RUN(a_uri_says_what_is_wrong);
    RUN(a_device_describes_itself);
    RUN(damaged_chunks_are_sent_again);
    RUN(a_device_that_does_not_answer_times_out);
}

int main(int argc, char **argv) {
    gap9_machine = argc > 1 ? argv[1] : NULL;
    test_any_device();
    if (gap9_machine == NULL) {
        test_sim();
    }
    return REPORT();
}
