/*
 * Cached features: samples go through the first, frozen part of a network once, when they are
 * uploaded, and the store holds what comes out. The device runs one program at a time, so the part
 * that trains makes room for the first one and comes back as it was.
 */
#include "base/error.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

/* ---- the sample store, as addresses in L3 */

static uint64_t store_base(const bt_program_header *program) {
    return (program->arena_bytes[BT_LEVEL_L3] + 3ull) & ~3ull;
}

/* Where the features end. */
static uint64_t store_end(const bt_session *session) {
    return store_base(session->program) +
           (uint64_t)session->sample_count * session->layout.record_bytes;
}

/* The first record of the prefix's store that overlaps no features. */
static uint32_t first_free_record(const bt_session *session, const bt_program_header *prefix,
                                  const bt_sample_layout *raw) {
    uint64_t used = store_end(session) - store_base(prefix);
    return (uint32_t)((used + raw->record_bytes - 1) / raw->record_bytes);
}

/* Records of samples that fit behind the features. */
static uint32_t free_records(const bt_session *session, const bt_program_header *prefix,
                             const bt_sample_layout *raw) {
    uint64_t all = session->device->mailbox.arena_bytes[BT_LEVEL_L3];
    uint64_t base = store_base(prefix);
    uint64_t fit = base < all ? (all - base) / raw->record_bytes : 0;
    uint32_t first = first_free_record(session, prefix, raw);
    return first < fit ? (uint32_t)fit - first : 0;
}

static const bt_program_header *prefix_of(const bt_session *session) {
    return (const bt_program_header *)(const void *)session->source->prefix->bytes;
}

static bt_sample_layout feature_layout(const bt_session *session) {
    bt_sample_layout layout;
    bt_sample_layout_get(session->program, BT_SAMPLE_FLOAT32, 1, &layout);
    return layout;
}

uint32_t bt_features_capacity(const bt_session *session, const bt_sample_layout *raw) {
    bt_sample_layout features = feature_layout(session);
    /* One sample at least must fit beside the features when the last of them are computed. */
    uint64_t needed = store_end(session) + 2ull * raw->record_bytes;
    uint64_t all = session->device->mailbox.arena_bytes[BT_LEVEL_L3];
    return needed < all ? (uint32_t)((all - needed) / features.record_bytes) : 0;
}

/* ---- what the training part keeps on the device */

static const bt_tensor *named_tensor(const bt_session *session, uint32_t index) {
    return &session->tensors[session->named[index]];
}

static uint32_t tensor_bytes(const bt_tensor *tensor) {
    return bt_tensor_elements(tensor) * bt_dtype_bytes(tensor->dtype);
}

static size_t state_bytes(const bt_session *session) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < session->named_count; i++) {
        bytes += tensor_bytes(named_tensor(session, i));
    }
    return bytes;
}

static bt_status save_state(bt_session *session, uint8_t *state) {
    for (uint32_t i = 0; i < session->named_count; i++) {
        const bt_tensor *tensor = named_tensor(session, i);
        BT_TRY(bt_command_download(session->device, BT_SPACE_L1 + tensor->level, tensor->offset,
                                   state, tensor_bytes(tensor)));
        state += tensor_bytes(tensor);
    }
    return bt_session_remember(session, &session->past);
}

static bt_status restore_state(bt_session *session, const uint8_t *state) {
    bt_device *device = session->device;
    BT_TRY(bt_session_load(session));
    for (uint32_t i = 0; i < session->named_count; i++) {
        const bt_tensor *tensor = named_tensor(session, i);
        BT_TRY(bt_command_upload(device, BT_SPACE_L1 + tensor->level, tensor->offset, state,
                                 tensor_bytes(tensor)));
        state += tensor_bytes(tensor);
    }
    if (session->format != 0) {
        const uint32_t store[] = {session->format, session->channels};
        BT_TRY(bt_command_run(device, BT_COMMAND_SAMPLES, store, 2));
    }
    const uint32_t progress[] = {(uint32_t)session->micro_steps};
    return bt_command_run(device, BT_COMMAND_PROGRESS, progress, 1);
}

/* ---- the first part */

/* Samples first … first + count - 1 of samples, with the only label that the prefix knows. */
static bt_samples slice(const bt_samples *samples, uint32_t first, uint32_t count,
                        uint32_t elements, const int32_t *labels) {
    bt_samples part = *samples;
    part.count = count;
    part.inputs = samples->inputs + (size_t)first * elements;
    part.labels = labels;
    part.targets = NULL;
    return part;
}

/* Runs at most as many samples at a time as fit behind record number first of the store. */
static bt_status run_prefix(bt_session *prefix, const bt_samples *samples, uint32_t first,
                            uint32_t most, uint32_t *indices, const int32_t *labels,
                            float *features) {
    BT_TRY(bt_session_load(prefix));
    BT_TRY(bt_session_write_initial_values(prefix));
    BT_TRY(bt_session_choose_layout(prefix, samples));
    for (uint32_t done = 0; done < samples->count;) {
        uint32_t count = samples->count - done < most ? samples->count - done : most;
        bt_samples part = slice(samples, done, count, prefix->program->input_elements, labels);
        uint32_t begin;
        prefix->sample_count = first;
        BT_TRY(bt_session_store(prefix, &part, &begin));
        for (uint32_t i = 0; i < count; i++) {
            indices[i] = begin + i;
        }
        BT_TRY(bt_session_evaluate(prefix, indices, count,
                                   features + (size_t)done * prefix->program->output_elements,
                                   NULL));
        done += count;
    }
    return BT_OK;
}

/* Everything that a computation of features allocates. */
typedef struct work {
    bt_session prefix;
    uint8_t *state;
    uint32_t *indices;
    int32_t *labels;
    float *features;
} work;

static void work_free(work *w) {
    bt_session_release(&w->prefix);
    free(w->state);
    free(w->indices);
    free(w->labels);
    free(w->features);
}

/* work_free must follow in any case. */
static bt_status work_make(const bt_session *session, uint32_t samples, work *w) {
    *w = (work){.state = malloc(state_bytes(session) + 1),
                .indices = malloc(samples * sizeof *w->indices),
                .labels = calloc(samples, sizeof *w->labels),
                .features = malloc((size_t)samples * session->program->input_elements *
                                   sizeof *w->features)};
    BT_TRY(bt_session_prepare(&w->prefix, session->device, session->source->prefix));
    if (w->state == NULL || w->indices == NULL || w->labels == NULL || w->features == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for the features of %u samples.", samples);
    }
    return BT_OK;
}

static bt_status check_room(const bt_session *session, const bt_samples *samples, uint32_t room) {
    bt_sample_layout features = feature_layout(session);
    uint32_t capacity = bt_session_store_capacity(session, &features);
    if (room == 0 || samples->count > capacity - session->sample_count) {
        BT_FAIL(BT_ERROR_CAPACITY,
                "%u samples do not fit: the device's store holds the features, of %u bytes, of %u "
                "samples, beside one sample of which they are computed, and %u are in it; use "
                "fewer samples, clear the store, or switch the pass cache-features off.",
                samples->count, features.record_bytes, capacity, session->sample_count);
    }
    return BT_OK;
}

/* The device must get its training program back even if the prefix fails. */
static bt_status compute(bt_session *session, const bt_samples *samples, uint32_t first,
                         uint32_t most, work *w) {
    BT_TRY(save_state(session, w->state));
    bt_status status =
        run_prefix(&w->prefix, samples, first, most, w->indices, w->labels, w->features);
    if (status == BT_OK) {
        status = bt_session_remember(&w->prefix, &session->past);
    }
    bt_status restored = restore_state(session, w->state);
    session->lost = restored != BT_OK;
    return session->lost ? restored : status;
}

bt_status bt_features_upload(bt_session *session, const bt_samples *samples, uint32_t *first) {
    const bt_program_header *prefix = prefix_of(session);
    bt_sample_layout raw;
    if (!bt_sample_layout_get(prefix, samples->format, samples->channels, &raw)) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "Sample format %u is unknown; use BT_SAMPLE_INT16 or BT_SAMPLE_FLOAT32.",
                samples->format);
    }
    uint32_t most = free_records(session, prefix, &raw);
    BT_TRY(check_room(session, samples, most));
    work w;
    bt_status status = work_make(session, samples->count, &w);
    if (status == BT_OK) {
        status = compute(session, samples, first_free_record(session, prefix, &raw), most, &w);
    }
    if (status == BT_OK) {
        bt_samples features = *samples;
        features.format = BT_SAMPLE_FLOAT32;
        features.channels = 1;
        features.inputs = w.features;
        status = bt_session_choose_layout(session, &features);
        if (status == BT_OK) {
            status = bt_session_store(session, &features, first);
        }
    }
    work_free(&w);
    return status;
}
