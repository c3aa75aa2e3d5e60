/*
 * The board's connector: OpenOCD's remote_bitbang protocol on a loopback port (one character in per
 * change of the JTAG lines, one character back per look at TDO), at the pace of a cable.
 *
 * One thread.
 */
#ifndef BT_BOARD_SERVER_H
#define BT_BOARD_SERVER_H

#include <signal.h>

#include "jtag.h"
#include "machine.h"

typedef struct bt_server_options {
    uint32_t port;       /* 0: any free one */
    uint32_t tck_khz;    /* 0: as fast as it goes */
    uint32_t latency_us; /* from the first read-back of a JTAG queue to its answer */
    bool exit_with_stdin;
} bt_server_options;

/*
 * Serves one debugger after the other until *stop is set by a signal handler, or standard input
 * ends if it shall end with that. Prints the port when it listens. The signals must be blocked:
 * they are let in while the server waits.
 *
 * BT_ERROR_IO: the port cannot be had. BT_ERROR_DEVICE: the machine has failed.
 */
bt_status bt_server_run(const bt_server_options *options, bt_machine *machine, bt_jtag *jtag,
                        const volatile sig_atomic_t *stop);

#endif
