/*
 * The program handle: bytes in the program's format, what is known about them, and, for a program
 * compiled here, the initial values of its parameters. The bytes hold no values, so that one
 * program serves many sets of weights.
 */
#ifndef BT_PROGRAM_OBJECT_H
#define BT_PROGRAM_OBJECT_H

#include <stdatomic.h>

#include "base/error.h"
#include "plan/recompute.h"
#include "program/program.h"

typedef struct bt_initial_value {
    uint32_t tensor; /* index in the program's tensor table */
    uint32_t elements;
    float *data;
} bt_initial_value;

/* A parameter that a pass compiled into the program: the network has it, the device does not. */
typedef struct bt_host_parameter {
    char *name;
    bt_shape shape;
    float *data;
} bt_host_parameter;

struct bt_program {
    _Atomic uint32_t users; /* the creator and sessions */
    uint8_t *bytes;         /* 4-byte aligned */
    size_t size;
    bt_program_info info;
    uint32_t initial_count; /* 0 for a program from bytes */
    bt_initial_value *initial;
    bt_recomputations recomputations; /* empty for a program from bytes */
    uint32_t host_count;
    bt_host_parameter *host;
    struct bt_program *prefix; /* computes the features that this one trains on, or NULL */
    bt_plan *plan;             /* NULL for a program from bytes */
};

/* A program without content for one user; NULL if there is no memory. */
bt_program *bt_program_new(void);
/* One more user, who calls bt_program_free too. */
const bt_program *bt_program_share(const bt_program *program);

/* Validates bytes for arenas of these sizes; the sentence says which instruction is wrong. */
bt_status bt_program_check(const uint8_t *bytes, size_t size,
                           const uint32_t arena_bytes[BT_LEVEL_COUNT]);

#endif
