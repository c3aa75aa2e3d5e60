#include "train/fused_update.h"

#include <stdlib.h>
#include <string.h>

/* First and last instruction of TRAIN that touches a storage; BT_NO_TENSOR if none does. */
typedef struct touched {
    uint32_t first, last;
} touched;

static void find_touches(const bt_ir *ir, touched *storages) {
    const bt_sequence *train = &ir->sequences[BT_SEQUENCE_TRAIN];
    memset(storages, 0xFF, ir->tensor_count * sizeof *storages);
    for (uint32_t i = 0; i < train->count; i++) {
        for (uint32_t k = 0; k < train->instructions[i].operand_count; k++) {
            uint32_t tensor = train->instructions[i].operands[k];
            if (tensor != BT_NO_TENSOR) {
                touched *t = &storages[ir->tensors[tensor].storage];
                t->first = t->first == BT_NO_TENSOR ? i : t->first;
                t->last = i;
            }
        }
    }
}

/* Where one update goes: operands 0 and 1 are the parameter and its gradient. */
static touched place_of(const bt_ir *ir, const touched *storages, const bt_instruction *update) {
    const touched *parameter = &storages[ir->tensors[update->operands[0]].storage];
    const touched *gradient = &storages[ir->tensors[update->operands[1]].storage];
    uint32_t end = ir->sequences[BT_SEQUENCE_TRAIN].count - 1;
    touched place = {.last = parameter->last == BT_NO_TENSOR ? end : parameter->last};
    if (gradient->last == BT_NO_TENSOR) {
        place.first = place.last; /* it stays zero */
    } else {
        place.first = gradient->first;
        place.last = gradient->last > place.last ? gradient->last : place.last;
    }
    return place;
}

static void emit_copy(bt_ir *ir, const bt_instruction *instruction) {
    bt_ir_emit(ir, BT_SEQUENCE_TRAIN, instruction->opcode, instruction->operand_count,
               instruction->operands, instruction->attribute_count, instruction->attributes);
}

static void emit_train(bt_ir *ir, const bt_sequence *train, const bt_sequence *updates,
                       const touched *places) {
    for (uint32_t i = 0; i < train->count; i++) {
        ir->node = train->instructions[i].node;
        for (uint32_t u = 0; u < updates->count; u++) {
            if (places[u].first == i) {
                bt_ir_emit(ir, BT_SEQUENCE_TRAIN, BT_OPCODE_ZERO,
                           BT_OPERANDS(updates->instructions[u].operands[1]), BT_NO_ATTRIBUTES);
            }
        }
        emit_copy(ir, &train->instructions[i]);
        for (uint32_t u = 0; u < updates->count; u++) {
            if (places[u].last == i) {
                emit_copy(ir, &updates->instructions[u]);
            }
        }
    }
    ir->node = BT_NO_NODE;
}

static void forget_gradient(bt_ir_tensor *gradient) {
    gradient->residence = BT_RESIDENCE_TRANSIENT;
    gradient->is_gradient = true;
    free(gradient->name);
    gradient->name = NULL;
}

bt_status bt_fuse_updates(bt_ir *ir) {
    bt_sequence train = ir->sequences[BT_SEQUENCE_TRAIN];
    bt_sequence updates = ir->sequences[BT_SEQUENCE_UPDATE];
    touched *storages = malloc((ir->tensor_count + 1) * sizeof *storages);
    touched *places = malloc((updates.count + 1) * sizeof *places);
    if (storages == NULL || places == NULL) {
        free(storages);
        free(places);
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to compile a program.");
    }
    find_touches(ir, storages);
    for (uint32_t u = 0; u < updates.count; u++) {
        places[u] = place_of(ir, storages, &updates.instructions[u]);
        forget_gradient(&ir->tensors[updates.instructions[u].operands[1]]);
    }
    ir->sequences[BT_SEQUENCE_TRAIN] = (bt_sequence){0};
    ir->sequences[BT_SEQUENCE_UPDATE] = (bt_sequence){0};
    ir->sequences[BT_SEQUENCE_BEGIN].count = 0;
    emit_train(ir, &train, &updates, places);
    free(train.instructions);
    free(updates.instructions);
    free(storages);
    free(places);
    return ir->status;
}
