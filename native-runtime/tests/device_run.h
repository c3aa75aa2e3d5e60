/* What tests of a device do again and again: open it, train a program on it, sum up what came out.
 */
#ifndef BT_TEST_DEVICE_RUN_H
#define BT_TEST_DEVICE_RUN_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "biotrain/biotrain.h"
#include "networks.h"
#include "program/program.h"

#define SAMPLES 16u

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline bt_program *epidenet_program(void) {
    bt_model *model = epidenet();
    bt_training_options options = options_default();
    bt_program *program = compile(model, &options, "gap9");
    bt_model_free(model);
    return program;
}

static inline bt_device *device_open(const char *where, uint32_t timeout_ms) {
    bt_device *device;
    const bt_device_options options = {.struct_size = sizeof options, .timeout_ms = timeout_ms};
    require(bt_device_open(where, &options, &device), where);
    return device;
}

static inline bt_session *session_open(bt_device *device, const bt_program *program) {
    bt_session *session;
    require(bt_session_open(device, program, &session), "bt_session_open");
    return session;
}

static inline void upload_noise(bt_session *session, const bt_program *program, uint32_t channels,
                                int32_t classes) {
    uint32_t elements = program_info(program).input_elements;
    float *inputs = malloc((size_t)SAMPLES * elements * sizeof *inputs);
    int32_t labels[SAMPLES];
    uint32_t first;
    require(bt_random_normal(5, 0, (size_t)SAMPLES * elements, inputs), "bt_random_normal");
    for (uint32_t i = 0; i < SAMPLES; i++) {
        labels[i] = (int32_t)i % classes;
    }
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = SAMPLES,
                                .format = BT_SAMPLE_INT16,
                                .channels = channels,
                                .inputs = inputs,
                                .labels = labels};
    require(bt_session_upload(session, &samples, &first), "bt_session_upload");
    free(inputs);
}

static inline bt_status train(bt_session *session, uint32_t steps, uint32_t batch) {
    bt_step *plan = malloc(steps * sizeof *plan);
    uint32_t *indices = malloc((size_t)steps * batch * sizeof *indices);
    for (uint32_t i = 0; i < steps; i++) {
        plan[i] = (bt_step){.samples = batch, .learning_rate = 0.01f};
    }
    for (uint32_t i = 0; i < steps * batch; i++) {
        indices[i] = i * 5 % SAMPLES;
    }
    bt_status status = bt_session_train(session, plan, steps, indices, NULL, NULL);
    free(indices);
    free(plan);
    return status;
}

/* CRC of all named tensors. */
static inline uint32_t state_crc(bt_session *session) {
    uint32_t crc = 0;
    for (uint32_t i = 0; i < bt_session_tensor_count(session); i++) {
        bt_tensor_info info = {.struct_size = sizeof info};
        require(bt_session_tensor_info(session, i, &info), "bt_session_tensor_info");
        if (strcmp(info.name, "target") == 0 || strcmp(info.name, "input") == 0) {
            continue; /* their bytes are reused once they are dead */
        }
        float *values = malloc(info.bytes);
        require(bt_session_read(session, info.name, values, info.bytes / 4), info.name);
        crc = bt_crc32c(crc, values, info.bytes);
        free(values);
    }
    return crc;
}

typedef struct result {
    uint32_t state;
    uint32_t outputs;
    bt_statistics statistics;
} result;

/* Trains and evaluates on a device, which it then closes. */
static inline result run_on(bt_device *device, const bt_program *program, uint32_t channels,
                            int32_t classes, uint32_t steps) {
    float outputs[SAMPLES * 16], losses[SAMPLES];
    uint32_t indices[SAMPLES];
    result r = {.statistics.struct_size = sizeof r.statistics};
    bt_session *session = session_open(device, program);
    upload_noise(session, program, channels, classes);
    require(train(session, steps, 4), "bt_session_train");
    for (uint32_t i = 0; i < SAMPLES; i++) {
        indices[i] = i;
    }
    require(bt_session_evaluate(session, indices, SAMPLES, outputs, losses), "bt_session_evaluate");
    r.outputs = bt_crc32c(bt_crc32c(0, losses, sizeof losses), outputs,
                          SAMPLES * (size_t)classes * sizeof *outputs);
    r.state = state_crc(session);
    require(bt_session_statistics(session, &r.statistics), "bt_session_statistics");
    bt_session_close(session);
    bt_device_close(device);
    return r;
}

static inline result run(const char *where, const bt_program *program, uint32_t channels,
                         int32_t classes, uint32_t steps) {
    return run_on(device_open(where, 0), program, channels, classes, steps);
}

#endif
