/*
 * The harts and the RAM behind the debug module: a QEMU of its own, whose RAM this process shares
 * and whose harts it stops, starts and reads through QEMU's debug server. That server stops all
 * harts or none, so to reach the registers of one hart the others pause for a moment too.
 *
 * Nothing can be left behind: memory and sockets have no names, and the kernel kills QEMU when this
 * process ends, however it ends.
 *
 * One thread, the one that opened the machine. When QEMU breaks, the machine has failed for good:
 * the error stack says why, and all further calls do nothing.
 */
#ifndef BT_BOARD_MACHINE_H
#define BT_BOARD_MACHINE_H

#include "debug_module.h"

#define BT_RAM_BASE 0x80000000u

typedef struct bt_machine bt_machine;

/* Starts QEMU with all harts stopped at the reset vector and RAM full of zeros. */
bt_status bt_machine_open(const char *qemu, uint32_t harts, uint32_t ram_mib, bt_machine **out);

void bt_machine_close(bt_machine *machine);

/* Both belong to the machine. */
bt_harts bt_machine_harts(bt_machine *machine);
bt_ram bt_machine_ram(const bt_machine *machine);

/* Readable when QEMU has something to say that nobody asked for: that it has ended. After a reset
 * it is another one, or -1. */
int bt_machine_descriptor(const bt_machine *machine);

/* Looks at the descriptor; BT_ERROR_DEVICE once the machine has failed. */
bt_status bt_machine_check(bt_machine *machine);

#endif
