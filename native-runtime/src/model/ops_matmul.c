/* Linear layers and matrix products: all are strided products c (batch,M,N) = a (batch,M,K) b. */
#include "train/emitter.h"

/* One strided product. */
typedef struct product {
    uint32_t batch, m, n, k;
    uint32_t a_strides[3]; /* batch, m, k */
    uint32_t b_strides[3]; /* batch, k, n */
} product;

static void emit_product(bt_emitter *emitter, uint32_t a, uint32_t b, uint32_t bias, uint32_t c,
                         const product *p, bool accumulate) {
    bt_emit(emitter, BT_OPCODE_MATMUL, BT_OPERANDS(a, b, bias, c),
            BT_ATTRIBUTES((int32_t)p->batch, (int32_t)p->m, (int32_t)p->n, (int32_t)p->k,
                          (int32_t)p->a_strides[0], (int32_t)p->a_strides[1],
                          (int32_t)p->a_strides[2], (int32_t)p->b_strides[0],
                          (int32_t)p->b_strides[1], (int32_t)p->b_strides[2], accumulate ? 1 : 0));
}

/* Emits the product that is an operand's gradient. */
static void emit_gradient(bt_emitter *emitter, const bt_node *node, uint32_t operand, uint32_t a,
                          uint32_t b, const product *p) {
    bool persists = bt_gradient_persists(emitter, node, operand);
    uint32_t gradient = bt_gradient_open(emitter, node, operand, persists);
    emit_product(emitter, a, b, BT_NO_TENSOR, gradient, p, persists);
    bt_gradient_close(emitter, node, operand, gradient);
}

/* ---- linear: y (rows,out) = x (rows,in) weight^T + bias */

typedef struct linear_sizes {
    uint32_t rows, in, out;
    bool transposed; /* weight is stored (in,out) */
} linear_sizes;

static linear_sizes linear_sizes_of(const bt_emitter *emitter, const bt_node *node) {
    const bt_shape *x = bt_emit_operand_shape(emitter, node, 0);
    const bt_shape *y = bt_emit_output_shape(emitter, node);
    return (linear_sizes){.rows = bt_shape_product(x, 0, x->rank - 1),
                          .in = x->dims[x->rank - 1],
                          .out = y->dims[y->rank - 1],
                          .transposed =
                              (node->attributes.flags & BT_ATTRIBUTE_TRANSPOSED_WEIGHT) != 0};
}

bt_status bt_linear_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_shape *x = query->operand[0];
    const bt_shape *weight = query->operand[1];
    const bt_shape *bias = query->operand[2];
    if (x->rank < 2) {
        BT_FAIL(BT_ERROR_MODEL, "the input %s has rank 1; (N,in) or more dimensions are expected.",
                bt_shape_print(x).text);
    }
    if (weight->rank != 2) {
        BT_FAIL(BT_ERROR_MODEL, "the weight %s must have rank 2.", bt_shape_print(weight).text);
    }
    uint32_t in_axis = (query->attributes->flags & BT_ATTRIBUTE_TRANSPOSED_WEIGHT) != 0 ? 0 : 1;
    uint32_t outputs = weight->dims[1 - in_axis];
    if (weight->dims[in_axis] != x->dims[x->rank - 1]) {
        BT_FAIL(BT_ERROR_MODEL, "the weight %s takes %u features, but the input %s has %u.",
                bt_shape_print(weight).text, weight->dims[in_axis], bt_shape_print(x).text,
                x->dims[x->rank - 1]);
    }
    if (bias != NULL && (bias->rank != 1 || bias->dims[0] != outputs)) {
        BT_FAIL(BT_ERROR_MODEL, "the bias %s must have the shape (%u).", bt_shape_print(bias).text,
                outputs);
    }
    *out = *x;
    out->dims[x->rank - 1] = outputs;
    return BT_OK;
}

uint64_t bt_linear_macs(const bt_shape_query *query, const bt_shape *out) {
    const bt_shape *x = query->operand[0];
    return (uint64_t)bt_shape_elements(out) * x->dims[x->rank - 1];
}

void bt_linear_forward(bt_emitter *emitter, const bt_node *node) {
    linear_sizes s = linear_sizes_of(emitter, node);
    product p = {1, s.rows, s.out, s.in, {0, s.in, 1}, {0, 1, s.in}};
    if (s.transposed) {
        p.b_strides[1] = s.out;
        p.b_strides[2] = 1;
    }
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t weight = bt_emit_operand(emitter, node, 1);
    uint32_t bias = bt_emit_operand(emitter, node, 2);
    emit_product(emitter, x, weight, bias, bt_emit_output(emitter, node), &p, false);
}

void bt_linear_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    linear_sizes s = linear_sizes_of(emitter, node);
    uint32_t x = bt_emit_operand(emitter, node, 0);
    uint32_t weight = bt_emit_operand(emitter, node, 1);
    if (bt_gradient_wanted(emitter, node, 1)) {
        if (s.transposed) {
            product p = {1, s.in, s.out, s.rows, {0, 1, s.in}, {0, s.out, 1}};
            emit_gradient(emitter, node, 1, x, dy, &p);
        } else {
            product p = {1, s.out, s.in, s.rows, {0, 1, s.out}, {0, s.in, 1}};
            emit_gradient(emitter, node, 1, dy, x, &p);
        }
    }
    if (bt_gradient_wanted(emitter, node, 2)) {
        uint32_t dbias = bt_gradient_open(emitter, node, 2, true);
        bt_emit(emitter, BT_OPCODE_CHANNEL_SUM, BT_OPERANDS(dy, dbias),
                BT_ATTRIBUTES((int32_t)s.rows, (int32_t)s.out, 1));
        bt_gradient_close(emitter, node, 2, dbias);
    }
    if (bt_gradient_wanted(emitter, node, 0)) {
        product p = {1, s.rows, s.in, s.out, {0, s.out, 1}, {0, s.in, 1}};
        if (s.transposed) {
            p.b_strides[1] = 1;
            p.b_strides[2] = s.out;
        }
        emit_gradient(emitter, node, 0, dy, weight, &p);
    }
}

/* ---- product of two tensors: c (batch,m,n) = a (batch,m,k) b (batch,k,n) */

typedef struct matmul_sizes {
    uint32_t batch, m, n, k;
} matmul_sizes;

/* If b has no batch dimensions, those of a are further rows of one product. */
static matmul_sizes matmul_sizes_of(const bt_shape *a, const bt_shape *b) {
    uint32_t a_batch = bt_shape_product(a, 0, a->rank - 2);
    uint32_t b_batch = bt_shape_product(b, 0, b->rank - 2);
    return (matmul_sizes){.batch = b_batch,
                          .m = a->dims[a->rank - 2] * (a_batch / b_batch),
                          .n = b->dims[b->rank - 1],
                          .k = b->dims[b->rank - 2]};
}

bt_status bt_matmul_shape(const bt_shape_query *query, bt_shape *out) {
    const bt_shape *a = query->operand[0];
    const bt_shape *b = query->operand[1];
    if (a->rank < 2 || b->rank < 2) {
        BT_FAIL(BT_ERROR_MODEL, "the operands %s and %s must have rank 2 or more.",
                bt_shape_print(a).text, bt_shape_print(b).text);
    }
    if (a->dims[a->rank - 1] != b->dims[b->rank - 2]) {
        BT_FAIL(BT_ERROR_MODEL, "the last dimension of a %s must equal the last but one of b %s.",
                bt_shape_print(a).text, bt_shape_print(b).text);
    }
    bool single = bt_shape_product(b, 0, b->rank - 2) == 1 && b->rank <= a->rank;
    bool equal = a->rank == b->rank;
    for (uint32_t i = 0; equal && i + 2 < a->rank; i++) {
        equal = a->dims[i] == b->dims[i];
    }
    if (!single && !equal) {
        BT_FAIL(BT_ERROR_MODEL,
                "the batch dimensions of b %s must be those of a %s, or absent, or all 1.",
                bt_shape_print(b).text, bt_shape_print(a).text);
    }
    *out = *a;
    out->dims[a->rank - 1] = b->dims[b->rank - 1];
    return BT_OK;
}

uint64_t bt_matmul_macs(const bt_shape_query *query, const bt_shape *out) {
    const bt_shape *a = query->operand[0];
    return (uint64_t)bt_shape_elements(out) * a->dims[a->rank - 1];
}

void bt_matmul_forward(bt_emitter *emitter, const bt_node *node) {
    matmul_sizes s = matmul_sizes_of(bt_emit_operand_shape(emitter, node, 0),
                                     bt_emit_operand_shape(emitter, node, 1));
    product p = {s.batch, s.m, s.n, s.k, {s.m * s.k, s.k, 1}, {s.k * s.n, s.n, 1}};
    uint32_t a = bt_emit_operand(emitter, node, 0);
    uint32_t b = bt_emit_operand(emitter, node, 1);
    emit_product(emitter, a, b, BT_NO_TENSOR, bt_emit_output(emitter, node), &p, false);
}

void bt_matmul_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy) {
    matmul_sizes s = matmul_sizes_of(bt_emit_operand_shape(emitter, node, 0),
                                     bt_emit_operand_shape(emitter, node, 1));
    uint32_t a = bt_emit_operand(emitter, node, 0);
    uint32_t b = bt_emit_operand(emitter, node, 1);
    if (bt_gradient_wanted(emitter, node, 1)) {
        product p = {s.batch, s.k, s.n, s.m, {s.m * s.k, 1, s.k}, {s.m * s.n, s.n, 1}};
        emit_gradient(emitter, node, 1, a, dy, &p);
    }
    if (bt_gradient_wanted(emitter, node, 0)) {
        product p = {s.batch, s.m, s.k, s.n, {s.m * s.n, s.n, 1}, {s.k * s.n, 1, s.n}};
        emit_gradient(emitter, node, 0, dy, b, &p);
    }
}
