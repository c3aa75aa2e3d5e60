#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define START_TIMEOUT_MS 20000
#define ANSWER_TIMEOUT_MS 10000
#define STEP_TIMEOUT_MS 1000
#define PACKET_BYTES 4096u

/* Descriptors that the child inherits. */
enum { CHILD_RAM = 3, CHILD_DEBUG = 4 };

/* The debug server's numbers of registers: x0 … x31, then the pc; CSRs follow csr_base. */
#define SERVER_PC 32u

struct bt_machine {
    const char *qemu;
    uint32_t hart_count;
    uint32_t ram_bytes;
    int ram_fd;
    uint8_t *ram;
    pid_t process; /* 0: none */
    int server;    /* QEMU's debug server, or -1 */
    uint32_t csr_base;
    uint32_t running;
    bool failed;
    char received[PACKET_BYTES];
    size_t received_bytes; /* beyond the last packet taken */
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --------------------------------------------------------------- packets of the debug server */

static bt_status lost(bt_machine *machine, const char *why) {
    if (machine->failed) {
        return BT_ERROR_DEVICE;
    }
    machine->failed = true;
    BT_FAIL(BT_ERROR_DEVICE, "QEMU (%s) %s; start the board again.", machine->qemu, why);
}

static bt_status send_bytes(bt_machine *machine, const char *bytes, size_t size) {
    if (machine->failed) {
        return BT_ERROR_DEVICE;
    }
    while (size > 0) {
        ssize_t sent = send(machine->server, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return lost(machine, "has ended");
        }
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return BT_OK;
}

static bt_status send_packet(bt_machine *machine, const char *payload) {
    char packet[512];
    unsigned sum = 0;
    for (const char *at = payload; *at != '\0'; at++) {
        sum += (unsigned char)*at;
    }
    int size = snprintf(packet, sizeof packet, "$%s#%02x", payload, sum & 0xFFu);
    return send_bytes(machine, packet, (size_t)size);
}

static bt_status receive_bytes(bt_machine *machine) {
    size_t space = sizeof machine->received - machine->received_bytes;
    ssize_t count = recv(machine->server, machine->received + machine->received_bytes, space, 0);
    if (space == 0 || count == 0 || (count < 0 && errno != EINTR)) {
        return lost(machine, space == 0 ? "sent a packet that is too long" : "has ended");
    }
    machine->received_bytes += count > 0 ? (size_t)count : 0;
    return BT_OK;
}

/* Takes the first complete packet out of what was received; false: there is none yet. What lies
 * between packets acknowledges ours. */
static bool take_packet(bt_machine *machine, char payload[PACKET_BYTES]) {
    char *begin = memchr(machine->received, '$', machine->received_bytes);
    char *end =
        begin != NULL
            ? memchr(begin, '#', machine->received_bytes - (size_t)(begin - machine->received))
            : NULL;
    size_t used = end != NULL ? (size_t)(end - machine->received) + 3 : SIZE_MAX;
    if (used > machine->received_bytes) {
        return false;
    }
    size_t length = (size_t)(end - begin) - 1;
    memcpy(payload, begin + 1, length);
    payload[length] = '\0';
    machine->received_bytes -= used;
    memmove(machine->received, machine->received + used, machine->received_bytes);
    return true;
}

/* BT_ERROR_TIMEOUT, without a message, if nothing comes in time. */
static bt_status receive_packet(bt_machine *machine, int timeout_ms, char payload[PACKET_BYTES]) {
    int64_t deadline = now_ms() + timeout_ms;
    while (!take_packet(machine, payload)) {
        int64_t left = deadline - now_ms();
        struct pollfd server = {.fd = machine->server, .events = POLLIN};
        if (machine->failed) {
            return BT_ERROR_DEVICE;
        }
        if (left <= 0) {
            return BT_ERROR_TIMEOUT;
        }
        if (poll(&server, 1, (int)left) <= 0) {
            continue;
        }
        BT_TRY(receive_bytes(machine));
    }
    return send_bytes(machine, "+", 1);
}

static bt_status ask(bt_machine *machine, const char *request, char answer[PACKET_BYTES]) {
    BT_TRY(send_packet(machine, request));
    bt_status status = receive_packet(machine, ANSWER_TIMEOUT_MS, answer);
    return status == BT_ERROR_TIMEOUT ? lost(machine, "does not answer") : status;
}

/* ------------------------------------------------------------------------------- QEMU's process */

/* In the child; returns only if QEMU could not be started. */
static void become_qemu(const bt_machine *machine, pid_t parent, int server) {
    char smp[16], size[16], memory[128];
    snprintf(smp, sizeof smp, "%u", machine->hart_count);
    snprintf(size, sizeof size, "%uM", machine->ram_bytes >> 20);
    snprintf(memory, sizeof memory,
             "memory-backend-file,id=ram0,size=%s,mem-path=/proc/self/fd/%d,share=on", size,
             CHILD_RAM);
    const char *const arguments[] = {machine->qemu,
                                     "-machine",
                                     "virt,memory-backend=ram0",
                                     "-object",
                                     memory,
                                     "-cpu",
                                     "rv32,f=off,d=off,zfinx=on,zhinx=on",
                                     "-smp",
                                     smp,
                                     "-m",
                                     size,
                                     "-bios",
                                     "none",
                                     "-display",
                                     "none",
                                     "-nodefaults",
                                     "-no-user-config",
                                     "-serial",
                                     "null",
                                     "-chardev",
                                     "socket,id=debug,fd=4",
                                     "-gdb",
                                     "chardev:debug",
                                     "-S",
                                     NULL};
    sigset_t none;
    sigemptyset(&none);
    /* A group of its own: a Ctrl-C at the terminal is for the board. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || setpgid(0, 0) != 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) != 0 || dup2(machine->ram_fd, CHILD_RAM) < 0 ||
        dup2(server, CHILD_DEBUG) < 0) {
        return;
    }
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) {
        return;
    }
    execvp(machine->qemu, (char *const *)(uintptr_t)arguments);
}

/* Moves a descriptor above those that the child's fixed ones would overwrite. */
static int keep_clear(int descriptor) {
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 16);
    if (descriptor >= 0) {
        close(descriptor);
    }
    return moved;
}

static void stop_process(bt_machine *machine) {
    if (machine->process > 0) {
        kill(machine->process, SIGKILL);
        waitpid(machine->process, NULL, 0);
        machine->process = 0;
    }
    if (machine->server >= 0) {
        close(machine->server);
        machine->server = -1;
    }
    machine->received_bytes = 0;
    machine->running = 0;
}

/* Where the server's numbers of CSRs begin: it describes every one of them. */
static bt_status find_csrs(bt_machine *machine) {
    const uint32_t mstatus = 0x300;
    char request[80], answer[PACKET_BYTES];
    const char name[] = "name=\"mstatus\"";
    /* Overlapping pieces, so that no entry is cut in all of them. */
    for (uint32_t offset = 0; offset < 65536; offset += 1024) {
        snprintf(request, sizeof request, "qXfer:features:read:riscv-csr.xml:%x,800", offset);
        BT_TRY(ask(machine, request, answer));
        const char *entry = strstr(answer, name);
        const char *number = entry != NULL ? strstr(entry, "regnum=\"") : NULL;
        unsigned value;
        if (number != NULL && sscanf(number, "regnum=\"%u\"", &value) == 1 && value >= mstatus) {
            machine->csr_base = value - mstatus;
            return BT_OK;
        }
        if (answer[0] != 'm') {
            break;
        }
    }
    return lost(machine, "does not describe its control registers; it is no RISC-V machine");
}

static bt_status start_process(bt_machine *machine) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        machine->failed = true;
        BT_FAIL(BT_ERROR_IO, "Cannot create a socket for QEMU: %s.", strerror(errno));
    }
    pair[0] = keep_clear(pair[0]);
    pair[1] = keep_clear(pair[1]);
    pid_t parent = getpid();
    machine->process = fork();
    if (machine->process == 0) {
        become_qemu(machine, parent, pair[1]);
        fprintf(stderr, "Cannot start %s: %s.\n", machine->qemu, strerror(errno));
        _exit(127);
    }
    close(pair[1]);
    machine->server = pair[0];
    if (machine->process < 0) {
        machine->process = 0;
        return lost(machine, "cannot be started: no more processes");
    }
    char answer[PACKET_BYTES];
    BT_TRY(send_packet(machine, "?")); /* why the harts stand still: any answer will do */
    bt_status status = receive_packet(machine, START_TIMEOUT_MS, answer);
    if (status == BT_ERROR_TIMEOUT) {
        return lost(machine, "started, but its debug server does not answer");
    }
    BT_TRY(status);
    return find_csrs(machine);
}

static bt_status start_if_stopped(bt_machine *machine) {
    return machine->process != 0 || machine->failed ? BT_OK : start_process(machine);
}

/* ------------------------------------------------------------------------------------ the harts */

static bt_status pause_harts(bt_machine *machine) {
    char answer[PACKET_BYTES];
    if (machine->running == 0) {
        return BT_OK;
    }
    BT_TRY(send_bytes(machine, "\x03", 1));
    bt_status status = receive_packet(machine, ANSWER_TIMEOUT_MS, answer);
    return status == BT_ERROR_TIMEOUT ? lost(machine, "does not stop") : status;
}

static bt_status continue_harts(bt_machine *machine, uint32_t mask) {
    char request[128] = "vCont";
    size_t length = strlen(request);
    machine->running = mask;
    if (mask == 0) {
        return BT_OK;
    }
    for (uint32_t hart = 0; hart < machine->hart_count; hart++) {
        if (mask & 1u << hart) {
            length +=
                (size_t)snprintf(request + length, sizeof request - length, ";c:%x", hart + 1);
        }
    }
    return send_packet(machine, request);
}

static void run(void *context, uint32_t mask) {
    bt_machine *machine = context;
    if (mask != machine->running && start_if_stopped(machine) == BT_OK &&
        pause_harts(machine) == BT_OK) {
        continue_harts(machine, mask);
    }
}

/* The others stand still meanwhile: the server knows no other way to wait for one hart. */
static void step(void *context, uint32_t hart) {
    bt_machine *machine = context;
    char request[32], answer[PACKET_BYTES];
    uint32_t running = machine->running;
    snprintf(request, sizeof request, "vCont;s:%x", hart + 1);
    if (start_if_stopped(machine) != BT_OK || pause_harts(machine) != BT_OK ||
        send_packet(machine, request) != BT_OK) {
        return;
    }
    machine->running = 1u << hart;
    /* A hart that waits for an interrupt does not end its step. */
    if (receive_packet(machine, STEP_TIMEOUT_MS, answer) == BT_ERROR_TIMEOUT &&
        pause_harts(machine) != BT_OK) {
        return;
    }
    machine->running = 0;
    continue_harts(machine, running);
}

static uint32_t server_number(const bt_machine *machine, uint32_t number) {
    if (number == BT_REGISTER_DPC) {
        return SERVER_PC;
    }
    return number >= BT_REGISTER_X0 ? number - BT_REGISTER_X0 : machine->csr_base + number;
}

/* One exchange about a register of one hart, with all harts paused. */
static bt_status ask_hart(bt_machine *machine, uint32_t hart, const char *request,
                          char answer[PACKET_BYTES]) {
    char select[32];
    uint32_t running = machine->running;
    snprintf(select, sizeof select, "Hg%x", hart + 1);
    BT_TRY(start_if_stopped(machine));
    BT_TRY(pause_harts(machine));
    machine->running = 0;
    BT_TRY(ask(machine, select, answer));
    if (strcmp(answer, "OK") != 0) {
        return lost(machine, "does not know one of its harts");
    }
    BT_TRY(ask(machine, request, answer));
    return continue_harts(machine, running);
}

static bool read_register(void *context, uint32_t hart, uint32_t number, uint32_t *value) {
    bt_machine *machine = context;
    char request[32], answer[PACKET_BYTES];
    unsigned bytes[4];
    snprintf(request, sizeof request, "p%x", server_number(machine, number));
    if (ask_hart(machine, hart, request, answer) != BT_OK || strlen(answer) != 8 ||
        sscanf(answer, "%2x%2x%2x%2x", &bytes[0], &bytes[1], &bytes[2], &bytes[3]) != 4) {
        return false;
    }
    *value = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24;
    return true;
}

static bool write_register(void *context, uint32_t hart, uint32_t number, uint32_t value) {
    bt_machine *machine = context;
    char request[48], answer[PACKET_BYTES];
    snprintf(request, sizeof request, "P%x=%02x%02x%02x%02x", server_number(machine, number),
             value & 0xFFu, value >> 8 & 0xFFu, value >> 16 & 0xFFu, value >> 24);
    return ask_hart(machine, hart, request, answer) == BT_OK && strcmp(answer, "OK") == 0;
}

/* A new QEMU on the old RAM, once it is needed. */
static void reset(void *context) {
    bt_machine *machine = context;
    if (!machine->failed) {
        stop_process(machine);
    }
}

/* -------------------------------------------------------------------------------------- opening */

static bt_status create_ram(bt_machine *machine) {
    machine->ram_fd = memfd_create("biotrain-board-ram", MFD_CLOEXEC);
    if (machine->ram_fd >= 0) {
        machine->ram_fd = keep_clear(machine->ram_fd);
    }
    if (machine->ram_fd < 0 || ftruncate(machine->ram_fd, machine->ram_bytes) != 0) {
        BT_FAIL(BT_ERROR_MEMORY, "Cannot create %u MiB of memory for the board: %s.",
                machine->ram_bytes >> 20, strerror(errno));
    }
    void *ram =
        mmap(NULL, machine->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, machine->ram_fd, 0);
    if (ram == MAP_FAILED) {
        BT_FAIL(BT_ERROR_MEMORY, "Cannot map the board's memory: %s.", strerror(errno));
    }
    machine->ram = ram;
    return BT_OK;
}

bt_status bt_machine_open(const char *qemu, uint32_t harts, uint32_t ram_mib, bt_machine **out) {
    bt_machine *machine = calloc(1, sizeof *machine);
    if (machine == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for the board.");
    }
    machine->qemu = qemu;
    machine->hart_count = harts;
    machine->ram_bytes = ram_mib << 20;
    machine->ram_fd = machine->server = -1;
    bt_status status = create_ram(machine);
    if (status == BT_OK) {
        status = start_process(machine);
    }
    if (status != BT_OK) {
        bt_machine_close(machine);
        return status;
    }
    *out = machine;
    return BT_OK;
}

void bt_machine_close(bt_machine *machine) {
    stop_process(machine);
    if (machine->ram != NULL) {
        munmap(machine->ram, machine->ram_bytes);
    }
    if (machine->ram_fd >= 0) {
        close(machine->ram_fd);
    }
    free(machine);
}

bt_harts bt_machine_harts(bt_machine *machine) {
    return (bt_harts){.context = machine,
                      .count = machine->hart_count,
                      .run = run,
                      .step = step,
                      .read = read_register,
                      .write = write_register,
                      .reset = reset};
}

bt_ram bt_machine_ram(const bt_machine *machine) {
    return (bt_ram){.bytes = machine->ram, .base = BT_RAM_BASE, .size = machine->ram_bytes};
}

int bt_machine_descriptor(const bt_machine *machine) { return machine->server; }

bt_status bt_machine_check(bt_machine *machine) {
    struct pollfd server = {.fd = machine->server, .events = POLLIN};
    if (!machine->failed && poll(&server, 1, 0) > 0) {
        BT_TRY(receive_bytes(machine));
        /* It acknowledges what we sent; a packet can only say that a hart has stopped. */
        if (memchr(machine->received, '$', machine->received_bytes) != NULL) {
            return lost(machine, "stopped by itself");
        }
        machine->received_bytes = 0;
    }
    return machine->failed ? BT_ERROR_DEVICE : BT_OK;
}
