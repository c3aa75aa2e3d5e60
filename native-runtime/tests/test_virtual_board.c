/*
 * The virtual board as its users see it: a real OpenOCD in front, a real QEMU behind, the firmware
 * running on it. Skips, saying why, where one of them is missing; BIOTRAIN_REQUIRE_TOOLS=1 forbids
 * that.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hal/virt/virt.h"
#include "jtag.h"
#include "link/elf.h"
#include "link/mailbox.h"
#include "support.h"

#define QEMU "qemu-system-riscv32"
#define OPENOCD "openocd"
#define RAM 0x80000000u
#define L3 0x81000000u
#define TEXT_BYTES 65536u
#define ANSWER_SECONDS 60.0
#define ARGUMENTS 24

static uint32_t mailbox;
static uint32_t entry;

/* ------------------------------------------------------------------------------------ processes */

/* A child with pipes to its standard input and from its standard output; its standard error is kept
 * in memory. */
typedef struct process {
    pid_t pid;
    int input;
    int output;
    int messages;
} process;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static process start(const char *const *arguments) {
    int input[2], output[2];
    process p = {.messages = memfd_create("messages", MFD_CLOEXEC)};
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0 || p.messages < 0) {
        perror("pipe");
        exit(1);
    }
    pid_t parent = getpid();
    p.pid = fork();
    if (p.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent) {
            dup2(input[0], STDIN_FILENO);
            dup2(output[1], STDOUT_FILENO);
            dup2(p.messages, STDERR_FILENO);
            execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        }
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    p.input = input[1];
    p.output = output[0];
    return p;
}

/* Everything that it has written to standard error; valid until the next call. */
static const char *messages(const process *p) {
    static char text[TEXT_BYTES];
    ssize_t count = pread(p->messages, text, sizeof text - 1, 0);
    text[count > 0 ? count : 0] = '\0';
    return text;
}

/* Its exit status, 128 + the signal that ended it, or -1 if it does not end in time. */
static int status_within(process *p, double limit) {
    int status;
    for (double end = seconds() + limit; seconds() < end; usleep(2000)) {
        if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
            p->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
    return -1;
}

static void end(process *p) {
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    close(p->input);
    close(p->output);
    close(p->messages);
}

static bool line_from(const process *p, char *line, size_t size) {
    size_t length = 0;
    double limit = seconds() + ANSWER_SECONDS;
    while (length + 1 < size && seconds() < limit) {
        struct pollfd output = {.fd = p->output, .events = POLLIN};
        if (poll(&output, 1, 1000) > 0) {
            if (read(p->output, line + length, 1) != 1) {
                break;
            }
            if (line[length] == '\n') {
                line[length] = '\0';
                return true;
            }
            length++;
        }
    }
    line[length] = '\0';
    return false;
}

/* ----------------------------------------------------------------------------------- the board */

typedef struct board {
    process process;
    uint32_t port;
} board;

/* Options: a list that NULL ends. */
static board board_start(const char *const *options) {
    const char *arguments[ARGUMENTS] = {BT_BOARD_PROGRAM, "--exit-with-stdin"};
    for (size_t i = 0; options[i] != NULL; i++) {
        arguments[2 + i] = options[i];
    }
    board b = {.process = start(arguments)};
    char line[80];
    bool listens =
        line_from(&b.process, line, sizeof line) && sscanf(line, "listening on %u", &b.port) == 1;
    CHECK(listens, "the board said \"%s\" and \"%s\"", line, messages(&b.process));
    return b;
}

static board plain_board(void) { return board_start((const char *const[]){NULL}); }

/* Sends a line; true if the answer begins as expected. */
static bool told(const board *b, const char *line, const char *expected) {
    char answer[400] = "";
    dprintf(b->process.input, "%s\n", line);
    line_from(&b->process, answer, sizeof answer);
    bool as_expected = strncmp(answer, expected, strlen(expected)) == 0;
    CHECK(as_expected, "the board answered \"%s\" to \"%s\"", answer, line);
    return as_expected;
}

static void fault(const board *b, const char *name) {
    char line[80];
    snprintf(line, sizeof line, "fault %s", name);
    told(b, line, "ok");
}

/* The QEMU below the board, or 0. */
static pid_t qemu_of(const board *b) {
    char path[64];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)b->process.pid,
             (int)b->process.pid);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%d", &pid) != 1) {
            pid = 0;
        }
        fclose(file);
    }
    return pid;
}

/* Gone, or dead and only not yet collected by its new parent. */
static bool is_gone(pid_t pid) {
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) {
            state = 'Z';
        }
        fclose(file);
    }
    return state == 'Z';
}

static bool gone_within(pid_t pid, double limit) {
    for (double end = seconds() + limit; seconds() < end; usleep(2000)) {
        if (is_gone(pid)) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------- OpenOCD */

typedef struct openocd {
    process process;
    int commands; /* its Tcl port, or -1 */
    char answer[TEXT_BYTES];
} openocd;

static int connect_to(uint32_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) {
        close(connection);
        return -1;
    }
    return connection;
}

/* Starts an OpenOCD with more script before init; commands is -1 if it cannot attach. */
static void openocd_start(openocd *o, const board *b, const char *more) {
    char jtag[40];
    uint32_t port = 0;
    snprintf(jtag, sizeof jtag, "set JTAG_PORT %u", b->port);
    const char *const arguments[] = {OPENOCD,         "-c", jtag, "-c", "set TCL_PORT 0", "-f",
                                     BT_BOARD_SCRIPT, "-c", more, "-c", "init",           NULL};
    o->process = start(arguments);
    o->commands = -1;
    /* It listens when it has attached. */
    for (double end = seconds() + ANSWER_SECONDS; seconds() < end && port == 0; usleep(2000)) {
        const char *line = strstr(messages(&o->process), "Listening on port ");
        int ended;
        if (line != NULL) {
            sscanf(line, "Listening on port %u for tcl", &port);
        } else if (waitpid(o->process.pid, &ended, WNOHANG) == o->process.pid) {
            o->process.pid = 0;
            return;
        }
    }
    o->commands = connect_to(port);
}

static void attach(openocd *o, const board *b) {
    openocd_start(o, b, "");
    CHECK(o->commands >= 0, "OpenOCD could not attach:\n%s", messages(&o->process));
}

static void openocd_end(openocd *o) {
    if (o->commands >= 0) {
        close(o->commands);
    }
    end(&o->process);
}

/* Runs a Tcl command; false if it failed. The result or the error is in o->answer. */
__attribute__((format(printf, 2, 3))) static bool tcl(openocd *o, const char *format, ...) {
    static char script[TEXT_BYTES], request[TEXT_BYTES + 64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(script, sizeof script, format, arguments);
    va_end(arguments);
    int size = snprintf(request, sizeof request, "list [catch {%s} answer] $answer\x1a", script);
    size_t length = 0;
    o->answer[0] = '\0';
    if (o->commands < 0 || send(o->commands, request, (size_t)size, MSG_NOSIGNAL) != size) {
        return false;
    }
    for (double end = seconds() + ANSWER_SECONDS; seconds() < end;) {
        struct pollfd commands = {.fd = o->commands, .events = POLLIN};
        if (poll(&commands, 1, 1000) <= 0) {
            continue;
        }
        ssize_t count = recv(o->commands, o->answer + length, sizeof o->answer - 1 - length, 0);
        if (count <= 0) {
            break;
        }
        length += (size_t)count;
        o->answer[length] = '\0';
        if (o->answer[length - 1] == '\x1a') {
            o->answer[length - 1] = '\0';
            bool succeeded = o->answer[0] == '0';
            /* "0 {the answer}" */
            char *begin = o->answer + 1 + strspn(o->answer + 1, " {");
            memmove(o->answer, begin, strlen(begin) + 1);
            o->answer[strcspn(o->answer, "}")] = '\0';
            return succeeded;
        }
    }
    CHECK(false, "no answer to %.100s", script);
    return false;
}

static uint32_t word(openocd *o, uint32_t address) {
    bool read = tcl(o, "read_memory 0x%x 32 1", address);
    CHECK(read, "reading 0x%08x failed: %s", address, o->answer);
    return (uint32_t)strtoul(o->answer, NULL, 0);
}

static void write_word(openocd *o, uint32_t address, uint32_t value) {
    bool written = tcl(o, "write_memory 0x%x 32 0x%x", address, value);
    CHECK(written, "writing 0x%08x failed: %s", address, o->answer);
}

static bool word_becomes(openocd *o, uint32_t address, uint32_t value, double limit) {
    for (double end = seconds() + limit; seconds() < end;) {
        if (word(o, address) == value) {
            return true;
        }
    }
    return false;
}

static uint32_t register_value(openocd *o, const char *name) {
    bool read = tcl(o, "get_reg -force {%s}", name);
    const char *value = strstr(o->answer, "0x");
    CHECK(read && value != NULL, "register %s: %s", name, o->answer);
    return value != NULL ? (uint32_t)strtoul(value, NULL, 16) : 0;
}

/* ------------------------------------------------------------------------------------ firmware */

static uint32_t field(size_t offset) { return mailbox + (uint32_t)offset; }

static void start_firmware(openocd *o) {
    write_word(o, mailbox, 0);
    bool loaded = tcl(o, "load_and_start_binary %s 0x%x", BT_BOARD_FIRMWARE, entry);
    CHECK(loaded, "%s", o->answer);
    CHECK(word_becomes(o, mailbox, BT_MAILBOX_MAGIC, 20), "the firmware does not come up");
}

/* One command in the mailbox, as a host would post it, by four words and a block. */
static void ping(openocd *o) {
    uint32_t command[1 + BT_MAILBOX_ARGUMENTS] = {BT_COMMAND_PING};
    uint32_t sequence = word(o, field(offsetof(bt_mailbox, completed))) + 1;
    write_word(o, field(offsetof(bt_mailbox, status)), 99);
    bool written = tcl(o, "write_memory 0x%x 32 {%u 0 0 0 0 0 0 0 0}",
                       field(offsetof(bt_mailbox, command)), command[0]);
    CHECK(written, "%s", o->answer);
    write_word(o, field(offsetof(bt_mailbox, check)),
               bt_mailbox_check(command, 1 + BT_MAILBOX_ARGUMENTS, sequence));
    write_word(o, field(offsetof(bt_mailbox, sequence)), sequence);
    CHECK(word_becomes(o, field(offsetof(bt_mailbox, completed)), sequence, 10),
          "PING was not answered");
    CHECK(word(o, field(offsetof(bt_mailbox, status))) == BT_RESULT_OK, "PING failed with %u",
          word(o, field(offsetof(bt_mailbox, status))));
}

/* ---------------------------------------------------------------------------------------- tests */

static void openocd_finds_one_tap_and_nine_harts(void) {
    static const char *const expected[] = {"tap/device found: 0x1b10b001", "found 9 harts",
                                           "XLEN=32"};
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        CHECK(strstr(messages(&o.process), expected[i]) != NULL, "no \"%s\" in:\n%s", expected[i],
              messages(&o.process));
    }
    CHECK(strstr(messages(&o.process), "Error") == NULL, "%s", messages(&o.process));
    openocd_end(&o);
    end(&b.process);
}

static void a_board_without_firmware_waits(void) {
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    CHECK(tcl(&o, "biotrain.fc curstate") && strcmp(o.answer, "running") == 0, "%s", o.answer);
    CHECK(tcl(&o, "lsort -unique [read_memory 0x%x 8 4096]", RAM) && strcmp(o.answer, "0x0") == 0,
          "RAM is not empty: %s", o.answer);
    CHECK(tcl(&o, "halt"), "%s", o.answer);
    CHECK(register_value(&o, "pc") == BT_RESET_VECTOR, "pc is 0x%08x", register_value(&o, "pc"));
    openocd_end(&o);
    end(&b.process);
}

static void registers_are_those_of_the_hart(void) {
    static const char *const names[32] = {"zero", "ra", "sp",  "gp",  "tp", "t0", "t1", "t2",
                                          "fp",   "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
                                          "a6",   "a7", "s2",  "s3",  "s4", "s5", "s6", "s7",
                                          "s8",   "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    CHECK(tcl(&o, "halt"), "%s", o.answer);
    for (uint32_t i = 1; i < 32; i++) {
        CHECK(tcl(&o, "set_reg {%s 0x%x}", names[i], 0x01010101u * i), "%s", o.answer);
    }
    CHECK(tcl(&o, "reg mscratch 0xcafe0001"), "%s", o.answer);
    /* addi a0, a0, 1; jump to itself */
    CHECK(tcl(&o, "write_memory 0x%x 32 {0x00150513 0x0000006f}", RAM), "%s", o.answer);
    CHECK(tcl(&o, "reg pc 0x%x; step", RAM), "%s", o.answer);
    CHECK(register_value(&o, "pc") == RAM + 4, "after a step pc is 0x%08x",
          register_value(&o, "pc"));
    for (uint32_t i = 1; i < 32; i++) {
        uint32_t value = register_value(&o, names[i]);
        CHECK(value == 0x01010101u * i + (i == 10), "after a step %s is 0x%08x", names[i], value);
    }
    CHECK(register_value(&o, "mscratch") == 0xCAFE0001u, "mscratch is 0x%08x",
          register_value(&o, "mscratch"));
    CHECK(tcl(&o, "resume; halt"), "%s", o.answer);
    CHECK(register_value(&o, "pc") == RAM + 4, "pc left the jump: 0x%08x",
          register_value(&o, "pc"));
    CHECK(strstr(messages(&o.process), "Error") == NULL, "%s", messages(&o.process));
    openocd_end(&o);
    end(&b.process);
}

static void memory_keeps_bytes_half_words_and_words(void) {
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    for (uint32_t bits = 8; bits <= 32; bits *= 2) {
        CHECK(tcl(&o,
                  "set data {}; for {set i 0} {$i < 300} {incr i} {lappend data [format 0x%%x "
                  "[expr {($i * 2654435761) & %u}]]}; write_memory 0x%x %u $data; expr {$data eq "
                  "[read_memory 0x%x %u 300]}",
                  bits == 32 ? 0xFFFFFFFFu : (1u << bits) - 1, L3 + bits, bits, L3 + bits, bits) &&
                  strcmp(o.answer, "1") == 0,
              "%u bits: %s", bits, o.answer);
    }
    CHECK(!tcl(&o, "read_memory 0x1000 32 1"), "memory outside RAM was read: %s", o.answer);
    CHECK(!tcl(&o, "write_memory 0x84000000 32 1"), "memory beyond RAM was written");
    CHECK(word(&o, 0x83FFFFFC) == word(&o, 0x83FFFFFC), "the last word of RAM");
    openocd_end(&o);
    end(&b.process);
}

static void the_firmware_runs_and_answers(void) {
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    start_firmware(&o);
    CHECK(word(&o, field(offsetof(bt_mailbox, cores))) == BT_VIRT_MAX_WORKERS, "%u cores",
          word(&o, field(offsetof(bt_mailbox, cores))));
    uint32_t generation = word(&o, field(offsetof(bt_mailbox, generation)));
    ping(&o);
    CHECK(tcl(&o, "biotrain.fc curstate") && strcmp(o.answer, "running") == 0,
          "access to memory has stopped the hart: %s", o.answer);

    /* A hart that the debugger has stopped does not answer; it goes on where it was. */
    CHECK(tcl(&o, "halt"), "%s", o.answer);
    uint32_t pc = register_value(&o, "pc");
    CHECK(pc > RAM && pc < mailbox, "pc is 0x%08x", pc);
    CHECK(tcl(&o, "resume"), "%s", o.answer);
    ping(&o);

    /* Another debugger finds it running. */
    openocd_end(&o);
    attach(&o, &b);
    ping(&o);
    CHECK(word(&o, field(offsetof(bt_mailbox, generation))) == generation, "it was restarted");

    start_firmware(&o);
    CHECK(word(&o, field(offsetof(bt_mailbox, generation))) != generation,
          "a restart has the old generation %u", generation);
    ping(&o);
    CHECK(strstr(messages(&o.process), "Error") == NULL, "%s", messages(&o.process));
    openocd_end(&o);
    end(&b.process);
}

static void harts_can_be_targets_of_their_own(void) {
    board b = plain_board();
    openocd o;
    openocd_start(&o, &b,
                  "target create biotrain.cl0 riscv -chain-position biotrain.riscv -coreid 1; "
                  "riscv set_mem_access sysbus; targets biotrain.fc");
    CHECK(o.commands >= 0, "%s", messages(&o.process));
    start_firmware(&o);
    CHECK(tcl(&o, "targets biotrain.cl0; halt"), "%s", o.answer);
    CHECK(register_value(&o, "mhartid") == 1, "mhartid is %u", register_value(&o, "mhartid"));
    CHECK(tcl(&o, "targets biotrain.fc"), "%s", o.answer);
    ping(&o); /* the fabric controller runs on */
    CHECK(tcl(&o, "targets biotrain.cl0; resume; targets biotrain.fc"), "%s", o.answer);
    ping(&o);
    openocd_end(&o);
    end(&b.process);
}

static void a_bus_error_is_an_error_once(void) {
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    write_word(&o, L3, 77);
    fault(&b, "bus-error 1");
    CHECK(!tcl(&o, "read_memory 0x%x 32 1", L3), "the read succeeded: %s", o.answer);
    CHECK(word(&o, L3) == 77, "0x%08x", word(&o, L3));
    fault(&b, "bus-error");
    CHECK(!tcl(&o, "write_memory 0x%x 32 {1 2 3}", L3), "the write succeeded: %s", o.answer);
    CHECK(word(&o, L3) == 77, "the write that failed has written 0x%08x", word(&o, L3));
    write_word(&o, L3, 78);
    CHECK(word(&o, L3) == 78, "0x%08x", word(&o, L3));
    openocd_end(&o);
    end(&b.process);
}

static void a_stuck_bus_is_an_error_until_it_is_cleared(void) {
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    CHECK(tcl(&o, "riscv set_command_timeout_sec 1"), "%s", o.answer);
    write_word(&o, L3, 77);
    fault(&b, "busy-forever");
    CHECK(!tcl(&o, "read_memory 0x%x 32 1", L3), "the read succeeded: %s", o.answer);
    CHECK(!tcl(&o, "write_memory 0x%x 32 5", L3), "the write succeeded: %s", o.answer);
    CHECK(strstr(messages(&o.process), "waiting for sbbusy") != NULL, "%s", messages(&o.process));
    fault(&b, "clear");
    /* OpenOCD notices the busy error that is left, clears it and tries again. */
    CHECK(word(&o, L3) == 77, "0x%08x", word(&o, L3));
    write_word(&o, L3, 78);
    CHECK(word(&o, L3) == 78, "0x%08x", word(&o, L3));
    openocd_end(&o);
    end(&b.process);
}

static void a_flipped_bit_is_there_once(void) {
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    write_word(&o, L3, 0x12345678);
    fault(&b, "flip 1");
    uint32_t seen = word(&o, L3);
    CHECK(__builtin_popcount(seen ^ 0x12345678u) == 1, "0x%08x", seen);
    CHECK(word(&o, L3) == 0x12345678, "0x%08x", word(&o, L3));
    openocd_end(&o);
    end(&b.process);
}

static void after_a_tap_reset_the_chain_is_initialised_again(void) {
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    CHECK(tcl(&o, "riscv set_command_timeout_sec 1; poll off"), "%s", o.answer);
    write_word(&o, L3, 77);
    fault(&b, "tap-reset 1");
    CHECK(!tcl(&o, "read_memory 0x%x 32 1", L3), "the read succeeded: %s", o.answer);
    CHECK(tcl(&o, "jtag arp_init"), "%s", o.answer);
    CHECK(word(&o, L3) == 77, "0x%08x", word(&o, L3));
    openocd_end(&o);
    end(&b.process);
}

static void without_a_target_the_chain_is_all_ones(void) {
    board b = board_start((const char *const[]){"--fault", "no-target", NULL});
    openocd o;
    openocd_start(&o, &b, "");
    CHECK(strstr(messages(&o.process), "all ones") != NULL, "%s", messages(&o.process));
    CHECK(!tcl(&o, "read_memory 0x%x 32 1", L3), "the read succeeded: %s", o.answer);
    openocd_end(&o);
    fault(&b, "clear");
    attach(&o, &b);
    openocd_end(&o);
    end(&b.process);
}

static void a_dropped_cable_comes_back_and_the_firmware_has_run_on(void) {
    board b = plain_board();
    openocd o;
    attach(&o, &b);
    start_firmware(&o);
    uint32_t generation = word(&o, field(offsetof(bt_mailbox, generation)));
    fault(&b, "drop 1500");
    double back = seconds() + 1.5;
    int refused = connect_to(b.port);
    CHECK(refused < 0 || seconds() > back, "a connection was not refused");
    close(refused);
    CHECK(!tcl(&o, "read_memory 0x%x 32 1", L3), "the read succeeded: %s", o.answer);
    openocd_end(&o);
    openocd_start(&o, &b, "");
    CHECK(o.commands < 0 || seconds() > back, "the cable was still there");
    openocd_end(&o);
    while (seconds() < back + 0.1) {
        usleep(10000);
    }
    attach(&o, &b);
    CHECK(word(&o, field(offsetof(bt_mailbox, generation))) == generation, "it was restarted");
    ping(&o);
    openocd_end(&o);
    end(&b.process);
}

static void wrong_commands_and_options_are_explained(void) {
    static const char *const wrong[][3] = {{"--port", "70000", "65535"},
                                           {"--harts", "10", "from 1 to 9"},
                                           {"--ram-mib", "x", "--ram-mib"},
                                           {"--tck-khz", "0", "--tck-khz"},
                                           {"--fault", "earthquake", "bus-error"},
                                           {"--speed", "5", "--speed"},
                                           {"--port", NULL, "--port"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *const arguments[] = {BT_BOARD_PROGRAM, wrong[i][0], wrong[i][1], NULL};
        process p = start(arguments);
        CHECK(status_within(&p, 30) == 2, "%s %s was accepted", wrong[i][0], wrong[i][1]);
        CHECK(strstr(messages(&p), wrong[i][2]) != NULL, "%s", messages(&p));
        end(&p);
    }
    board b = plain_board();
    told(&b, "fault earthquake", "error: The fault \"earthquake\" is unknown");
    told(&b, "hello", "error: The command \"hello\" is unknown");
    told(&b, "fault bus-error 0", "error: \"0\" is not a whole number");
    told(&b, "fault clear", "ok");
    end(&b.process);
}

static void no_qemu_is_explained(void) {
    const char *const arguments[] = {BT_BOARD_PROGRAM, "--qemu", "no-such-qemu", NULL};
    process p = start(arguments);
    CHECK(status_within(&p, 30) == 1, "it did not end");
    CHECK(strstr(messages(&p), "no-such-qemu") != NULL, "%s", messages(&p));
    end(&p);
}

static void qemu_never_stays_behind(void) {
    board b = plain_board();
    pid_t qemu = qemu_of(&b);
    CHECK(qemu > 0 && !is_gone(qemu), "no QEMU");
    close(b.process.input);
    b.process.input = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(status_within(&b.process, 30) == 0, "the board outlives its standard input");
    CHECK(gone_within(qemu, 30), "QEMU outlives the board");
    end(&b.process);

    const int signals[] = {SIGTERM, SIGKILL};
    const int expected[] = {0, 128 + SIGKILL};
    for (size_t i = 0; i < 2; i++) {
        b = plain_board();
        qemu = qemu_of(&b);
        kill(b.process.pid, signals[i]);
        CHECK(status_within(&b.process, 30) == expected[i], "after signal %d", signals[i]);
        CHECK(gone_within(qemu, 30), "QEMU outlives a board ended by signal %d", signals[i]);
        end(&b.process);
    }

    b = plain_board();
    qemu = qemu_of(&b);
    CHECK(qemu > 0, "no QEMU");
    if (qemu > 0) {
        kill(qemu, SIGKILL);
    }
    CHECK(status_within(&b.process, 30) == 1, "the board outlives QEMU");
    CHECK(strstr(messages(&b.process), "has ended") != NULL, "%s", messages(&b.process));
    end(&b.process);
}

/* ------------------------------------------------------------------------------------ the wire */

static bool read_all(int connection, char *bytes, size_t size) {
    double limit = seconds() + ANSWER_SECONDS;
    while (size > 0 && seconds() < limit) {
        struct pollfd input = {.fd = connection, .events = POLLIN};
        if (poll(&input, 1, 1000) > 0) {
            ssize_t count = recv(connection, bytes, size, 0);
            if (count <= 0) {
                return false;
            }
            bytes += count;
            size -= (size_t)count;
        }
    }
    return size == 0;
}

/* Reads IDCODE by hand; 0 if the board does not answer. */
static uint32_t idcode(int connection) {
    char request[512], answer[32];
    size_t size = 0;
    uint32_t code = 0;
    /* TMS 1 1 1 1 1 0 1 0 0, then 32 bits, each looked at before its rising edge. */
    for (const char *tms = "111110100"; *tms != '\0'; tms++) {
        request[size++] = *tms == '1' ? '2' : '0';
        request[size++] = *tms == '1' ? '6' : '4';
    }
    for (int i = 0; i < 32; i++) {
        request[size++] = '0';
        request[size++] = 'R';
        request[size++] = '4';
    }
    if (send(connection, request, size, MSG_NOSIGNAL) != (ssize_t)size ||
        !read_all(connection, answer, sizeof answer)) {
        return 0;
    }
    for (int i = 0; i < 32; i++) {
        code |= (uint32_t)(answer[i] - '0') << i;
    }
    return code;
}

static void a_second_debugger_is_turned_away(void) {
    board b = plain_board();
    int first = connect_to(b.port);
    CHECK(idcode(first) == BT_BOARD_IDCODE, "the first is not served");
    int second = connect_to(b.port);
    CHECK(idcode(second) == 0, "the second is served");
    CHECK(idcode(first) == BT_BOARD_IDCODE, "the first is not served any more");
    close(first);
    close(second);
    int third = connect_to(b.port);
    CHECK(idcode(third) == BT_BOARD_IDCODE, "the next is not served");
    close(third);
    end(&b.process);
}

static void a_cable_can_be_pulled_at_any_moment(void) {
    static const char scan[] = "26262626260426040404R4";
    board b = plain_board();
    for (uint32_t round = 0; round < 200 && bt_test_failures == 0; round++) {
        int connection = connect_to(b.port);
        char level;
        send(connection, scan, round % sizeof scan, MSG_NOSIGNAL);
        fault(&b, "drop 5");
        while (recv(connection, &level, 1, 0) > 0) {
        }
        close(connection);
        for (double end = seconds() + 10; (connection = connect_to(b.port)) < 0;) {
            if (seconds() > end) {
                break;
            }
        }
        CHECK(idcode(connection) == BT_BOARD_IDCODE, "round %u: the board does not come back",
              round);
        close(connection);
    }
    end(&b.process);
}

/* Seconds that clocks and one look at TDO take. */
static double wire_time(const board *b, size_t clocks) {
    char *request = malloc(2 * clocks + 2), level;
    int connection = connect_to(b->port);
    for (size_t i = 0; i < clocks; i++) {
        memcpy(request + 2 * i, "04", 2);
    }
    memcpy(request + 2 * clocks, "BR", 2);
    double began = seconds();
    bool answered = send(connection, request, 2 * clocks + 2, MSG_NOSIGNAL) > 0 &&
                    read_all(connection, &level, 1);
    double took = seconds() - began;
    CHECK(answered, "no answer");
    close(connection);
    free(request);
    return took;
}

static void a_slow_cable_takes_its_time(void) {
    board b = board_start((const char *const[]){"--tck-khz", "100", NULL});
    double took = wire_time(&b, 20000);
    CHECK(took >= 0.2 && took < 10, "20000 clocks at 100 kHz took %.3f s", took);
    end(&b.process);
    b = board_start((const char *const[]){"--latency-us", "300000", NULL});
    took = wire_time(&b, 10);
    CHECK(took >= 0.3 && took < 10, "a look at TDO with a latency of 0.3 s took %.3f s", took);
    end(&b.process);
}

static uint32_t random_state = 12345;

static uint32_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state >> 8;
}

/* Answers are read only as far as they come by themselves. */
static void send_noise(int connection, bool any_byte, size_t size) {
    static const char usual[] = "0123456701234567RBb\n";
    char bytes[1000], answers[4096];
    while (size > 0) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            uint32_t value = next_random();
            bytes[i] = any_byte ? (char)value : usual[value % (sizeof usual - 1)];
        }
        if (send(connection, bytes, sizeof bytes, MSG_NOSIGNAL) < 0) {
            return; /* a Q closed the connection */
        }
        while (recv(connection, answers, sizeof answers, MSG_DONTWAIT) > 0) {
        }
        size -= sizeof bytes;
    }
}

static void noise_on_the_wire_does_no_harm(void) {
    board b = plain_board();
    for (uint32_t round = 0; round < 100 && bt_test_failures == 0; round++) {
        int connection = connect_to(b.port);
        send_noise(connection, round % 2 == 0, 5000);
        close(connection);
        /* It may still be at the noise. */
        uint32_t code = 0;
        for (double end = seconds() + 20; code != BT_BOARD_IDCODE && seconds() < end;) {
            connection = connect_to(b.port);
            code = idcode(connection);
            close(connection);
        }
        CHECK(code == BT_BOARD_IDCODE, "round %u: IDCODE 0x%08x; %s", round, code,
              messages(&b.process));
    }
    openocd o;
    attach(&o, &b);
    start_firmware(&o);
    ping(&o);
    openocd_end(&o);
    end(&b.process);
}

static void print_rates(const char *name, const char *const *options) {
    board b = board_start(options);
    openocd o;
    attach(&o, &b);
    CHECK(tcl(&o, "set data {}; for {set i 0} {$i < 4096} {incr i} {lappend data [format 0x%%x "
                  "[expr {$i * 1000}]]}; llength $data"),
          "%s", o.answer);
    double began = seconds();
    CHECK(tcl(&o, "write_memory 0x%x 32 $data", L3), "%s", o.answer);
    double written = seconds();
    CHECK(tcl(&o, "expr {$data eq [read_memory 0x%x 32 4096]}", L3) && strcmp(o.answer, "1") == 0,
          "what was read is not what was written: %s", o.answer);
    double read = seconds();
    printf("    %s: %.0f kB/s to the board, %.0f kB/s back\n", name, 16.384 / (written - began),
           16.384 / (read - written));
    openocd_end(&o);
    end(&b.process);
}

static void blocks_survive_fast_and_slow_cables(void) {
    print_rates("no cable", (const char *const[]){NULL});
    print_rates("5 MHz, 125 us",
                (const char *const[]){"--tck-khz", "5000", "--latency-us", "125", NULL});
}

/* ----------------------------------------------------------------------------------------- main */

static bool read_firmware(void) {
    static uint8_t bytes[1 << 20];
    FILE *file = fopen(BT_BOARD_FIRMWARE, "rb");
    size_t size = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    bt_elf elf;
    uint32_t symbol_bytes;
    if (file != NULL) {
        fclose(file);
    }
    bool usable = size > 0 && bt_elf_open(bytes, size, &elf) == BT_OK &&
                  bt_elf_symbol(&elf, "bt_virt_mailbox", &mailbox, &symbol_bytes) == BT_OK;
    entry = usable ? elf.entry : 0;
    return usable;
}

int main(void) {
    if (access(BT_BOARD_FIRMWARE, R_OK) != 0) {
        return skip("the firmware was not built; clang-19 and lld-19 are needed for it");
    }
    if (system("command -v " QEMU " >/dev/null") != 0) {
        return skip(QEMU " is not installed");
    }
    if (system("command -v " OPENOCD " >/dev/null") != 0) {
        return skip("OpenOCD is not installed");
    }
    if (!read_firmware()) {
        printf("FAILED: %s is no firmware: %s\n", BT_BOARD_FIRMWARE, bt_error_message(0));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    RUN(openocd_finds_one_tap_and_nine_harts);
    RUN(a_board_without_firmware_waits);
    RUN(registers_are_those_of_the_hart);
    RUN(memory_keeps_bytes_half_words_and_words);
    RUN(the_firmware_runs_and_answers);
    RUN(harts_can_be_targets_of_their_own);
    RUN(a_bus_error_is_an_error_once);
    RUN(a_stuck_bus_is_an_error_until_it_is_cleared);
    RUN(a_flipped_bit_is_there_once);
    RUN(after_a_tap_reset_the_chain_is_initialised_again);
    RUN(without_a_target_the_chain_is_all_ones);
    RUN(a_dropped_cable_comes_back_and_the_firmware_has_run_on);
    RUN(wrong_commands_and_options_are_explained);
    RUN(no_qemu_is_explained);
    RUN(qemu_never_stays_behind);
    RUN(a_second_debugger_is_turned_away);
    RUN(a_cable_can_be_pulled_at_any_moment);
    RUN(a_slow_cable_takes_its_time);
    RUN(noise_on_the_wire_does_no_harm);
    RUN(blocks_survive_fast_and_slow_cables);
    return REPORT();
}
