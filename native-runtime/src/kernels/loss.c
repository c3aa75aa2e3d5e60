/*
 * Losses: one value per sample, not scaled, and the gradient of the mean over the step's samples
 * (inverse_batch = 1 / samples). Gradients may take the place of the outputs they belong to. A
 * sample is one core's work; its sums run in blocks of BT_REDUCTION_BLOCK.
 */
#include "kernels/math.h"
#include "kernels/reduce.h"

/* logits labels losses dlogits? | classes. A label that is no class gives the loss NaN. */
void BT_KERNEL(bt_cross_entropy)(const bt_call *call, const bt_team *team) {
    const int32_t *labels = (const int32_t *)call->data[1];
    float *losses = bt_call_operand(call, 2);
    float *gradient = bt_call_operand(call, 3);
    uint32_t classes = bt_call_count(call, 0);
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 2), &begin, &end);
    for (uint32_t n = begin; n < end; n++) {
        const float *x = bt_call_operand(call, 0) + n * classes;
        /* A negative label becomes a large number. */
        uint32_t label = (uint32_t)labels[n];
        float largest = x[0];
        for (uint32_t c = 1; c < classes; c++) {
            largest = x[c] > largest ? x[c] : largest;
        }
        float total = 0.0f;
        for (uint32_t block = 0; block < classes; block += BT_REDUCTION_BLOCK) {
            uint32_t last = bt_min(classes, block + BT_REDUCTION_BLOCK);
            float sum = 0.0f;
            for (uint32_t c = block; c < last; c++) {
                sum += bt_expf(x[c] - largest);
            }
            total += sum;
        }
        losses[n] = label < classes ? bt_logf(total) - (x[label] - largest) : BT_NAN;
        if (gradient) {
            float *dx = gradient + n * classes;
            for (uint32_t c = 0; c < classes; c++) {
                float probability = bt_expf(x[c] - largest) / total;
                dx[c] = (probability - (c == label ? 1.0f : 0.0f)) * call->scalars->inverse_batch;
            }
        }
    }
}

/* y target losses dy? | elements per sample: the mean of (y - target)^2 */
void BT_KERNEL(bt_mse)(const bt_call *call, const bt_team *team) {
    float *losses = bt_call_operand(call, 2);
    float *gradient = bt_call_operand(call, 3);
    uint32_t elements = bt_call_count(call, 0);
    float factor = 2.0f * call->scalars->inverse_batch / (float)elements;
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 2), &begin, &end);
    for (uint32_t n = begin; n < end; n++) {
        const float *y = bt_call_operand(call, 0) + n * elements;
        const float *target = bt_call_operand(call, 1) + n * elements;
        float total = 0.0f;
        for (uint32_t block = 0; block < elements; block += BT_REDUCTION_BLOCK) {
            uint32_t last = bt_min(elements, block + BT_REDUCTION_BLOCK);
            bt_sum sum;
            bt_sum_clear(&sum);
            for (uint32_t i = block; i < last; i += BT_CHUNK) {
                uint32_t count = bt_min(BT_CHUNK, last - i);
                float difference[BT_CHUNK], square[BT_CHUNK];
                bt_chunk_load(y + i, count, difference);
                bt_chunk_load(target + i, count, square);
                for (uint32_t j = 0; j < BT_CHUNK; j++) {
                    difference[j] -= square[j];
                    square[j] = difference[j] * difference[j];
                    difference[j] *= factor;
                }
                bt_sum_add(&sum, square, count);
                if (gradient) {
                    bt_chunk_store(difference, count, gradient + n * elements + i);
                }
            }
            total += bt_sum_value(&sum);
        }
        losses[n] = total / (float)elements;
    }
}

/* y target losses dy? | elements per sample: the sum of y * target, so that dy = target */
void BT_KERNEL(bt_inner_product)(const bt_call *call, const bt_team *team) {
    float *losses = bt_call_operand(call, 2);
    float *gradient = bt_call_operand(call, 3);
    uint32_t elements = bt_call_count(call, 0);
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 2), &begin, &end);
    for (uint32_t n = begin; n < end; n++) {
        const float *y = bt_call_operand(call, 0) + n * elements;
        const float *target = bt_call_operand(call, 1) + n * elements;
        float total = 0.0f;
        for (uint32_t i = 0; i < elements; i += BT_REDUCTION_BLOCK) {
            total += bt_block_dot(y + i, target + i, bt_min(BT_REDUCTION_BLOCK, elements - i));
        }
        losses[n] = total;
        for (uint32_t i = 0; gradient && i < elements; i++) {
            gradient[n * elements + i] = target[i] * call->scalars->inverse_batch;
        }
    }
}
