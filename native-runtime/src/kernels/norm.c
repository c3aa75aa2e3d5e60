/*
 * Group, layer and instance normalisation: rows are normalised one by one.
 *
 * Statistics are sums over the blocks of a row (reduce.h): the mean first, then the squares of the
 * differences. With span > 1 a block never crosses a channel: every channel of a row is cut into
 * blocks of its own, ordered by channel, then position. With span == 1 the whole row is cut. All
 * cores share the blocks of all rows; a block's sum goes to partials, and after a barrier every
 * core that needs a row's statistics folds that row's blocks in order.
 */
#include "kernels/math.h"
#include "kernels/reduce.h"

typedef struct rows_view {
    uint32_t rows, length;
    uint32_t groups;   /* rows r, r + groups, … share parameters */
    uint32_t channels; /* parameters of a row */
    uint32_t span;     /* neighbouring elements that share a parameter */
    uint32_t piece;    /* elements of a row that are cut into blocks together */
    uint32_t piece_blocks;
    uint32_t blocks; /* of a row */
    float epsilon;
} rows_view;

/* A block of a row, and what it reads of the parameters. */
typedef struct row_block {
    uint32_t row;
    uint32_t number;    /* in its row */
    uint32_t start;     /* first element, in the tensor */
    uint32_t count;     /* elements */
    uint32_t parameter; /* of the first element */
} row_block;

static rows_view rows_view_get(const bt_call *call) {
    rows_view v;
    v.rows = bt_call_count(call, 0);
    v.length = bt_call_count(call, 1);
    v.groups = bt_call_count(call, 2);
    v.channels = bt_call_count(call, 3);
    v.span = bt_call_count(call, 4);
    v.piece = v.span > 1 ? v.span : v.length;
    v.piece_blocks = bt_divide_up(v.piece, BT_REDUCTION_BLOCK);
    v.blocks = v.length / v.piece * v.piece_blocks;
    v.epsilon = bt_call_float(call, 5);
    return v;
}

static row_block row_block_get(const rows_view *v, uint32_t unit) {
    row_block b;
    b.row = unit / v->blocks;
    b.number = unit % v->blocks;
    uint32_t piece = b.number / v->piece_blocks;
    uint32_t first = b.number % v->piece_blocks * BT_REDUCTION_BLOCK;
    b.start = b.row * v->length + piece * v->piece + first;
    b.count = bt_min(BT_REDUCTION_BLOCK, v->piece - first);
    b.parameter = b.row % v->groups * v->channels + (v->span > 1 ? piece : first);
    return b;
}

/* Sum over the blocks of a row of entry which (0 or 1) of their partials. */
static float fold_blocks(const float *partials, uint32_t blocks, uint32_t row, uint32_t which) {
    float total = 0.0f;
    for (uint32_t block = 0; block < blocks; block++) {
        total += partials[(row * blocks + block) * 2 + which];
    }
    return total;
}

static float fold(const rows_view *v, const float *partials, uint32_t row, uint32_t which) {
    return fold_blocks(partials, v->blocks, row, which);
}

/* What the n elements of a block from element first on read of a parameter, as a chunk; fallback
 * without one. */
static void spread(const rows_view *v, const row_block *b, const float *parameter, float fallback,
                   uint32_t first, uint32_t n, float out[BT_CHUNK]) {
    if (parameter && v->span == 1) {
        bt_chunk_load(parameter + b->parameter + first, n, out);
        return;
    }
    float value = parameter ? parameter[b->parameter] : fallback;
    for (uint32_t i = 0; i < BT_CHUNK; i++) {
        out[i] = value;
    }
}

/* y of one block. */
static void normalize_block(const rows_view *v, const row_block *b, const float *x,
                            const float *scale, const float *bias, float mean, float inverse,
                            float *y) {
    for (uint32_t first = 0; first < b->count; first += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, b->count - first);
        float value[BT_CHUNK], factor[BT_CHUNK], result[BT_CHUNK];
        bt_chunk_load(x + b->start + first, n, value);
        spread(v, b, scale, 1.0f, first, n, factor);
        spread(v, b, bias, 0.0f, first, n, result);
        for (uint32_t i = 0; i < BT_CHUNK; i++) {
            result[i] = bt_fma((value[i] - mean) * inverse, factor[i], result[i]);
        }
        bt_chunk_store(result, n, y + b->start + first);
    }
}

/* Sums of g = dy * scale and of g times the normalised x over one block. */
static void sum_gradient_block(const rows_view *v, const row_block *b, const float *x,
                               const float *dy, const float *scale, float mean, float inverse,
                               float sums[2]) {
    bt_sum plain, normalized;
    bt_sum_clear(&plain);
    bt_sum_clear(&normalized);
    for (uint32_t first = 0; first < b->count; first += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, b->count - first);
        float g[BT_CHUNK], gradient[BT_CHUNK], product[BT_CHUNK];
        spread(v, b, scale, 1.0f, first, n, g);
        bt_chunk_load(dy + b->start + first, n, gradient);
        bt_chunk_load(x + b->start + first, n, product);
        for (uint32_t i = 0; i < BT_CHUNK; i++) {
            g[i] *= gradient[i];
            product[i] = g[i] * ((product[i] - mean) * inverse);
        }
        bt_sum_add(&plain, g, n);
        bt_sum_add(&normalized, product, n);
    }
    sums[0] = bt_sum_value(&plain);
    sums[1] = bt_sum_value(&normalized);
}

/* dx of one block, with the means of g and of g times the normalised x. */
static void gradient_block(const rows_view *v, const row_block *b, const float *x, const float *dy,
                           const float *scale, float mean, float inverse, float mean_g,
                           float mean_gn, float *dx) {
    for (uint32_t first = 0; first < b->count; first += BT_CHUNK) {
        uint32_t n = bt_min(BT_CHUNK, b->count - first);
        float g[BT_CHUNK], gradient[BT_CHUNK], value[BT_CHUNK];
        spread(v, b, scale, 1.0f, first, n, g);
        bt_chunk_load(dy + b->start + first, n, gradient);
        bt_chunk_load(x + b->start + first, n, value);
        for (uint32_t i = 0; i < BT_CHUNK; i++) {
            float normalized = (value[i] - mean) * inverse;
            g[i] = inverse * bt_fma(-normalized, mean_gn, g[i] * gradient[i] - mean_g);
        }
        bt_chunk_store(g, n, dx + b->start + first);
    }
}

/* x scale? bias? y stats partials; y may take the place of x. */
void BT_KERNEL(bt_norm_forward)(const bt_call *call, const bt_team *team) {
    rows_view v = rows_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *scale = bt_call_operand(call, 1);
    const float *bias = bt_call_operand(call, 2);
    float *y = bt_call_operand(call, 3);
    float *stats = bt_call_operand(call, 4);
    float *partials = bt_call_operand(call, 5);
    float elements = (float)v.length;
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.blocks, &begin, &end);

    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        partials[unit * 2] = bt_block_sum(x + b.start, b.count);
        partials[unit * 2 + 1] = 0.0f; /* all that is planned for is written */
    }
    bt_team_barrier(team);
    float mean = 0.0f;
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        if (unit == begin || b.number == 0) {
            mean = fold(&v, partials, b.row, 0) / elements;
        }
        partials[unit * 2 + 1] = bt_block_variance(x + b.start, mean, b.count);
    }
    bt_team_barrier(team);
    float inverse = 0.0f;
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        if (unit == begin || b.number == 0) {
            mean = fold(&v, partials, b.row, 0) / elements;
            inverse = 1.0f / bt_sqrtf(fold(&v, partials, b.row, 1) / elements + v.epsilon);
        }
        if (b.number == 0) {
            stats[b.row * 2] = mean;
            stats[b.row * 2 + 1] = inverse;
        }
        normalize_block(&v, &b, x, scale, bias, mean, inverse, y);
    }
}

/*
 * x dy scale? stats dx partials; dx may take the place of x or dy. With g = dy * scale and the
 * normalised n = (x - mean) * inverse: dx = inverse * (g - mean(g) - n * mean(g * n)).
 */
void BT_KERNEL(bt_norm_grad_input)(const bt_call *call, const bt_team *team) {
    rows_view v = rows_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *dy = bt_call_operand(call, 1);
    const float *scale = bt_call_operand(call, 2);
    const float *stats = bt_call_operand(call, 3);
    float *dx = bt_call_operand(call, 4);
    float *partials = bt_call_operand(call, 5);
    float elements = (float)v.length;
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.blocks, &begin, &end);

    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        sum_gradient_block(&v, &b, x, dy, scale, stats[b.row * 2], stats[b.row * 2 + 1],
                           partials + unit * 2);
    }
    bt_team_barrier(team);
    float mean_g = 0.0f, mean_gn = 0.0f;
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        if (unit == begin || b.number == 0) {
            mean_g = fold(&v, partials, b.row, 0) / elements;
            mean_gn = fold(&v, partials, b.row, 1) / elements;
        }
        gradient_block(&v, &b, x, dy, scale, stats[b.row * 2], stats[b.row * 2 + 1], mean_g,
                       mean_gn, dx);
    }
}

/* Adds a parameter's block sums, number which of their partials, in order. */
static float add_blocks(const rows_view *v, const float *partials, uint32_t parameter,
                        uint32_t which, float sum) {
    uint32_t first = parameter % v->channels * v->piece_blocks;
    for (uint32_t row = parameter / v->channels; row < v->rows; row += v->groups) {
        for (uint32_t block = 0; block < v->piece_blocks; block++) {
            sum += partials[(row * v->blocks + first + block) * 2 + which];
        }
    }
    return sum;
}

/* Parameters that every element of a row has one of: no sum but that over rows. */
static void add_single_elements(const rows_view *v, const float *x, const float *dy,
                                const float *stats, float *dscale, float *dbias,
                                const bt_team *team) {
    uint32_t begin, end;
    bt_team_share(team, v->groups * v->channels, &begin, &end);
    for (uint32_t p = begin; p < end; p++) {
        for (uint32_t row = p / v->channels; row < v->rows; row += v->groups) {
            uint32_t at = row * v->length + p % v->channels;
            if (dscale) {
                dscale[p] += dy[at] * ((x[at] - stats[row * 2]) * stats[row * 2 + 1]);
            }
            if (dbias) {
                dbias[p] += dy[at];
            }
        }
    }
}

/*
 * x dy stats dscale+=? dbias+=? partials. Cores share the blocks, which are those of the rows, and
 * then the parameters.
 */
void BT_KERNEL(bt_norm_grad_parameters)(const bt_call *call, const bt_team *team) {
    rows_view v = rows_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *dy = bt_call_operand(call, 1);
    const float *stats = bt_call_operand(call, 2);
    float *dscale = bt_call_operand(call, 3);
    float *dbias = bt_call_operand(call, 4);
    float *partials = bt_call_operand(call, 5);
    uint32_t begin, end;
    if (v.span == 1) {
        add_single_elements(&v, x, dy, stats, dscale, dbias, team);
        return;
    }
    bt_team_share(team, v.rows * v.blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        if (dscale) {
            partials[unit * 2] = bt_block_normalized_dot(
                x + b.start, dy + b.start, stats[b.row * 2], stats[b.row * 2 + 1], b.count);
        }
        if (dbias) {
            partials[unit * 2 + 1] = bt_block_sum(dy + b.start, b.count);
        }
    }
    bt_team_barrier(team);
    bt_team_share(team, v.groups * v.channels, &begin, &end);
    for (uint32_t p = begin; p < end; p++) {
        if (dscale) {
            dscale[p] = add_blocks(&v, partials, p, 0, dscale[p]);
        }
        if (dbias) {
            dbias[p] = add_blocks(&v, partials, p, 1, dbias[p]);
        }
    }
}

/* ---- the same in parts: some of the channels at a time, the same sums in the same order */

/* x partials */
void BT_KERNEL(bt_norm_sums)(const bt_call *call, const bt_team *team) {
    rows_view v = rows_view_get(call);
    const float *x = bt_call_operand(call, 0);
    float *partials = bt_call_operand(call, 1);
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        partials[unit * 2] = bt_block_sum(x + b.start, b.count);
    }
}

/* x stats partials+= */
void BT_KERNEL(bt_norm_squares)(const bt_call *call, const bt_team *team) {
    rows_view v = rows_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *stats = bt_call_operand(call, 1);
    float *partials = bt_call_operand(call, 2);
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        partials[unit * 2 + 1] = bt_block_variance(x + b.start, stats[b.row * 2], b.count);
    }
}

/* partials out */
void BT_KERNEL(bt_norm_fold)(const bt_call *call, const bt_team *team) {
    const float *partials = bt_call_operand(call, 0);
    float *out = bt_call_operand(call, 1);
    uint32_t blocks = bt_call_count(call, 1);
    float elements = (float)bt_call_count(call, 2);
    float epsilon = bt_call_float(call, 3);
    uint32_t quantity = bt_call_count(call, 4);
    uint32_t begin, end;
    bt_team_share(team, bt_call_count(call, 0), &begin, &end);
    for (uint32_t row = begin; row < end; row++) {
        out[row * 2] = fold_blocks(partials, blocks, row, 0) / elements;
        out[row * 2 + 1] = 0.0f;
        if (quantity != BT_FOLD_MEAN) {
            float mean = fold_blocks(partials, blocks, row, 1) / elements;
            out[row * 2 + 1] =
                quantity == BT_FOLD_STATISTICS ? 1.0f / bt_sqrtf(mean + epsilon) : mean;
        }
    }
}

/* x scale? bias? stats y; y may take the place of x. */
void BT_KERNEL(bt_norm_apply)(const bt_call *call, const bt_team *team) {
    rows_view v = rows_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *scale = bt_call_operand(call, 1);
    const float *bias = bt_call_operand(call, 2);
    const float *stats = bt_call_operand(call, 3);
    float *y = bt_call_operand(call, 4);
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        normalize_block(&v, &b, x, scale, bias, stats[b.row * 2], stats[b.row * 2 + 1], y);
    }
}

/* x dy scale? stats partials */
void BT_KERNEL(bt_norm_grad_sums)(const bt_call *call, const bt_team *team) {
    rows_view v = rows_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *dy = bt_call_operand(call, 1);
    const float *scale = bt_call_operand(call, 2);
    const float *stats = bt_call_operand(call, 3);
    float *partials = bt_call_operand(call, 4);
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        sum_gradient_block(&v, &b, x, dy, scale, stats[b.row * 2], stats[b.row * 2 + 1],
                           partials + unit * 2);
    }
}

/* x dy scale? stats means dx; dx may take the place of x or dy. */
void BT_KERNEL(bt_norm_grad_apply)(const bt_call *call, const bt_team *team) {
    rows_view v = rows_view_get(call);
    const float *x = bt_call_operand(call, 0);
    const float *dy = bt_call_operand(call, 1);
    const float *scale = bt_call_operand(call, 2);
    const float *stats = bt_call_operand(call, 3);
    const float *means = bt_call_operand(call, 4);
    float *dx = bt_call_operand(call, 5);
    uint32_t begin, end;
    bt_team_share(team, v.rows * v.blocks, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit++) {
        row_block b = row_block_get(&v, unit);
        gradient_block(&v, &b, x, dy, scale, stats[b.row * 2], stats[b.row * 2 + 1],
                       means[b.row * 2], means[b.row * 2 + 1], dx);
    }
}
