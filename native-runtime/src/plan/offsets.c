/*
 * Offsets by greedy best fit: blocks are placed one after the other, each into the smallest hole
 * among the placed blocks that are alive with it. The result depends on the order, so several are
 * tried: largest first, largest area of bytes and time first, earliest first; then the blocks that
 * make the peak are moved to the front as long as there are rounds left. The best order wins.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/memory_plan.h"

#define BT_PLACEMENT_ROUNDS 64u

typedef struct placement {
    bt_memory_plan *plan;
    uint32_t count;   /* transient blocks */
    uint32_t *order;  /* in which they are placed */
    uint32_t *best;   /* order of the best placement so far */
    uint32_t *placed; /* blocks placed so far, by offset */
    uint64_t peak;
    uint64_t best_peak;
} placement;

bool bt_blocks_meet(const bt_block *a, const bt_block *b) {
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        if (a->lifetimes[s].first <= b->lifetimes[s].last &&
            b->lifetimes[s].first <= a->lifetimes[s].last) {
            return true;
        }
    }
    return false;
}

uint64_t bt_hole_find(const bt_memory_plan *plan, uint64_t base, const uint32_t *placed,
                      uint32_t placed_count, const bt_block *block) {
    uint64_t end = base; /* of what lies below and is alive with the block */
    uint64_t best = UINT64_MAX;
    uint64_t best_size = UINT64_MAX;
    for (uint32_t i = 0; i < placed_count; i++) {
        const bt_block *other = &plan->blocks[placed[i]];
        if (!bt_blocks_meet(block, other)) {
            continue;
        }
        if (other->offset >= end + block->bytes && other->offset - end < best_size) {
            best = end;
            best_size = other->offset - end;
        }
        if (other->offset + other->bytes > end) {
            end = other->offset + other->bytes;
        }
    }
    return best != UINT64_MAX ? best : end;
}

/* Places the blocks in the current order and remembers it if it is the best. */
static void place(placement *p) {
    bt_block *blocks = p->plan->blocks;
    p->peak = p->plan->persistent_bytes;
    for (uint32_t i = 0; i < p->count; i++) {
        bt_block *block = &blocks[p->order[i]];
        block->offset = bt_hole_find(p->plan, p->plan->persistent_bytes, p->placed, i, block);
        if (block->offset + block->bytes > p->peak) {
            p->peak = block->offset + block->bytes;
        }
        uint32_t at = i;
        while (at > 0 && blocks[p->placed[at - 1]].offset > block->offset) {
            p->placed[at] = p->placed[at - 1];
            at--;
        }
        p->placed[at] = p->order[i];
    }
    if (p->peak < p->best_peak) {
        p->best_peak = p->peak;
        memcpy(p->best, p->order, p->count * sizeof *p->order);
    }
}

/* Larger keys are placed first. */
typedef uint64_t (*order_key)(const bt_block *block);

static uint64_t duration(const bt_block *block) {
    uint64_t sum = 0;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        if (block->lifetimes[s].first <= block->lifetimes[s].last) {
            sum += block->lifetimes[s].last - block->lifetimes[s].first + 1;
        }
    }
    return sum;
}

static uint64_t by_size(const bt_block *block) { return block->bytes; }

static uint64_t by_area(const bt_block *block) { return block->bytes * duration(block); }

static uint64_t by_duration(const bt_block *block) { return duration(block); }

static uint64_t by_start(const bt_block *block) {
    uint32_t first = UINT32_MAX;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        first = block->lifetimes[s].first < first ? block->lifetimes[s].first : first;
    }
    return UINT32_MAX - first;
}

/* Insertion sort: stable, so equal keys keep the order of the program. */
static void sort(placement *p, order_key key) {
    for (uint32_t i = 1; i < p->count; i++) {
        uint32_t moved = p->order[i];
        uint64_t moved_key = key(&p->plan->blocks[moved]);
        uint32_t at = i;
        while (at > 0 && key(&p->plan->blocks[p->order[at - 1]]) < moved_key) {
            p->order[at] = p->order[at - 1];
            at--;
        }
        p->order[at] = moved;
    }
}

/* Moves the block that ends highest to the front of the order. */
static void promote_highest(placement *p) {
    uint32_t highest = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const bt_block *block = &p->plan->blocks[p->order[i]];
        if (block->offset + block->bytes == p->peak) {
            highest = i;
        }
    }
    uint32_t moved = p->order[highest];
    memmove(p->order + 1, p->order, highest * sizeof *p->order);
    p->order[0] = moved;
}

static void search(placement *p) {
    static const order_key keys[] = {by_size, by_area, by_duration, by_start};
    for (uint32_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        sort(p, keys[i]);
        place(p);
    }
    memcpy(p->order, p->best, p->count * sizeof *p->order);
    place(p);
    for (uint32_t i = 0; i < BT_PLACEMENT_ROUNDS &&
                         p->best_peak > p->plan->lower_bound_bytes[BT_LEVEL_L2] && p->count > 0;
         i++) {
        promote_highest(p);
        place(p);
    }
    memcpy(p->order, p->best, p->count * sizeof *p->order);
    place(p);
}

/* Bytes of a level's transient blocks alive at the worst time of a sequence. */
static bt_status alive_most_in(const bt_memory_plan *plan, uint32_t level, uint32_t sequence,
                               uint64_t *bytes, uint32_t *time) {
    uint32_t end = 0;
    for (uint32_t b = 0; b < plan->block_count; b++) {
        const bt_lifetime *lifetime = &plan->blocks[b].lifetimes[sequence];
        end = lifetime->last > end ? lifetime->last : end;
    }
    int64_t *change = calloc((size_t)end + 2, sizeof *change);
    if (change == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    }
    for (uint32_t b = 0; b < plan->block_count; b++) {
        const bt_block *block = &plan->blocks[b];
        const bt_lifetime *lifetime = &block->lifetimes[sequence];
        if (!block->persistent && block->level == level && lifetime->first <= lifetime->last) {
            change[lifetime->first] += block->bytes;
            change[lifetime->last + 1] -= block->bytes;
        }
    }
    uint64_t alive = 0;
    *bytes = 0;
    *time = 0;
    for (uint32_t t = 0; t <= end; t++) {
        alive += (uint64_t)change[t];
        if (alive > *bytes) {
            *bytes = alive;
            *time = t;
        }
    }
    free(change);
    return BT_OK;
}

bt_status bt_alive_most(const bt_memory_plan *plan, uint32_t level, uint64_t *bytes,
                        uint32_t *sequence, uint32_t *time) {
    uint64_t base = 0;
    for (uint32_t b = 0; b < plan->block_count; b++) {
        base += plan->blocks[b].persistent && plan->blocks[b].level == level ? plan->blocks[b].bytes
                                                                             : 0;
    }
    *bytes = base;
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        uint64_t most = 0;
        uint32_t at = 0;
        BT_TRY(alive_most_in(plan, level, s, &most, &at));
        if (base + most > *bytes) {
            *bytes = base + most;
            if (sequence != NULL) {
                *sequence = s;
                *time = at;
            }
        }
    }
    return BT_OK;
}

/* Ends of the levels' blocks, and bounds. */
static bt_status measure(bt_memory_plan *plan) {
    for (uint32_t b = 0; b < plan->block_count; b++) {
        const bt_block *block = &plan->blocks[b];
        uint64_t *peak = &plan->peak_bytes[block->level];
        *peak = block->offset + block->bytes > *peak ? block->offset + block->bytes : *peak;
    }
    for (uint32_t level = BT_LEVEL_L1; level <= BT_LEVEL_L2; level++) {
        BT_TRY(bt_alive_most(plan, level, &plan->lower_bound_bytes[level], NULL, NULL));
    }
    return BT_OK;
}

bt_status bt_offsets_assign(bt_memory_plan *plan) {
    placement p = {.plan = plan, .best_peak = UINT64_MAX};
    size_t bytes = (plan->block_count + 1) * sizeof(uint32_t);
    p.order = malloc(bytes);
    p.best = malloc(bytes);
    p.placed = malloc(bytes);
    bt_status status = BT_OK;
    if (p.order == NULL || p.best == NULL || p.placed == NULL) {
        status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
        goto done;
    }
    for (uint32_t b = 0; b < plan->block_count; b++) {
        if (plan->blocks[b].persistent) {
            plan->blocks[b].offset = plan->persistent_bytes;
            plan->persistent_bytes += plan->blocks[b].bytes;
        } else if (plan->blocks[b].level == BT_LEVEL_L2) {
            p.order[p.count++] = b;
        }
    }
    status = bt_alive_most(plan, BT_LEVEL_L2, &plan->lower_bound_bytes[BT_LEVEL_L2], NULL, NULL);
    if (status == BT_OK) {
        search(&p);
        status = measure(plan);
    }
done:
    free(p.order);
    free(p.best);
    free(p.placed);
    return status;
}

bt_status bt_memory_plan_make(const bt_ir *ir, uint64_t l1_bytes, bt_memory_plan *out) {
    bt_memory_plan plan = {0};
    bt_status status = bt_lifetimes_find(ir, &plan);
    if (status == BT_OK) {
        status = bt_levels_assign(&plan, l1_bytes);
    }
    if (status == BT_OK) {
        status = bt_offsets_assign(&plan);
    }
    if (status != BT_OK) {
        bt_memory_plan_free(&plan);
        return status;
    }
    *out = plan;
    return BT_OK;
}

void bt_memory_plan_free(bt_memory_plan *plan) {
    free(plan->blocks);
    free(plan->block_of);
    *plan = (bt_memory_plan){0};
}
