#include "model/shape.h"

#include <stdio.h>
#include <string.h>

bt_shape_text bt_shape_print(const bt_shape *shape) {
    bt_shape_text out = {"("};
    size_t length = 1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        length += (size_t)snprintf(out.text + length, sizeof out.text - length,
                                   i + 1 < shape->rank ? "%u," : "%u", shape->dims[i]);
    }
    snprintf(out.text + length, sizeof out.text - length, ")");
    return out;
}

bt_status bt_shape_make(uint32_t rank, const int32_t *dims, bt_shape *out) {
    bt_shape shape = {.rank = rank};
    if (rank < 1 || rank > BT_MAX_RANK) {
        BT_FAIL(BT_ERROR_MODEL, "the rank is %u; a tensor has 1 to %d dimensions.", rank,
                BT_MAX_RANK);
    }
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < 1) {
            BT_FAIL(BT_ERROR_MODEL, "dimension %u is %d; every dimension is at least 1.", i,
                    dims[i]);
        }
        shape.dims[i] = (uint32_t)dims[i];
    }
    BT_TRY(bt_shape_check(&shape));
    *out = shape;
    return BT_OK;
}

bt_status bt_shape_check(const bt_shape *shape) {
    uint64_t elements = 1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        elements *= shape->dims[i];
        if (shape->dims[i] < 1 || elements > BT_MAX_ELEMENTS) {
            BT_FAIL(BT_ERROR_MODEL, "the shape %s is not possible: a tensor has 1 to %u elements.",
                    bt_shape_print(shape).text, BT_MAX_ELEMENTS);
        }
    }
    return BT_OK;
}

uint32_t bt_shape_product(const bt_shape *shape, uint32_t begin, uint32_t end) {
    uint32_t product = 1;
    for (uint32_t i = begin; i < end; i++) {
        product *= shape->dims[i];
    }
    return product;
}

uint32_t bt_shape_elements(const bt_shape *shape) {
    return bt_shape_product(shape, 0, shape->rank);
}

bool bt_shape_equal(const bt_shape *a, const bt_shape *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

bt_status bt_shape_axis(const bt_shape *shape, int32_t axis, uint32_t *out) {
    int32_t rank = (int32_t)shape->rank;
    if (axis < -rank || axis >= rank) {
        BT_FAIL(BT_ERROR_MODEL, "axis %d is outside %d to %d, the axes of %s.", axis, -rank,
                rank - 1, bt_shape_print(shape).text);
    }
    *out = (uint32_t)(axis < 0 ? axis + rank : axis);
    return BT_OK;
}
