#include "model/op_table.h"

#include <stddef.h>

#define OPERAND BT_ROLE_OPERAND
#define WEIGHT BT_ROLE_WEIGHT
#define BIAS BT_ROLE_BIAS
#define SCALE BT_ROLE_NORM_SCALE
#define NORM_BIAS BT_ROLE_NORM_BIAS
#define STATISTIC BT_ROLE_STATISTIC

/* An elementwise function of one operand. */
#define ACTIVATION(OP, NAME, ONNX, LIMITS, NEEDS, TOLERANCE, SHAPE)                                \
    {.op = OP,                                                                                     \
     .name = NAME,                                                                                 \
     .onnx = ONNX,                                                                                 \
     .limits = LIMITS,                                                                             \
     .backward_needs = NEEDS,                                                                      \
     .differentiable = true,                                                                       \
     .tolerance = TOLERANCE,                                                                       \
     .minimum_operands = 1,                                                                        \
     .maximum_operands = 1,                                                                        \
     .roles = {OPERAND},                                                                           \
     .shape = SHAPE,                                                                               \
     .forward = bt_activation_forward,                                                             \
     .backward = bt_activation_backward}

static const bt_op_row rows[] = {
    {.op = BT_OP_CONV,
     .name = "Conv",
     .onnx = "Conv",
     .limits = "1-D and 2-D; strides, dilations, groups; asymmetric zero padding, less than the "
               "dilated kernel.",
     .backward_needs = "x, weight",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 2,
     .maximum_operands = 3,
     .roles = {OPERAND, WEIGHT, BIAS},
     .shape = bt_conv_shape,
     .macs = bt_conv_macs,
     .forward = bt_conv_forward,
     .backward = bt_conv_backward},
    {.op = BT_OP_LINEAR,
     .name = "Linear",
     .onnx = "Gemm, MatMul with a constant",
     .limits = "Any rank from 2; the last dimension is transformed; weight (out,in) or, flagged, "
               "(in,out).",
     .backward_needs = "x, weight",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 2,
     .maximum_operands = 3,
     .roles = {OPERAND, WEIGHT, BIAS},
     .shape = bt_linear_shape,
     .macs = bt_linear_macs,
     .forward = bt_linear_forward,
     .backward = bt_linear_backward},
    {.op = BT_OP_MATMUL,
     .name = "MatMul",
     .onnx = "MatMul",
     .limits = "Rank 2 to 5; batch dimensions of b are equal to those of a, or absent, or all 1.",
     .backward_needs = "a, b",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 2,
     .maximum_operands = 2,
     .roles = {OPERAND, WEIGHT},
     .shape = bt_matmul_shape,
     .macs = bt_matmul_macs,
     .forward = bt_matmul_forward,
     .backward = bt_matmul_backward},
    {.op = BT_OP_BATCH_NORM,
     .name = "BatchNorm",
     .onnx = "BatchNormalization",
     .limits = "Rank 2 to 5, channels in dimension 1; frozen with any micro-batch, training with "
               "at least 2.",
     .backward_needs = "x, scale, statistics",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 5,
     .maximum_operands = 5,
     .roles = {OPERAND, SCALE, NORM_BIAS, STATISTIC, STATISTIC},
     .shape = bt_batch_norm_shape,
     .forward = bt_batch_norm_forward,
     .backward = bt_batch_norm_backward},
    {.op = BT_OP_GROUP_NORM,
     .name = "GroupNorm",
     .onnx = "GroupNormalization, or Reshape, InstanceNormalization, Reshape, Mul, Add in a row",
     .limits = "Rank 2 to 5, channels in dimension 1; the groups divide the channels.",
     .backward_needs = "x, scale, statistics",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 3,
     .maximum_operands = 3,
     .roles = {OPERAND, SCALE, NORM_BIAS},
     .shape = bt_group_norm_shape,
     .forward = bt_norm_forward,
     .backward = bt_norm_backward},
    {.op = BT_OP_LAYER_NORM,
     .name = "LayerNorm",
     .onnx = "LayerNormalization",
     .limits = "Over the trailing dimensions from axis on; scale and bias have their shape.",
     .backward_needs = "x, scale, statistics",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 2,
     .maximum_operands = 3,
     .roles = {OPERAND, SCALE, NORM_BIAS},
     .shape = bt_layer_norm_shape,
     .forward = bt_norm_forward,
     .backward = bt_norm_backward},
    {.op = BT_OP_INSTANCE_NORM,
     .name = "InstanceNorm",
     .onnx = "InstanceNormalization",
     .limits = "Rank 3 to 5, channels in dimension 1.",
     .backward_needs = "x, scale, statistics",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 3,
     .maximum_operands = 3,
     .roles = {OPERAND, SCALE, NORM_BIAS},
     .shape = bt_instance_norm_shape,
     .forward = bt_norm_forward,
     .backward = bt_norm_backward},
    ACTIVATION(BT_OP_RELU, "Relu", "Relu", "Any shape.", "y", 0.0f, bt_activation_shape),
    ACTIVATION(BT_OP_ELU, "Elu", "Elu", "Any shape; alpha is greater than 0.", "y", 5e-6f,
               bt_elu_shape),
    ACTIVATION(BT_OP_LEAKY_RELU, "LeakyRelu", "LeakyRelu", "Any shape; alpha is at least 0.", "y",
               5e-6f, bt_leaky_relu_shape),
    ACTIVATION(BT_OP_GELU, "Gelu", "Gelu, or Div, Erf, Add, Mul, Mul in a row",
               "Any shape; exact or, flagged, by tanh.", "x", 5e-6f, bt_activation_shape),
    ACTIVATION(BT_OP_SIGMOID, "Sigmoid", "Sigmoid", "Any shape.", "y", 5e-6f, bt_activation_shape),
    ACTIVATION(BT_OP_TANH, "Tanh", "Tanh", "Any shape.", "y", 5e-6f, bt_activation_shape),
    ACTIVATION(BT_OP_SILU, "Silu", "Swish, or Sigmoid, Mul in a row", "Any shape.", "x", 5e-6f,
               bt_activation_shape),
    ACTIVATION(BT_OP_HARDSWISH, "HardSwish", "HardSwish, or HardSigmoid, Mul in a row",
               "Any shape.", "x", 5e-6f, bt_activation_shape),
    {.op = BT_OP_MAX_POOL,
     .name = "MaxPool",
     .onnx = "MaxPool",
     .limits = "1-D and 2-D; strides and asymmetric padding, less than the kernel; windows of at "
               "most 65535 elements; the first maximum takes the gradient.",
     .backward_needs = "position of the maximum",
     .differentiable = true,
     .tolerance = 0.0f,
     .minimum_operands = 1,
     .maximum_operands = 1,
     .roles = {OPERAND},
     .shape = bt_pool_shape,
     .forward = bt_max_pool_forward,
     .backward = bt_max_pool_backward},
    {.op = BT_OP_AVERAGE_POOL,
     .name = "AveragePool",
     .onnx = "AveragePool",
     .limits = "1-D and 2-D; strides and asymmetric padding, less than the kernel; counting the "
               "padding or not; windows of at most 65535 elements.",
     .backward_needs = "shape",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 1,
     .maximum_operands = 1,
     .roles = {OPERAND},
     .shape = bt_pool_shape,
     .forward = bt_average_pool_forward,
     .backward = bt_average_pool_backward},
    {.op = BT_OP_GLOBAL_AVERAGE_POOL,
     .name = "GlobalAveragePool",
     .onnx = "GlobalAveragePool, ReduceMean over the spatial dimensions",
     .limits = "1-D and 2-D.",
     .backward_needs = "shape",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 1,
     .maximum_operands = 1,
     .roles = {OPERAND},
     .shape = bt_global_pool_shape,
     .forward = bt_average_pool_forward,
     .backward = bt_average_pool_backward},
    {.op = BT_OP_ADD,
     .name = "Add",
     .onnx = "Add",
     .limits = "Two operands, NumPy broadcasting.",
     .backward_needs = "shape",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 2,
     .maximum_operands = 2,
     .roles = {OPERAND, OPERAND},
     .shape = bt_binary_shape,
     .forward = bt_add_forward,
     .backward = bt_add_backward},
    {.op = BT_OP_MUL,
     .name = "Mul",
     .onnx = "Mul",
     .limits = "Two operands, NumPy broadcasting.",
     .backward_needs = "a, b",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 2,
     .maximum_operands = 2,
     .roles = {OPERAND, OPERAND},
     .shape = bt_binary_shape,
     .forward = bt_mul_forward,
     .backward = bt_mul_backward},
    {.op = BT_OP_CONCAT,
     .name = "Concat",
     .onnx = "Concat",
     .limits = "2 to 6 operands along one axis; not along the batch.",
     .backward_needs = "shape",
     .differentiable = true,
     .tolerance = 0.0f,
     .minimum_operands = 2,
     .maximum_operands = BT_MAX_INPUTS,
     .roles = {OPERAND, OPERAND, OPERAND, OPERAND, OPERAND, OPERAND},
     .shape = bt_concat_shape,
     .forward = bt_concat_forward,
     .backward = bt_concat_backward},
    {.op = BT_OP_RESHAPE,
     .name = "Reshape",
     .onnx = "Reshape, Flatten, Squeeze, Unsqueeze, Identity",
     .limits = "0 keeps the input's dimension, one -1 is inferred; the batch stays in front.",
     .backward_needs = "shape",
     .differentiable = true,
     .tolerance = 0.0f,
     .minimum_operands = 1,
     .maximum_operands = 1,
     .roles = {OPERAND},
     .shape = bt_reshape_shape,
     .forward = bt_reshape_forward,
     .backward = bt_reshape_backward},
    {.op = BT_OP_TRANSPOSE,
     .name = "Transpose",
     .onnx = "Transpose",
     .limits = "Any permutation of up to 5 dimensions; the batch stays in front.",
     .backward_needs = "shape",
     .differentiable = true,
     .tolerance = 0.0f,
     .minimum_operands = 1,
     .maximum_operands = 1,
     .roles = {OPERAND},
     .shape = bt_transpose_shape,
     .forward = bt_transpose_forward,
     .backward = bt_transpose_backward},
    {.op = BT_OP_SOFTMAX,
     .name = "Softmax",
     .onnx = "Softmax",
     .limits = "Along one axis; not along the batch.",
     .backward_needs = "y",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 1,
     .maximum_operands = 1,
     .roles = {OPERAND},
     .shape = bt_softmax_shape,
     .forward = bt_softmax_forward,
     .backward = bt_softmax_backward},
    {.op = BT_OP_DROPOUT,
     .name = "Dropout",
     .onnx = "Dropout",
     .limits =
         "Ratio from 0 to less than 1; active in training only; the mask comes from the seed.",
     .backward_needs = "seed",
     .differentiable = true,
     .tolerance = 5e-6f,
     .minimum_operands = 1,
     .maximum_operands = 1,
     .roles = {OPERAND},
     .shape = bt_dropout_shape,
     .forward = bt_dropout_forward,
     .backward = bt_dropout_backward},
};

#define ROW_COUNT ((uint32_t)(sizeof rows / sizeof rows[0]))

const bt_op_row *bt_op_find(uint32_t op) {
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        if ((uint32_t)rows[i].op == op) {
            return &rows[i];
        }
    }
    return NULL;
}

uint32_t bt_op_count(void) { return ROW_COUNT; }

bt_status bt_op_info_get(uint32_t index, bt_op_info *out) {
    BT_REQUIRE_SIZE(out);
    if (index >= ROW_COUNT) {
        BT_FAIL(BT_ERROR_ARGUMENT, "There is no row %u in the op table; it has rows 0 to %u.",
                index, ROW_COUNT - 1);
    }
    const bt_op_row *row = &rows[index];
    out->op = (uint32_t)row->op;
    out->name = row->name;
    out->onnx = row->onnx;
    out->limits = row->limits;
    out->backward_needs = row->backward_needs;
    out->differentiable = row->differentiable ? 1 : 0;
    out->tolerance = row->tolerance;
    return BT_OK;
}
