/*
 * The exact search stacks buffers on a skyline. Time is cut into sections, one for each maximal set
 * of buffers alive at once; each section has a floor below which nothing more is placed. In a
 * placement that cannot be lowered every buffer rests on the ground or on another buffer. So the
 * search picks a section and asks which buffer rests on its floor next, or none: then the floor
 * rises to the next height at which something could rest. Parts of time that no unplaced buffer
 * joins are searched one after the other, and the failure of one never undoes another.
 *
 * A state is given up when
 *   - the buffers of some section, none below the highest floor under it, end above the capacity
 *     even when stacked without regard to other sections (1|r|Cmax: first released first);
 *   - an unplaced buffer would fit into a gap under the floors: a placement with it there is lower;
 *   - the same buffers above the same skyline failed before.
 * Of interchangeable buffers the first goes lowest. None of this loses the placement with the
 * smallest sum of offsets, so a search that ends without a placement is a proof.
 *
 * Search times are heavy-tailed: one order of decisions takes a few hundred nodes where another
 * takes millions. So the search restarts with other orders and growing limits, and keeps what it
 * learnt about failed states.
 *
 * Canonical placements, floors, dominance and decomposition: Moffitt, "MiniMalloc", ASPLOS 2023.
 */
#include "plan/pack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define UNPLACED UINT64_MAX
#define NO_BUFFER UINT32_MAX
#define NO_FRAME UINT32_MAX
#define UNDECIDABLE UINT32_MAX
#define MAX_TOTAL_SIZE ((uint64_t)1 << 62)
#define WORK_PER_NODE 8192u
#define MAX_MEMORY_SLOTS ((uint32_t)1 << 19)
#define LOCAL_MOVES 256u

/* Sections [begin, end). */
typedef struct range {
    uint32_t begin;
    uint32_t end;
} range;

/* Sections that no unplaced buffer leaves. */
typedef struct component {
    range sections;
    uint32_t parent; /* the frame whose decision cut it off */
} component;

/* A decision: what rests next on the floor of a section. */
typedef struct frame {
    component component;
    uint32_t section;
    uint32_t next; /* position in the order of candidates */
    bool raised;   /* the last branch, "none", was taken */
    size_t trail;  /* lengths to return to before a branch */
    size_t pending;
    uint64_t hash[2]; /* of the state */
} frame;

/* What to restore: the skyline of a section, or a buffer to take away again. */
typedef struct change {
    uint32_t section; /* unused if there is a buffer */
    uint32_t buffer;
    uint64_t floor;
    uint64_t top;
} change;

/* The lowest offset that is left to an unplaced buffer. */
typedef struct release {
    uint64_t offset;
    uint32_t buffer;
} release;

typedef enum outcome { FOUND, EXHAUSTED, STOPPED } outcome;

typedef enum sort_key { END, WIDTH, SIZE, AREA, LOAD, EARLY } sort_key;

#define SORT_KEYS 3
/* Orders of buffers for greedy placements, and of the candidates of the exact search. */
static const sort_key orders[][SORT_KEYS] = {
    {WIDTH, AREA, LOAD}, {SIZE, WIDTH, END}, {LOAD, AREA, WIDTH},
    {AREA, END, END},    {EARLY, SIZE, END},
};
#define ORDERS (sizeof orders / sizeof orders[0])

/* Which section to decide first. */
typedef enum section_rule { FEWEST_BRANCHES, LOWEST_FLOOR, LEAST_SLACK } section_rule;

typedef struct strategy {
    section_rule rule;
    bool in_valleys; /* only where the floors on both sides are higher */
    uint32_t order;
} strategy;

/* None of them is good at everything; each solves instances that the others do not. */
static const strategy strategies[] = {
    {FEWEST_BRANCHES, true, 0},  {FEWEST_BRANCHES, false, 1}, {LEAST_SLACK, true, 0},
    {FEWEST_BRANCHES, false, 0}, {LOWEST_FLOOR, true, 0},     {FEWEST_BRANCHES, true, 2},
};
#define STRATEGIES (sizeof strategies / sizeof strategies[0])

typedef struct packer {
    uint64_t nodes;

    /* The instance: buffers by start, times in sections, sizes in units of their common divisor. */
    uint64_t unit;
    uint32_t count;
    uint32_t section_count;
    uint32_t *origin;      /* the caller's index */
    uint64_t *size;        /* in units */
    range *hull;           /* from the first section to the last */
    uint32_t *width;       /* number of sections */
    range *ranges;         /* sections of all buffers */
    uint32_t *first_range; /* of each buffer, and the end */
    uint32_t *twin;        /* the interchangeable buffer before it, or NO_BUFFER */
    uint32_t *first; /* of each section, and the end: first buffer that starts there or later */
    uint64_t *load;  /* of each section: sum of sizes */
    uint64_t total_width;
    uint64_t lower_bound;

    uint64_t *offset; /* of each buffer in the placement under construction, or UNPLACED */
    uint64_t *best;   /* of each buffer in the lowest placement so far */
    uint64_t best_height;
    uint32_t *order;
    uint32_t *stack; /* of a greedy placement: buffers by offset */

    /* The exact search */
    uint64_t capacity;
    strategy strategy;
    uint64_t *floor;  /* of each section: nothing more below */
    uint64_t *top;    /* of each section: end of its highest buffer; a gap if below the floor */
    uint64_t *lowest; /* of each section: smallest release */
    uint64_t *makespan;
    uint32_t *branches;
    bool *marked;      /* of each section: scratch of next_floor */
    release *releases; /* of the component's unplaced buffers, ascending */
    uint32_t release_count;
    uint64_t *failed; /* hashes of failed states, two words per slot */
    uint32_t failed_slots;
    frame *frames;
    size_t depth, frame_capacity;
    change *trail;
    size_t trail_length, trail_capacity;
    component *pending;
    size_t pending_length, pending_capacity;
} packer;

static uint64_t min64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t max64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The finalizer of SplitMix64: a bijection, every bit of which depends on every bit of x. */
static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t random_below(uint64_t *state, uint32_t bound) {
    *state += 0x9e3779b97f4a7c15u;
    return (uint32_t)(((mix(*state) >> 32) * bound) >> 32);
}

static bt_status no_memory(void) {
    return bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to pack buffers.");
}

/* -------------------------------------------------------------------------------- the instance */

typedef struct event {
    uint64_t time;
    bool starts;
    uint32_t interval;
} event;

/* Ends come before starts: intervals are half open. */
static int compare_events(const void *left, const void *right) {
    const event *a = left;
    const event *b = right;
    if (a->time != b->time) {
        return a->time < b->time ? -1 : 1;
    }
    if (a->starts != b->starts) {
        return a->starts ? 1 : -1;
    }
    return a->interval < b->interval ? -1 : 1;
}

typedef struct record {
    uint64_t key[SORT_KEYS];
    uint32_t index;
} record;

/* Ascending, ties by index: every sort here has one answer. */
static int compare_records(const void *left, const void *right) {
    const record *a = left;
    const record *b = right;
    for (uint32_t i = 0; i < SORT_KEYS; i++) {
        if (a->key[i] != b->key[i]) {
            return a->key[i] < b->key[i] ? -1 : 1;
        }
    }
    return a->index < b->index ? -1 : 1;
}

static bt_status check(const bt_pack_buffer *buffers, uint32_t count, uint32_t *interval_count) {
    uint64_t total = 0;
    *interval_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const bt_pack_buffer *buffer = &buffers[i];
        if (buffer->intervals == NULL || buffer->interval_count == 0) {
            BT_FAIL(BT_ERROR_ARGUMENT, "Buffer %u has no interval; give it at least one.", i);
        }
        for (uint32_t k = 0; k < buffer->interval_count; k++) {
            const bt_pack_interval *interval = &buffer->intervals[k];
            if (interval->lower >= interval->upper) {
                BT_FAIL(BT_ERROR_ARGUMENT,
                        "Buffer %u lives from %llu to %llu; an interval ends after it starts.", i,
                        (unsigned long long)interval->lower, (unsigned long long)interval->upper);
            }
            if (k > 0 && interval->lower < buffer->intervals[k - 1].upper) {
                BT_FAIL(BT_ERROR_ARGUMENT,
                        "Interval %u of buffer %u starts at %llu, before interval %u ends; "
                        "intervals are disjoint and ascending.",
                        k, i, (unsigned long long)interval->lower, k - 1);
            }
        }
        if (buffer->interval_count > BT_PACK_MAX_BUFFERS - *interval_count) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "Buffers 0 to %u have more than %u intervals in all; pack fewer at once.", i,
                    BT_PACK_MAX_BUFFERS);
        }
        *interval_count += buffer->interval_count;
        if (buffer->size > MAX_TOTAL_SIZE - total) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "With buffer %u of %llu bytes the sizes sum to more than 2^62; check its size.",
                    i, (unsigned long long)buffer->size);
        }
        total += buffer->size;
    }
    return BT_OK;
}

static void packer_free(packer *p) {
    free(p->origin);
    free(p->size);
    free(p->hull);
    free(p->width);
    free(p->ranges);
    free(p->first_range);
    free(p->twin);
    free(p->first);
    free(p->load);
    free(p->offset);
    free(p->best);
    free(p->order);
    free(p->stack);
    free(p->floor);
    free(p->top);
    free(p->lowest);
    free(p->makespan);
    free(p->branches);
    free(p->marked);
    free(p->releases);
    free(p->failed);
    free(p->frames);
    free(p->trail);
    free(p->pending);
}

/* Zeroed, and never of size 0. */
#define ALLOCATE(pointer, length)                                                                  \
    do {                                                                                           \
        (pointer) = calloc((size_t)(length) + 1, sizeof *(pointer));                               \
        if ((pointer) == NULL) {                                                                   \
            return no_memory();                                                                    \
        }                                                                                          \
    } while (0)

static bt_status packer_allocate(packer *p, uint32_t interval_count, uint64_t node_budget) {
    uint32_t sections = interval_count; /* each section ends where an interval ends */
    ALLOCATE(p->origin, p->count);
    ALLOCATE(p->size, p->count);
    ALLOCATE(p->hull, p->count);
    ALLOCATE(p->width, p->count);
    ALLOCATE(p->ranges, interval_count);
    ALLOCATE(p->first_range, p->count);
    ALLOCATE(p->twin, p->count);
    ALLOCATE(p->offset, p->count);
    ALLOCATE(p->best, p->count);
    ALLOCATE(p->order, p->count);
    ALLOCATE(p->stack, p->count);
    ALLOCATE(p->releases, p->count);
    ALLOCATE(p->first, sections);
    ALLOCATE(p->load, sections);
    ALLOCATE(p->floor, sections);
    ALLOCATE(p->top, sections);
    ALLOCATE(p->lowest, sections);
    ALLOCATE(p->makespan, sections);
    ALLOCATE(p->branches, sections);
    ALLOCATE(p->marked, sections);
    p->failed_slots = 1;
    while (p->failed_slots < MAX_MEMORY_SLOTS && p->failed_slots < node_budget) {
        p->failed_slots *= 2;
    }
    ALLOCATE(p->failed, 2 * (size_t)p->failed_slots);
    return BT_OK;
}

/*
 * Intervals in sections. A section is the time between a start and the first end after it: the
 * buffers alive at any other time are a subset of those of a section.
 */
static void find_sections(event *events, uint32_t interval_count, range *intervals,
                          uint32_t *section_count) {
    bool grown = false;
    *section_count = 0;
    qsort(events, 2 * (size_t)interval_count, sizeof *events, compare_events);
    for (uint32_t i = 0; i < 2 * interval_count; i++) {
        if (events[i].starts) {
            intervals[events[i].interval].begin = *section_count;
            grown = true;
        } else {
            *section_count += grown;
            grown = false;
            intervals[events[i].interval].end = *section_count;
        }
    }
}

static bool interchangeable(const packer *p, uint32_t a, uint32_t b) {
    uint32_t ranges = p->first_range[a + 1] - p->first_range[a];
    return p->size[a] == p->size[b] && ranges == p->first_range[b + 1] - p->first_range[b] &&
           memcmp(&p->ranges[p->first_range[a]], &p->ranges[p->first_range[b]],
                  ranges * sizeof(range)) == 0;
}

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Fills the instance; intervals[i] are the sections of the caller's interval i. */
static void fill_instance(packer *p, const bt_pack_buffer *buffers, const range *intervals,
                          const uint32_t *first_interval, const record *sorted) {
    p->unit = 0;
    for (uint32_t b = 0; b < p->count; b++) {
        p->unit = common_divisor(p->unit, buffers[sorted[b].index].size);
    }
    uint32_t used = 0;
    for (uint32_t b = 0; b < p->count; b++) {
        uint32_t origin = sorted[b].index;
        p->origin[b] = origin;
        p->size[b] = buffers[origin].size / p->unit;
        p->first_range[b] = used;
        for (uint32_t k = 0; k < buffers[origin].interval_count; k++) {
            range interval = intervals[first_interval[origin] + k];
            p->width[b] += interval.end - interval.begin;
            if (k > 0 && p->ranges[used - 1].end == interval.begin) {
                p->ranges[used - 1].end = interval.end;
            } else {
                p->ranges[used++] = interval;
            }
            for (uint32_t s = interval.begin; s < interval.end; s++) {
                p->load[s] += p->size[b];
                p->lower_bound = max64(p->lower_bound, p->load[s]);
            }
        }
        p->first_range[b + 1] = used;
        p->hull[b] = (range){p->ranges[p->first_range[b]].begin, p->ranges[used - 1].end};
        p->total_width += p->width[b];
        p->twin[b] = NO_BUFFER;
        for (uint32_t a = b; a-- > 0 && p->hull[a].begin == p->hull[b].begin &&
                             p->hull[a].end == p->hull[b].end && p->size[a] == p->size[b];) {
            if (interchangeable(p, a, b)) {
                p->twin[b] = a;
                break;
            }
        }
    }
    uint32_t b = 0;
    for (uint32_t s = 0; s <= p->section_count; s++) {
        while (b < p->count && p->hull[b].begin < s) {
            b++;
        }
        p->first[s] = b;
    }
}

typedef struct preparation {
    event *events;
    range *intervals;
    uint32_t *first_interval;
    record *sorted;
} preparation;

static bt_status prepare(packer *p, preparation *work, const bt_pack_buffer *buffers,
                         uint32_t count, uint32_t interval_count, uint64_t node_budget) {
    ALLOCATE(work->events, 2 * (size_t)interval_count);
    ALLOCATE(work->intervals, interval_count);
    ALLOCATE(work->first_interval, count);
    ALLOCATE(work->sorted, count);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        work->first_interval[i] = used;
        for (uint32_t k = 0; k < buffers[i].interval_count && buffers[i].size > 0; k++) {
            bt_pack_interval interval = buffers[i].intervals[k];
            work->events[2 * used] = (event){interval.lower, true, used};
            work->events[2 * used + 1] = (event){interval.upper, false, used};
            used++;
        }
    }
    find_sections(work->events, used, work->intervals, &p->section_count);
    for (uint32_t i = 0; i < count; i++) {
        if (buffers[i].size > 0) {
            uint32_t first = work->first_interval[i];
            uint32_t last = first + buffers[i].interval_count - 1;
            work->sorted[p->count++] = (record){
                {work->intervals[first].begin, work->intervals[last].end, buffers[i].size}, i};
        }
    }
    qsort(work->sorted, p->count, sizeof *work->sorted, compare_records);
    BT_TRY(packer_allocate(p, used, node_budget));
    if (p->count > 0) {
        fill_instance(p, buffers, work->intervals, work->first_interval, work->sorted);
    }
    return BT_OK;
}

static bt_status packer_make(packer *p, const bt_pack_buffer *buffers, uint32_t count,
                             uint32_t interval_count, uint64_t node_budget) {
    preparation work = {0};
    bt_status status = prepare(p, &work, buffers, count, interval_count, node_budget);
    free(work.events);
    free(work.intervals);
    free(work.first_interval);
    free(work.sorted);
    return status;
}

/* --------------------------------------------------------------- orders and greedy placements */

/* Larger keys come first. */
static uint64_t key_of(const packer *p, sort_key key, uint32_t b) {
    uint64_t load = 0;
    switch (key) {
    case WIDTH:
        return p->width[b];
    case SIZE:
        return p->size[b];
    case AREA:
        return p->size[b] > UINT64_MAX / p->width[b] ? UINT64_MAX : p->size[b] * p->width[b];
    case LOAD: /* the fullest section */
        for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
            for (uint32_t s = p->ranges[r].begin; s < p->ranges[r].end; s++) {
                load = max64(load, p->load[s]);
            }
        }
        return load;
    case EARLY:
        return UINT32_MAX - p->hull[b].begin;
    case END:
        break;
    }
    return 0;
}

static bt_status sort_order(packer *p, const sort_key keys[SORT_KEYS]) {
    record *records;
    ALLOCATE(records, p->count);
    for (uint32_t b = 0; b < p->count; b++) {
        for (uint32_t k = 0; k < SORT_KEYS; k++) {
            records[b].key[k] = UINT64_MAX - key_of(p, keys[k], b);
        }
        records[b].index = b;
    }
    qsort(records, p->count, sizeof *records, compare_records);
    for (uint32_t i = 0; i < p->count; i++) {
        p->order[i] = records[i].index;
    }
    free(records);
    return BT_OK;
}

static bool alive_together(const packer *p, uint32_t a, uint32_t b) {
    if (p->hull[a].begin >= p->hull[b].end || p->hull[b].begin >= p->hull[a].end) {
        return false;
    }
    uint32_t i = p->first_range[a];
    uint32_t k = p->first_range[b];
    while (i < p->first_range[a + 1] && k < p->first_range[b + 1]) {
        if (p->ranges[i].end <= p->ranges[k].begin) {
            i++;
        } else if (p->ranges[k].end <= p->ranges[i].begin) {
            k++;
        } else {
            return true;
        }
    }
    return false;
}

/* Lowest hole for buffer b among the first placed ones of the stack, or the smallest hole. */
static uint64_t find_hole(const packer *p, uint32_t placed, uint32_t b, bool smallest) {
    uint64_t end = 0;
    uint64_t best = UNPLACED;
    uint64_t best_size = UINT64_MAX;
    for (uint32_t i = 0; i < placed; i++) {
        uint32_t other = p->stack[i];
        if (!alive_together(p, b, other)) {
            continue;
        }
        if (p->offset[other] >= end + p->size[b] && p->offset[other] - end < best_size) {
            best = end;
            best_size = p->offset[other] - end;
            if (!smallest) {
                break;
            }
        }
        end = max64(end, p->offset[other] + p->size[other]);
    }
    return best != UNPLACED ? best : end;
}

static void keep_if_lower(packer *p, uint64_t height) {
    if (height < p->best_height) {
        p->best_height = height;
        memcpy(p->best, p->offset, p->count * sizeof *p->best);
    }
}

/* Places the buffers one after the other in the current order; returns the height. */
static uint64_t place_in_order(packer *p, bool smallest_hole) {
    uint64_t height = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t b = p->order[i];
        uint32_t at = i;
        p->offset[b] = find_hole(p, i, b, smallest_hole);
        height = max64(height, p->offset[b] + p->size[b]);
        while (at > 0 && p->offset[p->stack[at - 1]] > p->offset[b]) {
            p->stack[at] = p->stack[at - 1];
            at--;
        }
        p->stack[at] = b;
    }
    p->nodes += 1 + (uint64_t)p->count * p->count / WORK_PER_NODE;
    keep_if_lower(p, height);
    return height;
}

static bt_status try_greedy_orders(packer *p, uint64_t goal, uint64_t node_limit) {
    for (uint32_t i = 0; i < ORDERS; i++) {
        BT_TRY(sort_order(p, orders[i]));
        for (uint32_t smallest_hole = 0; smallest_hole < 2; smallest_hole++) {
            place_in_order(p, smallest_hole);
            if (p->best_height <= goal || p->nodes >= node_limit) {
                return BT_OK;
            }
        }
    }
    return BT_OK;
}

/* Position in the order of one of the buffers that make the height, chosen at random. */
static uint32_t pick_highest(const packer *p, uint64_t height, uint64_t *random) {
    uint32_t found = 0;
    uint32_t picked = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t b = p->order[i];
        if (p->offset[b] + p->size[b] == height && random_below(random, ++found) == 0) {
            picked = i;
        }
    }
    return picked;
}

/* Moves buffers that make the height to earlier places of the order as long as that costs nothing.
 */
static bt_status improve_locally(packer *p, uint64_t goal, uint64_t node_limit) {
    uint64_t random = 0;
    if (p->nodes >= node_limit) {
        return BT_OK;
    }
    BT_TRY(sort_order(p, orders[0]));
    uint64_t height = place_in_order(p, false);
    for (uint32_t move = 0; move < LOCAL_MOVES && p->best_height > goal && p->nodes < node_limit;
         move++) {
        uint32_t from = pick_highest(p, height, &random);
        uint32_t to = random_below(&random, from + 1);
        uint32_t moved = p->order[from];
        memmove(&p->order[to + 1], &p->order[to], (from - to) * sizeof *p->order);
        p->order[to] = moved;
        uint64_t changed = place_in_order(p, false);
        if (changed <= height) {
            height = changed;
        } else {
            memmove(&p->order[to], &p->order[to + 1], (from - to) * sizeof *p->order);
            p->order[from] = moved;
        }
    }
    return BT_OK;
}

/* ------------------------------------------------------------------------------- exact search */

/* Makes room for extra more elements of the array. */
static bt_status reserve(void **array, size_t *capacity, size_t length, size_t extra, size_t size) {
    if (length + extra > *capacity) {
        size_t larger = 2 * (length + extra);
        void *moved = realloc(*array, larger * size);
        if (moved == NULL) {
            return no_memory();
        }
        *array = moved;
        *capacity = larger;
    }
    return BT_OK;
}

#define RESERVE(p, array, capacity, length, extra)                                                 \
    reserve((void **)&(p)->array, &(p)->capacity, (p)->length, (extra), sizeof *(p)->array)

/* The largest value over the sections of buffer b. */
static uint64_t highest_under(const packer *p, const uint64_t *values, uint32_t b) {
    uint64_t highest = 0;
    for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
        for (uint32_t s = p->ranges[r].begin; s < p->ranges[r].end; s++) {
            highest = max64(highest, values[s]);
        }
    }
    return highest;
}

/* The smallest value over the sections of buffer b. */
static uint64_t lowest_under(const packer *p, const uint64_t *values, uint32_t b) {
    uint64_t lowest = UINT64_MAX;
    for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
        for (uint32_t s = p->ranges[r].begin; s < p->ranges[r].end; s++) {
            lowest = min64(lowest, values[s]);
        }
    }
    return lowest;
}

static bool covers(const packer *p, uint32_t b, uint32_t section) {
    for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
        if (section < p->ranges[r].end) {
            return section >= p->ranges[r].begin;
        }
    }
    return false;
}

/* The caller has reserved room on the trail. */
static void set_skyline(packer *p, uint32_t section, uint64_t floor, uint64_t top) {
    p->trail[p->trail_length++] = (change){section, NO_BUFFER, p->floor[section], p->top[section]};
    p->floor[section] = floor;
    p->top[section] = top;
}

static void place(packer *p, uint32_t b, uint64_t offset) {
    uint64_t end = offset + p->size[b];
    p->trail[p->trail_length++] = (change){0, b, 0, 0};
    p->offset[b] = offset;
    for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
        for (uint32_t s = p->ranges[r].begin; s < p->ranges[r].end; s++) {
            set_skyline(p, s, end, end);
        }
    }
}

static void undo(packer *p, size_t trail_length) {
    while (p->trail_length > trail_length) {
        const change *last = &p->trail[--p->trail_length];
        if (last->buffer != NO_BUFFER) {
            p->offset[last->buffer] = UNPLACED;
        } else {
            p->floor[last->section] = last->floor;
            p->top[last->section] = last->top;
        }
    }
}

/* Collects the component's unplaced buffers and pays for the step. */
static void collect(packer *p, range sections) {
    uint64_t work = 0;
    p->release_count = 0;
    for (uint32_t b = p->first[sections.begin]; b < p->first[sections.end]; b++) {
        if (p->offset[b] == UNPLACED) {
            p->releases[p->release_count++].buffer = b;
            work += p->width[b];
        }
    }
    p->nodes += 1 + work / WORK_PER_NODE;
}

/*
 * No buffer lies below the highest floor under it, and no floor is below the lowest of its buffers:
 * raises floors until both hold.
 */
static bt_status raise_floors(packer *p, range sections) {
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t s = sections.begin; s < sections.end; s++) {
            p->lowest[s] = UINT64_MAX;
        }
        for (uint32_t i = 0; i < p->release_count; i++) {
            uint32_t b = p->releases[i].buffer;
            uint64_t offset = highest_under(p, p->floor, b);
            p->releases[i].offset = offset;
            for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
                for (uint32_t s = p->ranges[r].begin; s < p->ranges[r].end; s++) {
                    p->lowest[s] = min64(p->lowest[s], offset);
                }
            }
        }
        BT_TRY(RESERVE(p, trail, trail_capacity, trail_length, sections.end - sections.begin));
        for (uint32_t s = sections.begin; s < sections.end; s++) {
            if (p->lowest[s] > p->floor[s] && p->lowest[s] != UINT64_MAX) {
                set_skyline(p, s, p->lowest[s], p->top[s]);
                changed = true;
            }
        }
    }
    return BT_OK;
}

static bool released_before(const release *a, const release *b) {
    return a->offset != b->offset ? a->offset < b->offset : a->buffer < b->buffer;
}

/* Shell sort with Ciura's gaps: short lists, called at every node. */
static void sort_releases(release *list, uint32_t count) {
    static const uint32_t gaps[] = {29524, 9841, 3280, 1093, 364, 132, 57, 23, 10, 4, 1};
    for (uint32_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        for (uint32_t i = gaps[g]; i < count; i++) {
            release moved = list[i];
            uint32_t at = i;
            while (at >= gaps[g] && released_before(&moved, &list[at - gaps[g]])) {
                list[at] = list[at - gaps[g]];
                at -= gaps[g];
            }
            list[at] = moved;
        }
    }
}

/* Stacks each section on its own, first released first; false if one ends above the capacity. */
static bool stacks_fit(packer *p, range sections) {
    sort_releases(p->releases, p->release_count);
    memset(&p->makespan[sections.begin], 0, (sections.end - sections.begin) * sizeof *p->makespan);
    for (uint32_t i = 0; i < p->release_count; i++) {
        uint32_t b = p->releases[i].buffer;
        uint64_t offset = p->releases[i].offset;
        for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
            for (uint32_t s = p->ranges[r].begin; s < p->ranges[r].end; s++) {
                p->makespan[s] = max64(p->makespan[s], offset) + p->size[b];
            }
        }
    }
    for (uint32_t s = sections.begin; s < sections.end; s++) {
        if (p->makespan[s] > p->capacity) {
            return false;
        }
    }
    return true;
}

/* Whether an unplaced buffer fits between the tops and the floors. */
static bool wastes_a_gap(const packer *p) {
    for (uint32_t i = 0; i < p->release_count; i++) {
        uint32_t b = p->releases[i].buffer;
        if (highest_under(p, p->top, b) + p->size[b] <= lowest_under(p, p->floor, b)) {
            return true;
        }
    }
    return false;
}

/* Two independent words: a false match in 10^9 states has a chance below 10^-19. */
static void hash_state(const packer *p, range sections, uint64_t hash[2]) {
    hash[0] = mix(p->capacity);
    hash[1] = mix(~p->capacity);
    for (uint32_t i = 0; i < p->release_count; i++) {
        uint64_t word = mix(p->releases[i].buffer + 1);
        hash[0] += word;
        hash[1] += mix(~word);
    }
    for (uint32_t s = sections.begin; s < sections.end; s++) {
        uint64_t word = mix(mix(p->floor[s] + ((uint64_t)s << 46)) + p->top[s]);
        hash[0] += word;
        hash[1] += mix(~word);
    }
}

static bool failed_before(const packer *p, const uint64_t hash[2]) {
    const uint64_t *slot = &p->failed[2 * (hash[0] & (p->failed_slots - 1))];
    return slot[0] == hash[0] && slot[1] == hash[1];
}

static void remember_failure(packer *p, const uint64_t hash[2]) {
    memcpy(&p->failed[2 * (hash[0] & (p->failed_slots - 1))], hash, 2 * sizeof *hash);
}

/*
 * Whether b can rest on floors of this height: all its floors are there, at one of them something
 * ends, and no interchangeable buffer must go first.
 */
static bool rests_at(const packer *p, uint32_t b, uint64_t height) {
    bool supported = false;
    for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
        for (uint32_t s = p->ranges[r].begin; s < p->ranges[r].end; s++) {
            if (p->floor[s] != height) {
                return false;
            }
            supported |= p->top[s] == height;
        }
    }
    return supported && (p->twin[b] == NO_BUFFER || p->offset[p->twin[b]] != UNPLACED);
}

/*
 * Counts the buffers that can rest on the floor of each section. A section cannot be decided yet if
 * a buffer may come to rest on its floor later: one that also has lower floors under it.
 */
static void count_branches(packer *p, range sections) {
    memset(&p->branches[sections.begin], 0, (sections.end - sections.begin) * sizeof *p->branches);
    for (uint32_t i = 0; i < p->release_count; i++) {
        uint32_t b = p->releases[i].buffer;
        uint64_t offset = p->releases[i].offset;
        bool flat = lowest_under(p, p->floor, b) == offset;
        if (flat && !rests_at(p, b, offset)) {
            continue;
        }
        for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
            for (uint32_t s = p->ranges[r].begin; s < p->ranges[r].end; s++) {
                if (p->branches[s] != UNDECIDABLE && p->floor[s] == offset) {
                    p->branches[s] = flat ? p->branches[s] + 1 : UNDECIDABLE;
                }
            }
        }
    }
}

/* A section without unplaced buffers is a wall. */
static uint64_t floor_or_wall(const packer *p, uint32_t section) {
    return p->lowest[section] == UINT64_MAX ? UINT64_MAX : p->floor[section];
}

/* Leaves only sections in runs of equal floors between higher ones. */
static void keep_valleys(packer *p, range sections) {
    uint32_t begin = sections.begin;
    while (begin < sections.end) {
        uint64_t floor = floor_or_wall(p, begin);
        uint32_t end = begin + 1;
        while (end < sections.end && floor_or_wall(p, end) == floor) {
            end++;
        }
        if ((begin > sections.begin && floor_or_wall(p, begin - 1) < floor) ||
            (end < sections.end && floor_or_wall(p, end) < floor)) {
            for (uint32_t s = begin; s < end; s++) {
                p->branches[s] = UNDECIDABLE;
            }
        }
        begin = end;
    }
}

/* Picks the section to decide; false if one has no branch. */
static bool pick_section(packer *p, range sections, uint32_t *picked) {
    count_branches(p, sections);
    if (p->strategy.in_valleys) {
        keep_valleys(p, sections);
    }
    uint64_t best[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    for (uint32_t s = sections.begin; s < sections.end; s++) {
        if (p->branches[s] == UNDECIDABLE || p->lowest[s] == UINT64_MAX) {
            continue;
        }
        uint64_t slack = p->capacity - p->makespan[s];
        uint64_t branches = p->branches[s] + (slack > 0);
        if (branches == 0) {
            return false;
        }
        uint64_t rank[3] = {branches, slack, p->floor[s]};
        if (branches == 1) { /* forced: at once */
            rank[0] = rank[1] = rank[2] = 0;
        } else if (p->strategy.rule == LOWEST_FLOOR) {
            rank[0] = p->floor[s] + 1;
            rank[1] = branches;
            rank[2] = slack;
        } else if (p->strategy.rule == LEAST_SLACK) {
            rank[0] = slack + 1;
            rank[1] = branches;
        }
        if (rank[0] < best[0] ||
            (rank[0] == best[0] &&
             (rank[1] < best[1] || (rank[1] == best[1] && rank[2] < best[2])))) {
            memcpy(best, rank, sizeof best);
            *picked = s;
        }
    }
    return true;
}

/*
 * The next floor of a section if nothing rests on the present one. The lowest buffer above then
 * rests on a higher floor that it has already, or on a buffer elsewhere that is still to be placed.
 */
static uint64_t next_floor(packer *p, range sections, uint32_t section) {
    uint64_t present = p->floor[section];
    uint64_t next = UINT64_MAX;
    memset(&p->marked[sections.begin], 0, sections.end - sections.begin);
    for (uint32_t b = p->first[sections.begin]; b < p->first[sections.end]; b++) {
        if (p->offset[b] != UNPLACED || !covers(p, b, section)) {
            continue;
        }
        uint64_t offset = highest_under(p, p->floor, b);
        if (offset > present) {
            next = min64(next, offset);
            continue;
        }
        for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
            range part = p->ranges[r];
            memset(&p->marked[part.begin], true, part.end - part.begin);
        }
    }
    for (uint32_t b = p->first[sections.begin]; b < p->first[sections.end]; b++) {
        if (p->offset[b] != UNPLACED || covers(p, b, section)) {
            continue;
        }
        for (uint32_t r = p->first_range[b]; r < p->first_range[b + 1]; r++) {
            range part = p->ranges[r];
            if (memchr(&p->marked[part.begin], true, part.end - part.begin) != NULL) {
                next = min64(next, highest_under(p, p->floor, b) + p->size[b]);
                break;
            }
        }
    }
    return next;
}

/* Puts the parts of these sections that have unplaced buffers on the list of what is to be done. */
static bt_status split(packer *p, range sections, uint32_t parent) {
    BT_TRY(RESERVE(p, pending, pending_capacity, pending_length, sections.end - sections.begin));
    range part = {0, 0};
    for (uint32_t b = p->first[sections.begin]; b < p->first[sections.end]; b++) {
        if (p->offset[b] != UNPLACED) {
            continue;
        }
        if (p->hull[b].begin >= part.end) {
            if (part.end > 0) {
                p->pending[p->pending_length++] = (component){part, parent};
            }
            part = p->hull[b];
        } else if (p->hull[b].end > part.end) {
            part.end = p->hull[b].end;
        }
    }
    if (part.end > 0) {
        p->pending[p->pending_length++] = (component){part, parent};
    }
    return BT_OK;
}

/* Infers what follows for the component and pushes its frame; *open is false if it cannot fit. */
static bt_status open_frame(packer *p, component component, bool *open) {
    frame frame = {.component = component};
    *open = false;
    collect(p, component.sections);
    BT_TRY(raise_floors(p, component.sections));
    if (!stacks_fit(p, component.sections) || wastes_a_gap(p)) {
        return BT_OK;
    }
    hash_state(p, component.sections, frame.hash);
    if (failed_before(p, frame.hash) || !pick_section(p, component.sections, &frame.section)) {
        return BT_OK;
    }
    frame.trail = p->trail_length;
    frame.pending = p->pending_length;
    BT_TRY(RESERVE(p, frames, frame_capacity, depth, 1));
    p->frames[p->depth++] = frame;
    *open = true;
    return BT_OK;
}

/* Takes the next branch of the frame; *taken is false if there is none left. */
static bt_status take_branch(packer *p, uint32_t index, bool *taken) {
    frame *frame = &p->frames[index];
    range sections = frame->component.sections;
    undo(p, frame->trail);
    p->pending_length = frame->pending;
    p->depth = (size_t)index + 1;
    *taken = false;
    BT_TRY(RESERVE(p, trail, trail_capacity, trail_length,
                   1 + (size_t)(sections.end - sections.begin)));
    uint64_t height = p->floor[frame->section];
    while (frame->next < p->count && !*taken) {
        uint32_t b = p->order[frame->next++];
        if (p->offset[b] == UNPLACED && covers(p, b, frame->section) && rests_at(p, b, height)) {
            place(p, b, height);
            *taken = true;
        }
    }
    if (!*taken && !frame->raised) {
        uint64_t next = next_floor(p, sections, frame->section);
        frame->raised = true;
        if (next < p->capacity) {
            set_skyline(p, frame->section, next, p->top[frame->section]);
            *taken = true;
        }
    }
    return *taken ? split(p, sections, index) : BT_OK;
}

/* One depth-first search, with the current order and strategy, up to node_limit. */
static bt_status search(packer *p, uint64_t node_limit, outcome *out) {
    p->depth = p->trail_length = p->pending_length = 0;
    for (uint32_t b = 0; b < p->count; b++) {
        p->offset[b] = UNPLACED;
    }
    memset(p->floor, 0, p->section_count * sizeof *p->floor);
    memset(p->top, 0, p->section_count * sizeof *p->top);
    BT_TRY(split(p, (range){0, p->section_count}, NO_FRAME));
    while (p->pending_length > 0) {
        if (p->nodes >= node_limit) {
            *out = STOPPED;
            return BT_OK;
        }
        component component = p->pending[--p->pending_length];
        bool advanced = false;
        BT_TRY(open_frame(p, component, &advanced));
        uint32_t current = advanced ? (uint32_t)(p->depth - 1) : component.parent;
        for (advanced = false; !advanced && current != NO_FRAME;) {
            BT_TRY(take_branch(p, current, &advanced));
            if (!advanced) {
                remember_failure(p, p->frames[current].hash);
                current = p->frames[current].component.parent;
            }
        }
        if (!advanced) {
            *out = EXHAUSTED;
            return BT_OK;
        }
    }
    *out = FOUND;
    return BT_OK;
}

/* Swaps some neighbours, so that a restart takes another way. */
static void perturb_order(packer *p, uint64_t *random) {
    for (uint32_t i = 0; i + 1 < p->count; i++) {
        if (random_below(random, 16) == 0) {
            uint32_t k = i + 1 + random_below(random, 8);
            k = k < p->count ? k : p->count - 1;
            uint32_t moved = p->order[i];
            p->order[i] = p->order[k];
            p->order[k] = moved;
        }
    }
}

/* Looks for a placement within capacity, with restarts. */
static bt_status search_within(packer *p, uint64_t capacity, uint64_t node_limit, outcome *out) {
    uint64_t random = 0;
    uint64_t effort = (256 + 4 * (uint64_t)p->count) * (1 + p->total_width / WORK_PER_NODE);
    p->capacity = capacity;
    *out = STOPPED;
    for (uint32_t restart = 0; *out == STOPPED && p->nodes < node_limit; restart++) {
        p->strategy = strategies[restart % STRATEGIES];
        BT_TRY(sort_order(p, orders[p->strategy.order]));
        if (restart >= STRATEGIES) {
            perturb_order(p, &random);
        }
        BT_TRY(search(p, p->nodes + min64(effort, node_limit - p->nodes), out));
        if (restart % STRATEGIES == STRATEGIES - 1) {
            effort *= 2;
        }
    }
    if (*out == FOUND) {
        uint64_t height = 0;
        for (uint32_t b = 0; b < p->count; b++) {
            height = max64(height, p->offset[b] + p->size[b]);
        }
        keep_if_lower(p, height);
    }
    return BT_OK;
}

/*
 * Lowers the height by searches below it: first at the lower bound, then by bisection of the
 * capacities that were not given up, and at last just below the best height.
 */
static bt_status minimize(packer *p, uint64_t node_limit) {
    uint64_t open = p->lower_bound; /* the lowest capacity that was not given up */
    bool first = true;
    while (p->lower_bound < p->best_height && p->nodes < node_limit) {
        bool last = open >= p->best_height;
        uint64_t goal = p->best_height - 1;
        uint64_t share = node_limit - p->nodes;
        outcome outcome;
        if (!last) {
            goal = first ? open : open + (goal - open) / 2;
            share = share / 4 + 1;
        }
        BT_TRY(search_within(p, goal, p->nodes + share, &outcome));
        if (outcome == EXHAUSTED) {
            p->lower_bound = goal + 1;
        }
        if (outcome != FOUND) {
            open = goal + 1;
        }
        first = false;
    }
    return BT_OK;
}

/* ------------------------------------------------------------------------------------ all of it */

static bt_status solve(packer *p, uint64_t capacity, uint64_t node_budget, bt_pack_result *out) {
    uint64_t limit = capacity / p->unit;
    uint64_t goal = capacity == 0 ? p->lower_bound : max64(limit, p->lower_bound);
    outcome outcome = STOPPED;
    BT_TRY(try_greedy_orders(p, goal, node_budget));
    if (p->best_height > goal && (capacity == 0 || limit >= p->lower_bound)) {
        BT_TRY(improve_locally(p, goal, node_budget / 16));
        if (capacity == 0) {
            BT_TRY(minimize(p, node_budget));
        } else if (p->best_height > goal) {
            BT_TRY(search_within(p, goal, node_budget, &outcome));
            if (outcome == EXHAUSTED) {
                p->lower_bound = goal + 1;
            }
        }
    }
    out->height = p->best_height * p->unit;
    out->lower_bound = p->lower_bound * p->unit;
    out->nodes = p->nodes;
    if (capacity != 0 && p->lower_bound > limit) {
        out->verdict = BT_PACK_INFEASIBLE;
    } else if (p->best_height == p->lower_bound) {
        out->verdict = BT_PACK_OPTIMAL;
    } else {
        out->verdict = capacity != 0 && p->best_height <= limit ? BT_PACK_FITS : BT_PACK_BUDGET;
    }
    return BT_OK;
}

bt_status bt_pack(const bt_pack_buffer *buffers, uint32_t count, uint64_t capacity,
                  uint64_t node_budget, uint64_t *offsets, bt_pack_result *out) {
    uint32_t interval_count;
    bt_pack_result result = {0};
    packer p = {.unit = 1, .best_height = UINT64_MAX};
    BT_REQUIRE(out);
    if (count > 0) {
        BT_REQUIRE(buffers);
        BT_REQUIRE(offsets);
    }
    BT_TRY(check(buffers, count, &interval_count));
    bt_status status = packer_make(&p, buffers, count, interval_count, node_budget);
    if (status == BT_OK) {
        status = solve(&p, capacity, node_budget, &result);
    }
    if (status == BT_OK) {
        for (uint32_t i = 0; i < count; i++) {
            offsets[i] = 0; /* of buffers without bytes */
        }
        for (uint32_t b = 0; b < p.count; b++) {
            offsets[p.origin[b]] = p.best[b] * p.unit;
        }
        *out = result;
    }
    packer_free(&p);
    return status;
}
