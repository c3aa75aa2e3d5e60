#include "base/error.h"
#include "program/program.h"
#include "session/device.h"

#include <string.h>
#include <time.h>

#define BT_REPORT_NS 1000000000ull /* a transfer that lasts longer reports how far it is */

static const char *const command_names[] = {
    [BT_COMMAND_PING] = "PING",         [BT_COMMAND_RESET] = "RESET",
    [BT_COMMAND_WRITE] = "WRITE",       [BT_COMMAND_READ] = "READ",
    [BT_COMMAND_LOAD] = "LOAD",         [BT_COMMAND_SAMPLES] = "SAMPLES",
    [BT_COMMAND_TRAIN] = "TRAIN",       [BT_COMMAND_ACCUMULATE] = "ACCUMULATE",
    [BT_COMMAND_UPDATE] = "UPDATE",     [BT_COMMAND_EVALUATE] = "EVALUATE",
    [BT_COMMAND_PROGRESS] = "PROGRESS", [BT_COMMAND_STATISTICS] = "STATISTICS",
    [BT_COMMAND_PROFILE] = "PROFILE",
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bt_status bt_device_read(bt_device *device, uint32_t address, void *to, uint32_t bytes) {
    uint64_t begin = now_ns();
    bt_status status = device->link->operations->read(device->link, address, to, bytes);
    device->link_nanoseconds += now_ns() - begin;
    device->bytes_from_device += bytes;
    return status;
}

bt_status bt_device_write(bt_device *device, uint32_t address, const void *from, uint32_t bytes) {
    uint64_t begin = now_ns();
    bt_status status = device->link->operations->write(device->link, address, from, bytes);
    device->link_nanoseconds += now_ns() - begin;
    device->bytes_to_device += bytes;
    return status;
}

bt_status bt_device_write_all(bt_device *device, const bt_link_write *writes, uint32_t count) {
    const bt_link_operations *link = device->link->operations;
    if (link->write_all == NULL) {
        for (uint32_t i = 0; i < count; i++) {
            BT_TRY(bt_device_write(device, writes[i].address, writes[i].from, writes[i].size));
        }
        return BT_OK;
    }
    uint64_t begin = now_ns();
    bt_status status = link->write_all(device->link, writes, count);
    device->link_nanoseconds += now_ns() - begin;
    for (uint32_t i = 0; i < count; i++) {
        device->bytes_to_device += writes[i].size;
    }
    return status;
}

/* Address of a member of the mailbox. */
#define BT_MAILBOX_ADDRESS(device, member)                                                         \
    ((device)->link->mailbox_address + (uint32_t)offsetof(bt_mailbox, member))

#define BT_DEVICE_WORDS_BYTES ((uint32_t)(sizeof(bt_mailbox) - offsetof(bt_mailbox, status)))

/* The words that the device writes while it runs: status … completed; and its generation. */
static bt_status read_device_words(bt_device *device) {
    BT_TRY(bt_device_read(device, BT_MAILBOX_ADDRESS(device, status), &device->mailbox.status,
                          BT_DEVICE_WORDS_BYTES));
    return bt_device_read(device, BT_MAILBOX_ADDRESS(device, generation), &device->generation,
                          (uint32_t)sizeof device->generation);
}

/* Waits until completed, or record_count if that matters too, is another one; reads them all. */
static bt_status watch_device_words(bt_device *device, bool records, uint64_t timeout_ns) {
    const bt_link_operations *link = device->link->operations;
    bt_mailbox *mailbox = &device->mailbox;
    const bt_link_watch words[] = {
        {BT_MAILBOX_ADDRESS(device, record_count), mailbox->record_count},
        {BT_MAILBOX_ADDRESS(device, completed), mailbox->completed},
    };
    const bt_link_watch *watched = records ? words : words + 1;
    if (link->watch == NULL) {
        BT_TRY(link->wait_change(device->link, watched->address, watched->value, timeout_ns));
        return read_device_words(device);
    }
    const bt_link_read reads[] = {
        {BT_MAILBOX_ADDRESS(device, status), BT_DEVICE_WORDS_BYTES, &mailbox->status},
        {BT_MAILBOX_ADDRESS(device, generation), (uint32_t)sizeof device->generation,
         &device->generation},
    };
    device->bytes_from_device += reads[0].size + reads[1].size;
    return link->watch(device->link, watched, records ? 2 : 1, timeout_ns, reads, 2);
}

/* A firmware that restarted has forgotten program, samples and the command. */
static bt_status check_generation(const bt_device *device) {
    if (device->generation != device->mailbox.generation) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The device was restarted while it ran %s and has forgotten the session; open the "
                "device again and restore the last checkpoint.",
                command_names[device->command]);
    }
    return BT_OK;
}

static const char *state_name(const bt_mailbox *mailbox) {
    static const char *const states[] = {"booting", "idle", "busy"};
    return mailbox->state <= BT_STATE_BUSY ? states[mailbox->state] : "unknown";
}

/* Adds what the device last reported to the failure of a transfer or a wait. */
static bt_status lost_device(const bt_device *device, bt_status status) {
    const bt_mailbox *mailbox = &device->mailbox;
    return bt_error_append(status,
                           "The %s: device was lost at %s; it last reported state %s, heartbeat "
                           "%u, %u training steps, last command %u of %u.",
                           device->link->name, command_names[device->command], state_name(mailbox),
                           mailbox->heartbeat, mailbox->record_count, mailbox->completed,
                           device->sequence);
}

static bt_status deadline_passed(bt_device *device) {
    BT_TRY(check_generation(device));
    const bt_mailbox *mailbox = &device->mailbox;
    BT_FAIL(BT_ERROR_TIMEOUT,
            "The device did not complete %s within %u ms without progress; it last reported state "
            "%s, heartbeat %u, %u training steps, last command %u of %u. Raise the timeout of the "
            "device if the work is long, otherwise open the device again.",
            command_names[device->command], device->options.timeout_ms, state_name(mailbox),
            mailbox->heartbeat, mailbox->record_count, mailbox->completed, device->sequence);
}

/* Reads the answer to the completed command again until it is whole. If the command then turns out
 * not to be complete, the word that said so had been damaged: *whole is false. */
static bt_status read_answer(bt_device *device, bool *whole) {
    const bt_mailbox *mailbox = &device->mailbox;
    for (uint32_t tries = 0; tries < BT_COMMAND_TRIES; tries++) {
        *whole = mailbox->completed == device->sequence;
        if (!*whole ||
            mailbox->results_check ==
                bt_mailbox_check(&mailbox->status, 1u + BT_MAILBOX_RESULTS, device->sequence)) {
            return BT_OK;
        }
        if (tries > 0) { /* at first, the device may have written while it was read */
            bt_device_log(device, BT_LOG_WARNING,
                          "%s: the answer came back damaged, reading it again.",
                          command_names[device->command]);
        }
        BT_TRY(read_device_words(device));
    }
    BT_FAIL(BT_ERROR_DEVICE,
            "The answer to %s came back damaged %u times; check the connection to the device.",
            command_names[device->command], BT_COMMAND_TRIES);
}

/* How long one wait lasts before the link's state, deadline and abort flag are looked at. */
static uint64_t slice_ns(const bt_device *device) {
    uint32_t slice = device->link->slice_ms != 0 ? device->link->slice_ms : BT_LINK_SLICE_MS;
    uint32_t limit = device->options.timeout_ms / 2 + 1;
    return (slice < limit ? slice : limit) * 1000000ull;
}

bt_status bt_command_wait(bt_device *device, bt_progress_fn progress, void *user) {
    const bt_link_operations *link = device->link->operations;
    bt_mailbox *mailbox = &device->mailbox;
    uint64_t deadline = now_ns() + device->options.timeout_ms * 1000000ull;
    while (device->in_flight) {
        uint32_t heartbeat = mailbox->heartbeat;
        uint32_t records = mailbox->record_count;
        /* A link that notices the loss by itself knows more about it. */
        bool lost = link->state(device->link) == BT_LINK_LOST;
        bt_status status = watch_device_words(device, progress != NULL, slice_ns(device));
        if (status == BT_OK && lost) {
            status = bt_error_set(BT_ERROR_DEVICE, "The link to the device is gone.");
        }
        if (status != BT_OK) {
            return lost_device(device, status);
        }
        if (mailbox->completed == device->sequence) {
            bool whole;
            BT_TRY(check_generation(device));
            BT_TRY(read_answer(device, &whole));
            device->in_flight = !whole;
        }
        if (progress != NULL) {
            BT_TRY(progress(user));
        }
        if (mailbox->heartbeat != heartbeat || mailbox->record_count != records) {
            deadline = now_ns() + device->options.timeout_ms * 1000000ull;
        } else if (device->in_flight && now_ns() > deadline) {
            return deadline_passed(device);
        }
    }
    return BT_OK;
}

/* Posts a command together with what it needs in staging; payload may be NULL. */
static bt_status post_with(bt_device *device, uint32_t command, const uint32_t *arguments,
                           uint32_t count, const void *payload, uint32_t bytes) {
    BT_TRY(bt_command_wait(device, NULL, NULL));
    bt_mailbox *mailbox = &device->mailbox;
    mailbox->command = command;
    memset(mailbox->arguments, 0, sizeof mailbox->arguments);
    if (count > 0) {
        memcpy(mailbox->arguments, arguments, count * sizeof *arguments);
    }
    mailbox->sequence = device->sequence + 1;
    mailbox->check =
        bt_mailbox_check(&mailbox->command, 1u + BT_MAILBOX_ARGUMENTS, mailbox->sequence);
    device->command = command;
    const bt_link_write writes[] = {
        {mailbox->staging[0], bytes, payload},
        {BT_MAILBOX_ADDRESS(device, command), (2u + BT_MAILBOX_ARGUMENTS) * 4u, &mailbox->command},
        {BT_MAILBOX_ADDRESS(device, sequence), 4u, &mailbox->sequence},
    };
    bt_status status = payload != NULL ? bt_device_write_all(device, writes, 3)
                                       : bt_device_write_all(device, writes + 1, 2);
    if (status != BT_OK) {
        return lost_device(device, status);
    }
    device->sequence++;
    device->in_flight = true;
    return BT_OK;
}

bt_status bt_command_post(bt_device *device, uint32_t command, const uint32_t *arguments,
                          uint32_t count) {
    return post_with(device, command, arguments, count, NULL, 0);
}

bt_status bt_command_result(const bt_device *device) {
    const char *name = command_names[device->command];
    switch (device->mailbox.status) {
    case BT_RESULT_OK:
        return BT_OK;
    case BT_RESULT_COMMAND:
        BT_FAIL(BT_ERROR_DEVICE,
                "The device does not know the command %s; its firmware does not fit this library.",
                name);
    case BT_RESULT_ARGUMENT:
        BT_FAIL(BT_ERROR_DEVICE, "The device refused %s: an argument is out of range.", name);
    case BT_RESULT_CRC:
        BT_FAIL(BT_ERROR_DEVICE,
                "The data of %s arrived damaged %u times; check the connection to the device.",
                name, BT_COMMAND_TRIES);
    case BT_RESULT_STATE:
        BT_FAIL(
            BT_ERROR_DEVICE,
            "The device refused %s: it holds no program or no samples, although they were sent; "
            "it may have been restarted. Open the device again.",
            name);
    case BT_RESULT_PROGRAM:
        BT_FAIL(BT_ERROR_PROGRAM, "The device refused the program: %s.",
                bt_program_fault_text((bt_fault)device->mailbox.results[0]));
    case BT_RESULT_ABORTED:
        BT_FAIL(BT_ERROR_ABORTED, "%s was stopped on request.", name);
    default:
        BT_FAIL(BT_ERROR_DEVICE, "The device answered %s with the unknown result %u.", name,
                device->mailbox.status);
    }
}

bt_status bt_command_run(bt_device *device, uint32_t command, const uint32_t *arguments,
                         uint32_t count) {
    for (uint32_t tries = 0; tries < BT_COMMAND_TRIES; tries++) {
        BT_TRY(bt_command_post(device, command, arguments, count));
        BT_TRY(bt_command_wait(device, NULL, NULL));
        if (device->mailbox.status != BT_RESULT_CRC) {
            break;
        }
        bt_device_log(device, BT_LOG_WARNING, "%s: the command arrived damaged, posting it again.",
                      command_names[command]);
    }
    return bt_command_result(device);
}

bt_status bt_command_run_with(bt_device *device, uint32_t command, uint32_t *arguments,
                              uint32_t count, uint32_t crc_index, const void *payload,
                              uint32_t bytes) {
    arguments[crc_index] = bt_crc32c(0, payload, bytes);
    for (uint32_t tries = 0; tries < BT_COMMAND_TRIES; tries++) {
        BT_TRY(post_with(device, command, arguments, count, payload, bytes));
        BT_TRY(bt_command_wait(device, NULL, NULL));
        if (device->mailbox.status != BT_RESULT_CRC) {
            break;
        }
        bt_device_log(device, BT_LOG_WARNING, "%s: data arrived damaged, sending it again.",
                      command_names[command]);
    }
    return bt_command_result(device);
}

bt_status bt_command_fetch(bt_device *device, void *to, uint32_t bytes) {
    for (uint32_t tries = 0; tries < BT_COMMAND_TRIES; tries++) {
        BT_TRY(bt_device_read(device, device->mailbox.staging[0], to, bytes));
        if (bt_crc32c(0, to, bytes) == device->mailbox.results[0]) {
            return BT_OK;
        }
        bt_device_log(device, BT_LOG_WARNING, "%s: data came back damaged, reading it again.",
                      command_names[device->command]);
    }
    BT_FAIL(BT_ERROR_DEVICE,
            "The data of %s came back damaged %u times; check the connection to the device.",
            command_names[device->command], BT_COMMAND_TRIES);
}

/* ------------------------------------------------------------------------- chunked transfers */

typedef struct bt_report {
    const char *what;
    uint32_t bytes; /* of the whole transfer */
    uint64_t begun;
    uint64_t last; /* when it was last reported */
} bt_report;

static bt_report report_begin(const char *what, uint32_t bytes) {
    uint64_t now = now_ns();
    return (bt_report){.what = what, .bytes = bytes, .begun = now, .last = now};
}

/* Says, once a second and at the end of a transfer that took longer, how far and how fast it is. */
static void report_progress(const bt_device *device, bt_report *report, uint32_t done) {
    uint64_t now = now_ns();
    double seconds = (double)(now - report->begun) * 1e-9;
    bool all = done == report->bytes;
    if (now - (all ? report->begun : report->last) < BT_REPORT_NS) {
        return;
    }
    double rate = done / seconds;
    report->last = now;
    if (all) {
        bt_device_log(device, BT_LOG_INFO, "%s: %u kB in %.1f s, %.1f kB/s.", report->what,
                      done / 1000, seconds, rate / 1000);
    } else {
        bt_device_log(device, BT_LOG_INFO, "%s: %u of %u kB, %.1f kB/s, %.0f s left.", report->what,
                      done / 1000, report->bytes / 1000, rate / 1000,
                      (report->bytes - done) / rate + 0.5);
    }
}

/* One chunk of an upload. */
typedef struct bt_chunk {
    uint32_t space;
    uint32_t offset;
    uint32_t bytes;
    uint32_t buffer;
    const uint8_t *from;
} bt_chunk;

static bt_status chunk_stage(bt_device *device, const bt_chunk *chunk) {
    return bt_device_write(device, device->mailbox.staging[chunk->buffer], chunk->from,
                           chunk->bytes);
}

static bt_status chunk_post(bt_device *device, const bt_chunk *chunk) {
    const uint32_t arguments[] = {chunk->space, chunk->offset, chunk->bytes, chunk->buffer,
                                  bt_crc32c(0, chunk->from, chunk->bytes)};
    return bt_command_post(device, BT_COMMAND_WRITE, arguments, 5);
}

/* Waits for a posted chunk; sends it again while it arrives damaged. */
static bt_status chunk_finish(bt_device *device, const bt_chunk *chunk) {
    BT_TRY(bt_command_wait(device, NULL, NULL));
    for (uint32_t tries = 1; device->mailbox.status == BT_RESULT_CRC && tries < BT_COMMAND_TRIES;
         tries++) {
        bt_device_log(device, BT_LOG_WARNING, "WRITE: a chunk arrived damaged, sending it again.");
        BT_TRY(chunk_stage(device, chunk));
        BT_TRY(chunk_post(device, chunk));
        BT_TRY(bt_command_wait(device, NULL, NULL));
    }
    return bt_command_result(device);
}

bt_status bt_command_upload(bt_device *device, uint32_t space, uint32_t offset, const void *from,
                            uint32_t bytes) {
    bt_chunk posted = {.bytes = 0};
    bt_report report = report_begin("Upload", bytes);
    for (uint32_t done = 0; done < bytes;) {
        uint32_t left = bytes - done;
        bt_chunk next = {
            .space = space,
            .offset = offset + done,
            .bytes = left < BT_STAGING_BYTES ? left : BT_STAGING_BYTES,
            .buffer = 1u - posted.buffer,
            .from = (const uint8_t *)from + done,
        };
        /* The next chunk travels while the device stores the one before. */
        BT_TRY(chunk_stage(device, &next));
        if (posted.bytes > 0) {
            BT_TRY(chunk_finish(device, &posted));
        }
        BT_TRY(chunk_post(device, &next));
        posted = next;
        done += next.bytes;
        report_progress(device, &report, done);
    }
    return posted.bytes > 0 ? chunk_finish(device, &posted) : BT_OK;
}

bt_status bt_command_download(bt_device *device, uint32_t space, uint32_t offset, void *to,
                              uint32_t bytes) {
    bt_report report = report_begin("Download", bytes);
    for (uint32_t done = 0; done < bytes;) {
        uint32_t left = bytes - done;
        uint32_t length = left < BT_STAGING_BYTES ? left : BT_STAGING_BYTES;
        const uint32_t arguments[] = {space, offset + done, length, 0};
        BT_TRY(bt_command_run(device, BT_COMMAND_READ, arguments, 4));
        BT_TRY(bt_command_fetch(device, (uint8_t *)to + done, length));
        done += length;
        report_progress(device, &report, done);
    }
    return BT_OK;
}
