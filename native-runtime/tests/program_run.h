/*
 * Runs a program that the validator accepts in arenas of exactly its size, so that a sanitizer, or
 * the guards behind each arena, notice an instruction that leaves them.
 */
#ifndef BT_TEST_PROGRAM_RUN_H
#define BT_TEST_PROGRAM_RUN_H

#include "interp/interp.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RUN_GUARD 0xC3u

/* Makes changed bytes pass the checksum. */
static inline void program_seal(uint8_t *bytes) {
    bt_program_header *header = (bt_program_header *)(void *)bytes;
    header->crc = 0;
    header->crc = bt_crc32c(0, bytes, header->bytes);
}

/* AddressSanitizer watches the end of an arena itself. */
#if defined(__SANITIZE_ADDRESS__)
static const uint32_t run_guard_bytes = 0;
#else
static const uint32_t run_guard_bytes = 64;
#endif

/* Transfers that are done as soon as they start. */
static inline void run_transfer(void *context, const bt_dma *t) {
    const bt_machine *machine = context;
    for (uint32_t row = 0; row < t->rows; row++) {
        uint8_t *near = (uint8_t *)t->l1 + row * t->row_bytes;
        uint8_t *far = machine->arena[t->level] + t->offset + row * t->stride;
        memcpy(t->to_l1 ? near : far, t->to_l1 ? far : near, t->row_bytes);
    }
}

static inline void run_wait(void *context) { (void)context; }

/* Returns false if an arena's guard was written. Arenas begin with pseudo-random bytes. */
static inline bool program_run(const uint8_t *bytes, const bt_kernel_fn *kernels, uint32_t seed) {
    const bt_program_header *header = (const bt_program_header *)(const void *)bytes;
    const bt_step_scalars scalars = {.learning_rate = 0.1f,
                                     .correction1 = 0.1f,
                                     .correction2 = 0.001f,
                                     .inverse_batch = 0.5f,
                                     .seed = {seed, 1},
                                     .micro_step = 3};
    const bt_team team = {.core = 0, .cores = 1};
    bt_machine machine = {
        .program = header, .kernels = kernels, .dma_start = run_transfer, .dma_wait = run_wait};
    machine.context = &machine;
    bool intact = true;
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        uint32_t size = header->arena_bytes[level];
        uint8_t *arena = malloc(size + run_guard_bytes);
        for (uint32_t i = 0; i < size; i++) {
            seed = seed * 1664525u + 1013904223u;
            arena[i] = (uint8_t)(seed >> 24);
        }
        for (uint32_t i = 0; i < run_guard_bytes; i++) {
            arena[size + i] = RUN_GUARD;
        }
        machine.arena[level] = arena;
    }
    for (uint32_t sequence = 0; sequence < BT_SEQUENCE_COUNT; sequence++) {
        bt_interp_run(&machine, sequence, &scalars, &team);
    }
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        const uint8_t *guard = machine.arena[level] + header->arena_bytes[level];
        for (uint32_t i = 0; i < run_guard_bytes; i++) {
            intact = intact && guard[i] == RUN_GUARD;
        }
        free(machine.arena[level]);
    }
    return intact;
}

#endif
