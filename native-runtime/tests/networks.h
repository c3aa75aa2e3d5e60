/*
 * Models for tests: a builder that fills parameters with seeded values, and the networks whose
 * sizes are published. Building mistakes end the test program with the library's sentence.
 */
#ifndef BT_TEST_NETWORKS_H
#define BT_TEST_NETWORKS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "biotrain/biotrain.h"

typedef struct builder {
    bt_model *model;
    uint32_t seed;
    uint32_t names;
} builder;

static inline void require(bt_status status, const char *what) {
    if (status != BT_OK) {
        printf("%s: %s", what, bt_status_name(status));
        for (uint32_t i = 0; i < bt_error_depth(); i++) {
            printf(": %s", bt_error_message(i));
        }
        printf("\n");
        exit(1);
    }
}

/* Pseudo-random bits; a linear congruential generator is enough for tests. */
static inline uint32_t next_bits(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* 0 … limit-1. */
static inline uint32_t next_below(uint32_t *seed, uint32_t limit) {
    return next_bits(seed) % limit;
}

/* -1 … 1. */
static inline float next_float(uint32_t *seed) {
    return (float)next_bits(seed) / 8388608.0f - 1.0f;
}

static inline builder builder_new(uint32_t seed) {
    builder b = {.seed = seed};
    require(bt_model_create(&b.model), "bt_model_create");
    return b;
}

static inline uint32_t add_input(builder *b, uint32_t rank, const int32_t *dims) {
    uint32_t value;
    require(bt_model_add_input(b->model, "x", rank, dims, &value), "input");
    return value;
}

/* Values in offset-scale … offset+scale; without a name a new one is made up. */
static inline uint32_t add_parameter(builder *b, const char *name, uint32_t rank,
                                     const int32_t *dims, float offset, float scale) {
    char made_up[32];
    uint32_t value;
    size_t elements = 1;
    for (uint32_t i = 0; i < rank; i++) {
        elements *= (size_t)dims[i];
    }
    float *data = malloc(elements * sizeof *data);
    for (size_t i = 0; i < elements; i++) {
        data[i] = offset + scale * next_float(&b->seed);
    }
    snprintf(made_up, sizeof made_up, "p%u", b->names++);
    require(
        bt_model_add_parameter(b->model, name == NULL ? made_up : name, rank, dims, data, &value),
        name == NULL ? made_up : name);
    free(data);
    return value;
}

static inline uint32_t add_vector(builder *b, const char *name, int32_t length, float offset,
                                  float scale) {
    return add_parameter(b, name, 1, &length, offset, scale);
}

static inline bt_attributes attributes_default(void) {
    bt_attributes attributes;
    require(bt_attributes_default(&attributes), "bt_attributes_default");
    return attributes;
}

static inline void set_attribute(bt_attributes *a, const char *word) {
    int v[5] = {0};
    char key[24];
    const char *equals = strchr(word, '=');
    snprintf(key, sizeof key, "%.*s", (int)(equals - word), word);
    int n = sscanf(equals + 1, "%d,%d,%d,%d,%d", &v[0], &v[1], &v[2], &v[3], &v[4]);
    if (strcmp(key, "kernel") == 0) {
        a->kernel[0] = v[0], a->kernel[1] = v[1];
    } else if (strcmp(key, "stride") == 0) {
        a->strides[0] = v[0], a->strides[1] = v[1];
    } else if (strcmp(key, "pads") == 0) {
        memcpy(a->pads, v, sizeof a->pads);
    } else if (strcmp(key, "dilation") == 0) {
        a->dilations[0] = v[0], a->dilations[1] = v[1];
    } else if (strcmp(key, "groups") == 0) {
        a->groups = v[0];
    } else if (strcmp(key, "axis") == 0) {
        a->axis = v[0];
    } else if (strcmp(key, "dims") == 0) {
        a->rank = (uint32_t)n;
        memcpy(a->dims, v, sizeof a->dims);
    } else if (strcmp(key, "flags") == 0) {
        a->flags = (uint32_t)v[0];
    } else if (strcmp(key, "alpha") == 0) {
        a->alpha = strtof(equals + 1, NULL);
    } else if (strcmp(key, "epsilon") == 0) {
        a->epsilon = strtof(equals + 1, NULL);
    } else if (strcmp(key, "ratio") == 0) {
        a->ratio = strtof(equals + 1, NULL);
    } else if (strcmp(key, "momentum") == 0) {
        a->momentum = strtof(equals + 1, NULL);
    } else {
        printf("unknown attribute %s\n", word);
        exit(1);
    }
}

/* Defaults changed by words such as "stride=2,2 groups=3". */
static inline bt_attributes attributes_parse(const char *text) {
    bt_attributes a = attributes_default();
    char copy[160];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        set_attribute(&a, word);
    }
    return a;
}

/* Dimensions such as "1,3,8"; returns the rank. */
static inline uint32_t dims_parse(const char *text, int32_t dims[BT_MAX_RANK]) {
    return (uint32_t)sscanf(text, "%d,%d,%d,%d,%d", &dims[0], &dims[1], &dims[2], &dims[3],
                            &dims[4]);
}

static inline uint32_t add_node(builder *b, bt_op op, const char *name, uint32_t count,
                                const uint32_t *inputs, const bt_attributes *attributes) {
    uint32_t value;
    require(bt_model_add_node(b->model, op, name, inputs, count, attributes, &value),
            name == NULL ? "node" : name);
    return value;
}

static inline uint32_t add_unary(builder *b, bt_op op, const char *name, uint32_t x) {
    return add_node(b, op, name, 1, &x, NULL);
}

static inline uint32_t add_conv(builder *b, const char *name, uint32_t x, int32_t out,
                                int32_t in_per_group, int32_t height, int32_t width, int32_t groups,
                                int32_t left, int32_t right) {
    char weight_name[64];
    snprintf(weight_name, sizeof weight_name, "%s.weight", name);
    const int32_t dims[] = {out, in_per_group, height, width};
    bt_attributes attributes = attributes_default();
    attributes.groups = groups;
    attributes.pads[1] = left;
    attributes.pads[3] = right;
    const uint32_t inputs[] = {x, add_parameter(b, weight_name, 4, dims, 0.0f, 0.3f)};
    return add_node(b, BT_OP_CONV, name, 2, inputs, &attributes);
}

static inline uint32_t add_group_norm(builder *b, const char *name, uint32_t x, int32_t channels,
                                      int32_t groups) {
    char scale_name[64], bias_name[64];
    snprintf(scale_name, sizeof scale_name, "%s.weight", name);
    snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    bt_attributes attributes = attributes_default();
    attributes.groups = groups;
    attributes.epsilon = 1e-3f;
    const uint32_t inputs[] = {x, add_vector(b, scale_name, channels, 1.0f, 0.1f),
                               add_vector(b, bias_name, channels, 0.0f, 0.1f)};
    return add_node(b, BT_OP_GROUP_NORM, name, 3, inputs, &attributes);
}

static inline uint32_t add_average_pool(builder *b, const char *name, uint32_t x, int32_t width) {
    bt_attributes attributes = attributes_default();
    attributes.kernel[1] = width;
    attributes.strides[1] = width;
    return add_node(b, BT_OP_AVERAGE_POOL, name, 1, &x, &attributes);
}

static inline uint32_t add_flatten(builder *b, uint32_t x) {
    bt_attributes attributes = attributes_default();
    attributes.rank = 2;
    attributes.dims[0] = 1;
    attributes.dims[1] = -1;
    return add_node(b, BT_OP_RESHAPE, "flatten", 1, &x, &attributes);
}

static inline uint32_t add_linear(builder *b, const char *name, uint32_t x, int32_t in,
                                  int32_t out) {
    char weight_name[64], bias_name[64];
    snprintf(weight_name, sizeof weight_name, "%s.weight", name);
    snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    const int32_t dims[] = {out, in};
    const uint32_t inputs[] = {x, add_parameter(b, weight_name, 2, dims, 0.0f, 0.3f),
                               add_vector(b, bias_name, out, 0.0f, 0.1f)};
    return add_node(b, BT_OP_LINEAR, name, 3, inputs, NULL);
}

static inline bt_model *finish(builder *b, uint32_t output) {
    require(bt_model_set_output(b->model, output), "bt_model_set_output");
    return b->model;
}

/* MI-BMINet: 8 channels, 1900 samples, 2 classes; filters and kernel 32/128 or 8/64. */
static inline bt_model *mi_bminet(int32_t filters, int32_t kernel, int32_t padded) {
    builder b = builder_new(7);
    const int32_t dims[] = {1, 1, 8, 1900};
    int32_t left = padded ? kernel / 2 - 1 : 0, right = padded ? kernel / 2 : 0;
    int32_t separable_left = padded ? 7 : 0, separable_right = padded ? 8 : 0;
    int32_t length = padded ? 1900 / 8 / 8 : ((1900 - kernel + 1) / 8 - 15) / 8;
    uint32_t v = add_input(&b, 4, dims);
    v = add_conv(&b, "conv1", v, filters, 1, 8, 1, 1, 0, 0);
    v = add_group_norm(&b, "norm1", v, filters, 1);
    v = add_conv(&b, "conv2", v, filters, 1, 1, kernel, filters, left, right);
    v = add_group_norm(&b, "norm2", v, filters, 1);
    v = add_unary(&b, BT_OP_RELU, "relu2", v);
    v = add_average_pool(&b, "pool2", v, 8);
    v = add_unary(&b, BT_OP_DROPOUT, "dropout2", v);
    v = add_conv(&b, "sep1", v, filters, 1, 1, 16, filters, separable_left, separable_right);
    v = add_conv(&b, "sep2", v, filters, filters, 1, 1, 1, 0, 0);
    v = add_group_norm(&b, "norm3", v, filters, 1);
    v = add_unary(&b, BT_OP_RELU, "relu3", v);
    v = add_average_pool(&b, "pool3", v, 8);
    v = add_unary(&b, BT_OP_DROPOUT, "dropout3", v);
    v = add_flatten(&b, v);
    v = add_linear(&b, "fc", v, filters * length, 2);
    return finish(&b, v);
}

/* EpiDeNet with 2 channels, 1000 samples, 11 classes, no padding. */
static inline bt_model *epidenet(void) {
    static const int32_t layers[5][5] = {/* out, in, height, width, pool */
                                         {4, 1, 1, 4, 8},
                                         {16, 4, 1, 16, 4},
                                         {16, 16, 1, 8, 4},
                                         {16, 16, 2, 1, 1},
                                         {16, 16, 1, 1, 5}};
    builder b = builder_new(11);
    const int32_t dims[] = {1, 1, 2, 1000};
    uint32_t v = add_input(&b, 4, dims);
    for (uint32_t i = 0; i < 5; i++) {
        char name[32];
        const int32_t *layer = layers[i];
        snprintf(name, sizeof name, "conv%u", i + 1);
        v = add_conv(&b, name, v, layer[0], layer[1], layer[2], layer[3], 1, 0, 0);
        snprintf(name, sizeof name, "norm%u", i + 1);
        v = add_group_norm(&b, name, v, layer[0], 1);
        snprintf(name, sizeof name, "relu%u", i + 1);
        v = add_unary(&b, BT_OP_RELU, name, v);
        snprintf(name, sizeof name, "pool%u", i + 1);
        v = add_average_pool(&b, name, v, layer[4]);
    }
    v = add_flatten(&b, v);
    v = add_linear(&b, "fc", v, 16, 11);
    return finish(&b, v);
}

static inline bt_training_options options_default(void) {
    bt_training_options options;
    require(bt_training_options_default(&options), "bt_training_options_default");
    return options;
}

static inline bt_target target_named(const char *name) {
    bt_target target;
    require(bt_target_find(name, &target), name);
    return target;
}

static inline bt_program *compile(const bt_model *model, const bt_training_options *options,
                                  const char *target_name) {
    bt_target target = target_named(target_name);
    bt_program *program;
    require(bt_program_compile(model, options, &target, &program), "bt_program_compile");
    return program;
}

static inline bt_program_info program_info(const bt_program *program) {
    bt_program_info info = {.struct_size = sizeof info};
    require(bt_program_info_get(program, &info), "bt_program_info_get");
    return info;
}

#endif
