/*
 * What the qemu: link and the virt firmware share beside the mailbox: two blocks that the host
 * finds by symbol in the ELF.
 */
#ifndef BT_VIRT_H
#define BT_VIRT_H

#include <stdint.h>

#define BT_VIRT_MAX_WORKERS 8u
#define BT_VIRT_PROGRAM_BYTES BT_PROGRAM_LIMIT

/*
 * Symbol bt_virt_boot: the host fills it in before the start. biotrain-board.elf, the variant for a
 * board behind a debugger, has values that need no filling in.
 */
typedef struct bt_virt_boot_block {
    uint32_t harts;               /* of the machine: one fabric controller and its workers */
    uint32_t generation;          /* for bt_mailbox.generation; 0: taken from the clock */
    uint32_t counts_instructions; /* the machine was started with -icount */
    uint32_t poll_ticks;          /* of the 10 MHz timer, between looks at the mailbox; 0: only the
                                     doorbell wakes the fabric controller */
} bt_virt_boot_block;

/* Symbol bt_virt_status: bytes of stack ever used, and the exception that stopped a hart. */
typedef struct bt_virt_report {
    uint32_t fc_stack;
    uint32_t worker_stack[BT_VIRT_MAX_WORKERS];
    uint32_t trapped; /* written last */
    uint32_t trap_hart;
    uint32_t trap_cause; /* mcause */
    uint32_t trap_address;
    uint32_t trap_value;
} bt_virt_report;

#endif
