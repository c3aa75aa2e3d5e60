/* Offsets of every level's blocks by bt_pack, peaks and lower bounds. */
#include <stdlib.h>
#include <string.h>

#include "plan/memory_plan.h"
#include "plan/pack.h"

bool bt_blocks_meet(const bt_block *a, const bt_block *b) {
    if (a->persistent || b->persistent) {
        return true;
    }
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        if (a->lifetimes[s].first <= b->lifetimes[s].last &&
            b->lifetimes[s].first <= a->lifetimes[s].last) {
            return true;
        }
    }
    return false;
}

uint64_t bt_hole_find(const bt_memory_plan *plan, const uint32_t *placed, uint32_t placed_count,
                      const bt_block *block) {
    uint64_t end = 0; /* of what lies below and is alive with the block */
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

/* Buffers of one level for bt_pack; the sequences' times follow each other on one axis. */
typedef struct packing {
    uint32_t *blocks; /* per buffer */
    bt_pack_buffer *buffers;
    bt_pack_interval *intervals; /* BT_SEQUENCE_COUNT per buffer */
    uint64_t *offsets;
    uint32_t count;
} packing;

static void add_intervals(const bt_block *block, const uint64_t *begin, bt_pack_interval *intervals,
                          bt_pack_buffer *buffer) {
    *buffer = (bt_pack_buffer){.size = block->bytes, .intervals = intervals};
    if (block->persistent) {
        intervals[buffer->interval_count++] =
            (bt_pack_interval){begin[0], begin[BT_SEQUENCE_COUNT]};
        return;
    }
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        bt_lifetime lifetime = block->lifetimes[s];
        if (lifetime.first <= lifetime.last) {
            intervals[buffer->interval_count++] = (bt_pack_interval){
                begin[s] + lifetime.first, begin[s] + (uint64_t)lifetime.last + 1};
        }
    }
}

static void find_buffers(const bt_memory_plan *plan, uint32_t level, packing *p) {
    uint64_t begin[BT_SEQUENCE_COUNT + 1] = {0}; /* of every sequence on the axis */
    for (uint32_t s = 0; s < BT_SEQUENCE_COUNT; s++) {
        uint32_t last = 0;
        for (uint32_t b = 0; b < plan->block_count; b++) {
            bt_lifetime lifetime = plan->blocks[b].lifetimes[s];
            bool used = lifetime.first <= lifetime.last;
            last = used && lifetime.last > last ? lifetime.last : last;
        }
        begin[s + 1] = begin[s] + last + 1;
    }
    for (uint32_t b = 0; b < plan->block_count; b++) {
        if (plan->blocks[b].level == level) {
            p->blocks[p->count] = b;
            add_intervals(&plan->blocks[b], begin, &p->intervals[p->count * BT_SEQUENCE_COUNT],
                          &p->buffers[p->count]);
            p->count++;
        }
    }
}

static bt_status pack_level(bt_memory_plan *plan, uint32_t level, uint64_t capacity, uint64_t nodes,
                            packing *p) {
    bt_pack_result result;
    p->count = 0;
    find_buffers(plan, level, p);
    if (p->count == 0) {
        return BT_OK;
    }
    /* L1 only has to fit; the others are to be as low as can be. The more buffers, the longer a
     * node takes and the less an exact search gains. */
    uint64_t goal = level == BT_LEVEL_L1 ? capacity : 0;
    uint64_t budget = nodes / (1 + p->count / 64);
    BT_TRY(bt_pack(p->buffers, p->count, goal, budget, p->offsets, &result));
    for (uint32_t i = 0; i < p->count; i++) {
        plan->blocks[p->blocks[i]].offset = p->offsets[i];
    }
    plan->peak_bytes[level] = result.height;
    return BT_OK;
}

bt_status bt_offsets_assign(bt_memory_plan *plan, const bt_capacity *capacity, uint64_t nodes) {
    size_t count = plan->block_count + 1;
    packing p = {.blocks = malloc(count * sizeof *p.blocks),
                 .buffers = malloc(count * sizeof *p.buffers),
                 .intervals = malloc(count * BT_SEQUENCE_COUNT * sizeof *p.intervals),
                 .offsets = malloc(count * sizeof *p.offsets)};
    bt_status status = BT_OK;
    if (p.blocks == NULL || p.buffers == NULL || p.intervals == NULL || p.offsets == NULL) {
        status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    }
    plan->persistent_bytes = 0;
    for (uint32_t b = 0; b < plan->block_count; b++) {
        plan->persistent_bytes += plan->blocks[b].persistent ? plan->blocks[b].bytes : 0;
    }
    for (uint32_t level = 0; level < BT_LEVEL_COUNT && status == BT_OK; level++) {
        status = pack_level(plan, level, capacity->bytes[level], nodes, &p);
    }
    free(p.blocks);
    free(p.buffers);
    free(p.intervals);
    free(p.offsets);
    return status;
}
