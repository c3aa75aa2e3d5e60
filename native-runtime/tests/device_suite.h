/*
 * What holds for every device with the resident firmware, whatever its link: the same bits as sim:,
 * and what happens when a transfer is damaged, a command is aborted, a host dies or the device
 * restarts. A test that includes this defines open_link.
 */
#ifndef BT_TEST_DEVICE_SUITE_H
#define BT_TEST_DEVICE_SUITE_H

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "device_run.h"
#include "link/link.h"
#include "session/device.h"
#include "support.h"

/* A link, not started, to a device of 8 workers or 1. */
static bt_link *open_link(uint32_t workers);

static bt_device *open_device(uint32_t workers, uint32_t timeout_ms) {
    bt_device *device;
    const bt_device_options options = {.struct_size = sizeof options, .timeout_ms = timeout_ms};
    require(bt_device_open_link(open_link(workers), &options, &device), "bt_device_open_link");
    return device;
}

static void check_same(const char *what, const bt_program *program, uint32_t channels,
                       int32_t classes, uint32_t steps) {
    static const uint32_t workers[] = {8, 1};
    result expected = run("sim:?cores=1", program, channels, classes, steps);
    CHECK(expected.statistics.l2_high_water == program_info(program).l2_peak_bytes,
          "%s: the plan says %u bytes of L2, sim: measured %u", what,
          program_info(program).l2_peak_bytes, expected.statistics.l2_high_water);
    for (uint32_t i = 0; i < 2; i++) {
        result r = run_on(open_device(workers[i], 0), program, channels, classes, steps);
        CHECK(r.state == expected.state, "%s on %u workers: other weights than sim:", what,
              workers[i]);
        CHECK(r.outputs == expected.outputs, "%s on %u workers: other outputs than sim:", what,
              workers[i]);
        CHECK(r.statistics.l2_high_water == expected.statistics.l2_high_water,
              "%s on %u workers: %u bytes of L2, sim: %u", what, workers[i],
              r.statistics.l2_high_water, expected.statistics.l2_high_water);
    }
}

static void every_scheme_gives_the_bits_of_sim(void) {
    static const bt_update_scheme schemes[] = {BT_UPDATE_FULL, BT_UPDATE_LAST_LAYER,
                                               BT_UPDATE_BIAS_ONLY, BT_UPDATE_NORM_ONLY};
    static const char *const names[] = {"full", "last layer", "bias only", "norm only"};
    bt_model *model = epidenet();
    for (uint32_t i = 0; i < 4; i++) {
        bt_training_options options = options_default();
        options.scheme = schemes[i];
        bt_program *program = compile(model, &options, "gap9");
        check_same(names[i], program, 2, 11, 2);
        bt_program_free(program);
    }
    bt_model_free(model);
}

static void every_optimizer_gives_the_bits_of_sim(void) {
    static const bt_optimizer optimizers[] = {BT_OPTIMIZER_ADAM, BT_OPTIMIZER_ADAMW};
    bt_model *model = epidenet();
    for (uint32_t i = 0; i < 2; i++) {
        bt_training_options options = options_default();
        options.optimizer = optimizers[i];
        bt_program *program = compile(model, &options, "gap9");
        check_same(i == 0 ? "Adam" : "AdamW", program, 2, 11, 2);
        bt_program_free(program);
    }
    bt_model_free(model);
}

static void a_larger_network_gives_the_bits_of_sim(void) {
    bt_model *model = mi_bminet(8, 64, 0);
    bt_training_options options = options_default();
    bt_program *program = compile(model, &options, "gap9");
    check_same("MI-BMINet F1=8", program, 8, 2, 1);
    bt_program_free(program);
    bt_model_free(model);
}

static void fused_updates_give_the_bits_of_sim(void) {
    bt_model *model = epidenet();
    bt_training_options options = options_default();
    options.micro_batch = 4; /* the step of a run */
    options.fused_update = 1;
    bt_program *program = compile(model, &options, "gap9");
    check_same("fused updates", program, 2, 11, 3);
    bt_program_free(program);
    bt_model_free(model);
}

static void cached_features_give_the_bits_of_sim(void) {
    bt_model *model = epidenet();
    bt_training_options options = options_default();
    options.scheme = BT_UPDATE_LAST_LAYER;
    bt_program *plain = compile(model, &options, "gap9");
    options.cache_features = 1;
    bt_program *cached = compile(model, &options, "gap9");
    check_same("cached features", cached, 2, 11, 6);
    CHECK(run("sim:", plain, 2, 11, 6).outputs == run("sim:", cached, 2, 11, 6).outputs,
          "other outputs than without cached features");
    bt_program_free(plain);
    bt_program_free(cached);
    bt_model_free(model);
}

typedef struct killer {
    pid_t victim;
    int signal;
} killer;

/* For a thread: signals a process in the middle of a long command. */
static void *kill_later(void *argument) {
    const killer *k = argument;
    usleep(200000);
    kill(k->victim, k->signal);
    return NULL;
}

static void *abort_later(void *session) {
    usleep(300000);
    bt_session_abort(session);
    return NULL;
}

static void a_long_command_can_be_aborted(void) {
    bt_program *program = epidenet_program();
    bt_device *device = open_device(8, 0);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    pthread_t thread;
    pthread_create(&thread, NULL, abort_later, session);
    bt_status status = train(session, 5000, 8);
    CHECK(status == BT_ERROR_ABORTED, "%s", bt_status_name(status));
    pthread_join(thread, NULL);
    status = train(session, 1, 8);
    CHECK(status == BT_OK, "training after an abort: %s", bt_status_name(status));
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
}

/* A link that stays open when its device is closed, as that of a host that died. */
static void (*link_close)(bt_link *link);

static void keep_open(bt_link *link) { (void)link; }

static bt_link *persistent_link(bt_link_operations *operations) {
    bt_link *link = open_link(8);
    *operations = *link->operations;
    link_close = operations->close;
    operations->close = keep_open;
    link->operations = operations;
    return link;
}

static bt_status already_started(bt_link *link) {
    (void)link;
    return BT_OK;
}

static void another_host_takes_over_a_busy_device(void) {
    bt_link_operations operations;
    bt_link *link = persistent_link(&operations);
    bt_program *program = epidenet_program();
    bt_device *device;
    require(bt_device_open_link(link, NULL, &device), "first host");
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    uint32_t indices[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    uint32_t arguments[] = {8, 0, bt_crc32c(0, indices, sizeof indices)};
    require(bt_device_write(device, device->mailbox.staging[0], indices, sizeof indices),
            "staging");
    require(bt_command_post(device, BT_COMMAND_ACCUMULATE, arguments, 3), "ACCUMULATE");
    bt_device_close(device); /* the command is still running */
    operations.start = already_started;
    require(bt_device_open_link(link, NULL, &device), "second host");
    bt_session *second = session_open(device, program);
    upload_noise(second, program, 2, 11);
    bt_status status = train(second, 1, 8);
    CHECK(status == BT_OK, "%s: %s", bt_status_name(status), bt_error_message(0));
    bt_session_close(second);
    bt_device_close(device);
    bt_session_close(session);
    link_close(link);
    bt_program_free(program);
}

static void a_restarted_firmware_is_noticed(void) {
    bt_link_operations operations;
    bt_link *link = persistent_link(&operations);
    bt_program *program = epidenet_program();
    bt_device *device;
    require(bt_device_open_link(link, NULL, &device), "bt_device_open_link");
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    require(operations.stop(link), "stop");
    require(operations.start(link), "start");
    bt_status status = train(session, 1, 8);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "restarted") != NULL, "%s", bt_error_message(0));
    bt_session_close(session);
    bt_device_close(device);
    link_close(link);
    bt_program_free(program);
}

/* A link that flips one bit of the next writes of a chunk's size. */
static uint32_t damages_left;

static bt_status (*undamaged_write)(bt_link *link, uint32_t address, const void *from,
                                    uint32_t size);

static bt_status damaging_write(bt_link *link, uint32_t address, const void *from, uint32_t size) {
    uint8_t copy[BT_STAGING_BYTES];
    if (damages_left > 0 && size >= 256 && size <= sizeof copy) {
        damages_left--;
        memcpy(copy, from, size);
        copy[size / 2] ^= 0x10;
        from = copy;
    }
    return undamaged_write(link, address, from, size);
}

static void flipped_bits_are_noticed(void) {
    bt_link_operations operations;
    bt_link *link = persistent_link(&operations);
    undamaged_write = operations.write;
    operations.write = damaging_write;
    bt_program *program = epidenet_program();
    bt_device *device;
    require(bt_device_open_link(link, NULL, &device), "bt_device_open_link");
    damages_left = 2; /* one chunk of the program is sent three times */
    bt_session *session = session_open(device, program);
    CHECK(damages_left == 0, "%u damages were not used", damages_left);
    damages_left = 1;
    upload_noise(session, program, 2, 11);
    require(train(session, 1, 8), "training after damaged chunks");
    damages_left = 1000;
    float inputs[2000] = {0};
    int32_t label = 0;
    uint32_t first;
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = 1,
                                .format = BT_SAMPLE_FLOAT32,
                                .channels = 2,
                                .inputs = inputs,
                                .labels = &label};
    require(bt_session_clear_samples(session), "bt_session_clear_samples");
    bt_status status = bt_session_upload(session, &samples, &first);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "damaged") != NULL, "%s", bt_error_message(0));
    damages_left = 0;
    bt_session_close(session);
    bt_device_close(device);
    link_close(link);
    bt_program_free(program);
}

/* Flips a bit of one word of the next command posted. */
static uint32_t damaged_word;

static bt_status damaging_post(bt_link *link, uint32_t address, const void *from, uint32_t size) {
    uint32_t words[2 + BT_MAILBOX_ARGUMENTS];
    if (damaged_word < sizeof words / sizeof *words && size == sizeof words &&
        address == link->mailbox_address + offsetof(bt_mailbox, command)) {
        memcpy(words, from, size);
        words[damaged_word] ^= 4;
        damaged_word = UINT32_MAX;
        from = words;
    }
    return undamaged_write(link, address, from, size);
}

static bt_status (*honest_read)(bt_link *link, uint32_t address, void *to, uint32_t size);

/* Flips a bit of the next answer read. */
static uint32_t damaged_answers;

static bt_status damaging_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    uint32_t answer = link->mailbox_address + (uint32_t)offsetof(bt_mailbox, status);
    bt_status status = honest_read(link, address, to, size);
    if (status == BT_OK && damaged_answers > 0 && address == answer) {
        damaged_answers--;
        ((bt_mailbox *)(void *)((uint8_t *)to - offsetof(bt_mailbox, status)))->results[0] ^= 1;
    }
    return status;
}

static void flipped_bits_in_the_mailbox_do_no_harm(void) {
    bt_link_operations operations;
    bt_link *link = persistent_link(&operations);
    undamaged_write = operations.write;
    honest_read = operations.read;
    operations.write = damaging_post;
    operations.read = damaging_read;
    damaged_word = UINT32_MAX;
    damaged_answers = 0;
    bt_program *program = epidenet_program();
    bt_device *device;
    require(bt_device_open_link(link, NULL, &device), "bt_device_open_link");
    bt_session *session = session_open(device, program);
    float weights[16], again[16];
    require(bt_session_read(session, "conv1.weight", weights, 16), "bt_session_read");
    uint32_t before = state_crc(session);
    for (uint32_t word = 0; word < 2 + BT_MAILBOX_ARGUMENTS; word++) {
        damaged_word = word; /* a WRITE to another space, offset or length, or another command */
        bt_status status = bt_session_write(session, "conv1.weight", weights, 16);
        CHECK(status == BT_OK && damaged_word == UINT32_MAX, "word %u: %s", word,
              bt_status_name(status));
        damaged_answers = word % 3;
        require(bt_session_read(session, "conv1.weight", again, 16), "bt_session_read");
        CHECK(memcmp(weights, again, sizeof weights) == 0, "word %u: other weights", word);
        CHECK(state_crc(session) == before, "word %u: something else was written", word);
    }
    damaged_answers = 1000;
    bt_status status = bt_session_read(session, "conv1.weight", again, 16);
    CHECK(status == BT_ERROR_DEVICE && strstr(bt_error_message(0), "damaged") != NULL, "%s: %s",
          bt_status_name(status), bt_error_message(0));
    damaged_answers = 0;
    bt_session_close(session);
    bt_device_close(device);
    link_close(link);
    bt_program_free(program);
}

static void the_firmware_refuses_a_damaged_program(void) {
    const uint8_t *bytes;
    size_t size;
    bt_program *program = epidenet_program();
    bt_device *device = open_device(8, 0);
    require(bt_program_bytes(program, &bytes, &size), "bt_program_bytes");
    uint8_t *damaged = malloc(size);
    memcpy(damaged, bytes, size);
    bt_program_header *header = (bt_program_header *)(void *)damaged;
    uint32_t *words = (uint32_t *)(void *)(damaged + header->sequence_offset[BT_SEQUENCE_TRAIN]);
    words[1] = header->tensor_count; /* the first operand of instruction 0 */
    header->crc = 0;
    header->crc = bt_crc32c(0, damaged, size);
    require(bt_command_upload(device, BT_SPACE_PROGRAM, 0, damaged, (uint32_t)size), "upload");
    const uint32_t arguments[] = {(uint32_t)size};
    bt_status status = bt_command_run(device, BT_COMMAND_LOAD, arguments, 1);
    CHECK(status == BT_ERROR_PROGRAM, "%s", bt_status_name(status));
    CHECK(device->mailbox.results[1] == BT_SEQUENCE_TRAIN && device->mailbox.results[2] == 0,
          "refused sequence %u, instruction %u", device->mailbox.results[1],
          device->mailbox.results[2]);
    free(damaged);
    bt_device_close(device);
    bt_program_free(program);
}

/* A link to a firmware of another protocol. */
static bt_status other_protocol_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    bt_status status = honest_read(link, address, to, size);
    if (status == BT_OK && address == link->mailbox_address && size == sizeof(bt_mailbox)) {
        ((bt_mailbox *)to)->protocol = BT_PROTOCOL_VERSION + 1;
    }
    return status;
}

static void a_firmware_of_another_protocol_is_refused(void) {
    bt_link_operations operations;
    bt_link *link = persistent_link(&operations);
    honest_read = operations.read;
    operations.read = other_protocol_read;
    bt_device *device;
    bt_status status = bt_device_open_link(link, NULL, &device);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "protocol") != NULL, "%s", bt_error_message(0));
    link_close(link);
}

#endif
