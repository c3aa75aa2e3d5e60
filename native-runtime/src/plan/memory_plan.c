#include "plan/memory_plan.h"

#include <stdlib.h>
#include <string.h>

#include "plan/stage.h"

/* Budgets of bt_pack: while plans are compared, and for the one that is taken. */
#define BT_DRAFT_NODES 1000u
#define BT_FINAL_NODES 100000u

/* How L1 is shared out: bytes that homes leave for tiles, and those that both leave for the gaps of
 * packing. */
typedef struct bt_share {
    uint64_t tiles, gaps;
} bt_share;

void bt_memory_plan_free(bt_memory_plan *plan) {
    free(plan->blocks);
    free(plan->block_of);
    *plan = (bt_memory_plan){0};
}

/* Writes the plan's decisions into the IR: the level of every storage, and one storage for all that
 * follow each other in place. */
static bt_status settle(bt_ir *ir, const bt_memory_plan *plan) {
    uint32_t *first = malloc((plan->block_count + 1) * sizeof *first);
    if (first == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    }
    memset(first, 0xFF, plan->block_count * sizeof *first);
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        uint32_t block = plan->block_of[i];
        if (block != BT_NO_TENSOR && ir->tensors[i].storage == i) {
            first[block] = first[block] == BT_NO_TENSOR ? i : first[block];
            ir->tensors[i].level = plan->blocks[block].level;
        }
    }
    for (uint32_t i = 0; i < ir->tensor_count; i++) {
        if (plan->block_of[i] != BT_NO_TENSOR) {
            ir->tensors[i].storage = first[plan->block_of[i]];
        }
    }
    free(first);
    return BT_OK;
}

static uint32_t operands_of(const bt_ir *ir) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        for (uint32_t i = 0; i < ir->sequences[s].count; i++) {
            count += ir->sequences[s].instructions[i].operand_count;
        }
    }
    return count;
}

/* Homes, the instructions that follow from them, and when everything lives; no offsets yet. Without
 * a share nothing is in L1, and kernels reach L2. */
static bt_status draft(const bt_ir *ir, const bt_capacity *capacity, const bt_share *share,
                       bt_ir *staged, bt_memory_plan *out) {
    bt_memory_plan homes = {0};
    bt_capacity for_homes = *capacity;
    bt_staging staging = {0};
    uint64_t l1_bytes = capacity->bytes[BT_LEVEL_L1];
    for_homes.bytes[BT_LEVEL_L1] = share != NULL ? l1_bytes - share->tiles : 0;
    for_homes.bytes[BT_LEVEL_L3] = share != NULL ? capacity->bytes[BT_LEVEL_L3] : 0;
    *out = (bt_memory_plan){0};
    BT_TRY(bt_ir_copy(ir, staged));
    bt_status status = bt_lifetimes_find(staged, &homes);
    if (status == BT_OK) {
        status = bt_levels_assign(&homes, &for_homes);
    }
    if (status == BT_OK) {
        status = settle(staged, &homes);
    }
    if (status == BT_OK && share != NULL) {
        status = bt_stage(staged, &homes, l1_bytes - share->gaps, &staging);
    }
    bt_memory_plan_free(&homes);
    if (status == BT_OK) {
        status = bt_lifetimes_find(staged, out);
    }
    for (uint32_t level = 0; level < BT_LEVEL_COUNT && status == BT_OK; level++) {
        status = bt_alive_most(out, level, &out->lower_bound_bytes[level], NULL, NULL);
        out->peak_bytes[level] = out->lower_bound_bytes[level];
    }
    if (share == NULL && l1_bytes > 0) {
        staging.direct = operands_of(staged);
    }
    out->staging = staging;
    if (status != BT_OK) {
        bt_memory_plan_free(out);
        bt_ir_free(staged);
    }
    return status;
}

/* ---- comparing */

static uint64_t instruction_bytes(const bt_ir *ir) {
    uint64_t words = 0;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        for (uint32_t i = 0; i < ir->sequences[s].count; i++) {
            const bt_instruction *instruction = &ir->sequences[s].instructions[i];
            words += 1 + instruction->operand_count + instruction->attribute_count;
        }
    }
    return words * sizeof(uint32_t);
}

static uint64_t excess(const bt_memory_plan *plan, const bt_capacity *capacity, uint32_t level) {
    uint64_t peak = plan->peak_bytes[level], most = capacity->bytes[level];
    return peak > most ? peak - most : 0;
}

bt_merit bt_memory_plan_merit(const bt_ir *ir, const bt_memory_plan *plan,
                              const bt_capacity *capacity) {
    return (bt_merit){{excess(plan, capacity, BT_LEVEL_L1) + excess(plan, capacity, BT_LEVEL_L3),
                       excess(plan, capacity, BT_LEVEL_L2), plan->staging.direct,
                       plan->peak_bytes[BT_LEVEL_L2] + instruction_bytes(ir),
                       plan->staging.bytes_moved}};
}

bool bt_merit_is_better(const bt_merit *a, const bt_merit *b) {
    uint32_t i = 0;
    while (i + 1 < BT_MERIT_VALUES && a->values[i] == b->values[i]) {
        i++;
    }
    return a->values[i] < b->values[i];
}

/* ---- searching */

typedef struct search {
    const bt_ir *ir;
    const bt_capacity *capacity;
    bool found;
    bt_share share;
    bt_merit merit;
} search;

/* Drafts a plan and remembers it if it is the best; whether it exceeded L1 by its gaps alone. */
static bt_status try_share(search *s, const bt_share *share, bool *gaps_are_missing) {
    bt_ir staged;
    bt_memory_plan plan;
    *gaps_are_missing = false;
    bt_status status = draft(s->ir, s->capacity, share, &staged, &plan);
    if (status == BT_ERROR_CAPACITY) {
        return BT_OK; /* too little room for tiles */
    }
    BT_TRY(status);
    /* Offsets can only be higher than the bounds that the draft stands for. */
    bt_merit merit = bt_memory_plan_merit(&staged, &plan, s->capacity);
    if (!s->found || bt_merit_is_better(&merit, &s->merit)) {
        status = bt_offsets_assign(&plan, s->capacity, BT_DRAFT_NODES);
        merit = bt_memory_plan_merit(&staged, &plan, s->capacity);
        *gaps_are_missing = excess(&plan, s->capacity, BT_LEVEL_L1) > 0;
        if (status == BT_OK && merit.values[0] == 0 &&
            (!s->found || bt_merit_is_better(&merit, &s->merit))) {
            s->found = true;
            s->merit = merit;
            s->share = *share;
        }
    }
    bt_memory_plan_free(&plan);
    bt_ir_free(&staged);
    return status;
}

/* Sixteenths of L1 for tiles, of which the first are tried for an estimate, and parts of it that
 * gaps may take. */
#define BT_ESTIMATE_SHARES 2u
static const uint32_t tile_shares[] = {7, 3, 5, 9, 12, 2, 16, 1};
static const uint32_t gap_parts[] = {32, 8, 4};

static bt_share share_of(const bt_capacity *capacity, uint32_t sixteenths, uint32_t gap_part) {
    uint64_t l1_bytes = capacity->bytes[BT_LEVEL_L1];
    return (bt_share){.tiles = l1_bytes * sixteenths / 16, .gaps = l1_bytes / gap_part};
}

static bt_status search_shares(search *s) {
    bool has_l1 = s->capacity->bytes[BT_LEVEL_L1] > 0;
    for (uint32_t i = 0; i < sizeof tile_shares / sizeof tile_shares[0] && has_l1; i++) {
        bool gaps_are_missing = true;
        for (uint32_t k = 0; k < sizeof gap_parts / sizeof gap_parts[0] && gaps_are_missing; k++) {
            bt_share share = share_of(s->capacity, tile_shares[i], gap_parts[k]);
            BT_TRY(try_share(s, &share, &gaps_are_missing));
        }
    }
    return BT_OK;
}

bt_status bt_memory_plan_estimate(const bt_ir *ir, const bt_capacity *capacity, bt_merit *out) {
    bool has_l1 = capacity->bytes[BT_LEVEL_L1] > 0;
    memset(out, 0xFF, sizeof *out);
    for (uint32_t i = 0; i < (has_l1 ? BT_ESTIMATE_SHARES : 1); i++) {
        bt_share share = share_of(capacity, tile_shares[i], gap_parts[0]);
        bt_ir staged;
        bt_memory_plan plan;
        bt_status status = draft(ir, capacity, has_l1 ? &share : NULL, &staged, &plan);
        if (status == BT_ERROR_CAPACITY) {
            continue;
        }
        BT_TRY(status);
        bt_merit merit = bt_memory_plan_merit(&staged, &plan, capacity);
        *out = bt_merit_is_better(&merit, out) ? merit : *out;
        bt_memory_plan_free(&plan);
        bt_ir_free(&staged);
    }
    return BT_OK;
}

bt_status bt_memory_plan_make(bt_ir *ir, const bt_capacity *capacity, bt_memory_plan *out) {
    search s = {.ir = ir, .capacity = capacity};
    bt_ir staged;
    BT_TRY(search_shares(&s));
    BT_TRY(draft(ir, capacity, s.found ? &s.share : NULL, &staged, out));
    bt_status status = bt_offsets_assign(out, capacity, BT_FINAL_NODES);
    if (status != BT_OK) {
        bt_memory_plan_free(out);
        bt_ir_free(&staged);
        return status;
    }
    bt_ir_free(ir);
    *ir = staged;
    return BT_OK;
}
