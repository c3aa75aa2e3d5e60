/*
 * The thread-local error stack. BT_FAIL at the origin (what, which value, what is allowed, what to
 * do), BT_TRY on the way up; BT_CONTEXT adds a sentence where a level knows more. Host only.
 */
#ifndef BT_ERROR_H
#define BT_ERROR_H

#include "biotrain/biotrain.h"

/* Starts a new stack with one formatted sentence. Returns status. */
bt_status bt_error_set(bt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a sentence of context to the stack. Returns status. */
bt_status bt_error_append(bt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define BT_FAIL(status, ...) return bt_error_set((status), __VA_ARGS__)

#define BT_TRY(expression)                                                                         \
    do {                                                                                           \
        bt_status bt_try_status = (expression);                                                    \
        if (bt_try_status != BT_OK) {                                                              \
            return bt_try_status;                                                                  \
        }                                                                                          \
    } while (0)

#define BT_TRY_CONTEXT(expression, ...)                                                            \
    do {                                                                                           \
        bt_status bt_try_status = (expression);                                                    \
        if (bt_try_status != BT_OK) {                                                              \
            return bt_error_append(bt_try_status, __VA_ARGS__);                                    \
        }                                                                                          \
    } while (0)

/* Refuses NULL for the argument called name. */
#define BT_REQUIRE(argument)                                                                       \
    do {                                                                                           \
        if ((argument) == NULL) {                                                                  \
            return bt_error_set(BT_ERROR_ARGUMENT, "%s is NULL in %s; pass a valid pointer.",      \
                                #argument, __func__);                                              \
        }                                                                                          \
    } while (0)

/* Refuses an option struct whose struct_size is not the library's. */
#define BT_REQUIRE_SIZE(pointer)                                                                   \
    do {                                                                                           \
        BT_REQUIRE(pointer);                                                                       \
        if ((pointer)->struct_size != sizeof *(pointer)) {                                         \
            return bt_error_set(BT_ERROR_ARGUMENT,                                                 \
                                "%s->struct_size is %u in %s, but this library's struct has %zu "  \
                                "bytes; set struct_size, and use headers of the same version.",    \
                                #pointer, (unsigned)(pointer)->struct_size, __func__,              \
                                sizeof *(pointer));                                                \
        }                                                                                          \
    } while (0)

#endif
