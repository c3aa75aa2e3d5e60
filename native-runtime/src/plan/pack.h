/*
 * Packing: offsets for buffers whose lifetimes are known, so that buffers alive at the same time do
 * not overlap and the whole is as low as possible (dynamic storage allocation, NP-hard).
 *
 * Three stages, each only if the one before did not reach the goal: a portfolio of greedy orders,
 * local search over orders, and an exact search that finds a placement within a capacity or proves
 * that there is none.
 *
 * Effort is counted in nodes, never in seconds: the same buffers, capacity and budget give the same
 * offsets on every machine. A node is a step of the exact search; steps that touch more than 8192
 * pairs of buffer and time count as several, and a greedy placement counts as the steps that take
 * as long.
 */
#ifndef BT_PACK_H
#define BT_PACK_H

#include "biotrain/biotrain.h"

#define BT_PACK_MAX_BUFFERS 65536u

/* Ample for some hundred buffers without slack; 10 to 20 s where it ends in vain. */
#define BT_PACK_DEFAULT_BUDGET 1000000u

/* Half open: [0, 3) and [3, 9) may share bytes. */
typedef struct bt_pack_interval {
    uint64_t lower;
    uint64_t upper;
} bt_pack_interval;

/* Alive in each of its intervals, which are disjoint and ascending. */
typedef struct bt_pack_buffer {
    uint64_t size; /* bytes; 0 overlaps with nothing */
    const bt_pack_interval *intervals;
    uint32_t interval_count; /* at least 1 */
} bt_pack_buffer;

typedef enum bt_pack_verdict {
    BT_PACK_OPTIMAL = 0,    /* as low as can be; within the capacity if one was given */
    BT_PACK_FITS = 1,       /* within the capacity; whether a lower placement exists is open */
    BT_PACK_INFEASIBLE = 2, /* proved: no placement fits the capacity */
    BT_PACK_BUDGET = 3      /* the budget ended first */
} bt_pack_verdict;

typedef struct bt_pack_result {
    uint64_t height;      /* of the offsets, whether they fit or not */
    uint64_t lower_bound; /* proved: largest sum of sizes alive at once, or more after a search */
    uint64_t nodes;       /* spent */
    bt_pack_verdict verdict;
} bt_pack_result;

/*
 * Packs count buffers within capacity bytes, or as low as possible if capacity is 0. Stops when
 * that is done or proved impossible, or after node_budget nodes; the first greedy placement is
 * always made. offsets[count] is a valid placement in any case: the lowest that was found. Memory
 * is that of the instance and of one path of the search, and at most 8 MiB for what the search
 * remembers.
 *
 * BT_ERROR_ARGUMENT: a pointer is NULL, an interval is empty or out of order, there are more than
 * BT_PACK_MAX_BUFFERS intervals, or the sizes sum to more than 2^62. BT_ERROR_MEMORY. Nothing is
 * written after an error.
 */
bt_status bt_pack(const bt_pack_buffer *buffers, uint32_t count, uint64_t capacity,
                  uint64_t node_budget, uint64_t *offsets, bt_pack_result *out);

#endif
