/*
 * The op table: one row per op. Everything reads it: the model's shape checks, autodiff, the update
 * schemes, the printed list of ops and the tests that run every row through a gradient check.
 *
 * Adding an op: one row here, one file with its shape rule, forward and backward side by side.
 */
#ifndef BT_OP_TABLE_H
#define BT_OP_TABLE_H

#include "model/shape.h"

typedef struct bt_node bt_node;
typedef struct bt_emitter bt_emitter;

/* What a parameter is when it is a certain operand of an op; update schemes choose by it. */
enum {
    BT_ROLE_OPERAND = 1,    /* an ordinary operand, for example of an addition */
    BT_ROLE_WEIGHT = 2,     /* of a convolution or linear layer */
    BT_ROLE_BIAS = 4,       /* of a convolution or linear layer */
    BT_ROLE_NORM_SCALE = 8, /* of a normalisation */
    BT_ROLE_NORM_BIAS = 16, /* of a normalisation */
    BT_ROLE_STATISTIC = 32  /* running mean or variance: never trained by gradient */
};

/* What a shape rule sees of a node. */
typedef struct bt_shape_query {
    const bt_attributes *attributes;
    uint32_t count;                         /* operands given */
    const bt_shape *operand[BT_MAX_INPUTS]; /* NULL for an absent one */
    uint32_t batch[BT_MAX_INPUTS];          /* samples in the operand's dims[0]; 1 if independent */
} bt_shape_query;

typedef struct bt_op_row {
    bt_op op;
    const char *name;
    const char *onnx;
    const char *limits;
    const char *backward_needs;
    bool differentiable;
    float tolerance;
    uint32_t minimum_operands; /* later ones are optional */
    uint32_t maximum_operands;
    uint8_t roles[BT_MAX_INPUTS]; /* BT_ROLE_… of each operand */
    /* Checks operands and attributes, gives the output's shape. */
    bt_status (*shape)(const bt_shape_query *query, bt_shape *out);
    /* Multiply-adds of the forward pass; NULL: none. */
    uint64_t (*macs)(const bt_shape_query *query, const bt_shape *out);
    /* Emits the node's instructions and sets its output's tensor. */
    void (*forward)(bt_emitter *emitter, const bt_node *node);
    /* Given the gradient of the output, emits and adds those of the operands that need one. */
    void (*backward)(bt_emitter *emitter, const bt_node *node, uint32_t dy);
} bt_op_row;

/* NULL if there is no such op. */
const bt_op_row *bt_op_find(uint32_t op);

/* Every family's rules; see the op's row for what they belong to. */
bt_status bt_conv_shape(const bt_shape_query *query, bt_shape *out);
uint64_t bt_conv_macs(const bt_shape_query *query, const bt_shape *out);
void bt_conv_forward(bt_emitter *emitter, const bt_node *node);
void bt_conv_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_linear_shape(const bt_shape_query *query, bt_shape *out);
uint64_t bt_linear_macs(const bt_shape_query *query, const bt_shape *out);
void bt_linear_forward(bt_emitter *emitter, const bt_node *node);
void bt_linear_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_matmul_shape(const bt_shape_query *query, bt_shape *out);
uint64_t bt_matmul_macs(const bt_shape_query *query, const bt_shape *out);
void bt_matmul_forward(bt_emitter *emitter, const bt_node *node);
void bt_matmul_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_batch_norm_shape(const bt_shape_query *query, bt_shape *out);
void bt_batch_norm_forward(bt_emitter *emitter, const bt_node *node);
void bt_batch_norm_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_group_norm_shape(const bt_shape_query *query, bt_shape *out);
bt_status bt_layer_norm_shape(const bt_shape_query *query, bt_shape *out);
bt_status bt_instance_norm_shape(const bt_shape_query *query, bt_shape *out);
void bt_norm_forward(bt_emitter *emitter, const bt_node *node);
void bt_norm_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_activation_shape(const bt_shape_query *query, bt_shape *out);
bt_status bt_elu_shape(const bt_shape_query *query, bt_shape *out);
bt_status bt_leaky_relu_shape(const bt_shape_query *query, bt_shape *out);
/* BT_FUNCTION_… of an activation. */
uint32_t bt_activation_function(const bt_node *node);
void bt_activation_forward(bt_emitter *emitter, const bt_node *node);
void bt_activation_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_pool_shape(const bt_shape_query *query, bt_shape *out);
bt_status bt_global_pool_shape(const bt_shape_query *query, bt_shape *out);
void bt_max_pool_forward(bt_emitter *emitter, const bt_node *node);
void bt_max_pool_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);
void bt_average_pool_forward(bt_emitter *emitter, const bt_node *node);
void bt_average_pool_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_binary_shape(const bt_shape_query *query, bt_shape *out);
void bt_add_forward(bt_emitter *emitter, const bt_node *node);
void bt_add_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);
void bt_mul_forward(bt_emitter *emitter, const bt_node *node);
void bt_mul_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_concat_shape(const bt_shape_query *query, bt_shape *out);
void bt_concat_forward(bt_emitter *emitter, const bt_node *node);
void bt_concat_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_reshape_shape(const bt_shape_query *query, bt_shape *out);
void bt_reshape_forward(bt_emitter *emitter, const bt_node *node);
void bt_reshape_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_transpose_shape(const bt_shape_query *query, bt_shape *out);
void bt_transpose_forward(bt_emitter *emitter, const bt_node *node);
void bt_transpose_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_softmax_shape(const bt_shape_query *query, bt_shape *out);
void bt_softmax_forward(bt_emitter *emitter, const bt_node *node);
void bt_softmax_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

bt_status bt_dropout_shape(const bt_shape_query *query, bt_shape *out);
void bt_dropout_forward(bt_emitter *emitter, const bt_node *node);
void bt_dropout_backward(bt_emitter *emitter, const bt_node *node, uint32_t dy);

#endif
