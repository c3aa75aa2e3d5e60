/*
 * Matrix product of strided operands into a dense (batch, M, N).
 *
 * Order of sums: an element starts from its previous value (accumulate) or 0, plus its bias; then
 * for every block of BT_REDUCTION_BLOCK entries of K the block is summed from 0, one multiply-add
 * per entry in order, and added.
 */
#include "kernels/kernels.h"
#include "kernels/tile.h"

typedef struct product {
    uint32_t batch, m, n, k;
    int32_t a_batch, a_m, a_k;
    int32_t b_batch, b_k, b_n;
    const float *a;
    const float *b;
    float *c;
} product;

/* Element (batch, row, column) without its start. */
static void add_element(const product *p, const float *a, const float *b, float *c) {
    float total = *c;
    for (uint32_t k = 0; k < p->k; k += BT_REDUCTION_BLOCK) {
        uint32_t end = bt_min(p->k, k + BT_REDUCTION_BLOCK);
        float sum = 0.0f;
        for (uint32_t i = k; i < end; i++) {
            sum = bt_fma(a[(int32_t)i * p->a_k], b[(int32_t)i * p->b_k], sum);
        }
        total += sum;
    }
    *c = total;
}

/* Rows [first, last) of columns [column, column + columns), at most BT_TILE, of one batch. */
static void add_columns(const product *p, const float *a, const float *b, float *c, uint32_t first,
                        uint32_t last, uint32_t column, uint32_t columns) {
    const float *right = b + (int32_t)column * p->b_n;
    uint32_t direct = p->b_n == 1 && columns == BT_TILE;
#if BT_LANES > 1
    /* Laying the columns side by side pays if several rows use them. */
    float packed[BT_REDUCTION_BLOCK * BT_TILE];
    uint32_t tiled = direct || last - first >= BT_TILE_CHANNELS;
#else
    uint32_t tiled = direct;
#endif
    if (!tiled) {
        for (uint32_t m = first; m < last; m++) {
            for (uint32_t i = 0; i < columns; i++) {
                add_element(p, a + (int32_t)m * p->a_m, right + (int32_t)i * p->b_n,
                            c + m * p->n + column + i);
            }
        }
        return;
    }
    for (uint32_t k = 0; k < p->k; k += BT_REDUCTION_BLOCK) {
        uint32_t count = bt_min(BT_REDUCTION_BLOCK, p->k - k);
        const float *tile = right + (int32_t)k * p->b_k;
        int32_t step = p->b_k;
#if BT_LANES > 1
        if (!direct) {
            for (uint32_t i = 0; i < count; i++) {
                for (uint32_t j = 0; j < BT_TILE; j++) {
                    packed[i * BT_TILE + j] =
                        j < columns ? tile[(int32_t)i * p->b_k + (int32_t)j * p->b_n] : 0.0f;
                }
            }
            tile = packed;
            step = BT_TILE;
        }
#endif
        for (uint32_t m = first; m < last; m += BT_TILE_CHANNELS) {
            uint32_t rows = bt_min(BT_TILE_CHANNELS, last - m);
            const float *left = a + (int32_t)m * p->a_m + (int32_t)k * p->a_k;
            float sum[BT_TILE_CHANNELS][BT_TILE] = {{0.0f}};
            if (rows == BT_TILE_CHANNELS) {
                bt_tile_four(sum, count, left, p->a_m, p->a_k, tile, step);
            } else {
                for (uint32_t i = 0; i < rows; i++) {
                    bt_tile_row(sum[i], BT_TILE, count, left + (int32_t)i * p->a_m, p->a_k, tile,
                                step);
                }
            }
            for (uint32_t i = 0; i < rows; i++) {
                for (uint32_t j = 0; j < columns; j++) {
                    c[(m + i) * p->n + column + j] += sum[i][j];
                }
            }
        }
    }
}

/* a b bias? c. Units of work: (batch, BT_TILE columns, four rows). */
void BT_KERNEL(bt_matmul)(const bt_call *call, const bt_team *team) {
    const int32_t *attribute = call->attribute;
    product p = {bt_call_count(call, 0),
                 bt_call_count(call, 1),
                 bt_call_count(call, 2),
                 bt_call_count(call, 3),
                 attribute[4],
                 attribute[5],
                 attribute[6],
                 attribute[7],
                 attribute[8],
                 attribute[9],
                 bt_call_operand(call, 0),
                 bt_call_operand(call, 1),
                 bt_call_operand(call, 3)};
    const float *bias = bt_call_operand(call, 2);
    uint32_t accumulate = bt_call_count(call, 10);
    uint32_t tiles = bt_divide_up(p.n, BT_TILE);
    uint32_t quads = bt_divide_up(p.m, BT_TILE_CHANNELS);
    uint32_t begin, end, next;
    bt_team_share(team, p.batch * tiles * quads, &begin, &end);
    for (uint32_t unit = begin; unit < end; unit = next) {
        uint32_t batch = unit / quads / tiles;
        uint32_t column = unit / quads % tiles * BT_TILE;
        uint32_t columns = bt_min(BT_TILE, p.n - column);
        uint32_t first = unit % quads * BT_TILE_CHANNELS;
        next = bt_min(end, unit + quads - unit % quads);
        uint32_t last = bt_min(p.m, first + (next - unit) * BT_TILE_CHANNELS);
        float *c = p.c + batch * p.m * p.n;
        for (uint32_t m = first; m < last; m++) {
            for (uint32_t i = column; i < column + columns; i++) {
                float start = accumulate ? c[m * p.n + i] : 0.0f;
                c[m * p.n + i] = bias ? start + bias[i] : start;
            }
        }
        add_columns(&p, p.a + (int32_t)batch * p.a_batch, p.b + (int32_t)batch * p.b_batch, c,
                    first, last, column, columns);
    }
}
