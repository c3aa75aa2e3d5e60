/*
 * The report of a plan: what bt_plan_… of the public header tells. It is made once from the final
 * instructions and the memory plan, and then depends on neither.
 */
#ifndef BT_REPORT_H
#define BT_REPORT_H

#include "plan/decision.h"
#include "plan/memory_plan.h"
#include "train/autodiff.h"

#define BT_ADVICE_BYTES 512u

struct bt_plan {
    bt_plan_info info;
    bt_plan_tensor *tensors;
    bt_plan_instruction *instructions[BT_SEQUENCE_COUNT];
    bt_decisions decisions;
    char **texts; /* that the entries point to */
    uint32_t text_count;
    char advice[BT_ADVICE_BYTES];
};

/* What a report is made from. */
typedef struct bt_report_source {
    const bt_model *model;
    const bt_training *training;
    const bt_memory_plan *memory;
    const bt_target *target;
    uint32_t micro_batch;
    uint64_t training_macs; /* per sample, without what is computed again */
} bt_report_source;

/* First and last time that a value is touched, per sequence; see memory_plan.h for time. */
typedef bt_lifetime bt_touches[BT_SEQUENCE_COUNT];

/* touches holds an entry per tensor of the IR; those that are no value stay unused. */
void bt_touches_find(const bt_ir *ir, bt_touches *touches);

/* Multiply-adds of a sequence. */
uint64_t bt_sequence_macs(const bt_ir *ir, uint32_t sequence);

/* The decisions move into the plan. On failure nothing is to be freed. */
bt_status bt_report_make(const bt_report_source *source, bt_decisions *decisions, bt_plan **out);

#endif
