/*
 * The part of PMSIS that hal/gap9 calls, declared by us, so that the firmware compiles where the
 * GAP SDK, whose licence keeps it out of this repository, is not at hand. Two users: the RV32
 * compile check, and the host, where pmsis/threads.c implements these calls. A firmware for a board
 * is built with the SDK's own headers and never sees this file.
 *
 * Source of the shapes, named at each group:
 *   [elf]   debug information and code of GreenWaves' GAP9 program test_elf/mobilenet (repository
 *           GreenWaves-Technologies/gap_utils), built with an SDK of version 5.18's class
 *   [api]   the public headers of GreenWaves-Technologies/gap_sdk, rtos/pmsis (version 4.22)
 *   [use]   calls as pulp-platform/Deeploy makes them with SDK 5.21
 * Only names, types and order of parameters are taken over; a structure has at least the members
 * that we touch, in no particular layout.
 */
#ifndef PMSIS_H
#define PMSIS_H

#include <stdint.h>

#define PI_L2 __attribute__((section(".l2_data"))) /* [api] */

/* ------------------------------------------------------------------------------------ devices */

/* [elf] */
typedef struct pi_device {
    void *api;
    void *config;
    void *data;
} pi_device_t;

/* [elf] conf must live as long as the device. */
void pi_open_from_conf(pi_device_t *device, void *conf);

/* ------------------------------------------------------------------------------ clock and power */

/* [elf] */
typedef enum pi_freq_domain {
    PI_FREQ_DOMAIN_PERIPH = 0,
    PI_FREQ_DOMAIN_FC = 1,
    PI_FREQ_DOMAIN_CL = 2,
    PI_FREQ_DOMAIN_SFU = 3
} pi_freq_domain_e;
typedef enum pi_pmu_voltage_domain { PI_PMU_VOLTAGE_DOMAIN_CHIP = 0 } pi_pmu_voltage_domain_e;

/* [elf] 0, or negative: the frequency (Hz) is too high for the voltage. */
int32_t pi_freq_set(pi_freq_domain_e domain, uint32_t frequency);
uint32_t pi_freq_get(pi_freq_domain_e domain);
/* [elf] 650, 700, 750 or 800 mV; negative: another value, or a domain runs too fast for it. */
int32_t pi_pmu_voltage_set(pi_pmu_voltage_domain_e domain, uint32_t millivolts);
/* [elf] */
void pi_time_wait_us(uint32_t microseconds);
uint64_t pi_time_get_us(void);

/* ------------------------------------------------------------------------------------- events */

/* [elf] 88 bytes on GAP9 */
typedef struct pi_evt {
    struct pi_evt *next;
    uintptr_t arg[4];
    uint32_t data[9];
} pi_evt_t;

/* [elf] */
pi_evt_t *pi_evt_sig_init(pi_evt_t *event);
void pi_evt_wait(pi_evt_t *event);

/* ------------------------------------------------------------------------------------- memory */

/* [elf] NULL if there is not enough. */
void *pi_l2_malloc(int32_t size);
/* [elf] For an open cluster; NULL if there is not enough. */
void *pi_cl_l1_malloc(pi_device_t *cluster, uint32_t size);

/* --------------------------------------------------------------- cluster, fabric controller's side
 */

/* [elf] */
struct pi_cluster_conf {
    int id;
    uint32_t cc_stack_size; /* of the cluster controller; taken from L1 at opening */
    uint32_t scratch_size;
    uint32_t icache_conf;
};

/* [elf] Members beyond these are the driver's. */
typedef struct pi_cluster_task {
    void (*entry)(void *argument); /* on the cluster controller */
    void *arg;
    void *stacks; /* nb_cores * slave_stack_size; NULL: the driver allocates them */
    uint32_t slave_stack_size;
    int nb_cores; /* workers */
} pi_cluster_task_t;

/* [elf] */
void pi_cluster_conf_init(struct pi_cluster_conf *conf);
int32_t pi_cluster_open(pi_device_t *cluster);
struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task, void (*entry)(void *argument),
                                        void *argument);
/* [elf] stack_size: bytes of one worker's stack. */
struct pi_cluster_task *pi_cluster_task_stacks(struct pi_cluster_task *task, void *stacks,
                                               int stack_size);
/* [elf] Returns when the task is done; not 0: it did not run. */
int pi_cluster_send_task_to_cl(pi_device_t *cluster, struct pi_cluster_task *task);

/* ------------------------------------------------------------------------------ cluster's side */

/* [api] [use] */
void pi_cl_team_fork(int cores, void (*entry)(void *argument), void *argument);
void pi_cl_team_barrier(void);
/* [elf] Workers are 0 … 7, the cluster controller is 8. */
uint32_t pi_core_id(void);

/* [elf] */
typedef enum { PI_CL_DMA_DIR_LOC2EXT = 0, PI_CL_DMA_DIR_EXT2LOC = 1 } pi_cl_dma_dir_e;

/* [elf] 32 bytes on GAP9; alive and untouched until the command was waited for. */
typedef struct pi_cl_dma_cmd_s {
    uint32_t tid;
    uint32_t size;
    uint32_t stride;
    uint32_t length;
    uint32_t loc;
    uint32_t ext;
} pi_cl_dma_cmd_t;

/* [elf] Between L2 (ext) and L1 (loc); size below 128 KiB: the engine counts with 17 bits. */
void pi_cl_dma_cmd(uint32_t ext, uint32_t loc, uint32_t size, pi_cl_dma_dir_e direction,
                   pi_cl_dma_cmd_t *command);
/* [elf] size bytes in all, in pieces of length bytes that lie stride bytes apart in ext. */
void pi_cl_dma_cmd_2d(uint32_t ext, uint32_t loc, uint32_t size, uint32_t stride, uint32_t length,
                      pi_cl_dma_dir_e direction, pi_cl_dma_cmd_t *command);
/* [elf] */
void pi_cl_dma_cmd_wait(pi_cl_dma_cmd_t *command);

#endif
