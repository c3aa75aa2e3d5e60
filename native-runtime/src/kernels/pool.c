/*
 * Max and average pooling. A window's elements are visited in row-major order; padding never
 * counts.
 *
 * Cores share the elements of what is written, so a single plane keeps all of them busy. Gradients:
 * a stretch of a row of dx belongs to one core, which clears it and then adds what the windows over
 * it give, windows in row-major order; overlapping windows hence add up in a fixed order.
 */
#include "kernels/kernels.h"
#include "kernels/math.h"

typedef struct pool_axis {
    uint32_t in, out, kernel, stride;
    int32_t pad;
} pool_axis;

typedef struct pool_view {
    uint32_t planes;
    pool_axis h, w;
    uint32_t count_include_pad;
} pool_view;

static pool_axis pool_axis_get(const bt_call *call, const bt_tensor *x, const bt_tensor *y,
                               uint32_t axis) {
    pool_axis a = {1, 1, bt_call_count(call, axis), bt_call_count(call, 2 + axis),
                   call->attribute[4 + axis]};
    uint32_t missing = 4u - x->rank; /* rank 3 has no height */
    if (axis >= missing) {
        a.in = x->dims[2 + axis - missing];
        a.out = y->dims[2 + axis - missing];
    }
    return a;
}

static pool_view pool_view_get(const bt_call *call, const bt_tensor *x, const bt_tensor *y) {
    pool_view v;
    v.planes = x->dims[0] * x->dims[1];
    v.h = pool_axis_get(call, x, y, 0);
    v.w = pool_axis_get(call, x, y, 1);
    v.count_include_pad = bt_call_count(call, 8);
    return v;
}

/* First input position of a window; the taps [*begin, *end) of it are inside the input. */
static int32_t window(const pool_axis *a, uint32_t output, uint32_t *begin, uint32_t *end) {
    int32_t start = (int32_t)(output * a->stride) - a->pad;
    int32_t room = (int32_t)a->in - start;
    *begin = start < 0 ? (uint32_t)-start : 0;
    *end = room < 0 ? 0 : bt_min(a->kernel, (uint32_t)room);
    return start;
}

/* The windows [*begin, *end) that contain an input position. */
static void windows_over(const pool_axis *a, uint32_t input, uint32_t *begin, uint32_t *end) {
    int32_t position = (int32_t)input + a->pad;
    int32_t before = position - (int32_t)a->kernel + 1;
    *begin = before <= 0 ? 0 : bt_divide_up((uint32_t)before, a->stride);
    *end = bt_min(a->out, (uint32_t)position / a->stride + 1);
}

static void clear(float *x, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        x[i] = 0.0f;
    }
}

/* The elements [begin, end) of a row, rows of one length following each other. */
typedef struct stretch {
    uint32_t row, begin, end;
} stretch;

/* Takes the first stretch off the elements [*begin, end) of rows of this width. */
static stretch next_stretch(uint32_t *begin, uint32_t end, uint32_t width) {
    stretch s;
    s.row = *begin / width;
    s.begin = *begin % width;
    s.end = bt_min(width, s.begin + (end - *begin));
    *begin += s.end - s.begin;
    return s;
}

/* The windows [*begin, *end) of a row that contain positions of a stretch. */
static void windows_over_stretch(const pool_axis *a, const stretch *s, uint32_t *begin,
                                 uint32_t *end) {
    uint32_t ignored;
    windows_over(a, s->begin, begin, &ignored);
    windows_over(a, s->end - 1, &ignored, end);
}

/* The taps [*begin, *end) of a window from input position start on that lie in a stretch. */
static void clip(const stretch *s, int32_t start, uint32_t *begin, uint32_t *end) {
    int32_t first = (int32_t)s->begin - start;
    int32_t last = (int32_t)s->end - start;
    *begin = first > (int32_t)*begin ? (uint32_t)first : *begin;
    *end = last < (int32_t)*end ? (last < 0 ? 0u : (uint32_t)last) : *end;
}

/*
 * x y argmax?: y is the first maximum of its window, argmax its number in the window (U8 if the
 * window has at most 256 elements, else U16). The first NaN of a window counts as its maximum.
 */
void BT_KERNEL(bt_max_pool_forward)(const bt_call *call, const bt_team *team) {
    pool_view v = pool_view_get(call, call->tensor[0], call->tensor[1]);
    const float *x = bt_call_operand(call, 0);
    float *y = bt_call_operand(call, 1);
    void *argmax = bt_call_operand(call, 2);
    uint32_t narrow = argmax && call->tensor[2]->dtype == BT_DTYPE_U8;
    uint32_t begin, end;
    bt_team_share(team, v.planes * v.h.out * v.w.out, &begin, &end);
    while (begin < end) {
        stretch s = next_stretch(&begin, end, v.w.out);
        const float *plane = x + s.row / v.h.out * v.h.in * v.w.in;
        uint32_t kh_begin, kh_end;
        int32_t ih = window(&v.h, s.row % v.h.out, &kh_begin, &kh_end);
        for (uint32_t ow = s.begin; ow < s.end; ow++) {
            uint32_t kw_begin, kw_end;
            int32_t iw = window(&v.w, ow, &kw_begin, &kw_end);
            float best = -BT_INFINITY;
            uint32_t index = kh_begin * v.w.kernel + kw_begin;
            for (uint32_t kh = kh_begin; kh < kh_end; kh++) {
                const float *in = plane + (ih + (int32_t)kh) * (int32_t)v.w.in + iw;
                for (uint32_t kw = kw_begin; kw < kw_end; kw++) {
                    float value = in[kw];
                    uint32_t better = (value > best) | ((value != value) & (best == best));
                    best = better ? value : best;
                    index = better ? kh * v.w.kernel + kw : index;
                }
            }
            uint32_t at = s.row * v.w.out + ow;
            y[at] = best;
            if (narrow) {
                ((uint8_t *)argmax)[at] = (uint8_t)index;
            } else if (argmax) {
                ((uint16_t *)argmax)[at] = (uint16_t)index;
            }
        }
    }
}

/* dy argmax dx; an argmax outside its window's part of the input gives nothing. */
void BT_KERNEL(bt_max_pool_grad)(const bt_call *call, const bt_team *team) {
    pool_view v = pool_view_get(call, call->tensor[2], call->tensor[0]);
    const float *dy = bt_call_operand(call, 0);
    const void *argmax = bt_call_operand(call, 1);
    float *dx = bt_call_operand(call, 2);
    uint32_t narrow = call->tensor[1]->dtype == BT_DTYPE_U8;
    uint32_t begin, end;
    bt_team_share(team, v.planes * v.h.in * v.w.in, &begin, &end);
    while (begin < end) {
        stretch s = next_stretch(&begin, end, v.w.in);
        float *out = dx + s.row * v.w.in;
        uint32_t ih = s.row % v.h.in;
        uint32_t oh_begin, oh_end, ow_begin, ow_end;
        clear(out + s.begin, s.end - s.begin);
        windows_over(&v.h, ih, &oh_begin, &oh_end);
        windows_over_stretch(&v.w, &s, &ow_begin, &ow_end);
        for (uint32_t oh = oh_begin; oh < oh_end; oh++) {
            /* Window numbers of this row of dx: [first, first + kernel width). */
            uint32_t kh = (uint32_t)((int32_t)ih + v.h.pad) - oh * v.h.stride;
            uint32_t first = kh * v.w.kernel;
            uint32_t start = (s.row / v.h.in * v.h.out + oh) * v.w.out;
            for (uint32_t ow = ow_begin; ow < ow_end; ow++) {
                uint32_t at = start + ow;
                uint32_t index =
                    narrow ? ((const uint8_t *)argmax)[at] : ((const uint16_t *)argmax)[at];
                uint32_t kw = index - first;
                uint32_t kw_begin, kw_end;
                int32_t iw = window(&v.w, ow, &kw_begin, &kw_end);
                clip(&s, iw, &kw_begin, &kw_end);
                if (kw >= kw_begin && kw < kw_end) {
                    out[iw + (int32_t)kw] += dy[at];
                }
            }
        }
    }
}

/* 1 / elements that an average divides by; whole is 1 / elements of a window. */
static float average_factor(const pool_view *v, float whole, uint32_t rows, uint32_t columns) {
    uint32_t all = rows == v->h.kernel && columns == v->w.kernel;
    return all || v->count_include_pad ? whole : 1.0f / (float)(rows * columns);
}

/* x y */
void BT_KERNEL(bt_average_pool_forward)(const bt_call *call, const bt_team *team) {
    pool_view v = pool_view_get(call, call->tensor[0], call->tensor[1]);
    const float *x = bt_call_operand(call, 0);
    float *y = bt_call_operand(call, 1);
    float whole = 1.0f / (float)(v.h.kernel * v.w.kernel);
    uint32_t begin, end;
    bt_team_share(team, v.planes * v.h.out * v.w.out, &begin, &end);
    while (begin < end) {
        stretch s = next_stretch(&begin, end, v.w.out);
        const float *plane = x + s.row / v.h.out * v.h.in * v.w.in;
        uint32_t kh_begin, kh_end;
        int32_t ih = window(&v.h, s.row % v.h.out, &kh_begin, &kh_end);
        for (uint32_t ow = s.begin; ow < s.end; ow++) {
            uint32_t kw_begin, kw_end;
            int32_t iw = window(&v.w, ow, &kw_begin, &kw_end);
            float sum = 0.0f;
            for (uint32_t kh = kh_begin; kh < kh_end; kh++) {
                const float *in = plane + (ih + (int32_t)kh) * (int32_t)v.w.in + iw;
                for (uint32_t kw = kw_begin; kw < kw_end; kw++) {
                    sum += in[kw];
                }
            }
            y[s.row * v.w.out + ow] =
                sum * average_factor(&v, whole, kh_end - kh_begin, kw_end - kw_begin);
        }
    }
}

/* dy dx */
void BT_KERNEL(bt_average_pool_grad)(const bt_call *call, const bt_team *team) {
    pool_view v = pool_view_get(call, call->tensor[1], call->tensor[0]);
    const float *dy = bt_call_operand(call, 0);
    float *dx = bt_call_operand(call, 1);
    float whole = 1.0f / (float)(v.h.kernel * v.w.kernel);
    uint32_t begin, end;
    bt_team_share(team, v.planes * v.h.in * v.w.in, &begin, &end);
    while (begin < end) {
        stretch s = next_stretch(&begin, end, v.w.in);
        float *out = dx + s.row * v.w.in;
        uint32_t oh_begin, oh_end, ow_begin, ow_end;
        clear(out + s.begin, s.end - s.begin);
        windows_over(&v.h, s.row % v.h.in, &oh_begin, &oh_end);
        windows_over_stretch(&v.w, &s, &ow_begin, &ow_end);
        for (uint32_t oh = oh_begin; oh < oh_end; oh++) {
            uint32_t kh_begin, kh_end;
            window(&v.h, oh, &kh_begin, &kh_end);
            const float *gradient = dy + (s.row / v.h.in * v.h.out + oh) * v.w.out;
            for (uint32_t ow = ow_begin; ow < ow_end; ow++) {
                uint32_t kw_begin, kw_end;
                int32_t iw = window(&v.w, ow, &kw_begin, &kw_end);
                float part =
                    gradient[ow] * average_factor(&v, whole, kh_end - kh_begin, kw_end - kw_begin);
                clip(&s, iw, &kw_begin, &kw_end);
                for (uint32_t kw = kw_begin; kw < kw_end; kw++) {
                    out[iw + (int32_t)kw] += part;
                }
            }
        }
    }
}
