/*
 * qemu: the firmware on QEMU's RISC-V virt machine. The guest's RAM is a memory file that this
 * process maps and the guest runs on, so reading and writing the target is a copy. The doorbell, in
 * both directions, is a socket pair behind the guest's UART.
 *
 * Nothing can be left behind: memory and sockets have no names, and QEMU ends with this process.
 */
#define _GNU_SOURCE
#include "link/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "hal/virt/virt.h"
#include "link/elf.h"
#include "link/mailbox.h"
#include "link/process.h"

#define RAM_BASE 0x80000000u
#define RAM_BYTES (64u << 20)
#define MAX_HARTS (1u + BT_VIRT_MAX_WORKERS)
#define START_TIMEOUT_NS 20000000000ull
#define QEMU_TIMEOUT_MS 60000u
#define MESSAGE_BYTES 1024u

/* Descriptors that QEMU inherits. */
enum { CHILD_RAM = 3, CHILD_BELL = 4 };

typedef struct qemu_link {
    bt_link link; /* first: a bt_link * is a qemu_link * */
    char *binary;
    char *gdb; /* port, or NULL */
    uint32_t harts;
    uint32_t icount;
    int ram_fd;
    uint8_t *ram;
    int bell; /* our end of the doorbell */
    bt_process process;
    uint8_t *firmware;
    size_t firmware_bytes;
    uint32_t boot_address;
    uint32_t status_address;
} qemu_link;

static qemu_link *of(bt_link *link) { return (qemu_link *)link; }

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void close_descriptor(int *descriptor) {
    if (*descriptor >= 0) {
        close(*descriptor);
        *descriptor = -1;
    }
}

/* The guest's memory at address, or NULL if the range is not RAM. */
static uint8_t *at(const qemu_link *qemu, uint32_t address, uint32_t size) {
    uint32_t offset = address - RAM_BASE;
    return offset <= RAM_BYTES && size <= RAM_BYTES - offset ? qemu->ram + offset : NULL;
}

static uint32_t *word_at(const qemu_link *qemu, uint32_t address) {
    return (uint32_t *)(void *)at(qemu, address, 4);
}

/* --------------------------------------------------------------------------------- process */

static bt_status lost(qemu_link *qemu) {
    const bt_virt_report *report =
        qemu->status_address != 0
            ? (const bt_virt_report *)(const void *)at(qemu, qemu->status_address, sizeof *report)
            : NULL;
    if (report != NULL && report->trapped) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The firmware on QEMU stopped: hart %u took exception %u at 0x%08x (value 0x%08x); "
                "open the device again.",
                report->trap_hart, report->trap_cause, report->trap_address, report->trap_value);
    }
    char words[MESSAGE_BYTES];
    bt_process_last_words(&qemu->process, "it", words, sizeof words);
    BT_FAIL(BT_ERROR_DEVICE, "QEMU has ended%s; open the device again.",
            words[0] != '\0' ? words : " without a message");
}

static bt_status spawn(qemu_link *qemu, int bell) {
    char smp[16], memory[128], gdb[32];
    snprintf(smp, sizeof smp, "%u", qemu->harts);
    snprintf(memory, sizeof memory,
             "memory-backend-file,id=ram0,size=%uM,mem-path=/proc/self/fd/%d,share=on",
             RAM_BYTES >> 20, CHILD_RAM);
    snprintf(gdb, sizeof gdb, "tcp:127.0.0.1:%s", qemu->gdb != NULL ? qemu->gdb : "0");
    const char *arguments[40];
    size_t count = 0;
#define ADD(text) arguments[count++] = (text)
    ADD(qemu->binary);
    ADD("-machine");
    ADD("virt,memory-backend=ram0");
    ADD("-object");
    ADD(memory);
    ADD("-cpu");
    ADD("rv32,f=off,d=off,zfinx=on,zhinx=on");
    ADD("-smp");
    ADD(smp);
    ADD("-m");
    ADD("64M");
    ADD("-bios");
    ADD("none");
    ADD("-display");
    ADD("none");
    ADD("-nodefaults");
    ADD("-no-user-config");
    ADD("-chardev");
    ADD("socket,id=bell,fd=4");
    ADD("-serial");
    ADD("chardev:bell");
    if (qemu->icount) {
        ADD("-icount");
        ADD("shift=0");
    }
    if (qemu->gdb != NULL) {
        ADD("-gdb");
        ADD(gdb);
    }
    ADD(NULL);
#undef ADD
    const int inherited[] = {[CHILD_RAM - 3] = qemu->ram_fd, [CHILD_BELL - 3] = bell};
    return bt_process_start(&qemu->process, arguments, inherited, 2);
}

static bt_status start_process(qemu_link *qemu) {
    int bells[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bells) != 0) {
        BT_FAIL(BT_ERROR_IO, "Cannot create the sockets for QEMU: %s.", strerror(errno));
    }
    qemu->bell = bt_descriptor_raise(bells[0]);
    fcntl(qemu->bell, F_SETFL, O_NONBLOCK);
    int theirs = bt_descriptor_raise(bells[1]);
    bt_status status = spawn(qemu, theirs);
    close_descriptor(&theirs);
    return status;
}

static void stop_process(qemu_link *qemu) {
    bt_process_stop(&qemu->process);
    close_descriptor(&qemu->bell);
}

/* ------------------------------------------------------------------------------ operations */

static bt_link_state qemu_state(bt_link *link) {
    qemu_link *qemu = of(link);
    if (qemu->process.shell == 0) {
        return BT_LINK_STOPPED;
    }
    /* When QEMU ends, its end of the doorbell closes. */
    struct pollfd bell = {.fd = qemu->bell, .events = POLLIN};
    if (poll(&bell, 1, 0) > 0 && (bell.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
        return BT_LINK_LOST;
    }
    const bt_virt_report *report =
        (const bt_virt_report *)(const void *)at(qemu, qemu->status_address, sizeof *report);
    return report != NULL && report->trapped ? BT_LINK_LOST : BT_LINK_RUNNING;
}

/* Puts the firmware's segments into memory, as before every start. */
static bt_status place_firmware(qemu_link *qemu) {
    bt_elf elf;
    BT_TRY(bt_elf_open(qemu->firmware, qemu->firmware_bytes, &elf));
    for (uint32_t i = 0; i < elf.segment_count; i++) {
        bt_elf_segment segment;
        BT_TRY(bt_elf_segment_get(&elf, i, &segment));
        uint8_t *to = at(qemu, segment.address, segment.memory_bytes);
        if (segment.memory_bytes == 0) {
            continue;
        }
        if (to == NULL) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The firmware's segment at 0x%08x (%u bytes) lies outside "
                    "QEMU's memory at 0x%08x; use biotrain-virt.elf.",
                    segment.address, segment.memory_bytes, RAM_BASE);
        }
        memcpy(to, segment.data, segment.file_bytes);
        memset(to + segment.file_bytes, 0, segment.memory_bytes - segment.file_bytes);
    }
    return BT_OK;
}

static bt_status qemu_load(bt_link *link, const uint8_t *bytes, size_t size) {
    qemu_link *qemu = of(link);
    bt_elf elf;
    uint32_t symbol_bytes;
    BT_TRY(bt_elf_open(bytes, size, &elf));
    BT_TRY(bt_elf_symbol(&elf, "bt_virt_mailbox", &link->mailbox_address, &symbol_bytes));
    BT_TRY(bt_elf_symbol(&elf, "bt_virt_boot", &qemu->boot_address, &symbol_bytes));
    BT_TRY(bt_elf_symbol(&elf, "bt_virt_status", &qemu->status_address, &symbol_bytes));
    if (elf.entry != RAM_BASE || at(qemu, link->mailbox_address, sizeof(bt_mailbox)) == NULL ||
        at(qemu, qemu->boot_address, sizeof(bt_virt_boot_block)) == NULL ||
        at(qemu, qemu->status_address, sizeof(bt_virt_report)) == NULL) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The firmware starts at 0x%08x, but QEMU's virt machine starts "
                "at 0x%08x; use biotrain-virt.elf.",
                elf.entry, RAM_BASE);
    }
    uint8_t *firmware = malloc(size);
    if (firmware == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a firmware of %zu bytes.", size);
    }
    memcpy(firmware, bytes, size);
    free(qemu->firmware);
    qemu->firmware = firmware;
    qemu->firmware_bytes = size;
    return BT_OK;
}

static bt_status qemu_wait_change(bt_link *link, uint32_t address, uint32_t value,
                                  uint64_t timeout_ns);

static bt_status qemu_start(bt_link *link) {
    qemu_link *qemu = of(link);
    if (qemu->firmware == NULL || qemu->process.shell != 0) {
        BT_FAIL(BT_ERROR_STATE, "QEMU cannot start: %s.",
                qemu->firmware != NULL ? "it is running already" : "no firmware was loaded");
    }
    BT_TRY(place_firmware(qemu));
    bt_virt_boot_block *boot =
        (bt_virt_boot_block *)(void *)at(qemu, qemu->boot_address, sizeof *boot);
    boot->harts = qemu->harts;
    boot->counts_instructions = qemu->icount;
    boot->poll_ticks = 0;
    if (getrandom(&boot->generation, sizeof boot->generation, 0) < 0) {
        boot->generation = (uint32_t)now_ns();
    }
    bt_word_store(word_at(qemu, link->mailbox_address), 0);
    BT_TRY(start_process(qemu));
    uint64_t deadline = now_ns() + START_TIMEOUT_NS;
    while (bt_word_load(word_at(qemu, link->mailbox_address)) != BT_MAILBOX_MAGIC) {
        uint64_t now = now_ns();
        if (now >= deadline) {
            char words[MESSAGE_BYTES];
            bt_process_last_words(&qemu->process, "QEMU", words, sizeof words);
            bt_status status = bt_error_set(BT_ERROR_TIMEOUT,
                                            "The firmware on QEMU did not come up within %llu s%s.",
                                            START_TIMEOUT_NS / 1000000000ull, words);
            stop_process(qemu);
            return status;
        }
        bt_status status = qemu_wait_change(link, link->mailbox_address, 0, deadline - now);
        if (status != BT_OK) {
            stop_process(qemu);
            return bt_error_append(status, "Starting %s (option binary) failed.", qemu->binary);
        }
    }
    return BT_OK;
}

static bt_status qemu_stop(bt_link *link) {
    stop_process(of(link));
    return BT_OK;
}

static bt_status check_range(const qemu_link *qemu, uint32_t address, uint32_t size) {
    if (at(qemu, address, size) == NULL) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The range of %u bytes at 0x%08x is outside QEMU's memory (%u "
                "bytes at 0x%08x); the mailbox is damaged.",
                size, address, RAM_BYTES, RAM_BASE);
    }
    return BT_OK;
}

static bt_status qemu_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    qemu_link *qemu = of(link);
    BT_TRY(check_range(qemu, address, size));
    if (size == 4) {
        uint32_t word = bt_word_load(word_at(qemu, address));
        memcpy(to, &word, sizeof word);
    } else {
        memcpy(to, at(qemu, address, size), size);
    }
    return BT_OK;
}

static bt_status qemu_write(bt_link *link, uint32_t address, const void *from, uint32_t size) {
    qemu_link *qemu = of(link);
    BT_TRY(check_range(qemu, address, size));
    if (size != 4) {
        memcpy(at(qemu, address, size), from, size);
        return BT_OK;
    }
    uint32_t word;
    memcpy(&word, from, sizeof word);
    bt_word_store(word_at(qemu, address), word);
    if (address == link->mailbox_address + offsetof(bt_mailbox, sequence) && qemu->bell >= 0) {
        /* A full socket already holds rings that the guest has not heard. */
        if (send(qemu->bell, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) {
            return lost(qemu);
        }
    }
    return BT_OK;
}

static bt_status qemu_wait_change(bt_link *link, uint32_t address, uint32_t value,
                                  uint64_t timeout_ns) {
    qemu_link *qemu = of(link);
    uint64_t deadline = now_ns() + timeout_ns;
    BT_TRY(check_range(qemu, address, 4));
    for (;;) {
        char rings[64];
        ssize_t heard = recv(qemu->bell, rings, sizeof rings, MSG_DONTWAIT);
        if (bt_word_load(word_at(qemu, address)) != value) {
            return BT_OK;
        }
        if (heard == 0 || (heard < 0 && errno != EAGAIN && errno != EINTR) ||
            qemu_state(link) == BT_LINK_LOST) {
            return lost(qemu);
        }
        uint64_t now = now_ns();
        if (now >= deadline) {
            return BT_OK;
        }
        struct pollfd bell = {.fd = qemu->bell, .events = POLLIN};
        struct timespec left = {.tv_sec = (time_t)((deadline - now) / 1000000000ull),
                                .tv_nsec = (long)((deadline - now) % 1000000000ull)};
        ppoll(&bell, 1, &left, NULL);
    }
}

static void qemu_close(bt_link *link) {
    qemu_link *qemu = of(link);
    stop_process(qemu);
    if (qemu->ram != NULL) {
        munmap(qemu->ram, RAM_BYTES);
    }
    close_descriptor(&qemu->ram_fd);
    free(qemu->firmware);
    free(qemu->binary);
    free(qemu->gdb);
    free(qemu);
}

static const bt_link_operations qemu_operations = {
    .load = qemu_load,
    .start = qemu_start,
    .stop = qemu_stop,
    .read = qemu_read,
    .write = qemu_write,
    .state = qemu_state,
    .wait_change = qemu_wait_change,
    .close = qemu_close,
};

/* ------------------------------------------------------------------------------------ open */

static bt_status configure(qemu_link *qemu, const bt_uri *uri) {
    static const char *const known[] = {"binary", "firmware", "gdb", "harts", "icount", NULL};
    uint32_t gdb_port = 0;
    BT_TRY(bt_uri_check_options(uri, known));
    if (*uri->path != '\0') {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "qemu: takes options only, but \"%s\" follows it; write qemu:?harts=9.", uri->path);
    }
    qemu->harts = MAX_HARTS;
    BT_TRY(bt_uri_number(uri, "harts", 2, MAX_HARTS, &qemu->harts));
    BT_TRY(bt_uri_number(uri, "gdb", 1, 65535, &gdb_port));
    const char *icount = bt_uri_option(uri, "icount");
    if (icount != NULL && strcmp(icount, "on") != 0 && strcmp(icount, "off") != 0) {
        BT_FAIL(BT_ERROR_ARGUMENT, "icount=%s in a qemu: URI is neither on nor off.", icount);
    }
    qemu->icount = icount != NULL && strcmp(icount, "on") == 0;
    const char *binary = bt_uri_option(uri, "binary");
    const char *gdb = bt_uri_option(uri, "gdb");
    qemu->binary = strdup(binary != NULL ? binary : "qemu-system-riscv32");
    qemu->gdb = gdb != NULL ? strdup(gdb) : NULL;
    qemu->ram_fd = memfd_create("biotrain-qemu-ram", MFD_CLOEXEC);
    if (qemu->ram_fd >= 0) {
        qemu->ram_fd = bt_descriptor_raise(qemu->ram_fd);
    }
    if (qemu->binary == NULL || (gdb != NULL && qemu->gdb == NULL) || qemu->ram_fd < 0 ||
        ftruncate(qemu->ram_fd, RAM_BYTES) != 0) {
        BT_FAIL(BT_ERROR_MEMORY, "Cannot create the memory of a QEMU machine: %s.",
                strerror(errno));
    }
    void *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, qemu->ram_fd, 0);
    if (ram == MAP_FAILED) {
        BT_FAIL(BT_ERROR_MEMORY, "Cannot map the memory of a QEMU machine: %s.", strerror(errno));
    }
    qemu->ram = ram;
    BT_TRY(bt_target_find("gap9", &qemu->link.target));
    qemu->link.target.cores = qemu->harts - 1;
    return BT_OK;
}

bt_status bt_link_open_qemu(const bt_uri *uri, const bt_device_options *options, bt_link **out) {
    qemu_link *qemu = calloc(1, sizeof *qemu);
    if (qemu == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a QEMU device.");
    }
    qemu->link.operations = &qemu_operations;
    qemu->link.name = "qemu";
    qemu->link.timeout_ms = QEMU_TIMEOUT_MS;
    qemu->process = (bt_process)BT_PROCESS_NONE;
    qemu->ram_fd = qemu->bell = -1;
    strcpy(qemu->link.kernels, "rv32");
    bt_status status = configure(qemu, uri);
    if (status == BT_OK) {
        status = bt_link_load_firmware(&qemu->link, uri, options, RAM_BYTES,
                                       "qemu:?firmware=/path/to/biotrain-virt.elf");
    }
    if (status != BT_OK) {
        qemu_close(&qemu->link);
        return status;
    }
    *out = &qemu->link;
    return BT_OK;
}
