/*
 * Convolution: forward, gradient of the input, gradient of the weight.
 *
 * Order of sums. Forward: from the bias (or 0), one multiply-add per tap, over (ci, kh, kw)
 * ascending; taps in the padding are left out. Gradient of the input: every element of dx gathers
 * its taps over (co of the group, kh, kw) ascending. Gradient of the weight: per sample and per
 * output row, blocks of BT_REDUCTION_BLOCK columns counted from column 0; a block is summed from 0
 * column by column, then added to dw.
 *
 * Forward and gradient of the input are one algorithm: a window that slides over a source. Along an
 * axis, tap k of output o reads source (o * multiply + offset + k * step) / divide if that is a
 * whole number inside the source. Forward: multiply = stride, offset = -pad, step = dilation,
 * divide = 1; gradient: multiply = 1, offset = pad, step = -dilation, divide = stride.
 */
#include "kernels/kernels.h"
#include "kernels/tile.h"

typedef struct axis {
    int32_t outputs;
    int32_t sources;
    int32_t taps;
    int32_t multiply;
    int32_t divide;
    int32_t offset;
    int32_t step;
} axis;

typedef struct sliding {
    axis h, w;
    uint32_t samples;
    uint32_t groups;
    uint32_t out_channels; /* per group */
    uint32_t sum_channels; /* per group: the ones that are summed over */
    int32_t weight_out;    /* weights from one output channel to the next */
    int32_t weight_sum;    /* weights from one summed channel to the next */
    const float *source;
    const float *weight;
    const float *bias;
    float *out;
} sliding;

/* Columns that one unit of work covers: a multiple of every tile. */
#define BT_CONV_COLUMNS 256

/* Columns that the general path sums at once. */
#define BT_CONV_PIECE (BT_LANES > 1 ? 64 : 16)

static int32_t minimum(int32_t a, int32_t b) { return a < b ? a : b; }

static int32_t maximum(int32_t a, int32_t b) { return a > b ? a : b; }

/* Source position of a tap, or -1. */
static int32_t axis_source(const axis *axis, int32_t output, int32_t tap) {
    int32_t position = output * axis->multiply + axis->offset + tap * axis->step;
    if (position < 0 || position % axis->divide != 0) {
        return -1;
    }
    position /= axis->divide;
    return position < axis->sources ? position : -1;
}

/* The output columns [*begin, *end) of [first, last) for which every tap is inside the source;
 * empty unless neighbouring outputs read neighbouring sources. */
static void axis_interior(const axis *axis, int32_t first, int32_t last, int32_t *begin,
                          int32_t *end) {
    *begin = *end = first;
    if (axis->multiply != 1 || axis->divide != 1) {
        return;
    }
    int32_t reach = (axis->taps - 1) * axis->step;
    int32_t low = maximum(first, -(axis->offset + minimum(0, reach)));
    int32_t high = minimum(last, axis->sources - (axis->offset + maximum(0, reach)));
    if (low < high) {
        *begin = low;
        *end = high;
    }
}

/* Adds one tap to sums of count outputs from column first on, where it is inside the source row. */
static void add_tap(const axis *axis, int32_t first, int32_t count, int32_t tap, float weight,
                    const float *row, float *sum) {
    int32_t position = first * axis->multiply + axis->offset + tap * axis->step;
    int32_t t = 0;
    if (axis->divide == 1) {
        int32_t multiply = axis->multiply;
        if (position < 0) {
            t = (-position + multiply - 1) / multiply;
        }
        int32_t room = axis->sources - position;
        int32_t end = room <= 0 ? 0 : minimum(count, (room + multiply - 1) / multiply);
        if (multiply == 1) {
            for (const float *x = row + position; t < end; t++) {
                sum[t] = bt_fma(weight, x[t], sum[t]);
            }
        } else {
            for (; t < end; t++) {
                sum[t] = bt_fma(weight, row[position + t * multiply], sum[t]);
            }
        }
        return;
    }
    int32_t divide = axis->divide;
    if (position < 0) {
        t = -position;
    }
    int32_t remainder = (position + t) % divide;
    if (remainder != 0) {
        t += divide - remainder;
    }
    for (int32_t i = (position + t) / divide; t < count && i < axis->sources; t += divide, i++) {
        sum[t] = bt_fma(weight, row[i], sum[t]);
    }
}

/* Any column: one channel, [first, last) of output row oh. */
static void slide_general(const sliding *s, const float *source, const float *weight, float bias,
                          int32_t oh, int32_t first, int32_t last, float *out) {
    int32_t plane = s->h.sources * s->w.sources;
    for (int32_t begin = first; begin < last; begin += BT_CONV_PIECE) {
        int32_t count = minimum(BT_CONV_PIECE, last - begin);
        float sum[BT_CONV_PIECE];
        for (int32_t t = 0; t < count; t++) {
            sum[t] = bias;
        }
        for (uint32_t c = 0; c < s->sum_channels; c++) {
            for (int32_t kh = 0; kh < s->h.taps; kh++) {
                int32_t ih = axis_source(&s->h, oh, kh);
                if (ih < 0) {
                    continue;
                }
                const float *row = source + (int32_t)c * plane + ih * s->w.sources;
                const float *taps = weight + (int32_t)c * s->weight_sum + kh * s->w.taps;
                for (int32_t kw = 0; kw < s->w.taps; kw++) {
                    add_tap(&s->w, begin, count, kw, taps[kw], row, sum);
                }
            }
        }
        for (int32_t t = 0; t < count; t++) {
            out[begin + t] = sum[t];
        }
    }
}

/* Consecutive taps at equal distances in the weight and in the source. */
typedef struct run {
    uint32_t count;
    int32_t weight; /* offset from the first weight of the output channel and summed channel 0 */
    int32_t weight_step;
    int32_t source; /* offset from the start of summed channel 0 to tap 0 of column 0 */
    int32_t source_step;
} run;

/* The run that follows *cursor (from 0 on) in the taps of output row oh; 0 at the end. Runs are as
 * long as the window allows: along kw, or kh for a window of one column, or the channels for 1 x 1.
 */
static int next_run(const sliding *s, int32_t oh, uint32_t *cursor, run *out) {
    int32_t plane = s->h.sources * s->w.sources;
    if (s->w.taps == 1 && s->h.taps == 1) {
        int32_t ih = axis_source(&s->h, oh, 0);
        if (*cursor > 0 || ih < 0) {
            return 0;
        }
        *cursor = 1;
        out->count = s->sum_channels;
        out->weight = 0;
        out->weight_step = s->weight_sum;
        out->source = ih * s->w.sources + s->w.offset;
        out->source_step = plane;
        return 1;
    }
    uint32_t rows = (uint32_t)s->h.taps;
    while (*cursor < s->sum_channels * rows) {
        int32_t channel = (int32_t)(*cursor / rows);
        int32_t kh = (int32_t)(*cursor % rows);
        int32_t ih = axis_source(&s->h, oh, kh);
        *cursor += 1;
        if (ih < 0) {
            continue;
        }
        out->weight = channel * s->weight_sum + kh * s->w.taps;
        out->weight_step = 1;
        out->source = channel * plane + ih * s->w.sources + s->w.offset;
        if (s->w.taps > 1) {
            out->count = (uint32_t)s->w.taps;
            out->source_step = s->w.step;
            return 1;
        }
        out->count = 1;
        out->source_step = s->h.step * s->w.sources;
        while (s->h.divide == 1 && *cursor % rows != 0 &&
               axis_source(&s->h, oh, kh + (int32_t)out->count) >= 0) {
            out->count++;
            *cursor += 1;
        }
        return 1;
    }
    return 0;
}

/* Four channels, columns [ow, ow + BT_TILE) of the interior. */
static void slide_four(const sliding *s, const float *source, const float *weight,
                       const float *bias, int32_t oh, int32_t ow, float *out, uint32_t out_plane) {
    float sum[BT_TILE_CHANNELS][BT_TILE];
    for (uint32_t c = 0; c < BT_TILE_CHANNELS; c++) {
        for (uint32_t i = 0; i < BT_TILE; i++) {
            sum[c][i] = bias ? bias[c] : 0.0f;
        }
    }
    run run;
    for (uint32_t cursor = 0; next_run(s, oh, &cursor, &run);) {
        bt_tile_four(sum, run.count, weight + run.weight, s->weight_out, run.weight_step,
                     source + run.source + ow, run.source_step);
    }
    for (uint32_t c = 0; c < BT_TILE_CHANNELS; c++) {
        for (uint32_t i = 0; i < BT_TILE; i++) {
            out[c * out_plane + (uint32_t)ow + i] = sum[c][i];
        }
    }
}

/* One channel, columns [ow, ow + width) of the interior; width as in bt_tile_row. */
static void slide_one(const sliding *s, const float *source, const float *weight, float bias,
                      int32_t oh, int32_t ow, int32_t width, float *out) {
    float sum[BT_TILE_WIDE];
    for (int32_t i = 0; i < width; i++) {
        sum[i] = bias;
    }
    run run;
    for (uint32_t cursor = 0; next_run(s, oh, &cursor, &run);) {
        bt_tile_row(sum, (uint32_t)width, run.count, weight + run.weight, run.weight_step,
                    source + run.source + ow, run.source_step);
    }
    for (int32_t i = 0; i < width; i++) {
        out[ow + i] = sum[i];
    }
}

/* The widest tile of one channel that fits count outputs, 0 if there is none. */
static int32_t tile_width(int32_t count) {
    if (count >= (int32_t)BT_TILE_WIDE) {
        return BT_TILE_WIDE;
    }
    if (count >= (int32_t)BT_TILE) {
        return BT_TILE;
    }
    return count >= (int32_t)BT_LANES ? BT_LANES : 0;
}

/* Columns [first, last) of one output row of channels (1 or BT_TILE_CHANNELS) channels. The last
 * tile of an interior is moved back to end with it: some columns are computed twice, to the same
 * bits. */
static void slide_row(const sliding *s, const float *source, const float *weight, const float *bias,
                      uint32_t channels, int32_t oh, int32_t first, int32_t last, float *out,
                      uint32_t out_plane) {
    int32_t begin, end;
    axis_interior(&s->w, first, last, &begin, &end);
    int32_t width = tile_width(end - begin);
    if (width == 0) {
        begin = end = first;
    }
    uint32_t together = channels == BT_TILE_CHANNELS && width >= (int32_t)BT_TILE;
    for (int32_t ow = begin; together && ow < end; ow += BT_TILE) {
        slide_four(s, source, weight, bias, oh, minimum(ow, end - (int32_t)BT_TILE), out,
                   out_plane);
    }
    for (uint32_t c = 0; c < channels; c++) {
        float start = bias ? bias[c] : 0.0f;
        const float *taps = weight + (int32_t)c * s->weight_out;
        float *row = out + c * out_plane;
        for (int32_t ow = begin; !together && ow < end; ow += width) {
            slide_one(s, source, taps, start, oh, minimum(ow, end - width), width, row);
        }
        slide_general(s, source, taps, start, oh, first, begin, row);
        slide_general(s, source, taps, start, oh, end, last, row);
    }
}

/* Units of work: (sample, group, block of channels, output row, block of columns). */
static void slide(const sliding *s, const bt_team *team) {
    uint32_t rows = (uint32_t)s->h.outputs;
    uint32_t column_blocks = bt_divide_up((uint32_t)s->w.outputs, BT_CONV_COLUMNS);
    uint32_t parts = s->samples * s->groups * rows * column_blocks;
    /* Four channels at once share what they load, unless cores would stay idle. */
    uint32_t width = BT_TILE_CHANNELS;
    uint32_t blocks = bt_divide_up(s->out_channels, width);
    if (s->out_channels < width || parts * blocks < 2 * team->cores) {
        width = 1;
        blocks = s->out_channels;
    }
    uint32_t out_plane = rows * (uint32_t)s->w.outputs;
    uint32_t source_plane = (uint32_t)(s->h.sources * s->w.sources);
    uint32_t group_weights = s->out_channels * s->sum_channels * (uint32_t)(s->h.taps * s->w.taps);
    uint32_t begin, end;
    bt_team_share(team, parts * blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        uint32_t column_block = unit % column_blocks;
        uint32_t oh = unit / column_blocks % rows;
        uint32_t block = unit / column_blocks / rows % blocks;
        uint32_t sample_group = unit / column_blocks / rows / blocks;
        uint32_t group = sample_group % s->groups;
        uint32_t channel = block * width;
        uint32_t channels = bt_min(width, s->out_channels - channel);
        int32_t first = (int32_t)(column_block * BT_CONV_COLUMNS);
        int32_t last = minimum(first + BT_CONV_COLUMNS, s->w.outputs);
        const float *source = s->source + sample_group * s->sum_channels * source_plane;
        const float *weight = s->weight + group * group_weights;
        uint32_t together = channels == BT_TILE_CHANNELS ? channels : 1;
        for (uint32_t c = channel; c < channel + channels; c += together) {
            const float *bias = s->bias ? s->bias + group * s->out_channels + c : NULL;
            float *out = s->out + (sample_group * s->out_channels + c) * out_plane +
                         oh * (uint32_t)s->w.outputs;
            slide_row(s, source, weight + (int32_t)c * s->weight_out, bias, together, (int32_t)oh,
                      first, last, out, out_plane);
        }
    }
}

/* The geometry of one instruction; rank-3 tensors have one row. */
typedef struct geometry {
    uint32_t samples, groups;
    uint32_t in_channels, out_channels; /* per group */
    axis h, w;                          /* as the forward pass sees them */
} geometry;

static int32_t extent(const bt_tensor *tensor, uint32_t axis) {
    uint32_t first = 4u - tensor->rank; /* 1 for rank 3: there is no height */
    if (axis == 2 && first == 1) {
        return 1;
    }
    return (int32_t)tensor->dims[axis - first];
}

static void geometry_get(const bt_call *call, const bt_tensor *x, const bt_tensor *w,
                         const bt_tensor *y, geometry *out) {
    const int32_t *a = call->attribute;
    uint32_t groups = bt_call_count(call, 8);
    out->samples = x->dims[0];
    out->groups = groups;
    out->in_channels = w->dims[1];
    out->out_channels = y->dims[1] / groups;
    axis h = {extent(y, 2), extent(x, 2), extent(w, 2), a[0], 1, -a[2], a[6]};
    axis v = {extent(y, 3), extent(x, 3), extent(w, 3), a[1], 1, -a[3], a[7]};
    out->h = h;
    out->w = v;
}

/* A 1 x 1 window that touches every position once sees the image as one long row. */
static void flatten_pointwise(sliding *s) {
    if (s->h.taps == 1 && s->w.taps == 1 && s->h.multiply == 1 && s->w.multiply == 1 &&
        s->h.divide == 1 && s->w.divide == 1 && s->h.offset == 0 && s->w.offset == 0 &&
        s->h.outputs == s->h.sources && s->w.outputs == s->w.sources) {
        s->w.outputs *= s->h.outputs;
        s->w.sources = s->w.outputs;
        s->h.outputs = s->h.sources = 1;
    }
}

/* x w b? y */
void BT_KERNEL(bt_conv_forward)(const bt_call *call, const bt_team *team) {
    geometry g;
    geometry_get(call, call->tensor[0], call->tensor[1], call->tensor[3], &g);
    int32_t window = g.h.taps * g.w.taps;
    sliding s;
    s.h = g.h;
    s.w = g.w;
    s.samples = g.samples;
    s.groups = g.groups;
    s.out_channels = g.out_channels;
    s.sum_channels = g.in_channels;
    s.weight_out = (int32_t)g.in_channels * window;
    s.weight_sum = window;
    s.source = bt_call_operand(call, 0);
    s.weight = bt_call_operand(call, 1);
    s.bias = bt_call_operand(call, 2);
    s.out = bt_call_operand(call, 3);
    flatten_pointwise(&s);
    slide(&s, team);
}

static axis axis_backward(const axis *forward) {
    axis a = {forward->sources,  forward->outputs, forward->taps, 1,
              forward->multiply, -forward->offset, -forward->step};
    return a;
}

/* dy w dx */
void BT_KERNEL(bt_conv_grad_input)(const bt_call *call, const bt_team *team) {
    geometry g;
    geometry_get(call, call->tensor[2], call->tensor[1], call->tensor[0], &g);
    int32_t window = g.h.taps * g.w.taps;
    sliding s;
    s.h = axis_backward(&g.h);
    s.w = axis_backward(&g.w);
    s.samples = g.samples;
    s.groups = g.groups;
    s.out_channels = g.in_channels;
    s.sum_channels = g.out_channels;
    s.weight_out = window;
    s.weight_sum = (int32_t)g.in_channels * window;
    s.source = bt_call_operand(call, 0);
    s.weight = bt_call_operand(call, 1);
    s.bias = NULL;
    s.out = bt_call_operand(call, 2);
    flatten_pointwise(&s);
    slide(&s, team);
}

/* Columns of one block of one output row: dy and x point to column 0 of their rows. */
typedef struct block {
    const float *dy;
    const float *x;
    int32_t first, last;
} block;

/* The columns of [first, last) for which tap k is inside the source. */
static void tap_columns(const axis *axis, int32_t k, int32_t first, int32_t last, int32_t *begin,
                        int32_t *end) {
    int32_t shift = axis->offset + k * axis->step;
    int32_t room = axis->sources - shift;
    *begin = shift >= 0 ? first : maximum(first, (-shift + axis->multiply - 1) / axis->multiply);
    *end = room <= 0 ? first : minimum(last, (room + axis->multiply - 1) / axis->multiply);
}

/* Adds the block's sums for taps [k, k + width) to dw; neighbouring taps read neighbouring x.
 * width as in bt_tile_row. */
static void add_block_taps(const axis *axis, const block *b, int32_t k, int32_t width, float *dw) {
    float sum[BT_TILE_WIDE];
    for (int32_t i = 0; i < width; i++) {
        sum[i] = 0.0f;
    }
    /* All taps are inside between the first column of the first tap and the last one of the last.
     */
    int32_t low, high, unused;
    tap_columns(axis, k, b->first, b->last, &low, &unused);
    tap_columns(axis, k + width - 1, b->first, b->last, &unused, &high);
    high = maximum(high, low);
    for (int32_t column = b->first; column < b->last; column++) {
        int32_t position = column * axis->multiply + axis->offset + k;
        if (column == low && low < high) {
            uint32_t count = (uint32_t)(high - low);
            bt_tile_row(sum, (uint32_t)width, count, b->dy + column, 1, b->x + position,
                        axis->multiply);
            column = high - 1;
            continue;
        }
        int32_t end = minimum(width, axis->sources - position);
        for (int32_t i = maximum(0, -position); i < end; i++) {
            sum[i] = bt_fma(b->dy[column], b->x[position + i], sum[i]);
        }
    }
    for (int32_t i = 0; i < width; i++) {
        dw[i] += sum[i];
    }
}

static void add_block_tap(const axis *axis, const block *b, int32_t k, float *dw) {
    int32_t begin, end;
    tap_columns(axis, k, b->first, b->last, &begin, &end);
    const float *x = b->x + axis->offset + k * axis->step;
    float sum = 0.0f;
    for (int32_t column = begin; column < end; column++) {
        sum = bt_fma(b->dy[column], x[column * axis->multiply], sum);
    }
    *dw += sum;
}

/* Any shape. Units of work: rows of kw weights, cut in pieces of BT_TILE_WIDE. */
static void grad_weight_rows(const geometry *g, const float *x, const float *dy, float *dw,
                             const bt_team *team) {
    int32_t source_plane = g->h.sources * g->w.sources;
    int32_t out_plane = g->h.outputs * g->w.outputs;
    uint32_t pieces = bt_divide_up((uint32_t)g->w.taps, BT_TILE_WIDE);
    uint32_t rows = (uint32_t)g->h.taps;
    uint32_t begin, end;
    bt_team_share(team, g->groups * g->out_channels * g->in_channels * rows * pieces, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        int32_t first_tap = (int32_t)(unit % pieces * BT_TILE_WIDE);
        int32_t last_tap = minimum(g->w.taps, first_tap + (int32_t)BT_TILE_WIDE);
        uint32_t weight_row = unit / pieces;
        int32_t kh = (int32_t)(weight_row % rows);
        uint32_t ci = weight_row / rows % g->in_channels;
        uint32_t co = weight_row / rows / g->in_channels;
        uint32_t group = co / g->out_channels;
        float *weights = dw + weight_row * (uint32_t)g->w.taps;
        for (uint32_t n = 0; n < g->samples; n++) {
            const float *out = dy + (n * g->groups * g->out_channels + co) * (uint32_t)out_plane;
            const float *in =
                x + ((n * g->groups + group) * g->in_channels + ci) * (uint32_t)source_plane;
            for (int32_t oh = 0; oh < g->h.outputs; oh++) {
                int32_t ih = axis_source(&g->h, oh, kh);
                if (ih < 0) {
                    continue;
                }
                block b;
                b.dy = out + oh * g->w.outputs;
                b.x = in + ih * g->w.sources;
                for (b.first = 0; b.first < g->w.outputs; b.first = b.last) {
                    b.last = minimum(b.first + (int32_t)BT_REDUCTION_BLOCK, g->w.outputs);
                    int32_t k = first_tap;
                    int32_t width = g->w.step == 1 ? tile_width(last_tap - k) : 0;
                    while (width > 0) {
                        add_block_taps(&g->w, &b, k, width, weights + k);
                        k += width;
                        width = tile_width(last_tap - k);
                    }
                    for (; k < last_tap; k++) {
                        add_block_tap(&g->w, &b, k, weights + k);
                    }
                }
            }
        }
    }
}

#if BT_LANES > 1
/* Column j of packed: what the block's columns read through tap (ci, kh, kw) number tap of the
 * window; 0 for the padding, which adds nothing to a sum of finite numbers. */
static void pack_tap(const geometry *g, const float *x, uint32_t tap, int32_t oh, int32_t first,
                     int32_t last, float *packed) {
    int32_t kw = (int32_t)(tap % (uint32_t)g->w.taps);
    int32_t kh = (int32_t)(tap / (uint32_t)g->w.taps % (uint32_t)g->h.taps);
    uint32_t ci = tap / (uint32_t)(g->w.taps * g->h.taps);
    int32_t ih = axis_source(&g->h, oh, kh);
    int32_t begin = last, end = last;
    if (ih >= 0) {
        tap_columns(&g->w, kw, first, last, &begin, &end);
        begin = minimum(begin, last);
        end = maximum(end, begin);
    }
    const float *row = x + (int32_t)ci * g->h.sources * g->w.sources +
                       maximum(ih, 0) * g->w.sources + g->w.offset + kw * g->w.step;
    int32_t column = first;
    for (; column < begin; column++) {
        packed[(uint32_t)(column - first) * BT_TILE] = 0.0f;
    }
    for (; column < end; column++) {
        packed[(uint32_t)(column - first) * BT_TILE] = row[column * g->w.multiply];
    }
    for (; column < last; column++) {
        packed[(uint32_t)(column - first) * BT_TILE] = 0.0f;
    }
}

/*
 * Several output channels share one input: BT_TILE taps of the window are laid side by side for a
 * block of columns, and four channels at once are multiplied with them. Units of work: (group,
 * BT_TILE taps, four output channels).
 */
static void grad_weight_packed(const geometry *g, const float *x, const float *dy, float *dw,
                               const bt_team *team) {
    uint32_t window = g->in_channels * (uint32_t)(g->h.taps * g->w.taps);
    uint32_t source_plane = (uint32_t)(g->h.sources * g->w.sources);
    uint32_t out_plane = (uint32_t)(g->h.outputs * g->w.outputs);
    uint32_t tiles = bt_divide_up(window, BT_TILE);
    uint32_t quads = bt_divide_up(g->out_channels, BT_TILE_CHANNELS);
    float packed[BT_REDUCTION_BLOCK * BT_TILE];
    for (uint32_t i = 0; i < BT_REDUCTION_BLOCK * BT_TILE; i++) {
        packed[i] = 0.0f;
    }
    uint32_t begin, end, next;
    bt_team_share(team, g->groups * tiles * quads, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit = next) {
        uint32_t group = unit / quads / tiles;
        uint32_t tap = unit / quads % tiles * BT_TILE;
        uint32_t taps = bt_min(BT_TILE, window - tap);
        uint32_t first_channel = unit % quads * BT_TILE_CHANNELS;
        next = bt_min(end, unit + quads - unit % quads);
        uint32_t last_channel =
            bt_min(g->out_channels, first_channel + (next - unit) * BT_TILE_CHANNELS);
        for (uint32_t n = 0; n < g->samples; n++) {
            const float *in = x + (n * g->groups + group) * g->in_channels * source_plane;
            for (int32_t oh = 0; oh < g->h.outputs; oh++) {
                for (int32_t first = 0; first < g->w.outputs; first += BT_REDUCTION_BLOCK) {
                    int32_t last = minimum(first + (int32_t)BT_REDUCTION_BLOCK, g->w.outputs);
                    uint32_t count = (uint32_t)(last - first);
                    for (uint32_t j = 0; j < taps; j++) {
                        pack_tap(g, in, tap + j, oh, first, last, packed + j);
                    }
                    for (uint32_t c = first_channel; c < last_channel; c += BT_TILE_CHANNELS) {
                        uint32_t channel = group * g->out_channels + c;
                        uint32_t channels = bt_min(BT_TILE_CHANNELS, last_channel - c);
                        const float *out = dy +
                                           (n * g->groups * g->out_channels + channel) * out_plane +
                                           (uint32_t)(oh * g->w.outputs + first);
                        float sum[BT_TILE_CHANNELS][BT_TILE] = {{0.0f}};
                        if (channels == BT_TILE_CHANNELS) {
                            bt_tile_four(sum, count, out, (int32_t)out_plane, 1, packed, BT_TILE);
                        } else {
                            for (uint32_t i = 0; i < channels; i++) {
                                bt_tile_row(sum[i], BT_TILE, count, out + i * out_plane, 1, packed,
                                            BT_TILE);
                            }
                        }
                        for (uint32_t i = 0; i < channels; i++) {
                            for (uint32_t j = 0; j < taps; j++) {
                                dw[(channel + i) * window + tap + j] += sum[i][j];
                            }
                        }
                    }
                }
            }
        }
    }
}
#endif

/* x dy dw+= */
void BT_KERNEL(bt_conv_grad_weight)(const bt_call *call, const bt_team *team) {
    geometry g;
    geometry_get(call, call->tensor[0], call->tensor[2], call->tensor[1], &g);
    const float *x = bt_call_operand(call, 0);
    const float *dy = bt_call_operand(call, 1);
    float *dw = bt_call_operand(call, 2);
#if BT_LANES > 1
    if (g.out_channels >= BT_TILE_CHANNELS) {
        grad_weight_packed(&g, x, dy, dw, team);
        return;
    }
#endif
    grad_weight_rows(&g, x, dy, dw, team);
}
