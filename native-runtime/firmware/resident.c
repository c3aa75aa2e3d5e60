#include "resident.h"

#include "biotrain/biotrain.h"
#include "interp/interp.h"

/* Unwritten memory: a NaN, so that a program that reads what it never wrote shows at once. */
#define BT_PAINT 0xFFC5A5A5u
/* Painted beyond a program's peak, to notice writes there. */
#define BT_PAINT_MARGIN 4096u

/* ------------------------------------------------------------------------------- sequences */

typedef struct bt_run {
    bt_machine machine;
    uint32_t sequence;
    const bt_step_scalars *scalars;
} bt_run;

static void run_on_core(void *argument, const bt_team *team) {
    const bt_run *run = (const bt_run *)argument;
    bt_interp_run(&run->machine, run->sequence, run->scalars, team);
}

/* Written bytes of the program's part of L3, which the firmware cannot search as it does L1 and L2.
 */
static void mark_l3(bt_resident *resident, uint32_t end) {
    if (end <= resident->program->arena_bytes[BT_LEVEL_L3] && end > resident->l3_high_water) {
        resident->l3_high_water = end;
    }
}

static void start_dma(void *context, const bt_dma *dma) {
    bt_resident *resident = (bt_resident *)context;
    if (dma->level == BT_LEVEL_L3 && !dma->to_l1) {
        mark_l3(resident, dma->offset + (dma->rows - 1u) * dma->stride + dma->row_bytes);
    }
    resident->hal->dma_start(resident->hal->context, dma);
}

static void wait_for_dma(void *context) {
    bt_resident *resident = (bt_resident *)context;
    resident->hal->dma_wait(resident->hal->context);
}

static void run_sequence(bt_resident *resident, uint32_t sequence, const bt_step_scalars *scalars) {
    const bt_hal *hal = resident->hal;
    bt_mailbox *mailbox = resident->memory.mailbox;
    bt_run run;
    uint32_t level;
    run.machine.program = resident->program;
    run.machine.kernels = hal->kernels;
    run.machine.dma_start = start_dma;
    run.machine.dma_wait = wait_for_dma;
    run.machine.context = resident;
    run.machine.profile = resident->profiling ? &resident->profile : NULL;
    for (level = 0; level < BT_LEVEL_COUNT; level++) {
        run.machine.arena[level] = hal->arena[level];
    }
    run.sequence = sequence;
    run.scalars = scalars;
    hal->run_on_cores(hal->context, run_on_core, &run);
    bt_word_store(&mailbox->heartbeat, mailbox->heartbeat + 1u);
}

/* A sequence whose cycles count as training. */
static void run_training_sequence(bt_resident *resident, uint32_t sequence,
                                  const bt_step_scalars *scalars) {
    const bt_hal *hal = resident->hal;
    uint64_t begin = hal->cycles(hal->context);
    run_sequence(resident, sequence, scalars);
    resident->training_cycles += hal->cycles(hal->context) - begin;
}

/* ------------------------------------------------------------------------- memory and spaces */

static const bt_tensor *tensor_table(const bt_resident *resident) {
    return (const bt_tensor *)(const void *)((const uint8_t *)resident->program +
                                             resident->program->tensor_offset);
}

static uint8_t *tensor_data(const bt_resident *resident, uint32_t index) {
    const bt_tensor *tensor = &tensor_table(resident)[index];
    return resident->hal->arena[tensor->level] + tensor->offset;
}

/* L3 holds the program's arena, then the sample store. */
static uint32_t store_base(const bt_resident *resident) {
    return (resident->program->arena_bytes[BT_LEVEL_L3] + 3u) & ~3u;
}

static uint32_t store_bytes(const bt_resident *resident) {
    uint32_t base = store_base(resident);
    uint32_t all = resident->hal->arena_bytes[BT_LEVEL_L3];
    return base < all ? all - base : 0;
}

/* Words of an arena that LOAD paints and STATISTICS searches. */
static uint32_t painted_words(const bt_resident *resident, uint32_t level) {
    uint32_t used = resident->program->arena_bytes[level];
    uint32_t all = resident->hal->arena_bytes[level];
    return (all - used > BT_PAINT_MARGIN ? used + BT_PAINT_MARGIN : all) / 4u;
}

static void paint_arenas(const bt_resident *resident) {
    const bt_tensor *tensors = tensor_table(resident);
    uint32_t level;
    uint32_t i;
    for (level = 0; level < BT_LEVEL_L3; level++) {
        uint32_t *words = (uint32_t *)(void *)resident->hal->arena[level];
        uint32_t count = painted_words(resident, level);
        for (i = 0; i < count; i++) {
            words[i] = BT_PAINT;
        }
    }
    /* What outlives a step has a name (parameters, gradients, optimizer state); it begins at zero.
     */
    for (i = 0; i < resident->program->tensor_count; i++) {
        if (tensors[i].name != BT_NO_TENSOR && tensors[i].level != BT_LEVEL_L3) {
            __builtin_memset(tensor_data(resident, i), 0,
                             (size_t)bt_tensor_elements(&tensors[i]) *
                                 bt_dtype_bytes(tensors[i].dtype));
        }
    }
}

static uint32_t high_water(const bt_resident *resident, uint32_t level) {
    const uint32_t *words = (const uint32_t *)(const void *)resident->hal->arena[level];
    uint32_t count = painted_words(resident, level);
    while (count > 0 && words[count - 1u] == BT_PAINT) {
        count--;
    }
    return count * 4u;
}

static void forget_program(bt_resident *resident) {
    resident->program = NULL;
    resident->format = 0;
    resident->micro_steps = 0;
    resident->l3_high_water = 0;
    resident->training_cycles = 0;
}

static uint8_t *staging_buffer(const bt_resident *resident, uint32_t buffer) {
    return buffer < BT_STAGING_BUFFERS ? resident->memory.staging[buffer] : NULL;
}

/* Either *memory or, behind L3's DMA, *l3 locates the range. */
static uint32_t locate(const bt_resident *resident, uint32_t space, uint32_t offset,
                       uint32_t length, uint8_t **memory, uint32_t *l3) {
    uint32_t limit;
    *memory = NULL;
    *l3 = 0;
    if (space > BT_SPACE_SAMPLES || offset % 4u != 0 || length % 4u != 0 || length == 0 ||
        length > BT_STAGING_BYTES) {
        return BT_RESULT_ARGUMENT;
    }
    if (space != BT_SPACE_PROGRAM && resident->program == NULL) {
        return BT_RESULT_STATE;
    }
    switch (space) {
    case BT_SPACE_PROGRAM:
        *memory = resident->memory.program;
        limit = resident->memory.program_bytes;
        break;
    case BT_SPACE_L1:
    case BT_SPACE_L2: {
        uint32_t level = space == BT_SPACE_L1 ? BT_LEVEL_L1 : BT_LEVEL_L2;
        *memory = resident->hal->arena[level];
        limit = resident->program->arena_bytes[level];
        break;
    }
    case BT_SPACE_L3:
        limit = resident->program->arena_bytes[BT_LEVEL_L3];
        break;
    default:
        *l3 = store_base(resident);
        limit = store_bytes(resident);
        break;
    }
    if (length > limit || offset > limit - length) {
        return BT_RESULT_ARGUMENT;
    }
    if (*memory != NULL) {
        *memory += offset;
    } else {
        *l3 += offset;
    }
    return BT_RESULT_OK;
}

/* --------------------------------------------------------------------------------- samples */

static uint32_t sample_exists(const bt_resident *resident, uint32_t index) {
    return index < store_bytes(resident) / resident->sample.record_bytes;
}

static uint32_t samples_exist(const bt_resident *resident, const uint32_t *indices,
                              uint32_t count) {
    uint32_t i;
    for (i = 0; i < count; i++) {
        if (!sample_exists(resident, indices[i])) {
            return 0;
        }
    }
    return 1;
}

/* A run of 16-bit values on their way from L3 into a fetch buffer. */
typedef struct bt_piece {
    const uint32_t *words;
    uint32_t skip; /* values before the first one wanted: a channel may begin in mid-word */
    uint32_t count;
} bt_piece;

/* Starts the transfer of the next at most left values at an L3 address. */
static bt_piece piece_start(bt_resident *resident, uint32_t buffer, uint32_t at, uint32_t left) {
    const bt_hal *hal = resident->hal;
    bt_piece piece;
    piece.words = resident->fetch[buffer];
    piece.skip = (at & 3u) / 2u;
    piece.count = 2u * BT_FETCH_WORDS - piece.skip;
    if (piece.count > left) {
        piece.count = left;
    }
    if (piece.count > 0) {
        hal->l3_start(hal->context, at & ~3u, resident->fetch[buffer],
                      (2u * (piece.skip + piece.count) + 3u) & ~3u);
    }
    return piece;
}

/* Reads one channel of 16-bit values and scales them; a piece travels while the last is scaled. */
static void fetch_channel(bt_resident *resident, uint32_t scale_at, uint32_t data_at,
                          uint32_t elements, float *to) {
    const bt_hal *hal = resident->hal;
    float scale_offset[2];
    uint32_t buffer = 0;
    bt_piece piece;
    bt_l3_read(hal, scale_at, scale_offset, sizeof scale_offset);
    piece = piece_start(resident, buffer, data_at, elements);
    while (piece.count > 0) {
        bt_piece next;
        uint32_t i;
        hal->l3_wait(hal->context);
        data_at += 2u * piece.count;
        elements -= piece.count;
        buffer ^= 1u;
        next = piece_start(resident, buffer, data_at, elements);
        for (i = 0; i < piece.count; i++) {
            uint32_t half = piece.skip + i;
            int16_t value = (int16_t)(uint16_t)(piece.words[half / 2u] >> (half % 2u * 16u));
            to[i] = bt_fma((float)value, scale_offset[0], scale_offset[1]);
        }
        to += piece.count;
        piece = next;
    }
}

/*
 * Reads bytes that belong into any level, a piece at a time: L3's DMA reaches L2 only, where the
 * buffers are. A piece travels while the last is copied.
 */
static void fetch_bytes(bt_resident *resident, uint32_t at, uint32_t bytes, uint8_t *to) {
    const bt_hal *hal = resident->hal;
    uint32_t buffer = 0;
    uint32_t count = bytes < BT_FETCH_BYTES ? bytes : BT_FETCH_BYTES;
    hal->l3_start(hal->context, at, resident->fetch[buffer], count);
    while (bytes > 0) {
        uint32_t next = bytes - count < BT_FETCH_BYTES ? bytes - count : BT_FETCH_BYTES;
        hal->l3_wait(hal->context);
        at += count;
        if (next > 0) {
            hal->l3_start(hal->context, at, resident->fetch[buffer ^ 1u], next);
        }
        __builtin_memcpy(to, resident->fetch[buffer], count);
        to += count;
        bytes -= count;
        count = next;
        buffer ^= 1u;
    }
}

/* Brings a sample into slot of the input and target tensors. Returns 0 for a label out of range. */
static uint32_t fetch_sample(bt_resident *resident, uint32_t index, uint32_t slot) {
    const bt_program_header *program = resident->program;
    const bt_sample_layout *layout = &resident->sample;
    uint32_t at = store_base(resident) + index * layout->record_bytes;
    uint32_t scale_at = at + layout->target_bytes;
    uint32_t data_at = scale_at + layout->scale_bytes;
    float *input = (float *)(void *)tensor_data(resident, program->input_tensor) +
                   (size_t)slot * program->input_elements;
    uint8_t *target =
        tensor_data(resident, program->target_tensor) + (size_t)slot * layout->target_bytes;
    fetch_bytes(resident, at, layout->target_bytes, target);
    if (program->target_kind == BT_TARGET_CLASS) {
        uint32_t label;
        __builtin_memcpy(&label, target, sizeof label);
        if (label >= program->output_elements) {
            return 0;
        }
    }
    if (resident->format == BT_SAMPLE_FLOAT32) {
        fetch_bytes(resident, data_at, layout->data_bytes, (uint8_t *)input);
    } else {
        uint32_t length = program->input_elements / resident->channels;
        uint32_t channel;
        for (channel = 0; channel < resident->channels; channel++) {
            fetch_channel(resident, scale_at + 8u * channel, data_at + 2u * channel * length,
                          length, input + (size_t)channel * length);
        }
    }
    return 1;
}

/* Trains on count samples, a multiple of the micro-batch; adds their losses to *sum in order. */
static uint32_t train_samples(bt_resident *resident, bt_step_scalars *scalars,
                              const uint32_t *indices, uint32_t count, float *sum, float *losses) {
    uint32_t batch = resident->program->micro_batch;
    const float *loss =
        (const float *)(const void *)tensor_data(resident, resident->program->loss_tensor);
    uint32_t done;
    uint32_t slot;
    run_training_sequence(resident, BT_SEQUENCE_BEGIN, scalars);
    for (done = 0; done < count; done += batch) {
        for (slot = 0; slot < batch; slot++) {
            if (!fetch_sample(resident, indices[done + slot], slot)) {
                return BT_RESULT_ARGUMENT;
            }
        }
        scalars->micro_step = resident->micro_steps;
        run_training_sequence(resident, BT_SEQUENCE_TRAIN, scalars);
        resident->micro_steps++;
        for (slot = 0; slot < batch; slot++) {
            *sum += loss[slot];
            if (losses != NULL) {
                losses[done + slot] = loss[slot];
            }
        }
    }
    return BT_RESULT_OK;
}

/* -------------------------------------------------------------------------------- commands */

static float float_of(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint32_t is_finite(float value) { return (bits_of(value) & 0x7F800000u) != 0x7F800000u; }

static void set_scalars(const bt_resident *resident, const bt_step_command *step,
                        bt_step_scalars *out) {
    out->learning_rate = float_of(step->learning_rate);
    out->correction1 = float_of(step->correction1);
    out->correction2 = float_of(step->correction2);
    out->inverse_batch = 1.0f / (float)step->samples;
    out->seed[0] = resident->program->seed[0];
    out->seed[1] = resident->program->seed[1];
    out->micro_step = resident->micro_steps;
}

static uint32_t command_write(bt_resident *resident, const uint32_t *arguments) {
    const bt_hal *hal = resident->hal;
    uint32_t length = arguments[2];
    const uint8_t *staging = staging_buffer(resident, arguments[3]);
    uint8_t *memory;
    uint32_t l3;
    uint32_t result = locate(resident, arguments[0], arguments[1], length, &memory, &l3);
    if (result != BT_RESULT_OK || staging == NULL) {
        return result != BT_RESULT_OK ? result : BT_RESULT_ARGUMENT;
    }
    if (bt_crc32c(0, staging, length) != arguments[4]) {
        return BT_RESULT_CRC;
    }
    if (arguments[0] == BT_SPACE_PROGRAM) {
        /* What was validated is about to change. */
        forget_program(resident);
    }
    if (memory != NULL) {
        __builtin_memcpy(memory, staging, length);
    } else {
        hal->l3_write(hal->context, l3, staging, length);
        mark_l3(resident, l3 + length);
    }
    return BT_RESULT_OK;
}

static uint32_t command_read(bt_resident *resident, const uint32_t *arguments, uint32_t *results) {
    const bt_hal *hal = resident->hal;
    uint32_t length = arguments[2];
    uint8_t *staging = staging_buffer(resident, arguments[3]);
    uint8_t *memory;
    uint32_t l3;
    uint32_t result = locate(resident, arguments[0], arguments[1], length, &memory, &l3);
    if (result != BT_RESULT_OK || staging == NULL) {
        return result != BT_RESULT_OK ? result : BT_RESULT_ARGUMENT;
    }
    if (memory != NULL) {
        __builtin_memcpy(staging, memory, length);
    } else {
        bt_l3_read(hal, l3, staging, length);
    }
    results[0] = bt_crc32c(0, staging, length);
    return BT_RESULT_OK;
}

static uint32_t command_load(bt_resident *resident, const uint32_t *arguments, uint32_t *results) {
    bt_fault_location where;
    forget_program(resident);
    if (arguments[0] > resident->memory.program_bytes) {
        return BT_RESULT_ARGUMENT;
    }
    bt_program_validate(resident->memory.program, arguments[0], resident->hal->arena_bytes, &where);
    if (where.fault != BT_FAULT_NONE) {
        results[0] = where.fault;
        results[1] = where.sequence;
        results[2] = where.instruction;
        results[3] = where.tensor;
        return BT_RESULT_PROGRAM;
    }
    resident->program = (const bt_program_header *)(const void *)resident->memory.program;
    paint_arenas(resident);
    return BT_RESULT_OK;
}

static uint32_t command_samples(bt_resident *resident, const uint32_t *arguments) {
    if (resident->program == NULL) {
        return BT_RESULT_STATE;
    }
    resident->format = 0;
    if (!bt_sample_layout_get(resident->program, arguments[0], arguments[1], &resident->sample)) {
        return BT_RESULT_ARGUMENT;
    }
    resident->format = arguments[0];
    resident->channels = arguments[1];
    return BT_RESULT_OK;
}

/* One optimizer step; its record goes into the ring. */
static uint32_t train_step(bt_resident *resident, const bt_step_command *step,
                           const uint32_t *indices, uint32_t *results) {
    const bt_hal *hal = resident->hal;
    bt_mailbox *mailbox = resident->memory.mailbox;
    bt_record *record = &resident->memory.records[mailbox->record_count % BT_RECORD_CAPACITY];
    uint32_t micro_steps = resident->micro_steps;
    bt_step_scalars scalars;
    float sum = 0.0f;
    float mean;
    uint64_t cycles;
    uint32_t result;
    set_scalars(resident, step, &scalars);
    result = train_samples(resident, &scalars, indices, step->samples, &sum, NULL);
    mean = sum / (float)step->samples;
    if (result == BT_RESULT_OK && !is_finite(mean)) {
        results[1] = bits_of(mean);
        result = BT_RESULT_NUMERIC;
    }
    if (result != BT_RESULT_OK) {
        resident->micro_steps = micro_steps; /* the step did not happen */
        return result;
    }
    run_training_sequence(resident, BT_SEQUENCE_UPDATE, &scalars);
    cycles = hal->cycles(hal->context);
    record->loss = bits_of(mean);
    record->cycles_low = (uint32_t)cycles;
    record->cycles_high = (uint32_t)(cycles >> 32);
    record->check = bt_record_check(record, mailbox->record_count);
    hal->fence(hal->context);
    bt_word_store(&mailbox->record_count, mailbox->record_count + 1u);
    hal->notify(hal->context);
    return BT_RESULT_OK;
}

/* Steps of this program end with their only micro-batch. */
static uint32_t updates_in_train(const bt_resident *resident) {
    return (resident->program->flags & BT_PROGRAM_FUSED_UPDATE) != 0;
}

static uint32_t command_train(bt_resident *resident, const uint32_t *arguments, uint32_t sequence,
                              uint32_t *results) {
    uint32_t steps = arguments[0];
    uint32_t count = arguments[1];
    const uint8_t *staging = staging_buffer(resident, arguments[2]);
    const bt_step_command *step = (const bt_step_command *)(const void *)staging;
    const uint32_t *indices;
    uint32_t left = count;
    uint32_t i;
    if (resident->program == NULL || resident->format == 0) {
        return BT_RESULT_STATE;
    }
    if (staging == NULL || steps == 0 || steps > BT_STAGING_BYTES / sizeof *step ||
        count > (BT_STAGING_BYTES - steps * sizeof *step) / sizeof *indices) {
        return BT_RESULT_ARGUMENT;
    }
    if (bt_crc32c(0, staging, steps * sizeof *step + count * sizeof *indices) != arguments[3]) {
        return BT_RESULT_CRC;
    }
    indices = (const uint32_t *)(const void *)(step + steps);
    for (i = 0; i < steps; i++) {
        uint32_t samples = step[i].samples;
        if (samples == 0 || samples % resident->program->micro_batch != 0 || samples > left ||
            (updates_in_train(resident) && samples != resident->program->micro_batch)) {
            return BT_RESULT_ARGUMENT;
        }
        left -= samples;
    }
    if (left != 0 || !samples_exist(resident, indices, count)) {
        return BT_RESULT_ARGUMENT;
    }
    for (i = 0; i < steps; i++) {
        uint32_t result = train_step(resident, &step[i], indices, results);
        if (result != BT_RESULT_OK) {
            return result;
        }
        indices += step[i].samples;
        results[0] = i + 1u;
        if (i + 1u < steps && bt_word_load(&resident->memory.mailbox->abort) == sequence) {
            return BT_RESULT_ABORTED;
        }
    }
    return BT_RESULT_OK;
}

/* Staging holding count sample indices, or NULL with *result saying why not. */
static uint32_t *staged_indices(bt_resident *resident, const uint32_t *arguments,
                                uint32_t words_per_sample, uint32_t *result) {
    uint32_t count = arguments[0];
    uint8_t *staging = staging_buffer(resident, arguments[1]);
    uint32_t *indices = (uint32_t *)(void *)staging;
    if (staging == NULL || count == 0 || count > BT_STAGING_BYTES / 4u / words_per_sample) {
        *result = BT_RESULT_ARGUMENT;
    } else if (bt_crc32c(0, staging, count * sizeof *indices) != arguments[2]) {
        *result = BT_RESULT_CRC;
    } else if (!samples_exist(resident, indices, count)) {
        *result = BT_RESULT_ARGUMENT;
    } else {
        return indices;
    }
    return NULL;
}

static uint32_t command_accumulate(bt_resident *resident, const uint32_t *arguments,
                                   uint32_t *results) {
    bt_step_command step = {0, 0, 0, 0};
    bt_step_scalars scalars;
    uint32_t *indices;
    uint32_t result;
    float sum = 0.0f;
    if (resident->program == NULL || resident->format == 0 || updates_in_train(resident)) {
        return BT_RESULT_STATE;
    }
    indices = staged_indices(resident, arguments, 1, &result);
    if (indices == NULL) {
        return result;
    }
    if (arguments[0] % resident->program->micro_batch != 0) {
        return BT_RESULT_ARGUMENT;
    }
    step.samples = arguments[0];
    set_scalars(resident, &step, &scalars);
    result =
        train_samples(resident, &scalars, indices, step.samples, &sum, (float *)(void *)indices);
    results[0] = bt_crc32c(0, indices, step.samples * sizeof *indices);
    return result;
}

static uint32_t command_update(bt_resident *resident, const uint32_t *arguments) {
    const uint8_t *staging = staging_buffer(resident, arguments[0]);
    const bt_step_command *step = (const bt_step_command *)(const void *)staging;
    bt_step_scalars scalars;
    if (resident->program == NULL || updates_in_train(resident)) {
        return BT_RESULT_STATE;
    }
    if (staging == NULL) {
        return BT_RESULT_ARGUMENT;
    }
    if (bt_crc32c(0, staging, sizeof *step) != arguments[1]) {
        return BT_RESULT_CRC;
    }
    if (step->samples == 0) {
        return BT_RESULT_ARGUMENT;
    }
    set_scalars(resident, step, &scalars);
    run_training_sequence(resident, BT_SEQUENCE_UPDATE, &scalars);
    return BT_RESULT_OK;
}

static uint32_t command_evaluate(bt_resident *resident, const uint32_t *arguments,
                                 uint32_t *results) {
    const bt_step_command step = {1, 0, 0, 0};
    bt_step_scalars scalars;
    uint32_t count = arguments[0];
    uint32_t batch;
    uint32_t outputs;
    uint32_t staged_outputs;
    uint32_t *staged;
    uint32_t begin;
    uint32_t slot;
    uint32_t result;
    const uint32_t *loss;
    const uint32_t *output;
    if (resident->program == NULL || resident->format == 0) {
        return BT_RESULT_STATE;
    }
    batch = resident->program->micro_batch;
    outputs = resident->program->output_elements;
    staged_outputs = arguments[3] ? outputs : 0;
    if (staged_outputs >= BT_STAGING_BYTES / 4u) {
        return BT_RESULT_ARGUMENT;
    }
    staged = staged_indices(resident, arguments, staged_outputs + 1u, &result);
    if (staged == NULL) {
        return result;
    }
    loss = (const uint32_t *)(const void *)tensor_data(resident, resident->program->loss_tensor);
    output =
        (const uint32_t *)(const void *)tensor_data(resident, resident->program->output_tensor);
    set_scalars(resident, &step, &scalars);
    /* Last micro-batch first: results then overwrite only indices that have been used. */
    begin = (count - 1u) / batch * batch;
    for (;;) {
        for (slot = 0; slot < batch; slot++) {
            /* The last micro-batch is filled up with its last sample. */
            uint32_t sample = begin + slot < count ? begin + slot : count - 1u;
            if (!fetch_sample(resident, staged[sample], slot)) {
                return BT_RESULT_ARGUMENT;
            }
        }
        run_sequence(resident, BT_SEQUENCE_EVALUATE, &scalars);
        for (slot = 0; slot < batch && begin + slot < count; slot++) {
            uint32_t *row = staged + (begin + slot) * (staged_outputs + 1u);
            row[0] = loss[slot];
            __builtin_memcpy(row + 1, output + (size_t)slot * outputs, 4u * staged_outputs);
        }
        if (begin == 0) {
            break;
        }
        begin -= batch;
    }
    results[0] = bt_crc32c(0, staged, 4u * count * (staged_outputs + 1u));
    return BT_RESULT_OK;
}

static uint32_t command_statistics(const bt_resident *resident, const uint32_t *arguments,
                                   uint32_t *results) {
    bt_device_statistics statistics;
    uint8_t *staging = staging_buffer(resident, arguments[0]);
    if (resident->program == NULL) {
        return BT_RESULT_STATE;
    }
    if (staging == NULL) {
        return BT_RESULT_ARGUMENT;
    }
    statistics.high_water[BT_LEVEL_L1] = high_water(resident, BT_LEVEL_L1);
    statistics.high_water[BT_LEVEL_L2] = high_water(resident, BT_LEVEL_L2);
    statistics.high_water[BT_LEVEL_L3] = resident->l3_high_water;
    statistics.micro_steps = resident->micro_steps;
    statistics.cycles_low = (uint32_t)resident->training_cycles;
    statistics.cycles_high = (uint32_t)(resident->training_cycles >> 32);
    __builtin_memcpy(staging, &statistics, sizeof statistics);
    results[0] = bt_crc32c(0, staging, sizeof statistics);
    return BT_RESULT_OK;
}

static void words_of(uint64_t value, uint32_t words[2]) {
    words[0] = (uint32_t)value;
    words[1] = (uint32_t)(value >> 32);
}

static uint32_t command_profile(bt_resident *resident, const uint32_t *arguments,
                                uint32_t *results) {
    const bt_hal *hal = resident->hal;
    uint8_t *staging = staging_buffer(resident, arguments[1]);
    bt_profile_record *records = (bt_profile_record *)(void *)staging;
    uint32_t opcode;
    if (hal->set_profile == NULL) {
        return BT_RESULT_COMMAND;
    }
    if (arguments[0] > 1u || staging == NULL) {
        return BT_RESULT_ARGUMENT;
    }
    resident->profiling = arguments[0];
    if (resident->profiling) {
        __builtin_memset(&resident->profile, 0, sizeof resident->profile);
        hal->set_profile(hal->context, &resident->profile);
        return BT_RESULT_OK;
    }
    hal->set_profile(hal->context, NULL);
    for (opcode = 0; opcode < BT_OPCODE_COUNT; opcode++) {
        words_of(resident->profile.instructions[opcode], records[opcode].instructions);
        words_of(resident->profile.critical[opcode], records[opcode].critical);
    }
    results[0] = bt_crc32c(0, records, BT_OPCODE_COUNT * sizeof *records);
    return BT_RESULT_OK;
}

static uint32_t serve(bt_resident *resident, uint32_t command, const uint32_t *arguments,
                      uint32_t sequence, uint32_t *results) {
    switch (command) {
    case BT_COMMAND_PING:
        return BT_RESULT_OK;
    case BT_COMMAND_RESET:
        forget_program(resident);
        return BT_RESULT_OK;
    case BT_COMMAND_WRITE:
        return command_write(resident, arguments);
    case BT_COMMAND_READ:
        return command_read(resident, arguments, results);
    case BT_COMMAND_LOAD:
        return command_load(resident, arguments, results);
    case BT_COMMAND_SAMPLES:
        return command_samples(resident, arguments);
    case BT_COMMAND_TRAIN:
        return command_train(resident, arguments, sequence, results);
    case BT_COMMAND_ACCUMULATE:
        return command_accumulate(resident, arguments, results);
    case BT_COMMAND_UPDATE:
        return command_update(resident, arguments);
    case BT_COMMAND_EVALUATE:
        return command_evaluate(resident, arguments, results);
    case BT_COMMAND_PROGRESS:
        if (resident->program == NULL) {
            return BT_RESULT_STATE;
        }
        resident->micro_steps = arguments[0];
        return BT_RESULT_OK;
    case BT_COMMAND_STATISTICS:
        return command_statistics(resident, arguments, results);
    case BT_COMMAND_PROFILE:
        return command_profile(resident, arguments, results);
    default:
        return BT_RESULT_COMMAND;
    }
}

void bt_resident_init(bt_resident *resident, const bt_hal *hal, const bt_resident_memory *memory,
                      uint32_t build_id, uint32_t generation) {
    bt_mailbox *mailbox = memory->mailbox;
    uint32_t i;
    __builtin_memset(resident, 0, sizeof *resident);
    resident->hal = hal;
    resident->memory = *memory;
    __builtin_memset(mailbox, 0, sizeof *mailbox);
    mailbox->protocol = BT_PROTOCOL_VERSION;
    mailbox->build_id = build_id;
    mailbox->cores = hal->cores;
    for (i = 0; i < BT_LEVEL_COUNT; i++) {
        mailbox->arena_bytes[i] = hal->arena_bytes[i];
    }
    mailbox->program_bytes = memory->program_bytes;
    for (i = 0; i < BT_STAGING_BUFFERS; i++) {
        mailbox->staging[i] = memory->staging_address[i];
    }
    mailbox->records = memory->records_address;
    mailbox->generation = generation;
    mailbox->state = BT_STATE_IDLE;
    hal->fence(hal->context);
    bt_word_store(&mailbox->magic, BT_MAILBOX_MAGIC);
    hal->notify(hal->context);
}

uint32_t bt_resident_poll(bt_resident *resident) {
    const bt_hal *hal = resident->hal;
    bt_mailbox *mailbox = resident->memory.mailbox;
    uint32_t sequence = bt_word_load(&mailbox->sequence);
    uint32_t words[1u + BT_MAILBOX_ARGUMENTS];      /* command and arguments */
    uint32_t answer[1u + BT_MAILBOX_RESULTS] = {0}; /* status and results */
    uint32_t i;
    if (sequence == mailbox->completed) {
        return 0;
    }
    hal->fence(hal->context);
    bt_word_store(&mailbox->state, BT_STATE_BUSY);
    bt_word_store(&mailbox->heartbeat, mailbox->heartbeat + 1u);
    words[0] = bt_word_load(&mailbox->command);
    for (i = 0; i < BT_MAILBOX_ARGUMENTS; i++) {
        words[1u + i] = bt_word_load(&mailbox->arguments[i]);
    }
    answer[0] = bt_mailbox_check(words, 1u + BT_MAILBOX_ARGUMENTS, sequence) ==
                        bt_word_load(&mailbox->check)
                    ? serve(resident, words[0], words + 1, sequence, answer + 1)
                    : BT_RESULT_CRC;
    bt_word_store(&mailbox->status, answer[0]);
    for (i = 0; i < BT_MAILBOX_RESULTS; i++) {
        bt_word_store(&mailbox->results[i], answer[1u + i]);
    }
    bt_word_store(&mailbox->results_check,
                  bt_mailbox_check(answer, 1u + BT_MAILBOX_RESULTS, sequence));
    bt_word_store(&mailbox->state, BT_STATE_IDLE);
    hal->fence(hal->context);
    bt_word_store(&mailbox->completed, sequence);
    hal->notify(hal->context);
    return 1;
}
