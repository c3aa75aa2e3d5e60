/* The PMSIS made of threads notices what a GAP9 would not forgive. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bsp/bsp.h"
#include "support.h"
#include "threads.h"

#define L2_BYTES 262144u
#define L1_BYTES 65536u

static struct {
    struct pi_cluster_conf conf;
    struct pi_device cluster, ram;
    struct pi_default_ram_conf ram_conf;
    struct pi_cluster_task task;
    uint32_t ram_base;
    uint8_t *l1, *l2, *stacks;
    pi_evt_t event;
    pi_cl_dma_cmd_t command;
    pi_cl_ram_req_t request;
} g;

static uint32_t at(const void *place) { return (uint32_t)(uintptr_t)place; }

/* A machine ready for use, as a correct firmware makes it. */
static void open_all(void) {
    pi_cluster_conf_init(&g.conf);
    pi_open_from_conf(&g.cluster, &g.conf);
    pi_default_ram_conf_init(&g.ram_conf);
    pi_open_from_conf(&g.ram, &g.ram_conf);
    g.l2 = pi_l2_malloc((int32_t)L2_BYTES);
    if (pi_cluster_open(&g.cluster) != 0 || pi_ram_open(&g.ram) != 0 ||
        pi_ram_alloc(&g.ram, &g.ram_base, L2_BYTES) != 0 || g.l2 == NULL) {
        _exit(1);
    }
    g.l1 = pi_cl_l1_malloc(&g.cluster, L1_BYTES);
    g.stacks = pi_cl_l1_malloc(&g.cluster, 8 * 1024);
}

/* Runs on the cluster's controller. */
static void on_cluster(void (*entry)(void *)) {
    pi_cluster_task(&g.task, entry, NULL);
    pi_cluster_task_stacks(&g.task, g.stacks, 1024);
    pi_cluster_send_task_to_cl(&g.cluster, &g.task);
}

/* ------------------------------------------------------------------------------ what works */

static uint32_t seen[8];

static void note_core(void *unused) {
    (void)unused;
    g.l1[pi_core_id()] = (uint8_t)(10 + pi_core_id());
    pi_cl_team_barrier();
    seen[pi_core_id()] = g.l1[(pi_core_id() + 1) % 8];
}

static void use_everything(void *unused) {
    pi_cl_dma_cmd_t other;
    pi_cl_team_fork(8, note_core, unused);
    /* Rows of 4 bytes, 8 apart, from L2 to L1; back as one piece. */
    pi_cl_dma_cmd_2d(at(g.l2), at(g.l1), 16, 8, 4, PI_CL_DMA_DIR_EXT2LOC, &g.command);
    pi_cl_dma_cmd_wait(&g.command);
    pi_cl_dma_cmd(at(g.l2 + 1024), at(g.l1), 16, PI_CL_DMA_DIR_LOC2EXT, &other);
    pi_cl_dma_cmd_wait(&other);
    pi_cl_ram_copy_2d(&g.ram, g.ram_base, g.l2 + 1024, 16, 100, 8, 0, &g.request);
    pi_cl_ram_copy_wait(&g.request);
}

static int correct_use(void) {
    open_all();
    for (uint8_t i = 0; i < 64; i++) {
        g.l2[i] = i;
    }
    on_cluster(use_everything);
    for (uint32_t i = 0; i < 8; i++) {
        if (seen[i] != 10 + (i + 1) % 8) {
            return 1;
        }
    }
    static const uint8_t expected[16] = {0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27};
    pi_evt_sig_init(&g.event);
    memset(g.l2, 0, 8);
    pi_ram_read_async(&g.ram, g.ram_base + 100, g.l2, 8, &g.event);
    bool early = g.l2[0] != 0; /* the bytes come with the wait */
    pi_evt_wait(&g.event);
    return memcmp(g.l2 + 1024, expected, 16) != 0 || memcmp(g.l2, expected + 8, 8) != 0 || early;
}

/* --------------------------------------------------------------------------------- misuse */

static void dma_of_128_kib(void *unused) {
    (void)unused;
    pi_cl_dma_cmd(at(g.l2), at(g.l1), 131072, PI_CL_DMA_DIR_EXT2LOC, &g.command);
}

static void dma_beyond_l1(void *unused) {
    (void)unused;
    pi_cl_dma_cmd(at(g.l2), at(g.l1) + L1_BYTES - 4, 4096 * 4, PI_CL_DMA_DIR_EXT2LOC, &g.command);
}

static void dma_rows_beyond_l2(void *unused) {
    (void)unused;
    pi_cl_dma_cmd_2d(at(g.l2), at(g.l1), 64, 60000, 4, PI_CL_DMA_DIR_EXT2LOC, &g.command);
}

static void dma_command_reused(void *unused) {
    (void)unused;
    pi_cl_dma_cmd(at(g.l2), at(g.l1), 16, PI_CL_DMA_DIR_EXT2LOC, &g.command);
    pi_cl_dma_cmd(at(g.l2), at(g.l1), 16, PI_CL_DMA_DIR_EXT2LOC, &g.command);
}

static void dma_not_waited_for(void *unused) {
    (void)unused;
    pi_cl_dma_cmd(at(g.l2), at(g.l1), 16, PI_CL_DMA_DIR_EXT2LOC, &g.command);
}

static void ram_into_l1_from_cluster(void *unused) {
    (void)unused;
    pi_cl_ram_copy_2d(&g.ram, g.ram_base, g.l1, 16, 16, 16, 1, &g.request);
}

static void ram_not_waited_for(void *unused) {
    (void)unused;
    pi_cl_ram_copy_2d(&g.ram, g.ram_base, g.l2, 16, 16, 16, 1, &g.request);
}

static void barrier_on_controller(void *unused) {
    (void)unused;
    pi_cl_team_barrier();
}

static void fork_on_worker(void *unused) { pi_cl_team_fork(2, barrier_on_controller, unused); }

static void nested_fork(void *unused) { pi_cl_team_fork(2, fork_on_worker, unused); }

static void fork_to_nine(void *unused) { pi_cl_team_fork(9, barrier_on_controller, unused); }

static void write_behind_stacks(void *unused) {
    (void)unused;
    memset(g.stacks + 8 * 1024, 0, 4);
}

static void (*cluster_misuse)(void *);

static int on_cluster_main(void) {
    open_all();
    on_cluster(cluster_misuse);
    return 0;
}

static int ram_into_l1(void) {
    open_all();
    pi_evt_sig_init(&g.event);
    pi_ram_read_async(&g.ram, g.ram_base, g.l1, 16, &g.event);
    return 0;
}

static int ram_not_allocated(void) {
    open_all();
    pi_ram_write(&g.ram, g.ram_base + L2_BYTES - 4, g.l2, 8);
    return 0;
}

static int ram_address_as_pointer(void) {
    open_all();
    pi_ram_write(&g.ram, 64, g.l2, 8);
    return 0;
}

static int ram_half_words(void) {
    open_all();
    pi_ram_write(&g.ram, g.ram_base + 2, g.l2, 6);
    return 0;
}

static int event_not_prepared(void) {
    open_all();
    pi_ram_read_async(&g.ram, g.ram_base, g.l2, 16, &g.event);
    return 0;
}

static int event_without_copy(void) {
    open_all();
    pi_evt_wait(pi_evt_sig_init(&g.event));
    return 0;
}

static int l1_before_opening(void) {
    pi_cl_l1_malloc(&g.cluster, 16);
    return 0;
}

static int dma_on_fabric(void) {
    open_all();
    pi_cl_dma_cmd(at(g.l2), at(g.l1), 16, PI_CL_DMA_DIR_EXT2LOC, &g.command);
    return 0;
}

static int stacks_in_l2(void) {
    open_all();
    g.stacks = g.l2;
    on_cluster(barrier_on_controller);
    return 0;
}

/* ------------------------------------------------------------------------------------- tests */

/* Exit status of a machine in a process of its own, and the first line it wrote to stderr. */
static int run_machine(int (*firmware)(void), char *message, size_t size) {
    int messages[2], status = -1;
    fflush(stdout);
    if (pipe(messages) != 0) {
        return -1;
    }
    pid_t machine = fork();
    if (machine == 0) {
        dup2(messages[1], STDERR_FILENO);
        _exit(pmsis_threads_run(8, PMSIS_THREADS_RAM_BYTES, firmware));
    }
    close(messages[1]);
    size_t length = 0;
    for (ssize_t more = 1; more > 0; length += (size_t)(more > 0 ? more : 0)) {
        more = read(messages[0], message + length, size - 1 - length);
    }
    message[length] = '\0';
    message[strcspn(message, "\n")] = '\0';
    close(messages[0]);
    waitpid(machine, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void correct_use_works(void) {
    char message[512];
    int status = run_machine(correct_use, message, sizeof message);
    CHECK(status == 0, "status %d: %s", status, message);
}

static void check_noticed(const char *what, int (*firmware)(void), const char *expected) {
    char message[512];
    int status = run_machine(firmware, message, sizeof message);
    CHECK(status == PMSIS_THREADS_VIOLATION && strstr(message, expected) != NULL,
          "%s: status %d: %s", what, status, message);
}

static void misuse_on_the_cluster_is_noticed(void) {
    static const struct {
        const char *what;
        void (*entry)(void *);
        const char *message;
    } cases[] = {
        {"DMA of 128 KiB", dma_of_128_kib, "131072 bytes"},
        {"DMA beyond L1", dma_beyond_l1, "L1 side"},
        {"DMA rows beyond L2", dma_rows_beyond_l2, "not in L2"},
        {"DMA command reused", dma_command_reused, "under way"},
        {"DMA not waited for", dma_not_waited_for, "task ended with a DMA command"},
        {"RAM into L1", ram_into_l1_from_cluster, "not in L2"},
        {"RAM not waited for", ram_not_waited_for, "task ended with a copy"},
        {"barrier outside a fork", barrier_on_controller, "outside a fork"},
        {"fork on a worker", nested_fork, "only the cluster's controller forks"},
        {"fork to nine", fork_to_nine, "9 cores"},
        {"write behind a chunk", write_behind_stacks, "wrote behind chunk"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cluster_misuse = cases[i].entry;
        check_noticed(cases[i].what, on_cluster_main, cases[i].message);
    }
}

static void misuse_on_the_fabric_controller_is_noticed(void) {
    static const struct {
        const char *what;
        int (*firmware)(void);
        const char *message;
    } cases[] = {
        {"RAM into L1", ram_into_l1, "not in L2"},
        {"RAM not allocated", ram_not_allocated, "not allocated"},
        {"RAM address as a pointer", ram_address_as_pointer, "not allocated"},
        {"RAM in half words", ram_half_words, "whole words"},
        {"event not prepared", event_not_prepared, "pi_evt_sig_init"},
        {"event without a copy", event_without_copy, "for nothing"},
        {"L1 before opening", l1_before_opening, "not open"},
        {"DMA on the fabric controller", dma_on_fabric, "for the cluster"},
        {"stacks in L2", stacks_in_l2, "not memory of L1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_noticed(cases[i].what, cases[i].firmware, cases[i].message);
    }
}

/* The values that the chip's own code accepts. */
static int clocks(void) {
    static const uint32_t millivolts[] = {800, 750, 700, 650};
    static const uint32_t hertz[] = {370000000, 325000000, 280000000, 240000000};
    for (uint32_t i = 0; i < 4; i++) {
        if (pi_freq_set(PI_FREQ_DOMAIN_FC, 50000000) != 0 ||
            pi_pmu_voltage_set(PI_PMU_VOLTAGE_DOMAIN_CHIP, millivolts[i]) != 0 ||
            pi_freq_set(PI_FREQ_DOMAIN_FC, hertz[i] + 1) == 0 ||
            pi_freq_set(PI_FREQ_DOMAIN_FC, hertz[i]) != 0 ||
            pi_freq_get(PI_FREQ_DOMAIN_FC) != hertz[i]) {
            return 1;
        }
    }
    return pi_pmu_voltage_set(PI_PMU_VOLTAGE_DOMAIN_CHIP, 600) == 0 ||
           pi_pmu_voltage_set(PI_PMU_VOLTAGE_DOMAIN_CHIP, 800) != 0 ||
           pi_freq_set(PI_FREQ_DOMAIN_FC, 370000000) != 0 ||
           pi_pmu_voltage_set(PI_PMU_VOLTAGE_DOMAIN_CHIP, 650) == 0;
}

static void clocks_follow_the_voltage(void) {
    char message[512];
    int status = run_machine(clocks, message, sizeof message);
    CHECK(status == 0, "status %d: %s", status, message);
}

int main(void) {
    RUN(correct_use_works);
    RUN(misuse_on_the_cluster_is_noticed);
    RUN(misuse_on_the_fabric_controller_is_noticed);
    RUN(clocks_follow_the_voltage);
    return REPORT();
}
