/* The qemu: link: starts, supervises and stops a QEMU of its own. */
#ifndef BT_QEMU_H
#define BT_QEMU_H

#include "link/link.h"

/*
 * "qemu:?harts=9&icount=on&binary=qemu-system-riscv32&firmware=FILE&gdb=PORT": harts 2 … 9, one of
 * them the fabric controller; icount makes instruction counts reproducible; gdb opens QEMU's debug
 * server on the loopback interface.
 */
bt_status bt_link_open_qemu(const bt_uri *uri, const bt_device_options *options, bt_link **out);

#endif
