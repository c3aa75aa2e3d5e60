/*
 * Shapes: rank and dimensions of a dense tensor. Every dimension is at least 1 and the number of
 * elements at most BT_MAX_ELEMENTS, so element counts and byte sizes fit 32 bits.
 */
#ifndef BT_SHAPE_H
#define BT_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define BT_MAX_ELEMENTS (1u << 28)

typedef struct bt_shape {
    uint32_t rank; /* 1 … BT_MAX_RANK */
    uint32_t dims[BT_MAX_RANK];
} bt_shape;

/* A shape as text, for sentences. */
typedef struct bt_shape_text {
    char text[64];
} bt_shape_text;

/* "(1,8,1,1900)". */
bt_shape_text bt_shape_print(const bt_shape *shape);

/* Checks rank, dimensions and the number of elements. */
bt_status bt_shape_make(uint32_t rank, const int32_t *dims, bt_shape *out);
bt_status bt_shape_check(const bt_shape *shape);

/* Product of the dimensions begin … end-1; 1 if there are none. */
uint32_t bt_shape_product(const bt_shape *shape, uint32_t begin, uint32_t end);
uint32_t bt_shape_elements(const bt_shape *shape);
bool bt_shape_equal(const bt_shape *a, const bt_shape *b);

/* 0 … rank-1 of an axis that may count from the end. */
bt_status bt_shape_axis(const bt_shape *shape, int32_t axis, uint32_t *out);

#endif
