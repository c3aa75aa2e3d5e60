/* The gvsoc: link: the firmware on a simulated PULP system, through GVSOC's proxy. docs/gvsoc.md.
 */
#ifndef BT_GVSOC_H
#define BT_GVSOC_H

#include "link/link.h"

/*
 * "gvsoc:?target=pulp-open&cores=8&firmware=FILE&install=FOLDER&doorbell=0x1A109810&l1=PATH&l2=PATH"
 * launches a GVSOC of its own; "gvsoc:HOST:PORT?…" attaches to the proxy of one that runs that
 * firmware. l1 and l2 are the paths of the components through which memory is reached.
 *
 * Simulated time advances only while somebody waits for the device.
 */
bt_status bt_link_open_gvsoc(const bt_uri *uri, const bt_device_options *options, bt_link **out);

#endif
