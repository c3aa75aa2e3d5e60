/*
 * A link to the GAP9 firmware on a PMSIS made of threads. The link is the debugger: it starts the
 * machine as a process, and reads and writes its memory at 32-bit addresses while it runs, as JTAG
 * does with the chip's L2. Includers define _GNU_SOURCE.
 */
#ifndef BT_TEST_GAP9_LINK_H
#define BT_TEST_GAP9_LINK_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "link/link.h"
#include "networks.h"
#include "threads.h"

typedef struct gap9_link {
    bt_link link;
    const char *machine;
    uint32_t workers;
    uint32_t ram_bytes;
    pid_t process; /* 0: not started */
    uint32_t status_address;
    uint32_t debug_address; /* of __rt_debug_struct_ptr */
} gap9_link;

static inline bt_link_state gap9_state(bt_link *link) {
    gap9_link *gap9 = (gap9_link *)link;
    siginfo_t ended = {.si_pid = 0};
    if (gap9->process == 0) {
        return BT_LINK_STOPPED;
    }
    waitid(P_PID, (id_t)gap9->process, &ended, WEXITED | WNOHANG | WNOWAIT);
    return ended.si_pid == 0 ? BT_LINK_RUNNING : BT_LINK_LOST;
}

static inline bt_status gap9_stop(bt_link *link) {
    gap9_link *gap9 = (gap9_link *)link;
    if (gap9->process != 0) {
        kill(gap9->process, SIGKILL);
        waitpid(gap9->process, NULL, 0);
        gap9->process = 0;
    }
    return BT_OK;
}

static inline bt_status gap9_start(bt_link *link) {
    gap9_link *gap9 = (gap9_link *)link;
    int output[2];
    char workers[16], ram_bytes[16], line[64] = "";
    snprintf(workers, sizeof workers, "%u", gap9->workers);
    snprintf(ram_bytes, sizeof ram_bytes, "%u", gap9->ram_bytes);
    if (pipe2(output, O_CLOEXEC) != 0) {
        BT_FAIL(BT_ERROR_IO, "pipe: %s.", strerror(errno));
    }
    gap9->process = fork();
    if (gap9->process == 0) {
        dup2(output[1], STDOUT_FILENO);
        execl(gap9->machine, gap9->machine, workers, ram_bytes, (char *)NULL);
        _exit(127);
    }
    close(output[1]);
    ssize_t length = read(output[0], line, sizeof line - 1);
    close(output[0]);
    if (length <= 0 || sscanf(line, "%u %u %u", &link->mailbox_address, &gap9->status_address,
                              &gap9->debug_address) != 3) {
        gap9_stop(link);
        BT_FAIL(BT_ERROR_DEVICE, "%s said \"%s\" instead of its addresses.", gap9->machine, line);
    }
    return BT_OK;
}

/* Copies size bytes of the process's memory in one of the directions. */
static inline bt_status access_memory(bt_link *link, uint32_t address, void *local, uint32_t size,
                                      bool write) {
    pid_t process = ((gap9_link *)link)->process;
    struct iovec here = {local, size};
    struct iovec there = {(void *)(uintptr_t)address, size};
    ssize_t done = write ? process_vm_writev(process, &here, 1, &there, 1, 0)
                         : process_vm_readv(process, &here, 1, &there, 1, 0);
    if (done != (ssize_t)size) {
        BT_FAIL(BT_ERROR_DEVICE, "The device did not %s %u bytes at 0x%08X: %s.",
                write ? "take" : "give", size, address, strerror(errno));
    }
    return BT_OK;
}

static inline bt_status gap9_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    return access_memory(link, address, to, size, false);
}

static inline bt_status gap9_write(bt_link *link, uint32_t address, const void *from,
                                   uint32_t size) {
    return access_memory(link, address, (void *)(uintptr_t)from, size, true);
}

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline bt_status gap9_wait_change(bt_link *link, uint32_t address, uint32_t value,
                                         uint64_t timeout_ns) {
    uint64_t deadline = now_ns() + timeout_ns;
    uint32_t word = value;
    BT_TRY(gap9_read(link, address, &word, sizeof word));
    while (word == value && now_ns() < deadline) {
        if (gap9_state(link) == BT_LINK_LOST) {
            BT_FAIL(BT_ERROR_DEVICE, "The device's process has ended.");
        }
        usleep(100);
        BT_TRY(gap9_read(link, address, &word, sizeof word));
    }
    return BT_OK;
}

static inline void gap9_close(bt_link *link) {
    gap9_stop(link);
    free(link);
}

static const bt_link_operations gap9_operations = {
    .start = gap9_start,
    .stop = gap9_stop,
    .read = gap9_read,
    .write = gap9_write,
    .state = gap9_state,
    .wait_change = gap9_wait_change,
    .close = gap9_close,
};

/* machine: path of biotrain-gap9-threads, which outlives the link. */
static inline bt_link *gap9_link_open(const char *machine, uint32_t workers) {
    gap9_link *gap9 = calloc(1, sizeof *gap9);
    gap9->machine = machine;
    gap9->workers = workers;
    gap9->ram_bytes = PMSIS_THREADS_RAM_BYTES;
    gap9->link.operations = &gap9_operations;
    gap9->link.name = "gap9";
    gap9->link.timeout_ms = 30000;
    gap9->link.target = target_named("gap9");
    return &gap9->link;
}

#endif
