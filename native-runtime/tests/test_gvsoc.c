/*
 * The bare-metal firmware on the open GVSOC's pulp-open: the same bits as sim:, and cycles. Skips,
 * saying why, where GVSOC_INSTALL_DIR is not set or the firmware is missing.
 */
#define _GNU_SOURCE
#include <stdbool.h>
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

static void read_counters(bt_device *device, bt_pulp_counter_table counters) {
    uint8_t *bytes = malloc(1u << 20);
    uint32_t address, size;
    bt_elf elf;
    FILE *file = fopen(BT_PULP_OPEN_FIRMWARE_FILE, "rb");
    size_t read = fread(bytes, 1, 1u << 20, file);
    fclose(file);
    require(bt_elf_open(bytes, read, &elf), "bt_elf_open");
    require(bt_elf_symbol(&elf, "bt_pulp_counters", &address, &size), "bt_pulp_counters");
    require(device->link->operations->read(device->link, address, counters,
                                           sizeof(bt_pulp_counter_table)),
            "reading bt_pulp_counters");
    free(bytes);
}

/* Where the cycles of one training sample and one update go, and what the cores wait for. */
static void print_profile(const network *net) {
    enum { STEPS = 1, BATCH = 4 };
    bt_pulp_counter_table counters;
    bt_profile_entry entries[BT_OPCODE_COUNT];
    uint32_t count;
    uint64_t total = 0;
    bt_program *program = program_of(net);
    bt_device *device = device_open(uri, 0);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, net->channels, net->classes);
    require(bt_session_profile_begin(session), "bt_session_profile_begin");
    require(train(session, STEPS, BATCH), "bt_session_train");
    require(bt_session_profile_end(session, entries, BT_OPCODE_COUNT, &count),
            "bt_session_profile_end");
    read_counters(device, counters);
    for (uint32_t i = 0; i < BT_OPCODE_COUNT; i++) {
        for (uint32_t j = 0; j < count; j++) {
            total += i == 0 ? entries[j].critical : 0;
        }
    }
    printf("%s: %.0f cycles per sample\n", net->name, (double)total / (STEPS * BATCH));
    printf("  %-28s %10s %5s %6s %6s %6s %6s %6s %6s %6s %6s\n", "opcode", "cycles", "%", "busy%",
           "instr%", "load%", "fetch%", "fpu%", "branch%", "other%", "ld+st%");
    for (uint32_t j = 0; j < count; j++) {
        const uint64_t *c = NULL;
        for (uint32_t i = 0; i < BT_OPCODE_COUNT; i++) {
            if (counters[i][BT_PULP_INSTRUCTIONS] == entries[j].instructions &&
                entries[j].instructions != 0) {
                c = counters[i];
            }
        }
        if (c == NULL) {
            continue;
        }
        double all = (double)c[BT_PULP_CYCLES];
        double percent[6] = {
            (double)c[BT_PULP_INSTRUCTIONS],         (double)c[BT_PULP_LOAD_STALLS],
            (double)c[BT_PULP_FETCH_STALLS],         (double)c[BT_PULP_FPU_WAITS],
            2.0 * (double)c[BT_PULP_TAKEN_BRANCHES], all,
        };
        for (uint32_t i = 0; i < 5; i++) {
            percent[5] -= percent[i];
        }
        printf("  %-28s %10llu %5.1f %6.1f", entries[j].name,
               (unsigned long long)entries[j].critical / (STEPS * BATCH),
               100.0 * (double)entries[j].critical / (double)total,
               100.0 * all / (8.0 * (double)entries[j].critical));
        for (uint32_t i = 0; i < 6; i++) {
            printf(" %6.1f", 100.0 * percent[i] / all);
        }
        printf(" %6.1f\n", 100.0 * (double)(c[BT_PULP_LOADS] + c[BT_PULP_STORES]) / all);
    }
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
}

/* --------------------------------------------------------------------------------------- tests */

static void cycles_have_a_profile(void) {
    network net = {"EpiDeNet", epidenet(), 2, 11};
    print_profile(&net);
    bt_model_free(net.model);
}

static void eight_cores_give_the_bits_of_sim(void) {
    network net = {"EpiDeNet, 8 cores", epidenet(), 2, 11};
    check_same(&net, uri);
    bt_model_free(net.model);
}

static int skip(const char *why) {
    const char *required = getenv("BIOTRAIN_REQUIRE_GVSOC");
    if (required != NULL && strcmp(required, "1") == 0) {
        printf("FAILED: %s, but BIOTRAIN_REQUIRE_GVSOC is 1\n", why);
        return 1;
    }
    printf("Skipped: %s\n", why);
    return 0;
}

int main(void) {
    const char *install = getenv("GVSOC_INSTALL_DIR");
    if (access(BT_PULP_OPEN_FIRMWARE_FILE, R_OK) != 0) {
        return skip("the firmware was not built; clang-19 and lld-19 are needed for it");
    }
    if (install == NULL || *install == '\0') {
        return skip("GVSOC_INSTALL_DIR is not set; it names the folder where GVSOC is installed");
    }
    snprintf(uri, sizeof uri, "gvsoc:?target=pulp-open&firmware=%s", BT_PULP_OPEN_FIRMWARE_FILE);
    RUN(eight_cores_give_the_bits_of_sim);
    RUN(cycles_have_a_profile);
    return REPORT();
}
