/*
 * bt-virtual-board: a RISC-V board with a JTAG connector, for a real OpenOCD to talk to. It speaks
 * OpenOCD's remote_bitbang protocol: one character in per change of the JTAG lines, one character
 * back per look at TDO.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "jtag.h"
#include "machine.h"

#define EXIT_BROKEN 1
#define EXIT_MISUSE 2
#define INPUT_BYTES 4096u
#define LINE_BYTES 256u
/* A pause of the wire that is shorter is the scheduler's, not the cable's. */
#define SLACK_NS 200000u

typedef struct options {
    const char *qemu;
    uint32_t port;
    uint32_t harts;
    uint32_t ram_mib;
    uint32_t tck_khz; /* 0: as fast as it goes */
    uint32_t latency_us;
    bool exit_with_stdin;
    bt_faults faults;
} options;

typedef struct board {
    options options;
    bt_machine *machine;
    bt_debug_module module;
    bt_jtag jtag;
    bt_faults faults;
    uint32_t port;
    int listener; /* -1 while the cable is pulled */
    int client;   /* -1: none */
    char answers[2 * INPUT_BYTES];
    size_t answer_bytes;
    bool queue_begins;    /* the next answer is the first of OpenOCD's queue: it has the latency */
    uint64_t wire_free;   /* when TCK has made all its edges; all times in ns */
    uint64_t answer_time; /* when the answers may leave */
    uint64_t reconnect_time;
    char line[LINE_BYTES]; /* of standard input */
    size_t line_bytes;
} board;

static volatile sig_atomic_t stopped;

static const char usage[] =
    "Usage: bt-virtual-board [OPTION]…\n"
    "\n"
    "A RISC-V board with a JTAG connector, made of QEMU. Listens on the loopback interface for\n"
    "OpenOCD (adapter driver remote_bitbang) and prints the line \"listening on PORT\".\n"
    "\n"
    "  --port N            where to listen; 0, the default, is any free port\n"
    "  --qemu PATH         default qemu-system-riscv32\n"
    "  --harts N           1 to 9, default 9\n"
    "  --ram-mib N         64 to 1024, default 64\n"
    "  --tck-khz N         clocks of the cable per millisecond, default unlimited\n"
    "  --latency-us N      from the first read-back of a JTAG queue to its answer, default 0\n"
    "  --fault FAULT       show a fault from the start; may be repeated\n"
    "  --exit-with-stdin   end when standard input does; its lines are commands: fault FAULT\n"
    "  --help              print this text\n"
    "\n"
    "Faults: bus-error [COUNT], flip [COUNT], tap-reset [COUNT], busy-forever, drop [MS], clear.\n"
    "\n"
    "Exit status: 0 it was told to end; 1 QEMU or the port failed; 2 an option is wrong.\n";

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void close_descriptor(int *descriptor) {
    if (*descriptor >= 0) {
        close(*descriptor);
        *descriptor = -1;
    }
}

/* --------------------------------------------------------------------------------------- options
 */

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
        {"--port", 0, 65535, &o->port},
        {"--harts", 1, BT_BOARD_MAX_HARTS, &o->harts},
        {"--ram-mib", 64, 1024, &o->ram_mib},
        {"--tck-khz", 1, 1000000, &o->tck_khz},
        {"--latency-us", 0, 1000000, &o->latency_us},
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
    *o = (options){.qemu = "qemu-system-riscv32", .harts = BT_BOARD_MAX_HARTS, .ram_mib = 64};
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--exit-with-stdin") == 0) {
            o->exit_with_stdin = true;
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

/* ------------------------------------------------------------------------------------ connection
 */

static bt_status listen_on_loopback(board *b) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)b->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        bt_status status =
            bt_error_set(BT_ERROR_IO, "Cannot listen on port %u: %s.", b->port, strerror(errno));
        close_descriptor(&listener);
        return status;
    }
    b->port = ntohs(address.sin_port);
    b->listener = listener;
    return BT_OK;
}

static void disconnect(board *b) {
    close_descriptor(&b->client);
    b->answer_bytes = 0;
}

/* One debugger at a time, as on a cable: the second is turned away. */
static void accept_client(board *b) {
    int client = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) {
        return;
    }
    if (b->client >= 0) {
        fprintf(stderr, "A second debugger was turned away.\n");
        close(client);
        return;
    }
    int one = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    b->client = client;
    b->queue_begins = true;
}

static void drop_if_told(board *b) {
    if (b->faults.drop_ms > 0) {
        b->reconnect_time = now_ns() + b->faults.drop_ms * 1000000ull;
        b->faults.drop_ms = 0;
        disconnect(b);
        close_descriptor(&b->listener);
    }
}

/* ---------------------------------------------------------------------------------------- the wire
 */

static void answer(board *b, bool level) {
    if (b->queue_begins) {
        b->queue_begins = false;
        b->answer_time = b->wire_free + b->options.latency_us * 1000ull;
    }
    b->answers[b->answer_bytes++] = level ? '1' : '0';
}

static void obey(board *b, char command) {
    switch (command) {
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7': {
        int lines = command - '0';
        bool clocked = bt_jtag_drive(&b->jtag, lines & 4, lines & 2, lines & 1);
        if (clocked && b->options.tck_khz > 0) {
            b->wire_free += 1000000u / b->options.tck_khz;
        }
        break;
    }
    case 'R':
        answer(b, b->jtag.tdo);
        break;
    case 'r':
    case 's':
    case 't':
    case 'u': {
        int lines = command - 'r';
        bt_debug_module_reset_line(&b->module, lines & 1);
        if (lines & 2) {
            bt_jtag_reset(&b->jtag);
        }
        break;
    }
    case 'B': /* the lamp goes on: OpenOCD begins a queue */
        b->queue_begins = true;
        break;
    case 'Q':
        disconnect(b);
        break;
    default: /* the lamp goes off, or nothing that concerns JTAG */
        break;
    }
}

static void receive(board *b) {
    char input[INPUT_BYTES];
    ssize_t count = recv(b->client, input, sizeof input, 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        disconnect(b);
        return;
    }
    uint64_t now = now_ns();
    if (b->wire_free + SLACK_NS < now) {
        b->wire_free = now;
    }
    for (ssize_t i = 0; i < count && b->client >= 0; i++) {
        obey(b, input[i]);
    }
}

static void send_answers(board *b) {
    ssize_t sent = send(b->client, b->answers, b->answer_bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        disconnect(b);
    } else if (sent > 0) {
        b->answer_bytes -= (size_t)sent;
        memmove(b->answers, b->answers + sent, b->answer_bytes);
    }
}

/* -------------------------------------------------------------------------------- standard input
 */

static void obey_line(board *b, const char *line) {
    bt_status status =
        strncmp(line, "fault ", 6) == 0
            ? bt_faults_set(&b->faults, line + 6)
            : bt_error_set(BT_ERROR_ARGUMENT,
                           "The command \"%s\" is unknown; known is fault FAULT.", line);
    if (status == BT_OK) {
        drop_if_told(b);
        puts("ok");
    } else {
        printf("error: %s\n", bt_error_message(0));
    }
    fflush(stdout);
}

/* False once it has ended. */
static bool read_commands(board *b) {
    char text[LINE_BYTES];
    ssize_t count = read(STDIN_FILENO, text, sizeof text);
    for (ssize_t i = 0; i < count; i++) {
        if (text[i] == '\n') {
            b->line[b->line_bytes] = '\0';
            b->line_bytes = 0;
            obey_line(b, b->line);
        } else if (b->line_bytes + 1 < sizeof b->line) {
            b->line[b->line_bytes++] = text[i];
        }
    }
    return count > 0 || (count < 0 && errno == EINTR);
}

/* ------------------------------------------------------------------------------------------- loop
 */

static void wake_by(uint64_t time, uint64_t *until) {
    if (time < *until) {
        *until = time;
    }
}

/* Waits for the first of its descriptors or times, and serves what has come. */
static bt_status serve_once(board *b, bool *more) {
    enum { LISTENER, CLIENT, STDIN, MACHINE, DESCRIPTORS };
    struct pollfd waiting[DESCRIPTORS] = {
        [LISTENER] = {.fd = b->listener, .events = POLLIN},
        [CLIENT] = {.fd = b->client},
        [STDIN] = {.fd = b->options.exit_with_stdin ? STDIN_FILENO : -1, .events = POLLIN},
        [MACHINE] = {.fd = bt_machine_descriptor(b->machine), .events = POLLIN},
    };
    uint64_t now = now_ns();
    uint64_t until = UINT64_MAX;
    if (b->client >= 0 && b->answer_bytes > 0) {
        uint64_t time = b->answer_time > b->wire_free ? b->answer_time : b->wire_free;
        if (now >= time) {
            waiting[CLIENT].events |= POLLOUT;
        } else {
            wake_by(time, &until);
        }
    }
    if (b->client >= 0 && b->answer_bytes < INPUT_BYTES) {
        if (now >= b->wire_free) {
            waiting[CLIENT].events |= POLLIN;
        } else {
            wake_by(b->wire_free, &until);
        }
    }
    if (b->listener < 0) {
        wake_by(b->reconnect_time, &until);
    }
    uint64_t left = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u),
                               .tv_nsec = (long)(left % 1000000000u)};
    sigset_t none;
    sigemptyset(&none);
    if (ppoll(waiting, DESCRIPTORS, until == UINT64_MAX ? NULL : &timeout, &none) < 0) {
        *more = !stopped;
        return BT_OK;
    }
    if (waiting[MACHINE].revents != 0) {
        BT_TRY(bt_machine_check(b->machine));
    }
    if (waiting[CLIENT].revents & POLLOUT) {
        send_answers(b);
    }
    if (b->client >= 0 && (waiting[CLIENT].revents & (POLLIN | POLLHUP | POLLERR))) {
        if (b->answer_bytes < INPUT_BYTES) {
            receive(b);
        } else {
            disconnect(b); /* it has gone without taking its answers */
        }
        BT_TRY(bt_machine_check(b->machine));
    }
    if (waiting[LISTENER].revents != 0) {
        accept_client(b);
    }
    if (b->listener < 0 && now_ns() >= b->reconnect_time) {
        BT_TRY(listen_on_loopback(b));
    }
    *more = !stopped && (waiting[STDIN].revents == 0 || read_commands(b));
    return BT_OK;
}

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

/* Signals arrive only while the loop waits. */
static void catch_signals(void) {
    const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_handler = on_signal};
        sigaction(signals[i], &action, NULL);
        sigaddset(&blocked, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static bt_status serve(board *b) {
    const options *o = &b->options;
    bool more = true;
    b->port = o->port;
    b->faults = o->faults;
    BT_TRY(bt_machine_open(o->qemu, o->harts, o->ram_mib, &b->machine));
    bt_harts harts = bt_machine_harts(b->machine);
    bt_ram ram = bt_machine_ram(b->machine);
    bt_debug_module_init(&b->module, &harts, &ram, &b->faults);
    bt_jtag_init(&b->jtag, &b->module);
    BT_TRY(listen_on_loopback(b));
    printf("listening on %u\n", b->port);
    fflush(stdout);
    drop_if_told(b);
    while (more) {
        BT_TRY(serve_once(b, &more));
    }
    return BT_OK;
}

int main(int count, char **arguments) {
    static board b = {.listener = -1, .client = -1};
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
    }
    if (parse_options(count, arguments, &b.options) != BT_OK) {
        fprintf(stderr, "%s\n", bt_error_message(0));
        return EXIT_MISUSE;
    }
    catch_signals();
    prctl(PR_SET_TIMERSLACK, 1000ul); /* sleeps of a cable are short */
    bt_status status = serve(&b);
    if (status != BT_OK) {
        fprintf(stderr, "%s\n", bt_error_message(0));
    }
    disconnect(&b);
    close_descriptor(&b.listener);
    if (b.machine != NULL) {
        bt_machine_close(b.machine);
    }
    return status == BT_OK ? 0 : EXIT_BROKEN;
}
