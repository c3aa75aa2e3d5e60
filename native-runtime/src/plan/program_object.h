/*
 * The program handle: bytes in the program's format, what is known about them, and, for a program
 * compiled here, the initial values of its parameters. The bytes hold no values, so that one
 * program serves many sets of weights.
 */
#ifndef BT_PROGRAM_OBJECT_H
#define BT_PROGRAM_OBJECT_H

#include "base/error.h"
#include "plan/recompute.h"
#include "program/program.h"

typedef struct bt_initial_value {
    uint32_t tensor; /* index in the program's tensor table */
    uint32_t elements;
    float *data;
} bt_initial_value;

struct bt_program {
    uint8_t *bytes; /* 4-byte aligned */
    size_t size;
    bt_program_info info;
    uint32_t initial_count; /* 0 for a program from bytes */
    bt_initial_value *initial;
    bt_recomputations recomputations; /* empty for a program from bytes */
    bt_plan *plan;                    /* NULL for a program from bytes */
};

/* Validates bytes for arenas of these sizes; the sentence says which instruction is wrong. */
bt_status bt_program_check(const uint8_t *bytes, size_t size,
                           const uint32_t arena_bytes[BT_LEVEL_COUNT]);

#endif
