/*
 * Batch normalisation: with the statistics of the micro-batch (training) and with the running ones
 * (frozen). A channel's statistics are one core's work: samples ascending, in each sample the
 * blocks of reduce.h ascending; the mean first, then the squares of the differences.
 */
#include "kernels/math.h"
#include "kernels/reduce.h"

typedef struct channels_view {
    uint32_t samples, channels, inner;
    float epsilon, momentum;
} channels_view;

static channels_view channels_view_get(const bt_call *call) {
    channels_view v;
    v.samples = bt_call_count(call, 0);
    v.channels = bt_call_count(call, 1);
    v.inner = bt_call_count(call, 2);
    v.epsilon = bt_call_float(call, 3);
    v.momentum = bt_call_float(call, 4);
    return v;
}

/* y = x * factor of count elements; y may be x. */
static void scale_span(const float *x, float factor, uint32_t count, float *y) {
    for (uint32_t i = 0; i < count; i += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, count - i);
        float value[BT_CHUNK];
        bt_chunk_load(x + i, n, value);
        for (uint32_t j = 0; j < BT_CHUNK; j++) {
            value[j] *= factor;
        }
        bt_chunk_store(value, n, y + i);
    }
}

/* y = (x - mean) * inverse * scale + bias of count elements; y may be x. */
static void normalize_span(const float *x, float mean, float inverse, float scale, float bias,
                           uint32_t count, float *y) {
    for (uint32_t i = 0; i < count; i += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, count - i);
        float value[BT_CHUNK];
        bt_chunk_load(x + i, n, value);
        for (uint32_t j = 0; j < BT_CHUNK; j++) {
            value[j] = bt_fma((value[j] - mean) * inverse, scale, bias);
        }
        bt_chunk_store(value, n, y + i);
    }
}

/* Sums of dy and of dy times the normalised x over channel c. */
static void gradient_sums(const channels_view *v, const float *x, const float *dy, uint32_t c,
                          float mean, float inverse, float *plain, float *normalized) {
    *plain = *normalized = 0.0f;
    for (uint32_t n = 0; n < v->samples; n++) {
        uint32_t start = (n * v->channels + c) * v->inner;
        for (uint32_t i = 0; i < v->inner; i += BT_REDUCTION_BLOCK) {
            uint32_t count = bt_min(BT_REDUCTION_BLOCK, v->inner - i);
            *plain += bt_block_sum(dy + start + i, count);
            *normalized +=
                bt_block_normalized_dot(x + start + i, dy + start + i, mean, inverse, count);
        }
    }
}

/* x scale bias mean+= var+= y stats */
void BT_KERNEL(bt_batch_norm_forward)(const bt_call *call, const bt_team *team) {
    channels_view v = channels_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *scale = bt_call_operand(call, 1);
    const float *bias = bt_call_operand(call, 2);
    float *running_mean = bt_call_operand(call, 3);
    float *running_variance = bt_call_operand(call, 4);
    float *y = bt_call_operand(call, 5);
    float *stats = bt_call_operand(call, 6);
    float elements = (float)(v.samples * v.inner);
    uint32_t begin, end;
    bt_team_share(team, v.channels, &begin, &end);
    for (uint32_t c = begin; c < end; c++) {
        float sum = 0.0f;
        for (uint32_t n = 0; n < v.samples; n++) {
            const float *in = x + (n * v.channels + c) * v.inner;
            for (uint32_t i = 0; i < v.inner; i += BT_REDUCTION_BLOCK) {
                sum += bt_block_sum(in + i, bt_min(BT_REDUCTION_BLOCK, v.inner - i));
            }
        }
        float mean = sum / elements;
        float squares = 0.0f;
        for (uint32_t n = 0; n < v.samples; n++) {
            const float *in = x + (n * v.channels + c) * v.inner;
            for (uint32_t i = 0; i < v.inner; i += BT_REDUCTION_BLOCK) {
                squares += bt_block_variance(in + i, mean, bt_min(BT_REDUCTION_BLOCK, v.inner - i));
            }
        }
        float inverse = 1.0f / bt_sqrtf(squares / elements + v.epsilon);
        for (uint32_t n = 0; n < v.samples; n++) {
            uint32_t start = (n * v.channels + c) * v.inner;
            normalize_span(x + start, mean, inverse, scale[c], bias[c], v.inner, y + start);
        }
        stats[c * 2] = mean;
        stats[c * 2 + 1] = inverse;
        /* The running variance is the unbiased one. */
        running_mean[c] = bt_fma(v.momentum, mean - running_mean[c], running_mean[c]);
        running_variance[c] = bt_fma(v.momentum, squares / (elements - 1.0f) - running_variance[c],
                                     running_variance[c]);
    }
}

/* x dy scale stats dx; dx may take the place of dy. */
void BT_KERNEL(bt_batch_norm_grad_input)(const bt_call *call, const bt_team *team) {
    channels_view v = channels_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *dy = bt_call_operand(call, 1);
    const float *scale = bt_call_operand(call, 2);
    const float *stats = bt_call_operand(call, 3);
    float *dx = bt_call_operand(call, 4);
    float elements = (float)(v.samples * v.inner);
    uint32_t begin, end;
    bt_team_share(team, v.channels, &begin, &end);
    for (uint32_t c = begin; c < end; c++) {
        float mean = stats[c * 2], inverse = stats[c * 2 + 1];
        float plain, normalized;
        gradient_sums(&v, x, dy, c, mean, inverse, &plain, &normalized);
        float mean_dy = plain / elements, mean_product = normalized / elements;
        float factor = scale[c] * inverse;
        for (uint32_t n = 0; n < v.samples; n++) {
            const float *in = x + (n * v.channels + c) * v.inner;
            const float *gradient = dy + (n * v.channels + c) * v.inner;
            float *out = dx + (n * v.channels + c) * v.inner;
            for (uint32_t i = 0; i < v.inner; i += BT_CHUNK) {
                uint32_t count = bt_min(BT_CHUNK, v.inner - i);
                float value[BT_CHUNK], g[BT_CHUNK];
                bt_chunk_load(in + i, count, value);
                bt_chunk_load(gradient + i, count, g);
                for (uint32_t j = 0; j < BT_CHUNK; j++) {
                    value[j] = (value[j] - mean) * inverse;
                    g[j] = factor * bt_fma(-value[j], mean_product, g[j] - mean_dy);
                }
                bt_chunk_store(g, count, out + i);
            }
        }
    }
}

/* x dy stats dscale+=? dbias+=? */
void BT_KERNEL(bt_batch_norm_grad_parameters)(const bt_call *call, const bt_team *team) {
    channels_view v = channels_view_get(call);
    const float *stats = bt_call_operand(call, 2);
    float *dscale = bt_call_operand(call, 3);
    float *dbias = bt_call_operand(call, 4);
    uint32_t begin, end;
    bt_team_share(team, v.channels, &begin, &end);
    for (uint32_t c = begin; c < end; c++) {
        float plain, normalized;
        gradient_sums(&v, bt_call_operand(call, 0), bt_call_operand(call, 1), c, stats[c * 2],
                      stats[c * 2 + 1], &plain, &normalized);
        if (dscale) {
            dscale[c] += normalized;
        }
        if (dbias) {
            dbias[c] += plain;
        }
    }
}

/* x scale bias mean var y; y may take the place of x. */
void BT_KERNEL(bt_frozen_norm_forward)(const bt_call *call, const bt_team *team) {
    channels_view v = channels_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *scale = bt_call_operand(call, 1);
    const float *bias = bt_call_operand(call, 2);
    const float *mean = bt_call_operand(call, 3);
    const float *variance = bt_call_operand(call, 4);
    float *y = bt_call_operand(call, 5);
    uint32_t blocks = bt_divide_up(v.inner, BT_REDUCTION_BLOCK);
    uint32_t begin, end;
    bt_team_share(team, v.samples * v.channels * blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        uint32_t first = unit % blocks * BT_REDUCTION_BLOCK;
        uint32_t span = unit / blocks;
        uint32_t c = span % v.channels;
        float inverse = 1.0f / bt_sqrtf(variance[c] + v.epsilon);
        uint32_t start = span * v.inner + first;
        normalize_span(x + start, mean[c], inverse, scale[c], bias[c],
                       bt_min(BT_REDUCTION_BLOCK, v.inner - first), y + start);
    }
}

/* dy scale var dx; dx may take the place of dy. */
void BT_KERNEL(bt_frozen_norm_grad_input)(const bt_call *call, const bt_team *team) {
    channels_view v = channels_view_get(call);
    const float *dy = bt_call_operand(call, 0);
    const float *scale = bt_call_operand(call, 1);
    const float *variance = bt_call_operand(call, 2);
    float *dx = bt_call_operand(call, 3);
    uint32_t blocks = bt_divide_up(v.inner, BT_REDUCTION_BLOCK);
    uint32_t begin, end;
    bt_team_share(team, v.samples * v.channels * blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        uint32_t first = unit % blocks * BT_REDUCTION_BLOCK;
        uint32_t span = unit / blocks;
        uint32_t c = span % v.channels;
        float factor = scale[c] / bt_sqrtf(variance[c] + v.epsilon);
        uint32_t start = span * v.inner + first;
        scale_span(dy + start, factor, bt_min(BT_REDUCTION_BLOCK, v.inner - first), dx + start);
    }
}

/* x dy mean var dscale+=? dbias+=? */
void BT_KERNEL(bt_frozen_norm_grad_parameters)(const bt_call *call, const bt_team *team) {
    channels_view v = channels_view_get(call);
    const float *mean = bt_call_operand(call, 2);
    const float *variance = bt_call_operand(call, 3);
    float *dscale = bt_call_operand(call, 4);
    float *dbias = bt_call_operand(call, 5);
    uint32_t begin, end;
    bt_team_share(team, v.channels, &begin, &end);
    for (uint32_t c = begin; c < end; c++) {
        float inverse = 1.0f / bt_sqrtf(variance[c] + v.epsilon);
        float plain, normalized;
        gradient_sums(&v, bt_call_operand(call, 0), bt_call_operand(call, 1), c, mean[c], inverse,
                      &plain, &normalized);
        if (dscale) {
            dscale[c] += normalized;
        }
        if (dbias) {
            dbias[c] += plain;
        }
    }
}
