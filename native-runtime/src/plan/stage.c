#include "plan/stage.h"

#include <stdlib.h>
#include <string.h>

#include "plan/split.h"

/* Pieces of one instruction at most. */
#define BT_MAX_PIECES 512u

/* Of a program, for one transfer: head, operands, offset. */
enum { TRANSFER_BYTES = 4 * (1 + 2 + 1) };

/* A copy of a window in L1. */
typedef struct tile {
    uint32_t tensor;
    uint32_t storage; /* of what it is a copy of */
    uint32_t dtype;
    bt_window window; /* offset counts from the start of the storage */
    uint32_t bytes;
    uint32_t last;   /* job that uses it last */
    uint32_t leaves; /* job that sends it home, or BT_NO_TENSOR */
    bool valid;      /* equal to what it is a copy of, or newer */
} tile;

typedef struct transfer {
    uint32_t tile;
    uint32_t far; /* tensor */
    bool dropped;
} transfer;

/* One piece of an instruction. */
typedef struct job {
    bt_instruction instruction;
    uint32_t time; /* of the instruction it comes from */
    uint32_t in_count, out_count;
    transfer in[BT_MAX_OPERANDS], out[BT_MAX_OPERANDS];
    uint32_t direct_count;
    uint32_t direct[BT_MAX_OPERANDS]; /* operands that stay where they are, in L2 */
    uint64_t tile_bytes;              /* of tiles that live while it runs */
} job;

typedef struct stage {
    bt_ir *ir;
    uint64_t capacity;
    uint32_t sequence;
    const uint64_t *home_bytes; /* in L1, per instruction of the sequence */
    job *jobs;
    uint32_t job_count, job_capacity;
    tile *tiles;
    uint32_t tile_count, tile_capacity;
    uint32_t first_tile; /* of this sequence */
    uint64_t bytes;      /* of the program so far */
    bool *written;       /* per tensor: a storage that this sequence has written */
    bt_staging *result;
} stage;

static void fail_memory(stage *s) {
    s->ir->status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
}

static void *grow(stage *s, void *array, uint32_t *capacity, uint32_t count, size_t size) {
    if (count < *capacity) {
        return array;
    }
    uint32_t larger = *capacity == 0 ? 256 : 2 * *capacity;
    void *moved = realloc(array, larger * size);
    if (moved == NULL) {
        fail_memory(s);
        return array;
    }
    *capacity = larger;
    return moved;
}

static const bt_ir_tensor *storage_of(const stage *s, uint32_t tensor) {
    return &s->ir->tensors[s->ir->tensors[tensor].storage];
}

static bool is_far(const stage *s, const bt_instruction *instruction, uint32_t operand) {
    uint32_t tensor = instruction->operands[operand];
    return tensor != BT_NO_TENSOR && storage_of(s, tensor)->level != BT_LEVEL_L1;
}

static uint32_t padded(uint64_t bytes) { return (uint32_t)((bytes + 3) & ~(uint64_t)3); }

static uint32_t window_bytes(const bt_window *window, uint32_t dtype) {
    return padded((uint64_t)window->rows * window->row_length * bt_dtype_bytes(dtype));
}

/* ---- choosing the pieces */

/* Bytes of tiles for one piece; UINT64_MAX if an operand in L1 has no dense part for it, or one
 * transfer cannot carry a tile. */
static uint64_t piece_bytes(const stage *s, const bt_piece *piece) {
    uint64_t sum = 0;
    for (uint32_t k = 0; k < piece->instruction.operand_count; k++) {
        uint32_t tensor = piece->instruction.operands[k];
        if (tensor == BT_NO_TENSOR) {
            continue;
        }
        const bt_window *window = &piece->windows[k];
        uint32_t dtype = s->ir->tensors[tensor].dtype;
        if (is_far(s, &piece->instruction, k)) {
            uint64_t bytes = window_bytes(window, dtype);
            sum += bytes;
            if (bytes > BT_TRANSFER_MAX_BYTES) {
                return UINT64_MAX;
            }
        } else if (!bt_window_is_dense(window) || window->offset * bt_dtype_bytes(dtype) % 4 != 0) {
            return UINT64_MAX;
        }
    }
    return sum;
}

/* Of the largest piece. */
static uint64_t largest_piece(const stage *s, const bt_instruction *instruction, bt_split counts) {
    uint64_t largest = 0;
    for (uint32_t u = 0; u < counts.units; u++) {
        for (uint32_t c = 0; c < counts.columns; c++) {
            bt_piece piece;
            bt_split_piece(s->ir, instruction, counts, u, c, &piece);
            uint64_t bytes = piece_bytes(s, &piece);
            largest = bytes > largest ? bytes : largest;
        }
    }
    return largest;
}

/* The next larger number of pieces worth trying. */
static uint32_t more(uint32_t count, uint32_t limit) {
    uint32_t next = count < 8 ? count + 1 : count + count / 2;
    return count == limit ? limit + 1 : next < limit ? next : limit;
}

/* Fewest pieces along units, else along columns, else along both, each of at most room bytes. */
static bool find_counts(const stage *s, const bt_instruction *instruction, uint64_t room,
                        bt_split *out) {
    bt_split limit = bt_split_limit(s->ir, instruction);
    uint32_t units = limit.units < BT_MAX_PIECES ? limit.units : BT_MAX_PIECES;
    for (uint32_t u = 2; u <= units; u = more(u, units)) {
        *out = (bt_split){u, 1, false};
        if (largest_piece(s, instruction, *out) <= room) {
            return true;
        }
    }
    if (limit.one_unit && units < limit.units) {
        return false;
    }
    uint32_t u = limit.one_unit ? units : 1;
    for (bool last = false; !last; u = 4 * u < units ? 4 * u : units) {
        uint32_t columns = limit.columns < BT_MAX_PIECES / u ? limit.columns : BT_MAX_PIECES / u;
        for (uint32_t c = 2; c <= columns; c = more(c, columns)) {
            *out = (bt_split){u, c, false};
            if (largest_piece(s, instruction, *out) <= room) {
                return true;
            }
        }
        last = u == units;
    }
    return false;
}

/* Pieces that fit twice, so that one travels while another computes; else once. False: neither. */
static bool choose_counts(const stage *s, const bt_instruction *instruction, uint64_t room,
                          bt_split *out) {
    *out = (bt_split){1, 1, false};
    return largest_piece(s, instruction, *out) <= room ||
           find_counts(s, instruction, room / 2, out) || find_counts(s, instruction, room, out);
}

/* ---- tiles */

static bool windows_equal(const bt_window *a, const bt_window *b) {
    return a->rows == b->rows && a->row_length == b->row_length && a->offset == b->offset &&
           (a->rows == 1 || a->stride == b->stride);
}

/* Bytes of the storage that a tile is a copy of, from the first to the last. */
static void tile_range(const tile *t, uint64_t *begin, uint64_t *end) {
    uint32_t size = bt_dtype_bytes(t->dtype);
    *begin = (uint64_t)t->window.offset * size;
    *end =
        *begin + ((uint64_t)(t->window.rows - 1) * t->window.stride + t->window.row_length) * size;
}

static bool tiles_meet(const tile *a, const tile *b) {
    uint64_t a_begin, a_end, b_begin, b_end;
    if (a->storage != b->storage) {
        return false;
    }
    tile_range(a, &a_begin, &a_end);
    tile_range(b, &b_begin, &b_end);
    return a_begin < b_end && b_begin < a_end;
}

static bool tile_meets_tensor(const stage *s, const tile *t, uint32_t tensor) {
    uint64_t begin, end;
    const bt_ir_tensor *other = &s->ir->tensors[tensor];
    tile_range(t, &begin, &end);
    return t->storage == other->storage && begin < other->offset + (uint64_t)bt_ir_bytes(other) &&
           other->offset < end;
}

/* Room for bytes more while jobs first … last run, both existing. */
static bool has_room(const stage *s, uint32_t first, uint32_t last, uint64_t bytes) {
    for (uint32_t j = first; j <= last; j++) {
        if (s->home_bytes[s->jobs[j].time] + s->jobs[j].tile_bytes + bytes > s->capacity) {
            return false;
        }
    }
    return true;
}

/* Keeps a tile up to the newest job. */
static void extend(stage *s, tile *t) {
    for (uint32_t j = t->last + 1; j < s->job_count; j++) {
        s->jobs[j].tile_bytes += t->bytes;
    }
    t->last = s->job_count - 1;
}

/* A valid tile of this window that can stay until the newest job, or BT_NO_TENSOR. */
static uint32_t find_tile(const stage *s, const tile *wanted) {
    for (uint32_t i = s->tile_count; i-- > s->first_tile;) {
        const tile *t = &s->tiles[i];
        if (t->valid && t->storage == wanted->storage && t->dtype == wanted->dtype &&
            windows_equal(&t->window, &wanted->window)) {
            return t->last + 1 == s->job_count ||
                           has_room(s, t->last + 1, s->job_count - 1, t->bytes)
                       ? i
                       : BT_NO_TENSOR;
        }
    }
    return BT_NO_TENSOR;
}

static uint32_t new_tile(stage *s, const tile *wanted) {
    s->tiles = grow(s, s->tiles, &s->tile_capacity, s->tile_count, sizeof *s->tiles);
    uint32_t tensor = bt_ir_tensor_new(s->ir, BT_RESIDENCE_TRANSIENT, wanted->dtype,
                                       &wanted->window.shape, "", NULL);
    if (s->ir->status != BT_OK) {
        return BT_NO_TENSOR;
    }
    s->ir->tensors[tensor].level = BT_LEVEL_L1;
    s->ir->tensors[tensor].is_tile = true;
    s->result->tiles++;
    s->bytes += TRANSFER_BYTES;
    tile *t = &s->tiles[s->tile_count];
    *t = *wanted;
    t->tensor = tensor;
    t->bytes = window_bytes(&t->window, t->dtype);
    t->last = s->job_count - 1;
    t->leaves = BT_NO_TENSOR;
    t->valid = true;
    s->jobs[t->last].tile_bytes += t->bytes;
    return s->tile_count++;
}

/* ---- jobs */

/* Whether a later job than number first fetches what a tile holds. */
static bool fetched_since(const stage *s, const tile *t, uint32_t first) {
    for (uint32_t j = first + 1; j < s->job_count; j++) {
        const job *other = &s->jobs[j];
        for (uint32_t i = 0; i < other->in_count; i++) {
            if (tiles_meet(t, &s->tiles[other->in[i].tile])) {
                return true;
            }
        }
        for (uint32_t i = 0; i < other->direct_count; i++) {
            if (tile_meets_tensor(s, t, other->direct[i])) {
                return true;
            }
        }
    }
    return false;
}

static transfer *transfer_home(job *j, uint32_t tile_index) {
    for (uint32_t i = 0; i < j->out_count; i++) {
        if (j->out[i].tile == tile_index) {
            return &j->out[i];
        }
    }
    return NULL;
}

static void mark_written(stage *s, const bt_instruction *instruction) {
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (instruction->operands[k] != BT_NO_TENSOR &&
            (bt_instruction_access(instruction, k) & BT_ACCESS_WRITE) != 0) {
            s->written[s->ir->tensors[instruction->operands[k]].storage] = true;
        }
    }
}

/* The newest job writes a tile, which then goes home. */
static void write_tile(stage *s, uint32_t index, uint32_t far) {
    tile *written = &s->tiles[index];
    job *newest = &s->jobs[s->job_count - 1];
    for (uint32_t i = s->first_tile; i < s->tile_count; i++) {
        if (i != index && tiles_meet(&s->tiles[i], written)) {
            s->tiles[i].valid = false;
        }
    }
    if (written->leaves != BT_NO_TENSOR && written->leaves != s->job_count - 1 &&
        !fetched_since(s, written, written->leaves)) {
        transfer_home(&s->jobs[written->leaves], index)->dropped = true; /* it is written again */
    }
    if (transfer_home(newest, index) == NULL) {
        newest->out[newest->out_count++] = (transfer){.tile = index, .far = far};
    }
    written->leaves = s->job_count - 1;
}

/* The tile for operand k of the newest job, and its way in. */
static uint32_t stage_operand(stage *s, const bt_piece *piece, uint32_t k) {
    uint32_t far = piece->instruction.operands[k];
    const bt_ir_tensor *tensor = &s->ir->tensors[far];
    tile wanted = {.storage = tensor->storage, .dtype = tensor->dtype, .window = piece->windows[k]};
    wanted.window.offset += tensor->offset / bt_dtype_bytes(tensor->dtype);
    bool read = (bt_instruction_access(&piece->instruction, k) & BT_ACCESS_READ) != 0;
    if (piece->instruction.opcode == BT_OPCODE_COPY_BLOCKS) {
        read = read || s->written[wanted.storage]; /* it writes around what others wrote */
    }
    uint32_t index = read ? find_tile(s, &wanted) : BT_NO_TENSOR;
    if (index != BT_NO_TENSOR) {
        extend(s, &s->tiles[index]);
        return index;
    }
    index = new_tile(s, &wanted);
    if (index != BT_NO_TENSOR && read) {
        job *newest = &s->jobs[s->job_count - 1];
        newest->in[newest->in_count++] = (transfer){.tile = index, .far = far};
    }
    return index;
}

/* The tensor that a piece's kernel works on for a tile that may have another shape. */
static uint32_t view_of(stage *s, uint32_t tensor, const bt_shape *shape) {
    return bt_shape_equal(&s->ir->tensors[tensor].shape, shape) ? tensor
                                                                : bt_ir_view(s->ir, tensor, shape);
}

static job *new_job(stage *s, const bt_instruction *instruction, uint32_t time) {
    s->jobs = grow(s, s->jobs, &s->job_capacity, s->job_count, sizeof *s->jobs);
    if (s->ir->status != BT_OK) {
        return NULL;
    }
    s->bytes += 4 * (1 + instruction->operand_count + instruction->attribute_count);
    if (s->bytes > BT_PROGRAM_LIMIT) {
        s->ir->status = bt_error_set(BT_ERROR_CAPACITY,
                                     "The training program is cut into so many pieces that it has "
                                     "more than %u bytes, because too little of L1 is left for "
                                     "tiles.",
                                     BT_PROGRAM_LIMIT);
        return NULL;
    }
    job *j = &s->jobs[s->job_count++];
    *j = (job){.instruction = *instruction, .time = time};
    return j;
}

static void add_piece(stage *s, const bt_piece *piece, uint32_t time) {
    uint32_t tiles[BT_MAX_OPERANDS];
    if (new_job(s, &piece->instruction, time) == NULL) {
        return;
    }
    for (uint32_t k = 0; k < piece->instruction.operand_count; k++) {
        uint32_t tensor = piece->instruction.operands[k];
        tiles[k] = BT_NO_TENSOR;
        if (is_far(s, &piece->instruction, k)) {
            tiles[k] = stage_operand(s, piece, k);
            tensor = tiles[k] == BT_NO_TENSOR
                         ? BT_NO_TENSOR
                         : view_of(s, s->tiles[tiles[k]].tensor, &piece->windows[k].shape);
        } else if (tensor != BT_NO_TENSOR) {
            const bt_window *window = &piece->windows[k];
            bool whole = window->offset == 0 &&
                         bt_shape_equal(&window->shape, &s->ir->tensors[tensor].shape);
            tensor = whole ? tensor : bt_ir_slice(s->ir, tensor, window->offset, &window->shape);
        }
        s->jobs[s->job_count - 1].instruction.operands[k] = tensor;
    }
    for (uint32_t k = 0; k < piece->instruction.operand_count && s->ir->status == BT_OK; k++) {
        if (tiles[k] != BT_NO_TENSOR &&
            (bt_instruction_access(&piece->instruction, k) & BT_ACCESS_WRITE) != 0) {
            write_tile(s, tiles[k], piece->instruction.operands[k]);
        }
    }
}

/* No cut fits: the kernel reaches L2 itself. */
static void add_direct(stage *s, const bt_instruction *instruction, uint32_t time) {
    job *j = new_job(s, instruction, time);
    for (uint32_t k = 0; j != NULL && k < instruction->operand_count; k++) {
        uint32_t tensor = instruction->operands[k];
        if (!is_far(s, instruction, k)) {
            continue;
        }
        if (storage_of(s, tensor)->level == BT_LEVEL_L3) {
            s->ir->status = bt_error_set(
                BT_ERROR_CAPACITY, "An instruction %s needs %u bytes of a tensor in L3 at once.",
                bt_opcode_name(instruction->opcode), bt_ir_bytes(&s->ir->tensors[tensor]));
            return;
        }
        j->direct[j->direct_count++] = tensor;
        s->result->direct++;
        for (uint32_t i = s->first_tile; i < s->tile_count; i++) {
            bool written = (bt_instruction_access(instruction, k) & BT_ACCESS_WRITE) != 0;
            if (written && tile_meets_tensor(s, &s->tiles[i], tensor)) {
                s->tiles[i].valid = false;
            }
        }
    }
}

static bool has_far(const stage *s, const bt_instruction *instruction) {
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (is_far(s, instruction, k)) {
            return true;
        }
    }
    return false;
}

static void add_instruction(stage *s, const bt_instruction *instruction, uint32_t time);

static void add_lowered(stage *s, uint32_t time, uint32_t opcode, uint32_t operand_count,
                        const uint32_t *operands, const bt_instruction *norm) {
    bt_instruction part = {
        .opcode = opcode, .operand_count = operand_count, .attribute_count = norm->attribute_count};
    memcpy(part.operands, operands, operand_count * sizeof *operands);
    memcpy(part.attributes, norm->attributes, sizeof part.attributes);
    add_instruction(s, &part, time);
}

static void add_fold(stage *s, uint32_t time, const bt_instruction *norm, uint32_t partials,
                     uint32_t out, int32_t quantity) {
    const int32_t *a = norm->attributes;
    uint32_t blocks = bt_norm_partials(1, (uint32_t)a[3], (uint32_t)a[4]) / 2;
    bt_instruction fold = {.opcode = BT_OPCODE_NORM_FOLD,
                           .operand_count = 2,
                           .operands = {partials, out},
                           .attribute_count = 5,
                           .attributes = {a[0], (int32_t)blocks, a[1], a[5], quantity}};
    add_instruction(s, &fold, time);
}

/* A normalisation that is too large as a whole: one pass per sum, which can be cut. */
static bool add_norm_in_passes(stage *s, const bt_instruction *norm, uint32_t time) {
    const uint32_t *o = norm->operands;
    bool forward = norm->opcode == BT_OPCODE_NORM_FORWARD;
    if (!forward && norm->opcode != BT_OPCODE_NORM_GRAD_INPUT) {
        return false;
    }
    bt_instruction part = *norm;
    part.opcode = BT_OPCODE_NORM_SUMS;
    part.operand_count = 2;
    if (bt_split_limit(s->ir, &part).units == 1) {
        return false;
    }
    uint32_t rows = (uint32_t)norm->attributes[0];
    bt_shape pairs = {.rank = 1, .dims = {2 * rows}};
    uint32_t means =
        bt_ir_tensor_new(s->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &pairs, "", NULL);
    if (s->ir->status != BT_OK) {
        return true;
    }
    s->ir->tensors[means].level = BT_LEVEL_L1;
    /* The block sums of whole rows, though their tensor may be larger. */
    bt_shape sums = {.rank = 1,
                     .dims = {bt_norm_partials(rows, (uint32_t)norm->attributes[3],
                                               (uint32_t)norm->attributes[4])}};
    uint32_t partials = view_of(s, o[5], &sums);
    if (forward) {
        add_lowered(s, time, BT_OPCODE_NORM_SUMS, BT_OPERANDS(o[0], partials), norm);
        add_fold(s, time, norm, partials, means, BT_FOLD_MEAN);
        add_lowered(s, time, BT_OPCODE_NORM_SQUARES, BT_OPERANDS(o[0], means, partials), norm);
        add_fold(s, time, norm, partials, o[4], BT_FOLD_STATISTICS);
        add_lowered(s, time, BT_OPCODE_NORM_APPLY, BT_OPERANDS(o[0], o[1], o[2], o[4], o[3]), norm);
    } else {
        add_lowered(s, time, BT_OPCODE_NORM_GRAD_SUMS,
                    BT_OPERANDS(o[0], o[1], o[2], o[3], partials), norm);
        add_fold(s, time, norm, partials, means, BT_FOLD_MEANS);
        add_lowered(s, time, BT_OPCODE_NORM_GRAD_APPLY,
                    BT_OPERANDS(o[0], o[1], o[2], o[3], means, o[4]), norm);
    }
    return true;
}

static void add_instruction(stage *s, const bt_instruction *instruction, uint32_t time) {
    bt_split counts;
    if (s->ir->status != BT_OK) {
        return;
    }
    if (!has_far(s, instruction)) {
        new_job(s, instruction, time);
        return;
    }
    uint64_t homes = s->home_bytes[time];
    uint64_t room = homes < s->capacity ? s->capacity - homes : 0;
    if (!choose_counts(s, instruction, room, &counts)) {
        if (!add_norm_in_passes(s, instruction, time)) {
            add_direct(s, instruction, time);
        }
        return;
    }
    for (uint32_t u = 0; u < counts.units; u++) {
        for (uint32_t c = 0; c < counts.columns && s->ir->status == BT_OK; c++) {
            bt_piece piece;
            bt_split_piece(s->ir, instruction, counts, u, c, &piece);
            add_piece(s, &piece, time);
        }
    }
}

/* ---- what need not go home */

/* Read after the sequence, or by another one. */
static bool outlives(const stage *s, uint32_t storage) {
    const bt_ir *ir = s->ir;
    return ir->tensors[storage].residence == BT_RESIDENCE_PERSISTENT ||
           ir->tensors[storage].name != NULL || storage == ir->tensors[ir->loss].storage ||
           storage == ir->tensors[ir->output].storage;
}

/* Drops transfers home of what nobody reads there. */
static void drop_unread(stage *s) {
    bool *read = calloc(s->ir->tensor_count, sizeof *read);
    if (read == NULL) {
        fail_memory(s);
        return;
    }
    for (uint32_t n = s->job_count; n-- > 0;) {
        job *j = &s->jobs[n];
        for (uint32_t i = 0; i < j->out_count; i++) {
            uint32_t storage = s->tiles[j->out[i].tile].storage;
            j->out[i].dropped = j->out[i].dropped || !(read[storage] || outlives(s, storage));
        }
        for (uint32_t i = 0; i < j->in_count; i++) {
            read[s->tiles[j->in[i].tile].storage] = true;
        }
        for (uint32_t i = 0; i < j->direct_count; i++) {
            read[s->ir->tensors[j->direct[i]].storage] = true;
        }
    }
    free(read);
}

/* ---- emitting */

typedef struct emission {
    bool under_way;     /* a transfer that nobody has waited for */
    bool fetched;       /* inputs of the job at hand are on their way or there */
    const job *leaving; /* its outputs have not been sent home */
} emission;

static void emit_transfer(stage *s, const transfer *t, bool to_l1, emission *e) {
    const tile *moved = &s->tiles[t->tile];
    const bt_window *w = &moved->window;
    uint32_t size = bt_dtype_bytes(moved->dtype);
    int32_t offset = (int32_t)(w->offset - s->ir->tensors[t->far].offset / size);
    const int32_t attributes[] = {offset, (int32_t)w->rows, (int32_t)w->row_length,
                                  (int32_t)w->stride};
    const uint32_t operands[] = {to_l1 ? t->far : moved->tensor, to_l1 ? moved->tensor : t->far};
    bt_ir_emit(s->ir, s->sequence, BT_OPCODE_TRANSFER, 2, operands, bt_window_is_dense(w) ? 1 : 4,
               attributes);
    e->under_way = true;
    if (s->sequence == BT_SEQUENCE_TRAIN) {
        s->result->bytes_moved += (uint64_t)w->rows * w->row_length * size;
    }
}

static void emit_wait(stage *s, emission *e) {
    if (e->under_way) {
        bt_ir_emit(s->ir, s->sequence, BT_OPCODE_WAIT, 0, NULL, 0, NULL);
        e->under_way = false;
    }
}

static void emit_leaving(stage *s, emission *e) {
    if (e->leaving != NULL) {
        s->ir->node = e->leaving->instruction.node;
    }
    for (uint32_t i = 0; e->leaving != NULL && i < e->leaving->out_count; i++) {
        if (!e->leaving->out[i].dropped) {
            emit_transfer(s, &e->leaving->out[i], false, e);
        }
    }
    e->leaving = NULL;
}

static void emit_inputs(stage *s, const job *j, emission *e) {
    s->ir->node = j->instruction.node;
    for (uint32_t i = 0; i < j->in_count; i++) {
        emit_transfer(s, &j->in[i], true, e);
    }
}

/* What job a sends home is what job b fetches or reaches. */
static bool feeds(const stage *s, const job *a, const job *b) {
    for (uint32_t i = 0; a != NULL && i < a->out_count; i++) {
        const tile *out = &s->tiles[a->out[i].tile];
        if (a->out[i].dropped) {
            continue;
        }
        for (uint32_t k = 0; k < b->in_count; k++) {
            if (tiles_meet(out, &s->tiles[b->in[k].tile])) {
                return true;
            }
        }
        for (uint32_t k = 0; k < b->direct_count; k++) {
            if (tile_meets_tensor(s, out, b->direct[k])) {
                return true;
            }
        }
    }
    return false;
}

/* Job b works on a tile that job a is still to send home. */
static bool disturbs(const stage *s, const job *a, const job *b) {
    for (uint32_t i = 0; a != NULL && i < a->out_count; i++) {
        for (uint32_t k = 0; k < b->instruction.operand_count && !a->out[i].dropped; k++) {
            uint32_t tensor = b->instruction.operands[k];
            if (tensor != BT_NO_TENSOR &&
                s->ir->tensors[tensor].storage == s->tiles[a->out[i].tile].tensor &&
                (bt_instruction_access(&b->instruction, k) & BT_ACCESS_WRITE) != 0) {
                return true;
            }
        }
    }
    return false;
}

/* Job b writes, where it is, what job a fetches. */
static bool writes_directly(const stage *s, const job *b, const job *a) {
    for (uint32_t i = 0; i < a->in_count; i++) {
        for (uint32_t k = 0; k < b->direct_count; k++) {
            if (tile_meets_tensor(s, &s->tiles[a->in[i].tile], b->direct[k])) {
                return true;
            }
        }
    }
    return false;
}

/* Bytes in L1 while job n runs and the outputs of another leave. */
static uint64_t bytes_beside(const stage *s, uint32_t n, const job *leaving) {
    const job *now = &s->jobs[n];
    uint64_t sum = s->home_bytes[now->time] + now->tile_bytes;
    for (uint32_t i = 0; leaving != NULL && i < leaving->out_count; i++) {
        const tile *out = &s->tiles[leaving->out[i].tile];
        sum += out->last < n && !leaving->out[i].dropped ? out->bytes : 0;
    }
    return sum;
}

/* The outputs of the job before must be home before job n computes. */
static bool must_wait(const stage *s, uint32_t n, const job *leaving) {
    return feeds(s, leaving, &s->jobs[n]) || disturbs(s, leaving, &s->jobs[n]) ||
           bytes_beside(s, n, leaving) > s->capacity;
}

/* Whether the inputs of the job after n may travel while it computes and the one before leaves. */
static bool may_prefetch(const stage *s, uint32_t n, const job *before) {
    const job *now = &s->jobs[n], *next = &s->jobs[n + 1];
    uint64_t bytes = bytes_beside(s, n, before);
    for (uint32_t i = 0; i < next->in_count; i++) {
        bytes += s->tiles[next->in[i].tile].bytes;
    }
    return next->in_count > 0 && bytes <= s->capacity && !feeds(s, before, next) &&
           !feeds(s, now, next) && !writes_directly(s, now, next);
}

static void emit_job(stage *s, uint32_t n, emission *e) {
    const job *now = &s->jobs[n];
    if (must_wait(s, n, e->leaving)) {
        emit_wait(s, e); /* what left before may go to the same place */
        emit_leaving(s, e);
    }
    if (!e->fetched && now->in_count > 0) {
        emit_wait(s, e);
        emit_inputs(s, now, e);
    }
    emit_wait(s, e);
    const job *before = e->leaving;
    emit_leaving(s, e);
    e->fetched = n + 1 < s->job_count && may_prefetch(s, n, before);
    if (e->fetched) {
        emit_inputs(s, now + 1, e);
    }
    s->ir->node = now->instruction.node;
    bt_ir_emit(s->ir, s->sequence, now->instruction.opcode, now->instruction.operand_count,
               now->instruction.operands, now->instruction.attribute_count,
               now->instruction.attributes);
    e->leaving = now;
}

static void emit_jobs(stage *s) {
    emission e = {0};
    s->ir->sequences[s->sequence].count = 0;
    for (uint32_t n = 0; n < s->job_count; n++) {
        emit_job(s, n, &e);
    }
    emit_wait(s, &e);
    emit_leaving(s, &e);
    emit_wait(s, &e);
}

/* ---- sequences */

/* Bytes in L1 that are alive at every instruction. */
static void find_home_bytes(const bt_memory_plan *plan, uint32_t sequence, uint32_t count,
                            uint64_t *bytes) {
    memset(bytes, 0, count * sizeof *bytes);
    for (uint32_t b = 0; b < plan->block_count; b++) {
        const bt_block *block = &plan->blocks[b];
        bt_lifetime lifetime = block->lifetimes[sequence];
        for (uint32_t i = 0; block->level == BT_LEVEL_L1 && i < count; i++) {
            bool alive = lifetime.first <= i + 1 && i + 1 <= lifetime.last;
            bytes[i] += alive || block->persistent ? block->bytes : 0;
        }
    }
}

static void stage_sequence(stage *s, const bt_memory_plan *plan, uint32_t sequence) {
    uint32_t count = s->ir->sequences[sequence].count;
    uint64_t *home_bytes = malloc((count + 1) * sizeof *home_bytes);
    bt_instruction *instructions = malloc((count + 1) * sizeof *instructions);
    s->written = calloc(s->ir->tensor_count, sizeof *s->written);
    if (home_bytes == NULL || instructions == NULL || s->written == NULL) {
        fail_memory(s);
    } else {
        memcpy(instructions, s->ir->sequences[sequence].instructions, count * sizeof *instructions);
        find_home_bytes(plan, sequence, count, home_bytes);
        s->home_bytes = home_bytes;
        s->sequence = sequence;
        s->job_count = 0;
        s->first_tile = s->tile_count;
        for (uint32_t i = 0; i < count && s->ir->status == BT_OK; i++) {
            add_instruction(s, &instructions[i], i);
            mark_written(s, &instructions[i]);
        }
        if (s->ir->status == BT_OK) {
            drop_unread(s);
        }
        emit_jobs(s);
    }
    free(home_bytes);
    free(instructions);
    free(s->written);
}

bt_status bt_stage(bt_ir *ir, const bt_memory_plan *plan, uint64_t l1_bytes, bt_staging *out) {
    *out = (bt_staging){0};
    stage s = {.ir = ir, .capacity = l1_bytes, .result = out};
    for (uint32_t sequence = 0; sequence < BT_SEQUENCE_COUNT && ir->status == BT_OK; sequence++) {
        stage_sequence(&s, plan, sequence);
    }
    free(s.jobs);
    free(s.tiles);
    return ir->status;
}
