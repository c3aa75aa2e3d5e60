/* Moves of elements: transposition and copies of equally spaced blocks. */
#include "kernels/kernels.h"

/* x y | permutation: axis i of y is axis permutation[i] of x. */
void BT_KERNEL(bt_transpose)(const bt_call *call, const bt_team *team) {
    const bt_tensor *from = call->tensor[0];
    const bt_tensor *to = call->tensor[1];
    const float *x = bt_call_operand(call, 0);
    float *y = bt_call_operand(call, 1);
    uint32_t rank = to->rank;
    uint32_t stride[BT_PROGRAM_MAX_RANK]; /* in x, of y's axes */
    for (uint32_t i = 0; i < rank; i++) {
        stride[i] = 1;
        for (uint32_t axis = bt_call_count(call, i) + 1; axis < rank; axis++) {
            stride[i] *= from->dims[axis];
        }
    }
    uint32_t width = to->dims[rank - 1];
    uint32_t begin, end;
    bt_team_share(team, bt_call_elements(call, 1), &begin, &end);
    while (begin < end) {
        uint32_t row = begin / width, column = begin % width;
        uint32_t count = bt_min(width - column, end - begin);
        uint32_t offset = column * stride[rank - 1];
        for (uint32_t axis = rank - 1; axis-- > 0;) {
            offset += row % to->dims[axis] * stride[axis];
            row /= to->dims[axis];
        }
        for (uint32_t i = 0; i < count; i++) {
            y[begin + i] = x[offset + i * stride[rank - 1]];
        }
        begin += count;
    }
}

/* src dst | count, length, src_stride, src_offset, dst_stride, dst_offset: count blocks of length.
 */
void BT_KERNEL(bt_copy_blocks)(const bt_call *call, const bt_team *team) {
    uint32_t length = bt_call_count(call, 1);
    uint32_t source_stride = bt_call_count(call, 2);
    uint32_t target_stride = bt_call_count(call, 4);
    const float *source = bt_call_operand(call, 0) + bt_call_count(call, 3);
    float *target = bt_call_operand(call, 1) + bt_call_count(call, 5);
    uint32_t begin, end;
    bt_team_share(team, bt_call_count(call, 0) * length, &begin, &end);
    while (begin < end) {
        uint32_t block = begin / length, first = begin % length;
        uint32_t count = bt_min(length - first, end - begin);
        for (uint32_t i = first; i < first + count; i++) {
            target[block * target_stride + i] = source[block * source_stride + i];
        }
        begin += count;
    }
}
