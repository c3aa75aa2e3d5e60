/*
 * Starts a GVSOC of one's own with its proxy switched on: from an installation (GVSOC_INSTALL_DIR
 * or the GAP SDK), in a private working folder, below a lifeline (link/process.h).
 */
#ifndef BT_GVSOC_LAUNCH_H
#define BT_GVSOC_LAUNCH_H

#include "link/process.h"

typedef struct bt_gvsoc_launch {
    char install[1024]; /* folder that holds bin/gvsoc and bin/gvsoc_launcher */
    char efuses[1200];  /* file that a simulated GAP9 starts with, or "" */
    char work[256];     /* working folder, or "" */
    char port[16];      /* where the proxy listens on this machine */
    bt_process process;
} bt_gvsoc_launch;

#define BT_GVSOC_LAUNCH_NONE {.process = BT_PROCESS_NONE}

/* Finds the installation: the option (may be NULL), or what the environment says. */
bt_status bt_gvsoc_find(bt_gvsoc_launch *launch, const char *option, bool is_gap9);

/* target is that of gvsoc --target=. Afterwards the proxy listens at port; time stands at 0. */
bt_status bt_gvsoc_start(bt_gvsoc_launch *launch, const char *target, const uint8_t *firmware,
                         size_t firmware_bytes);

/* A new error: what, then what the simulator said last. */
bt_status bt_gvsoc_fail(bt_gvsoc_launch *launch, bt_status status, const char *what);

/* Removes the working folder; what the simulator has opened there stays, without a name. */
void bt_gvsoc_drop_names(bt_gvsoc_launch *launch);

/* Ends the simulator, if it runs, and removes the working folder. */
void bt_gvsoc_stop(bt_gvsoc_launch *launch);

#endif
