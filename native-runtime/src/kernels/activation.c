/*
 * Activation functions, element by element; outputs may take the place of inputs.
 *
 * Gradients are computed from the output where that is enough, else from the input: see
 * bt_activation_keeps_output.
 */
#include "kernels/kernels.h"
#include "kernels/math.h"

#define BT_SQRT_HALF 0.707106781f
#define BT_INVERSE_SQRT_2PI 0.398942280f
#define BT_SQRT_2_OVER_PI 0.797884561f
#define BT_GELU_CUBIC 0.044715f

/* One loop per function, so that each vectorises. */
#define BT_EACH(expression)                                                                        \
    for (uint32_t i = 0; i < BT_CHUNK; i++) {                                                      \
        float x = v[i];                                                                            \
        v[i] = (expression);                                                                       \
    }                                                                                              \
    break

static float gelu(float x) { return 0.5f * x * (1.0f + bt_erff(x * BT_SQRT_HALF)); }

static float gelu_tanh(float x) {
    float inner = BT_SQRT_2_OVER_PI * bt_fma(BT_GELU_CUBIC * x * x, x, x);
    return 0.5f * x * (1.0f + bt_tanhf(inner));
}

static float hardswish_gate(float x) {
    float gate = bt_fma(x, 1.0f / 6.0f, 0.5f);
    gate = gate < 0.0f ? 0.0f : gate;
    return gate > 1.0f ? 1.0f : gate;
}

static void apply(uint32_t function, float alpha, float v[BT_CHUNK]) {
    switch (function) {
    case BT_FUNCTION_RELU:
        BT_EACH(x < 0.0f ? 0.0f : x);
    case BT_FUNCTION_ELU:
        BT_EACH(x < 0.0f ? alpha * bt_expm1f(x) : x);
    case BT_FUNCTION_LEAKY_RELU:
        BT_EACH(x < 0.0f ? alpha * x : x);
    case BT_FUNCTION_GELU:
        BT_EACH(gelu(x));
    case BT_FUNCTION_GELU_TANH:
        BT_EACH(gelu_tanh(x));
    case BT_FUNCTION_SIGMOID:
        BT_EACH(bt_sigmoidf(x));
    case BT_FUNCTION_TANH:
        BT_EACH(bt_tanhf(x));
    case BT_FUNCTION_SILU:
        BT_EACH(x * bt_sigmoidf(x));
    case BT_FUNCTION_HARDSWISH:
        BT_EACH(x * hardswish_gate(x));
    default:
        break;
    }
}
#undef BT_EACH

/* x y | function, alpha */
void BT_KERNEL(bt_activation_forward)(const bt_call *call, const bt_team *team) {
    const float *x = bt_call_operand(call, 0);
    float *y = bt_call_operand(call, 1);
    uint32_t function = bt_call_count(call, 0);
    float alpha = bt_call_float(call, 1);
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 1), &begin, &end);
    for (uint32_t i = begin; i < end; i += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, end - i);
        float v[BT_CHUNK];
        bt_chunk_load(x + i, n, v);
        apply(function, alpha, v);
        bt_chunk_store(v, n, y + i);
    }
}

static float gelu_slope(float x) {
    float density = BT_INVERSE_SQRT_2PI * bt_expf(-0.5f * x * x);
    return bt_fma(x, density, 0.5f * (1.0f + bt_erff(x * BT_SQRT_HALF)));
}

static float gelu_tanh_slope(float x) {
    float t = bt_tanhf(BT_SQRT_2_OVER_PI * bt_fma(BT_GELU_CUBIC * x * x, x, x));
    float inner_slope = BT_SQRT_2_OVER_PI * bt_fma(3.0f * BT_GELU_CUBIC * x, x, 1.0f);
    return bt_fma(0.5f * x * (1.0f - t * t), inner_slope, 0.5f * (1.0f + t));
}

static float silu_slope(float x) {
    float s = bt_sigmoidf(x);
    return s * bt_fma(x, 1.0f - s, 1.0f);
}

static float hardswish_slope(float x) {
    float middle = bt_fma(x, 1.0f / 3.0f, 0.5f);
    return x <= -3.0f ? 0.0f : (x < 3.0f ? middle : 1.0f);
}

/* Replaces kept values k by slopes. */
#define BT_EACH(expression)                                                                        \
    for (uint32_t i = 0; i < BT_CHUNK; i++) {                                                      \
        float k = v[i];                                                                            \
        v[i] = (expression);                                                                       \
    }                                                                                              \
    break

static void apply_slope(uint32_t function, float alpha, float v[BT_CHUNK]) {
    switch (function) {
    case BT_FUNCTION_RELU:
        BT_EACH(k > 0.0f ? 1.0f : 0.0f);
    case BT_FUNCTION_ELU:
        BT_EACH(k > 0.0f ? 1.0f : k + alpha);
    case BT_FUNCTION_LEAKY_RELU:
        BT_EACH(k > 0.0f ? 1.0f : alpha);
    case BT_FUNCTION_GELU:
        BT_EACH(gelu_slope(k));
    case BT_FUNCTION_GELU_TANH:
        BT_EACH(gelu_tanh_slope(k));
    case BT_FUNCTION_SIGMOID:
        BT_EACH(k * (1.0f - k));
    case BT_FUNCTION_TANH:
        BT_EACH(1.0f - k * k);
    case BT_FUNCTION_SILU:
        BT_EACH(silu_slope(k));
    case BT_FUNCTION_HARDSWISH:
        BT_EACH(hardswish_slope(k));
    default:
        break;
    }
}
#undef BT_EACH

/* kept dy dx | function, alpha */
void BT_KERNEL(bt_activation_grad)(const bt_call *call, const bt_team *team) {
    const float *kept = bt_call_operand(call, 0);
    const float *dy = bt_call_operand(call, 1);
    float *dx = bt_call_operand(call, 2);
    uint32_t function = bt_call_count(call, 0);
    float alpha = bt_call_float(call, 1);
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 2), &begin, &end);
    for (uint32_t i = begin; i < end; i += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, end - i);
        float v[BT_CHUNK], gradient[BT_CHUNK];
        bt_chunk_load(kept + i, n, v);
        bt_chunk_load(dy + i, n, gradient);
        apply_slope(function, alpha, v);
        for (uint32_t j = 0; j < BT_CHUNK; j++) {
            v[j] *= gradient[j];
        }
        bt_chunk_store(v, n, dx + i);
    }
}

/* x mask: what the gradient of a (leaky) ReLU needs of it, in a bit per element. */
void BT_KERNEL(bt_sign_mask)(const bt_call *call, const bt_team *team) {
    const float *x = bt_call_operand(call, 0);
    uint8_t *mask = call->data[1];
    uint32_t elements = bt_call_elements(call, 0);
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 1), &begin, &end);
    for (uint32_t byte = begin; byte < end; byte++) {
        uint32_t n = bt_min(8, elements - byte * 8);
        uint32_t bits = 0;
        for (uint32_t bit = 0; bit < n; bit++) {
            bits |= (uint32_t)(x[byte * 8 + bit] > 0.0f) << bit;
        }
        mask[byte] = (uint8_t)bits;
    }
}

/* mask dy dx | slope where the bit is 0; dx may take the place of dy. */
void BT_KERNEL(bt_mask_grad)(const bt_call *call, const bt_team *team) {
    const uint8_t *mask = call->data[0];
    const float *dy = bt_call_operand(call, 1);
    float *dx = bt_call_operand(call, 2);
    float slope = bt_call_float(call, 0);
    uint32_t elements = bt_call_elements(call, 2);
    uint32_t begin, end;
    bt_team_share(team, bt_divide_up(elements, BT_CHUNK), &begin, &end);
    for (uint32_t first = begin * BT_CHUNK; first < bt_min(end * BT_CHUNK, elements);
         first += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, elements - first);
        float gradient[BT_CHUNK], slopes[BT_CHUNK];
        for (uint32_t i = 0; i < n; i++) {
            slopes[i] = mask[(first + i) / 8] >> (first + i) % 8 & 1u ? 1.0f : slope;
        }
        bt_chunk_load(dy + first, n, gradient);
        for (uint32_t i = 0; i < n; i++) {
            gradient[i] *= slopes[i];
        }
        bt_chunk_store(gradient, n, dx + first);
    }
}
