/*
 * The host as a device: threads are cores, arenas have the target's sizes and lie between guard
 * words.
 */
#ifndef BT_HOST_H
#define BT_HOST_H

#include "biotrain/biotrain.h"
#include "hal/hal.h"

typedef struct bt_host bt_host;

/* Cores 1 … cores-1 are threads, core 0 is whoever calls run_on_cores. */
bt_status bt_host_create(const bt_target *target, uint32_t cores, bt_host **out);
/* NULL is allowed. */
void bt_host_free(bt_host *host);

bt_hal bt_host_hal(bt_host *host);

/* Ends the device's idle, as an interrupt would. */
void bt_host_ring(bt_host *host);

/* Waits until *word differs from value, which the device tells by notify, or the time is over. */
void bt_host_wait_change(bt_host *host, const uint32_t *word, uint32_t value, uint64_t timeout_ns);

/* Name of the kernel set in use: "baseline", "avx2" or "avx512". */
const char *bt_host_kernels(const bt_host *host);

/* Name of an arena that was written outside its bounds ("L2"), or NULL. */
const char *bt_host_damage(const bt_host *host);

#endif
