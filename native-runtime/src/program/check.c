/*
 * What every instruction demands of its operands and attributes, so that its kernel never leaves
 * the tensors it is given. All values are untrusted; the tensors themselves have been validated
 * (dims >= 1, fewer than 2^31 bytes), so products of two sizes fit 64 bits.
 */
#include "program/program.h"

#define BT_MAX_EXTENT 65535  /* of kernels, strides, pads and dilations */
#define BT_MAX_WINDOW 65536u /* elements of a pooling window: its indices fit 16 bits */
#define BT_ANY_COUNT 0xFFu
#define BT_MAX_SCALE 24 /* of halves, as a power of two */

/*
 * types: one letter per operand, upper case if the instruction writes it: f F32, i I32, u U8 or
 * U16, h F32 or F16, s F32 that may be the same bytes as the S of its instruction, which then works
 * in place, a any dtype in any level.
 * optional: bit per operand that may be absent.
 */
typedef struct bt_signature {
    const char *types;
    uint8_t optional;
    uint8_t attributes;
} bt_signature;

static const bt_signature signatures[BT_OPCODE_COUNT] = {
    [BT_OPCODE_CONV_FORWARD] = {"fffF", 1u << 2, 9},
    [BT_OPCODE_CONV_GRAD_INPUT] = {"ffF", 0, 9},
    [BT_OPCODE_CONV_GRAD_WEIGHT] = {"ffF", 0, 9},
    [BT_OPCODE_CHANNEL_SUM] = {"fF", 0, 3},
    [BT_OPCODE_MATMUL] = {"fffF", 1u << 2, 11},
    [BT_OPCODE_NORM_FORWARD] = {"sffSFF", 1u << 1 | 1u << 2, 6},
    [BT_OPCODE_NORM_GRAD_INPUT] = {"ssffSF", 1u << 2, 6},
    [BT_OPCODE_NORM_GRAD_PARAMETERS] = {"fffFFF", 1u << 3 | 1u << 4, 6},
    [BT_OPCODE_BATCH_NORM_FORWARD] = {"fffFFFF", 0, 5},
    [BT_OPCODE_BATCH_NORM_GRAD_INPUT] = {"fsffS", 0, 5},
    [BT_OPCODE_BATCH_NORM_GRAD_PARAMETERS] = {"fffFF", 1u << 3 | 1u << 4, 5},
    [BT_OPCODE_FROZEN_NORM_FORWARD] = {"sffffS", 0, 5},
    [BT_OPCODE_FROZEN_NORM_GRAD_INPUT] = {"sffS", 0, 5},
    [BT_OPCODE_FROZEN_NORM_GRAD_PARAMETERS] = {"ffffFF", 1u << 4 | 1u << 5, 5},
    [BT_OPCODE_ACTIVATION_FORWARD] = {"sS", 0, 2},
    [BT_OPCODE_ACTIVATION_GRAD] = {"ssS", 0, 2},
    [BT_OPCODE_MAX_POOL_FORWARD] = {"fFU", 1u << 2, 9},
    [BT_OPCODE_MAX_POOL_GRAD] = {"fuF", 0, 9},
    [BT_OPCODE_AVERAGE_POOL_FORWARD] = {"fF", 0, 9},
    [BT_OPCODE_AVERAGE_POOL_GRAD] = {"fF", 0, 9},
    [BT_OPCODE_BINARY] = {"ssS", 0, 1},
    [BT_OPCODE_BROADCAST_REDUCE] = {"ffF", 1u << 1, 0},
    [BT_OPCODE_ACCUMULATE] = {"fF", 0, 0},
    [BT_OPCODE_TRANSPOSE] = {"fF", 0, BT_ANY_COUNT},
    [BT_OPCODE_COPY_BLOCKS] = {"fF", 0, 6},
    [BT_OPCODE_SOFTMAX_FORWARD] = {"sS", 0, 3},
    [BT_OPCODE_SOFTMAX_GRAD] = {"fsS", 0, 3},
    [BT_OPCODE_DROPOUT] = {"sS", 0, 3},
    [BT_OPCODE_CROSS_ENTROPY] = {"siFS", 1u << 3, 1},
    [BT_OPCODE_MSE] = {"sfFS", 1u << 3, 1},
    [BT_OPCODE_INNER_PRODUCT] = {"sfFS", 1u << 3, 1},
    [BT_OPCODE_ZERO] = {"F", 0, 0},
    [BT_OPCODE_SGD] = {"FfF", 1u << 2, 3},
    [BT_OPCODE_ADAM] = {"FfFF", 0, 5},
    [BT_OPCODE_NORM_SUMS] = {"fF", 0, 6},
    [BT_OPCODE_NORM_SQUARES] = {"ffF", 0, 6},
    [BT_OPCODE_NORM_FOLD] = {"fF", 0, 5},
    [BT_OPCODE_NORM_APPLY] = {"sfffS", 1u << 1 | 1u << 2, 6},
    [BT_OPCODE_NORM_GRAD_SUMS] = {"ffffF", 1u << 2, 6},
    [BT_OPCODE_TRANSFER] = {"aA", 0, BT_ANY_COUNT},
    [BT_OPCODE_WAIT] = {"", 0, 0},
    [BT_OPCODE_NORM_GRAD_APPLY] = {"ssfffS", 1u << 2, 6},
    [BT_OPCODE_CONVERT] = {"hH", 0, 1},
    [BT_OPCODE_SIGN_MASK] = {"fU", 0, 0},
    [BT_OPCODE_MASK_GRAD] = {"usS", 0, 1},
};

static uint32_t type_fits(char type, uint32_t dtype) {
    switch (type) {
    case 'i':
        return dtype == BT_DTYPE_I32;
    case 'u':
    case 'U':
        return dtype == BT_DTYPE_U8 || dtype == BT_DTYPE_U16;
    case 'a':
    case 'A':
        return 1;
    case 'h':
    case 'H':
        return dtype == BT_DTYPE_F32 || dtype == BT_DTYPE_F16;
    default:
        return dtype == BT_DTYPE_F32;
    }
}

/* Kernels reach L1 and L2 only: L3 is behind a DMA. */
static uint32_t level_fits(char type, uint32_t level) {
    return type == 'a' || type == 'A' || level != BT_LEVEL_L3;
}

static uint32_t is_written(char type) { return 'A' <= type && type <= 'Z'; }

static uint32_t elements_are(const bt_call *call, uint32_t operand, uint64_t elements) {
    const bt_tensor *tensor = call->tensor[operand];
    return tensor == NULL || bt_tensor_elements(tensor) == elements;
}

/* Operands first … last that are present have as many elements as operand first. */
static uint32_t elements_equal(const bt_call *call, uint32_t first, uint32_t last) {
    uint32_t elements = bt_tensor_elements(call->tensor[first]);
    uint32_t i;
    for (i = first + 1; i <= last; i++) {
        if (!elements_are(call, i, elements)) {
            return 0;
        }
    }
    return 1;
}

static uint32_t within(int32_t value, int32_t low, int32_t high) {
    return low <= value && value <= high;
}

static uint32_t is_finite(float value) { return value - value == 0.0f; }

/* Product of count positive attributes from first on, or 0 if one is not positive or the product
 * is larger than any tensor. */
static uint64_t attribute_product(const bt_call *call, uint32_t first, uint32_t count) {
    uint64_t product = 1;
    uint32_t i;
    for (i = first; i < first + count; i++) {
        if (call->attribute[i] < 1) {
            return 0;
        }
        product *= (uint64_t)call->attribute[i];
        if (product > 0x7FFFFFFFu) {
            return 0;
        }
    }
    return product;
}

/* The view "rows, channels, inner" in attributes 0 … 2 covers operand exactly. */
static uint32_t view_covers(const bt_call *call, uint32_t operand) {
    return elements_are(call, operand, attribute_product(call, 0, 3));
}

/* Batch, channels, height and width of a rank-3 or rank-4 tensor. */
static void image_dims(const bt_tensor *tensor, uint32_t out[4]) {
    out[0] = tensor->dims[0];
    out[1] = tensor->dims[1];
    out[2] = tensor->rank == 4 ? tensor->dims[2] : 1u;
    out[3] = tensor->dims[tensor->rank - 1];
}

/* One axis of a sliding window: window is its extent with dilation. */
static uint32_t window_fits(uint32_t in, uint32_t out, uint64_t window, int32_t stride,
                            int32_t pad_before, int32_t pad_after) {
    uint64_t padded;
    if (!within(stride, 1, BT_MAX_EXTENT) || !within(pad_before, 0, BT_MAX_EXTENT) ||
        !within(pad_after, 0, BT_MAX_EXTENT) || (uint64_t)pad_before >= window ||
        (uint64_t)pad_after >= window) {
        return 0;
    }
    padded = (uint64_t)in + (uint64_t)pad_before + (uint64_t)pad_after;
    return padded >= window && (padded - window) / (uint64_t)stride + 1u == out;
}

static uint32_t ranks_are_image(const bt_tensor *a, const bt_tensor *b) {
    return (a->rank == 3 || a->rank == 4) && a->rank == b->rank;
}

static uint32_t check_conv(const bt_call *call, const bt_tensor *x, const bt_tensor *w,
                           const bt_tensor *y) {
    const int32_t *a = call->attribute;
    uint32_t xs[4], ws[4], ys[4];
    uint32_t axis;
    uint32_t groups;
    if (!ranks_are_image(x, w) || !ranks_are_image(x, y) || a[8] < 1) {
        return 0;
    }
    image_dims(x, xs);
    image_dims(w, ws);
    image_dims(y, ys);
    groups = (uint32_t)a[8];
    if (xs[0] != ys[0] || ws[0] != ys[1] || ws[0] % groups != 0 || xs[1] % groups != 0 ||
        ws[1] != xs[1] / groups) {
        return 0;
    }
    for (axis = 0; axis < 2; axis++) {
        uint32_t kernel = ws[2 + axis];
        int32_t dilation = a[6 + axis];
        if (kernel > BT_MAX_EXTENT || !within(dilation, 1, BT_MAX_EXTENT) ||
            !window_fits(xs[2 + axis], ys[2 + axis],
                         (uint64_t)(kernel - 1u) * (uint64_t)dilation + 1u, a[axis], a[2 + axis],
                         a[4 + axis])) {
            return 0;
        }
    }
    return 1;
}

/* argmax may be NULL. */
static uint32_t check_pool(const bt_call *call, const bt_tensor *x, const bt_tensor *y,
                           const bt_tensor *argmax) {
    const int32_t *a = call->attribute;
    uint32_t xs[4], ys[4];
    uint32_t axis;
    uint64_t window;
    if (!ranks_are_image(x, y) || !within(a[8], 0, 1)) {
        return 0;
    }
    image_dims(x, xs);
    image_dims(y, ys);
    if (xs[0] != ys[0] || xs[1] != ys[1]) {
        return 0;
    }
    for (axis = 0; axis < 2; axis++) {
        if (!within(a[axis], 1, BT_MAX_EXTENT) ||
            !window_fits(xs[2 + axis], ys[2 + axis], (uint64_t)a[axis], a[2 + axis], a[4 + axis],
                         a[6 + axis])) {
            return 0;
        }
    }
    window = (uint64_t)a[0] * (uint64_t)a[1];
    if (argmax == NULL) {
        return window <= BT_MAX_WINDOW;
    }
    return window <= (argmax->dtype == BT_DTYPE_U8 ? 256u : BT_MAX_WINDOW) &&
           bt_tensor_elements(argmax) == bt_tensor_elements(y);
}

/* Every index of an operand with these strides over (batch, rows, columns) is below elements. */
static uint32_t strides_fit(const int32_t strides[3], const uint32_t extents[3],
                            uint32_t elements) {
    uint64_t largest = 0;
    uint32_t i;
    for (i = 0; i < 3; i++) {
        uint64_t reach;
        if (strides[i] < 0) {
            return 0;
        }
        reach = (uint64_t)(extents[i] - 1u) * (uint64_t)strides[i];
        if (reach >= elements) {
            return 0;
        }
        largest += reach;
    }
    return largest < elements;
}

static uint32_t check_matmul(const bt_call *call) {
    const int32_t *a = call->attribute;
    uint32_t a_extents[3], b_extents[3];
    /* A stride of at least 1 along K bounds K by the size of a. */
    if (!elements_are(call, 3, attribute_product(call, 0, 3)) || a[3] < 1 ||
        (a[3] > 1 && a[6] < 1) || !within(a[10], 0, 1)) {
        return 0;
    }
    a_extents[0] = b_extents[0] = (uint32_t)a[0];
    a_extents[1] = (uint32_t)a[1];
    a_extents[2] = b_extents[1] = (uint32_t)a[3];
    b_extents[2] = (uint32_t)a[2];
    return elements_are(call, 2, (uint64_t)a[2]) &&
           strides_fit(a + 4, a_extents, bt_tensor_elements(call->tensor[0])) &&
           strides_fit(a + 7, b_extents, bt_tensor_elements(call->tensor[1]));
}

/* Rows cover the data; parameters and statistics as the norm attributes say. */
static uint32_t check_norm(const bt_call *call, uint32_t data, uint32_t scale, uint32_t bias,
                           uint32_t stats, uint32_t partials) {
    const int32_t *a = call->attribute;
    uint64_t parameters = attribute_product(call, 2, 2);
    uint32_t rows = (uint32_t)a[0];
    uint32_t row_length = (uint32_t)a[1];
    float epsilon = bt_call_float(call, 5);
    if (!elements_are(call, data, attribute_product(call, 0, 2)) || parameters == 0 ||
        attribute_product(call, 3, 2) != row_length || !is_finite(epsilon) || epsilon < 0.0f) {
        return 0;
    }
    if (stats != BT_NO_TENSOR && !elements_are(call, stats, 2ull * rows)) {
        return 0;
    }
    if (scale != BT_NO_TENSOR && !elements_are(call, scale, parameters)) {
        return 0;
    }
    if (bias != BT_NO_TENSOR && !elements_are(call, bias, parameters)) {
        return 0;
    }
    /* Two floats per block of at most BT_REDUCTION_BLOCK elements: no more than 2 * elements. */
    return partials == BT_NO_TENSOR || bt_tensor_elements(call->tensor[partials]) >=
                                           bt_norm_partials(rows, (uint32_t)a[3], (uint32_t)a[4]);
}

/* Two sums per block of every row, two results per row. */
static uint32_t check_norm_fold(const bt_call *call) {
    const int32_t *a = call->attribute;
    float epsilon = bt_call_float(call, 3);
    uint64_t blocks = attribute_product(call, 0, 2);
    return blocks != 0 && elements_are(call, 0, 2ull * blocks) &&
           elements_are(call, 1, 2ull * (uint32_t)a[0]) && a[2] >= 1 && is_finite(epsilon) &&
           epsilon >= 0.0f && within(a[4], BT_FOLD_MEAN, BT_FOLD_MEANS);
}

/* Operand data is (N, channels, inner); operands first … last hold one value per channel. */
static uint32_t check_channels(const bt_call *call, uint32_t data, uint32_t first, uint32_t last) {
    float epsilon = bt_call_float(call, 3);
    uint32_t i;
    if (!view_covers(call, data) || !is_finite(epsilon) || epsilon < 0.0f ||
        !is_finite(bt_call_float(call, 4))) {
        return 0;
    }
    for (i = first; i <= last; i++) {
        if (!elements_are(call, i, (uint64_t)call->attribute[1])) {
            return 0;
        }
    }
    return 1;
}

static uint32_t channel_stats_fit(const bt_call *call, uint32_t stats) {
    return elements_are(call, stats, 2ull * (uint32_t)call->attribute[1]);
}

/* A bit per element. */
static uint32_t mask_fits(const bt_tensor *mask, const bt_tensor *of) {
    return mask->dtype == BT_DTYPE_U8 &&
           bt_tensor_elements(mask) ==
               bt_tensor_elements(of) / 8u + (bt_tensor_elements(of) % 8u != 0);
}

/* Dimension axis of tensor when it is right-aligned in rank dimensions. */
static uint32_t aligned_dim(const bt_tensor *tensor, uint32_t rank, uint32_t axis) {
    uint32_t missing = rank - tensor->rank;
    return axis < missing ? 1u : tensor->dims[axis - missing];
}

static uint32_t broadcasts_to(const bt_tensor *tensor, const bt_tensor *to) {
    uint32_t axis;
    if (tensor->rank > to->rank) {
        return 0;
    }
    for (axis = 0; axis < to->rank; axis++) {
        uint32_t dim = aligned_dim(tensor, to->rank, axis);
        if (dim != 1u && dim != to->dims[axis]) {
            return 0;
        }
    }
    return 1;
}

static uint32_t check_transpose(const bt_call *call) {
    const bt_tensor *x = call->tensor[0];
    const bt_tensor *y = call->tensor[1];
    uint32_t seen = 0;
    uint32_t axis;
    if (call->attribute_count != x->rank || x->rank != y->rank) {
        return 0;
    }
    for (axis = 0; axis < x->rank; axis++) {
        int32_t from = call->attribute[axis];
        if (!within(from, 0, x->rank - 1) || (seen >> from & 1u) != 0 ||
            y->dims[axis] != x->dims[from]) {
            return 0;
        }
        seen |= 1u << from;
    }
    return 1;
}

/* count blocks of length elements, stride apart, from offset on lie inside operand. */
static uint32_t blocks_fit(const bt_call *call, uint32_t operand, int32_t stride, int32_t offset) {
    uint64_t count = (uint64_t)call->attribute[0];
    uint64_t length = (uint64_t)call->attribute[1];
    return stride >= 0 && offset >= 0 &&
           (uint64_t)offset + (count - 1u) * (uint64_t)stride + length <=
               bt_tensor_elements(call->tensor[operand]);
}

static uint32_t check_copy_blocks(const bt_call *call) {
    const int32_t *a = call->attribute;
    /* Blocks that overlapped in the destination would make the result depend on the cores. */
    return a[0] >= 1 && a[1] >= 1 && blocks_fit(call, 0, a[2], a[3]) &&
           blocks_fit(call, 1, a[4], a[5]) && (a[0] == 1 || a[4] >= a[1]);
}

/* y and dy hold losses x attribute 0 elements. */
static uint32_t check_loss(const bt_call *call) {
    uint64_t samples = bt_tensor_elements(call->tensor[2]);
    return call->attribute[0] >= 1 &&
           elements_are(call, 0, samples * (uint64_t)call->attribute[0]) &&
           elements_are(call, 3, samples * (uint64_t)call->attribute[0]);
}

/* One side is in L1 and copied whole; the rows on the other side lie inside its tensor. */
static uint32_t check_transfer(const bt_call *call) {
    const int32_t *a = call->attribute;
    uint32_t near = call->tensor[0]->level == BT_LEVEL_L1 ? 0 : 1;
    const bt_tensor *l1 = call->tensor[near], *other = call->tensor[1 - near];
    uint64_t elements = bt_tensor_elements(l1);
    uint64_t last; /* element behind the last row, from the first on */
    if (l1->level != BT_LEVEL_L1 || other->level == BT_LEVEL_L1 || l1->dtype != other->dtype ||
        elements * bt_dtype_bytes(l1->dtype) > BT_TRANSFER_MAX_BYTES) {
        return 0;
    }
    if (call->attribute_count == 1) {
        last = elements;
    } else if (call->attribute_count == 4 && attribute_product(call, 1, 2) == elements &&
               a[3] >= a[2]) {
        last = (uint64_t)(a[1] - 1) * (uint64_t)a[3] + (uint64_t)a[2];
    } else {
        return 0;
    }
    return a[0] >= 0 && (uint64_t)a[0] + last <= bt_tensor_elements(other);
}

static uint32_t shapes_fit(const bt_call *call) {
    const bt_tensor *const *t = call->tensor;
    const int32_t *a = call->attribute;
    switch (call->opcode) {
    case BT_OPCODE_CONV_FORWARD:
        return check_conv(call, t[0], t[1], t[3]) && elements_are(call, 2, t[1]->dims[0]);
    case BT_OPCODE_CONV_GRAD_INPUT:
        return check_conv(call, t[2], t[1], t[0]);
    case BT_OPCODE_CONV_GRAD_WEIGHT:
        return check_conv(call, t[0], t[2], t[1]);
    case BT_OPCODE_CHANNEL_SUM:
        return view_covers(call, 0) && elements_are(call, 1, (uint64_t)a[1]);
    case BT_OPCODE_MATMUL:
        return check_matmul(call);
    case BT_OPCODE_NORM_FORWARD:
        return elements_are(call, 3, bt_tensor_elements(t[0])) && check_norm(call, 0, 1, 2, 4, 5);
    case BT_OPCODE_NORM_GRAD_INPUT:
        return elements_equal(call, 0, 1) && elements_are(call, 4, bt_tensor_elements(t[0])) &&
               check_norm(call, 0, 2, BT_NO_TENSOR, 3, 5);
    case BT_OPCODE_NORM_GRAD_PARAMETERS:
        return elements_equal(call, 0, 1) && check_norm(call, 0, 3, 4, 2, 5);
    case BT_OPCODE_NORM_SUMS:
        return check_norm(call, 0, BT_NO_TENSOR, BT_NO_TENSOR, BT_NO_TENSOR, 1);
    case BT_OPCODE_NORM_SQUARES:
        return check_norm(call, 0, BT_NO_TENSOR, BT_NO_TENSOR, 1, 2);
    case BT_OPCODE_NORM_FOLD:
        return check_norm_fold(call);
    case BT_OPCODE_NORM_APPLY:
        return elements_are(call, 4, bt_tensor_elements(t[0])) &&
               check_norm(call, 0, 1, 2, 3, BT_NO_TENSOR);
    case BT_OPCODE_NORM_GRAD_SUMS:
        return elements_equal(call, 0, 1) && check_norm(call, 0, 2, BT_NO_TENSOR, 3, 4);
    case BT_OPCODE_NORM_GRAD_APPLY:
        return elements_equal(call, 0, 1) && elements_are(call, 5, bt_tensor_elements(t[0])) &&
               elements_are(call, 4, bt_tensor_elements(t[3])) &&
               check_norm(call, 0, 2, BT_NO_TENSOR, 3, BT_NO_TENSOR);
    case BT_OPCODE_BATCH_NORM_FORWARD:
        return elements_are(call, 5, bt_tensor_elements(t[0])) && check_channels(call, 0, 1, 4) &&
               channel_stats_fit(call, 6);
    case BT_OPCODE_BATCH_NORM_GRAD_INPUT:
        return elements_equal(call, 0, 1) && elements_are(call, 4, bt_tensor_elements(t[0])) &&
               check_channels(call, 0, 2, 2) && channel_stats_fit(call, 3);
    case BT_OPCODE_BATCH_NORM_GRAD_PARAMETERS:
        return elements_equal(call, 0, 1) && check_channels(call, 0, 3, 4) &&
               channel_stats_fit(call, 2);
    case BT_OPCODE_FROZEN_NORM_FORWARD:
        return elements_are(call, 5, bt_tensor_elements(t[0])) && check_channels(call, 0, 1, 4);
    case BT_OPCODE_FROZEN_NORM_GRAD_INPUT:
        return elements_are(call, 3, bt_tensor_elements(t[0])) && check_channels(call, 0, 1, 2);
    case BT_OPCODE_FROZEN_NORM_GRAD_PARAMETERS:
        return elements_equal(call, 0, 1) && check_channels(call, 0, 2, 5);
    case BT_OPCODE_ACTIVATION_FORWARD:
        return elements_equal(call, 0, 1) && within(a[0], 0, BT_FUNCTION_COUNT - 1);
    case BT_OPCODE_ACTIVATION_GRAD:
        return elements_equal(call, 0, 2) && within(a[0], 0, BT_FUNCTION_COUNT - 1);
    case BT_OPCODE_MAX_POOL_FORWARD:
        return check_pool(call, t[0], t[1], t[2]);
    case BT_OPCODE_MAX_POOL_GRAD:
        return check_pool(call, t[2], t[0], t[1]);
    case BT_OPCODE_AVERAGE_POOL_FORWARD:
        return check_pool(call, t[0], t[1], NULL);
    case BT_OPCODE_AVERAGE_POOL_GRAD:
        return check_pool(call, t[1], t[0], NULL);
    case BT_OPCODE_BINARY:
        return broadcasts_to(t[0], t[2]) && broadcasts_to(t[1], t[2]) &&
               within(a[0], BT_BINARY_ADD, BT_BINARY_MUL);
    case BT_OPCODE_BROADCAST_REDUCE:
        return broadcasts_to(t[2], t[0]) && (t[1] == NULL || broadcasts_to(t[1], t[0]));
    case BT_OPCODE_ACCUMULATE:
        return elements_equal(call, 0, 1);
    case BT_OPCODE_TRANSPOSE:
        return check_transpose(call);
    case BT_OPCODE_COPY_BLOCKS:
        return check_copy_blocks(call);
    case BT_OPCODE_SOFTMAX_FORWARD:
        return elements_equal(call, 0, 1) && view_covers(call, 0);
    case BT_OPCODE_SOFTMAX_GRAD:
        return elements_equal(call, 0, 2) && view_covers(call, 0);
    case BT_OPCODE_DROPOUT: {
        float ratio = bt_call_float(call, 0);
        return elements_equal(call, 0, 1) && ratio >= 0.0f && ratio < 1.0f && a[2] >= 0 &&
               (uint64_t)a[2] + bt_tensor_elements(t[0]) <= 0x7FFFFFFFu;
    }
    case BT_OPCODE_CROSS_ENTROPY:
        return check_loss(call) && elements_are(call, 1, bt_tensor_elements(t[2]));
    case BT_OPCODE_MSE:
    case BT_OPCODE_INNER_PRODUCT:
        return check_loss(call) && elements_equal(call, 0, 1);
    case BT_OPCODE_ZERO:
        return 1;
    case BT_OPCODE_TRANSFER:
        return check_transfer(call);
    case BT_OPCODE_WAIT:
        return 1;
    case BT_OPCODE_CONVERT:
        return t[0]->dtype != t[1]->dtype && elements_equal(call, 0, 1) &&
               within(a[0], -BT_MAX_SCALE, BT_MAX_SCALE);
    case BT_OPCODE_SIGN_MASK:
        return mask_fits(t[1], t[0]);
    case BT_OPCODE_MASK_GRAD:
        return mask_fits(t[0], t[1]) && elements_equal(call, 1, 2);
    case BT_OPCODE_SGD:
        return elements_equal(call, 0, 2) && within(a[2], 0, 1);
    case BT_OPCODE_ADAM:
        return elements_equal(call, 0, 3) && within(a[4], 0, 1);
    default:
        return 0;
    }
}

bt_fault bt_call_check(const bt_call *call) {
    const bt_signature *signature;
    uint32_t i;
    if (call->opcode >= BT_OPCODE_COUNT) {
        return BT_FAULT_INSTRUCTION;
    }
    signature = &signatures[call->opcode];
    for (i = 0; i < call->operand_count; i++) {
        if (signature->types[i] == '\0') {
            return BT_FAULT_INSTRUCTION;
        }
    }
    if (signature->types[i] != '\0' ||
        (signature->attributes != BT_ANY_COUNT && signature->attributes != call->attribute_count)) {
        return BT_FAULT_INSTRUCTION;
    }
    for (i = 0; i < call->operand_count; i++) {
        const bt_tensor *tensor = call->tensor[i];
        if (tensor == NULL) {
            if ((signature->optional >> i & 1u) == 0) {
                return BT_FAULT_OPERAND;
            }
        } else if (!type_fits(signature->types[i], tensor->dtype) ||
                   !level_fits(signature->types[i], tensor->level)) {
            return BT_FAULT_OPERAND;
        }
    }
    return shapes_fit(call) ? BT_FAULT_NONE : BT_FAULT_SHAPE;
}

bt_fault bt_call_check_overlap(const bt_call *call) {
    const char *types = signatures[call->opcode].types;
    uint32_t i;
    uint32_t j;
    for (i = 0; i < call->operand_count; i++) {
        const bt_tensor *a = call->tensor[i];
        uint32_t a_bytes;
        if (a == NULL || !is_written(types[i])) {
            continue;
        }
        a_bytes = bt_tensor_elements(a) * bt_dtype_bytes(a->dtype);
        for (j = 0; j < call->operand_count; j++) {
            const bt_tensor *b = call->tensor[j];
            uint32_t b_bytes;
            if (j == i || b == NULL || b->level != a->level) {
                continue;
            }
            b_bytes = bt_tensor_elements(b) * bt_dtype_bytes(b->dtype);
            if (types[i] == 'S' && types[j] == 's' && a->offset == b->offset &&
                a_bytes == b_bytes) {
                continue;
            }
            if (a->offset < (uint64_t)b->offset + b_bytes &&
                b->offset < (uint64_t)a->offset + a_bytes) {
                return BT_FAULT_OPERAND;
            }
        }
    }
    return BT_FAULT_NONE;
}
