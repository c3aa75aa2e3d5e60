#include "plan/split.h"

typedef struct range {
    uint32_t begin, end;
} range;

/* Share number index of count units, as even as can be. */
static range share(uint32_t units, uint32_t count, uint32_t index) {
    uint32_t quotient = units / count, rest = units % count;
    uint32_t begin = index * quotient + (index < rest ? index : rest);
    return (range){begin, begin + quotient + (index < rest ? 1 : 0)};
}

static uint32_t length(range r) { return r.end - r.begin; }

static const bt_shape *shape_of(const bt_ir *ir, const bt_instruction *instruction,
                                uint32_t operand) {
    return &ir->tensors[instruction->operands[operand]].shape;
}

static bool is_present(const bt_instruction *instruction, uint32_t operand) {
    return operand < instruction->operand_count && instruction->operands[operand] != BT_NO_TENSOR;
}

bt_window bt_window_whole(const bt_shape *shape) {
    uint32_t elements = bt_shape_elements(shape);
    return (bt_window){.shape = *shape, .rows = 1, .row_length = elements, .stride = elements};
}

bool bt_window_is_dense(const bt_window *window) {
    return window->rows == 1 || window->stride == window->row_length;
}

/* Elements [first, first + count) as a vector. */
static bt_window elements(uint32_t first, uint32_t count) {
    return (bt_window){.shape = {.rank = 1, .dims = {count}},
                       .rows = 1,
                       .row_length = count,
                       .stride = count,
                       .offset = first};
}

/* Per unit so many elements. */
static bt_window units_of(range units, uint32_t each) {
    return elements(units.begin * each, length(units) * each);
}

/* Entries r of one axis, all of the others. */
static bt_window along(const bt_shape *shape, uint32_t axis, range r) {
    uint32_t before = bt_shape_product(shape, 0, axis);
    uint32_t inner = bt_shape_product(shape, axis + 1, shape->rank);
    bt_window window = {.shape = *shape,
                        .rows = before,
                        .row_length = length(r) * inner,
                        .stride = shape->dims[axis] * inner,
                        .offset = r.begin * inner};
    window.shape.dims[axis] = length(r);
    if (before == 1) {
        window.stride = window.row_length;
    }
    return window;
}

/* Channels and columns of an image (1, C, H, W) or (1, C, W). */
static bt_window image(const bt_shape *shape, range channels, range columns) {
    uint32_t last = shape->rank - 1;
    uint32_t width = shape->dims[last];
    uint32_t height = bt_shape_product(shape, 2, last);
    bt_window window = along(shape, 1, channels);
    if (length(columns) < width) {
        window.shape.dims[last] = length(columns);
        window.rows = length(channels) * height;
        window.row_length = length(columns);
        window.stride = width;
        window.offset = channels.begin * height * width + columns.begin;
    }
    return window;
}

static uint32_t blocks_of(uint32_t columns) {
    return (columns + BT_REDUCTION_BLOCK - 1) / BT_REDUCTION_BLOCK;
}

/* Share of columns that are cut between blocks of sums. */
static range share_blocks(uint32_t columns, uint32_t count, uint32_t index) {
    range r = share(blocks_of(columns), count, index);
    uint32_t end = r.end * BT_REDUCTION_BLOCK;
    return (range){r.begin * BT_REDUCTION_BLOCK, end < columns ? end : columns};
}

/* ---- convolutions */

enum { STRIDE_W = 1, PAD_LEFT = 3, PAD_RIGHT = 5, DILATION_W = 7, GROUPS = 8 };

/* Operands by role; outputs are what the units and columns are cut along. */
typedef struct conv {
    uint32_t x, w, y; /* operands */
    const bt_shape *xs, *ws, *ys;
    uint32_t groups, samples, width_in, width_out;
    uint32_t stride, pad, window; /* along the columns */
} conv;

static conv conv_of(const bt_ir *ir, const bt_instruction *instruction) {
    conv c = {.x = 0, .w = 1, .y = 3};
    if (instruction->opcode == BT_OPCODE_CONV_GRAD_INPUT) {
        c = (conv){.x = 2, .w = 1, .y = 0};
    } else if (instruction->opcode == BT_OPCODE_CONV_GRAD_WEIGHT) {
        c = (conv){.x = 0, .w = 2, .y = 1};
    }
    const int32_t *a = instruction->attributes;
    c.xs = shape_of(ir, instruction, c.x);
    c.ws = shape_of(ir, instruction, c.w);
    c.ys = shape_of(ir, instruction, c.y);
    c.groups = (uint32_t)a[GROUPS];
    c.samples = c.xs->dims[0];
    c.width_in = c.xs->dims[c.xs->rank - 1];
    c.width_out = c.ys->dims[c.ys->rank - 1];
    c.stride = (uint32_t)a[STRIDE_W];
    c.pad = (uint32_t)a[PAD_LEFT];
    c.window = (c.ws->dims[c.ws->rank - 1] - 1) * (uint32_t)a[DILATION_W] + 1;
    return c;
}

static uint32_t rows_of(const conv *c) { return bt_shape_product(c->ys, 2, c->ys->rank - 1); }

/* The gradient of a weight whose sums have no block to cut at: the second cut is along the input
 * channels instead of the columns. */
static bool cuts_input_channels(const conv *c) {
    return c->groups == 1 && (rows_of(c) > 1 || blocks_of(c->width_out) == 1);
}

/* Columns of the input up to the last that an output reads; a few behind it may be left over. */
static uint32_t columns_covered(const conv *c) {
    uint32_t end = (c->width_out - 1) * c->stride + c->window - c->pad;
    return end < c->width_in ? end : c->width_in;
}

static bt_split conv_limit(const bt_ir *ir, const bt_instruction *instruction) {
    conv c = conv_of(ir, instruction);
    if (c.samples > 1) {
        return (bt_split){c.samples, 1, false};
    }
    uint32_t channels =
        instruction->opcode == BT_OPCODE_CONV_GRAD_INPUT ? c.xs->dims[1] : c.ys->dims[1];
    bt_split limit = {c.groups > 1 ? c.groups : channels, 1, false};
    if (c.stride > c.window) {
        return limit; /* some columns of the input belong to no output */
    }
    if (instruction->opcode == BT_OPCODE_CONV_FORWARD) {
        limit.columns = c.width_out;
    } else if (instruction->opcode == BT_OPCODE_CONV_GRAD_INPUT) {
        limit.columns = columns_covered(&c);
    } else if (cuts_input_channels(&c)) {
        limit.columns = c.xs->dims[1];
    } else if (rows_of(&c) == 1) {
        limit.columns = blocks_of(c.width_out);
    }
    return limit;
}

/* Columns of the input that columns out of the output reach, and the padding that is left. */
static range columns_read(const conv *c, range out, int32_t *attributes) {
    int64_t begin = (int64_t)out.begin * c->stride - c->pad;
    int64_t end = (int64_t)(out.end - 1) * c->stride - c->pad + c->window;
    range in = {begin < 0 ? 0 : (uint32_t)begin, end > c->width_in ? c->width_in : (uint32_t)end};
    attributes[PAD_LEFT] = (int32_t)(in.begin - begin);
    attributes[PAD_RIGHT] = (int32_t)(end - in.end);
    return in;
}

/* Columns of the output that read columns in of the input, and the padding that is left. */
static range columns_reading(const conv *c, range in, int32_t *attributes) {
    uint32_t first = in.begin + c->pad + 1; /* one behind the last tap of its first reader */
    range out = {first <= c->window ? 0 : (first - c->window + c->stride - 1) / c->stride,
                 (in.end - 1 + c->pad) / c->stride + 1};
    out.end = out.end < c->width_out ? out.end : c->width_out;
    int64_t pad = (int64_t)c->pad + in.begin - (int64_t)out.begin * c->stride;
    int64_t reach = (int64_t)(length(out) - 1) * c->stride + c->window - pad - length(in);
    attributes[PAD_LEFT] = (int32_t)pad;
    attributes[PAD_RIGHT] = (int32_t)(reach > 0 ? reach : 0);
    return out;
}

static void conv_samples(const conv *c, range samples, bt_piece *out) {
    out->windows[c->x] = along(c->xs, 0, samples);
    out->windows[c->y] = along(c->ys, 0, samples);
}

/* The gradient of a weight between some input and some output channels. */
static void grad_weight_between(const conv *c, range xs, range ys, bt_piece *out) {
    uint32_t taps = bt_shape_product(c->ws, 2, c->ws->rank);
    bt_window *w = &out->windows[c->w];
    *w = along(c->ws, 0, ys);
    w->shape.dims[1] = length(xs);
    w->rows = length(ys);
    w->row_length = length(xs) * taps;
    w->stride = c->ws->dims[1] * taps;
    w->offset += xs.begin * taps;
    out->windows[c->x] = along(c->xs, 1, xs);
    out->windows[c->y] = along(c->ys, 1, ys);
}

static void conv_piece(const bt_ir *ir, const bt_instruction *instruction, bt_split counts,
                       uint32_t unit, uint32_t column, bt_piece *out) {
    conv c = conv_of(ir, instruction);
    int32_t *attributes = out->instruction.attributes;
    range units = share(conv_limit(ir, instruction).units, counts.units, unit);
    range in = {0, c.width_in}, columns = {0, c.width_out};
    range xs = {0, c.xs->dims[1]}, ys = {0, c.ys->dims[1]};
    if (c.samples > 1) {
        conv_samples(&c, units, out);
        return;
    }
    if (counts.columns > 1) {
        switch (instruction->opcode) {
        case BT_OPCODE_CONV_FORWARD:
            columns = share(c.width_out, counts.columns, column);
            in = columns_read(&c, columns, attributes);
            break;
        case BT_OPCODE_CONV_GRAD_INPUT:
            in = share(columns_covered(&c), counts.columns, column);
            in.end = column + 1 == counts.columns ? c.width_in : in.end;
            columns = columns_reading(&c, in, attributes);
            break;
        default:
            if (cuts_input_channels(&c)) {
                grad_weight_between(&c, share(xs.end, counts.columns, column), units, out);
                return;
            }
            columns = share_blocks(c.width_out, counts.columns, column);
            in = columns_read(&c, columns, attributes);
        }
    }
    if (c.groups > 1) {
        uint32_t of_x = xs.end / c.groups, of_y = ys.end / c.groups;
        xs = (range){units.begin * of_x, units.end * of_x};
        ys = (range){units.begin * of_y, units.end * of_y};
        attributes[GROUPS] = (int32_t)length(units);
        out->windows[c.w] = along(c.ws, 0, ys);
    } else if (instruction->opcode == BT_OPCODE_CONV_GRAD_INPUT) {
        xs = units;
        out->windows[c.w] = along(c.ws, 1, units);
    } else {
        ys = units;
        out->windows[c.w] = along(c.ws, 0, units);
    }
    out->windows[c.x] = image(c.xs, xs, in);
    out->windows[c.y] = image(c.ys, ys, columns);
    if (instruction->opcode == BT_OPCODE_CONV_FORWARD && is_present(instruction, 2)) {
        out->windows[2] = units_of(ys, 1);
    }
}

/* ---- pooling: samples, or channels and columns of one */

enum { POOL_KERNEL_W = 1, POOL_STRIDE_W = 3, POOL_PAD_LEFT = 5, POOL_PAD_RIGHT = 7 };

/* What a pooling maps from and to. */
static void pool_shapes(const bt_ir *ir, const bt_instruction *instruction, const bt_shape **x,
                        const bt_shape **y) {
    bool forward = instruction->opcode == BT_OPCODE_MAX_POOL_FORWARD ||
                   instruction->opcode == BT_OPCODE_AVERAGE_POOL_FORWARD;
    uint32_t last = instruction->opcode == BT_OPCODE_MAX_POOL_GRAD ? 2 : 1;
    *x = shape_of(ir, instruction, forward ? 0 : last);
    *y = shape_of(ir, instruction, forward ? 1 : 0);
}

static bt_split pool_limit(const bt_ir *ir, const bt_instruction *instruction) {
    const int32_t *a = instruction->attributes;
    const bt_shape *x, *y;
    pool_shapes(ir, instruction, &x, &y);
    if (x->dims[0] > 1) {
        return (bt_split){x->dims[0], 1, false};
    }
    bool apart = a[POOL_STRIDE_W] >= a[POOL_KERNEL_W] && a[POOL_PAD_LEFT] == 0 &&
                 a[POOL_PAD_RIGHT] == 0; /* windows share no column */
    return (bt_split){x->dims[1], apart ? y->dims[y->rank - 1] : 1, false};
}

static void pool_piece(const bt_ir *ir, const bt_instruction *instruction, bt_split counts,
                       range units, uint32_t column, bt_piece *out) {
    const bt_shape *x, *y;
    pool_shapes(ir, instruction, &x, &y);
    uint32_t width = x->dims[x->rank - 1], outputs = y->dims[y->rank - 1];
    uint32_t stride = (uint32_t)instruction->attributes[POOL_STRIDE_W];
    range columns = share(outputs, counts.columns, column);
    range in = {columns.begin * stride, columns.end == outputs ? width : columns.end * stride};
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (is_present(instruction, k)) {
            const bt_shape *shape = shape_of(ir, instruction, k);
            out->windows[k] = shape->dims[0] > 1 ? along(shape, 0, units)
                                                 : image(shape, units, shape == x ? in : columns);
        }
    }
}

/* ---- matrix product of one batch: rows, or columns if there is one row */

enum { BATCH, ROWS, COLUMNS, DEPTH, A_ROW = 5, A_DEPTH = 6, B_DEPTH = 8, B_COLUMN = 9 };

/*
 * Entries r along the outer index of a matrix whose strides are outer and inner, of which depth
 * inner entries are read; outer and inner of the piece. False if they are not rows of a window.
 */
static bool matrix_window(range r, uint32_t depth, int32_t *outer, int32_t *inner,
                          bt_window *window) {
    uint32_t count = length(r);
    if (*inner == 1 || depth == 1) { /* each entry is a run of depth elements */
        *window = (bt_window){.rows = count,
                              .row_length = depth,
                              .stride = (uint32_t)*outer,
                              .offset = r.begin * (uint32_t)*outer};
        *outer = (int32_t)depth;
    } else if (*outer == 1) { /* each depth is a run of entries */
        *window = (bt_window){
            .rows = depth, .row_length = count, .stride = (uint32_t)*inner, .offset = r.begin};
        *inner = (int32_t)count;
    } else {
        return false;
    }
    if (window->rows > 1 && window->stride < window->row_length) {
        return false; /* rows that are read again and again */
    }
    window->stride = window->rows == 1 ? window->row_length : window->stride;
    window->shape = (bt_shape){.rank = 1, .dims = {window->rows * window->row_length}};
    return true;
}

static bool matmul_windows(const bt_instruction *instruction, range r, bt_piece *out) {
    int32_t *a = out->instruction.attributes;
    bool by_rows = instruction->attributes[ROWS] > 1;
    uint32_t depth = (uint32_t)a[DEPTH], columns = (uint32_t)a[COLUMNS];
    if (by_rows) {
        a[ROWS] = (int32_t)length(r);
        out->windows[3] = units_of(r, columns);
        return matrix_window(r, depth, &a[A_ROW], &a[A_DEPTH], &out->windows[0]);
    }
    a[COLUMNS] = (int32_t)length(r);
    out->windows[3] = units_of(r, 1);
    if (is_present(instruction, 2)) {
        out->windows[2] = units_of(r, 1);
    }
    return matrix_window(r, depth, &a[B_COLUMN], &a[B_DEPTH], &out->windows[1]);
}

static bt_split matmul_limit(const bt_instruction *instruction) {
    const int32_t *a = instruction->attributes;
    bt_piece probe = {.instruction = *instruction};
    uint32_t units = (uint32_t)(a[ROWS] > 1 ? a[ROWS] : a[COLUMNS]);
    bool possible = a[BATCH] == 1 && matmul_windows(instruction, (range){0, units}, &probe);
    return (bt_split){possible ? units : 1, 1, false};
}

/* ---- normalisation in parts: rows, or the channels of one */

enum { NORM_ROWS, NORM_ROW_LENGTH, NORM_GROUPS, NORM_CHANNELS, NORM_SPAN };

/* What an operand of a norm instruction holds one or more of: d data, c one per channel, s two per
 * row, p block sums. */
static const char *norm_operands(uint32_t opcode) {
    switch (opcode) {
    case BT_OPCODE_NORM_SUMS:
        return "dp";
    case BT_OPCODE_NORM_SQUARES:
        return "dsp";
    case BT_OPCODE_NORM_APPLY:
        return "dccsd";
    case BT_OPCODE_NORM_GRAD_SUMS:
        return "ddcsp";
    case BT_OPCODE_NORM_GRAD_APPLY:
        return "ddcssd";
    case BT_OPCODE_NORM_GRAD_PARAMETERS:
        return "ddsccp";
    default:
        return NULL;
    }
}

static bt_split norm_limit(const bt_instruction *instruction) {
    const int32_t *a = instruction->attributes;
    if (a[NORM_ROWS] != a[NORM_GROUPS] || a[NORM_SPAN] == 1) {
        return (bt_split){1, 1, false}; /* several samples, or block sums across channels */
    }
    bool columns = a[NORM_ROWS] == 1 || a[NORM_CHANNELS] == 1;
    return (bt_split){(uint32_t)(a[NORM_ROWS] > 1 ? a[NORM_ROWS] : a[NORM_CHANNELS]),
                      columns ? blocks_of((uint32_t)a[NORM_SPAN]) : 1, true};
}

static void norm_piece(const bt_instruction *instruction, bt_split counts, range units,
                       uint32_t column, bt_piece *out) {
    int32_t *a = out->instruction.attributes;
    bool by_rows = a[NORM_ROWS] > 1;
    uint32_t channels = by_rows ? (uint32_t)a[NORM_CHANNELS] : 1; /* per unit */
    uint32_t span = (uint32_t)a[NORM_SPAN];
    range columns = share_blocks(span, counts.columns, column);
    const char *kinds = norm_operands(instruction->opcode);
    if (by_rows) {
        a[NORM_ROWS] = a[NORM_GROUPS] = (int32_t)length(units);
    } else {
        a[NORM_CHANNELS] = (int32_t)length(units);
    }
    a[NORM_SPAN] = (int32_t)length(columns);
    a[NORM_ROW_LENGTH] = a[NORM_CHANNELS] * a[NORM_SPAN];
    uint32_t lines = length(units) * channels;
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (!is_present(instruction, k)) {
            continue;
        }
        uint32_t first = units.begin * channels;
        switch (kinds[k]) {
        case 'd':
            out->windows[k] = elements(first * span + columns.begin, lines * length(columns));
            break;
        case 'c':
            out->windows[k] = elements(first, lines);
            break;
        case 'p':
            out->windows[k] =
                elements(2 * (first * blocks_of(span) + columns.begin / BT_REDUCTION_BLOCK),
                         bt_norm_partials(1, lines, length(columns)));
            break;
        default:
            out->windows[k] = by_rows ? units_of(units, 2) : elements(0, 2);
        }
    }
}

/* ---- one value per channel: frozen batch normalisation, sums over channels */

static uint32_t channels_of_one(const bt_instruction *instruction) {
    const int32_t *a = instruction->attributes;
    return a[0] == 1 ? (uint32_t)a[1] : 1;
}

static void channel_piece(const bt_ir *ir, const bt_instruction *instruction, range units,
                          bt_piece *out) {
    uint32_t channels = (uint32_t)instruction->attributes[1];
    out->instruction.attributes[1] = (int32_t)length(units);
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (is_present(instruction, k)) {
            out->windows[k] =
                units_of(units, bt_shape_elements(shape_of(ir, instruction, k)) / channels);
        }
    }
}

/* ---- element by element: in units of BT_ELEMENTS_OF_UNIT, so that masks of bits are cut at words
 */

#define BT_ELEMENTS_OF_UNIT 32u

static uint32_t element_units(const bt_ir *ir, const bt_instruction *instruction) {
    uint32_t data = instruction->opcode == BT_OPCODE_MASK_GRAD ? 1 : 0;
    uint32_t count = bt_shape_elements(shape_of(ir, instruction, data));
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        bool is_mask = (instruction->opcode == BT_OPCODE_MASK_GRAD && k == 0) ||
                       (instruction->opcode == BT_OPCODE_SIGN_MASK && k == 1);
        if (is_present(instruction, k) && !is_mask &&
            bt_shape_elements(shape_of(ir, instruction, k)) != count) {
            return 1; /* broadcast */
        }
    }
    return (count + BT_ELEMENTS_OF_UNIT - 1) / BT_ELEMENTS_OF_UNIT;
}

/* An operand has whole elements, or bits of bytes, per unit; the last unit may be shorter. */
static void element_piece(const bt_ir *ir, const bt_instruction *instruction, range units,
                          bt_piece *out) {
    uint32_t all = element_units(ir, instruction);
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (is_present(instruction, k)) {
            uint32_t count = bt_shape_elements(shape_of(ir, instruction, k));
            uint32_t each = count > (all - 1) * BT_ELEMENTS_OF_UNIT ? BT_ELEMENTS_OF_UNIT
                                                                    : BT_ELEMENTS_OF_UNIT / 8;
            uint32_t end = units.end * each < count ? units.end * each : count;
            out->windows[k] = elements(units.begin * each, end - units.begin * each);
        }
    }
    if (instruction->opcode == BT_OPCODE_DROPOUT) {
        out->instruction.attributes[2] += (int32_t)(units.begin * BT_ELEMENTS_OF_UNIT);
    }
}

bt_split bt_split_limit(const bt_ir *ir, const bt_instruction *instruction) {
    switch (instruction->opcode) {
    case BT_OPCODE_CONV_FORWARD:
    case BT_OPCODE_CONV_GRAD_INPUT:
    case BT_OPCODE_CONV_GRAD_WEIGHT:
        return conv_limit(ir, instruction);
    case BT_OPCODE_MAX_POOL_FORWARD:
    case BT_OPCODE_MAX_POOL_GRAD:
    case BT_OPCODE_AVERAGE_POOL_FORWARD:
    case BT_OPCODE_AVERAGE_POOL_GRAD:
        return pool_limit(ir, instruction);
    case BT_OPCODE_MATMUL:
        return matmul_limit(instruction);
    case BT_OPCODE_NORM_SUMS:
    case BT_OPCODE_NORM_SQUARES:
    case BT_OPCODE_NORM_APPLY:
    case BT_OPCODE_NORM_GRAD_SUMS:
    case BT_OPCODE_NORM_GRAD_APPLY:
    case BT_OPCODE_NORM_GRAD_PARAMETERS:
        return norm_limit(instruction);
    case BT_OPCODE_CHANNEL_SUM:
    case BT_OPCODE_FROZEN_NORM_FORWARD:
    case BT_OPCODE_FROZEN_NORM_GRAD_INPUT:
    case BT_OPCODE_FROZEN_NORM_GRAD_PARAMETERS:
        return (bt_split){channels_of_one(instruction), 1, false};
    case BT_OPCODE_ACTIVATION_FORWARD:
    case BT_OPCODE_ACTIVATION_GRAD:
    case BT_OPCODE_BINARY:
    case BT_OPCODE_ACCUMULATE:
    case BT_OPCODE_ZERO:
    case BT_OPCODE_SGD:
    case BT_OPCODE_ADAM:
    case BT_OPCODE_DROPOUT:
    case BT_OPCODE_CONVERT:
    case BT_OPCODE_SIGN_MASK:
    case BT_OPCODE_MASK_GRAD:
        return (bt_split){element_units(ir, instruction), 1, false};
    default:
        return (bt_split){1, 1, false};
    }
}

static void cut(const bt_ir *ir, const bt_instruction *instruction, bt_split counts, uint32_t unit,
                uint32_t column, bt_piece *out) {
    range units = share(bt_split_limit(ir, instruction).units, counts.units, unit);
    switch (instruction->opcode) {
    case BT_OPCODE_CONV_FORWARD:
    case BT_OPCODE_CONV_GRAD_INPUT:
    case BT_OPCODE_CONV_GRAD_WEIGHT:
        conv_piece(ir, instruction, counts, unit, column, out);
        break;
    case BT_OPCODE_MAX_POOL_FORWARD:
    case BT_OPCODE_MAX_POOL_GRAD:
    case BT_OPCODE_AVERAGE_POOL_FORWARD:
    case BT_OPCODE_AVERAGE_POOL_GRAD:
        pool_piece(ir, instruction, counts, units, column, out);
        break;
    case BT_OPCODE_MATMUL:
        matmul_windows(instruction, units, out);
        break;
    case BT_OPCODE_CHANNEL_SUM:
    case BT_OPCODE_FROZEN_NORM_FORWARD:
    case BT_OPCODE_FROZEN_NORM_GRAD_INPUT:
    case BT_OPCODE_FROZEN_NORM_GRAD_PARAMETERS:
        channel_piece(ir, instruction, units, out);
        break;
    default:
        if (norm_operands(instruction->opcode) != NULL) {
            norm_piece(instruction, counts, units, column, out);
        } else {
            element_piece(ir, instruction, units, out);
        }
    }
}

void bt_split_piece(const bt_ir *ir, const bt_instruction *instruction, bt_split counts,
                    uint32_t unit, uint32_t column, bt_piece *out) {
    out->instruction = *instruction;
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (is_present(instruction, k)) {
            out->windows[k] = bt_window_whole(shape_of(ir, instruction, k));
        }
    }
    if (counts.units > 1 || counts.columns > 1) {
        cut(ir, instruction, counts, unit, column, out);
    }
}
