#include "interp/interp.h"

static void start_transfer(const bt_machine *machine, const bt_call *call) {
    uint32_t near = call->tensor[0]->level == BT_LEVEL_L1 ? 0 : 1;
    const bt_tensor *far = call->tensor[1 - near];
    uint32_t size = bt_dtype_bytes(far->dtype);
    bt_dma transfer;
    transfer.l1 = call->data[near];
    transfer.level = far->level;
    transfer.offset = far->offset + (uint32_t)call->attribute[0] * size;
    if (call->attribute_count == 1) {
        transfer.rows = 1;
        transfer.row_bytes = bt_tensor_elements(call->tensor[near]) * size;
        transfer.stride = transfer.row_bytes;
    } else {
        transfer.rows = (uint32_t)call->attribute[1];
        transfer.row_bytes = (uint32_t)call->attribute[2] * size;
        transfer.stride = (uint32_t)call->attribute[3] * size;
    }
    transfer.to_l1 = near;
    machine->dma_start(machine->context, &transfer);
}

/* One instruction on one core; the barrier that ends it lies behind. */
static void execute(const bt_machine *machine, const bt_call *call, const bt_team *team) {
    if (call->opcode == BT_OPCODE_TRANSFER) {
        if (team->core == 0) {
            start_transfer(machine, call);
        }
    } else if (call->opcode == BT_OPCODE_WAIT) {
        if (team->core == 0) {
            machine->dma_wait(machine->context);
        }
    } else {
        machine->kernels[call->opcode](call, team);
    }
}

void bt_interp_run(const bt_machine *machine, uint32_t sequence, const bt_step_scalars *scalars,
                   const bt_team *team) {
    const bt_program_header *program = machine->program;
    const uint8_t *base = (const uint8_t *)program;
    const bt_tensor *tensors = (const bt_tensor *)(const void *)(base + program->tensor_offset);
    const uint32_t *words =
        (const uint32_t *)(const void *)(base + program->sequence_offset[sequence]);
    const uint32_t *end = words + program->sequence_words[sequence];
    bt_call call;
    while (words < end) {
        words += bt_call_decode(words, (uint32_t)(end - words), tensors, program->tensor_count,
                                machine->arena, &call);
        call.scalars = scalars;
        if (machine->profile != NULL) {
            machine->profile->opcode = call.opcode;
            execute(machine, &call, team);
            team->barrier(team->context); /* charges what was counted, also on a single core */
        } else {
            execute(machine, &call, team);
            /* A transfer is started by the core that waits for it: nothing to agree on. */
            if (call.opcode != BT_OPCODE_TRANSFER) {
                bt_team_barrier(team);
            }
        }
    }
}
