/* Writes planned instructions as the bytes of a program. */
#ifndef BT_WRITER_H
#define BT_WRITER_H

#include "plan/memory_plan.h"
#include "train/autodiff.h"

/*
 * *bytes is allocated with malloc and belongs to the caller. table_index holds an entry per tensor
 * of the IR: its index in the program's tensor table, BT_NO_TENSOR if the program does not need it.
 */
bt_status bt_program_write(const bt_training *training, const bt_memory_plan *plan,
                           const bt_training_options *options, uint32_t *table_index,
                           uint8_t **bytes, uint32_t *size);

/* Entries of the tensor table and bytes of the whole program. */
bt_status bt_program_measure(const bt_ir *ir, const bt_memory_plan *plan, uint32_t *tensors,
                             uint32_t *bytes);

#endif
