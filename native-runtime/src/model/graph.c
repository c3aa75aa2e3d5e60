#include "model/graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BT_MAX_NAME 255u

bt_status bt_attributes_default(bt_attributes *out) {
    BT_REQUIRE(out);
    *out = (bt_attributes){.struct_size = sizeof *out,
                           .kernel = {1, 1},
                           .strides = {1, 1},
                           .dilations = {1, 1},
                           .groups = 1,
                           .axis = -1,
                           .alpha = 1.0f,
                           .epsilon = 1e-5f,
                           .momentum = 0.1f,
                           .ratio = 0.5f};
    return BT_OK;
}

bt_status bt_model_create(bt_model **out) {
    BT_REQUIRE(out);
    bt_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for a model.");
    }
    model->input = BT_NO_VALUE;
    model->output = BT_NO_VALUE;
    *out = model;
    return BT_OK;
}

void bt_model_free(bt_model *model) {
    if (model == NULL) {
        return;
    }
    for (uint32_t i = 0; i < model->value_count; i++) {
        free(model->values[i].name);
        free(model->values[i].data);
    }
    for (uint32_t i = 0; i < model->node_count; i++) {
        free(model->nodes[i].name);
    }
    free(model->values);
    free(model->nodes);
    free(model);
}

/* Makes room for one more element behind count. */
static bt_status grow(void **array, uint32_t *capacity, uint32_t count, size_t size) {
    if (count < *capacity) {
        return BT_OK;
    }
    uint32_t larger = *capacity == 0 ? 16 : *capacity * 2;
    void *moved = realloc(*array, larger * size);
    if (moved == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for a model of %u values.", larger);
    }
    *array = moved;
    *capacity = larger;
    return BT_OK;
}

/* Appends a value; takes over name and data only on success. */
static bt_status add_value(bt_model *model, bt_value value, uint32_t *index) {
    BT_TRY(grow((void **)&model->values, &model->value_capacity, model->value_count,
                sizeof *model->values));
    model->values[model->value_count] = value;
    *index = model->value_count++;
    return BT_OK;
}

static char *copy_text(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    return copy == NULL ? NULL : memcpy(copy, text, bytes);
}

/* Names of the input and of parameters address tensors on the device, so they must be unique. */
static bt_status check_tensor_name(const bt_model *model, const char *name) {
    static const char *const interface_names[] = {"input", "target", "output", "loss"};
    static const char *const prefixes[] = {"gradient.", "momentum.", "adam_m.", "adam_v."};
    size_t length = strlen(name);
    if (length < 1 || length > BT_MAX_NAME) {
        BT_FAIL(BT_ERROR_ARGUMENT, "A parameter's name has %zu bytes; 1 to %u are allowed.", length,
                BT_MAX_NAME);
    }
    for (size_t i = 0; i < sizeof interface_names / sizeof interface_names[0]; i++) {
        if (strcmp(name, interface_names[i]) == 0) {
            BT_FAIL(
                BT_ERROR_ARGUMENT,
                "The parameter name '%s' is taken by a tensor of every program; choose another.",
                name);
        }
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The parameter name '%s' begins with '%s', which names optimizer tensors; "
                    "choose another.",
                    name, prefixes[i]);
        }
    }
    for (uint32_t i = 0; i < model->value_count; i++) {
        if (model->values[i].node == BT_NO_VALUE && strcmp(model->values[i].name, name) == 0) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The name '%s' is already taken in this model; names of the input and of "
                    "parameters are unique.",
                    name);
        }
    }
    return BT_OK;
}

bt_status bt_model_add_input(bt_model *model, const char *name, uint32_t rank, const int32_t *dims,
                             uint32_t *value) {
    BT_REQUIRE(model);
    BT_REQUIRE(name);
    BT_REQUIRE(dims);
    BT_REQUIRE(value);
    if (model->input != BT_NO_VALUE) {
        BT_FAIL(BT_ERROR_MODEL,
                "The model already has the input '%s'; a model has exactly one, so join several "
                "recordings into one tensor.",
                model->values[model->input].name);
    }
    size_t length = strlen(name);
    if (length < 1 || length > BT_MAX_NAME) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The input's name has %zu bytes; 1 to %u are allowed.", length,
                BT_MAX_NAME);
    }
    for (uint32_t i = 0; i < model->value_count; i++) {
        if (model->values[i].is_parameter && strcmp(model->values[i].name, name) == 0) {
            BT_FAIL(BT_ERROR_ARGUMENT, "The input's name '%s' is already that of a parameter.",
                    name);
        }
    }
    bt_value input = {.node = BT_NO_VALUE, .depends_on_input = true};
    BT_TRY_CONTEXT(bt_shape_make(rank, dims, &input.shape), "in the input '%s'", name);
    if (input.shape.dims[0] != 1) {
        BT_FAIL(BT_ERROR_MODEL,
                "The input '%s' has the shape %s; its first dimension is the batch and must be 1 "
                "(micro_batch of the training options sets how many samples run at once).",
                name, bt_shape_print(&input.shape).text);
    }
    input.name = copy_text(name);
    if (input.name == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for the input '%s'.", name);
    }
    bt_status status = add_value(model, input, value);
    if (status != BT_OK) {
        free(input.name);
        return status;
    }
    model->input = *value;
    return BT_OK;
}

bt_status bt_model_add_parameter(bt_model *model, const char *name, uint32_t rank,
                                 const int32_t *dims, const float *data, uint32_t *value) {
    BT_REQUIRE(model);
    BT_REQUIRE(name);
    BT_REQUIRE(dims);
    BT_REQUIRE(data);
    BT_REQUIRE(value);
    BT_TRY(check_tensor_name(model, name));
    bt_value parameter = {.node = BT_NO_VALUE, .is_parameter = true};
    BT_TRY_CONTEXT(bt_shape_make(rank, dims, &parameter.shape), "in the parameter '%s'", name);
    uint32_t elements = bt_shape_elements(&parameter.shape);
    for (uint32_t i = 0; i < elements; i++) {
        if (!isfinite(data[i])) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "Element %u of the parameter '%s' is %f; weights must be finite.", i, name,
                    (double)data[i]);
        }
    }
    parameter.name = copy_text(name);
    parameter.data = malloc(elements * sizeof *data);
    bt_status status = BT_OK;
    if (parameter.name == NULL || parameter.data == NULL) {
        status = bt_error_set(
            BT_ERROR_MEMORY, "The host has no memory left for the parameter '%s' with %u elements.",
            name, elements);
        goto fail;
    }
    memcpy(parameter.data, data, elements * sizeof *data);
    status = add_value(model, parameter, value);
    if (status != BT_OK) {
        goto fail;
    }
    return BT_OK;
fail:
    free(parameter.name);
    free(parameter.data);
    return status;
}

uint32_t bt_node_operand(const bt_node *node, uint32_t operand) {
    return operand < node->input_count ? node->inputs[operand] : BT_NO_VALUE;
}

/* The shape rule's view of a node whose values have these shapes for a batch. */
static bt_shape_query query_node(const bt_model *model, const bt_node *node, const bt_shape *shapes,
                                 uint32_t batch) {
    bt_shape_query query = {.attributes = &node->attributes, .count = node->input_count};
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t value = node->inputs[i];
        if (value != BT_NO_VALUE) {
            query.operand[i] = shapes == NULL ? &model->values[value].shape : &shapes[value];
            query.batch[i] = model->values[value].depends_on_input ? batch : 1;
        }
    }
    return query;
}

static bt_status check_operands(const bt_model *model, const bt_op_row *row, const char *name,
                                const uint32_t *inputs, uint32_t count) {
    if (count < row->minimum_operands || count > row->maximum_operands) {
        BT_FAIL(BT_ERROR_MODEL, "%s '%s' has %u operands; %s takes %u to %u.", row->name, name,
                count, row->name, row->minimum_operands, row->maximum_operands);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (inputs[i] == BT_NO_VALUE) {
            if (i < row->minimum_operands) {
                BT_FAIL(BT_ERROR_MODEL, "Operand %u of %s '%s' is absent, but it is required.", i,
                        row->name, name);
            }
        } else if (inputs[i] >= model->value_count) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "Operand %u of %s '%s' is the value %u, but the model has %u values; operands "
                    "are added before the node.",
                    i, row->name, name, inputs[i], model->value_count);
        } else if (row->roles[i] == BT_ROLE_STATISTIC && !model->values[inputs[i]].is_parameter) {
            BT_FAIL(BT_ERROR_MODEL,
                    "Operand %u of %s '%s' is a running statistic and must be a parameter, but "
                    "'%s' is computed.",
                    i, row->name, name, model->values[inputs[i]].name);
        }
    }
    return BT_OK;
}

static bt_status check_attributes(const bt_attributes *attributes) {
    BT_REQUIRE_SIZE(attributes);
    uint32_t known = BT_ATTRIBUTE_COUNT_INCLUDE_PAD | BT_ATTRIBUTE_TRANSPOSED_WEIGHT |
                     BT_ATTRIBUTE_TANH_APPROXIMATION;
    if ((attributes->flags & ~known) != 0) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The attribute flags 0x%x contain unknown bits; 0x%x are known.",
                attributes->flags, known);
    }
    return BT_OK;
}

bt_status bt_model_add_node(bt_model *model, bt_op op, const char *name, const uint32_t *inputs,
                            uint32_t input_count, const bt_attributes *attributes,
                            uint32_t *value) {
    BT_REQUIRE(model);
    BT_REQUIRE(inputs);
    BT_REQUIRE(value);
    const bt_op_row *row = bt_op_find((uint32_t)op);
    if (row == NULL) {
        BT_FAIL(BT_ERROR_UNSUPPORTED, "There is no op %u; bt_op_info_get lists the ops.",
                (unsigned)op);
    }
    char default_name[32];
    if (name == NULL || name[0] == '\0') {
        snprintf(default_name, sizeof default_name, "%s_%u", row->name, model->node_count);
        name = default_name;
    }
    BT_TRY(check_operands(model, row, name, inputs, input_count));
    bt_node node = {.row = row,
                    .index = model->node_count,
                    .stream = model->node_count,
                    .input_count = input_count,
                    .output = model->value_count};
    if (attributes == NULL) {
        BT_TRY(bt_attributes_default(&node.attributes));
    } else {
        BT_TRY_CONTEXT(check_attributes(attributes), "in %s '%s'", row->name, name);
        node.attributes = *attributes;
    }
    bt_value output = {.node = model->node_count};
    for (uint32_t i = 0; i < input_count; i++) {
        node.inputs[i] = inputs[i];
        if (inputs[i] != BT_NO_VALUE && model->values[inputs[i]].depends_on_input) {
            output.depends_on_input = true;
        }
    }
    bt_shape_query query = query_node(model, &node, NULL, 1);
    BT_TRY_CONTEXT(row->shape(&query, &output.shape), "in %s '%s'", row->name, name);
    BT_TRY_CONTEXT(bt_shape_check(&output.shape), "in the output of %s '%s'", row->name, name);
    BT_TRY(grow((void **)&model->nodes, &model->node_capacity, model->node_count,
                sizeof *model->nodes));
    node.name = copy_text(name);
    output.name = copy_text(name);
    bt_status status = BT_OK;
    if (node.name == NULL || output.name == NULL) {
        status =
            bt_error_set(BT_ERROR_MEMORY, "The host has no memory left for the node '%s'.", name);
        goto fail;
    }
    status = add_value(model, output, value);
    if (status != BT_OK) {
        goto fail;
    }
    for (uint32_t i = 0; i < input_count; i++) {
        if (inputs[i] != BT_NO_VALUE) {
            model->values[inputs[i]].roles |= row->roles[i];
        }
    }
    model->nodes[model->node_count++] = node;
    return BT_OK;
fail:
    free(node.name);
    free(output.name);
    return status;
}

bt_status bt_model_set_output(bt_model *model, uint32_t value) {
    BT_REQUIRE(model);
    if (value >= model->value_count) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The output is the value %u, but the model has %u values.",
                value, model->value_count);
    }
    model->output = value;
    model->values[value].roles |= BT_ROLE_OPERAND;
    return BT_OK;
}

uint32_t bt_model_node_count(const bt_model *model) {
    return model == NULL ? 0 : model->node_count;
}

uint32_t bt_model_value_count(const bt_model *model) {
    return model == NULL ? 0 : model->value_count;
}

bt_status bt_model_node_info(const bt_model *model, uint32_t index, bt_node_info *out) {
    BT_REQUIRE(model);
    BT_REQUIRE_SIZE(out);
    if (index >= model->node_count) {
        BT_FAIL(BT_ERROR_ARGUMENT, "There is no node %u; the model has %u nodes.", index,
                model->node_count);
    }
    const bt_node *node = &model->nodes[index];
    const bt_shape *shape = &model->values[node->output].shape;
    bt_shape_query query = query_node(model, node, NULL, 1);
    out->op = (uint32_t)node->row->op;
    out->name = node->name;
    out->rank = shape->rank;
    for (uint32_t i = 0; i < BT_MAX_RANK; i++) {
        out->dims[i] = i < shape->rank ? (int32_t)shape->dims[i] : 1;
    }
    out->macs = node->row->macs == NULL ? 0 : node->row->macs(&query, shape);
    out->parameters = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != BT_NO_VALUE && node->row->roles[i] != BT_ROLE_STATISTIC &&
            model->values[node->inputs[i]].is_parameter) {
            out->parameters += bt_shape_elements(&model->values[node->inputs[i]].shape);
        }
    }
    return BT_OK;
}

bt_status bt_model_value_info(const bt_model *model, uint32_t value, bt_value_info *out) {
    BT_REQUIRE(model);
    BT_REQUIRE_SIZE(out);
    if (value >= model->value_count) {
        BT_FAIL(BT_ERROR_ARGUMENT, "There is no value %u; the model has %u values.", value,
                model->value_count);
    }
    const bt_value *source = &model->values[value];
    out->is_parameter = source->is_parameter ? 1 : 0;
    out->name = source->name;
    out->rank = source->shape.rank;
    for (uint32_t i = 0; i < BT_MAX_RANK; i++) {
        out->dims[i] = i < source->shape.rank ? (int32_t)source->shape.dims[i] : 1;
    }
    return BT_OK;
}

uint32_t bt_model_find_parameter(const bt_model *model, const char *name) {
    for (uint32_t i = 0; i < model->value_count; i++) {
        if (model->values[i].is_parameter && strcmp(model->values[i].name, name) == 0) {
            return i;
        }
    }
    return BT_NO_VALUE;
}

bt_status bt_model_parameter_get(const bt_model *model, const char *name, float *data,
                                 size_t count) {
    BT_REQUIRE(model);
    BT_REQUIRE(name);
    BT_REQUIRE(data);
    uint32_t found = bt_model_find_parameter(model, name);
    if (found == BT_NO_VALUE) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The model has no parameter '%s'.", name);
    }
    const bt_value *value = &model->values[found];
    uint32_t elements = bt_shape_elements(&value->shape);
    if (count != elements) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The parameter '%s' has %u elements, but room for %zu was given.", name, elements,
                count);
    }
    memcpy(data, value->data, count * sizeof *data);
    return BT_OK;
}

/* A value computed from the input for a batch is its shape for one sample, batch times. */
static bt_status check_batched(const bt_model *model, const bt_node *node, uint32_t batch,
                               const bt_shape *shape) {
    const bt_value *output = &model->values[node->output];
    bt_shape expected = output->shape;
    if (output->depends_on_input) {
        expected.dims[0] *= batch;
    }
    if (!bt_shape_equal(shape, &expected)) {
        BT_FAIL(BT_ERROR_MODEL,
                "With micro_batch %u the output of %s '%s' has the shape %s, but %u samples of %s "
                "make %s: the node joins samples; use micro_batch 1.",
                batch, node->row->name, node->name, bt_shape_print(shape).text, batch,
                bt_shape_print(&output->shape).text, bt_shape_print(&expected).text);
    }
    return BT_OK;
}

bt_status bt_model_shapes(const bt_model *model, uint32_t batch, bt_shape *shapes) {
    for (uint32_t i = 0; i < model->value_count; i++) {
        const bt_value *value = &model->values[i];
        if (value->node == BT_NO_VALUE) {
            shapes[i] = value->shape;
            if (value->depends_on_input) {
                if (batch > BT_MAX_ELEMENTS / bt_shape_elements(&value->shape)) {
                    BT_FAIL(BT_ERROR_ARGUMENT,
                            "micro_batch %u times the input %s is more than %u elements; use a "
                            "smaller one.",
                            batch, bt_shape_print(&value->shape).text, BT_MAX_ELEMENTS);
                }
                shapes[i].dims[0] = batch;
            }
            continue;
        }
        const bt_node *node = &model->nodes[value->node];
        bt_shape_query query = query_node(model, node, shapes, batch);
        BT_TRY_CONTEXT(node->row->shape(&query, &shapes[i]), "in %s '%s' with micro_batch %u",
                       node->row->name, node->name, batch);
        BT_TRY_CONTEXT(bt_shape_check(&shapes[i]), "in the output of %s '%s' with micro_batch %u",
                       node->row->name, node->name, batch);
        BT_TRY(check_batched(model, node, batch, &shapes[i]));
    }
    return BT_OK;
}

void bt_model_mark_live(const bt_model *model, bool *live) {
    memset(live, 0, model->value_count * sizeof *live);
    live[model->output] = true;
    for (uint32_t i = model->node_count; i-- > 0;) {
        const bt_node *node = &model->nodes[i];
        for (uint32_t k = 0; live[node->output] && k < node->input_count; k++) {
            if (node->inputs[k] != BT_NO_VALUE) {
                live[node->inputs[k]] = true;
            }
        }
    }
}
