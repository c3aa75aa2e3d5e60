/*
 * Sums: of a gradient over all but its channels, over broadcast dimensions, and of two tensors.
 * Order: rows ascending, in each row the blocks of reduce.h ascending.
 */
#include "kernels/reduce.h"

/* dy db+=: db[c] += sum of dy over rows and inner of a (rows, channels, inner) array. */
void BT_KERNEL(bt_channel_sum)(const bt_call *call, const bt_team *team) {
    const float *dy = bt_call_operand(call, 0);
    float *db = bt_call_operand(call, 1);
    uint32_t rows = bt_call_count(call, 0);
    uint32_t channels = bt_call_count(call, 1);
    uint32_t inner = bt_call_count(call, 2);
    uint32_t begin, end;
    bt_team_share(team, channels, &begin, &end);
    if (inner == 1) {
        for (uint32_t row = 0; row < rows; row++) {
            for (uint32_t c = begin; c < end; c++) {
                db[c] += dy[row * channels + c];
            }
        }
        return;
    }
    for (uint32_t c = begin; c < end; c++) {
        for (uint32_t row = 0; row < rows; row++) {
            const float *span = dy + (row * channels + c) * inner;
            for (uint32_t i = 0; i < inner; i += BT_REDUCTION_BLOCK) {
                db[c] += bt_block_sum(span + i, bt_min(BT_REDUCTION_BLOCK, inner - i));
            }
        }
    }
}

/* Element strides of operand as seen from the dimensions of full, 0 where it is broadcast. */
static void broadcast_strides(const bt_tensor *operand, const bt_tensor *full,
                              uint32_t stride[BT_PROGRAM_MAX_RANK]) {
    uint32_t step = 1;
    for (uint32_t i = 0; i < full->rank; i++) {
        uint32_t axis = full->rank - 1 - i;
        uint32_t dim = i < operand->rank ? operand->dims[operand->rank - 1 - i] : 1;
        stride[axis] = dim == 1 ? 0 : step;
        step *= dim;
    }
}

/*
 * dy other? da: da = sum of dy * other over the dimensions that da lacks. The summed elements are
 * taken in row-major order, in blocks of BT_REDUCTION_BLOCK, one by one within a block.
 */
void BT_KERNEL(bt_broadcast_reduce)(const bt_call *call, const bt_team *team) {
    const bt_tensor *full = call->tensor[0];
    const float *dy = bt_call_operand(call, 0);
    const float *other = bt_call_operand(call, 1);
    float *da = bt_call_operand(call, 2);
    uint32_t rank = full->rank;
    uint32_t step[BT_PROGRAM_MAX_RANK], da_step[BT_PROGRAM_MAX_RANK];
    uint32_t other_step[BT_PROGRAM_MAX_RANK];
    broadcast_strides(full, full, step);
    broadcast_strides(call->tensor[2], full, da_step);
    if (other) {
        broadcast_strides(call->tensor[1], full, other_step);
    }
    uint32_t count = 1; /* elements summed into each one of da */
    for (uint32_t axis = 0; axis < rank; axis++) {
        count *= da_step[axis] == 0 ? full->dims[axis] : 1;
    }
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 2), &begin, &end);
    for (uint32_t element = begin; element < end; element++) {
        uint32_t dy_start = 0, other_start = 0;
        for (uint32_t axis = 0; axis < rank; axis++) {
            if (da_step[axis] != 0) {
                uint32_t index = element / da_step[axis] % full->dims[axis];
                dy_start += index * step[axis];
                other_start += other ? index * other_step[axis] : 0;
            }
        }
        float total = 0.0f;
        float sum = 0.0f;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t at = dy_start, other_at = other_start, rest = i;
            for (uint32_t axis = rank; axis-- > 0;) {
                if (da_step[axis] == 0) {
                    uint32_t index = rest % full->dims[axis];
                    rest /= full->dims[axis];
                    at += index * step[axis];
                    other_at += other ? index * other_step[axis] : 0;
                }
            }
            sum = other ? bt_fma(dy[at], other[other_at], sum) : sum + dy[at];
            if ((i + 1) % BT_REDUCTION_BLOCK == 0 || i + 1 == count) {
                total += sum;
                sum = 0.0f;
            }
        }
        da[element] = total;
    }
}

/* src dst+= */
void BT_KERNEL(bt_accumulate)(const bt_call *call, const bt_team *team) {
    const float *source = bt_call_operand(call, 0);
    float *target = bt_call_operand(call, 1);
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 1), &begin, &end);
    for (uint32_t i = begin; i < end; i++) {
        target[i] += source[i];
    }
}
