/*
 * GAP9's numbers, and the block that tells a debugger how far the firmware has come. The host finds
 * the mailbox by the ELF's symbol bt_gap9_mailbox, this block by bt_gap9_status.
 */
#ifndef BT_GAP9_H
#define BT_GAP9_H

#include <stdint.h>

#define BT_GAP9_MAX_WORKERS 8u
#define BT_GAP9_PROGRAM_BYTES BT_PROGRAM_LIMIT

/*
 * L1: the SDK leaves 130 832 of its 131 072 bytes. The arena of programs is the target file's
 * l1_bytes; the workers' stacks were measured at 860 bytes; the controller's holds PMSIS's calls.
 */
#define BT_GAP9_L1_ARENA_BYTES 114688u
#define BT_GAP9_WORKER_STACK_BYTES 1536u
#define BT_GAP9_CONTROLLER_STACK_BYTES 3072u

/* L2: 1.5 MiB less code, buffers and the SDK. */
#define BT_GAP9_L2_ARENA_BYTES 1179648u
/* L3: 32 MiB less what the SDK's allocator keeps. */
#define BT_GAP9_L3_BYTES 33488896u

/* What the firmware is doing. */
enum {
    BT_GAP9_CLUSTER = 1, /* opens the cluster */
    BT_GAP9_L1 = 2,      /* reserves stacks and arena in L1 */
    BT_GAP9_L2 = 3,      /* reserves the arena in L2 */
    BT_GAP9_RAM = 4,     /* opens and reserves the external memory */
    BT_GAP9_CORES = 5,   /* runs an empty job on all workers */
    BT_GAP9_SERVING = 6  /* serves the mailbox, for ever */
};

/* Symbol bt_gap9_status. */
typedef struct bt_gap9_report {
    uint32_t stage;
    int32_t error; /* not 0: stage failed with this, and the firmware waits to be reset */
    int32_t
        clock_error; /* not 0: voltage or a frequency was refused; it goes on with the old one */
    uint32_t fc_hz;
    uint32_t cluster_hz;
    uint32_t workers;
    uint32_t worker_stack[BT_GAP9_MAX_WORKERS]; /* bytes ever used, after the last command */
} bt_gap9_report;

#endif
