/* bt-virtual-board: a RISC-V board with a JTAG connector, for a real OpenOCD to talk to. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/error.h"
#include "server.h"

#define EXIT_BROKEN 1
#define EXIT_MISUSE 2

typedef struct options {
    const char *qemu;
    uint32_t harts;
    uint32_t ram_mib;
    bt_server_options server;
    bt_faults faults;
} options;

static volatile sig_atomic_t stop;

static const char usage[] =
    "Usage: bt-virtual-board [OPTION]...\n"
    "\n"
    "A RISC-V board with a JTAG connector, made of QEMU. Listens on the loopback interface for\n"
    "OpenOCD (adapter driver remote_bitbang) and prints the line \"listening on PORT\".\n"
    "\n"
    "  --port N            where to listen; 0, the default, is any free port\n"
    "  --qemu PATH         default qemu-system-riscv32\n"
    "  --harts N           1 to 9, default 9\n"
    "  --ram-mib N         64 to 1024, default 64\n"
    "  --tck-khz N         clock of the cable, default unlimited\n"
    "  --latency-us N      from the first read-back of a JTAG queue to its answer, default 0\n"
    "  --fault FAULT       show a fault from the start; may be repeated\n"
    "  --exit-with-stdin   end when standard input does; its lines are commands: fault FAULT\n"
    "  --help              print this text\n"
    "\n"
    "Faults: bus-error [COUNT], flip [COUNT], tap-reset [COUNT], busy-forever, no-target,\n"
    "drop [MS], clear.\n"
    "\n"
    "Exit status: 0 it was told to end; 1 QEMU or the port failed; 2 an option is wrong.\n";

static bt_status parse_number(const char *name, const char *text, uint32_t low, uint32_t high,
                              uint32_t *out) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < low || value > high) {
        BT_FAIL(BT_ERROR_ARGUMENT, "%s must be a whole number from %u to %u, not \"%s\".", name,
                low, high, text);
    }
    *out = (uint32_t)value;
    return BT_OK;
}

static bt_status parse_option(options *o, const char *name, const char *value) {
    const struct {
        const char *name;
        uint32_t low, high;
        uint32_t *out;
    } numbers[] = {
        {"--port", 0, 65535, &o->server.port},
        {"--harts", 1, BT_BOARD_MAX_HARTS, &o->harts},
        {"--ram-mib", 64, 1024, &o->ram_mib},
        {"--tck-khz", 1, 1000000, &o->server.tck_khz},
        {"--latency-us", 0, 1000000, &o->server.latency_us},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            return parse_number(name, value, numbers[i].low, numbers[i].high, numbers[i].out);
        }
    }
    if (strcmp(name, "--qemu") == 0) {
        o->qemu = value;
        return BT_OK;
    }
    if (strcmp(name, "--fault") == 0) {
        return bt_faults_set(&o->faults, value);
    }
    BT_FAIL(BT_ERROR_ARGUMENT, "The option %s is unknown; see bt-virtual-board --help.", name);
}

static bt_status parse_options(int count, char **arguments, options *o) {
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--exit-with-stdin") == 0) {
            o->server.exit_with_stdin = true;
        } else if (i + 1 == count) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The option %s is unknown or lacks its value; see bt-virtual-board --help.",
                    arguments[i]);
        } else {
            BT_TRY(parse_option(o, arguments[i], arguments[i + 1]));
            i++;
        }
    }
    return BT_OK;
}

static void on_signal(int number) {
    (void)number;
    stop = 1;
}

/* They are let in while the server waits. */
static void block_signals(void) {
    const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_handler = on_signal};
        sigaction(signals[i], &action, NULL);
        sigaddset(&blocked, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, NULL);
}

static bt_status run(options *o) {
    bt_machine *machine;
    bt_debug_module module;
    bt_jtag jtag;
    BT_TRY(bt_machine_open(o->qemu, o->harts, o->ram_mib, &machine));
    bt_harts harts = bt_machine_harts(machine);
    bt_ram ram = bt_machine_ram(machine);
    bt_debug_module_init(&module, &harts, &ram, &o->faults);
    bt_jtag_init(&jtag, &module);
    bt_status status = bt_server_run(&o->server, machine, &jtag, &stop);
    bt_machine_close(machine);
    return status;
}

int main(int count, char **arguments) {
    options o = {.qemu = "qemu-system-riscv32", .harts = BT_BOARD_MAX_HARTS, .ram_mib = 64};
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
    }
    if (parse_options(count, arguments, &o) != BT_OK) {
        fprintf(stderr, "bt-virtual-board: %s\n", bt_error_message(0));
        return EXIT_MISUSE;
    }
    block_signals();
    signal(SIGPIPE, SIG_IGN);         /* a reader of our lines that has gone is no reason to end */
    prctl(PR_SET_TIMERSLACK, 1000ul); /* ns: the pauses of a cable are short */
    if (run(&o) != BT_OK) {
        fprintf(stderr, "bt-virtual-board: %s\n", bt_error_message(0));
        return EXIT_BROKEN;
    }
    return 0;
}
