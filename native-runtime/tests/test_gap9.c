/*
 * The GAP9 firmware on a PMSIS made of threads, in a process of its own: the same bits as sim:, and
 * what happens when something breaks. The test is the debugger: it starts the process, and reads
 * and writes its memory at 32-bit addresses while it runs, as JTAG does with the chip's L2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "device_suite.h"
#include "hal/gap9/gap9.h"
#include "threads.h"

/* ---------------------------------------------------------------------------------------- link */

typedef struct gap9_link {
    bt_link link;
    uint32_t workers;
    pid_t process; /* 0: not started */
    uint32_t status_address;
    uint32_t debug_address; /* of __rt_debug_struct_ptr */
} gap9_link;

static bt_link_state gap9_state(bt_link *link) {
    gap9_link *gap9 = (gap9_link *)link;
    siginfo_t ended = {.si_pid = 0};
    if (gap9->process == 0) {
        return BT_LINK_STOPPED;
    }
    waitid(P_PID, (id_t)gap9->process, &ended, WEXITED | WNOHANG | WNOWAIT);
    return ended.si_pid == 0 ? BT_LINK_RUNNING : BT_LINK_LOST;
}

static bt_status gap9_stop(bt_link *link) {
    gap9_link *gap9 = (gap9_link *)link;
    if (gap9->process != 0) {
        kill(gap9->process, SIGKILL);
        waitpid(gap9->process, NULL, 0);
        gap9->process = 0;
    }
    return BT_OK;
}

static bt_status gap9_start(bt_link *link) {
    gap9_link *gap9 = (gap9_link *)link;
    int output[2];
    char workers[16], line[64] = "";
    snprintf(workers, sizeof workers, "%u", gap9->workers);
    if (pipe2(output, O_CLOEXEC) != 0) {
        BT_FAIL(BT_ERROR_IO, "pipe: %s.", strerror(errno));
    }
    gap9->process = fork();
    if (gap9->process == 0) {
        dup2(output[1], STDOUT_FILENO);
        execl(BT_GAP9_THREADS, BT_GAP9_THREADS, workers, (char *)NULL);
        _exit(127);
    }
    close(output[1]);
    ssize_t length = read(output[0], line, sizeof line - 1);
    close(output[0]);
    if (length <= 0 || sscanf(line, "%u %u %u", &link->mailbox_address, &gap9->status_address,
                              &gap9->debug_address) != 3) {
        gap9_stop(link);
        BT_FAIL(BT_ERROR_DEVICE, "%s said \"%s\" instead of its addresses.", BT_GAP9_THREADS, line);
    }
    return BT_OK;
}

/* Copies size bytes of the process's memory in one of the directions. */
static bt_status access_memory(bt_link *link, uint32_t address, void *local, uint32_t size,
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

static bt_status gap9_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    return access_memory(link, address, to, size, false);
}

static bt_status gap9_write(bt_link *link, uint32_t address, const void *from, uint32_t size) {
    return access_memory(link, address, (void *)(uintptr_t)from, size, true);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bt_status gap9_wait_change(bt_link *link, uint32_t address, uint32_t value,
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

static void gap9_close(bt_link *link) {
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

static bt_link *open_link(uint32_t workers) {
    gap9_link *gap9 = calloc(1, sizeof *gap9);
    gap9->workers = workers;
    gap9->link.operations = &gap9_operations;
    gap9->link.name = "gap9";
    gap9->link.timeout_ms = 30000;
    gap9->link.target = target_named("gap9");
    return &gap9->link;
}

/* --------------------------------------------------------------------------------------- tests */

static void the_start_is_reported(void) {
    bt_program *program = epidenet_program();
    bt_device *device = open_device(8, 0);
    gap9_link *gap9 = (gap9_link *)device->link;
    bt_gap9_report report;
    uint64_t published;
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    require(train(session, 1, 8), "bt_session_train");
    require(gap9_read(device->link, gap9->status_address, &report, sizeof report), "report");
    CHECK(report.stage == BT_GAP9_SERVING && report.error == 0, "stage %u, error %d", report.stage,
          report.error);
    CHECK(report.clock_error == 0 && report.fc_hz == 370000000u && report.cluster_hz == 370000000u,
          "error %d, %u and %u Hz", report.clock_error, report.fc_hz, report.cluster_hz);
    CHECK(report.workers == 8, "%u workers", report.workers);
    for (uint32_t i = 0; i < BT_GAP9_MAX_WORKERS; i++) {
        CHECK(report.worker_stack[i] == PMSIS_THREADS_FRAME_BYTES, "worker %u used %u bytes", i,
              report.worker_stack[i]);
    }
    require(gap9_read(device->link, gap9->debug_address, &published, sizeof published), "pointer");
    CHECK(published == device->link->mailbox_address, "published 0x%llx, mailbox 0x%x",
          (unsigned long long)published, device->link->mailbox_address);
    CHECK(device->info.l1_bytes == BT_GAP9_L1_ARENA_BYTES &&
              device->info.l2_bytes == BT_GAP9_L2_ARENA_BYTES &&
              device->info.l3_bytes == BT_GAP9_L3_BYTES,
          "arenas of %u, %u and %u bytes", device->info.l1_bytes, device->info.l2_bytes,
          device->info.l3_bytes);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
}

typedef struct killer {
    pid_t victim;
    int signal;
} killer;

static void *kill_later(void *argument) {
    const killer *k = argument;
    usleep(200000);
    kill(k->victim, k->signal);
    return NULL;
}

/* Signals the device's process in the middle of a command, and says how the command ended. */
static bt_status train_and_signal(int signal, uint32_t timeout_ms) {
    bt_program *program = epidenet_program();
    bt_device *device = open_device(8, timeout_ms);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    killer k = {((gap9_link *)device->link)->process, signal};
    pthread_t thread;
    pthread_create(&thread, NULL, kill_later, &k);
    bt_status status = train(session, 5000, 8);
    pthread_join(thread, NULL);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
    return status;
}

static void a_device_that_ends_ends_the_step_with_an_error(void) {
    bt_status status = train_and_signal(SIGKILL, 0);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "process has ended") != NULL ||
              strstr(bt_error_message(0), "did not give") != NULL,
          "%s", bt_error_message(0));
}

static void a_device_that_stalls_runs_into_the_deadline(void) {
    bt_status status = train_and_signal(SIGSTOP, 1000);
    CHECK(status == BT_ERROR_TIMEOUT, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "last reported state") != NULL, "%s", bt_error_message(0));
}

int main(void) {
    RUN(the_start_is_reported);
    RUN(every_scheme_gives_the_bits_of_sim);
    RUN(every_optimizer_gives_the_bits_of_sim);
    RUN(a_larger_network_gives_the_bits_of_sim);
    RUN(a_device_that_ends_ends_the_step_with_an_error);
    RUN(a_device_that_stalls_runs_into_the_deadline);
    RUN(a_long_command_can_be_aborted);
    RUN(another_host_takes_over_a_busy_device);
    RUN(a_restarted_firmware_is_noticed);
    RUN(flipped_bits_are_noticed);
    RUN(flipped_bits_in_the_mailbox_do_no_harm);
    RUN(the_firmware_refuses_a_damaged_program);
    RUN(a_firmware_of_another_protocol_is_refused);
    return REPORT();
}
