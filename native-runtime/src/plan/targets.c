/* Targets that ship. */
#include <string.h>

#include "base/error.h"

static const bt_target targets[] = {
    /* L1: 128 KiB less stacks; L2: 1.5 MiB less the firmware; L3: external memory, by DMA only. */
    {.struct_size = sizeof(bt_target),
     .cores = 8,
     .l1_bytes = 114688,
     .l2_bytes = 1310720,
     .l3_bytes = 33554432,
     .name = "gap9"},
    /* The same without external memory but for the samples. */
    {.struct_size = sizeof(bt_target),
     .cores = 8,
     .l1_bytes = 114688,
     .l2_bytes = 1310720,
     .l3_bytes = 0,
     .name = "gap9-l2-only"},
    /* GVSOC's open target: 64 KiB of L1 less stacks; a slice of L2 stands in for external memory.
     */
    {.struct_size = sizeof(bt_target),
     .cores = 8,
     .l1_bytes = 49088,
     .l2_bytes = 720896,
     .l3_bytes = 589824,
     .name = "pulp-open"},
    {.struct_size = sizeof(bt_target),
     .cores = 8,
     .l1_bytes = 0,
     .l2_bytes = 512u << 20,
     .l3_bytes = 1u << 30,
     .name = "host"},
};

bt_status bt_target_find(const char *name, bt_target *out) {
    BT_REQUIRE(name);
    BT_REQUIRE(out);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        if (strcmp(targets[i].name, name) == 0) {
            *out = targets[i];
            return BT_OK;
        }
    }
    BT_FAIL(BT_ERROR_ARGUMENT,
            "There is no target '%s'; gap9, gap9-l2-only, pulp-open and host are known.", name);
}
