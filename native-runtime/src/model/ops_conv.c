/* Convolution of 1-D (N,C,L) and 2-D (N,C,H,W) tensors; a 1-D tensor is one of height 1. */
#include "train/emitter.h"

#define CONV_ATTRIBUTES 9

/* Geometry attributes of the instructions; 1-D convolutions use the width entries. */
static void conv_attributes(const bt_attributes *a, uint32_t rank, int32_t *out) {
    bool flat = rank == 3;
    out[0] = flat ? 1 : a->strides[0];
    out[1] = a->strides[1];
    out[2] = flat ? 0 : a->pads[0];
    out[3] = a->pads[1];
    out[4] = flat ? 0 : a->pads[2];
    out[5] = a->pads[3];
    out[6] = flat ? 1 : a->dilations[0];
    out[7] = a->dilations[1];
    out[8] = a->groups;
}

/* Output extent along one dimension. */
static bt_status conv_extent(const char *dimension, uint32_t input, uint32_t kernel, int32_t stride,
                             int32_t before, int32_t after, int32_t dilation, uint32_t *out) {
    const int32_t limit = 65535;
    if (kernel > (uint32_t)limit) {
        BT_FAIL(BT_ERROR_MODEL, "the kernel has %u elements in %s; up to %d are allowed.", kernel,
                dimension, limit);
    }
    if (stride < 1 || dilation < 1 || stride > limit || dilation > limit) {
        BT_FAIL(BT_ERROR_MODEL, "the %s stride is %d and the dilation %d; both are 1 to %d.",
                dimension, stride, dilation, limit);
    }
    int64_t span = (int64_t)dilation * ((int64_t)kernel - 1) + 1;
    if (before < 0 || after < 0 || before > limit || after > limit || before >= span ||
        after >= span) {
        BT_FAIL(BT_ERROR_MODEL,
                "the %s padding is %d and %d; both are at least 0 and less than the kernel's span "
                "%lld.",
                dimension, before, after, (long long)span);
    }
    int64_t padded = (int64_t)input + before + after;
    if (span > padded) {
        BT_FAIL(BT_ERROR_MODEL,
                "the kernel spans %lld elements in %s, but the padded input has only %lld.",
                (long long)span, dimension, (long long)padded);
    }
    *out = (uint32_t)((padded - span) / stride + 1);
    return BT_OK;
}

bt_status bt_conv_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_attributes *a = query->attributes;
    const bt_shape *x = query->operand[0];
    const bt_shape *weight = query->operand[1];
    const bt_shape *bias = query->operand[2];
    if (x->rank != 3 && x->rank != 4) {
        BT_FAIL(BT_ERROR_MODEL, "the input %s has rank %u; (N,C,L) or (N,C,H,W) is expected.",
                bt_shape_print(x).text, x->rank);
    }
    if (weight->rank != x->rank) {
        BT_FAIL(BT_ERROR_MODEL, "the weight %s must have the rank %u of the input %s.",
                bt_shape_print(weight).text, x->rank, bt_shape_print(x).text);
    }
    if (a->groups < 1 || x->dims[1] % (uint32_t)a->groups != 0 ||
        weight->dims[0] % (uint32_t)a->groups != 0) {
        BT_FAIL(BT_ERROR_MODEL,
                "groups is %d; it must divide the %u channels of the input and the %u of the "
                "output.",
                a->groups, x->dims[1], weight->dims[0]);
    }
    if (weight->dims[1] != x->dims[1] / (uint32_t)a->groups) {
        BT_FAIL(BT_ERROR_MODEL,
                "the weight %s takes %u channels per group, but the input %s has %u in %d groups.",
                bt_shape_print(weight).text, weight->dims[1], bt_shape_print(x).text,
                x->dims[1] / (uint32_t)a->groups, a->groups);
    }
    if (bias != NULL && (bias->rank != 1 || bias->dims[0] != weight->dims[0])) {
        BT_FAIL(BT_ERROR_MODEL, "the bias %s must have the shape (%u).", bt_shape_print(bias).text,
                weight->dims[0]);
    }
    int32_t geometry[CONV_ATTRIBUTES];
    conv_attributes(a, x->rank, geometry);
    out->rank = x->rank;
    out->dims[0] = x->dims[0];
    out->dims[1] = weight->dims[0];
    uint32_t width = x->rank - 1;
    if (x->rank == 4) {
        BT_TRY(conv_extent("height", x->dims[2], weight->dims[2], geometry[0], geometry[2],
                           geometry[4], geometry[6], &out->dims[2]));
    }
    return conv_extent("width", x->dims[width], weight->dims[width], geometry[1], geometry[3],
                       geometry[5], geometry[7], &out->dims[width]);
}

uint64_t bt_conv_macs(const bt_shape_query *query, const bt_shape *out) {
    const bt_shape *weight = query->operand[1];
    return (uint64_t)bt_shape_elements(out) * bt_shape_product(weight, 1, weight->rank);
}

void bt_conv_forward(bt_emitter *emitter, const bt_node *node) {
    int32_t geometry[CONV_ATTRIBUTES];
    conv_attributes(&node->attributes, bt_emit_operand_shape(emitter, node, 0)->rank, geometry);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t weight = bt_emit_operand(emitter, node, 1);
    uint32_t bias = bt_emit_operand(emitter, node, 2);
    uint32_t y = bt_emit_output(emitter, node);
    bt_emit(emitter, BT_OPCODE_CONV_FORWARD, BT_OPERANDS(x, weight, bias, y), CONV_ATTRIBUTES,
            geometry);
}

void bt_conv_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    const bt_shape *y = bt_emit_output_shape(emitter, node);
    int32_t geometry[CONV_ATTRIBUTES];
    conv_attributes(&node->attributes, y->rank, geometry);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t weight = bt_emit_operand(emitter, node, 1);
    if (bt_gradient_wanted(emitter, node, 1)) {
        uint32_t dweight = bt_gradient_open(emitter, node, 1, true);
        bt_emit(emitter, BT_OPCODE_CONV_GRAD_WEIGHT, BT_OPERANDS(x, dy, dweight), CONV_ATTRIBUTES,
                geometry);
        bt_gradient_close(emitter, node, 1, dweight);
    }
    if (bt_gradient_wanted(emitter, node, 2)) {
        uint32_t dbias = bt_gradient_open(emitter, node, 2, true);
        bt_emit(emitter, BT_OPCODE_CHANNEL_SUM, BT_OPERANDS(dy, dbias),
                BT_ATTRIBUTES((int32_t)y->dims[0], (int32_t)y->dims[1],
                              (int32_t)bt_shape_product(y, 2, y->rank)));
        bt_gradient_close(emitter, node, 2, dbias);
    }
    if (bt_gradient_wanted(emitter, node, 0)) {
        uint32_t dx = bt_gradient_open(emitter, node, 0, false);
        bt_emit(emitter, BT_OPCODE_CONV_GRAD_INPUT, BT_OPERANDS(dy, weight, dx), CONV_ATTRIBUTES,
                geometry);
        bt_gradient_close(emitter, node, 0, dx);
    }
}
