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

/* --------------------------------------------------------------------------------------- tests */

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
    return REPORT();
}
