#include "session/device.h"

#include "base/error.h"
#include "session/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BT_LOG_TEXT 512u

void bt_device_log(const bt_device *device, bt_log_level level, const char *format, ...) {
    if (device->options.log == NULL || (uint32_t)level > device->options.log_level) {
        return;
    }
    char text[BT_LOG_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    device->options.log(device->options.log_user, level, text);
}

/* Waits for the firmware's mailbox and checks that it fits this library. */
static bt_status connect_mailbox(bt_device *device) {
    bt_link *link = device->link;
    bt_mailbox *mailbox = &device->mailbox;
    const uint64_t slice_ns = 10000000u;
    uint64_t waited_ns = 0;
    BT_TRY(bt_device_read(device, link->mailbox_address, mailbox, sizeof *mailbox));
    while (mailbox->magic != BT_MAILBOX_MAGIC) {
        if (waited_ns >= device->options.timeout_ms * 1000000ull) {
            BT_FAIL(BT_ERROR_TIMEOUT,
                    "The firmware of the %s: device did not start within %u ms; at 0x%08X there is "
                    "0x%08X instead of a mailbox.",
                    link->name, device->options.timeout_ms, link->mailbox_address, mailbox->magic);
        }
        BT_TRY(
            link->operations->wait_change(link, link->mailbox_address, mailbox->magic, slice_ns));
        waited_ns += slice_ns;
        BT_TRY(bt_device_read(device, link->mailbox_address, mailbox, sizeof *mailbox));
    }
    if (mailbox->protocol != BT_PROTOCOL_VERSION) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The device's firmware speaks protocol %u, this library protocol %u; install the "
                "firmware that belongs to this library.",
                mailbox->protocol, BT_PROTOCOL_VERSION);
    }
    device->sequence = mailbox->sequence;
    device->in_flight = mailbox->completed != mailbox->sequence;
    device->command = BT_COMMAND_RESET;
    return BT_OK;
}

static bt_status device_start(bt_device *device) {
    bt_link *link = device->link;
    BT_TRY(link->operations->start(link));
    BT_TRY(connect_mailbox(device));
    BT_TRY(bt_command_run(device, BT_COMMAND_RESET, NULL, 0));
    const bt_mailbox *mailbox = &device->mailbox;
    device->records_read = mailbox->record_count;
    device->info = (bt_device_info){
        .struct_size = sizeof device->info,
        .protocol = mailbox->protocol,
        .build_id = mailbox->build_id,
        .cores = mailbox->cores,
        .l1_bytes = mailbox->arena_bytes[0],
        .l2_bytes = mailbox->arena_bytes[1],
        .l3_bytes = mailbox->arena_bytes[2],
    };
    snprintf(device->info.link, sizeof device->info.link, "%s", link->name);
    memcpy(device->info.target, link->target.name, sizeof device->info.target);
    memcpy(device->info.kernels, link->kernels, sizeof device->info.kernels);
    bt_device_log(device, BT_LOG_INFO,
                  "%s: target %s, %u cores, kernels %s, L1 %u, L2 %u, L3 %u bytes.",
                  device->info.link, device->info.target, device->info.cores, device->info.kernels,
                  device->info.l1_bytes, device->info.l2_bytes, device->info.l3_bytes);
    if (link->write_rate > 0) {
        bt_device_log(device, BT_LOG_INFO,
                      "%s: measured %.1f kB/s to the device and %.1f kB/s back.", link->name,
                      link->write_rate / 1000.0, link->read_rate / 1000.0);
    }
    return BT_OK;
}

bt_status bt_device_open_link(bt_link *link, const bt_device_options *options, bt_device **out) {
    bt_device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        link->operations->close(link);
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a device.");
    }
    device->link = link;
    if (options != NULL) {
        device->options = *options;
    }
    if (device->options.timeout_ms == 0) {
        device->options.timeout_ms = link->timeout_ms;
    }
    bt_status status = device_start(device);
    if (status != BT_OK) {
        bt_device_close(device);
        return status;
    }
    *out = device;
    return BT_OK;
}

bt_status bt_device_open(const char *uri, const bt_device_options *options, bt_device **out) {
    bt_link *link;
    BT_REQUIRE(uri);
    BT_REQUIRE(out);
    if (options != NULL) {
        BT_REQUIRE_SIZE(options);
    }
    BT_TRY(bt_link_open(uri, options, &link));
    BT_TRY_CONTEXT(bt_device_open_link(link, options, out), "Opening the device \"%s\".", uri);
    return BT_OK;
}

void bt_device_close(bt_device *device) {
    if (device == NULL) {
        return;
    }
    if (device->session != NULL) {
        bt_session_detach(device->session);
    }
    device->link->operations->close(device->link);
    free(device);
}

bt_status bt_device_info_get(const bt_device *device, bt_device_info *out) {
    BT_REQUIRE(device);
    BT_REQUIRE_SIZE(out);
    *out = device->info;
    return BT_OK;
}

bt_status bt_device_target(const bt_device *device, bt_target *out) {
    BT_REQUIRE(device);
    BT_REQUIRE_SIZE(out);
    *out = device->link->target;
    out->struct_size = sizeof *out;
    out->cores = device->info.cores;
    out->l1_bytes = device->info.l1_bytes;
    out->l2_bytes = device->info.l2_bytes;
    /* What is for samples only is no program's. */
    uint32_t l3_bytes = device->info.l3_bytes;
    out->l3_bytes = l3_bytes > out->sample_bytes ? l3_bytes - out->sample_bytes : 0;
    return BT_OK;
}

bt_status bt_device_ping(bt_device *device, uint64_t *nanoseconds) {
    struct timespec begin, end;
    BT_REQUIRE(device);
    BT_REQUIRE(nanoseconds);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    BT_TRY(bt_command_run(device, BT_COMMAND_PING, NULL, 0));
    clock_gettime(CLOCK_MONOTONIC, &end);
    *nanoseconds = (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000000u + (uint64_t)end.tv_nsec -
                   (uint64_t)begin.tv_nsec;
    return BT_OK;
}
