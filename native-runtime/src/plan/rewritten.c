/*
 * Programs of networks that topology passes rewrote: folded parameters, and a first part that is
 * computed once per sample by a program of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/compile.h"
#include "plan/program_object.h"
#include "train/options.h"
#include "train/topology.h"

/* The models that a program is made of; NULL where a pass is not asked for. */
typedef struct rewritten {
    bt_model *folded;
    bt_model *prefix;
    bt_model *suffix;
} rewritten;

static void rewritten_free(rewritten *r) {
    bt_model_free(r->folded);
    bt_model_free(r->prefix);
    bt_model_free(r->suffix);
}

static bt_status keep_host_parameter(const bt_value *value, bt_program *program) {
    bt_host_parameter *host = &program->host[program->host_count];
    size_t name_bytes = strlen(value->name) + 1;
    size_t data_bytes = bt_shape_elements(&value->shape) * sizeof *host->data;
    host->shape = value->shape;
    host->name = malloc(name_bytes);
    host->data = malloc(data_bytes);
    program->host_count++;
    if (host->name == NULL || host->data == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for the parameter '%s'.",
                value->name);
    }
    memcpy(host->name, value->name, name_bytes);
    memcpy(host->data, value->data, data_bytes);
    return BT_OK;
}

/* Keeps the parameters of the model that the compiled network does not have. */
static bt_status keep_host_parameters(const bt_model *model, const bt_model *compiled,
                                      bt_program *program) {
    program->host = calloc(model->value_count, sizeof *program->host);
    if (program->host == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left for the parameters.");
    }
    program->info.parameters = 0;
    for (uint32_t i = 0; i < model->value_count; i++) {
        const bt_value *value = &model->values[i];
        if (!value->is_parameter) {
            continue;
        }
        if ((value->roles & BT_ROLE_STATISTIC) == 0) {
            program->info.parameters += bt_shape_elements(&value->shape);
        }
        if (bt_model_find_parameter(compiled, value->name) == BT_NO_VALUE) {
            BT_TRY(keep_host_parameter(value, program));
        }
    }
    return BT_OK;
}

static uint32_t largest(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* Both programs run on the device, one after the other. */
static void add_prefix_info(bt_program_info *info, const bt_program_info *prefix) {
    info->input_elements = prefix->input_elements;
    info->l1_peak_bytes = largest(info->l1_peak_bytes, prefix->l1_peak_bytes);
    info->l2_peak_bytes = largest(info->l2_peak_bytes, prefix->l2_peak_bytes);
    info->l3_peak_bytes = largest(info->l3_peak_bytes, prefix->l3_peak_bytes);
    info->l2_lower_bound_bytes = largest(info->l2_lower_bound_bytes, prefix->l2_lower_bound_bytes);
    info->forward_macs += prefix->forward_macs;
}

/* The features lie behind the L3 that either program works in. */
static void reserve_l3(bt_program *program, uint32_t bytes) {
    bt_program_header *header = (bt_program_header *)(void *)program->bytes;
    header->arena_bytes[BT_LEVEL_L3] = bytes;
    header->crc = 0;
    header->crc = bt_crc32c(0, program->bytes, program->size);
}

/* The program that computes features: inference, one sample at a time, with a class as target. */
static bt_status compile_prefix(const bt_model *model, const bt_target *target,
                                const bt_passes *passes, bt_program *program) {
    bt_training_options options;
    BT_TRY(bt_training_options_default(&options));
    options.scheme = BT_UPDATE_NONE;
    BT_TRY(bt_program_compile_with(model, &options, target, passes, &program->prefix));
    if (program->prefix->info.l3_peak_bytes > program->info.l3_peak_bytes) {
        reserve_l3(program, program->prefix->info.l3_peak_bytes);
    }
    add_prefix_info(&program->info, &program->prefix->info);
    return BT_OK;
}

static bt_status compile_parts(const bt_model *model, const bt_training_options *options,
                               const bt_target *target, const bt_passes *passes, rewritten *r,
                               bt_program **out) {
    const bt_model *network = model;
    if (options->fold_batch_norm == 1) {
        BT_TRY(bt_topology_fold(network, options, &r->folded));
        network = r->folded;
    }
    if (options->cache_features == 1) {
        BT_TRY(bt_topology_split(network, options, &r->prefix, &r->suffix));
        network = r->suffix;
    }
    BT_TRY(bt_program_compile_with(network, options, target, passes, out));
    if (r->prefix != NULL) {
        BT_TRY_CONTEXT(compile_prefix(r->prefix, target, passes, *out),
                       "Compiling the first layers for the pass cache-features.");
    }
    return network == model ? BT_OK : keep_host_parameters(model, network, *out);
}

bt_status bt_program_compile_rewritten(const bt_model *model, const bt_training_options *options,
                                       const bt_target *target, const bt_passes *passes,
                                       bt_program **out) {
    rewritten r = {0};
    bt_program *program = NULL;
    BT_TRY(bt_options_check(options));
    bt_status status = compile_parts(model, options, target, passes, &r, &program);
    rewritten_free(&r);
    if (status != BT_OK) {
        bt_program_free(program);
        return status;
    }
    *out = program;
    return BT_OK;
}
