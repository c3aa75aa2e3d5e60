/* The openocd: link: a board behind a debug cable, through OpenOCD's Tcl port. docs/openocd.md. */
#ifndef BT_OPENOCD_H
#define BT_OPENOCD_H

#include "link/link.h"

/*
 * "openocd:HOST:PORT" attaches to a running OpenOCD, by default at 127.0.0.1:6666;
 * "openocd:?script=FILE&cable=FILE&serial=TEXT&speed=KHZ&…" launches one. Options of both:
 * firmware=FILE, target=NAME, core=NAME, start=load|attach, reset=on|off, harts=N.
 */
bt_status bt_link_open_openocd(const bt_uri *uri, const bt_device_options *options, bt_link **out);

/*
 * One sentence for what OpenOCD's messages tell of a usual failure: what it is and what to do.
 * NULL if none is recognised. *line is the message that told, up to its end of line.
 */
const char *bt_openocd_explain(const char *messages, const char **line);

#endif
