/* Update schemes: which parameters are trained. Running statistics never are. */
#include <stdio.h>
#include <string.h>

#include "train/options.h"

/* A parameter that gradients reach and optimizers may change. */
static bool can_train(const bt_value *value, bool live) {
    return value->is_parameter && live && (value->roles & BT_ROLE_STATISTIC) == 0;
}

static uint32_t mark_roles(const bt_model *model, const bool *live, uint32_t roles,
                           bool *trainable) {
    uint32_t marked = 0;
    for (uint32_t i = 0; i < model->value_count; i++) {
        const bt_value *value = &model->values[i];
        if (can_train(value, live[i]) && (value->roles & roles) != 0) {
            trainable[i] = true;
            marked++;
        }
    }
    return marked;
}

static uint32_t mark_last_layer(const bt_model *model, const bool *live, bool *trainable) {
    uint32_t marked = 0;
    for (uint32_t i = model->node_count; i-- > 0 && marked == 0;) {
        const bt_node *node = &model->nodes[i];
        for (uint32_t k = 0; live[node->output] && k < node->input_count; k++) {
            uint32_t value = node->inputs[k];
            if (value != BT_NO_VALUE && can_train(&model->values[value], live[value])) {
                trainable[value] = true;
                marked++;
            }
        }
    }
    return marked;
}

/* Names of the parameters that can be trained, for a sentence; long lists are cut. */
static void list_known(const bt_model *model, const bool *live, char *text, size_t size) {
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < model->value_count; i++) {
        const bt_value *value = &model->values[i];
        if (!can_train(value, live[i])) {
            continue;
        }
        if (length + strlen(value->name) + 8 > size) {
            snprintf(text + length, size - length, ", ...");
            return;
        }
        length += (size_t)snprintf(text + length, size - length, length == 0 ? "%s" : ", %s",
                                   value->name);
    }
}

static bt_status mark_list(const bt_model *model, const bt_training_options *options,
                           const bool *live, bool *trainable) {
    for (uint32_t k = 0; k < options->trainable_count; k++) {
        const char *name = options->trainable[k];
        uint32_t found = BT_NO_VALUE;
        if (name == NULL) {
            BT_FAIL(BT_ERROR_ARGUMENT, "Entry %u of trainable is NULL; every entry is a name.", k);
        }
        for (uint32_t i = 0; i < model->value_count; i++) {
            if (model->values[i].is_parameter && strcmp(model->values[i].name, name) == 0) {
                found = i;
            }
        }
        if (found == BT_NO_VALUE || !can_train(&model->values[found], live[found])) {
            char known[320];
            list_known(model, live, known, sizeof known);
            BT_FAIL(BT_ERROR_ARGUMENT, "%s '%s', named in trainable; these can be trained: %s.",
                    found == BT_NO_VALUE ? "There is no parameter"
                    : live[found]        ? "A running statistic is not trained by gradient:"
                                         : "The output does not depend on the parameter",
                    name, known);
        }
        trainable[found] = true;
    }
    return BT_OK;
}

bt_status bt_scheme_apply(const bt_model *model, const bt_training_options *options,
                          const bool *live, bool *trainable) {
    const uint32_t norms = BT_ROLE_NORM_SCALE | BT_ROLE_NORM_BIAS;
    const uint32_t biases = BT_ROLE_BIAS | BT_ROLE_NORM_BIAS;
    uint32_t marked = 0;
    memset(trainable, 0, model->value_count * sizeof *trainable);
    switch (options->scheme) {
    case BT_UPDATE_FULL:
        marked = mark_roles(model, live, ~(uint32_t)BT_ROLE_STATISTIC, trainable);
        break;
    case BT_UPDATE_LAST_LAYER:
        marked = mark_last_layer(model, live, trainable);
        break;
    case BT_UPDATE_BIAS_ONLY:
        marked = mark_roles(model, live, biases, trainable);
        break;
    case BT_UPDATE_NORM_ONLY:
        marked = mark_roles(model, live, norms, trainable);
        break;
    case BT_UPDATE_NONE:
        return BT_OK;
    default:
        return mark_list(model, options, live, trainable);
    }
    /* A model without parameters can still be asked for the gradient of its input. */
    if (marked == 0 && options->input_gradient == 0) {
        static const char *const names[] = {"", "full", "last-layer", "bias-only", "norm-only"};
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The update scheme %s finds no parameter to train in this model; choose another "
                "scheme or name the parameters.",
                names[options->scheme]);
    }
    return BT_OK;
}
