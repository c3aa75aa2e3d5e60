/*
 * The firmware on a real QEMU: the same bits as sim:, and what happens when something breaks.
 * Skips, saying why, where QEMU or the firmware is missing; BIOTRAIN_REQUIRE_TOOLS=1 forbids that.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device_suite.h"
#include "hal/virt/virt.h"
#include "link/elf.h"

#define QEMU "qemu-system-riscv32"

static char uri[512];
static char uri_one_worker[600];

/* ------------------------------------------------------------------------------------- processes
 */

/* Parent, state and processor time of a process; 0 if it is gone. */
static bool process_status(pid_t pid, char name[32], pid_t *parent, char *state,
                           unsigned long *ticks) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *open = read ? strchr(line, '(') : NULL;
    const char *close = read ? strrchr(line, ')') : NULL;
    if (open == NULL || close == NULL) {
        return false;
    }
    snprintf(name, 32, "%.*s", (int)(close - open - 1), open + 1);
    int parent_number = 0;
    unsigned long user = 0, system = 0;
    if (sscanf(close + 2, "%c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", state,
               &parent_number, &user, &system) != 4) {
        return false;
    }
    *parent = parent_number;
    *ticks = user + system;
    return true;
}

/* A running QEMU below process ancestor, or 0. */
static pid_t qemu_below(pid_t ancestor) {
    DIR *directory = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *entry; found == 0 && (entry = readdir(directory)) != NULL;) {
        char name[32], parent_name[32], state, parent_state;
        pid_t parent, grandparent;
        unsigned long ticks;
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid > 0 && process_status(pid, name, &parent, &state, &ticks) &&
            strncmp(name, "qemu-system", 11) == 0 && state != 'Z' &&
            process_status(parent, parent_name, &grandparent, &parent_state, &ticks) &&
            grandparent == ancestor) {
            found = pid;
        }
    }
    closedir(directory);
    return found;
}

static bool ends_within(pid_t pid, double limit) {
    char name[32], state;
    pid_t parent;
    unsigned long ticks;
    for (double end = seconds() + limit; seconds() < end; usleep(10000)) {
        if (!process_status(pid, name, &parent, &state, &ticks) || state == 'Z') {
            return true;
        }
    }
    return false;
}

/* ----------------------------------------------------------------------------------------- tests
 */

static bt_link *open_link(uint32_t workers) {
    bt_link *link;
    const char *where = workers == 1 ? uri_one_worker : uri;
    require(bt_link_open(where, NULL, &link), where);
    return link;
}

static void a_killed_qemu_ends_a_step_with_an_error(void) {
    bt_program *program = epidenet_program();
    bt_device *device = device_open(uri, 0);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    killer k = {qemu_below(getpid()), SIGKILL};
    CHECK(k.victim > 0, "no QEMU found");
    pthread_t thread;
    pthread_create(&thread, NULL, kill_later, &k);
    double begin = seconds();
    bt_status status = train(session, 5000, 8);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "QEMU has ended") != NULL, "%s", bt_error_message(0));
    CHECK(seconds() - begin < 20.0, "took %.1f s", seconds() - begin);
    pthread_join(thread, NULL);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
}

static void a_qemu_killed_while_features_are_computed_loses_the_weights(void) {
    enum { COUNT = 128 };
    bt_model *model = mi_bminet(32, 128, 1); /* for a second or more */
    bt_training_options options = options_default();
    options.scheme = BT_UPDATE_LAST_LAYER;
    options.cache_features = 1;
    bt_program *program = compile(model, &options, "gap9");
    bt_device *device = device_open(uri, 0);
    bt_session *session = session_open(device, program);
    float *inputs = calloc((size_t)COUNT * 8 * 1900, sizeof *inputs);
    const int32_t labels[COUNT] = {0};
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = COUNT,
                                .format = BT_SAMPLE_INT16,
                                .channels = 8,
                                .inputs = inputs,
                                .labels = labels};
    uint32_t first;
    float bias[2];
    killer k = {qemu_below(getpid()), SIGKILL};
    CHECK(k.victim > 0, "no QEMU found");
    pthread_t thread;
    pthread_create(&thread, NULL, kill_later, &k);
    bt_status status = bt_session_upload(session, &samples, &first);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    status = bt_session_read(session, "fc.bias", bias, 2);
    CHECK(status == BT_ERROR_STATE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "weights were lost") != NULL, "%s", bt_error_message(0));
    pthread_join(thread, NULL);
    free(inputs);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
    bt_model_free(model);
}

static void a_stalled_qemu_runs_into_the_deadline(void) {
    bt_program *program = epidenet_program();
    bt_device *device = device_open(uri, 1000);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    pid_t qemu = qemu_below(getpid());
    kill(qemu, SIGSTOP);
    double begin = seconds();
    bt_status status = train(session, 10, 8);
    CHECK(status == BT_ERROR_TIMEOUT, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "last reported state") != NULL, "%s", bt_error_message(0));
    CHECK(seconds() - begin < 20.0, "took %.1f s", seconds() - begin);
    bt_session_close(session);
    bt_device_close(device);
    CHECK(ends_within(qemu, 10.0), "the stopped QEMU is still there");
    bt_program_free(program);
}

static void nothing_survives_a_killed_host(void) {
    int ready[2];
    require(pipe(ready) == 0 ? BT_OK : BT_ERROR_IO, "pipe");
    pid_t host = fork();
    if (host == 0) {
        bt_program *program = epidenet_program();
        bt_device *device = device_open(uri, 0);
        bt_session *session = session_open(device, program);
        upload_noise(session, program, 2, 11);
        if (write(ready[1], "x", 1) == 1) {
            train(session, 5000, 8);
        }
        _exit(0);
    }
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1, "the host process did not come up");
    pid_t qemu = qemu_below(host);
    CHECK(qemu > 0, "no QEMU below the host process");
    usleep(100000);
    kill(host, SIGKILL);
    waitpid(host, NULL, 0);
    CHECK(qemu > 0 && ends_within(qemu, 10.0), "QEMU %d outlived its host", (int)qemu);
    close(ready[0]);
    close(ready[1]);
}

static void stacks_and_code_keep_their_limits(void) {
    bt_link_operations operations;
    bt_link *link = persistent_link(&operations);
    bt_program *program = epidenet_program();
    bt_device *device;
    require(bt_device_open_link(link, NULL, &device), "bt_device_open_link");
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    require(train(session, 2, 8), "bt_session_train");

    FILE *file = fopen(BT_FIRMWARE_FILE, "rb");
    static uint8_t bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    bt_elf elf;
    uint32_t address, symbol_bytes, loaded = 0;
    bt_virt_report report;
    require(bt_elf_open(bytes, size, &elf), "bt_elf_open");
    require(bt_elf_symbol(&elf, "bt_virt_status", &address, &symbol_bytes), "bt_virt_status");
    require(link->operations->read(link, address, &report, sizeof report), "report");
    for (uint32_t i = 0; i < elf.segment_count; i++) {
        bt_elf_segment segment;
        require(bt_elf_segment_get(&elf, i, &segment), "bt_elf_segment_get");
        loaded += segment.file_bytes;
    }
    printf("       firmware %u bytes; stacks used: fabric controller %u of 8192, workers", loaded,
           report.fc_stack);
    for (uint32_t i = 0; i < BT_VIRT_MAX_WORKERS; i++) {
        printf(" %u", report.worker_stack[i]);
        CHECK(report.worker_stack[i] > 0 && report.worker_stack[i] < 2048, "worker %u: %u bytes", i,
              report.worker_stack[i]);
    }
    printf(" of 2048 bytes\n");
    CHECK(report.fc_stack > 0 && report.fc_stack < 8192, "%u bytes", report.fc_stack);
    CHECK(loaded <= 200u * 1024u, "the firmware has %u bytes", loaded);
    bt_session_close(session);
    bt_device_close(device);
    link_close(link);
    bt_program_free(program);
}

static void qemu_sleeps_while_the_session_waits(void) {
    bt_program *program = epidenet_program();
    bt_device *device = device_open(uri, 0);
    bt_session *session = session_open(device, program);
    char name[32], state;
    pid_t parent, qemu = qemu_below(getpid());
    unsigned long before = 0, after = 0;
    usleep(300000);
    CHECK(process_status(qemu, name, &parent, &state, &before), "QEMU is gone");
    usleep(2000000);
    CHECK(process_status(qemu, name, &parent, &state, &after), "QEMU is gone");
    double share = (double)(after - before) / (2.0 * (double)sysconf(_SC_CLK_TCK));
    printf("       idle QEMU uses %.1f %% of a processor\n", 100.0 * share);
    CHECK(share < 0.05, "%.1f %% of a processor", 100.0 * share);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
}

static void instruction_counts_are_reproducible(void) {
    char counting[600];
    bt_profile_entry runs[2][64];
    uint32_t counts[2];
    bt_program *program = epidenet_program();
    snprintf(counting, sizeof counting, "%s&icount=on", uri);
    for (uint32_t i = 0; i < 2; i++) {
        bt_device *device = device_open(counting, 0);
        bt_session *session = session_open(device, program);
        upload_noise(session, program, 2, 11);
        require(bt_session_profile_begin(session), "bt_session_profile_begin");
        require(train(session, 1, 8), "bt_session_train");
        require(bt_session_profile_end(session, runs[i], 64, &counts[i]), "bt_session_profile_end");
        bt_session_close(session);
        bt_device_close(device);
    }
    CHECK(counts[0] == counts[1] && counts[0] > 5, "%u and %u kinds", counts[0], counts[1]);
    for (uint32_t i = 0; i < counts[0] && i < 64; i++) {
        const bt_profile_entry *a = &runs[0][i], *b = &runs[1][i];
        CHECK(strcmp(a->name, b->name) == 0 && a->instructions == b->instructions &&
                  a->critical == b->critical,
              "%s: %llu and %llu instructions", a->name, (unsigned long long)a->instructions,
              (unsigned long long)b->instructions);
        CHECK(a->critical <= a->instructions && a->critical * 8 >= a->instructions,
              "%s: critical path %llu of %llu", a->name, (unsigned long long)a->critical,
              (unsigned long long)a->instructions);
    }
    bt_program_free(program);
}

static void options_are_checked(void) {
    static const char *const bad[][2] = {
        {"qemu:?harts=1", "harts"}, {"qemu:?icount=maybe", "icount"},
        {"qemu:?speed=9", "speed"}, {"qemu:?firmware=/nonexistent.elf", "/nonexistent.elf"},
        {"qemu:", "firmware"},
    };
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bt_device *device;
        bt_status status = bt_device_open(bad[i][0], NULL, &device);
        CHECK(status != BT_OK && strstr(bt_error_message(0), bad[i][1]) != NULL, "%s: %s",
              bad[i][0], bt_error_message(0));
    }
    char missing[600];
    bt_device *device;
    snprintf(missing, sizeof missing, "%s&binary=no-such-qemu", uri);
    bt_status status = bt_device_open(missing, NULL, &device);
    CHECK(status == BT_ERROR_DEVICE && strstr(bt_error_message(0), "no-such-qemu") != NULL, "%s",
          bt_error_message(0));
}

int main(void) {
    if (access(BT_FIRMWARE_FILE, R_OK) != 0) {
        return skip("the firmware was not built; clang-19 and lld-19 are needed for it");
    }
    if (system("command -v " QEMU " >/dev/null") != 0) {
        return skip(QEMU " is not installed");
    }
    snprintf(uri, sizeof uri, "qemu:?firmware=%s", BT_FIRMWARE_FILE);
    snprintf(uri_one_worker, sizeof uri_one_worker, "%s&harts=2", uri);
    RUN(every_scheme_gives_the_bits_of_sim);
    RUN(every_optimizer_gives_the_bits_of_sim);
    RUN(a_larger_network_gives_the_bits_of_sim);
    RUN(fused_updates_give_the_bits_of_sim);
    RUN(cached_features_give_the_bits_of_sim);
    RUN(a_killed_qemu_ends_a_step_with_an_error);
    RUN(a_qemu_killed_while_features_are_computed_loses_the_weights);
    RUN(a_stalled_qemu_runs_into_the_deadline);
    RUN(a_long_command_can_be_aborted);
    RUN(nothing_survives_a_killed_host);
    RUN(another_host_takes_over_a_busy_device);
    RUN(a_restarted_firmware_is_noticed);
    RUN(flipped_bits_are_noticed);
    RUN(flipped_bits_in_the_mailbox_do_no_harm);
    RUN(the_firmware_refuses_a_damaged_program);
    RUN(a_firmware_of_another_protocol_is_refused);
    RUN(stacks_and_code_keep_their_limits);
    RUN(qemu_sleeps_while_the_session_waits);
    RUN(instruction_counts_are_reproducible);
    RUN(options_are_checked);
    return REPORT();
}
