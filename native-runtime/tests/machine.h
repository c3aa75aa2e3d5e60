/* Runs programs on the interpreter with the baseline kernels, on one core. */
#ifndef BT_TEST_MACHINE_H
#define BT_TEST_MACHINE_H

#include "networks.h"

#include "interp/interp.h"
#include "plan/program_object.h"

enum { MACHINE_TRANSFERS = 256 };

typedef struct machine {
    const bt_program_header *header;
    const bt_tensor *tensors;
    uint8_t *arena[BT_LEVEL_COUNT];
    bt_step_scalars scalars;
    int eager; /* transfers happen when they start; else when somebody waits, last one first */
    bt_dma transfers[MACHINE_TRANSFERS];
    uint32_t transfer_count;
} machine;

static inline void machine_move(machine *m, const bt_dma *t) {
    for (uint32_t row = 0; row < t->rows; row++) {
        uint8_t *near = (uint8_t *)t->l1 + row * t->row_bytes;
        uint8_t *far = m->arena[t->level] + t->offset + row * t->stride;
        memcpy(t->to_l1 ? near : far, t->to_l1 ? far : near, t->row_bytes);
    }
}

static inline void machine_dma_start(void *context, const bt_dma *transfer) {
    machine *m = context;
    if (m->eager) {
        machine_move(m, transfer);
    } else if (m->transfer_count < MACHINE_TRANSFERS) {
        m->transfers[m->transfer_count++] = *transfer;
    }
}

static inline void machine_dma_wait(void *context) {
    machine *m = context;
    while (m->transfer_count > 0) {
        machine_move(m, &m->transfers[--m->transfer_count]);
    }
}

static inline float *machine_data(const machine *m, uint32_t tensor) {
    return (float *)(void *)(m->arena[m->tensors[tensor].level] + m->tensors[tensor].offset);
}

static inline const char *machine_name(const machine *m, uint32_t tensor) {
    return m->tensors[tensor].name == BT_NO_TENSOR
               ? NULL
               : (const char *)m->header + m->header->names_offset + m->tensors[tensor].name;
}

/* BT_NO_TENSOR if there is none. */
static inline uint32_t machine_find(const machine *m, const char *prefix, const char *name) {
    char full[300];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    for (uint32_t i = 0; i < m->header->tensor_count; i++) {
        const char *candidate = machine_name(m, i);
        if (candidate != NULL && strcmp(candidate, full) == 0) {
            return i;
        }
    }
    return BT_NO_TENSOR;
}

/* Memory full of NaN, named tensors zero, parameters at their initial values. */
static inline machine machine_new(const bt_program *program) {
    machine m = {.header = (const bt_program_header *)(const void *)program->bytes};
    m.tensors = (const bt_tensor *)(const void *)(program->bytes + m.header->tensor_offset);
    for (uint32_t level = BT_LEVEL_L1; level < BT_LEVEL_COUNT; level++) {
        m.arena[level] = malloc(m.header->arena_bytes[level] + 1);
        memset(m.arena[level], 0xFF, m.header->arena_bytes[level]);
    }
    for (uint32_t i = 0; i < m.header->tensor_count; i++) {
        if (m.tensors[i].name != BT_NO_TENSOR) {
            memset(machine_data(&m, i), 0, 4 * bt_tensor_elements(&m.tensors[i]));
        }
    }
    for (uint32_t i = 0; i < program->initial_count; i++) {
        memcpy(machine_data(&m, program->initial[i].tensor), program->initial[i].data,
               program->initial[i].elements * sizeof(float));
    }
    m.scalars = (bt_step_scalars){.learning_rate = 0.01f,
                                  .correction1 = 0.1f,
                                  .correction2 = 0.001f,
                                  .inverse_batch = 1.0f,
                                  .seed = {1, 2},
                                  .micro_step = 3};
    return m;
}

static inline void machine_free(machine *m) {
    free(m->arena[BT_LEVEL_L1]);
    free(m->arena[BT_LEVEL_L2]);
    free(m->arena[BT_LEVEL_L3]);
}

static inline void machine_run(machine *m, uint32_t sequence) {
    const bt_team team = {.core = 0, .cores = 1};
    const bt_machine interpreter = {.program = m->header,
                                    .arena = {m->arena[BT_LEVEL_L1], m->arena[BT_LEVEL_L2], NULL},
                                    .kernels = bt_kernels_baseline,
                                    .dma_start = machine_dma_start,
                                    .dma_wait = machine_dma_wait,
                                    .context = m};
    bt_interp_run(&interpreter, sequence, &m->scalars, &team);
}

#endif
