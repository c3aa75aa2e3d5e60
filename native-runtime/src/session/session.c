#include "session/session.h"

#include "base/error.h"
#include "program/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Steps of one command: the ring keeps the records of the command before while this one runs. */
#define BT_STEPS_PER_COMMAND (BT_RECORD_CAPACITY / 2u)
#define BT_STAGING_WORDS (BT_STAGING_BYTES / 4u)

static bt_status require_open(const bt_session *session, const char *function) {
    if (session == NULL) {
        BT_FAIL(BT_ERROR_ARGUMENT, "session is NULL in %s; pass a valid pointer.", function);
    }
    if (session->device == NULL) {
        BT_FAIL(BT_ERROR_STATE, "The device of this session was closed before %s.", function);
    }
    if (session->lost) {
        BT_FAIL(BT_ERROR_STATE,
                "The device failed while it computed features, and this session's weights were "
                "lost before %s; open the device again and restore the last checkpoint.",
                function);
    }
    return BT_OK;
}

static const char *tensor_name(const bt_session *session, const bt_tensor *tensor) {
    return (const char *)session->source->bytes + session->program->names_offset + tensor->name;
}

/* ------------------------------------------------------------------------------ life cycle */

/* A program in its handle is valid; whether it fits is known here. */
static bt_status check_fits(const bt_device *device, const bt_program *program) {
    static const char *const levels[BT_LEVEL_COUNT] = {"L1", "L2", "L3"};
    const bt_program_header *header = (const bt_program_header *)(const void *)program->bytes;
    size_t size = program->size;
    const bt_mailbox *mailbox = &device->mailbox;
    if (size > mailbox->program_bytes) {
        BT_FAIL(
            BT_ERROR_CAPACITY,
            "The program has %zu bytes, but the device takes at most %u; use a smaller network.",
            size, mailbox->program_bytes);
    }
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        if (header->arena_bytes[level] > mailbox->arena_bytes[level]) {
            BT_FAIL(BT_ERROR_CAPACITY,
                    "The program needs %u bytes of %s, but the device has %u; compile it for this "
                    "device's target.",
                    header->arena_bytes[level], levels[level], mailbox->arena_bytes[level]);
        }
    }
    return BT_OK;
}

/* Tensors that outlive a step; input, target, output and loss have names, too. */
static void find_named_tensors(bt_session *session) {
    const bt_program_header *program = session->program;
    for (uint32_t i = 0; i < program->tensor_count; i++) {
        if (session->tensors[i].name != BT_NO_TENSOR && i != program->input_tensor &&
            i != program->target_tensor && i != program->output_tensor &&
            i != program->loss_tensor) {
            session->named[session->named_count++] = i;
        }
    }
}

static bool updates_in_train(const bt_session *session) {
    return (session->program->flags & BT_PROGRAM_FUSED_UPDATE) != 0;
}

/* Adam's bias corrections are the host's: it knows how many updates were done. */
static void find_betas(bt_session *session) {
    const bt_program_header *program = session->program;
    uint32_t sequence = updates_in_train(session) ? BT_SEQUENCE_TRAIN : BT_SEQUENCE_UPDATE;
    const uint32_t *words = (const uint32_t *)(const void *)(session->source->bytes +
                                                             program->sequence_offset[sequence]);
    uint32_t left = program->sequence_words[sequence];
    bt_call call;
    while (left > 0) {
        uint32_t taken =
            bt_call_decode(words, left, session->tensors, program->tensor_count, NULL, &call);
        if (call.opcode == BT_OPCODE_ADAM) {
            session->beta1 = bt_call_float(&call, 0);
            session->beta2 = bt_call_float(&call, 1);
            return;
        }
        words += taken;
        left -= taken;
    }
}

/* Parameters of a compiled program begin with the model's values, all else with zero. */
bt_status bt_session_write_initial_values(bt_session *session) {
    const bt_program *program = session->source;
    for (uint32_t i = 0; i < program->initial_count; i++) {
        const bt_initial_value *initial = &program->initial[i];
        const bt_tensor *tensor = &session->tensors[initial->tensor];
        BT_TRY(bt_command_upload(session->device, BT_SPACE_L1 + tensor->level, tensor->offset,
                                 initial->data, initial->elements * 4u));
    }
    return BT_OK;
}

bt_status bt_session_prepare(bt_session *session, bt_device *device, const bt_program *program) {
    *session = (bt_session){.device = device, .source = bt_program_share(program)};
    atomic_init(&session->abort, false);
    BT_TRY(check_fits(device, program));
    session->program = (const bt_program_header *)(const void *)program->bytes;
    session->tensors =
        (const bt_tensor *)(const void *)(program->bytes + session->program->tensor_offset);
    session->named = calloc(session->program->tensor_count + 1u, sizeof *session->named);
    if (session->named == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for the names of %u tensors.",
                session->program->tensor_count);
    }
    find_named_tensors(session);
    find_betas(session);
    return BT_OK;
}

void bt_session_release(bt_session *session) {
    free(session->named);
    bt_program_free((bt_program *)session->source);
}

bt_status bt_session_load(bt_session *session) {
    bt_device *device = session->device;
    uint32_t size = (uint32_t)session->source->size;
    const uint32_t load[] = {size};
    BT_TRY(bt_command_upload(device, BT_SPACE_PROGRAM, 0, session->source->bytes, size));
    BT_TRY(bt_command_run(device, BT_COMMAND_LOAD, load, 1));
    bt_device_log(device, BT_LOG_INFO,
                  "%s: loaded a program of %u bytes, L1 %u, L2 %u, L3 %u bytes.", device->info.link,
                  size, session->program->arena_bytes[0], session->program->arena_bytes[1],
                  session->program->arena_bytes[2]);
    return BT_OK;
}

static bt_status session_begin(bt_session *session, bt_device *device, const bt_program *program) {
    BT_TRY(bt_session_prepare(session, device, program));
    if (program->prefix != NULL) {
        BT_TRY(check_fits(device, program->prefix));
    }
    BT_TRY(bt_session_load(session));
    return bt_session_write_initial_values(session);
}

bt_status bt_session_open(bt_device *device, const bt_program *program, bt_session **out) {
    BT_REQUIRE(device);
    BT_REQUIRE(program);
    BT_REQUIRE(out);
    if (device->session != NULL) {
        BT_FAIL(BT_ERROR_STATE, "The device already has a session; close that one first.");
    }
    bt_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a session.");
    }
    bt_status status = session_begin(session, device, program);
    if (status != BT_OK) {
        bt_session_close(session);
        return bt_error_append(status, "Opening a session on the %s: device.", device->info.link);
    }
    device->session = session;
    *out = session;
    return BT_OK;
}

void bt_session_close(bt_session *session) {
    if (session == NULL) {
        return;
    }
    if (session->device != NULL && session->device->session == session) {
        session->device->session = NULL;
    }
    bt_session_release(session);
    free(session);
}

void bt_session_detach(bt_session *session) { session->device = NULL; }

void bt_session_abort(bt_session *session) {
    if (session != NULL) {
        atomic_store(&session->abort, true);
    }
}

/* --------------------------------------------------------------------------------- samples */

uint32_t bt_session_store_capacity(const bt_session *session, const bt_sample_layout *layout) {
    uint64_t used = (session->program->arena_bytes[BT_LEVEL_L3] + 3ull) & ~3ull;
    uint32_t all = session->device->mailbox.arena_bytes[BT_LEVEL_L3];
    return used < all ? (uint32_t)((all - used) / layout->record_bytes) : 0;
}

/* The program that samples are made for: the one before the features if there are any. */
static const bt_program_header *entry_program(const bt_session *session) {
    const bt_program *entry =
        session->source->prefix != NULL ? session->source->prefix : session->source;
    return (const bt_program_header *)(const void *)entry->bytes;
}

/* Rows of one sample: all dimensions but the batch and the last. */
static uint32_t input_rows(const bt_program_header *program) {
    const bt_tensor *tensors =
        (const bt_tensor *)(const void *)((const uint8_t *)program + program->tensor_offset);
    const bt_tensor *input = &tensors[program->input_tensor];
    return program->input_elements / input->dims[input->rank - 1];
}

bt_status bt_session_capacity(const bt_session *session, bt_sample_format format,
                              uint32_t *samples) {
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE(samples);
    const bt_program_header *entry = entry_program(session);
    uint32_t rows = input_rows(entry);
    bt_sample_layout layout;
    if (!bt_sample_layout_get(entry, format, rows == 0 ? 1 : rows, &layout)) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "Sample format %d is unknown; use BT_SAMPLE_INT16 or BT_SAMPLE_FLOAT32.",
                (int)format);
    }
    if (session->source->prefix != NULL) {
        *samples = bt_features_capacity(session, &layout);
    } else if (session->sample_count == 0) {
        *samples = bt_session_store_capacity(session, &layout);
    } else if ((uint32_t)format == session->format) {
        *samples = bt_session_store_capacity(session, &session->layout) - session->sample_count;
    } else {
        *samples = 0;
    }
    return BT_OK;
}

static bt_status check_finite(const float *values, uint32_t count, uint32_t sample,
                              uint32_t channel_length, const char *what) {
    for (uint32_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The %s of sample %u is %f at channel %u, position %u; values must be finite.",
                    what, sample, (double)values[i], i / channel_length, i % channel_length);
        }
    }
    return BT_OK;
}

static bt_status check_samples(const bt_session *session, const bt_samples *samples) {
    const bt_program_header *program = session->program;
    uint32_t inputs = entry_program(session)->input_elements;
    uint32_t outputs = program->output_elements;
    BT_REQUIRE(samples->inputs);
    if (program->target_kind == BT_TARGET_CLASS) {
        BT_REQUIRE(samples->labels);
    } else {
        BT_REQUIRE(samples->targets);
    }
    for (uint32_t i = 0; i < samples->count; i++) {
        BT_TRY(check_finite(samples->inputs + (size_t)i * inputs, inputs, i,
                            inputs / samples->channels, "input"));
        if (program->target_kind == BT_TARGET_VECTOR) {
            BT_TRY(check_finite(samples->targets + (size_t)i * outputs, outputs, i, outputs,
                                "target"));
        } else if (samples->labels[i] < 0 || (uint32_t)samples->labels[i] >= outputs) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The label of sample %u is %d, but the network has %u classes; labels run from "
                    "0 to %u.",
                    i, samples->labels[i], outputs, outputs - 1);
        }
    }
    return BT_OK;
}

/* 16-bit values of one channel: x is about value * scale + offset, exactly if x is constant. */
static void quantise_channel(const float *x, uint32_t count, float scale_offset[2], int16_t *out) {
    float low = x[0];
    float high = x[0];
    for (uint32_t i = 1; i < count; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float scale = (float)(((double)high - low) / 65534.0);
    float offset = (float)(((double)high + low) / 2.0);
    for (uint32_t i = 0; i < count; i++) {
        double value = scale > 0.0f ? floor(((double)x[i] - offset) / scale + 0.5) : 0.0;
        value = value < -32767.0 ? -32767.0 : value > 32767.0 ? 32767.0 : value;
        out[i] = (int16_t)value;
    }
    scale_offset[0] = scale;
    scale_offset[1] = offset;
}

/* Writes record number index of samples; to is zeroed. */
static void encode_sample(const bt_session *session, const bt_samples *samples, uint32_t index,
                          uint8_t *to) {
    const bt_program_header *program = session->program;
    const bt_sample_layout *layout = &session->layout;
    uint32_t length = program->input_elements / samples->channels;
    const float *inputs = samples->inputs + (size_t)index * program->input_elements;
    const void *target = program->target_kind == BT_TARGET_CLASS
                             ? (const void *)(samples->labels + index)
                             : samples->targets + (size_t)index * program->output_elements;
    memcpy(to, target, layout->target_bytes);
    float *scales = (float *)(void *)(to + layout->target_bytes);
    uint8_t *data = to + layout->target_bytes + layout->scale_bytes;
    if (samples->format == BT_SAMPLE_FLOAT32) {
        memcpy(data, inputs, layout->data_bytes);
        return;
    }
    for (uint32_t channel = 0; channel < samples->channels; channel++) {
        quantise_channel(inputs + (size_t)channel * length, length, scales + 2 * channel,
                         (int16_t *)(void *)data + (size_t)channel * length);
    }
}

bt_status bt_session_choose_layout(bt_session *session, const bt_samples *samples) {
    if (session->sample_count > 0) {
        if (samples->format != session->format || samples->channels != session->channels) {
            BT_FAIL(BT_ERROR_STATE,
                    "The store holds samples of format %u with %u channels, so it takes none of "
                    "format %u with %u; clear the samples first.",
                    session->format, session->channels, samples->format, samples->channels);
        }
        return BT_OK;
    }
    bt_sample_layout layout;
    if (!bt_sample_layout_get(session->program, samples->format, samples->channels, &layout)) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "Samples of format %u with %u channels are not possible: use BT_SAMPLE_INT16 or "
                "BT_SAMPLE_FLOAT32 and a number of channels that divides the %u input elements.",
                samples->format, samples->channels, session->program->input_elements);
    }
    const uint32_t arguments[] = {samples->format, samples->channels};
    BT_TRY(bt_command_run(session->device, BT_COMMAND_SAMPLES, arguments, 2));
    session->format = samples->format;
    session->channels = samples->channels;
    session->layout = layout;
    return BT_OK;
}

bt_status bt_session_store(bt_session *session, const bt_samples *samples, uint32_t *first) {
    uint32_t capacity = bt_session_store_capacity(session, &session->layout);
    if (samples->count > capacity - session->sample_count) {
        BT_FAIL(BT_ERROR_CAPACITY,
                "%u samples of %u bytes do not fit: the device's store holds %u, and %u are in it; "
                "use fewer samples, 16-bit samples, or clear the store.",
                samples->count, session->layout.record_bytes, capacity, session->sample_count);
    }
    uint32_t bytes = samples->count * session->layout.record_bytes;
    uint8_t *records = calloc(1, bytes);
    if (records == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for %u bytes of samples.", bytes);
    }
    for (uint32_t i = 0; i < samples->count; i++) {
        encode_sample(session, samples, i, records + (size_t)i * session->layout.record_bytes);
    }
    bt_status status =
        bt_command_upload(session->device, BT_SPACE_SAMPLES,
                          session->sample_count * session->layout.record_bytes, records, bytes);
    free(records);
    BT_TRY_CONTEXT(status, "Uploading %u samples.", samples->count);
    *first = session->sample_count;
    session->sample_count += samples->count;
    return BT_OK;
}

bt_status bt_session_upload(bt_session *session, const bt_samples *samples, uint32_t *first) {
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE_SIZE(samples);
    BT_REQUIRE(first);
    uint32_t elements = entry_program(session)->input_elements;
    if (samples->count == 0 || samples->channels == 0 || elements % samples->channels != 0) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "%u samples of %u channels cannot be uploaded; at least 1 sample is needed, and a "
                "number of channels that divides the %u input elements.",
                samples->count, samples->channels, elements);
    }
    BT_TRY(check_samples(session, samples));
    if (session->source->prefix != NULL) {
        BT_TRY_CONTEXT(bt_features_upload(session, samples, first),
                       "Computing the features of %u samples.", samples->count);
        return BT_OK;
    }
    BT_TRY(bt_session_choose_layout(session, samples));
    return bt_session_store(session, samples, first);
}

bt_status bt_session_clear_samples(bt_session *session) {
    BT_TRY(require_open(session, __func__));
    session->sample_count = 0;
    return BT_OK;
}

static bt_status check_indices(const bt_session *session, const uint32_t *indices, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        if (indices[i] >= session->sample_count) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "Sample index %u at position %llu is out of range: %u samples were uploaded.",
                    indices[i], (unsigned long long)i, session->sample_count);
        }
    }
    return BT_OK;
}

/* -------------------------------------------------------------------------------- training */

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* 1 - beta^update. By squaring, since the last bit of pow differs between C libraries. */
static uint32_t correction(float beta, uint64_t update) {
    double power = 1.0;
    for (double square = beta; update > 0; square *= square, update >>= 1) {
        if (update & 1) {
            power *= square;
        }
    }
    return bits_of((float)(1.0 - power));
}

static bt_step_command make_step(const bt_session *session, uint32_t samples, float rate,
                                 uint64_t update) {
    return (bt_step_command){
        .samples = samples,
        .learning_rate = bits_of(rate),
        .correction1 = correction(session->beta1, update),
        .correction2 = correction(session->beta2, update),
    };
}

static bt_status check_learning_rate(float rate, uint32_t step) {
    if (!isfinite(rate) || rate < 0.0f) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The learning rate of step %u is %f; it must be finite and not negative.", step,
                (double)rate);
    }
    return BT_OK;
}

static bt_status check_batch(const bt_session *session, uint64_t samples, const char *what,
                             uint32_t limit) {
    uint32_t micro_batch = session->program->micro_batch;
    if (samples == 0 || samples % micro_batch != 0 || samples > limit) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "%s has %llu samples; it must have a multiple of the micro-batch %u, at most %u.",
                what, (unsigned long long)samples, micro_batch, limit / micro_batch * micro_batch);
    }
    return BT_OK;
}

static bt_status check_step(const bt_session *session, uint32_t samples) {
    const uint32_t limit = BT_STAGING_WORDS - (uint32_t)sizeof(bt_step_command) / 4u;
    if (updates_in_train(session) && samples != session->program->micro_batch) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "A step has %u samples, but a program with fused_update takes exactly one "
                "micro-batch per step, which is %u; compile it with another micro_batch, or "
                "without fused_update.",
                samples, session->program->micro_batch);
    }
    return check_batch(session, samples, "A step", limit);
}

static bt_status require_gradients(const bt_session *session, const char *function) {
    if (updates_in_train(session)) {
        BT_FAIL(BT_ERROR_STATE,
                "%s needs gradients that are kept, but this program was compiled with "
                "fused_update; compile it without.",
                function);
    }
    return BT_OK;
}

/* Steps that one command trains. */
typedef struct bt_train_part {
    uint32_t first_step;
    uint32_t steps;
    uint64_t first_index;
    uint32_t indices;
    uint32_t buffer;
    uint32_t crc;
} bt_train_part;

typedef struct bt_training {
    bt_session *session;
    const bt_step *steps;
    uint32_t step_count;
    const uint32_t *indices;
    bt_step_fn on_step;
    void *user;
    uint64_t first_update; /* updates before step 0 */
    uint32_t reported;     /* steps whose record was read */
    uint32_t posted_steps; /* of all commands posted so far */
    uint32_t part_steps;   /* of the last one */
    bool stop;             /* by on_step or bt_session_abort */
    bool stop_sent;
} bt_training;

/* Finished steps that were not reported yet. While a command runs, the device's counter is a hint
 * that may have come back damaged; afterwards the answer, which is checked, says how many. */
static bt_status count_fresh(const bt_training *training, uint32_t *fresh) {
    const bt_device *device = training->session->device;
    uint32_t most = training->posted_steps - training->reported;
    if (device->in_flight) {
        *fresh = device->mailbox.record_count - device->records_read;
        *fresh = *fresh <= most ? *fresh : 0;
        return BT_OK;
    }
    uint32_t done = training->posted_steps - training->part_steps + device->mailbox.results[0];
    *fresh = done - training->reported;
    if (device->mailbox.results[0] > training->part_steps || *fresh > most) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The device reports %u training steps where at most %u were asked for; its "
                "firmware does not fit this library.",
                device->mailbox.results[0], training->part_steps);
    }
    return BT_OK;
}

static void report_record(bt_training *training, const bt_record *record) {
    bt_session *session = training->session;
    const bt_step *step = &training->steps[training->reported];
    session->updates++;
    session->micro_steps += step->samples / session->program->micro_batch;
    training->reported++;
    session->device->records_read++;
    const bt_step_record report = {
        .step = session->updates,
        .loss = float_of(record->loss),
        .learning_rate = step->learning_rate,
        .cycles = (uint64_t)record->cycles_high << 32 | record->cycles_low,
    };
    if (training->on_step != NULL && training->on_step(training->user, &report) != 0) {
        training->stop = true;
    }
}

static bt_status read_records(bt_training *training) {
    bt_device *device = training->session->device;
    uint32_t fresh, tries = 0;
    BT_TRY(count_fresh(training, &fresh));
    while (fresh > 0) {
        bt_record records[BT_STEPS_PER_COMMAND];
        uint32_t at = device->records_read % BT_RECORD_CAPACITY;
        uint32_t count = fresh < BT_STEPS_PER_COMMAND ? fresh : BT_STEPS_PER_COMMAND;
        if (count > BT_RECORD_CAPACITY - at) {
            count = BT_RECORD_CAPACITY - at;
        }
        BT_TRY(bt_device_read(device, device->mailbox.records + at * (uint32_t)sizeof *records,
                              records, count * (uint32_t)sizeof *records));
        uint32_t whole = 0;
        while (whole < count &&
               records[whole].check == bt_record_check(&records[whole], device->records_read)) {
            report_record(training, &records[whole++]);
            tries = 0;
        }
        fresh -= whole;
        if (whole < count && device->in_flight) {
            return BT_OK; /* damaged, or not there yet: it is read again with the next ones */
        }
        if (whole < count && ++tries == BT_COMMAND_TRIES) {
            BT_FAIL(BT_ERROR_DEVICE,
                    "The record of a training step came back damaged %u times; check the "
                    "connection to the device.",
                    BT_COMMAND_TRIES);
        }
    }
    return BT_OK;
}

/* Reports finished steps and passes a request to stop on to the device. */
static bt_status train_progress(void *user) {
    bt_training *training = user;
    bt_device *device = training->session->device;
    BT_TRY(read_records(training));
    if (atomic_load(&training->session->abort)) {
        training->stop = true;
    }
    if (training->stop && !training->stop_sent && device->in_flight) {
        training->stop_sent = true;
        BT_TRY(bt_device_write(
            device, device->link->mailbox_address + (uint32_t)offsetof(bt_mailbox, abort),
            &device->sequence, (uint32_t)sizeof device->sequence));
    }
    return BT_OK;
}

/* The longest part from step first on that fits the staging buffer. */
static bt_train_part next_part(const bt_training *training, const bt_train_part *before) {
    bt_train_part part = {
        .first_step = before->first_step + before->steps,
        .first_index = before->first_index + before->indices,
        .buffer = 1u - before->buffer,
    };
    uint32_t words = 0;
    while (part.first_step + part.steps < training->step_count &&
           part.steps < BT_STEPS_PER_COMMAND) {
        uint32_t samples = training->steps[part.first_step + part.steps].samples;
        uint32_t more = (uint32_t)sizeof(bt_step_command) / 4u + samples;
        if (more > BT_STAGING_WORDS - words) {
            break;
        }
        words += more;
        part.indices += samples;
        part.steps++;
    }
    return part;
}

static bt_status stage_part(const bt_training *training, bt_train_part *part) {
    bt_device *device = training->session->device;
    uint32_t words[BT_STAGING_WORDS];
    bt_step_command *steps = (bt_step_command *)(void *)words;
    for (uint32_t i = 0; i < part->steps; i++) {
        const bt_step *step = &training->steps[part->first_step + i];
        steps[i] = make_step(training->session, step->samples, step->learning_rate,
                             training->first_update + part->first_step + i + 1);
    }
    memcpy(steps + part->steps, training->indices + part->first_index,
           part->indices * sizeof *words);
    uint32_t bytes = part->steps * (uint32_t)sizeof *steps + part->indices * 4u;
    part->crc = bt_crc32c(0, words, bytes);
    return bt_device_write(device, device->mailbox.staging[part->buffer], words, bytes);
}

static bt_status post_part(const bt_training *training, const bt_train_part *part) {
    const uint32_t arguments[] = {part->steps, part->indices, part->buffer, part->crc};
    return bt_command_post(training->session->device, BT_COMMAND_TRAIN, arguments, 4);
}

/* Waits for a posted part; sends it again while it arrives damaged. */
static bt_status finish_part(bt_training *training, bt_train_part *part) {
    bt_device *device = training->session->device;
    BT_TRY(bt_command_wait(device, train_progress, training));
    for (uint32_t tries = 1; device->mailbox.status == BT_RESULT_CRC && tries < BT_COMMAND_TRIES;
         tries++) {
        bt_device_log(device, BT_LOG_WARNING, "TRAIN: data arrived damaged, sending it again.");
        BT_TRY(stage_part(training, part));
        BT_TRY(post_part(training, part));
        BT_TRY(bt_command_wait(device, train_progress, training));
    }
    if (device->mailbox.status == BT_RESULT_NUMERIC) {
        BT_FAIL(BT_ERROR_NUMERIC, "The loss of step %llu is %f; the weights are those %s.",
                (unsigned long long)training->session->updates + 1,
                (double)float_of(device->mailbox.results[1]),
                updates_in_train(training->session)
                    ? "after it, because fused_update updates them before the loss is known. "
                      "Restore a checkpoint, and lower the learning rate or scale the inputs"
                    : "before it. Lower the learning rate or scale the inputs");
    }
    return bt_command_result(device);
}

static bt_status run_training(bt_training *training) {
    bt_train_part posted = {.buffer = 1};
    for (;;) {
        bt_train_part next = next_part(training, &posted);
        if (next.steps > 0) {
            /* The next part travels while the device trains the one before. */
            BT_TRY(stage_part(training, &next));
        }
        if (posted.steps > 0) {
            BT_TRY(finish_part(training, &posted));
        }
        if (next.steps == 0) {
            return BT_OK;
        }
        if (training->stop || atomic_load(&training->session->abort)) {
            BT_FAIL(BT_ERROR_ABORTED, "Training was stopped on request after %u of %u steps.",
                    training->reported, training->step_count);
        }
        training->posted_steps += next.steps;
        training->part_steps = next.steps;
        BT_TRY(post_part(training, &next));
        posted = next;
    }
}

bt_status bt_session_train(bt_session *session, const bt_step *steps, uint32_t step_count,
                           const uint32_t *indices, bt_step_fn on_step, void *user) {
    uint64_t count = 0;
    BT_TRY(require_open(session, __func__));
    atomic_store(&session->abort, false);
    BT_REQUIRE(steps);
    BT_REQUIRE(indices);
    for (uint32_t i = 0; i < step_count; i++) {
        BT_TRY_CONTEXT(check_step(session, steps[i].samples), "Step %u of %u to train.", i,
                       step_count);
        BT_TRY(check_learning_rate(steps[i].learning_rate, i));
        count += steps[i].samples;
    }
    BT_TRY(check_indices(session, indices, count));
    bt_training training = {
        .session = session,
        .steps = steps,
        .step_count = step_count,
        .indices = indices,
        .on_step = on_step,
        .user = user,
        .first_update = session->updates,
    };
    return run_training(&training);
}

bt_status bt_session_accumulate(bt_session *session, const uint32_t *indices, uint32_t count,
                                float *losses) {
    float staged[BT_STAGING_WORDS];
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE(indices);
    BT_TRY(require_gradients(session, __func__));
    BT_TRY(check_batch(session, count, "An accumulation", BT_STAGING_WORDS));
    BT_TRY(check_indices(session, indices, count));
    uint32_t arguments[] = {count, 0, 0};
    BT_TRY(bt_command_run_with(session->device, BT_COMMAND_ACCUMULATE, arguments, 3, 2, indices,
                               count * 4u));
    session->micro_steps += count / session->program->micro_batch;
    BT_TRY(bt_command_fetch(session->device, staged, count * 4u));
    if (losses != NULL) {
        memcpy(losses, staged, count * sizeof *losses);
    }
    return BT_OK;
}

bt_status bt_session_update(bt_session *session, float learning_rate) {
    BT_TRY(require_open(session, __func__));
    BT_TRY(require_gradients(session, __func__));
    BT_TRY(check_learning_rate(learning_rate, 0));
    bt_step_command step =
        make_step(session, session->program->micro_batch, learning_rate, session->updates + 1);
    uint32_t arguments[] = {0, 0};
    BT_TRY(bt_command_run_with(session->device, BT_COMMAND_UPDATE, arguments, 2, 1, &step,
                               (uint32_t)sizeof step));
    session->updates++;
    return BT_OK;
}

/* ------------------------------------------------------------------------------ evaluation */

/* Evaluates samples that one command takes: rows of loss and outputs through staging. */
static bt_status evaluate_chunk(bt_session *session, const uint32_t *indices, uint32_t samples,
                                float *outputs, float *losses) {
    float rows[BT_STAGING_WORDS];
    uint32_t output_elements = session->program->output_elements;
    uint32_t width = 1u + (outputs != NULL ? output_elements : 0u);
    uint32_t arguments[] = {samples, 0, 0, outputs != NULL};
    BT_TRY(bt_command_run_with(session->device, BT_COMMAND_EVALUATE, arguments, 4, 2, indices,
                               samples * 4u));
    BT_TRY(bt_command_fetch(session->device, rows, samples * width * 4u));
    for (uint32_t i = 0; i < samples; i++) {
        const float *row = rows + (size_t)i * width;
        if (losses != NULL) {
            losses[i] = row[0];
        }
        if (outputs != NULL) {
            memcpy(outputs + (size_t)i * output_elements, row + 1, output_elements * sizeof *row);
        }
    }
    return BT_OK;
}

/* Evaluates at most a micro-batch whose outputs are too many for staging: they are read from
 * memory. */
static bt_status evaluate_large(bt_session *session, const uint32_t *indices, uint32_t samples,
                                float *outputs, float *losses) {
    const bt_tensor *output = &session->tensors[session->program->output_tensor];
    BT_TRY(evaluate_chunk(session, indices, samples, NULL, losses));
    return bt_command_download(session->device, BT_SPACE_L1 + output->level, output->offset,
                               outputs, samples * session->program->output_elements * 4u);
}

bt_status bt_session_evaluate(bt_session *session, const uint32_t *indices, uint32_t count,
                              float *outputs, float *losses) {
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE(indices);
    BT_TRY(check_indices(session, indices, count));
    uint32_t output_elements = session->program->output_elements;
    uint32_t micro_batch = session->program->micro_batch;
    uint32_t chunk = BT_STAGING_WORDS / (1u + (outputs != NULL ? output_elements : 0u));
    bool large = chunk < micro_batch;
    chunk = large ? micro_batch : chunk / micro_batch * micro_batch;
    atomic_store(&session->abort, false);
    for (uint32_t done = 0; done < count;) {
        uint32_t samples = count - done < chunk ? count - done : chunk;
        float *chunk_outputs = outputs == NULL ? NULL : outputs + (size_t)done * output_elements;
        float *chunk_losses = losses == NULL ? NULL : losses + done;
        if (atomic_load(&session->abort)) {
            BT_FAIL(BT_ERROR_ABORTED,
                    "The evaluation was stopped on request after %u of %u samples.", done, count);
        }
        BT_TRY((large ? evaluate_large : evaluate_chunk)(session, indices + done, samples,
                                                         chunk_outputs, chunk_losses));
        done += samples;
    }
    return BT_OK;
}

/* --------------------------------------------------------------------------------- tensors */

uint32_t bt_session_tensor_count(const bt_session *session) {
    return session == NULL ? 0 : session->named_count + session->source->host_count;
}

static void describe_host_parameter(const bt_host_parameter *host, bt_tensor_info *out) {
    out->rank = host->shape.rank;
    for (uint32_t axis = 0; axis < BT_MAX_RANK; axis++) {
        out->dims[axis] = axis < host->shape.rank ? (int32_t)host->shape.dims[axis] : 1;
    }
    out->bytes = bt_shape_elements(&host->shape) * (uint32_t)sizeof *host->data;
    out->level = 0;
    out->name = host->name;
}

bt_status bt_session_tensor_info(const bt_session *session, uint32_t index, bt_tensor_info *out) {
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE_SIZE(out);
    uint32_t count = bt_session_tensor_count(session);
    if (index >= count) {
        BT_FAIL(BT_ERROR_ARGUMENT, "Tensor %u does not exist: the session has %u.", index, count);
    }
    if (index >= session->named_count) {
        describe_host_parameter(&session->source->host[index - session->named_count], out);
        return BT_OK;
    }
    const bt_tensor *tensor = &session->tensors[session->named[index]];
    out->rank = tensor->rank;
    for (uint32_t axis = 0; axis < BT_MAX_RANK; axis++) {
        out->dims[axis] = (int32_t)tensor->dims[axis];
    }
    out->bytes = bt_tensor_elements(tensor) * bt_dtype_bytes(tensor->dtype);
    out->level = tensor->level + 1u;
    out->name = tensor_name(session, tensor);
    return BT_OK;
}

/* The parameter of this name that the device does not have, or NULL. */
static const bt_host_parameter *find_host_parameter(const bt_session *session, const char *name) {
    for (uint32_t i = 0; i < session->source->host_count; i++) {
        if (strcmp(session->source->host[i].name, name) == 0) {
            return &session->source->host[i];
        }
    }
    return NULL;
}

static bt_status check_host_parameter(const bt_host_parameter *host, size_t count) {
    uint32_t elements = bt_shape_elements(&host->shape);
    if (elements != count) {
        BT_FAIL(BT_ERROR_ARGUMENT, "Tensor \"%s\" has %u elements, but %zu were given.", host->name,
                elements, count);
    }
    return BT_OK;
}

/* The float tensor of this name and size. */
static bt_status find_tensor(const bt_session *session, const char *name, size_t count,
                             const bt_tensor **out) {
    for (uint32_t i = 0; i < session->named_count; i++) {
        const bt_tensor *tensor = &session->tensors[session->named[i]];
        if (strcmp(tensor_name(session, tensor), name) != 0) {
            continue;
        }
        if (tensor->dtype != BT_DTYPE_F32) {
            BT_FAIL(BT_ERROR_UNSUPPORTED, "Tensor \"%s\" does not hold floats.", name);
        }
        if (bt_tensor_elements(tensor) != count) {
            BT_FAIL(BT_ERROR_ARGUMENT, "Tensor \"%s\" has %u elements, but %zu were given.", name,
                    bt_tensor_elements(tensor), count);
        }
        *out = tensor;
        return BT_OK;
    }
    BT_FAIL(
        BT_ERROR_ARGUMENT,
        "The session has no tensor \"%s\"; there are the network's parameters, "
        "gradient.<parameter> (not with fused_update) and the optimizer's state of those that are "
        "trained.",
        name);
}

bt_status bt_session_read(bt_session *session, const char *name, float *data, size_t count) {
    const bt_tensor *tensor;
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE(name);
    BT_REQUIRE(data);
    const bt_host_parameter *host = find_host_parameter(session, name);
    if (host != NULL) {
        BT_TRY(check_host_parameter(host, count));
        memcpy(data, host->data, count * sizeof *data);
        return BT_OK;
    }
    BT_TRY(find_tensor(session, name, count, &tensor));
    return bt_command_download(session->device, BT_SPACE_L1 + tensor->level, tensor->offset, data,
                               (uint32_t)(count * sizeof *data));
}

bt_status bt_session_write(bt_session *session, const char *name, const float *data, size_t count) {
    const bt_tensor *tensor;
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE(name);
    BT_REQUIRE(data);
    const bt_host_parameter *host = find_host_parameter(session, name);
    if (host != NULL) {
        BT_TRY(check_host_parameter(host, count));
        if (memcmp(data, host->data, count * sizeof *data) != 0) {
            BT_FAIL(BT_ERROR_UNSUPPORTED,
                    "The parameter \"%s\" is frozen and a pass compiled it into the program, so it "
                    "cannot get another value; compile the network with that value, or without "
                    "fold-batch-norm and cache-features.",
                    name);
        }
        return BT_OK;
    }
    BT_TRY(find_tensor(session, name, count, &tensor));
    return bt_command_upload(session->device, BT_SPACE_L1 + tensor->level, tensor->offset, data,
                             (uint32_t)(count * sizeof *data));
}

/* ---------------------------------------------------------------------------------- bookkeeping */

bt_status bt_session_set_progress(bt_session *session, uint64_t micro_steps, uint64_t updates) {
    BT_TRY(require_open(session, __func__));
    const uint32_t arguments[] = {(uint32_t)micro_steps}; /* the device counts modulo 2^32 */
    BT_TRY(bt_command_run(session->device, BT_COMMAND_PROGRESS, arguments, 1));
    session->micro_steps = micro_steps;
    session->updates = updates;
    return BT_OK;
}

bt_status bt_session_remember(bt_session *session, bt_past *past) {
    bt_device_statistics measured;
    const uint32_t arguments[] = {0};
    BT_TRY(bt_command_run(session->device, BT_COMMAND_STATISTICS, arguments, 1));
    BT_TRY(bt_command_fetch(session->device, &measured, (uint32_t)sizeof measured));
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        if (measured.high_water[level] > past->high_water[level]) {
            past->high_water[level] = measured.high_water[level];
        }
    }
    past->cycles += (uint64_t)measured.cycles_high << 32 | measured.cycles_low;
    return BT_OK;
}

bt_status bt_session_statistics(bt_session *session, bt_statistics *out) {
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE_SIZE(out);
    const bt_device *device = session->device;
    bt_past measured = session->past;
    BT_TRY(bt_session_remember(session, &measured));
    out->l1_high_water = measured.high_water[BT_LEVEL_L1];
    out->l2_high_water = measured.high_water[BT_LEVEL_L2];
    out->l3_high_water = measured.high_water[BT_LEVEL_L3];
    out->micro_steps = session->micro_steps;
    out->updates = session->updates;
    out->cycles = measured.cycles;
    out->bytes_to_device = device->bytes_to_device;
    out->bytes_from_device = device->bytes_from_device;
    out->link_nanoseconds = device->link_nanoseconds;
    return BT_OK;
}

bt_status bt_session_profile_begin(bt_session *session) {
    BT_TRY(require_open(session, __func__));
    bt_device *device = session->device;
    const uint32_t arguments[] = {1, 0};
    BT_TRY(bt_command_post(device, BT_COMMAND_PROFILE, arguments, 2));
    BT_TRY(bt_command_wait(device, NULL, NULL));
    if (device->mailbox.status == BT_RESULT_COMMAND) {
        BT_FAIL(BT_ERROR_UNSUPPORTED,
                "The %s: device cannot count instructions; open "
                "qemu:?icount=on for that.",
                device->info.link);
    }
    return bt_command_result(device);
}

bt_status bt_session_profile_end(bt_session *session, bt_profile_entry *entries, uint32_t capacity,
                                 uint32_t *count) {
    BT_TRY(require_open(session, __func__));
    BT_REQUIRE(count);
    if (capacity > 0) {
        BT_REQUIRE(entries);
    }
    bt_profile_record records[BT_OPCODE_COUNT];
    const uint32_t arguments[] = {0, 0};
    BT_TRY(bt_command_run(session->device, BT_COMMAND_PROFILE, arguments, 2));
    BT_TRY(bt_command_fetch(session->device, records, (uint32_t)sizeof records));
    *count = 0;
    for (uint32_t opcode = 0; opcode < BT_OPCODE_COUNT; opcode++) {
        const bt_profile_record *record = &records[opcode];
        bt_profile_entry entry = {
            .name = bt_opcode_name(opcode),
            .instructions = (uint64_t)record->instructions[1] << 32 | record->instructions[0],
            .critical = (uint64_t)record->critical[1] << 32 | record->critical[0],
        };
        if (entry.instructions > 0 && (*count)++ < capacity) {
            entries[*count - 1] = entry;
        }
    }
    return BT_OK;
}
