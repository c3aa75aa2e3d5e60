/* The networks that ship in models/, with the weights of tests. */
#ifndef BT_TEST_ZOO_H
#define BT_TEST_ZOO_H

#include "networks.h"

/* EpiDeNet with padding for windows of 100 samples, 3 classes. */
static inline bt_model *epidenet_compact(void) {
    static const int32_t layers[3][4] = {
        {4, 1, 4, 4}, {16, 4, 16, 2}, {16, 16, 8, 2}}; /* out, in, kernel, pool */
    builder b = builder_new(13);
    const int32_t dims[] = {1, 1, 2, 100};
    uint32_t v = add_input(&b, 4, dims);
    for (uint32_t i = 0; i < 3; i++) {
        char conv[16], norm[16];
        const int32_t *layer = layers[i];
        snprintf(conv, sizeof conv, "conv%u", i + 1);
        snprintf(norm, sizeof norm, "norm%u", i + 1);
        v = add_conv(&b, conv, v, layer[0], layer[1], 1, layer[2], 1, layer[2] / 2 - 1,
                     layer[2] / 2);
        v = add_group_norm(&b, norm, v, layer[0], 1);
        v = add_unary(&b, BT_OP_RELU, NULL, v);
        v = add_average_pool(&b, NULL, v, layer[3]);
    }
    v = add_conv(&b, "conv4", v, 16, 16, 2, 1, 1, 0, 0);
    v = add_group_norm(&b, "norm4", v, 16, 1);
    v = add_unary(&b, BT_OP_RELU, NULL, v);
    v = add_conv(&b, "conv5", v, 16, 16, 1, 1, 1, 0, 0);
    v = add_group_norm(&b, "norm5", v, 16, 1);
    v = add_unary(&b, BT_OP_RELU, NULL, v);
    v = add_average_pool(&b, NULL, v, 6);
    return finish(&b, add_linear(&b, "fc", add_flatten(&b, v), 16, 3));
}

static inline uint32_t add_batch_norm(builder *b, const char *name, uint32_t x, int32_t channels) {
    char names[4][64];
    static const char *const endings[] = {"weight", "bias", "running_mean", "running_var"};
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s.%s", name, endings[i]);
    }
    const uint32_t inputs[] = {x, add_vector(b, names[0], channels, 1.0f, 0.1f),
                               add_vector(b, names[1], channels, 0.0f, 0.1f),
                               add_vector(b, names[2], channels, 0.0f, 0.1f),
                               add_vector(b, names[3], channels, 1.0f, 0.1f)};
    return add_node(b, BT_OP_BATCH_NORM, name, 5, inputs, NULL);
}

/* EEGNet-8,2 for 8 channels and 2 classes; with BatchNorm as published or with GroupNorm. */
static inline bt_model *eegnet(int32_t samples, int batch_norm) {
    uint32_t (*norm3)(builder *, const char *, uint32_t, int32_t) =
        batch_norm ? add_batch_norm : NULL;
    builder b = builder_new(17);
    const int32_t dims[] = {1, 1, 8, samples};
    uint32_t v = add_input(&b, 4, dims);
    v = add_conv(&b, "temporal", v, 8, 1, 1, 64, 1, 32, 32);
    v = norm3 ? norm3(&b, "norm1", v, 8) : add_group_norm(&b, "norm1", v, 8, 1);
    v = add_conv(&b, "spatial", v, 16, 1, 8, 1, 8, 0, 0);
    v = norm3 ? norm3(&b, "norm2", v, 16) : add_group_norm(&b, "norm2", v, 16, 1);
    v = add_unary(&b, BT_OP_ELU, "elu1", v);
    v = add_average_pool(&b, "pool1", v, 4);
    v = add_unary(&b, BT_OP_DROPOUT, "dropout1", v);
    v = add_conv(&b, "depthwise", v, 16, 1, 1, 16, 16, 8, 8);
    v = add_conv(&b, "pointwise", v, 16, 16, 1, 1, 1, 0, 0);
    v = norm3 ? norm3(&b, "norm3", v, 16) : add_group_norm(&b, "norm3", v, 16, 1);
    v = add_unary(&b, BT_OP_ELU, "elu2", v);
    v = add_average_pool(&b, "pool2", v, 8);
    v = add_unary(&b, BT_OP_DROPOUT, "dropout2", v);
    int32_t width = ((samples + 1) / 4 + 1) / 8;
    return finish(&b, add_linear(&b, "fc", add_flatten(&b, v), 16 * width, 2));
}

/* The network for EMG envelopes: 4 channels, 30 samples, 6 classes. */
static inline bt_model *emgnet(void) {
    builder b = builder_new(19);
    const int32_t dims[] = {1, 1, 4, 30}, weight[] = {16, 1, 4, 1};
    uint32_t v = add_input(&b, 4, dims);
    const uint32_t inputs[] = {v, add_parameter(&b, "conv1.weight", 4, weight, 0.0f, 0.3f),
                               add_vector(&b, "conv1.bias", 16, 0.0f, 0.1f)};
    v = add_node(&b, BT_OP_CONV, "conv1", 3, inputs, NULL);
    v = add_unary(&b, BT_OP_RELU, "relu1", v);
    v = add_conv(&b, "conv2", v, 32, 16, 1, 7, 1, 3, 3);
    v = add_group_norm(&b, "norm2", v, 32, 4);
    v = add_unary(&b, BT_OP_RELU, "relu2", v);
    bt_attributes pool = attributes_parse("kernel=1,2 stride=1,2");
    v = add_node(&b, BT_OP_MAX_POOL, "pool2", 1, &v, &pool);
    return finish(&b, add_linear(&b, "fc", add_flatten(&b, v), 32 * 15, 6));
}

#define ZOO_SIZE 8

static const char *const zoo_names[ZOO_SIZE] = {"mibminet-f8",      "mibminet-f32", "epidenet-eog",
                                                "epidenet-eog-lnt", "eegnet-bn",    "eegnet-gn",
                                                "eegnet-mi8",       "emgnet-semg"};

static inline bt_model *zoo_model(uint32_t index) {
    switch (index) {
    case 0:
        return mi_bminet(8, 64, 0);
    case 1:
        return mi_bminet(32, 128, 1);
    case 2:
        return epidenet();
    case 3:
        return epidenet_compact();
    case 4:
        return eegnet(640, 1);
    case 5:
        return eegnet(640, 0);
    case 6:
        return eegnet(480, 0);
    default:
        return emgnet();
    }
}

#endif
