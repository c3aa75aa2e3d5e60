/* Optimizer steps, element by element, with PyTorch's definitions. */
#include "kernels/kernels.h"
#include "kernels/math.h"

/* dst */
void BT_KERNEL(bt_zero)(const bt_call *call, const bt_team *team) {
    float *x = bt_call_operand(call, 0);
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 0), &begin, &end);
    for (uint32_t i = begin; i < end; i++) {
        x[i] = 0.0f;
    }
}

/* w+= g momentum+=? | momentum, decay, nesterov. Without a buffer there is no momentum. */
void BT_KERNEL(bt_sgd)(const bt_call *call, const bt_team *team) {
    float *w = bt_call_operand(call, 0);
    const float *g = bt_call_operand(call, 1);
    float *buffer = bt_call_operand(call, 2);
    float momentum = bt_call_float(call, 0);
    float decay = bt_call_float(call, 1);
    uint32_t nesterov = bt_call_count(call, 2);
    float rate = call->scalars->learning_rate;
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 0), &begin, &end);
    for (uint32_t i = begin; i < end; i++) {
        float gradient = bt_fma(decay, w[i], g[i]);
        if (buffer) {
            buffer[i] = bt_fma(momentum, buffer[i], gradient);
            gradient = nesterov ? bt_fma(momentum, buffer[i], gradient) : buffer[i];
        }
        w[i] = bt_fma(-rate, gradient, w[i]);
    }
}

/* w+= g m+= v+= | beta1, beta2, epsilon, decay, decoupled (AdamW) */
void BT_KERNEL(bt_adam)(const bt_call *call, const bt_team *team) {
    float *w = bt_call_operand(call, 0);
    const float *g = bt_call_operand(call, 1);
    float *m = bt_call_operand(call, 2);
    float *v = bt_call_operand(call, 3);
    float beta1 = bt_call_float(call, 0);
    float beta2 = bt_call_float(call, 1);
    float epsilon = bt_call_float(call, 2);
    float decay = bt_call_float(call, 3);
    uint32_t decoupled = bt_call_count(call, 4);
    float rate = call->scalars->learning_rate;
    float coupled_decay = decoupled ? 0.0f : decay;
    float shrink = decoupled ? 1.0f - rate * decay : 1.0f;
    float step = rate / call->scalars->correction1;
    float root_correction = bt_sqrtf(call->scalars->correction2);
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 0), &begin, &end);
    for (uint32_t i = begin; i < end; i++) {
        float gradient = bt_fma(coupled_decay, w[i], g[i]);
        m[i] = bt_fma(1.0f - beta1, gradient - m[i], m[i]);
        v[i] = bt_fma((1.0f - beta2) * gradient, gradient, beta2 * v[i]);
        float denominator = bt_sqrtf(v[i]) / root_correction + epsilon;
        w[i] = bt_fma(-step, m[i] / denominator, w[i] * shrink);
    }
}
