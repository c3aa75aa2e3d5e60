#include "jtag.h"

/* Next state by TMS. */
static const bt_tap_state next_state[][2] = {
    [BT_TAP_RESET] = {BT_TAP_IDLE, BT_TAP_RESET},
    [BT_TAP_IDLE] = {BT_TAP_IDLE, BT_TAP_SELECT_DR},
    [BT_TAP_SELECT_DR] = {BT_TAP_CAPTURE_DR, BT_TAP_SELECT_IR},
    [BT_TAP_CAPTURE_DR] = {BT_TAP_SHIFT_DR, BT_TAP_EXIT1_DR},
    [BT_TAP_SHIFT_DR] = {BT_TAP_SHIFT_DR, BT_TAP_EXIT1_DR},
    [BT_TAP_EXIT1_DR] = {BT_TAP_PAUSE_DR, BT_TAP_UPDATE_DR},
    [BT_TAP_PAUSE_DR] = {BT_TAP_PAUSE_DR, BT_TAP_EXIT2_DR},
    [BT_TAP_EXIT2_DR] = {BT_TAP_SHIFT_DR, BT_TAP_UPDATE_DR},
    [BT_TAP_UPDATE_DR] = {BT_TAP_IDLE, BT_TAP_SELECT_DR},
    [BT_TAP_SELECT_IR] = {BT_TAP_CAPTURE_IR, BT_TAP_RESET},
    [BT_TAP_CAPTURE_IR] = {BT_TAP_SHIFT_IR, BT_TAP_EXIT1_IR},
    [BT_TAP_SHIFT_IR] = {BT_TAP_SHIFT_IR, BT_TAP_EXIT1_IR},
    [BT_TAP_EXIT1_IR] = {BT_TAP_PAUSE_IR, BT_TAP_UPDATE_IR},
    [BT_TAP_PAUSE_IR] = {BT_TAP_PAUSE_IR, BT_TAP_EXIT2_IR},
    [BT_TAP_EXIT2_IR] = {BT_TAP_SHIFT_IR, BT_TAP_UPDATE_IR},
    [BT_TAP_UPDATE_IR] = {BT_TAP_IDLE, BT_TAP_SELECT_DR},
};

/* dmi: status or operation, data, address. */
#define DMI_DATA_SHIFT 2
#define DMI_ADDRESS_SHIFT 34
#define DMI_BITS (DMI_ADDRESS_SHIFT + BT_DMI_ADDRESS_BITS)
enum { DMI_READ = 1, DMI_WRITE = 2 };

/* dtmcs: version 0.13, no idle cycles needed. An operation is over before the next scan begins, so
 * dmistat is always 0 and dmireset and dmihardreset have nothing to do. */
#define DTMCS (BT_DMI_ADDRESS_BITS << 4 | 1u)

/* What an instruction register captures: the standard fixes the last two bits. */
#define IR_CAPTURE 1u

void bt_jtag_init(bt_jtag *jtag, bt_debug_module *module) {
    *jtag = (bt_jtag){.module = module};
    bt_jtag_reset(jtag);
}

void bt_jtag_reset(bt_jtag *jtag) {
    jtag->state = BT_TAP_RESET;
    jtag->instruction = BT_IR_IDCODE;
    jtag->tdo = true;
}

static void capture_data(bt_jtag *jtag) {
    switch (jtag->instruction) {
    case BT_IR_IDCODE:
        jtag->shift = BT_BOARD_IDCODE;
        jtag->shift_bits = 32;
        break;
    case BT_IR_DTMCS:
        jtag->shift = DTMCS;
        jtag->shift_bits = 32;
        break;
    case BT_IR_DMI:
        jtag->shift = jtag->dmi_result;
        jtag->shift_bits = DMI_BITS;
        break;
    default:
        jtag->shift = 0;
        jtag->shift_bits = 1;
        break;
    }
}

static void update_data(bt_jtag *jtag) {
    if (jtag->instruction != BT_IR_DMI) {
        return;
    }
    uint32_t operation = (uint32_t)jtag->shift & 3u;
    uint32_t data = (uint32_t)(jtag->shift >> DMI_DATA_SHIFT);
    uint32_t address = (uint32_t)(jtag->shift >> DMI_ADDRESS_SHIFT);
    if (operation == DMI_READ) {
        data = bt_debug_module_read(jtag->module, address);
    } else if (operation == DMI_WRITE) {
        bt_debug_module_write(jtag->module, address, data);
    } else {
        return;
    }
    jtag->dmi_result = (uint64_t)address << DMI_ADDRESS_SHIFT | (uint64_t)data << DMI_DATA_SHIFT;
}

static void rising_edge(bt_jtag *jtag, bool tms, bool tdi) {
    switch (jtag->state) {
    case BT_TAP_CAPTURE_DR:
        capture_data(jtag);
        break;
    case BT_TAP_CAPTURE_IR:
        jtag->shift = IR_CAPTURE;
        jtag->shift_bits = BT_IR_BITS;
        break;
    case BT_TAP_SHIFT_DR:
        if (bt_fault_take(&jtag->module->faults->tap_resets)) {
            bt_jtag_reset(jtag);
            return;
        }
        /* fall through */
    case BT_TAP_SHIFT_IR:
        jtag->shift = jtag->shift >> 1 | (uint64_t)tdi << (jtag->shift_bits - 1u);
        break;
    default:
        break;
    }
    jtag->state = next_state[jtag->state][tms];
}

static void falling_edge(bt_jtag *jtag) {
    jtag->tdo = true; /* pulled up while nothing is shifted */
    switch (jtag->state) {
    case BT_TAP_RESET:
        jtag->instruction = BT_IR_IDCODE;
        break;
    case BT_TAP_SHIFT_DR:
    case BT_TAP_SHIFT_IR:
        jtag->tdo = jtag->shift & 1u;
        break;
    case BT_TAP_UPDATE_DR:
        update_data(jtag);
        break;
    case BT_TAP_UPDATE_IR:
        jtag->instruction = (uint32_t)jtag->shift;
        break;
    default:
        break;
    }
}

bool bt_jtag_drive(bt_jtag *jtag, bool tck, bool tms, bool tdi) {
    bool rises = tck && !jtag->tck;
    bool falls = !tck && jtag->tck;
    jtag->tck = tck;
    if (jtag->module->faults->no_target) {
        jtag->tdo = true;
    } else if (rises) {
        rising_edge(jtag, tms, tdi);
    } else if (falls) {
        falling_edge(jtag);
    }
    return rises;
}
