#include "plan/program_object.h"

#include <stdlib.h>
#include <string.h>

static const char *const sequence_names[BT_SEQUENCE_COUNT] = {"begin", "train", "update",
                                                              "evaluate"};

bt_status bt_program_check(const uint8_t *bytes, size_t size,
                           const uint32_t arena_bytes[BT_LEVEL_COUNT]) {
    bt_fault_location where;
    if (size > UINT32_MAX) {
        BT_FAIL(BT_ERROR_PROGRAM, "The program has %zu bytes, more than any program can have.",
                size);
    }
    bt_fault fault = bt_program_validate(bytes, (uint32_t)size, arena_bytes, &where);
    if (fault == BT_FAULT_NONE) {
        return BT_OK;
    }
    const char *text = bt_program_fault_text(fault);
    if (where.sequence < BT_SEQUENCE_COUNT && where.instruction != BT_NO_TENSOR) {
        BT_FAIL(BT_ERROR_PROGRAM, "Instruction %u of the sequence %s is not valid: %s.",
                where.instruction, sequence_names[where.sequence], text);
    }
    if (where.tensor != BT_NO_TENSOR) {
        BT_FAIL(BT_ERROR_PROGRAM, "Tensor %u of the program is not valid: %s.", where.tensor, text);
    }
    BT_FAIL(BT_ERROR_PROGRAM, "The program is not valid: %s.", text);
}

/* Instructions of a validated program. */
static uint32_t count_instructions(const uint8_t *bytes, const bt_program_header *header) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        const uint32_t *words = (const uint32_t *)(bytes + header->sequence_offset[s]);
        for (uint32_t at = 0; at < header->sequence_words[s]; count++) {
            at += 1 + (words[at] >> 8 & 0xFFu) + (words[at] >> 16);
        }
    }
    return count;
}

bt_status bt_program_from_bytes(const uint8_t *bytes, size_t size, bt_program **out) {
    /* As much as a program can address: whether it fits a device is known when it is loaded. */
    static const uint32_t arenas[BT_LEVEL_COUNT] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    BT_REQUIRE(bytes);
    BT_REQUIRE(out);
    bt_program *program = bt_program_new();
    bt_status status = BT_OK;
    if (program != NULL) {
        program->bytes = malloc(size + 1);
    }
    if (program == NULL || program->bytes == NULL) {
        status = bt_error_set(BT_ERROR_MEMORY,
                              "The host has no memory left for a program of %zu bytes.", size);
        goto fail;
    }
    memcpy(program->bytes, bytes, size);
    program->size = size;
    status = bt_program_check(program->bytes, size, arenas);
    if (status != BT_OK) {
        goto fail;
    }
    bt_program_header header;
    memcpy(&header, program->bytes, sizeof header);
    program->info = (bt_program_info){.struct_size = sizeof program->info,
                                      .bytes = (uint32_t)size,
                                      .instructions = count_instructions(program->bytes, &header),
                                      .l1_peak_bytes = header.arena_bytes[BT_LEVEL_L1],
                                      .l2_peak_bytes = header.arena_bytes[BT_LEVEL_L2],
                                      .l3_peak_bytes = header.arena_bytes[BT_LEVEL_L3],
                                      .micro_batch = header.micro_batch,
                                      .input_elements = header.input_elements,
                                      .output_elements = header.output_elements};
    *out = program;
    return BT_OK;
fail:
    bt_program_free(program);
    return status;
}

bt_program *bt_program_new(void) {
    bt_program *program = calloc(1, sizeof *program);
    if (program != NULL) {
        atomic_init(&program->users, 1);
    }
    return program;
}

const bt_program *bt_program_share(const bt_program *program) {
    atomic_fetch_add(&((bt_program *)program)->users, 1);
    return program;
}

void bt_program_free(bt_program *program) {
    if (program == NULL || atomic_fetch_sub(&program->users, 1) > 1) {
        return;
    }
    for (uint32_t i = 0; i < program->host_count; i++) {
        free(program->host[i].name);
        free(program->host[i].data);
    }
    free(program->host);
    bt_program_free(program->prefix);
    for (uint32_t i = 0; i < program->initial_count; i++) {
        free(program->initial[i].data);
    }
    free(program->initial);
    bt_recomputations_free(&program->recomputations);
    bt_plan_free(program->plan);
    free(program->bytes);
    free(program);
}

bt_status bt_program_bytes(const bt_program *program, const uint8_t **bytes, size_t *size) {
    BT_REQUIRE(program);
    BT_REQUIRE(bytes);
    BT_REQUIRE(size);
    *bytes = program->bytes;
    *size = program->size;
    return BT_OK;
}

bt_status bt_program_plan(const bt_program *program, const bt_plan **out) {
    BT_REQUIRE(program);
    BT_REQUIRE(out);
    if (program->plan == NULL) {
        BT_FAIL(BT_ERROR_STATE,
                "The program came as bytes, which tell nothing of its plan; compile "
                "it from its model.");
    }
    *out = program->plan;
    return BT_OK;
}

bt_status bt_program_info_get(const bt_program *program, bt_program_info *out) {
    BT_REQUIRE(program);
    BT_REQUIRE_SIZE(out);
    *out = program->info;
    return BT_OK;
}
