/*
 * Faults that the board shows on request, while it runs. Counters go down with every fault shown;
 * everything behind them works normally again once they are zero.
 */
#ifndef BT_BOARD_FAULTS_H
#define BT_BOARD_FAULTS_H

#include <stdbool.h>

#include "biotrain/biotrain.h"

typedef struct bt_faults {
    uint32_t bus_errors; /* next accesses of the system bus that fail */
    uint32_t flips;      /* next words over the system bus, either way, with one bit wrong */
    uint32_t tap_resets; /* next scans of a data register that end in a reset of the TAP */
    bool bus_stuck;      /* the system bus stays busy */
    bool no_target;      /* the cable ends in the air: TDO stays high, nothing arrives */
    uint32_t drop_ms;    /* drop the JTAG connection and refuse others for this long; 0: no */
} bt_faults;

/* "bus-error [COUNT]", "flip [COUNT]", "tap-reset [COUNT]", "busy-forever", "no-target", "drop
 * [MS]" or "clear". BT_ERROR_ARGUMENT for anything else; faults are then as before. */
bt_status bt_faults_set(bt_faults *faults, const char *text);

/* Takes one from a counter; false if there was none. */
static inline bool bt_fault_take(uint32_t *count) { return *count > 0 && (*count)-- > 0; }

#endif
