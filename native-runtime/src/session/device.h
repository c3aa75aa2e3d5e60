/*
 * A device and the commands it serves: posting, waiting with a deadline, chunked transfers.
 */
#ifndef BT_DEVICE_H
#define BT_DEVICE_H

#include "link/link.h"
#include "link/mailbox.h"

#include <stdbool.h>

struct bt_device {
    bt_link *link;
    bt_device_options options;
    bt_device_info info;
    bt_mailbox mailbox;    /* as last read */
    uint32_t generation;   /* as last read: not that of the mailbox after a restart */
    uint32_t sequence;     /* of the last command posted */
    uint32_t command;      /* what it was */
    uint32_t records_read; /* of those the device ever wrote */
    bool in_flight;        /* the last command has not been seen to complete */
    bt_session *session;
    uint64_t bytes_to_device;
    uint64_t bytes_from_device;
    uint64_t link_nanoseconds;
};

/* Makes a device of an open link, which it then owns, also on failure. */
bt_status bt_device_open_link(bt_link *link, const bt_device_options *options, bt_device **out);

void bt_device_log(const bt_device *device, bt_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Transfers, counted for the statistics. */
bt_status bt_device_read(bt_device *device, uint32_t address, void *to, uint32_t bytes);
bt_status bt_device_write(bt_device *device, uint32_t address, const void *from, uint32_t bytes);
/* Several writes in this order, in one exchange where the link can. */
bt_status bt_device_write_all(bt_device *device, const bt_link_write *writes, uint32_t count);

/* Called while a command runs, at least every few milliseconds; a failure ends the waiting. */
typedef bt_status (*bt_progress_fn)(void *user);

/* Posts a command; waits first for one that is still running. */
bt_status bt_command_post(bt_device *device, uint32_t command, const uint32_t *arguments,
                          uint32_t count);

/*
 * Waits until the command is complete; status and results are then in device->mailbox. With a
 * progress function the wait also ends its slices when a record arrives.
 */
bt_status bt_command_wait(bt_device *device, bt_progress_fn progress, void *user);

/* The error for a device's refusal of the last command; BT_OK for BT_RESULT_OK. */
bt_status bt_command_result(const bt_device *device);

/* Post, wait, result. */
bt_status bt_command_run(bt_device *device, uint32_t command, const uint32_t *arguments,
                         uint32_t count);

/* Like bt_command_run with bytes of payload in staging buffer 0, sent again if it is damaged.
 * arguments[crc_index] becomes its checksum. */
bt_status bt_command_run_with(bt_device *device, uint32_t command, uint32_t *arguments,
                              uint32_t count, uint32_t crc_index, const void *payload,
                              uint32_t bytes);

/* Reads what a command left in staging buffer 0; results[0] is its checksum. */
bt_status bt_command_fetch(bt_device *device, void *to, uint32_t bytes);

/* Chunked transfers to and from an address space; offset and bytes are multiples of 4. */
bt_status bt_command_upload(bt_device *device, uint32_t space, uint32_t offset, const void *from,
                            uint32_t bytes);
bt_status bt_command_download(bt_device *device, uint32_t space, uint32_t offset, void *to,
                              uint32_t bytes);

#define BT_COMMAND_TRIES 4u /* a chunk is sent at most this often */

#endif
