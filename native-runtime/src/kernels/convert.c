/* Conversion between single and half precision, in which maps may be kept (half.h). */
#include "kernels/half.h"
#include "kernels/kernels.h"

/* 2^exponent. */
static float power_of_two(int32_t exponent) {
    return bt_bits_float((uint32_t)(exponent + 127) << 23);
}

/* x y | exponent: a half holds a number times 2^exponent, which is exact but for the rounding. */
void BT_KERNEL(bt_convert)(const bt_call *call, const bt_team *team) {
    int32_t exponent = call->attribute[0];
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 0), &begin, &end);
    if (call->tensor[1]->dtype == BT_DTYPE_F16) {
        const float *x = call->data[0];
        uint16_t *y = call->data[1];
        float scale = power_of_two(exponent);
        for (uint32_t i = begin; i < end; i++) {
            y[i] = bt_half_from_float(x[i] * scale);
        }
    } else {
        const uint16_t *x = call->data[0];
        float *y = call->data[1];
        float scale = power_of_two(-exponent);
        for (uint32_t i = begin; i < end; i++) {
            y[i] = bt_half_to_float(x[i]) * scale;
        }
    }
}
