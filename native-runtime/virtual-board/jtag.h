/*
 * The JTAG test access port (IEEE 1149.1) with the debug transport of the RISC-V External Debug
 * Support specification 0.13.2, section 6.1: registers IDCODE, dtmcs, dmi and BYPASS behind an
 * instruction register of 5 bits. TMS and TDI are taken at the rising edge of TCK; TDO changes, and
 * registers are updated, at the falling one.
 */
#ifndef BT_BOARD_JTAG_H
#define BT_BOARD_JTAG_H

#include "debug_module.h"

/* Version 1, part 0xB10B, no manufacturer. */
#define BT_BOARD_IDCODE 0x1B10B001u
#define BT_IR_BITS 5u
#define BT_DMI_ADDRESS_BITS 7u

/* Values of the instruction register; all others select BYPASS. */
enum { BT_IR_IDCODE = 0x01, BT_IR_DTMCS = 0x10, BT_IR_DMI = 0x11 };

typedef enum bt_tap_state {
    BT_TAP_RESET,
    BT_TAP_IDLE,
    BT_TAP_SELECT_DR,
    BT_TAP_CAPTURE_DR,
    BT_TAP_SHIFT_DR,
    BT_TAP_EXIT1_DR,
    BT_TAP_PAUSE_DR,
    BT_TAP_EXIT2_DR,
    BT_TAP_UPDATE_DR,
    BT_TAP_SELECT_IR,
    BT_TAP_CAPTURE_IR,
    BT_TAP_SHIFT_IR,
    BT_TAP_EXIT1_IR,
    BT_TAP_PAUSE_IR,
    BT_TAP_EXIT2_IR,
    BT_TAP_UPDATE_IR
} bt_tap_state;

typedef struct bt_jtag {
    bt_debug_module *module;
    bt_tap_state state;
    bool tck;
    bool tdo;
    uint32_t instruction;
    uint64_t shift; /* the register between TDI and TDO */
    uint32_t shift_bits;
    uint64_t dmi_result; /* address, data and status of the last operation, as dmi captures it */
} bt_jtag;

void bt_jtag_init(bt_jtag *jtag, bt_debug_module *module);

/* New levels of the lines; true if this was a rising edge of TCK. */
bool bt_jtag_drive(bt_jtag *jtag, bool tck, bool tms, bool tdi);

/* The TRST line. */
void bt_jtag_reset(bt_jtag *jtag);

#endif
