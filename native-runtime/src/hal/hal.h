/*
 * What the device's code needs from a platform. A back-end fills one bt_hal; only src/hal and
 * firmware/hal know a platform.
 *
 * Shared with the device: C99, no libc.
 */
#ifndef BT_HAL_H
#define BT_HAL_H

#include "interp/interp.h"

/* Runs on every core of the cluster at once. */
typedef void (*bt_core_fn)(void *argument, const bt_team *team);

typedef struct bt_hal {
    void *context;
    uint32_t cores;
    const bt_kernel_fn *kernels;
    uint8_t
        *arena[BT_LEVEL_COUNT]; /* of programs; arena[BT_LEVEL_L3] is NULL where L3 is not mapped */
    uint32_t arena_bytes[BT_LEVEL_COUNT];
    /* Runs fn on all cores and returns when the last one has. Caller: the fabric controller. */
    void (*run_on_cores)(void *context, bt_core_fn fn, void *argument);
    /*
     * The cluster's DMA between L1 and L2 or L3, called by the team's first core while a job runs.
     * dma_start begins one transfer, after all writes of the cluster before it; there may be any
     * number under way, in any order. dma_wait returns when all of them are done. A platform whose
     * DMA does not reach L3 from L1 goes through a buffer of its own in L2.
     */
    void (*dma_start)(void *context, const bt_dma *transfer);
    void (*dma_wait)(void *context);
    /*
     * DMA from external memory (L3, byte offset) into L2: l3_start begins one transfer, l3_wait
     * returns when it is done. One at a time.
     */
    void (*l3_start)(void *context, uint32_t offset, void *to, uint32_t bytes);
    void (*l3_wait)(void *context);
    /* Copies from L2 into external memory; returns when done. */
    void (*l3_write)(void *context, uint32_t offset, const void *from, uint32_t bytes);
    /* Free-running counter of core cycles; 0 where there is none. */
    uint64_t (*cycles)(void *context);
    /* Orders earlier writes before later ones, as seen by the host. */
    void (*fence)(void *context);
    /* Sleeps until the host may have posted a command; may return early. */
    void (*idle)(void *context);
    /* Tells a host that may sleep that the mailbox has changed. */
    void (*notify)(void *context);
    /*
     * Starts (profile) or ends (NULL) counting machine instructions into *profile; while it counts,
     * cores may work one after the other. NULL: this platform cannot count.
     */
    void (*set_profile)(void *context, bt_profile *profile);
} bt_hal;

static inline void bt_l3_read(const bt_hal *hal, uint32_t offset, void *to, uint32_t bytes) {
    hal->l3_start(hal->context, offset, to, bytes);
    hal->l3_wait(hal->context);
}

#endif
