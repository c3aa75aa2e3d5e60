/* Pools, matrix products and moves of elements against double precision. */
#include "kernel_case.h"

/* --------------------------------------------------------------------------------------- pools */

typedef struct pool_shape {
    const char *name;
    uint32_t rank, planes, h, w; /* planes are the channels of one sample */
    int32_t kernel[2], stride[2], pad[4];
} pool_shape;

static const pool_shape pool_shapes[] = {
    {"1x8", 4, 3, 1, 237, {1, 8}, {1, 8}, {0, 0, 0, 0}},
    {"overlapping", 4, 2, 2, 50, {1, 4}, {1, 2}, {0, 0, 0, 0}},
    {"padded", 4, 2, 7, 11, {2, 3}, {2, 2}, {1, 1, 1, 2}},
    {"padded, overlapping", 4, 1, 9, 10, {3, 3}, {1, 1}, {1, 1, 1, 1}},
    {"gaps", 4, 2, 8, 9, {2, 2}, {3, 4}, {0, 0, 0, 0}},
    {"signal", 3, 4, 1, 33, {1, 5}, {1, 3}, {0, 2, 0, 1}},
    {"global", 4, 5, 3, 7, {3, 7}, {1, 1}, {0, 0, 0, 0}},
    {"large window", 4, 1, 20, 40, {17, 20}, {3, 20}, {0, 0, 0, 0}},
    {"one element", 4, 1, 1, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}},
};

typedef struct pool_problem {
    const pool_shape *shape;
    uint32_t out_h, out_w, x_count, y_count;
    uint32_t x_dims[4], y_dims[4];
    float *x, *dy;
} pool_problem;

static pool_problem pool_problem_new(const pool_shape *s) {
    pool_problem p = {.shape = s};
    p.out_h = (uint32_t)(((int32_t)s->h + s->pad[0] + s->pad[2] - s->kernel[0]) / s->stride[0] + 1);
    p.out_w = (uint32_t)(((int32_t)s->w + s->pad[1] + s->pad[3] - s->kernel[1]) / s->stride[1] + 1);
    p.x_count = s->planes * s->h * s->w;
    p.y_count = s->planes * p.out_h * p.out_w;
    uint32_t skip = 4 - s->rank;
    memcpy(p.x_dims, (uint32_t[]){1, s->planes, s->h, s->w}, sizeof p.x_dims);
    memcpy(p.y_dims, (uint32_t[]){1, s->planes, p.out_h, p.out_w}, sizeof p.y_dims);
    if (skip) {
        p.x_dims[2] = s->w;
        p.y_dims[2] = p.out_w;
    }
    p.x = random_floats(p.x_count);
    p.dy = random_floats(p.y_count);
    return p;
}

static void pool_problem_free(pool_problem *p) {
    free(p->x);
    free(p->dy);
}

/* Input element of tap (kh, kw) of output y, or -1 in the padding. */
static int64_t pool_tap(const pool_problem *p, uint32_t y, int32_t kh, int32_t kw) {
    const pool_shape *s = p->shape;
    int32_t ow = (int32_t)(y % p->out_w), oh = (int32_t)(y / p->out_w % p->out_h);
    int64_t plane = y / p->out_w / p->out_h;
    int32_t ih = oh * s->stride[0] - s->pad[0] + kh, iw = ow * s->stride[1] - s->pad[1] + kw;
    if (ih < 0 || ih >= (int32_t)s->h || iw < 0 || iw >= (int32_t)s->w) {
        return -1;
    }
    return (plane * s->h + ih) * s->w + iw;
}

static float *copy(const float *x, uint32_t count) {
    float *out = malloc(count * sizeof *out);
    memcpy(out, x, count * sizeof *out);
    return out;
}

static void pool_attributes(kernel_case *c, const pool_shape *s, int32_t count_include_pad) {
    case_attributes(c, s->kernel, 2);
    case_attributes(c, s->stride, 2);
    case_attributes(c, s->pad, 4);
    case_attribute(c, count_include_pad);
}

static void average_pools(void) {
    for (size_t i = 0; i < sizeof pool_shapes / sizeof *pool_shapes; i++) {
        const pool_shape *s = &pool_shapes[i];
        for (int32_t include = 0; include < 2; include++) {
            pool_problem p = pool_problem_new(s);
            double *y = zeros(p.y_count), *dx = zeros(p.x_count);
            for (uint32_t o = 0; o < p.y_count; o++) {
                int32_t inside = 0;
                for (int32_t k = 0; k < s->kernel[0] * s->kernel[1]; k++) {
                    inside += pool_tap(&p, o, k / s->kernel[1], k % s->kernel[1]) >= 0;
                }
                double count = include ? s->kernel[0] * s->kernel[1] : inside;
                for (int32_t k = 0; k < s->kernel[0] * s->kernel[1]; k++) {
                    int64_t at = pool_tap(&p, o, k / s->kernel[1], k % s->kernel[1]);
                    if (at >= 0) {
                        y[o] += p.x[at] / count;
                        dx[at] += p.dy[o] / count;
                    }
                }
            }
            kernel_case *c = case_new(s->name, BT_OPCODE_AVERAGE_POOL_FORWARD);
            case_f32(c, s->rank, p.x_dims, copy(p.x, p.x_count), NULL);
            case_f32(c, s->rank, p.y_dims, NULL, y);
            pool_attributes(c, s, include);
            check_case(c);
            c = case_new(s->name, BT_OPCODE_AVERAGE_POOL_GRAD);
            case_f32(c, s->rank, p.y_dims, copy(p.dy, p.y_count), NULL);
            case_f32(c, s->rank, p.x_dims, NULL, dx);
            pool_attributes(c, s, include);
            check_case(c);
            pool_problem_free(&p);
        }
    }
}

/* x is coarse, so that windows hold equal maxima: the first one counts. */
static void max_pools(void) {
    for (size_t i = 0; i < sizeof pool_shapes / sizeof *pool_shapes; i++) {
        const pool_shape *s = &pool_shapes[i];
        pool_problem p = pool_problem_new(s);
        for (uint32_t k = 0; k < p.x_count; k++) {
            p.x[k] = (float)(int32_t)(p.x[k] * 3) - 5; /* below the 0 of a padding */
        }
        uint32_t dtype = s->kernel[0] * s->kernel[1] > 256 ? BT_DTYPE_U16 : BT_DTYPE_U8;
        double *y = zeros(p.y_count), *argmax = zeros(p.y_count), *dx = zeros(p.x_count);
        for (uint32_t o = 0; o < p.y_count; o++) {
            int64_t winner = -1;
            for (int32_t k = 0; k < s->kernel[0] * s->kernel[1]; k++) {
                int64_t at = pool_tap(&p, o, k / s->kernel[1], k % s->kernel[1]);
                if (at >= 0 && (winner < 0 || p.x[at] > p.x[winner])) {
                    winner = at;
                    argmax[o] = k;
                }
            }
            y[o] = p.x[winner];
            dx[winner] += p.dy[o];
        }
        uint8_t *indices = malloc(p.y_count * bt_dtype_bytes(dtype));
        for (uint32_t o = 0; o < p.y_count; o++) {
            if (dtype == BT_DTYPE_U8) {
                indices[o] = (uint8_t)argmax[o];
            } else {
                ((uint16_t *)(void *)indices)[o] = (uint16_t)argmax[o];
            }
        }
        kernel_case *c = case_new(s->name, BT_OPCODE_MAX_POOL_FORWARD);
        case_f32(c, s->rank, p.x_dims, copy(p.x, p.x_count), NULL);
        double *y_alone = to_double(p.dy, p.y_count);
        memcpy(y_alone, y, p.y_count * sizeof *y);
        case_f32(c, s->rank, p.y_dims, NULL, y);
        case_operand(c, dtype, s->rank, p.y_dims, NULL, argmax);
        pool_attributes(c, s, 0);
        c->tolerance = 0;
        check_case(c);
        c = case_new("max pool of inference", BT_OPCODE_MAX_POOL_FORWARD);
        case_f32(c, s->rank, p.x_dims, copy(p.x, p.x_count), NULL);
        case_f32(c, s->rank, p.y_dims, NULL, y_alone);
        case_absent(c);
        pool_attributes(c, s, 0);
        check_case(c);
        c = case_new(s->name, BT_OPCODE_MAX_POOL_GRAD);
        case_f32(c, s->rank, p.y_dims, copy(p.dy, p.y_count), NULL);
        case_operand(c, dtype, s->rank, p.y_dims, indices, NULL);
        case_f32(c, s->rank, p.x_dims, NULL, dx);
        pool_attributes(c, s, 0);
        check_case(c);
        pool_problem_free(&p);
    }
}

static void nan_wins_a_max_pool(void) {
    float x[] = {1, 2, NAN, 3, NAN, 9, 4, -INFINITY};
    uint32_t x_dims[] = {1, 1, 1, 8}, y_dims[] = {1, 1, 1, 2};
    int32_t attributes[] = {1, 4, 1, 4, 0, 0, 0, 0, 0};
    double *y = zeros(2), *argmax = zeros(2);
    y[0] = y[1] = NAN;
    argmax[0] = 2;
    kernel_case *c = case_new("NaN", BT_OPCODE_MAX_POOL_FORWARD);
    case_f32(c, 4, x_dims, copy(x, 8), NULL);
    case_f32(c, 4, y_dims, NULL, y);
    case_operand(c, BT_DTYPE_U8, 4, y_dims, NULL, argmax);
    case_attributes(c, attributes, 9);
    check_case(c);
}

/* A damaged argmax must not write outside dx; it gives nothing. */
static void argmax_outside_the_window_is_ignored(void) {
    uint32_t x_dims[] = {1, 1, 2, 5}, y_dims[] = {1, 1, 1, 2};
    int32_t attributes[] = {2, 3, 2, 3, 0, 1, 0, 0, 0};
    uint8_t *argmax = malloc(2);
    argmax[0] = 0; /* in the padding */
    argmax[1] = 200;
    float dy[] = {1, 1};
    kernel_case *c = case_new("damaged argmax", BT_OPCODE_MAX_POOL_GRAD);
    case_f32(c, 4, y_dims, copy(dy, 2), NULL);
    case_operand(c, BT_DTYPE_U8, 4, y_dims, argmax, NULL);
    case_f32(c, 4, x_dims, NULL, zeros(10));
    case_attributes(c, attributes, 9);
    check_case(c);
}

/* ------------------------------------------------------------------------------ matrix products */

typedef struct matmul_shape {
    uint32_t batch, m, n, k;
    int a_transposed, b_transposed, b_shared, with_bias, accumulate;
} matmul_shape;

static const matmul_shape matmul_shapes[] = {
    {1, 1, 1, 1, 0, 0, 0, 0, 0},     {1, 1, 2, 928, 0, 1, 0, 1, 0},  {1, 8, 11, 16, 0, 1, 0, 1, 0},
    {1, 5, 37, 19, 0, 0, 0, 0, 0},   {1, 11, 64, 8, 1, 0, 0, 0, 1},  {3, 6, 33, 40, 0, 1, 0, 0, 0},
    {2, 9, 70, 600, 0, 0, 0, 1, 1},  {2, 7, 5, 300, 1, 1, 0, 0, 0},  {4, 3, 16, 17, 0, 0, 1, 0, 0},
    {1, 64, 64, 256, 0, 1, 0, 0, 0}, {1, 1, 40, 257, 1, 0, 0, 0, 1},
};

static void matrix_products(void) {
    for (size_t i = 0; i < sizeof matmul_shapes / sizeof *matmul_shapes; i++) {
        const matmul_shape *s = &matmul_shapes[i];
        int32_t m = (int32_t)s->m, n = (int32_t)s->n, k = (int32_t)s->k;
        uint32_t a_count = s->batch * s->m * s->k, c_count = s->batch * s->m * s->n;
        uint32_t b_count = (s->b_shared ? 1 : s->batch) * s->k * s->n;
        float *a = random_floats(a_count), *b = random_floats(b_count);
        float *bias = random_floats(s->n), *c_before = random_floats(c_count);
        int32_t attributes[] = {(int32_t)s->batch,
                                m,
                                n,
                                k,
                                m * k,
                                s->a_transposed ? 1 : k,
                                s->a_transposed ? m : 1,
                                s->b_shared ? 0 : k * n,
                                s->b_transposed ? 1 : n,
                                s->b_transposed ? k : 1,
                                s->accumulate};
        double *expected = zeros(c_count);
        for (uint32_t e = 0; e < c_count; e++) {
            int32_t column = (int32_t)(e % s->n), row = (int32_t)(e / s->n % s->m);
            int32_t batch = (int32_t)(e / s->n / s->m);
            expected[e] = (s->accumulate ? c_before[e] : 0) + (s->with_bias ? bias[column] : 0);
            for (int32_t l = 0; l < k; l++) {
                expected[e] +=
                    (double)a[batch * attributes[4] + row * attributes[5] + l * attributes[6]] *
                    b[batch * attributes[7] + l * attributes[8] + column * attributes[9]];
            }
        }
        uint32_t dims[] = {s->batch, s->m, s->n};
        kernel_case *c = case_new("matmul", BT_OPCODE_MATMUL);
        case_vector(c, a_count, a, NULL);
        case_vector(c, b_count, b, NULL);
        if (s->with_bias) {
            case_vector(c, s->n, bias, NULL);
        } else {
            case_absent(c);
            free(bias);
        }
        case_f32(c, 3, dims, c_before, expected);
        case_attributes(c, attributes, 11);
        check_case(c);
    }
}

/* --------------------------------------------------------------------------------------- moves */

static void transpositions(void) {
    static const struct {
        uint32_t rank, x[5];
        int32_t permutation[5];
    } cases[] = {
        {1, {7}, {0}},
        {2, {13, 70}, {1, 0}},
        {3, {2, 3, 5}, {0, 2, 1}},
        {4, {2, 3, 4, 5}, {3, 1, 0, 2}},
        {5, {2, 3, 2, 4, 3}, {4, 2, 0, 3, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t rank = cases[i].rank, count = 1, y_dims[5], x_stride[5];
        for (uint32_t axis = rank; axis-- > 0;) {
            x_stride[axis] = count;
            count *= cases[i].x[axis];
        }
        for (uint32_t axis = 0; axis < rank; axis++) {
            y_dims[axis] = cases[i].x[cases[i].permutation[axis]];
        }
        float *x = random_floats(count);
        double *y = zeros(count);
        for (uint32_t e = 0; e < count; e++) {
            uint32_t rest = e, at = 0;
            for (uint32_t axis = rank; axis-- > 0;) {
                at += rest % y_dims[axis] * x_stride[cases[i].permutation[axis]];
                rest /= y_dims[axis];
            }
            y[e] = x[at];
        }
        kernel_case *c = case_new("transpose", BT_OPCODE_TRANSPOSE);
        case_f32(c, rank, cases[i].x, x, NULL);
        case_f32(c, rank, y_dims, NULL, y);
        case_attributes(c, cases[i].permutation, rank);
        c->tolerance = 0;
        check_case(c);
    }
}

/* What lies between the blocks stays as it was. */
static void copied_blocks(void) {
    static const int32_t cases[][6] = {
        {1, 1, 1, 0, 1, 0}, {4, 3, 5, 2, 7, 1}, {1, 100, 100, 0, 100, 20}, {9, 1, 3, 1, 2, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int32_t *a = cases[i];
        float *source = random_floats(128), *target = random_floats(128);
        double *expected = to_double(target, 128);
        for (int32_t block = 0; block < a[0]; block++) {
            for (int32_t e = 0; e < a[1]; e++) {
                expected[a[5] + block * a[4] + e] = source[a[3] + block * a[2] + e];
            }
        }
        kernel_case *c = case_new("copy blocks", BT_OPCODE_COPY_BLOCKS);
        case_vector(c, 128, source, NULL);
        case_vector(c, 128, target, expected);
        case_attributes(c, a, 6);
        c->tolerance = 0;
        check_case(c);
    }
}

/* ---------------------------------------------------------------------------- half precision */

/* The half that is nearest to x by trying all of them; ties go to the even one. */
static uint16_t nearest_half(double x) {
    if (isnan(x)) {
        return 0x7E00;
    }
    uint16_t sign = signbit(x) ? 0x8000 : 0, best = 0;
    double magnitude = fmin(fabs(x), 65504); /* the largest */
    if (isinf(x)) {
        return sign | 0x7C00;
    }
    for (uint16_t half = 0; half < 0x7C00; half++) {
        double nearer = fabs(half_value(half) - magnitude) - fabs(half_value(best) - magnitude);
        best = nearer < 0 || (nearer == 0 && half % 2 == 0) ? half : best;
    }
    return sign | best;
}

static uint16_t without_sign_of_nan(uint16_t half) {
    return (half & 0x7FFF) > 0x7C00 ? half & 0x7FFF : half;
}

static const float awkward[] = {
    0.0f,      -0.0f,        1.0f,         -1.0f,     65504.0f, 65519.9f,   65520.0f,   1e30f,
    -1e30f,    0x1p-14f,     0x1p-15f,     0x1p-24f,  0x1p-25f, 0x1.8p-25f, 0x1.8p-24f, 0x1p-26f,
    1e-30f,    0x1p-140f,    INFINITY,     -INFINITY, NAN,      2049.0f,    2051.0f,    0.1f,
    -0.33333f, 0x1.ffep-15f, 0x1.fffp-15f, 3.14159f,  1023.75f, -7e-6f};

static void halves_are_the_nearest_ones(void) {
    enum { AWKWARD = sizeof awkward / sizeof *awkward, COUNT = AWKWARD + 300 };
    static const int32_t exponents[] = {0, 12, -3};
    for (uint32_t e = 0; e < 3; e++) {
        float *x = random_floats(COUNT);
        uint16_t expected[COUNT];
        for (uint32_t i = 0; i < COUNT; i++) {
            x[i] = i < AWKWARD ? awkward[i] : ldexpf(x[i], (int)(i % 40) - 26);
            expected[i] = nearest_half(ldexp((double)x[i], exponents[e]));
        }
        kernel_case *c = case_new("to half", BT_OPCODE_CONVERT);
        const uint32_t count = COUNT;
        case_vector(c, count, x, NULL);
        uint16_t *y = case_operand(c, BT_DTYPE_F16, 1, &count, NULL, NULL);
        case_attribute(c, exponents[e]);
        run_call(bt_kernels_baseline[BT_OPCODE_CONVERT], &c->call, 1);
        for (uint32_t i = 0; i < COUNT; i++) {
            CHECK(without_sign_of_nan(y[i]) == expected[i], "%a is %04x instead of %04x", x[i],
                  y[i], expected[i]);
        }
        check_case(c);
    }
}

/* Every half there is comes back as the number that it stands for, and as the same half. */
static void halves_survive_the_way_back(void) {
    enum { COUNT = 0x10000 };
    static const int32_t exponents[] = {0, 12};
    const uint32_t count = COUNT;
    for (uint32_t e = 0; e < 2; e++) {
        uint16_t *halves = malloc(COUNT * sizeof *halves), *again = malloc(COUNT * sizeof *again);
        double *expected = zeros(COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            halves[i] = (uint16_t)i;
            expected[i] = ldexp(half_value((uint16_t)i), -exponents[e]);
        }
        kernel_case *c = case_new("from half", BT_OPCODE_CONVERT);
        case_operand(c, BT_DTYPE_F16, 1, &count, halves, NULL);
        float *x = case_vector(c, COUNT, NULL, expected);
        case_attribute(c, exponents[e]);
        c->tolerance = 0;
        run_call(bt_kernels_baseline[BT_OPCODE_CONVERT], &c->call, 1);
        float *singles = malloc(COUNT * sizeof *singles);
        memcpy(singles, x, COUNT * sizeof *singles);
        check_case(c);
        c = case_new("there and back", BT_OPCODE_CONVERT);
        case_vector(c, COUNT, singles, NULL);
        case_operand(c, BT_DTYPE_F16, 1, &count, again, NULL);
        case_attribute(c, exponents[e]);
        run_call(bt_kernels_baseline[BT_OPCODE_CONVERT], &c->call, 1);
        for (uint32_t i = 0; i < COUNT; i++) {
            CHECK((i & 0x7FFF) > 0x7C00 || again[i] == i, "%04x becomes %04x", i, again[i]);
        }
        check_case(c);
    }
}

int main(void) {
    print_kernel_sets();
    RUN(average_pools);
    RUN(max_pools);
    RUN(nan_wins_a_max_pool);
    RUN(argmax_outside_the_window_is_ignored);
    RUN(matrix_products);
    RUN(transpositions);
    RUN(copied_blocks);
    RUN(halves_are_the_nearest_ones);
    RUN(halves_survive_the_way_back);
    return REPORT();
}
