/* Convolutions against a double-precision scatter reference, and their speed on the networks. */
#include <time.h>

#include "kernel_case.h"

typedef struct shape {
    const char *name;
    uint32_t rank; /* of the tensors; rank 3 has h == kernel_h == 1 */
    uint32_t n, c, h, w;
    uint32_t out, kernel_h, kernel_w, groups;
    int32_t stride[2], pad[4], dilation[2];
} shape;

static const shape shapes[] = {
    {"one element", 4, 1, 1, 1, 1, 1, 1, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"temporal", 4, 1, 1, 2, 100, 4, 1, 4, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"temporal same", 4, 2, 3, 2, 77, 5, 1, 8, 1, {1, 1}, {0, 3, 0, 4}, {1, 1}},
    {"temporal 4 to 16", 4, 1, 4, 2, 124, 16, 1, 16, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"temporal 6 to 7", 4, 1, 6, 1, 300, 7, 1, 5, 1, {1, 1}, {0, 2, 0, 2}, {1, 1}},
    {"spatial", 4, 1, 1, 8, 600, 32, 8, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"spatial padded", 4, 2, 3, 8, 40, 4, 3, 1, 1, {1, 1}, {1, 0, 2, 0}, {1, 1}},
    {"spatial strided", 4, 1, 2, 9, 33, 8, 3, 1, 1, {2, 1}, {1, 0, 0, 0}, {1, 1}},
    {"depthwise 1x128", 4, 1, 3, 1, 700, 3, 1, 128, 3, {1, 1}, {0, 63, 0, 64}, {1, 1}},
    {"depthwise 1x128 valid", 4, 1, 2, 1, 400, 2, 1, 128, 2, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"depthwise 1x16", 4, 2, 5, 1, 237, 5, 1, 16, 5, {1, 1}, {0, 7, 0, 8}, {1, 1}},
    {"depthwise, multiplier 2", 4, 1, 4, 1, 90, 8, 1, 7, 4, {1, 1}, {0, 3, 0, 3}, {1, 1}},
    {"depthwise, kernel longer than input",
     4,
     1,
     2,
     1,
     9,
     2,
     1,
     16,
     2,
     {1, 1},
     {0, 7, 0, 8},
     {1, 1}},
    {"groups of 4", 4, 2, 8, 5, 21, 8, 3, 3, 2, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {"pointwise", 4, 2, 32, 1, 237, 32, 1, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"pointwise image", 4, 1, 5, 6, 7, 9, 1, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"pointwise strided", 4, 1, 5, 6, 7, 4, 1, 1, 1, {2, 3}, {0, 0, 0, 0}, {1, 1}},
    {"3x3", 4, 1, 3, 12, 40, 8, 3, 3, 1, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {"3x3 stride 2", 4, 2, 3, 11, 37, 6, 3, 3, 1, {2, 2}, {1, 1, 1, 1}, {1, 1}},
    {"asymmetric", 4, 1, 2, 10, 50, 3, 2, 5, 1, {2, 3}, {1, 4, 0, 2}, {1, 2}},
    {"dilated", 4, 1, 2, 12, 90, 4, 3, 4, 1, {1, 1}, {2, 3, 2, 6}, {2, 3}},
    {"dilated and strided", 4, 2, 2, 13, 45, 2, 3, 4, 2, {3, 2}, {1, 2, 3, 4}, {2, 3}},
    {"stride beyond kernel", 4, 1, 2, 9, 30, 2, 2, 2, 1, {3, 4}, {0, 0, 0, 0}, {1, 1}},
    {"signal", 3, 2, 4, 1, 65, 6, 1, 9, 2, {1, 2}, {0, 4, 0, 1}, {1, 1}},
    {"signal, one output", 3, 1, 3, 1, 20, 2, 1, 20, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"long block", 3, 1, 4, 1, 600, 8, 1, 3, 1, {1, 1}, {0, 1, 0, 1}, {1, 1}},
};

static uint32_t outputs(const shape *s, int axis) {
    int32_t in = (int32_t)(axis ? s->w : s->h),
            kernel = (int32_t)(axis ? s->kernel_w : s->kernel_h);
    int32_t padded = in + s->pad[axis] + s->pad[axis + 2];
    return (uint32_t)((padded - s->dilation[axis] * (kernel - 1) - 1) / s->stride[axis] + 1);
}

/* The three tensors and what each should be, given the other two. */
typedef struct problem {
    uint32_t x_dims[4], w_dims[4], y_dims[4];
    uint32_t x_count, w_count, y_count;
    float *x, *w, *b, *dy, *dw_before;
    double *y, *dx, *dw;
    uint64_t macs;
} problem;

static uint32_t product(const uint32_t dims[4]) { return dims[0] * dims[1] * dims[2] * dims[3]; }

static void problem_init(const shape *s, problem *p) {
    uint32_t oh = outputs(s, 0), ow = outputs(s, 1);
    memcpy(p->x_dims, (uint32_t[]){s->n, s->c, s->h, s->w}, sizeof p->x_dims);
    memcpy(p->w_dims, (uint32_t[]){s->out, s->c / s->groups, s->kernel_h, s->kernel_w},
           sizeof p->w_dims);
    memcpy(p->y_dims, (uint32_t[]){s->n, s->out, oh, ow}, sizeof p->y_dims);
    p->x_count = product(p->x_dims);
    p->w_count = product(p->w_dims);
    p->y_count = product(p->y_dims);
    p->x = random_floats(p->x_count);
    p->w = random_floats(p->w_count);
    p->b = random_floats(s->out);
    p->dy = random_floats(p->y_count);
    p->dw_before = random_floats(p->w_count);
    p->y = zeros(p->y_count);
    p->dx = zeros(p->x_count);
    p->dw = to_double(p->dw_before, p->w_count);
    p->macs = 0;
    uint32_t in_group = s->c / s->groups, out_group = s->out / s->groups;
    for (uint32_t yi = 0; yi < p->y_count; yi++) {
        uint32_t x_out = yi % ow, y_out = yi / ow % oh, co = yi / ow / oh % s->out,
                 n = yi / ow / oh / s->out;
        p->y[yi] = p->b[co];
        for (uint32_t ci = 0; ci < in_group; ci++) {
            for (uint32_t kh = 0; kh < s->kernel_h; kh++) {
                for (uint32_t kw = 0; kw < s->kernel_w; kw++) {
                    int64_t ih = (int64_t)y_out * s->stride[0] - s->pad[0] + kh * s->dilation[0];
                    int64_t iw = (int64_t)x_out * s->stride[1] - s->pad[1] + kw * s->dilation[1];
                    if (ih < 0 || ih >= s->h || iw < 0 || iw >= s->w) {
                        continue;
                    }
                    uint32_t channel = co / out_group * in_group + ci;
                    uint32_t xi =
                        ((n * s->c + channel) * s->h + (uint32_t)ih) * s->w + (uint32_t)iw;
                    uint32_t wi = ((co * in_group + ci) * s->kernel_h + kh) * s->kernel_w + kw;
                    p->y[yi] += (double)p->x[xi] * p->w[wi];
                    p->dx[xi] += (double)p->dy[yi] * p->w[wi];
                    p->dw[wi] += (double)p->dy[yi] * p->x[xi];
                }
            }
        }
    }
    p->macs = (uint64_t)p->y_count * in_group * s->kernel_h * s->kernel_w;
}

/* An operand of a case; rank 3 leaves out the height. */
static void conv_operand(kernel_case *c, const shape *s, const uint32_t dims[4], void *data,
                         double *expected) {
    uint32_t flat[3] = {dims[0], dims[1], dims[3]};
    case_f32(c, s->rank, s->rank == 3 ? flat : dims, data, expected);
}

static void conv_attributes(kernel_case *c, const shape *s) {
    case_attributes(c, s->stride, 2);
    case_attributes(c, s->pad, 4);
    case_attributes(c, s->dilation, 2);
    case_attribute(c, (int32_t)s->groups);
}

static float *copy_floats(const float *x, uint32_t count) {
    float *copy = malloc(count * sizeof *copy);
    memcpy(copy, x, count * sizeof *copy);
    return copy;
}

static kernel_case *forward_case(const shape *s, const problem *p) {
    kernel_case *c = case_new(s->name, BT_OPCODE_CONV_FORWARD);
    conv_operand(c, s, p->x_dims, copy_floats(p->x, p->x_count), NULL);
    conv_operand(c, s, p->w_dims, copy_floats(p->w, p->w_count), NULL);
    case_vector(c, s->out, copy_floats(p->b, s->out), NULL);
    conv_operand(c, s, p->y_dims, NULL, p->y);
    conv_attributes(c, s);
    return c;
}

static kernel_case *grad_input_case(const shape *s, const problem *p) {
    kernel_case *c = case_new(s->name, BT_OPCODE_CONV_GRAD_INPUT);
    conv_operand(c, s, p->y_dims, copy_floats(p->dy, p->y_count), NULL);
    conv_operand(c, s, p->w_dims, copy_floats(p->w, p->w_count), NULL);
    conv_operand(c, s, p->x_dims, NULL, p->dx);
    conv_attributes(c, s);
    return c;
}

static kernel_case *grad_weight_case(const shape *s, const problem *p) {
    kernel_case *c = case_new(s->name, BT_OPCODE_CONV_GRAD_WEIGHT);
    conv_operand(c, s, p->x_dims, copy_floats(p->x, p->x_count), NULL);
    conv_operand(c, s, p->y_dims, copy_floats(p->dy, p->y_count), NULL);
    conv_operand(c, s, p->w_dims, copy_floats(p->dw_before, p->w_count), p->dw);
    conv_attributes(c, s);
    return c;
}

static void problem_free(problem *p) {
    free(p->x);
    free(p->w);
    free(p->b);
    free(p->dy);
    free(p->dw_before);
}

static void every_shape_agrees_with_the_reference(void) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        problem p;
        problem_init(&shapes[i], &p);
        check_case(forward_case(&shapes[i], &p));
        check_case(grad_input_case(&shapes[i], &p));
        check_case(grad_weight_case(&shapes[i], &p));
        problem_free(&p);
    }
}

static void bias_is_optional(void) {
    const shape *s = &shapes[2];
    problem p;
    problem_init(s, &p);
    uint32_t plane = p.y_dims[2] * p.y_dims[3];
    for (uint32_t i = 0; i < p.y_count; i++) {
        p.y[i] -= p.b[i / plane % s->out];
    }
    kernel_case *c = forward_case(s, &p);
    free(c->call.data[2]);
    c->call.data[2] = NULL;
    c->call.tensor[2] = NULL;
    check_case(c);
    free(p.dx);
    free(p.dw);
    problem_free(&p);
}

/* The big layers of MI-BMINet and EpiDeNet: right at full size, and how fast. */
static const shape layers[] = {
    {"MI-BMINet conv1 (8,1) 1>32", 4, 1, 1, 8, 1900, 32, 8, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"MI-BMINet conv2 dw (1,128)",
     4,
     1,
     32,
     1,
     1900,
     32,
     1,
     128,
     32,
     {1, 1},
     {0, 63, 0, 64},
     {1, 1}},
    {"MI-BMINet sep1 dw (1,16)", 4, 1, 32, 1, 237, 32, 1, 16, 32, {1, 1}, {0, 7, 0, 8}, {1, 1}},
    {"MI-BMINet sep2 (1,1) 32>32", 4, 1, 32, 1, 237, 32, 1, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"EpiDeNet conv1 (1,4) 1>4", 4, 1, 1, 2, 1000, 4, 1, 4, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"EpiDeNet conv2 (1,16) 4>16", 4, 1, 4, 2, 124, 16, 1, 16, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {"EpiDeNet conv3 (1,8) 16>16", 4, 1, 16, 2, 27, 16, 1, 8, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
};

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Billions of multiply-adds per second on one core: the best of some runs. */
static double speed(const kernel_set *set, const kernel_case *c, uint64_t macs) {
    bt_team alone = {0, 1, NULL, NULL};
    double best = 1e9;
    for (double start = seconds(); seconds() - start < 0.02;) {
        double before = seconds();
        set->kernels[c->call.opcode](&c->call, &alone);
        best = fmin(best, seconds() - before);
    }
    return (double)macs / best * 1e-9;
}

static void layers_of_the_networks(void) {
    kernel_set sets[3];
    uint32_t set_count = kernel_sets(sets);
    printf("    GMAC/s, one core: forward, gradient of the input, gradient of the weight\n");
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        problem p;
        problem_init(&layers[i], &p);
        kernel_case *cases[3] = {forward_case(&layers[i], &p), grad_input_case(&layers[i], &p),
                                 grad_weight_case(&layers[i], &p)};
        printf("    %-28s", layers[i].name);
        for (uint32_t s = 0; s < set_count; s++) {
            printf("  %s", sets[s].name);
            for (int k = 0; k < 3; k++) {
                /* Adding to dw again and again would drift: the speed is taken on a copy. */
                float *dw = k == 2 ? copy_floats(p.dw_before, p.w_count) : NULL;
                void *original = cases[k]->call.data[2];
                if (dw) {
                    cases[k]->call.data[2] = dw;
                }
                printf(" %6.2f", speed(&sets[s], cases[k], p.macs));
                cases[k]->call.data[2] = original;
                free(dw);
            }
        }
        printf("\n");
        for (int k = 0; k < 3; k++) {
            check_case(cases[k]);
        }
        problem_free(&p);
    }
}

int main(void) {
    print_kernel_sets();
    RUN(every_shape_agrees_with_the_reference);
    RUN(bias_is_optional);
    RUN(layers_of_the_networks);
    return REPORT();
}
