/*
 * The bare-metal firmware on the open GVSOC's pulp-open: the same bits as sim:, and cycles. Skips,
 * saying why, where GVSOC_INSTALL_DIR is not set or the firmware is missing.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device_run.h"
#include "hal/pulp_open/pulp_open.h"
#include "link/elf.h"
#include "link/link.h"
#include "session/device.h"
#include "support.h"

static char uri[512];

/* ------------------------------------------------------------------------------------ networks */

typedef struct network {
    const char *name;
    bt_model *model;
    uint32_t channels;
    int32_t classes;
} network;

static bt_program *program_of(const network *net) {
    bt_training_options options = options_default();
    return compile(net->model, &options, "pulp-open");
}

/* One step of four samples on sim: and on the cluster. */
static void check_same(const network *net, const char *where) {
    bt_program *program = program_of(net);
    result expected = run("sim:?target=pulp-open&cores=1", program, net->channels, net->classes, 1);
    result r = run(where, program, net->channels, net->classes, 1);
    CHECK(r.state == expected.state, "%s: other weights than sim:", net->name);
    CHECK(r.outputs == expected.outputs, "%s: other outputs than sim:", net->name);
    CHECK(r.statistics.l1_high_water == expected.statistics.l1_high_water,
          "%s: %u bytes of L1, sim: %u", net->name, r.statistics.l1_high_water,
          expected.statistics.l1_high_water);
    CHECK(r.statistics.l2_high_water == expected.statistics.l2_high_water,
          "%s: %u bytes of L2, sim: %u", net->name, r.statistics.l2_high_water,
          expected.statistics.l2_high_water);
    CHECK(r.statistics.cycles > 0, "%s: no cycles", net->name);
    printf("       %s: %.0f cycles per training sample\n", net->name,
           (double)r.statistics.cycles / r.statistics.micro_steps);
    bt_program_free(program);
}

/* ------------------------------------------------------------------------------------- counters */

/* Reads what the firmware holds at a symbol. */
static void read_symbol(bt_device *device, const char *name, void *to, uint32_t size) {
    static uint8_t bytes[1u << 20];
    uint32_t address, symbol_size;
    bt_elf elf;
    FILE *file = fopen(BT_PULP_OPEN_FIRMWARE_FILE, "rb");
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    require(bt_elf_open(bytes, length, &elf), "bt_elf_open");
    require(bt_elf_symbol(&elf, name, &address, &symbol_size), name);
    require(device->link->operations->read(device->link, address, to, size), name);
}

static void print_percent(double part, double all) { printf(" %6.1f", 100.0 * part / all); }

/* What the cores did while they were awake: executing, and waiting for what. */
static void print_row(const bt_profile_entry *entry, const uint64_t *counters, double cycles) {
    double awake = (double)counters[BT_PULP_CYCLES];
    double rest = awake;
    const double parts[] = {
        (double)counters[BT_PULP_INSTRUCTIONS],         (double)counters[BT_PULP_LOAD_STALLS],
        (double)counters[BT_PULP_FETCH_STALLS],         (double)counters[BT_PULP_FPU_WAITS],
        2.0 * (double)counters[BT_PULP_TAKEN_BRANCHES],
    };
    printf("       %-22s %9llu", entry->name, (unsigned long long)entry->critical);
    print_percent((double)entry->critical, cycles);
    print_percent(awake, BT_PULP_MAX_WORKERS * (double)entry->critical);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        print_percent(parts[i], awake);
        rest -= parts[i];
    }
    print_percent(rest, awake);
    printf("\n");
}

static const uint64_t *counters_of(const bt_pulp_counter_table table, const char *name) {
    for (uint32_t i = 0; i < BT_OPCODE_COUNT; i++) {
        if (strcmp(bt_opcode_name(i), name) == 0) {
            return table[i];
        }
    }
    return NULL;
}

/* --------------------------------------------------------------------------------------- tests */

static void eight_cores_give_the_bits_of_sim(void) {
    network net = {"EpiDeNet, 8 cores", epidenet(), 2, 11};
    check_same(&net, uri);
    bt_model_free(net.model);
}

static void one_core_gives_the_bits_of_sim(void) {
    network net = {"EpiDeNet, 1 core", epidenet(), 2, 11};
    char one_core[600];
    snprintf(one_core, sizeof one_core, "%s&cores=1", uri);
    check_same(&net, one_core);
    bt_model_free(net.model);
}

/* Where the cycles of one sample and an update go. */
static void a_profile_accounts_for_all_cycles(void) {
    network net = {"EpiDeNet", epidenet(), 2, 11};
    bt_profile_entry entries[BT_OPCODE_COUNT];
    bt_pulp_counter_table table;
    bt_pulp_report report;
    bt_statistics statistics = {.struct_size = sizeof statistics};
    uint32_t count;
    double cycles = 0;
    bt_program *program = program_of(&net);
    bt_device *device = device_open(uri, 0);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, net.channels, net.classes);
    require(train(session, 1, 1), "bt_session_train");
    require(bt_session_statistics(session, &statistics), "bt_session_statistics");
    require(bt_session_profile_begin(session), "bt_session_profile_begin");
    require(train(session, 1, 1), "bt_session_train");
    require(bt_session_profile_end(session, entries, BT_OPCODE_COUNT, &count),
            "bt_session_profile_end");
    read_symbol(device, "bt_pulp_counters", table, sizeof table);
    read_symbol(device, "bt_pulp_status", &report, sizeof report);
    for (uint32_t i = 0; i < count; i++) {
        cycles += (double)entries[i].critical;
    }
    /* The counting itself is left out. */
    CHECK(cycles > 0.9 * (double)statistics.cycles && cycles < 1.1 * (double)statistics.cycles,
          "%.0f cycles in instructions, %llu without counting", cycles,
          (unsigned long long)statistics.cycles);
    printf("       %-22s %9s %6s %6s %6s %6s %6s %6s %6s %6s\n", "EpiDeNet, one sample", "cycles",
           "%", "awake%", "instr%", "load%", "fetch%", "fpu%", "branch%", "memory%");
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t *counters = counters_of(table, entries[i].name);
        CHECK(counters != NULL && counters[BT_PULP_INSTRUCTIONS] == entries[i].instructions,
              "%s: two counts of instructions", entries[i].name);
        if (counters != NULL && counters[BT_PULP_CYCLES] != 0) {
            print_row(&entries[i], counters, cycles);
        }
    }
    printf("       stacks used: fabric controller %u of 8192, workers", report.fc_stack);
    CHECK(report.fc_stack > 0 && report.fc_stack < 8192, "%u bytes", report.fc_stack);
    for (uint32_t i = 0; i < BT_PULP_MAX_WORKERS; i++) {
        printf(" %u", report.worker_stack[i]);
        CHECK(report.worker_stack[i] > 0 && report.worker_stack[i] < 2048, "worker %u: %u bytes", i,
              report.worker_stack[i]);
    }
    printf(" of 2048\n");
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
    bt_model_free(net.model);
}

/* The first child of a process, or 0. */
static pid_t child_of(pid_t parent) {
    char path[64], line[64] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *file = fopen(path, "r");
    bool found = file != NULL && fgets(line, sizeof line, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    return found ? (pid_t)atoi(line) : 0;
}

static void *kill_later(void *argument) {
    usleep(500000);
    kill(-*(pid_t *)argument, SIGKILL);
    return NULL;
}

static void a_killed_simulator_ends_a_step_with_an_error(void) {
    network net = {"EpiDeNet", epidenet(), 2, 11};
    bt_program *program = program_of(&net);
    bt_device *device = device_open(uri, 0);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, net.channels, net.classes);
    pid_t group = child_of(getpid()); /* led by the shell above the simulator */
    CHECK(group > 0, "no simulator found");
    pthread_t thread;
    pthread_create(&thread, NULL, kill_later, &group);
    bt_status status = train(session, 100, 8);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "The simulation has ended") != NULL, "%s",
          bt_error_message(0));
    pthread_join(thread, NULL);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
    bt_model_free(net.model);
}

static void nothing_survives_a_killed_host(void) {
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0, "no pipe");
    pid_t host = fork();
    if (host == 0) {
        bt_device *device = device_open(uri, 0);
        _exit(device != NULL && write(ready[1], "", 1) == 1 ? pause() : 1);
    }
    CHECK(read(ready[0], &byte, 1) == 1, "the host did not open its device");
    pid_t shell = child_of(host);
    pid_t simulator = child_of(shell);
    CHECK(simulator > 0 && kill(simulator, 0) == 0, "no simulator found");
    kill(host, SIGKILL);
    waitpid(host, NULL, 0);
    int waited = 0;
    while (kill(simulator, 0) == 0 && waited < 1000) {
        usleep(10000);
        waited++;
    }
    CHECK(waited < 1000, "the simulator is still there");
    close(ready[0]);
    close(ready[1]);
}

static void an_access_to_nothing_is_refused(void) {
    bt_device *device = device_open(uri, 0);
    const uint32_t nowhere = 0x0BADBAD0;
    uint32_t word;
    bt_link *link = device->link;
    bt_status status = link->operations->write(link, nowhere, &word, sizeof word);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "refused to write 4 bytes at 0x0BADBAD0") != NULL, "%s",
          bt_error_message(0));
    bt_device_close(device);
}

int main(void) {
    const char *install = getenv("GVSOC_INSTALL_DIR");
    if (access(BT_PULP_OPEN_FIRMWARE_FILE, R_OK) != 0) {
        return skip_for("BIOTRAIN_REQUIRE_GVSOC",
                        "the firmware was not built; clang-19 and lld-19 are needed for it");
    }
    if (install == NULL || *install == '\0') {
        return skip_for(
            "BIOTRAIN_REQUIRE_GVSOC",
            "GVSOC_INSTALL_DIR is not set; it names the folder where GVSOC is installed");
    }
    snprintf(uri, sizeof uri, "gvsoc:?target=pulp-open&firmware=%s", BT_PULP_OPEN_FIRMWARE_FILE);
    RUN(eight_cores_give_the_bits_of_sim);
    RUN(one_core_gives_the_bits_of_sim);
    RUN(a_profile_accounts_for_all_cycles);
    RUN(a_killed_simulator_ends_a_step_with_an_error);
    RUN(nothing_survives_a_killed_host);
    RUN(an_access_to_nothing_is_refused);
    return REPORT();
}
