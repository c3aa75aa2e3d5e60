/* Sums and products of two tensors, with NumPy broadcasting. */
#include "kernels/kernels.h"

/* Combines chunk b into chunk v. */
static void combine(uint32_t function, const float b[BT_CHUNK], float v[BT_CHUNK]) {
    if (function == BT_BINARY_ADD) {
        for (uint32_t i = 0; i < BT_CHUNK; i++) {
            v[i] += b[i];
        }
    } else {
        for (uint32_t i = 0; i < BT_CHUNK; i++) {
            v[i] *= b[i];
        }
    }
}

/* Next chunk of an operand: step 0 repeats its first element. */
static void load(const float *from, uint32_t step, uint32_t n, float to[BT_CHUNK]) {
    if (step != 0) {
        bt_chunk_load(from, n, to);
        return;
    }
    float value = from[0];
    for (uint32_t i = 0; i < BT_CHUNK; i++) {
        to[i] = value;
    }
}

/* count neighbouring elements; y may take the place of an operand with step 1. */
static void binary_span(uint32_t function, const float *a, uint32_t a_step, const float *b,
                        uint32_t b_step, float *y, uint32_t count) {
    for (uint32_t i = 0; i < count; i += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, count - i);
        float left[BT_CHUNK], right[BT_CHUNK];
        load(a + i * a_step, a_step, n, left);
        load(b + i * b_step, b_step, n, right);
        combine(function, right, left);
        bt_chunk_store(left, n, y + i);
    }
}

/* Element offset of row number row (all dimensions but the last) of an operand that is broadcast
 * to full; *step is 1, or 0 if its last dimension is broadcast. */
static uint32_t row_offset(const bt_tensor *operand, const bt_tensor *full, uint32_t row,
                           uint32_t *step) {
    uint32_t last = operand->dims[operand->rank - 1];
    uint32_t offset = 0;
    uint32_t stride = last;
    for (uint32_t i = 1; i < full->rank; i++) {
        uint32_t index = row % full->dims[full->rank - 1 - i];
        row /= full->dims[full->rank - 1 - i];
        if (i < operand->rank) {
            uint32_t dim = operand->dims[operand->rank - 1 - i];
            offset += dim == 1 ? 0 : index * stride;
            stride *= dim;
        }
    }
    *step = last == 1 ? 0 : 1;
    return offset;
}

/* a b y | function; y may take the place of an operand with as many elements. */
void BT_KERNEL(bt_binary)(const bt_call *call, const bt_team *team) {
    const bt_tensor *full = call->tensor[2];
    const float *a = bt_call_operand(call, 0);
    const float *b = bt_call_operand(call, 1);
    float *y = bt_call_operand(call, 2);
    uint32_t function = bt_call_count(call, 0);
    uint32_t elements = bt_call_elements(call, 2);
    uint32_t width = full->dims[full->rank - 1];
    uint32_t begin, end;
    bt_team_share(team, elements, &begin, &end);
    if (bt_call_elements(call, 0) == elements && bt_call_elements(call, 1) == elements) {
        binary_span(function, a + begin, 1, b + begin, 1, y + begin, end - begin);
        return;
    }
    while (begin < end) {
        uint32_t row = begin / width, column = begin % width;
        uint32_t count = bt_min(width - column, end - begin);
        uint32_t a_step, b_step;
        uint32_t a_row = row_offset(call->tensor[0], full, row, &a_step);
        uint32_t b_row = row_offset(call->tensor[1], full, row, &b_step);
        binary_span(function, a + a_row + column * a_step, a_step, b + b_row + column * b_step,
                    b_step, y + begin, count);
        begin += count;
    }
}
