#include "interp/interp.h"

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
            machine->kernels[call.opcode](&call, team);
            team->barrier(team->context); /* charges what was counted, also on a single core */
        } else {
            machine->kernels[call.opcode](&call, team);
            bt_team_barrier(team);
        }
    }
}
