/*
 * The part of the SDK's board support that hal/gap9 calls: external memory. See pmsis.h for the
 * sources.
 */
#ifndef PMSIS_BSP_H
#define PMSIS_BSP_H

#include "pmsis.h"

/* [use] A macro of the board in the SDK; its members are the driver's. */
struct pi_default_ram_conf {
    int spi_itf;
    int spi_cs;
    int ram_start;
    int ram_size;
};

/* [api] [use] */
void pi_default_ram_conf_init(struct pi_default_ram_conf *conf);
int32_t pi_ram_open(struct pi_device *device);
/* [api] [use] 0, or negative: there is not enough. */
int pi_ram_alloc(struct pi_device *device, uint32_t *address, uint32_t size);

/* [elf] Fabric controller; data lies in L2: the micro-DMA reaches nothing else. */
void pi_ram_write(struct pi_device *device, uint32_t address, void *data, uint32_t size);
void pi_ram_read_async(struct pi_device *device, uint32_t address, void *data, uint32_t size,
                       pi_evt_t *event);

/* [api] [use] Cluster: the fabric controller does it on the cluster's behalf; data lies in L2. */
typedef struct pi_cl_ram_req_s {
    struct pi_device *device;
    void *addr;
    uint32_t pi_ram_addr;
    uint32_t size;
    uint32_t stride;
    uint32_t length;
    uint8_t ext2loc;
} pi_cl_ram_req_t;
/* size bytes in all, in pieces of length bytes that lie stride bytes apart in the RAM. */
void pi_cl_ram_copy_2d(struct pi_device *device, uint32_t address, void *data, uint32_t size,
                       uint32_t stride, uint32_t length, int ext2loc, pi_cl_ram_req_t *request);
void pi_cl_ram_copy_wait(pi_cl_ram_req_t *request);

#endif
