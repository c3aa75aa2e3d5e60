#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define INPUT_BYTES 4096u
#define LINE_BYTES 256u
/* A pause of the wire that is shorter is the scheduler's, not the cable's. */
#define SLACK_NS 200000u
#define NEVER UINT64_MAX

/* All times in ns. */
typedef struct server {
    const bt_server_options *options;
    bt_machine *machine;
    bt_jtag *jtag;
    uint32_t port;
    int listener;
    bool plugged_in; /* the cable: listener listens */
    int client;      /* -1: none */
    char answers[2 * INPUT_BYTES];
    size_t answer_bytes;
    bool queue_begins;       /* the next answer is the first of a JTAG queue: it has the latency */
    uint64_t wire_free;      /* when TCK has made all its edges */
    uint64_t answer_time;    /* when the answers may leave, if the wire is free */
    uint64_t reconnect_time; /* when the cable is plugged in again */
    char line[LINE_BYTES];   /* of standard input, so far */
    size_t line_bytes;
} server;

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

/* ----------------------------------------------------------------------------------- connection */

/* Binds to s->port, which becomes the number of a free one if it is 0. */
static bt_status bind_to_loopback(server *s) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)s->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0 ||
        setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(s->listener, (struct sockaddr *)&address, size) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) != 0) {
        BT_FAIL(BT_ERROR_IO, "Cannot use port %u: %s.", s->port, strerror(errno));
    }
    s->port = ntohs(address.sin_port);
    return BT_OK;
}

static bt_status plug_in(server *s) {
    if (listen(s->listener, 1) != 0) {
        BT_FAIL(BT_ERROR_IO, "Cannot listen on port %u: %s.", s->port, strerror(errno));
    }
    s->plugged_in = true;
    return BT_OK;
}

static void disconnect(server *s) {
    close_descriptor(&s->client);
    s->answer_bytes = 0;
}

/* One debugger at a time, as on a cable: the second is turned away. */
static void accept_client(server *s) {
    int client = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) {
        return;
    }
    if (s->client >= 0) {
        fprintf(stderr, "bt-virtual-board: A second debugger was turned away.\n");
        close(client);
        return;
    }
    int one = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->client = client;
    s->queue_begins = true;
}

/* Nobody else gets the port meanwhile: it stays bound, but does not listen. */
static void drop_if_told(server *s) {
    uint32_t *drop_ms = &s->jtag->module->faults->drop_ms;
    if (*drop_ms > 0) {
        s->reconnect_time = now_ns() + *drop_ms * 1000000ull;
        *drop_ms = 0;
        disconnect(s);
        shutdown(s->listener, SHUT_RDWR);
        s->plugged_in = false;
    }
}

/* ------------------------------------------------------------------------------------- the wire */

static void clock_passes(server *s) {
    if (s->options->tck_khz > 0) {
        s->wire_free += 1000000u / s->options->tck_khz;
    }
}

static void answer(server *s, bool level) {
    if (s->queue_begins) {
        s->queue_begins = false;
        s->answer_time = s->wire_free + s->options->latency_us * 1000ull;
    }
    s->answers[s->answer_bytes++] = level ? '1' : '0';
}

static void obey(server *s, char command) {
    if (command >= '0' && command <= '7') {
        int lines = command - '0';
        if (bt_jtag_drive(s->jtag, lines & 4, lines & 2, lines & 1)) {
            clock_passes(s);
        }
    } else if (command == 'R') {
        answer(s, s->jtag->tdo);
    } else if (command >= 'r' && command <= 'u') {
        int lines = command - 'r';
        bt_debug_module_reset_line(s->jtag->module, lines & 1);
        if (lines & 2) {
            bt_jtag_reset(s->jtag);
        }
    } else if (command == 'B') {
        s->queue_begins = true; /* OpenOCD lights a lamp while it works on a queue */
    } else if (command == 'Q') {
        disconnect(s);
    }
    /* All else does not concern JTAG. */
}

static void receive(server *s) {
    char input[INPUT_BYTES];
    ssize_t count = recv(s->client, input, sizeof input, 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        disconnect(s);
        return;
    }
    uint64_t now = now_ns();
    if (s->wire_free + SLACK_NS < now || s->options->tck_khz == 0) {
        s->wire_free = now;
    }
    for (ssize_t i = 0; i < count && s->client >= 0; i++) {
        obey(s, input[i]);
    }
}

static void send_answers(server *s) {
    ssize_t sent = send(s->client, s->answers, s->answer_bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        disconnect(s);
    } else if (sent > 0) {
        s->answer_bytes -= (size_t)sent;
        memmove(s->answers, s->answers + sent, s->answer_bytes);
    }
}

/* When to send what is there to send, and when to receive more. */
static uint64_t send_time(const server *s) {
    if (s->client < 0 || s->answer_bytes == 0) {
        return NEVER;
    }
    return s->answer_time > s->wire_free ? s->answer_time : s->wire_free;
}

static uint64_t receive_time(const server *s) {
    return s->client >= 0 && s->answer_bytes < INPUT_BYTES ? s->wire_free : NEVER;
}

static void serve_client(server *s, short events) {
    bool gone = (events & (POLLHUP | POLLERR)) != 0;
    if (receive_time(s) == NEVER && gone) {
        disconnect(s); /* without taking its answers */
    } else if (gone || (events & POLLIN)) {
        receive(s);
    }
    if (now_ns() >= send_time(s)) {
        send_answers(s);
    }
}

/* ------------------------------------------------------------------------------- standard input */

static void obey_line(server *s, const char *line) {
    bt_status status =
        strncmp(line, "fault ", 6) == 0
            ? bt_faults_set(s->jtag->module->faults, line + 6)
            : bt_error_set(BT_ERROR_ARGUMENT,
                           "The command \"%s\" is unknown; known is fault FAULT.", line);
    if (status == BT_OK) {
        drop_if_told(s);
        puts("ok");
    } else {
        printf("error: %s\n", bt_error_message(0));
    }
    fflush(stdout);
}

/* False once it has ended. What is too long for a line is cut off. */
static bool read_commands(server *s) {
    char text[LINE_BYTES];
    ssize_t count = read(STDIN_FILENO, text, sizeof text);
    for (ssize_t i = 0; i < count; i++) {
        if (text[i] == '\n') {
            s->line[s->line_bytes] = '\0';
            s->line_bytes = 0;
            obey_line(s, s->line);
        } else if (s->line_bytes + 1 < sizeof s->line) {
            s->line[s->line_bytes++] = text[i];
        }
    }
    return count > 0 || (count < 0 && errno == EINTR);
}

/* ----------------------------------------------------------------------------------------- loop */

enum { LISTENER, CLIENT, STDIN, MACHINE, DESCRIPTORS };

/* Waits for a descriptor or the next time at which something is due; false: for a signal. */
static bool wait_for_work(const server *s, struct pollfd waiting[DESCRIPTORS]) {
    uint64_t now = now_ns();
    uint64_t times[] = {send_time(s), receive_time(s), s->plugged_in ? NEVER : s->reconnect_time};
    uint64_t first = NEVER;
    waiting[LISTENER] = (struct pollfd){.fd = s->plugged_in ? s->listener : -1, .events = POLLIN};
    waiting[CLIENT] = (struct pollfd){.fd = s->client};
    waiting[STDIN] =
        (struct pollfd){.fd = s->options->exit_with_stdin ? STDIN_FILENO : -1, .events = POLLIN};
    waiting[MACHINE] = (struct pollfd){.fd = bt_machine_descriptor(s->machine), .events = POLLIN};
    if (times[0] <= now) {
        waiting[CLIENT].events |= POLLOUT;
        times[0] = NEVER;
    }
    if (times[1] <= now) {
        waiting[CLIENT].events |= POLLIN;
        times[1] = NEVER;
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        first = times[i] < first ? times[i] : first;
    }
    uint64_t left = first > now ? first - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u),
                               .tv_nsec = (long)(left % 1000000000u)};
    sigset_t none;
    sigemptyset(&none);
    return ppoll(waiting, DESCRIPTORS, first == NEVER ? NULL : &timeout, &none) >= 0;
}

static bt_status serve_once(server *s, bool *more) {
    struct pollfd waiting[DESCRIPTORS];
    if (!wait_for_work(s, waiting)) {
        return BT_OK;
    }
    if (waiting[CLIENT].revents != 0) {
        serve_client(s, waiting[CLIENT].revents);
    }
    if (waiting[LISTENER].revents != 0) {
        accept_client(s);
    }
    if (!s->plugged_in && now_ns() >= s->reconnect_time) {
        BT_TRY(plug_in(s));
    }
    if (waiting[STDIN].revents != 0) {
        *more = read_commands(s);
    }
    return bt_machine_check(s->machine);
}

static bt_status serve(server *s, const volatile sig_atomic_t *stop) {
    bool more = true;
    BT_TRY(bind_to_loopback(s));
    if (s->options->port == 0) {
        /* Only a port that was asked for by its number stays bound while it does not listen. */
        close_descriptor(&s->listener);
        BT_TRY(bind_to_loopback(s));
    }
    BT_TRY(plug_in(s));
    printf("listening on %u\n", s->port);
    fflush(stdout);
    drop_if_told(s);
    while (more && !*stop) {
        BT_TRY(serve_once(s, &more));
    }
    return BT_OK;
}

bt_status bt_server_run(const bt_server_options *options, bt_machine *machine, bt_jtag *jtag,
                        const volatile sig_atomic_t *stop) {
    server s = {.options = options,
                .machine = machine,
                .jtag = jtag,
                .port = options->port,
                .listener = -1,
                .client = -1};
    bt_status status = serve(&s, stop);
    disconnect(&s);
    close_descriptor(&s.listener);
    return status;
}
