/* Pooling over windows of 1-D (N,C,L) and 2-D (N,C,H,W) tensors; a 1-D tensor has height 1. */
#include "train/emitter.h"

#define POOL_ATTRIBUTES 9
#define BT_MAX_WINDOW 65535 /* positions in a window are kept in 16 bits */

/* Geometry attributes of the instructions; 1-D pools use the width entries. */
static void pool_attributes(const bt_node *node, const bt_shape *x, int32_t *out) {
    const bt_attributes *a = &node->attributes;
    bool flat = x->rank == 3;
    if (node->row->op == BT_OP_GLOBAL_AVERAGE_POOL) {
        const int32_t whole[POOL_ATTRIBUTES] = {flat ? 1 : (int32_t)x->dims[2],
                                                (int32_t)x->dims[x->rank - 1], 1, 1};
        for (uint32_t i = 0; i < POOL_ATTRIBUTES; i++) {
            out[i] = whole[i];
        }
        return;
    }
    out[0] = flat ? 1 : a->kernel[0];
    out[1] = a->kernel[1];
    out[2] = flat ? 1 : a->strides[0];
    out[3] = a->strides[1];
    out[4] = flat ? 0 : a->pads[0];
    out[5] = a->pads[1];
    out[6] = flat ? 0 : a->pads[2];
    out[7] = a->pads[3];
    out[8] = (a->flags & BT_ATTRIBUTE_COUNT_INCLUDE_PAD) != 0 ? 1 : 0;
}

static bt_status check_rank(const bt_shape *x) {
    if (x->rank != 3 && x->rank != 4) {
        BT_FAIL(BT_ERROR_MODEL, "the input %s has rank %u; (N,C,L) or (N,C,H,W) is expected.",
                bt_shape_print(x).text, x->rank);
    }
    return BT_OK;
}

static bt_status pool_extent(const char *dimension, uint32_t input, int32_t kernel, int32_t stride,
                             int32_t before, int32_t after, uint32_t *out) {
    if (kernel < 1 || kernel > BT_MAX_WINDOW || stride < 1 || stride > BT_MAX_WINDOW) {
        BT_FAIL(BT_ERROR_MODEL, "the %s kernel is %d and the stride %d; both are 1 to %d.",
                dimension, kernel, stride, BT_MAX_WINDOW);
    }
    if (before < 0 || after < 0 || before >= kernel || after >= kernel) {
        BT_FAIL(BT_ERROR_MODEL,
                "the %s padding is %d and %d; both must be at least 0 and less than the kernel %d.",
                dimension, before, after, kernel);
    }
    int64_t padded = (int64_t)input + before + after;
    if (kernel > padded) {
        BT_FAIL(BT_ERROR_MODEL,
                "the kernel has %d elements in %s, but the padded input has only %lld.", kernel,
                dimension, (long long)padded);
    }
    *out = (uint32_t)((padded - kernel) / stride + 1);
    return BT_OK;
}

bt_status bt_pool_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_attributes *a = query->attributes;
    const bt_shape *x = query->operand[0];
    uint32_t width = x->rank - 1;
    BT_TRY(check_rank(x));
    *out = *x;
    BT_TRY(pool_extent("width", x->dims[width], a->kernel[1], a->strides[1], a->pads[1], a->pads[3],
                       &out->dims[width]));
    if (x->rank == 4) {
        BT_TRY(pool_extent("height", x->dims[2], a->kernel[0], a->strides[0], a->pads[0],
                           a->pads[2], &out->dims[2]));
        if ((int64_t)a->kernel[0] * a->kernel[1] > BT_MAX_WINDOW) {
            BT_FAIL(BT_ERROR_MODEL, "the window %d x %d has more than %d elements.", a->kernel[0],
                    a->kernel[1], BT_MAX_WINDOW);
        }
    }
    return BT_OK;
}

bt_status bt_global_pool_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_shape *x = query->operand[0];
    BT_TRY(check_rank(x));
    if (bt_shape_product(x, 2, x->rank) > BT_MAX_WINDOW) {
        BT_FAIL(BT_ERROR_MODEL, "the input %s has windows of more than %d elements.",
                bt_shape_print(x).text, BT_MAX_WINDOW);
    }
    *out = *x;
    for (uint32_t i = 2; i < x->rank; i++) {
        out->dims[i] = 1;
    }
    return BT_OK;
}

void bt_max_pool_forward(bt_emitter *emitter, const bt_node *node) {
    int32_t geometry[POOL_ATTRIBUTES];
    pool_attributes(node, bt_emit_operand_shape(emitter, node, 0), geometry);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t y = bt_emit_output(emitter, node);
    uint32_t positions = BT_NO_TENSOR;
    if (emitter->sequence == BT_SEQUENCE_TRAIN && bt_gradient_wanted(emitter, node, 0)) {
        uint32_t dtype = geometry[0] * geometry[1] <= 256 ? BT_DTYPE_U8 : BT_DTYPE_U16;
        positions = bt_ir_tensor_new(emitter->ir, BT_RESIDENCE_TRANSIENT, dtype,
                                     bt_emit_output_shape(emitter, node), "", NULL);
        emitter->saved[node->index][0] = positions;
    }
    bt_emit(emitter, BT_OPCODE_MAX_POOL_FORWARD, BT_OPERANDS(x, y, positions), POOL_ATTRIBUTES,
            geometry);
}

void bt_max_pool_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    int32_t geometry[POOL_ATTRIBUTES];
    pool_attributes(node, bt_emit_operand_shape(emitter, node, 0), geometry);
    uint32_t dx = bt_gradient_open(emitter, node, 0, false);
    bt_emit(emitter, BT_OPCODE_MAX_POOL_GRAD, BT_OPERANDS(dy, emitter->saved[node->index][0], dx),
            POOL_ATTRIBUTES, geometry);
    bt_gradient_close(emitter, node, 0, dx);
}

void bt_average_pool_forward(bt_emitter *emitter, const bt_node *node) {
    int32_t geometry[POOL_ATTRIBUTES];
    pool_attributes(node, bt_emit_operand_shape(emitter, node, 0), geometry);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t y = bt_emit_output(emitter, node);
    bt_emit(emitter, BT_OPCODE_AVERAGE_POOL_FORWARD, BT_OPERANDS(x, y), POOL_ATTRIBUTES, geometry);
}

void bt_average_pool_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    int32_t geometry[POOL_ATTRIBUTES];
    pool_attributes(node, bt_emit_operand_shape(emitter, node, 0), geometry);
    uint32_t dx = bt_gradient_open(emitter, node, 0, false);
    bt_emit(emitter, BT_OPCODE_AVERAGE_POOL_GRAD, BT_OPERANDS(dy, dx), POOL_ATTRIBUTES, geometry);
    bt_gradient_close(emitter, node, 0, dx);
}
