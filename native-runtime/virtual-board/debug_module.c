#include "debug_module.h"

#include <string.h>

/* dmcontrol */
#define CONTROL_HALTREQ (1u << 31)
#define CONTROL_RESUMEREQ (1u << 30)
#define CONTROL_ACKHAVERESET (1u << 28)
#define CONTROL_HARTSELLO_SHIFT 16
#define CONTROL_NDMRESET (1u << 1)
#define CONTROL_DMACTIVE 1u
/* The implemented bits of hartsel: as few as MAX_HARTS need. */
#define HARTSEL_MASK 0xFu

/* dmstatus: bit of "any", "all" is the next one. */
#define STATUS_HALTED 8
#define STATUS_RUNNING 10
#define STATUS_UNAVAILABLE 12
#define STATUS_NONEXISTENT 14
#define STATUS_RESUMEACK 16
#define STATUS_HAVERESET 18
#define STATUS_AUTHENTICATED (1u << 7)
#define STATUS_VERSION_0_13 2u

/* abstractcs and command */
#define ABSTRACTCS_DATACOUNT 2u
#define ABSTRACTCS_CMDERR_SHIFT 8
#define COMMAND_TYPE_SHIFT 24
#define COMMAND_AARSIZE_SHIFT 20
#define COMMAND_AARPOSTINCREMENT (1u << 19)
#define COMMAND_POSTEXEC (1u << 18)
#define COMMAND_TRANSFER (1u << 17)
#define COMMAND_WRITE (1u << 16)
#define AARSIZE_32 2u
enum { CMDERR_NONE = 0, CMDERR_UNSUPPORTED = 2, CMDERR_EXCEPTION = 3, CMDERR_STATE = 4 };

/* sbcs */
#define SBCS_VERSION_1 (1u << 29)
#define SBCS_BUSYERROR (1u << 22)
#define SBCS_BUSY (1u << 21)
#define SBCS_READONADDR (1u << 20)
#define SBCS_ACCESS_SHIFT 17
#define SBCS_AUTOINCREMENT (1u << 16)
#define SBCS_READONDATA (1u << 15)
#define SBCS_ERROR_SHIFT 12
#define SBCS_SIZE_32 (32u << 5)
#define SBCS_WIDTHS_8_16_32 7u
enum { SBERROR_ADDRESS = 2, SBERROR_ALIGNMENT = 3, SBERROR_WIDTH = 4, SBERROR_OTHER = 7 };

/* CSRs that exist in debug mode only, and what a debugger may write to dcsr. */
#define CSR_TRIGGERS_BEGIN 0x7A0u
#define CSR_TRIGGERS_END 0x7B0u
#define CSR_DCSR 0x7B0u
#define CSR_DSCRATCH_END 0x7B4u
#define DCSR_RESET 0x40000003u /* version 0.13, machine mode */
#define DCSR_WRITABLE 0x0000B004u
#define DCSR_STEP 4u
#define DCSR_CAUSE_SHIFT 6
#define DCSR_CAUSE_MASK (7u << DCSR_CAUSE_SHIFT)
enum { CAUSE_HALTREQ = 3, CAUSE_STEP = 4 };

static uint32_t all_harts(const bt_debug_module *module) {
    return (1u << module->harts.count) - 1u;
}

static uint32_t bit(uint32_t hart) { return 1u << hart; }

/* ---------------------------------------------------------------------------------- run control */

static void run_harts(bt_debug_module *module) {
    uint32_t mask = module->in_reset ? 0 : all_harts(module) & ~module->halted & ~module->waiting;
    module->harts.run(module->harts.context, mask);
}

static void set_cause(bt_debug_module *module, uint32_t hart, uint32_t cause) {
    module->dcsr[hart] = (module->dcsr[hart] & ~DCSR_CAUSE_MASK) | cause << DCSR_CAUSE_SHIFT;
}

static void halt_requested_harts(bt_debug_module *module) {
    if (module->in_reset) {
        return;
    }
    uint32_t halting = module->halt_requested & ~module->halted;
    module->halted |= halting;
    for (uint32_t hart = 0; hart < module->harts.count; hart++) {
        if (halting & bit(hart)) {
            set_cause(module, hart, CAUSE_HALTREQ);
        }
    }
    run_harts(module);
}

/* Leaves the loop at the reset vector if the debugger has moved the pc away from it. */
static void leave_loop(bt_debug_module *module, uint32_t hart) {
    bt_harts *harts = &module->harts;
    uint32_t pc;
    if (!harts->read(harts->context, hart, BT_REGISTER_DPC, &pc) || pc == BT_RESET_VECTOR) {
        return;
    }
    module->waiting &= ~bit(hart);
    for (uint32_t other = 1; hart == 0 && other < harts->count; other++) {
        if (module->waiting & ~module->halted & bit(other)) {
            harts->write(harts->context, other, BT_REGISTER_DPC, pc);
            module->waiting &= ~bit(other);
        }
    }
}

static void resume(bt_debug_module *module, uint32_t hart) {
    module->resume_acknowledged |= bit(hart);
    if (!(module->halted & bit(hart))) {
        return;
    }
    if (module->waiting & bit(hart)) {
        leave_loop(module, hart);
    }
    if (!(module->dcsr[hart] & DCSR_STEP)) {
        module->halted &= ~bit(hart);
    } else {
        /* The loop is one instruction, a jump to itself: a step changes nothing. */
        if (!(module->waiting & bit(hart))) {
            module->harts.step(module->harts.context, hart);
        }
        set_cause(module, hart, CAUSE_STEP);
    }
    run_harts(module);
}

static void forget_harts(bt_debug_module *module) {
    module->halted = 0;
    module->waiting = module->have_reset = all_harts(module);
    for (uint32_t hart = 0; hart < module->harts.count; hart++) {
        module->dcsr[hart] = DCSR_RESET;
    }
}

static void enter_reset(bt_debug_module *module) {
    module->in_reset = true;
    module->harts.reset(module->harts.context);
    forget_harts(module);
}

static void leave_reset(bt_debug_module *module) {
    module->in_reset = false;
    halt_requested_harts(module);
}

static void update_reset(bt_debug_module *module) {
    bool wanted = module->ndmreset || module->reset_line;
    if (wanted && !module->in_reset) {
        enter_reset(module);
    } else if (!wanted && module->in_reset) {
        leave_reset(module);
    }
}

void bt_debug_module_reset_line(bt_debug_module *module, bool asserted) {
    module->reset_line = asserted;
    update_reset(module);
}

/* Everything that dmactive = 0 resets: the module, not the harts. */
static void deactivate(bt_debug_module *module) {
    module->active = false;
    module->selected = 0;
    module->halt_requested = 0;
    memset(module->data, 0, sizeof module->data);
    module->command_error = CMDERR_NONE;
    memset(&module->bus, 0, sizeof module->bus);
    module->bus.width = 2;
    module->ndmreset = false;
    update_reset(module);
}

static void write_control(bt_debug_module *module, uint32_t value) {
    if (!(value & CONTROL_DMACTIVE)) {
        deactivate(module);
        return;
    }
    module->active = true;
    module->selected = value >> CONTROL_HARTSELLO_SHIFT & HARTSEL_MASK;
    uint32_t hart = module->selected;
    bool exists = hart < module->harts.count;
    if (exists && (value & CONTROL_HALTREQ)) {
        module->halt_requested |= bit(hart);
    } else if (exists) {
        module->halt_requested &= ~bit(hart);
    }
    module->ndmreset = (value & CONTROL_NDMRESET) != 0;
    update_reset(module);
    if (exists && (value & CONTROL_ACKHAVERESET)) {
        module->have_reset &= ~bit(hart);
    }
    if (exists && !module->in_reset) {
        if (value & CONTROL_HALTREQ) {
            halt_requested_harts(module);
        } else if (value & CONTROL_RESUMEREQ) {
            resume(module, hart);
        }
    }
}

static uint32_t read_control(const bt_debug_module *module) {
    return module->selected << CONTROL_HARTSELLO_SHIFT | (module->ndmreset ? CONTROL_NDMRESET : 0) |
           (module->active ? CONTROL_DMACTIVE : 0);
}

static uint32_t read_status(const bt_debug_module *module) {
    /* One hart is selected at a time, so "any" and "all" agree. */
    const uint32_t any_and_all = 3;
    uint32_t status = STATUS_AUTHENTICATED | STATUS_VERSION_0_13;
    uint32_t hart = module->selected;
    if (hart >= module->harts.count) {
        return status | any_and_all << STATUS_NONEXISTENT;
    }
    if (module->in_reset) {
        status |= any_and_all << STATUS_UNAVAILABLE;
    } else if (module->halted & bit(hart)) {
        status |= any_and_all << STATUS_HALTED;
    } else {
        status |= any_and_all << STATUS_RUNNING;
    }
    status |= module->resume_acknowledged & bit(hart) ? any_and_all << STATUS_RESUMEACK : 0;
    status |= module->have_reset & bit(hart) ? any_and_all << STATUS_HAVERESET : 0;
    return status;
}

/* ---------------------------------------------------------------------------- abstract commands */

static bool read_register(bt_debug_module *module, uint32_t hart, uint32_t number,
                          uint32_t *value) {
    if (number == CSR_DCSR) {
        *value = module->dcsr[hart];
        return true;
    }
    return module->harts.read(module->harts.context, hart, number, value);
}

static bool write_register(bt_debug_module *module, uint32_t hart, uint32_t number,
                           uint32_t value) {
    if (number == CSR_DCSR) {
        module->dcsr[hart] = (module->dcsr[hart] & ~DCSR_WRITABLE) | (value & DCSR_WRITABLE);
        return true;
    }
    return module->harts.write(module->harts.context, hart, number, value);
}

/* QEMU's triggers would not stop the harts for us, so there are none; dscratch needs a program
 * buffer to be of use. */
static bool register_exists(uint32_t number) {
    bool trigger = number >= CSR_TRIGGERS_BEGIN && number < CSR_TRIGGERS_END;
    bool scratch = number > BT_REGISTER_DPC && number < CSR_DSCRATCH_END;
    return number < BT_REGISTER_END && !trigger && !scratch;
}

static uint32_t execute(bt_debug_module *module, uint32_t command) {
    uint32_t hart = module->selected;
    uint32_t number = command & 0xFFFFu;
    if (command >> COMMAND_TYPE_SHIFT != 0 ||
        (command & (COMMAND_POSTEXEC | COMMAND_AARPOSTINCREMENT))) {
        return CMDERR_UNSUPPORTED;
    }
    if (hart >= module->harts.count || !(module->halted & bit(hart))) {
        return CMDERR_STATE;
    }
    if (!(command & COMMAND_TRANSFER)) {
        return CMDERR_NONE;
    }
    if ((command >> COMMAND_AARSIZE_SHIFT & 7u) != AARSIZE_32) {
        return CMDERR_UNSUPPORTED;
    }
    uint32_t value = module->data[0];
    bool done = register_exists(number) &&
                (command & COMMAND_WRITE ? write_register(module, hart, number, value)
                                         : read_register(module, hart, number, &value));
    if (done) {
        module->data[0] = value;
    }
    return done ? CMDERR_NONE : CMDERR_EXCEPTION;
}

/* ----------------------------------------------------------------------------------- system bus */

/* One that every width of access shows. */
#define FLIPPED_BIT 0x10u

static uint32_t flip(bt_debug_module *module, uint32_t value) {
    return bt_fault_take(&module->faults->flips) ? value ^ FLIPPED_BIT : value;
}

/* Whole accesses, in order with all others: the harts may look at the same word. */
static uint32_t load(const uint8_t *at, uint32_t width) {
    switch (width) {
    case 0:
        return __atomic_load_n(at, __ATOMIC_SEQ_CST);
    case 1:
        return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_SEQ_CST);
    default:
        return __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_SEQ_CST);
    }
}

static void store(uint8_t *at, uint32_t width, uint32_t value) {
    switch (width) {
    case 0:
        __atomic_store_n(at, (uint8_t)value, __ATOMIC_SEQ_CST);
        break;
    case 1:
        __atomic_store_n((uint16_t *)(void *)at, (uint16_t)value, __ATOMIC_SEQ_CST);
        break;
    default:
        __atomic_store_n((uint32_t *)(void *)at, value, __ATOMIC_SEQ_CST);
        break;
    }
}

static uint32_t bus_error(const bt_debug_module *module) {
    const bt_system_bus *bus = &module->bus;
    uint32_t size = 1u << bus->width;
    uint32_t offset = bus->address - module->ram.base;
    if (bt_fault_take(&module->faults->bus_errors)) {
        return SBERROR_OTHER;
    }
    if (bus->width > 2) {
        return SBERROR_WIDTH;
    }
    if (bus->address % size != 0) {
        return SBERROR_ALIGNMENT;
    }
    return offset < module->ram.size && size <= module->ram.size - offset ? 0 : SBERROR_ADDRESS;
}

static void bus_access(bt_debug_module *module, bool writes) {
    bt_system_bus *bus = &module->bus;
    if (bus->error != 0 || bus->busy_error) {
        return;
    }
    bus->error = bus_error(module);
    if (bus->error != 0) {
        return;
    }
    uint8_t *at = module->ram.bytes + (bus->address - module->ram.base);
    if (writes) {
        store(at, bus->width, flip(module, bus->data));
    } else {
        bus->data = flip(module, load(at, bus->width));
    }
    if (bus->autoincrement) {
        bus->address += 1u << bus->width;
    }
}

/* True, and remembered, if the bus is still at work. */
static bool bus_is_busy(bt_debug_module *module) {
    module->bus.busy_error |= module->faults->bus_stuck;
    return module->faults->bus_stuck;
}

static void write_bus_control(bt_debug_module *module, uint32_t value) {
    bt_system_bus *bus = &module->bus;
    bus->busy_error = bus->busy_error && !(value & SBCS_BUSYERROR);
    bus->error &= ~(value >> SBCS_ERROR_SHIFT & 7u) & 7u;
    bus->read_on_address = (value & SBCS_READONADDR) != 0;
    bus->read_on_data = (value & SBCS_READONDATA) != 0;
    bus->autoincrement = (value & SBCS_AUTOINCREMENT) != 0;
    bus->width = value >> SBCS_ACCESS_SHIFT & 7u;
}

static uint32_t read_bus_control(const bt_debug_module *module) {
    const bt_system_bus *bus = &module->bus;
    return SBCS_VERSION_1 | SBCS_SIZE_32 | SBCS_WIDTHS_8_16_32 |
           (bus->busy_error ? SBCS_BUSYERROR : 0) | (module->faults->bus_stuck ? SBCS_BUSY : 0) |
           (bus->read_on_address ? SBCS_READONADDR : 0) | bus->width << SBCS_ACCESS_SHIFT |
           (bus->autoincrement ? SBCS_AUTOINCREMENT : 0) |
           (bus->read_on_data ? SBCS_READONDATA : 0) | bus->error << SBCS_ERROR_SHIFT;
}

static void write_bus_address(bt_debug_module *module, uint32_t value) {
    if (bus_is_busy(module)) {
        return;
    }
    module->bus.address = value;
    if (module->bus.read_on_address) {
        bus_access(module, false);
    }
}

static void write_bus_data(bt_debug_module *module, uint32_t value) {
    if (bus_is_busy(module)) {
        return;
    }
    module->bus.data = value;
    bus_access(module, true);
}

static uint32_t read_bus_data(bt_debug_module *module) {
    uint32_t value = module->bus.data;
    if (!bus_is_busy(module) && module->bus.read_on_data) {
        bus_access(module, false);
    }
    return value;
}

/* ------------------------------------------------------------------------------------ interface */

void bt_debug_module_init(bt_debug_module *module, const bt_harts *harts, const bt_ram *ram,
                          bt_faults *faults) {
    *module = (bt_debug_module){.harts = *harts, .ram = *ram, .faults = faults};
    deactivate(module);
    forget_harts(module);
}

uint32_t bt_debug_module_read(bt_debug_module *module, uint32_t address) {
    switch (address) {
    case BT_DM_DATA0:
        return module->data[0];
    case BT_DM_DATA1:
        return module->data[1];
    case BT_DM_CONTROL:
        return read_control(module);
    case BT_DM_STATUS:
        return read_status(module);
    case BT_DM_ABSTRACTCS:
        return ABSTRACTCS_DATACOUNT | module->command_error << ABSTRACTCS_CMDERR_SHIFT;
    case BT_DM_SBCS:
        return read_bus_control(module);
    case BT_DM_SBADDRESS0:
        return module->bus.address;
    case BT_DM_SBDATA0:
        return read_bus_data(module);
    case BT_DM_HALTSUM0:
        return module->halted;
    default:
        return 0; /* BT_DM_HARTINFO too: no scratch registers, data not in memory */
    }
}

void bt_debug_module_write(bt_debug_module *module, uint32_t address, uint32_t value) {
    if (address == BT_DM_CONTROL) {
        write_control(module, value);
        return;
    }
    if (!module->active) {
        return;
    }
    switch (address) {
    case BT_DM_DATA0:
        module->data[0] = value;
        break;
    case BT_DM_DATA1:
        module->data[1] = value;
        break;
    case BT_DM_ABSTRACTCS:
        module->command_error &= ~(value >> ABSTRACTCS_CMDERR_SHIFT & 7u);
        break;
    case BT_DM_COMMAND:
        if (module->command_error == CMDERR_NONE) {
            module->command_error = execute(module, value);
        }
        break;
    case BT_DM_SBCS:
        write_bus_control(module, value);
        break;
    case BT_DM_SBADDRESS0:
        write_bus_address(module, value);
        break;
    case BT_DM_SBDATA0:
        write_bus_data(module, value);
        break;
    default:
        break;
    }
}
