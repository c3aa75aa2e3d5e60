/* Shapes, refusals, parameter and multiply-add counts of every op of the table. */
#include "networks.h"
#include "support.h"

#include "model/graph.h"

#include <math.h>

/* One node over values of given shapes (the first is the input if it begins with 1). */
typedef struct shape_case {
    const char *name;
    bt_op op;
    const char *operands;   /* "1,3,8;4,3,3": dims, ';' between operands, '-' for an absent one */
    const char *attributes; /* "stride=2,2 groups=3", see attributes_parse */
    const char *output;     /* dims, or NULL if refused */
    const char *sentence;   /* part of the refusal */
} shape_case;

static void check_case(const shape_case *c) {
    builder b = builder_new(1);
    bt_attributes attributes = attributes_parse(c->attributes);
    uint32_t inputs[BT_MAX_INPUTS], count = 0, value = 0;
    char copy[160];
    snprintf(copy, sizeof copy, "%s", c->operands);
    for (char *operand = strtok(copy, ";"); operand != NULL; operand = strtok(NULL, ";")) {
        int32_t dims[BT_MAX_RANK];
        if (operand[0] == '-') {
            inputs[count++] = BT_NO_VALUE;
            continue;
        }
        uint32_t rank = dims_parse(operand, dims);
        inputs[count] = count == 0 && dims[0] == 1
                            ? add_input(&b, rank, dims)
                            : add_parameter(&b, NULL, rank, dims, 1.0f, 0.5f);
        count++;
    }
    bt_status status = bt_model_add_node(b.model, c->op, "n", inputs, count, &attributes, &value);
    if (c->output == NULL) {
        CHECK(status == BT_ERROR_MODEL, "%s: %s", c->name, bt_status_name(status));
        CHECK(status == BT_OK || strstr(bt_error_message(0), c->sentence) != NULL, "%s: '%s'",
              c->name, bt_error_message(0));
        CHECK(bt_model_node_count(b.model) == 0, "%s: a refused node was added", c->name);
    } else {
        bt_node_info info = {.struct_size = sizeof info};
        int32_t dims[BT_MAX_RANK] = {0};
        uint32_t rank = dims_parse(c->output, dims);
        CHECK(status == BT_OK, "%s: %s", c->name, bt_error_message(0));
        if (status == BT_OK) {
            require(bt_model_node_info(b.model, 0, &info), c->name);
            CHECK(info.rank == rank && memcmp(info.dims, dims, rank * sizeof dims[0]) == 0,
                  "%s: rank %u (%d,%d,%d,%d), expected %s", c->name, info.rank, info.dims[0],
                  info.dims[1], info.dims[2], info.dims[3], c->output);
        }
    }
    bt_model_free(b.model);
}

static const shape_case cases[] = {
    {"conv 2-D", BT_OP_CONV, "1,3,8,10;4,3,3,3;4", "", "1,4,6,8", NULL},
    {"conv 1xK", BT_OP_CONV, "1,1,8,1900;8,1,1,64", "", "1,8,8,1837", NULL},
    {"conv Kx1", BT_OP_CONV, "1,1,8,1900;8,1,8,1", "", "1,8,1,1900", NULL},
    {"conv 1-D", BT_OP_CONV, "1,4,100;8,4,7", "stride=9,2 pads=9,3,9,3", "1,8,50", NULL},
    {"conv even kernel, same", BT_OP_CONV, "1,4,100;8,4,16", "pads=0,7,0,8", "1,8,100", NULL},
    {"conv dilation", BT_OP_CONV, "1,4,9,9;8,2,3,3", "dilation=2,3 groups=2", "1,8,5,3", NULL},
    {"conv depthwise x2", BT_OP_CONV, "1,8,1,20;16,1,1,5", "groups=8", "1,16,1,16", NULL},
    {"conv one point", BT_OP_CONV, "1,2,3,3;5,2,3,3", "", "1,5,1,1", NULL},
    {"conv rank", BT_OP_CONV, "1,3;4,3", "", NULL, "(N,C,L) or (N,C,H,W)"},
    {"conv weight rank", BT_OP_CONV, "1,3,8,8;4,3,3", "", NULL, "must have the rank 4"},
    {"conv channels", BT_OP_CONV, "1,3,8,8;4,2,3,3", "", NULL, "takes 2 channels per group"},
    {"conv groups", BT_OP_CONV, "1,3,8,8;4,1,3,3", "groups=2", NULL, "groups is 2"},
    {"conv bias", BT_OP_CONV, "1,3,8,8;4,3,3,3;5", "", NULL, "must have the shape (4)"},
    {"conv kernel too long", BT_OP_CONV, "1,3,8,8;4,3,9,1", "", NULL, "spans 9 elements in height"},
    {"conv stride", BT_OP_CONV, "1,3,8,8;4,3,3,3", "stride=0,1", NULL, "stride is 0"},
    {"conv padding", BT_OP_CONV, "1,3,8,8;4,3,3,3", "pads=0,3,0,0", NULL, "less than the kernel's"},
    {"conv without weight", BT_OP_CONV, "1,3,8,8", "", NULL, "takes 2 to 3"},
    {"conv weight absent", BT_OP_CONV, "1,3,8,8;-", "", NULL, "is required"},
    {"linear", BT_OP_LINEAR, "1,6;4,6;4", "", "1,4", NULL},
    {"linear rank 3", BT_OP_LINEAR, "1,5,6;4,6", "", "1,5,4", NULL},
    {"linear transposed", BT_OP_LINEAR, "1,6;6,4;4", "flags=2", "1,4", NULL},
    {"linear features", BT_OP_LINEAR, "1,6;4,5", "", NULL, "takes 5 features"},
    {"linear weight rank", BT_OP_LINEAR, "1,6;6", "", NULL, "must have rank 2"},
    {"linear bias", BT_OP_LINEAR, "1,6;4,6;6", "", NULL, "must have the shape (4)"},
    {"linear input rank", BT_OP_LINEAR, "6;4,6", "", NULL, "rank 1"},
    {"matmul", BT_OP_MATMUL, "3,4;4,5", "", "3,5", NULL},
    {"matmul batched", BT_OP_MATMUL, "2,3,7,9;2,3,9,5", "", "2,3,7,5", NULL},
    {"matmul one b", BT_OP_MATMUL, "2,3,7,9;9,5", "", "2,3,7,5", NULL},
    {"matmul b of ones", BT_OP_MATMUL, "2,3,7,9;1,1,9,5", "", "2,3,7,5", NULL},
    {"matmul inner", BT_OP_MATMUL, "3,4;5,4", "", NULL, "last but one of b"},
    {"matmul batch", BT_OP_MATMUL, "3,2,4;2,4,5", "", NULL, "batch dimensions"},
    {"matmul rank", BT_OP_MATMUL, "4;4,5", "", NULL, "rank 2 or more"},
    {"batch norm", BT_OP_BATCH_NORM, "1,3,4,5;3;3;3;3", "", "1,3,4,5", NULL},
    {"batch norm channels", BT_OP_BATCH_NORM, "1,3,4,5;3;3;4;3", "", NULL, "3 channels"},
    {"batch norm momentum", BT_OP_BATCH_NORM, "1,3,4,5;3;3;3;3", "momentum=2", NULL, "0 to 1"},
    {"group norm", BT_OP_GROUP_NORM, "1,6,1,9;6;6", "groups=3", "1,6,1,9", NULL},
    {"group norm groups", BT_OP_GROUP_NORM, "1,6,9;6;6", "groups=4", NULL, "divide the 6 channels"},
    {"group norm epsilon", BT_OP_GROUP_NORM, "1,6,9;6;6", "epsilon=0", NULL, "greater than 0"},
    {"layer norm", BT_OP_LAYER_NORM, "1,6,9;9;9", "", "1,6,9", NULL},
    {"layer norm axis", BT_OP_LAYER_NORM, "1,6,9;6,9", "axis=1", "1,6,9", NULL},
    {"layer norm shape", BT_OP_LAYER_NORM, "1,6,9;6", "", NULL, "(9), the dimensions"},
    {"layer norm far axis", BT_OP_LAYER_NORM, "1,6,9;9", "axis=3", NULL, "axis 3 is outside"},
    {"instance norm", BT_OP_INSTANCE_NORM, "1,6,9;6;6", "", "1,6,9", NULL},
    {"instance norm rank", BT_OP_INSTANCE_NORM, "1,6;6;6", "", NULL, "at least 3 dimensions"},
    {"relu", BT_OP_RELU, "1,6,9", "", "1,6,9", NULL},
    {"elu", BT_OP_ELU, "1,6", "alpha=0.5", "1,6", NULL},
    {"elu alpha", BT_OP_ELU, "1,6", "alpha=-1", NULL, "greater than 0"},
    {"leaky relu", BT_OP_LEAKY_RELU, "1,6", "alpha=0", "1,6", NULL},
    {"leaky relu alpha", BT_OP_LEAKY_RELU, "1,6", "alpha=-0.1", NULL, "at least 0"},
    {"gelu", BT_OP_GELU, "1,6", "flags=4", "1,6", NULL},
    {"sigmoid", BT_OP_SIGMOID, "1,6", "", "1,6", NULL},
    {"tanh", BT_OP_TANH, "1,6", "", "1,6", NULL},
    {"silu", BT_OP_SILU, "1,6", "", "1,6", NULL},
    {"hardswish", BT_OP_HARDSWISH, "1,6", "", "1,6", NULL},
    {"max pool", BT_OP_MAX_POOL, "1,4,8,9", "kernel=2,3 stride=2,2 pads=1,1,1,1", "1,4,5,5", NULL},
    {"max pool 1-D", BT_OP_MAX_POOL, "1,4,20", "kernel=9,4 stride=9,4", "1,4,5", NULL},
    {"max pool padding", BT_OP_MAX_POOL, "1,4,8,9", "kernel=2,3 pads=0,3,0,0", NULL, "less than"},
    {"max pool kernel", BT_OP_MAX_POOL, "1,4,8,9", "kernel=9,3", NULL, "only 8"},
    {"max pool window", BT_OP_MAX_POOL, "1,1,300,300", "kernel=300,300", NULL, "more than 65535"},
    {"max pool rank", BT_OP_MAX_POOL, "1,4", "", NULL, "(N,C,L) or (N,C,H,W)"},
    {"average pool", BT_OP_AVERAGE_POOL, "1,4,1,237", "kernel=1,8 stride=1,8", "1,4,1,29", NULL},
    {"average pool stride", BT_OP_AVERAGE_POOL, "1,4,9", "kernel=1,3 stride=1,0", NULL, "stride 0"},
    {"global average pool", BT_OP_GLOBAL_AVERAGE_POOL, "1,4,8,9", "", "1,4,1,1", NULL},
    {"global average pool 1-D", BT_OP_GLOBAL_AVERAGE_POOL, "1,4,8", "", "1,4,1", NULL},
    {"global average pool rank", BT_OP_GLOBAL_AVERAGE_POOL, "1,4", "", NULL, "(N,C,L)"},
    {"add", BT_OP_ADD, "1,4,1;3,1,5", "", "3,4,5", NULL},
    {"add ranks", BT_OP_ADD, "1,4,5;5", "", "1,4,5", NULL},
    {"add mismatch", BT_OP_ADD, "1,4,5;4", "", NULL, "do not broadcast"},
    {"mul", BT_OP_MUL, "1,4,5;4,1", "", "1,4,5", NULL},
    {"concat", BT_OP_CONCAT, "1,4,5;1,2,5;1,1,5", "axis=1", "1,7,5", NULL},
    {"concat last axis", BT_OP_CONCAT, "1,4,5;1,4,2", "", "1,4,7", NULL},
    {"concat mismatch", BT_OP_CONCAT, "1,4,5;1,3,2", "", NULL, "all but axis 2"},
    {"concat absent", BT_OP_CONCAT, "1,4,5;1,4,5;-", "", NULL, "operand 2 is absent"},
    {"concat axis", BT_OP_CONCAT, "1,4,5;1,4,5", "axis=-4", NULL, "axis -4"},
    {"reshape", BT_OP_RESHAPE, "1,4,6", "dims=0,2,-1", "1,2,12", NULL},
    {"reshape fixed", BT_OP_RESHAPE, "1,4,6", "dims=1,24", "1,24", NULL},
    {"reshape elements", BT_OP_RESHAPE, "1,4,6", "dims=1,25", NULL, "24 elements"},
    {"reshape remainder", BT_OP_RESHAPE, "1,4,6", "dims=5,-1", NULL, "24 elements"},
    {"reshape two inferred", BT_OP_RESHAPE, "1,4,6", "dims=-1,-1", NULL, "-1 once"},
    {"reshape zero", BT_OP_RESHAPE, "1,4", "dims=1,4,0", NULL, "dimension 2"},
    {"reshape large", BT_OP_RESHAPE, "1,4", "dims=2000000000,2000000000,-1", NULL, "4 elements"},
    {"transpose", BT_OP_TRANSPOSE, "1,4,6", "dims=0,2,1", "1,6,4", NULL},
    {"transpose twice", BT_OP_TRANSPOSE, "1,4,6", "dims=0,2,2", NULL, "occurs once"},
    {"transpose rank", BT_OP_TRANSPOSE, "1,4,6", "dims=0,1", NULL, "has 2 entries"},
    {"softmax", BT_OP_SOFTMAX, "1,4,6", "axis=1", "1,4,6", NULL},
    {"softmax axis", BT_OP_SOFTMAX, "1,4,6", "axis=3", NULL, "axis 3"},
    {"dropout", BT_OP_DROPOUT, "1,4", "ratio=0.25", "1,4", NULL},
    {"dropout ratio", BT_OP_DROPOUT, "1,4", "ratio=1", NULL, "0 to less than 1"},
};

static void shapes_and_refusals(void) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_case(&cases[i]);
    }
}

static void every_op_has_an_accepted_and_a_checked_case(void) {
    for (uint32_t op = 0; op < bt_op_count(); op++) {
        bt_op_info info = {.struct_size = sizeof info};
        require(bt_op_info_get(op, &info), "bt_op_info_get");
        int accepted = 0;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            accepted += (uint32_t)cases[i].op == info.op && cases[i].output != NULL;
        }
        CHECK(accepted > 0, "%s", info.name);
        CHECK(info.onnx[0] != '\0' && info.limits[0] != '\0' && info.backward_needs[0] != '\0',
              "%s", info.name);
        CHECK(info.tolerance >= 0.0f && info.tolerance <= 5e-6f, "%s", info.name);
    }
    bt_op_info info = {.struct_size = sizeof info};
    CHECK(bt_op_info_get(bt_op_count(), &info) == BT_ERROR_ARGUMENT, "%s", bt_error_message(0));
}

static void models_refuse_inconsistent_building(void) {
    builder b = builder_new(1);
    const int32_t batch[] = {2, 4}, dims[] = {1, 4}, none[] = {0}, huge[] = {1 << 15, 1 << 15};
    const float data[4] = {1, 2, NAN, 4};
    uint32_t value;
    CHECK(bt_model_add_input(b.model, "x", 2, batch, &value) == BT_ERROR_MODEL &&
              strstr(bt_error_message(0), "must be 1") != NULL,
          "%s", bt_error_message(0));
    CHECK(bt_model_add_input(b.model, "x", 6, dims, &value) == BT_ERROR_MODEL, "%s",
          bt_error_message(0));
    add_input(&b, 2, dims);
    CHECK(bt_model_add_input(b.model, "y", 2, dims, &value) == BT_ERROR_MODEL &&
              strstr(bt_error_message(0), "exactly one") != NULL,
          "%s", bt_error_message(0));
    CHECK(bt_model_add_parameter(b.model, "w", 1, none, data, &value) == BT_ERROR_MODEL, "%s",
          bt_error_message(0));
    CHECK(bt_model_add_parameter(b.model, "w", 2, huge, data, &value) == BT_ERROR_MODEL, "%s",
          bt_error_message(0));
    CHECK(bt_model_add_parameter(b.model, "w", 2, dims, data, &value) == BT_ERROR_ARGUMENT &&
              strstr(bt_error_message(0), "Element 2") != NULL,
          "%s", bt_error_message(0));
    CHECK(bt_model_add_parameter(b.model, "", 2, dims, data, &value) == BT_ERROR_ARGUMENT, "%s",
          bt_error_message(0));
    const char *const taken[] = {"x", "input", "loss", "gradient.w", "adam_m.w"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        CHECK(bt_model_add_parameter(b.model, taken[i], 2, dims, data, &value) == BT_ERROR_ARGUMENT,
              "%s", taken[i]);
    }
    const uint32_t unknown = 9;
    CHECK(bt_model_add_node(b.model, BT_OP_RELU, "r", &unknown, 1, NULL, &value) ==
              BT_ERROR_ARGUMENT,
          "%s", bt_error_message(0));
    CHECK(bt_model_add_node(b.model, (bt_op)99, "r", &unknown, 1, NULL, &value) ==
              BT_ERROR_UNSUPPORTED,
          "%s", bt_error_message(0));
    CHECK(bt_model_set_output(b.model, 9) == BT_ERROR_ARGUMENT, "%s", bt_error_message(0));
    bt_attributes old = attributes_default();
    old.struct_size = 8;
    const uint32_t x = 0;
    CHECK(bt_model_add_node(b.model, BT_OP_RELU, "r", &x, 1, &old, &value) == BT_ERROR_ARGUMENT,
          "%s", bt_error_message(0));
    CHECK(bt_model_value_count(b.model) == 1 && bt_model_node_count(b.model) == 0,
          "refused calls changed the model: %u values", bt_model_value_count(b.model));
    bt_model_free(b.model);
    bt_model_free(NULL);
}

static void running_statistics_must_be_parameters(void) {
    builder b = builder_new(1);
    const int32_t dims[] = {1, 3};
    uint32_t x = add_input(&b, 2, dims), value;
    uint32_t p = add_vector(&b, NULL, 3, 1.0f, 0.1f);
    const uint32_t inputs[] = {x, p, p, add_unary(&b, BT_OP_RELU, "computed", p), p};
    CHECK(bt_model_add_node(b.model, BT_OP_BATCH_NORM, "bn", inputs, 5, NULL, &value) ==
                  BT_ERROR_MODEL &&
              strstr(bt_error_message(0), "'computed' is computed") != NULL,
          "%s", bt_error_message(0));
    bt_model_free(b.model);
}

typedef struct totals {
    uint64_t parameters, macs;
} totals;

static totals model_totals(const bt_model *model) {
    totals sum = {0, 0};
    for (uint32_t i = 0; i < bt_model_node_count(model); i++) {
        bt_node_info info = {.struct_size = sizeof info};
        require(bt_model_node_info(model, i, &info), "bt_model_node_info");
        sum.parameters += info.parameters;
        sum.macs += info.macs;
    }
    return sum;
}

static void published_networks_have_their_published_sizes(void) {
    bt_model *models[] = {mi_bminet(32, 128, 1), mi_bminet(8, 64, 0), epidenet()};
    const uint64_t parameters[] = {7938, 1234, 4179};
    /* Convolutions and linear layers by hand: sum of outputs x weights per output. */
    const uint64_t macs[] = {486400 + 7782400 + 121344 + 242688 + 1856,
                             121600 + 940544 + 27392 + 13696 + 416,
                             31904 + 223232 + 81920 + 2560 + 1280 + 176};
    for (int i = 0; i < 3; i++) {
        totals sum = model_totals(models[i]);
        CHECK(sum.parameters == parameters[i], "network %d: %llu", i,
              (unsigned long long)sum.parameters);
        CHECK(sum.macs == macs[i], "network %d: %llu", i, (unsigned long long)sum.macs);
        bt_model_free(models[i]);
    }
}

static void batches_grow_the_first_dimension_only(void) {
    bt_model *model = mi_bminet(8, 64, 1);
    bt_shape *shapes = calloc(bt_model_value_count(model), sizeof *shapes);
    require(bt_model_shapes(model, 3, shapes), "bt_model_shapes");
    for (uint32_t i = 0; i < bt_model_value_count(model); i++) {
        bt_shape expected = model->values[i].shape;
        expected.dims[0] *= model->values[i].depends_on_input ? 3 : 1;
        CHECK(bt_shape_equal(&shapes[i], &expected), "%s: %s", model->values[i].name,
              bt_shape_print(&shapes[i]).text);
    }
    free(shapes);
    bt_model_free(model);
}

/* A node over the input (1,3,4) and a parameter; its batched shape must be refused. */
static void refuses_batch(bt_op op, const char *attributes_text, uint32_t rank,
                          const int32_t *parameter, const char *sentence) {
    builder b = builder_new(1);
    const int32_t dims[] = {1, 3, 4};
    bt_attributes attributes = attributes_parse(attributes_text);
    uint32_t inputs[2] = {add_input(&b, 3, dims), BT_NO_VALUE};
    if (parameter != NULL) {
        inputs[1] = add_parameter(&b, NULL, rank, parameter, 0.0f, 1.0f);
    }
    add_node(&b, op, "n", parameter == NULL ? 1 : 2, inputs, &attributes);
    bt_shape shapes[3];
    CHECK(bt_model_shapes(b.model, 1, shapes) == BT_OK, "%s", bt_error_message(0));
    CHECK(bt_model_shapes(b.model, 2, shapes) == BT_ERROR_MODEL &&
              strstr(bt_error_message(0), sentence) != NULL,
          "%s", bt_error_message(0));
    bt_model_free(b.model);
}

static void nodes_that_join_samples_are_refused_in_batches(void) {
    const int32_t two[] = {2, 1, 1}, batch[] = {1, 3, 4};
    refuses_batch(BT_OP_ADD, "", 3, two, "joins samples");
    refuses_batch(BT_OP_CONCAT, "axis=0", 3, batch, "along the batch");
    refuses_batch(BT_OP_SOFTMAX, "axis=0", 0, NULL, "along the batch");
    refuses_batch(BT_OP_LAYER_NORM, "axis=0", 3, batch, "over the batch");
    refuses_batch(BT_OP_TRANSPOSE, "dims=1,0,2", 0, NULL, "joins samples");
}

int main(void) {
    RUN(shapes_and_refusals);
    RUN(every_op_has_an_accepted_and_a_checked_case);
    RUN(models_refuse_inconsistent_building);
    RUN(running_statistics_must_be_parameters);
    RUN(published_networks_have_their_published_sizes);
    RUN(batches_grow_the_first_dimension_only);
    RUN(nodes_that_join_samples_are_refused_in_batches);
    return REPORT();
}
