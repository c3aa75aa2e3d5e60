/*
 * Homes: a block lives in L1, L2 or L3 for its whole life. What weighs on the peak of L2 goes to L1
 * first: as long as something that is alive at the peak finds room in L1, it moves there. Which of
 * them moves first is tried in several orders. Room that is left in L1 then goes to what is used
 * most often per byte. If L2 is still too small, what is alive at its peak goes to L3, largest
 * first.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/memory_plan.h"

typedef struct homes {
    bt_memory_plan *plan;
    const bt_capacity *capacity;
    uint32_t *placed; /* blocks in L1, by offset */
    uint32_t placed_count;
    bool *refused; /* per block: does not fit L1 any more */
} homes;

/* Larger keys move first. */
typedef double (*home_key)(const bt_block *block);

static double duration(const bt_block *block) {
    double sum = 0.0;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        if (block->lifetimes[s].first <= block->lifetimes[s].last) {
            sum += block->lifetimes[s].last - block->lifetimes[s].first + 1;
        }
    }
    return block->persistent ? 1e9 : sum;
}

static double by_size(const bt_block *block) { return block->bytes; }

static double by_brevity(const bt_block *block) { return 1.0 / duration(block); }

static double by_size_and_brevity(const bt_block *block) { return block->bytes / duration(block); }

static double by_uses(const bt_block *block) {
    return (double)block->uses / (double)(block->bytes + 1u);
}

static bool lives_at(const bt_block *block, uint32_t sequence, uint32_t time) {
    return block->persistent ||
           (block->lifetimes[sequence].first <= time && time <= block->lifetimes[sequence].last);
}

/* Moves a block to L1 if there is a hole for it. */
static void try_home(homes *h, uint32_t b) {
    bt_block *block = &h->plan->blocks[b];
    uint64_t offset = bt_hole_find(h->plan, h->placed, h->placed_count, block);
    h->refused[b] = offset + block->bytes > h->capacity->bytes[BT_LEVEL_L1];
    if (h->refused[b]) {
        return;
    }
    block->level = BT_LEVEL_L1;
    block->offset = offset;
    uint32_t at = h->placed_count++;
    while (at > 0 && h->plan->blocks[h->placed[at - 1]].offset > offset) {
        h->placed[at] = h->placed[at - 1];
        at--;
    }
    h->placed[at] = b;
}

/* The block in L2 with the largest key, alive at this time or, without a
 * sequence, at any. */
static uint32_t choose(const homes *h, home_key key, uint32_t sequence, uint32_t time) {
    uint32_t best = BT_NO_TENSOR;
    for (uint32_t b = 0; b < h->plan->block_count; b++) {
        const bt_block *block = &h->plan->blocks[b];
        if (block->level == BT_LEVEL_L2 && !h->refused[b] &&
            (sequence == BT_SEQUENCE_COUNT || lives_at(block, sequence, time)) &&
            (best == BT_NO_TENSOR || key(block) > key(&h->plan->blocks[best]))) {
            best = b;
        }
    }
    return best;
}

static void clear(homes *h) {
    for (uint32_t b = 0; b < h->plan->block_count; b++) {
        h->plan->blocks[b].level = BT_LEVEL_L2;
        h->refused[b] = false;
    }
    h->placed_count = 0;
}

/* Lowers the peak of L2 as far as this order can; *peak is what is left. */
static bt_status lower_peak(homes *h, home_key key, uint64_t *peak) {
    uint32_t chosen = 0;
    clear(h);
    while (chosen != BT_NO_TENSOR) {
        uint32_t sequence = BT_SEQUENCE_TRAIN, time = 0;
        BT_TRY(bt_alive_most(h->plan, BT_LEVEL_L2, peak, &sequence, &time));
        do {
            chosen = choose(h, key, sequence, time);
            if (chosen != BT_NO_TENSOR) {
                try_home(h, chosen);
            }
        } while (chosen != BT_NO_TENSOR && h->refused[chosen]);
    }
    return BT_OK;
}

static bt_status assign(homes *h) {
    static const home_key keys[] = {by_size, by_size_and_brevity, by_brevity};
    home_key best = keys[0];
    uint64_t best_peak = UINT64_MAX;
    uint64_t peak;
    for (uint32_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        BT_TRY(lower_peak(h, keys[i], &peak));
        if (peak < best_peak) {
            best_peak = peak;
            best = keys[i];
        }
    }
    BT_TRY(lower_peak(h, best, &peak));
    uint32_t chosen;
    while ((chosen = choose(h, by_uses, BT_SEQUENCE_COUNT, 0)) != BT_NO_TENSOR) {
        try_home(h, chosen);
    }
    return BT_OK;
}

/* The largest block in L2 that is alive at a time and may live in L3. */
static uint32_t choose_for_l3(const bt_memory_plan *plan, uint32_t sequence, uint32_t time) {
    uint32_t best = BT_NO_TENSOR;
    for (uint32_t b = 0; b < plan->block_count; b++) {
        const bt_block *block = &plan->blocks[b];
        if (block->level == BT_LEVEL_L2 && !block->persistent && !block->not_in_l3 &&
            lives_at(block, sequence, time) &&
            (best == BT_NO_TENSOR || block->bytes > plan->blocks[best].bytes)) {
            best = b;
        }
    }
    return best;
}

static bt_status spill(bt_memory_plan *plan, const bt_capacity *capacity) {
    uint64_t peak, spilled = 0;
    uint32_t chosen = 0;
    while (chosen != BT_NO_TENSOR) {
        uint32_t sequence = BT_SEQUENCE_TRAIN, time = 0;
        BT_TRY(bt_alive_most(plan, BT_LEVEL_L2, &peak, &sequence, &time));
        if (peak <= capacity->bytes[BT_LEVEL_L2]) {
            return BT_OK;
        }
        chosen = choose_for_l3(plan, sequence, time);
        if (chosen != BT_NO_TENSOR) {
            spilled += plan->blocks[chosen].bytes;
            if (spilled > capacity->bytes[BT_LEVEL_L3]) {
                return BT_OK;
            }
            plan->blocks[chosen].level = BT_LEVEL_L3;
        }
    }
    return BT_OK;
}

bt_status bt_levels_assign(bt_memory_plan *plan, const bt_capacity *capacity) {
    homes h = {.plan = plan, .capacity = capacity};
    h.placed = malloc((plan->block_count + 1) * sizeof *h.placed);
    h.refused = malloc((plan->block_count + 1) * sizeof *h.refused);
    bt_status status =
        h.placed != NULL && h.refused != NULL
            ? assign(&h)
            : bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    free(h.placed);
    free(h.refused);
    return status == BT_OK ? spill(plan, capacity) : status;
}
