/*
 * Softmax over the middle axis of a (rows, channels, inner) array. The sum over the channels runs
 * in blocks of BT_REDUCTION_BLOCK, one by one within a block. Outputs may take the place of inputs.
 */
#include "kernels/kernels.h"
#include "kernels/math.h"

typedef struct softmax_view {
    uint32_t rows, channels, inner;
} softmax_view;

static softmax_view softmax_view_get(const bt_call *call) {
    softmax_view v = {bt_call_count(call, 0), bt_call_count(call, 1), bt_call_count(call, 2)};
    return v;
}

/* Start of unit (row, position) of v; its elements are v.inner apart. */
static uint32_t unit_start(const softmax_view *v, uint32_t unit) {
    return unit / v->inner * v->channels * v->inner + unit % v->inner;
}

/* x y */
void BT_KERNEL(bt_softmax_forward)(const bt_call *call, const bt_team *team) {
    softmax_view v = softmax_view_get(call);
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.inner, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        const float *x = bt_call_operand(call, 0) + unit_start(&v, unit);
        float *y = bt_call_operand(call, 1) + unit_start(&v, unit);
        float largest = x[0];
        for (uint32_t c = 1; c < v.channels; c++) {
            float value = x[c * v.inner];
            largest = value > largest ? value : largest;
        }
        float total = 0.0f;
        for (uint32_t block = 0; block < v.channels; block += BT_REDUCTION_BLOCK) {
            uint32_t last = bt_min(v.channels, block + BT_REDUCTION_BLOCK);
            float sum = 0.0f;
            for (uint32_t c = block; c < last; c++) {
                float power = bt_expf(x[c * v.inner] - largest);
                y[c * v.inner] = power;
                sum += power;
            }
            total += sum;
        }
        for (uint32_t c = 0; c < v.channels; c++) {
            y[c * v.inner] /= total;
        }
    }
}

/* y dy dx: dx = y * (dy - sum of y * dy) */
void BT_KERNEL(bt_softmax_grad)(const bt_call *call, const bt_team *team) {
    softmax_view v = softmax_view_get(call);
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.inner, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        const float *y = bt_call_operand(call, 0) + unit_start(&v, unit);
        const float *dy = bt_call_operand(call, 1) + unit_start(&v, unit);
        float *dx = bt_call_operand(call, 2) + unit_start(&v, unit);
        float total = 0.0f;
        for (uint32_t block = 0; block < v.channels; block += BT_REDUCTION_BLOCK) {
            uint32_t last = bt_min(v.channels, block + BT_REDUCTION_BLOCK);
            float sum = 0.0f;
            for (uint32_t c = block; c < last; c++) {
                sum = bt_fma(y[c * v.inner], dy[c * v.inner], sum);
            }
            total += sum;
        }
        for (uint32_t c = 0; c < v.channels; c++) {
            dx[c * v.inner] = y[c * v.inner] * (dy[c * v.inner] - total);
        }
    }
}
