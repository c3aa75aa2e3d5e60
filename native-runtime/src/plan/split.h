/*
 * Pieces of an instruction: which part of every operand a piece touches, so that each fits L1. An
 * instruction is cut along its units (samples, groups or channels, rows of a matrix, elements,
 * whatever its outputs are independent along) and along time: a piece of a convolution's columns
 * reads its inputs with the halo that its taps reach. What is summed over columns is cut at
 * multiples of BT_REDUCTION_BLOCK only. No cut changes the order of any sum.
 */
#ifndef BT_SPLIT_H
#define BT_SPLIT_H

#include "train/ir.h"

/* Rows of row_length elements, stride elements apart, from element offset of the operand on. */
typedef struct bt_window {
    bt_shape shape; /* of the piece's operand: rows x row_length elements */
    uint32_t rows, row_length, stride, offset;
} bt_window;

typedef struct bt_piece {
    bt_instruction instruction; /* operands of the whole, attributes of the piece */
    bt_window windows[BT_MAX_OPERANDS];
} bt_piece;

/* Into how many pieces an instruction can be cut at most; 1 x 1 if it can't. */
typedef struct bt_split {
    uint32_t units, columns;
    bool one_unit; /* of a limit: columns are cut only in pieces of one unit */
} bt_split;

bt_split bt_split_limit(const bt_ir *ir, const bt_instruction *instruction);

/* Piece (unit, column) of counts.units x counts.columns, both within the limit. */
void bt_split_piece(const bt_ir *ir, const bt_instruction *instruction, bt_split counts,
                    uint32_t unit, uint32_t column, bt_piece *out);

/* The window of all elements. */
bt_window bt_window_whole(const bt_shape *shape);

/* Its elements follow each other without a gap. */
bool bt_window_is_dense(const bt_window *window);

#endif
