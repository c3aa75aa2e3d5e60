/* The kernel table of one instruction set. */
#include "kernels/kernels.h"

const bt_kernel_fn BT_KERNEL(bt_kernels)[BT_OPCODE_COUNT] = {
#define BT_KERNEL_ENTRY(opcode, name) [BT_OPCODE_##opcode] = BT_KERNEL(name),
    BT_KERNEL_LIST(BT_KERNEL_ENTRY)
#undef BT_KERNEL_ENTRY
};
