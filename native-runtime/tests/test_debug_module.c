/*
 * TAP, debug transport and debug module of the virtual board against IEEE 1149.1 and the RISC-V
 * External Debug Support specification 0.13.2: everything goes in and out by the JTAG lines. The
 * harts are plain registers.
 */
#include <stdlib.h>
#include <string.h>

#include "biotrain/biotrain.h"
#include "jtag.h"
#include "support.h"

#define HARTS 9u
#define ALL_HARTS 0x1FFu
#define RAM_BASE 0x80000000u
#define RAM_BYTES 4096u
#define STEP_BYTES 4u

/* dmcontrol, dmstatus, abstractcs, command and sbcs, specification chapter 3. */
#define HALTREQ 0x80000000u
#define RESUMEREQ 0x40000000u
#define ACKHAVERESET 0x10000000u
#define HART(index) ((uint32_t)(index) << 16)
#define NDMRESET 2u
#define ACTIVE 1u
#define HALTED 0x300u
#define RUNNING 0xC00u
#define UNAVAILABLE 0x3000u
#define NONEXISTENT 0xC000u
#define RESUMEACK 0x30000u
#define HAVERESET 0xC0000u
#define CMDERR 0x700u
#define READ_32 0x00220000u
#define WRITE_32 0x00230000u
#define X(number) (0x1000u + (number))
#define DCSR 0x7B0u
#define DPC 0x7B1u
#define MSCRATCH 0x340u
#define SBBUSYERROR 0x400000u
#define SBBUSY 0x200000u
#define READONADDR 0x100000u
#define WIDTH(log2) ((uint32_t)(log2) << 17)
#define AUTOINCREMENT 0x10000u
#define READONDATA 0x8000u
#define SBERROR 0x7000u

typedef struct plain_hart {
    uint32_t x[32];
    uint32_t pc;
    uint32_t mscratch;
} plain_hart;

static struct {
    plain_hart harts[HARTS];
    uint32_t running;
    uint8_t *ram;
    bt_faults faults;
    bt_debug_module module;
    bt_jtag jtag;
} board;

/* ----------------------------------------------------------------------------------- the harts */

static void harts_run(void *context, uint32_t mask) {
    (void)context;
    board.running = mask;
}

static void harts_step(void *context, uint32_t hart) {
    (void)context;
    board.harts[hart].pc += STEP_BYTES;
}

static uint32_t *hart_register(uint32_t hart, uint32_t number) {
    if (number >= X(0) && number <= X(31)) {
        return &board.harts[hart].x[number - X(0)];
    }
    return number == DPC        ? &board.harts[hart].pc
           : number == MSCRATCH ? &board.harts[hart].mscratch
                                : NULL;
}

static bool harts_read(void *context, uint32_t hart, uint32_t number, uint32_t *value) {
    const uint32_t *at = hart_register(hart, number);
    (void)context;
    *value = at != NULL ? *at : 0;
    return at != NULL;
}

static bool harts_write(void *context, uint32_t hart, uint32_t number, uint32_t value) {
    uint32_t *at = hart_register(hart, number);
    (void)context;
    if (at != NULL) {
        *at = value;
    }
    return at != NULL;
}

static void harts_reset(void *context) {
    (void)context;
    board.running = 0;
    for (uint32_t hart = 0; hart < HARTS; hart++) {
        board.harts[hart] = (plain_hart){.pc = BT_RESET_VECTOR};
    }
}

/* ------------------------------------------------------------------------------- the JTAG lines */

/* One clock; the level of TDO that belongs to it, read before the rising edge. */
static bool clock_in(bool tms, bool tdi) {
    bt_jtag_drive(&board.jtag, false, tms, tdi);
    bool tdo = board.jtag.tdo;
    bt_jtag_drive(&board.jtag, true, tms, tdi);
    return tdo;
}

static void tms_path(const char *levels) {
    for (; *levels != '\0'; levels++) {
        clock_in(*levels == '1', false);
    }
}

/* From Shift to Run-Test/Idle. */
static uint64_t shift(uint64_t value, uint32_t bits) {
    uint64_t captured = 0;
    for (uint32_t i = 0; i < bits; i++) {
        captured |= (uint64_t)clock_in(i == bits - 1, value >> i & 1u) << i;
    }
    tms_path("10");
    bt_jtag_drive(&board.jtag, false, false, false);
    return captured;
}

/* Both begin and end in Run-Test/Idle. */
static uint64_t scan_ir(uint32_t value) {
    tms_path("1100");
    return shift(value, BT_IR_BITS);
}

static uint64_t scan_dr(uint64_t value, uint32_t bits) {
    tms_path("100");
    return shift(value, bits);
}

static uint64_t scan_dmi(uint32_t operation, uint32_t address, uint32_t data) {
    return scan_dr((uint64_t)address << 34 | (uint64_t)data << 2 | operation, 41);
}

static void dmi_write(uint32_t address, uint32_t data) { scan_dmi(2, address, data); }

static uint32_t dmi_read(uint32_t address) {
    scan_dmi(1, address, 0);
    uint64_t result = scan_dmi(0, 0, 0);
    CHECK((result & 3) == 0, "reading 0x%02x has status %u", address, (unsigned)(result & 3));
    CHECK(result >> 34 == address, "reading 0x%02x gave address 0x%02x", address,
          (unsigned)(result >> 34));
    return (uint32_t)(result >> 2);
}

static void power_up(void) {
    const bt_harts harts = {.count = HARTS,
                            .run = harts_run,
                            .step = harts_step,
                            .read = harts_read,
                            .write = harts_write,
                            .reset = harts_reset};
    const bt_ram ram = {.bytes = board.ram, .base = RAM_BASE, .size = RAM_BYTES};
    memset(board.ram, 0, RAM_BYTES);
    board.faults = (bt_faults){0};
    harts_reset(NULL);
    bt_debug_module_init(&board.module, &harts, &ram, &board.faults);
    bt_jtag_init(&board.jtag, &board.module);
    tms_path("111110");
}

static void power_up_debug(void) {
    power_up();
    scan_ir(BT_IR_DMI);
    dmi_write(BT_DM_CONTROL, ACTIVE);
}

static uint32_t status_of(uint32_t hart) {
    dmi_write(BT_DM_CONTROL, ACTIVE | HART(hart));
    return dmi_read(BT_DM_STATUS);
}

static void halt(uint32_t hart) {
    dmi_write(BT_DM_CONTROL, ACTIVE | HALTREQ | HART(hart));
    dmi_write(BT_DM_CONTROL, ACTIVE | HART(hart));
}

static void resume(uint32_t hart) { dmi_write(BT_DM_CONTROL, ACTIVE | RESUMEREQ | HART(hart)); }

/* Of the hart that is selected; 0 or cmderr, which is cleared. */
static uint32_t command(uint32_t value) {
    dmi_write(BT_DM_COMMAND, value);
    uint32_t error = (dmi_read(BT_DM_ABSTRACTCS) & CMDERR) >> 8;
    dmi_write(BT_DM_ABSTRACTCS, CMDERR);
    return error;
}

static uint32_t register_read(uint32_t number) {
    uint32_t error = command(READ_32 | number);
    CHECK(error == 0, "reading register 0x%04x gave cmderr %u", number, error);
    return dmi_read(BT_DM_DATA0);
}

static void register_write(uint32_t number, uint32_t value) {
    dmi_write(BT_DM_DATA0, value);
    uint32_t error = command(WRITE_32 | number);
    CHECK(error == 0, "writing register 0x%04x gave cmderr %u", number, error);
}

static uint32_t ram_word(uint32_t offset) {
    uint32_t word;
    memcpy(&word, board.ram + offset, sizeof word);
    return word;
}

static uint32_t bus_error(void) { return (dmi_read(BT_DM_SBCS) & SBERROR) >> 12; }

/* ---------------------------------------------------------------------------- TAP and transport */

static void after_reset_the_data_register_is_idcode(void) {
    power_up();
    uint64_t code = scan_dr(0, 32);
    CHECK(code == BT_BOARD_IDCODE, "0x%08x", (unsigned)code);
    CHECK(code & 1, "the last bit of an IDCODE is 1");
    scan_ir(BT_IR_DTMCS);
    tms_path("111110");
    CHECK(scan_dr(0, 32) == BT_BOARD_IDCODE, "five ones on TMS did not select IDCODE again");
}

static void unknown_instructions_select_bypass(void) {
    power_up();
    for (uint32_t instruction = 0; instruction < 32; instruction++) {
        if (instruction == BT_IR_IDCODE || instruction == BT_IR_DTMCS || instruction == BT_IR_DMI) {
            continue;
        }
        uint64_t captured = scan_ir(instruction);
        CHECK((captured & 3) == 1, "the instruction register captured 0x%02x", (unsigned)captured);
        CHECK(scan_dr(0x2D, 8) == 0x5A, "instruction 0x%02x is not one bit of delay", instruction);
    }
}

static void a_pause_keeps_what_was_shifted(void) {
    power_up();
    uint64_t code = 0;
    tms_path("100");
    for (uint32_t i = 0; i < 16; i++) {
        code |= (uint64_t)clock_in(i == 15, false) << i;
    }
    tms_path("00010"); /* Pause-DR three times, Exit2-DR, Shift-DR */
    code |= shift(0, 16) << 16;
    CHECK(code == BT_BOARD_IDCODE, "0x%08x", (unsigned)code);
}

static void five_ones_reset_from_every_state(void) {
    /* From Test-Logic-Reset to each of the 16 states. */
    static const struct {
        const char *path;
        bt_tap_state state;
    } states[] = {
        {"", BT_TAP_RESET},          {"0", BT_TAP_IDLE},          {"01", BT_TAP_SELECT_DR},
        {"010", BT_TAP_CAPTURE_DR},  {"0100", BT_TAP_SHIFT_DR},   {"0101", BT_TAP_EXIT1_DR},
        {"01010", BT_TAP_PAUSE_DR},  {"010101", BT_TAP_EXIT2_DR}, {"01011", BT_TAP_UPDATE_DR},
        {"011", BT_TAP_SELECT_IR},   {"0110", BT_TAP_CAPTURE_IR}, {"01100", BT_TAP_SHIFT_IR},
        {"01101", BT_TAP_EXIT1_IR},  {"011010", BT_TAP_PAUSE_IR}, {"0110101", BT_TAP_EXIT2_IR},
        {"011011", BT_TAP_UPDATE_IR}};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        power_up();
        tms_path("11111");
        tms_path(states[i].path);
        CHECK(board.jtag.state == states[i].state, "path %s ends in state %d", states[i].path,
              board.jtag.state);
        tms_path("11111");
        CHECK(board.jtag.state == BT_TAP_RESET, "not reset after path %s", states[i].path);
    }
}

static void dtmcs_describes_the_transport(void) {
    power_up();
    scan_ir(BT_IR_DTMCS);
    uint32_t dtmcs = (uint32_t)scan_dr(0, 32);
    CHECK((dtmcs & 0xF) == 1, "version %u is not that of specification 0.13", dtmcs & 0xF);
    CHECK((dtmcs >> 4 & 0x3F) == 7, "abits is %u", dtmcs >> 4 & 0x3F);
    CHECK((dtmcs >> 10 & 3) == 0, "dmistat is %u", dtmcs >> 10 & 3);
}

/* ---------------------------------------------------------------------------------- run control */

static void an_inactive_module_ignores_writes(void) {
    power_up();
    scan_ir(BT_IR_DMI);
    dmi_write(BT_DM_DATA0, 5);
    dmi_write(BT_DM_SBADDRESS0, 5);
    CHECK(dmi_read(BT_DM_CONTROL) == 0, "it is active");
    dmi_write(BT_DM_CONTROL, ACTIVE);
    CHECK(dmi_read(BT_DM_CONTROL) == ACTIVE, "it is not active");
    CHECK(dmi_read(BT_DM_DATA0) == 0 && dmi_read(BT_DM_SBADDRESS0) == 0, "the writes were kept");
    dmi_write(BT_DM_DATA0, 5);
    dmi_write(BT_DM_CONTROL, 0);
    dmi_write(BT_DM_CONTROL, ACTIVE);
    CHECK(dmi_read(BT_DM_DATA0) == 0, "deactivation did not reset data0");
}

static void all_harts_can_be_selected_and_no_other(void) {
    power_up_debug();
    dmi_write(BT_DM_CONTROL, ACTIVE | 0x3FFFFC0u);
    CHECK((dmi_read(BT_DM_CONTROL) & 0x3FFFFC0u) == HART(15), "hartsel has other than four bits");
    for (uint32_t hart = 0; hart < 16; hart++) {
        uint32_t status = status_of(hart);
        uint32_t expected = hart < HARTS ? RUNNING | HAVERESET : NONEXISTENT;
        CHECK((status & (RUNNING | HALTED | NONEXISTENT | HAVERESET)) == expected,
              "hart %u has dmstatus 0x%08x", hart, status);
        CHECK((status & 0xFF) == 0x82, "not version 0.13 or not authenticated: 0x%08x", status);
    }
}

static void after_power_up_harts_wait_until_hart_0_leaves_the_reset_vector(void) {
    power_up_debug();
    CHECK(board.running == 0, "harts 0x%x run", board.running);
    halt(3);
    halt(0);
    CHECK((status_of(0) & HALTED) == HALTED, "hart 0 is not halted");
    CHECK(register_read(DPC) == BT_RESET_VECTOR, "pc is 0x%08x", register_read(DPC));
    resume(0);
    CHECK((status_of(0) & (RUNNING | RESUMEACK)) == (RUNNING | RESUMEACK), "it was not resumed");
    CHECK(board.running == 0, "harts 0x%x left the loop without being told where to",
          board.running);
    halt(0);
    register_write(DPC, RAM_BASE);
    resume(0);
    CHECK(board.running == (ALL_HARTS & ~8u), "harts 0x%x run", board.running);
    CHECK(board.harts[8].pc == RAM_BASE, "hart 8 started at 0x%08x", board.harts[8].pc);
    CHECK((status_of(3) & HALTED) == HALTED, "hart 3 is the debugger's, but was started");
    register_write(DPC, RAM_BASE + 64);
    resume(3);
    CHECK(board.running == ALL_HARTS, "harts 0x%x run", board.running);
    CHECK(board.harts[3].pc == RAM_BASE + 64, "hart 3 started at 0x%08x", board.harts[3].pc);
}

static void start_all_harts(void) {
    power_up_debug();
    halt(0);
    register_write(DPC, RAM_BASE);
    resume(0);
}

static void harts_halt_and_resume_one_by_one(void) {
    start_all_harts();
    for (uint32_t hart = 0; hart < HARTS; hart++) {
        halt(hart);
        CHECK((status_of(hart) & (HALTED | RUNNING)) == HALTED, "hart %u is not halted", hart);
        CHECK(board.running == (ALL_HARTS & ~(1u << hart)), "harts 0x%x run", board.running);
        CHECK(dmi_read(BT_DM_HALTSUM0) == 1u << hart, "haltsum0 is 0x%x", dmi_read(BT_DM_HALTSUM0));
        CHECK((register_read(DCSR) >> 6 & 7) == 3, "dcsr.cause is not haltreq");
        resume(hart);
        CHECK((status_of(hart) & (HALTED | RUNNING | RESUMEACK)) == (RUNNING | RESUMEACK),
              "hart %u does not run", hart);
        CHECK(board.running == ALL_HARTS, "harts 0x%x run", board.running);
    }
}

static void a_step_is_one_instruction(void) {
    start_all_harts();
    halt(2);
    register_write(DCSR, register_read(DCSR) | 4u);
    uint32_t pc = register_read(DPC);
    resume(2);
    CHECK((status_of(2) & HALTED) == HALTED, "it runs on");
    CHECK(register_read(DPC) == pc + STEP_BYTES, "pc is 0x%08x", register_read(DPC));
    CHECK((register_read(DCSR) >> 6 & 7) == 4, "dcsr.cause is not step");
    CHECK(register_read(DCSR) >> 28 == 4, "dcsr.xdebugver is not that of 0.13");
}

static void a_step_out_of_the_loop_starts_the_other_harts(void) {
    power_up_debug();
    halt(0);
    register_write(DCSR, register_read(DCSR) | 4u);
    resume(0);
    CHECK(register_read(DPC) == BT_RESET_VECTOR, "the loop was left at 0x%08x", register_read(DPC));
    CHECK(board.running == 0, "harts 0x%x run", board.running);
    register_write(DPC, RAM_BASE);
    resume(0);
    CHECK(register_read(DPC) == RAM_BASE + STEP_BYTES, "pc is 0x%08x", register_read(DPC));
    CHECK(board.running == (ALL_HARTS & ~1u), "harts 0x%x run", board.running);
    CHECK(board.harts[8].pc == RAM_BASE, "hart 8 started at 0x%08x", board.harts[8].pc);
}

static void reset_stops_all_harts_and_keeps_ram(void) {
    start_all_harts();
    dmi_write(BT_DM_CONTROL, ACTIVE | ACKHAVERESET);
    CHECK((dmi_read(BT_DM_STATUS) & HAVERESET) == 0, "havereset was not acknowledged");
    board.ram[100] = 77;
    dmi_write(BT_DM_CONTROL, ACTIVE | NDMRESET);
    CHECK((dmi_read(BT_DM_STATUS) & (UNAVAILABLE | RUNNING | HALTED)) == UNAVAILABLE,
          "dmstatus in reset is 0x%08x", dmi_read(BT_DM_STATUS));
    CHECK(command(READ_32 | X(1)) == 4, "a hart in reset told its registers");
    dmi_write(BT_DM_CONTROL, ACTIVE);
    CHECK((dmi_read(BT_DM_STATUS) & (RUNNING | HAVERESET)) == (RUNNING | HAVERESET),
          "dmstatus after reset is 0x%08x", dmi_read(BT_DM_STATUS));
    CHECK(board.running == 0, "harts 0x%x run the old firmware", board.running);
    CHECK(board.ram[100] == 77, "RAM was cleared");

    /* reset halt */
    dmi_write(BT_DM_CONTROL, ACTIVE | HALTREQ | NDMRESET);
    dmi_write(BT_DM_CONTROL, ACTIVE | HALTREQ);
    CHECK((dmi_read(BT_DM_STATUS) & HALTED) == HALTED, "hart 0 did not halt out of reset");
    CHECK((status_of(1) & RUNNING) == RUNNING, "hart 1 was halted too");
}

static void the_reset_line_is_a_reset_of_its_own(void) {
    start_all_harts();
    bt_debug_module_reset_line(&board.module, true);
    dmi_write(BT_DM_CONTROL, ACTIVE | NDMRESET);
    dmi_write(BT_DM_CONTROL, ACTIVE);
    CHECK((dmi_read(BT_DM_STATUS) & UNAVAILABLE) == UNAVAILABLE, "ndmreset = 0 ended the reset");
    bt_debug_module_reset_line(&board.module, false);
    CHECK((dmi_read(BT_DM_STATUS) & RUNNING) == RUNNING, "the reset did not end");
    CHECK(board.running == 0, "harts 0x%x run", board.running);
}

/* ---------------------------------------------------------------------------- abstract commands */

static void registers_are_read_and_written(void) {
    start_all_harts();
    halt(5);
    for (uint32_t i = 1; i < 32; i++) {
        register_write(X(i), 0x01010101u * i);
    }
    register_write(MSCRATCH, 0xCAFE0001u);
    register_write(DPC, RAM_BASE + 8);
    for (uint32_t i = 1; i < 32; i++) {
        CHECK(register_read(X(i)) == 0x01010101u * i, "x%u is 0x%08x", i, register_read(X(i)));
        CHECK(board.harts[5].x[i] == 0x01010101u * i, "the hart's x%u is 0x%08x", i,
              board.harts[5].x[i]);
    }
    CHECK(register_read(MSCRATCH) == 0xCAFE0001u, "mscratch is 0x%08x", register_read(MSCRATCH));
    CHECK(register_read(DPC) == RAM_BASE + 8, "dpc is 0x%08x", register_read(DPC));
    halt(6);
    CHECK(register_read(X(1)) == 0, "hart 6 has the registers of hart 5");
}

static void commands_that_cannot_be_say_why(void) {
    start_all_harts();
    halt(0);
    CHECK(command(READ_32 | 0x301u) == 3, "a CSR that is not there was read");
    CHECK(command(READ_32 | 0x7A0u) == 3, "a trigger was found");
    CHECK(command(READ_32 | 0x7B2u) == 3, "dscratch0 was found");
    CHECK(command(READ_32 | 0x1020u) == 3, "a floating-point register was found");
    CHECK(command((READ_32 | X(1)) + 0x100000u) == 2, "64 bits were read");
    CHECK(command(READ_32 | X(1) | 0x40000u) == 2, "a program buffer was run");
    CHECK(command(0x01000000u) == 2, "quick access was accepted");
    CHECK(command(0x02200000u) == 2, "access to memory was accepted");
    dmi_write(BT_DM_CONTROL, ACTIVE | HART(1));
    CHECK(command(READ_32 | X(1)) == 4, "a running hart told its registers");
    dmi_write(BT_DM_CONTROL, ACTIVE | HART(9));
    CHECK(command(READ_32 | X(1)) == 4, "a hart that is not there told its registers");
}

static void after_an_error_no_command_runs_until_it_is_cleared(void) {
    start_all_harts();
    halt(0);
    board.harts[0].x[1] = 5;
    dmi_write(BT_DM_DATA0, 9);
    dmi_write(BT_DM_COMMAND, READ_32 | 0x301u);
    dmi_write(BT_DM_COMMAND, WRITE_32 | X(1));
    CHECK((dmi_read(BT_DM_ABSTRACTCS) & CMDERR) == 3u << 8, "cmderr was lost");
    CHECK(board.harts[0].x[1] == 5, "the command ran");
    dmi_write(BT_DM_ABSTRACTCS, CMDERR);
    CHECK((dmi_read(BT_DM_ABSTRACTCS) & CMDERR) == 0, "cmderr was not cleared");
    dmi_write(BT_DM_COMMAND, WRITE_32 | X(1));
    CHECK(board.harts[0].x[1] == 9, "the command did not run");
}

/* ----------------------------------------------------------------------------------- system bus */

static void the_bus_has_three_widths(void) {
    power_up_debug();
    uint32_t sbcs = dmi_read(BT_DM_SBCS);
    CHECK(sbcs >> 29 == 1, "sbversion is %u", sbcs >> 29);
    CHECK((sbcs >> 5 & 0x7F) == 32, "sbasize is %u", sbcs >> 5 & 0x7F);
    CHECK((sbcs & 0x1F) == 7, "the widths are 0x%02x", sbcs & 0x1F);
    dmi_write(BT_DM_SBCS, WIDTH(2));
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE);
    dmi_write(BT_DM_SBDATA0, 0x44332211);
    dmi_write(BT_DM_SBCS, WIDTH(0));
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE + 1);
    dmi_write(BT_DM_SBDATA0, 0xFFFFFF99);
    CHECK(ram_word(0) == 0x44339911, "after a byte 0x%08x", ram_word(0));
    dmi_write(BT_DM_SBCS, WIDTH(1));
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE + 2);
    dmi_write(BT_DM_SBDATA0, 0xFFFF8877);
    CHECK(ram_word(0) == 0x88779911, "after a half word 0x%08x", ram_word(0));
    CHECK(ram_word(4) == 0, "the next word is 0x%08x", ram_word(4));
    for (uint32_t width = 0; width < 3; width++) {
        static const uint32_t expected[] = {0x11, 0x9911, 0x88779911};
        dmi_write(BT_DM_SBCS, READONADDR | WIDTH(width));
        dmi_write(BT_DM_SBADDRESS0, RAM_BASE);
        CHECK(dmi_read(BT_DM_SBDATA0) == expected[width], "width %u reads 0x%08x", width,
              dmi_read(BT_DM_SBDATA0));
    }
    CHECK(bus_error() == 0, "sberror is %u", bus_error());
}

static void bursts_go_on_by_themselves(void) {
    power_up_debug();
    dmi_write(BT_DM_SBCS, WIDTH(2) | AUTOINCREMENT);
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE + 64);
    for (uint32_t i = 0; i < 8; i++) {
        dmi_write(BT_DM_SBDATA0, 100 + i);
    }
    CHECK(dmi_read(BT_DM_SBADDRESS0) == RAM_BASE + 96, "sbaddress0 is 0x%08x",
          dmi_read(BT_DM_SBADDRESS0));
    dmi_write(BT_DM_SBCS, WIDTH(2) | AUTOINCREMENT | READONADDR | READONDATA);
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE + 64);
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t value = dmi_read(BT_DM_SBDATA0);
        CHECK(value == 100 + i, "word %u is %u", i, value);
    }
    /* The read on data ran one ahead. */
    CHECK(dmi_read(BT_DM_SBADDRESS0) == RAM_BASE + 100, "sbaddress0 is 0x%08x",
          dmi_read(BT_DM_SBADDRESS0));
    dmi_write(BT_DM_SBCS, WIDTH(2));
    CHECK(dmi_read(BT_DM_SBDATA0) == dmi_read(BT_DM_SBDATA0), "a read had an effect");
}

/* Writes once; sberror, which is cleared. */
static uint32_t error_of_access(uint32_t width, uint32_t address) {
    dmi_write(BT_DM_SBCS, WIDTH(width) | AUTOINCREMENT | SBERROR);
    dmi_write(BT_DM_SBADDRESS0, address);
    dmi_write(BT_DM_SBDATA0, 0xFFFFFFFFu);
    uint32_t error = bus_error();
    CHECK(error == 0 || dmi_read(BT_DM_SBADDRESS0) == address, "the address moved on an error");
    dmi_write(BT_DM_SBCS, SBERROR);
    CHECK(bus_error() == 0, "sberror was not cleared");
    return error;
}

static void accesses_that_cannot_be_say_why(void) {
    static const struct {
        uint32_t width, address, error;
    } accesses[] = {{2, RAM_BASE, 0},
                    {2, RAM_BASE + RAM_BYTES - 4, 0},
                    {1, RAM_BASE + RAM_BYTES - 2, 0},
                    {0, RAM_BASE + RAM_BYTES - 1, 0},
                    {2, RAM_BASE + RAM_BYTES, 2},
                    {0, RAM_BASE + RAM_BYTES, 2},
                    {2, RAM_BASE - 4, 2},
                    {0, 0, 2},
                    {2, 0xFFFFFFFC, 2},
                    {2, RAM_BASE + 2, 3},
                    {1, RAM_BASE + 1, 3},
                    {3, RAM_BASE, 4},
                    {4, RAM_BASE, 4},
                    {7, RAM_BASE, 4}};
    power_up_debug();
    for (size_t i = 0; i < sizeof accesses / sizeof *accesses; i++) {
        uint32_t error = error_of_access(accesses[i].width, accesses[i].address);
        CHECK(error == accesses[i].error, "width %u at 0x%08x gives sberror %u", accesses[i].width,
              accesses[i].address, error);
    }
}

static void after_a_bus_error_nothing_moves_until_it_is_cleared(void) {
    power_up_debug();
    dmi_write(BT_DM_SBCS, WIDTH(2) | AUTOINCREMENT);
    dmi_write(BT_DM_SBADDRESS0, 0);
    dmi_write(BT_DM_SBDATA0, 1);
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE);
    dmi_write(BT_DM_SBDATA0, 1);
    CHECK(bus_error() == 2, "sberror is %u", bus_error());
    CHECK(ram_word(0) == 0, "the word was written");
    dmi_write(BT_DM_SBCS, WIDTH(2) | AUTOINCREMENT | SBERROR);
    dmi_write(BT_DM_SBDATA0, 1);
    CHECK(ram_word(0) == 1, "the word was not written");
}

/* --------------------------------------------------------------------------------------- faults */

static void bus_errors_are_shown_as_often_as_told(void) {
    power_up_debug();
    CHECK(bt_faults_set(&board.faults, "bus-error 2") == BT_OK, "%s", bt_error_message(0));
    CHECK(error_of_access(2, RAM_BASE) == 7, "no error");
    CHECK(error_of_access(2, RAM_BASE) == 7, "no second error");
    CHECK(error_of_access(2, RAM_BASE) == 0, "a third error");
}

static void a_flip_is_one_wrong_bit(void) {
    power_up_debug();
    CHECK(bt_faults_set(&board.faults, "flip") == BT_OK, "%s", bt_error_message(0));
    dmi_write(BT_DM_SBCS, WIDTH(2));
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE);
    dmi_write(BT_DM_SBDATA0, 0x12345678);
    CHECK(__builtin_popcount(ram_word(0) ^ 0x12345678u) == 1, "0x%08x was written", ram_word(0));
    dmi_write(BT_DM_SBDATA0, 0x12345678);
    CHECK(ram_word(0) == 0x12345678, "0x%08x was written", ram_word(0));
}

static void a_stuck_bus_says_busy_until_it_is_cleared(void) {
    power_up_debug();
    CHECK(bt_faults_set(&board.faults, "busy-forever") == BT_OK, "%s", bt_error_message(0));
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE);
    uint32_t sbcs = dmi_read(BT_DM_SBCS);
    CHECK((sbcs & (SBBUSY | SBBUSYERROR)) == (SBBUSY | SBBUSYERROR), "sbcs is 0x%08x", sbcs);
    CHECK(bt_faults_set(&board.faults, "clear") == BT_OK, "%s", bt_error_message(0));
    sbcs = dmi_read(BT_DM_SBCS);
    CHECK((sbcs & (SBBUSY | SBBUSYERROR)) == SBBUSYERROR, "sbcs is 0x%08x", sbcs);
    dmi_write(BT_DM_SBADDRESS0, RAM_BASE);
    dmi_write(BT_DM_SBDATA0, 3);
    CHECK(ram_word(0) == 0, "a write passed in spite of sbbusyerror");
    CHECK(error_of_access(2, RAM_BASE) == 0 && ram_word(0) == 0, "sbbusyerror was lost");
    dmi_write(BT_DM_SBCS, SBBUSYERROR);
    CHECK(error_of_access(2, RAM_BASE) == 0 && ram_word(0) != 0, "the bus did not recover");
}

static void a_tap_reset_leaves_the_tap_out_of_step(void) {
    power_up_debug();
    CHECK(bt_faults_set(&board.faults, "tap-reset") == BT_OK, "%s", bt_error_message(0));
    uint64_t scan = scan_dmi(2, BT_DM_DATA0, 7);
    CHECK(scan == (1ull << 41) - 2, "the scan reads 0x%llx", (unsigned long long)scan);
    CHECK(board.jtag.state != BT_TAP_IDLE, "the debugger was not left behind");
    tms_path("111110");
    scan_ir(BT_IR_DMI);
    CHECK(dmi_read(BT_DM_DATA0) == 0, "the broken scan was obeyed");
    dmi_write(BT_DM_DATA0, 8);
    CHECK(dmi_read(BT_DM_DATA0) == 8, "the next scan failed too");
}

static void unknown_faults_are_refused(void) {
    static const char *const wrong[] = {"",
                                        " ",
                                        "bus",
                                        "bus-error x",
                                        "bus-error 0",
                                        "bus-error -1",
                                        "flip 1 2",
                                        "flip 4294967296",
                                        "drop 600001",
                                        "clear 1",
                                        "busy-forever 1",
                                        "drop 1s",
                                        "tap-reset 99999999999999999999"};
    bt_faults faults = {.flips = 3};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(bt_faults_set(&faults, wrong[i]) == BT_ERROR_ARGUMENT, "\"%s\" was accepted",
              wrong[i]);
        CHECK(strchr(bt_error_message(0), '"') != NULL, "\"%s\": %s", wrong[i],
              bt_error_message(0));
    }
    CHECK(faults.flips == 3 && faults.bus_errors == 0 && faults.drop_ms == 0,
          "a fault that was refused changed something");
}

/* -------------------------------------------------------------------------------------- fuzzing */

static uint32_t random_state = 12345;

static uint32_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static void check_sane(uint32_t step) {
    const bt_debug_module *module = &board.module;
    CHECK((module->halted | module->waiting | board.running) <= ALL_HARTS, "step %u", step);
    CHECK((board.running & (module->halted | module->waiting)) == 0,
          "step %u: harts 0x%x run, 0x%x are halted, 0x%x wait", step, board.running,
          module->halted, module->waiting);
    CHECK(!module->in_reset || board.running == 0, "step %u: harts run in reset", step);
}

static void random_levels_do_no_harm(void) {
    power_up();
    for (uint32_t step = 0; step < 1000000 && bt_test_failures == 0; step++) {
        uint32_t lines = next_random() >> 8;
        bt_jtag_drive(&board.jtag, lines & 4, lines & 2, lines & 1);
        check_sane(step);
    }
}

/* Valid scans of random registers with random contents, faults now and then. */
static void random_scans_do_no_harm(void) {
    static const char *const faults[] = {"bus-error 3", "flip 2",       "tap-reset 1",
                                         "clear",       "busy-forever", "clear"};
    static const uint32_t addresses[] = {BT_DM_DATA0,      BT_DM_CONTROL,    BT_DM_STATUS,
                                         BT_DM_COMMAND,    BT_DM_ABSTRACTCS, BT_DM_SBCS,
                                         BT_DM_SBADDRESS0, BT_DM_SBDATA0,    BT_DM_HALTSUM0};
    power_up_debug();
    for (uint32_t step = 0; step < 30000 && bt_test_failures == 0; step++) {
        uint32_t choice = next_random() >> 8;
        uint32_t address = choice % 8 == 0 ? next_random() & 0x7F : addresses[next_random() % 9];
        uint32_t data = next_random();
        if (address == BT_DM_SBADDRESS0) {
            data = RAM_BASE - 8 + data % (RAM_BYTES + 16);
        } else if (address == BT_DM_CONTROL && choice % 3 != 0) {
            data |= ACTIVE;
        } else if (address == BT_DM_COMMAND && choice % 3 != 0) {
            data = (data & 0x10FFFu) | READ_32;
        }
        if (choice % 100 == 0) {
            bt_faults_set(&board.faults, faults[next_random() % 6]);
        }
        if (choice % 20 == 0) {
            scan_ir(next_random());
        } else if (choice % 20 == 1) {
            tms_path("111110");
            scan_ir(BT_IR_DMI);
        }
        scan_dmi(next_random(), address, data);
        check_sane(step);
    }
}

int main(void) {
    board.ram = malloc(RAM_BYTES);
    RUN(after_reset_the_data_register_is_idcode);
    RUN(unknown_instructions_select_bypass);
    RUN(a_pause_keeps_what_was_shifted);
    RUN(five_ones_reset_from_every_state);
    RUN(dtmcs_describes_the_transport);
    RUN(an_inactive_module_ignores_writes);
    RUN(all_harts_can_be_selected_and_no_other);
    RUN(after_power_up_harts_wait_until_hart_0_leaves_the_reset_vector);
    RUN(harts_halt_and_resume_one_by_one);
    RUN(a_step_is_one_instruction);
    RUN(a_step_out_of_the_loop_starts_the_other_harts);
    RUN(reset_stops_all_harts_and_keeps_ram);
    RUN(the_reset_line_is_a_reset_of_its_own);
    RUN(registers_are_read_and_written);
    RUN(commands_that_cannot_be_say_why);
    RUN(after_an_error_no_command_runs_until_it_is_cleared);
    RUN(the_bus_has_three_widths);
    RUN(bursts_go_on_by_themselves);
    RUN(accesses_that_cannot_be_say_why);
    RUN(after_a_bus_error_nothing_moves_until_it_is_cleared);
    RUN(bus_errors_are_shown_as_often_as_told);
    RUN(a_flip_is_one_wrong_bit);
    RUN(a_stuck_bus_says_busy_until_it_is_cleared);
    RUN(a_tap_reset_leaves_the_tap_out_of_step);
    RUN(unknown_faults_are_refused);
    RUN(random_levels_do_no_harm);
    RUN(random_scans_do_no_harm);
    free(board.ram);
    return REPORT();
}
