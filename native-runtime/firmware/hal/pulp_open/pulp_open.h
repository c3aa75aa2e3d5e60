/*
 * What the gvsoc: link and the pulp-open firmware share beside the mailbox: blocks that the host
 * finds by symbol in the ELF.
 */
#ifndef BT_PULP_OPEN_H
#define BT_PULP_OPEN_H

#include <stdint.h>

#include "program/program.h"

#define BT_PULP_MAX_WORKERS 8u
#define BT_PULP_PROGRAM_BYTES BT_PROGRAM_LIMIT
#define BT_PULP_BOOT_MAGIC 0x544F4F42u /* "BOOT" */

/* Symbol bt_pulp_boot: the host may fill it in before the start; else all workers run. */
typedef struct bt_pulp_boot_block {
    uint32_t magic; /* BT_PULP_BOOT_MAGIC if the rest is valid */
    uint32_t workers;
    uint32_t generation; /* for bt_mailbox.generation */
} bt_pulp_boot_block;

/* Symbol bt_pulp_status: bytes of stack ever used, and the exception that stopped a core. */
typedef struct bt_pulp_report {
    uint32_t fc_stack;
    uint32_t worker_stack[BT_PULP_MAX_WORKERS];
    uint32_t trapped; /* written last */
    uint32_t trap_hart;
    uint32_t trap_cause; /* mcause */
    uint32_t trap_address;
} bt_pulp_report;

/* Performance counters of a core that PROFILE reads; all but the last are numbered as in hardware.
 */
enum {
    BT_PULP_CYCLES = 0, /* while not asleep */
    BT_PULP_INSTRUCTIONS = 1,
    BT_PULP_LOAD_STALLS = 2,
    BT_PULP_JUMP_STALLS = 3,
    BT_PULP_FETCH_STALLS = 4,
    BT_PULP_LOADS = 5,
    BT_PULP_STORES = 6,
    BT_PULP_JUMPS = 7,
    BT_PULP_BRANCHES = 8,
    BT_PULP_TAKEN_BRANCHES = 9,
    BT_PULP_FPU_WAITS = 10, /* for one of the four units that eight cores share; event 18 */
    BT_PULP_COUNTERS = 11
};

/* Symbol bt_pulp_counters: sums of the last PROFILE, by opcode, of all workers. */
typedef uint64_t bt_pulp_counter_table[BT_OPCODE_COUNT][BT_PULP_COUNTERS];

#endif
