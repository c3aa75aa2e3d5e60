/*
 * The debug module of the RISC-V External Debug Support specification, version 0.13.2, chapter 3:
 * halt and resume, abstract access to registers, and a system bus whose only inhabitant is RAM.
 * There is no program buffer, no halt group, no authentication.
 *
 * Power-up and reset: as on a chip that boots from JTAG, every hart waits in a loop at the reset
 * vector, which a debugger sees as running. Once hart 0 is resumed or stepped at another address,
 * it leaves the loop, and all harts that still wait follow it to that address. A hart that the
 * debugger has halted stays halted.
 *
 * One thread.
 */
#ifndef BT_BOARD_DEBUG_MODULE_H
#define BT_BOARD_DEBUG_MODULE_H

#include "faults.h"

#define BT_BOARD_MAX_HARTS 9u
#define BT_RESET_VECTOR 0x1000u

/* Registers as abstract commands number them: CSRs, then x0 … x31. The pc is the CSR dpc. */
#define BT_REGISTER_DPC 0x7B1u
#define BT_REGISTER_X0 0x1000u
#define BT_REGISTER_END 0x1020u

/* Addresses on the debug module interface. */
enum {
    BT_DM_DATA0 = 0x04,
    BT_DM_DATA1 = 0x05,
    BT_DM_CONTROL = 0x10,
    BT_DM_STATUS = 0x11,
    BT_DM_HARTINFO = 0x12,
    BT_DM_ABSTRACTCS = 0x16,
    BT_DM_COMMAND = 0x17,
    BT_DM_SBCS = 0x38,
    BT_DM_SBADDRESS0 = 0x39,
    BT_DM_SBDATA0 = 0x3C,
    BT_DM_HALTSUM0 = 0x40
};

/* What the debug module asks of the harts behind it. */
typedef struct bt_harts {
    void *context;
    uint32_t count;
    /* From now on exactly the harts of this mask run. */
    void (*run)(void *context, uint32_t mask);
    void (*step)(void *context, uint32_t hart);
    /* Of a hart that does not run; false: there is no such register. */
    bool (*read)(void *context, uint32_t hart, uint32_t number, uint32_t *value);
    bool (*write)(void *context, uint32_t hart, uint32_t number, uint32_t value);
    /* Everything but RAM as after power-up; no hart runs. */
    void (*reset)(void *context);
} bt_harts;

typedef struct bt_ram {
    uint8_t *bytes; /* the harts' own */
    uint32_t base;
    uint32_t size;
} bt_ram;

/* The system bus master. */
typedef struct bt_system_bus {
    uint32_t address;
    uint32_t data;
    uint32_t width; /* of an access: 1 << width bytes */
    bool read_on_address;
    bool read_on_data;
    bool autoincrement;
    uint32_t error;
    bool busy_error;
} bt_system_bus;

typedef struct bt_debug_module {
    bt_harts harts;
    bt_ram ram;
    bt_faults *faults;
    bool active;
    bool ndmreset;
    bool reset_line;
    bool in_reset; /* by one of the two */
    uint32_t selected;
    /* One bit per hart. */
    uint32_t halt_requested;
    uint32_t halted;
    uint32_t waiting; /* in the loop at the reset vector, halted or not */
    uint32_t have_reset;
    uint32_t resume_acknowledged;
    uint32_t dcsr[BT_BOARD_MAX_HARTS];
    uint32_t data[2];
    uint32_t command_error;
    bt_system_bus bus;
} bt_debug_module;

/* ram.bytes and faults must outlive the module. */
void bt_debug_module_init(bt_debug_module *module, const bt_harts *harts, const bt_ram *ram,
                          bt_faults *faults);

/* Unknown addresses read as zero and ignore writes. */
uint32_t bt_debug_module_read(bt_debug_module *module, uint32_t address);
void bt_debug_module_write(bt_debug_module *module, uint32_t address, uint32_t value);

/* A reset of the board by its reset line, not by the debug module. */
void bt_debug_module_reset_line(bt_debug_module *module, bool asserted);

#endif
