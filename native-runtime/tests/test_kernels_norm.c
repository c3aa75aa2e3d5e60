/* Normalisations against double precision; gradients against central differences. */
#include "kernel_case.h"

#define EPSILON 1e-3f

/* ----------------------------------------------------------------- group, layer, instance norm */

typedef struct norm_shape {
    const char *name;
    uint32_t samples, groups, channels, span; /* channels per group */
} norm_shape;

static const norm_shape norm_shapes[] = {
    {"group norm, one group", 2, 1, 3, 7},
    {"group norm, four groups", 2, 4, 2, 10},
    {"group norm, several blocks", 1, 2, 2, 300},
    {"instance norm", 2, 3, 1, 20},
    {"layer norm", 5, 1, 12, 1},
    {"layer norm, several blocks", 2, 1, 300, 1},
    {"one element per row", 3, 1, 1, 1},
};

typedef struct norm_problem {
    norm_shape shape;
    uint32_t rows, length, count, parameters;
    float *x, *dy, *scale, *bias;
    int with_scale, with_bias;
} norm_problem;

static norm_problem norm_problem_new(norm_shape shape, int with_scale, int with_bias) {
    norm_problem p = {.shape = shape, .with_scale = with_scale, .with_bias = with_bias};
    p.rows = shape.samples * shape.groups;
    p.length = shape.channels * shape.span;
    p.count = p.rows * p.length;
    p.parameters = shape.groups * shape.channels;
    p.x = random_floats(p.count);
    p.dy = random_floats(p.count);
    p.scale = random_floats(p.parameters);
    p.bias = random_floats(p.parameters);
    for (uint32_t i = 0; i < p.count; i++) {
        p.x[i] = p.x[i] * 2 + 1; /* a mean far from 0 */
    }
    return p;
}

static void norm_problem_free(norm_problem *p) {
    free(p->x);
    free(p->dy);
    free(p->scale);
    free(p->bias);
}

static uint32_t parameter_of(const norm_problem *p, uint32_t element) {
    uint32_t row = element / p->length;
    return row % p->shape.groups * p->shape.channels + element % p->length / p->shape.span;
}

/* y and stats (mean, 1/deviation of each row) of x, scale, bias. */
static void norm_reference(const norm_problem *p, const double *x, const double *scale,
                           const double *bias, double *y, double *stats) {
    for (uint32_t row = 0; row < p->rows; row++) {
        double mean = 0, variance = 0;
        for (uint32_t i = row * p->length; i < (row + 1) * p->length; i++) {
            mean += x[i] / p->length;
        }
        for (uint32_t i = row * p->length; i < (row + 1) * p->length; i++) {
            variance += (x[i] - mean) * (x[i] - mean) / p->length;
        }
        double inverse = 1 / sqrt(variance + EPSILON);
        if (stats) {
            stats[row * 2] = mean;
            stats[row * 2 + 1] = inverse;
        }
        for (uint32_t i = row * p->length; i < (row + 1) * p->length; i++) {
            uint32_t k = parameter_of(p, i);
            y[i] = (x[i] - mean) * inverse * (p->with_scale ? scale[k] : 1) +
                   (p->with_bias ? bias[k] : 0);
        }
    }
}

/* Sum of y * dy as a function of x, scale and bias, one behind the other. */
static double norm_objective(const double *at, const void *context) {
    const norm_problem *p = context;
    double *y = zeros(p->count), total = 0;
    norm_reference(p, at, at + p->count, at + p->count + p->parameters, y, NULL);
    for (uint32_t i = 0; i < p->count; i++) {
        total += y[i] * p->dy[i];
    }
    free(y);
    return total;
}

static float *join(const norm_problem *p) {
    float *all = malloc((p->count + 2 * p->parameters) * sizeof *all);
    memcpy(all, p->x, p->count * sizeof *all);
    memcpy(all + p->count, p->scale, p->parameters * sizeof *all);
    memcpy(all + p->count + p->parameters, p->bias, p->parameters * sizeof *all);
    return all;
}

static float *copy(const float *x, uint32_t count) {
    float *out = malloc(count * sizeof *out);
    memcpy(out, x, count * sizeof *out);
    return out;
}

static double *copy_doubles(const double *x, uint32_t count) {
    double *out = malloc(count * sizeof *out);
    memcpy(out, x, count * sizeof *out);
    return out;
}

static float *to_float(const double *x, uint32_t count) {
    float *out = malloc(count * sizeof *out);
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (float)x[i];
    }
    return out;
}

static void parameter_operand(kernel_case *c, int present, uint32_t count, float *data,
                              double *expected) {
    if (present) {
        case_vector(c, count, data, expected);
    } else {
        case_absent(c);
        free(data);
        free(expected);
    }
}

static void norm_attributes(kernel_case *c, const norm_problem *p) {
    int32_t counts[] = {(int32_t)p->rows, (int32_t)p->length, (int32_t)p->shape.groups,
                        (int32_t)p->shape.channels, (int32_t)p->shape.span};
    case_attributes(c, counts, 5);
    case_float(c, EPSILON);
}

static uint32_t partials_of(const norm_problem *p) {
    return bt_norm_partials(p->rows, p->shape.channels, p->shape.span);
}

static kernel_case *norm_forward_case(const norm_problem *p) {
    double *x = to_double(p->x, p->count), *y = zeros(p->count), *stats = zeros(p->rows * 2);
    double *scale = to_double(p->scale, p->parameters), *bias = to_double(p->bias, p->parameters);
    norm_reference(p, x, scale, bias, y, stats);
    kernel_case *c = case_new(p->shape.name, BT_OPCODE_NORM_FORWARD);
    case_vector(c, p->count, copy(p->x, p->count), NULL);
    parameter_operand(c, p->with_scale, p->parameters, copy(p->scale, p->parameters), NULL);
    parameter_operand(c, p->with_bias, p->parameters, copy(p->bias, p->parameters), NULL);
    case_vector(c, p->count, NULL, y);
    case_vector(c, p->rows * 2, NULL, stats);
    case_vector(c, partials_of(p), NULL, NULL);
    norm_attributes(c, p);
    free(x);
    free(scale);
    free(bias);
    return c;
}

static kernel_case *norm_grad_input_case(const norm_problem *p, const double *stats, double *dx) {
    kernel_case *c = case_new(p->shape.name, BT_OPCODE_NORM_GRAD_INPUT);
    case_vector(c, p->count, copy(p->x, p->count), NULL);
    case_vector(c, p->count, copy(p->dy, p->count), NULL);
    parameter_operand(c, p->with_scale, p->parameters, copy(p->scale, p->parameters), NULL);
    case_vector(c, p->rows * 2, to_float(stats, p->rows * 2), NULL);
    case_vector(c, p->count, NULL, dx);
    case_vector(c, partials_of(p), NULL, NULL);
    norm_attributes(c, p);
    c->tolerance = 4e-6;
    return c;
}

static void norm_shapes_agree(void) {
    for (size_t i = 0; i < sizeof norm_shapes / sizeof *norm_shapes; i++) {
        for (int absent = 0; absent < 3; absent++) {
            norm_problem p = norm_problem_new(norm_shapes[i], absent != 1, absent == 0);
            kernel_case *forward = norm_forward_case(&p);
            double *stats = copy_doubles(forward->expected[4], p.rows * 2);
            check_in_place(forward, 0, 3);
            check_case(forward);

            float *at = join(&p);
            double *gradient = numeric_gradient(norm_objective, &p, at, p.count + 2 * p.parameters);
            kernel_case *backward =
                norm_grad_input_case(&p, stats, copy_doubles(gradient, p.count));
            check_in_place(backward, 0, 4);
            check_in_place(backward, 1, 4);
            check_case(backward);

            kernel_case *c = case_new(p.shape.name, BT_OPCODE_NORM_GRAD_PARAMETERS);
            case_vector(c, p.count, copy(p.x, p.count), NULL);
            case_vector(c, p.count, copy(p.dy, p.count), NULL);
            case_vector(c, p.rows * 2, to_float(stats, p.rows * 2), NULL);
            float *before = random_floats(p.parameters);
            double *dscale = copy_doubles(gradient + p.count, p.parameters);
            double *dbias = copy_doubles(gradient + p.count + p.parameters, p.parameters);
            for (uint32_t k = 0; k < p.parameters; k++) {
                dscale[k] += before[k];
                dbias[k] += before[k];
            }
            parameter_operand(c, p.with_scale, p.parameters, copy(before, p.parameters), dscale);
            parameter_operand(c, p.with_bias, p.parameters, before, dbias);
            case_vector(c, partials_of(&p), NULL, NULL);
            norm_attributes(c, &p);
            c->tolerance = 4e-6;
            check_case(c);
            free(stats);
            free(at);
            free(gradient);
            norm_problem_free(&p);
        }
    }
}

/* MI-BMINet's norm: one row of 60 800 elements, gradient by its formula. */
static void one_long_row(void) {
    norm_problem p = norm_problem_new((norm_shape){"MI-BMINet norm", 1, 1, 32, 1900}, 1, 1);
    kernel_case *forward = norm_forward_case(&p);
    double stats[2] = {forward->expected[4][0], forward->expected[4][1]};
    check_case(forward);
    double mean_g = 0, mean_gn = 0, *dx = zeros(p.count);
    for (uint32_t i = 0; i < p.count; i++) {
        double g = (double)p.dy[i] * p.scale[parameter_of(&p, i)];
        mean_g += g / p.count;
        mean_gn += g * (p.x[i] - stats[0]) * stats[1] / p.count;
    }
    for (uint32_t i = 0; i < p.count; i++) {
        double g = (double)p.dy[i] * p.scale[parameter_of(&p, i)];
        dx[i] = stats[1] * (g - mean_g - (p.x[i] - stats[0]) * stats[1] * mean_gn);
    }
    check_case(norm_grad_input_case(&p, stats, dx));
    norm_problem_free(&p);
}

/* ------------------------------------------------------------------------------------- in parts */

/* Block sums of a and b over channel pieces, two per block, in the order of the partials. */
static double *block_sums(const norm_problem *p, const double *a, const double *b) {
    double *sums = zeros(partials_of(p));
    uint32_t block = 0;
    for (uint32_t piece = 0; piece < p->count; piece += p->shape.span) {
        for (uint32_t first = 0; first < p->shape.span; first += BT_REDUCTION_BLOCK, block++) {
            for (uint32_t i = first; i < p->shape.span && i < first + BT_REDUCTION_BLOCK; i++) {
                sums[2 * block] += a[piece + i];
                sums[2 * block + 1] += b[piece + i];
            }
        }
    }
    return sums;
}

/* What NORM_SUMS and NORM_SQUARES write; the other entry of a pair stays what it was. */
static void check_sums_and_squares(const norm_problem *p, const double *stats) {
    double *x = to_double(p->x, p->count), *squares = zeros(p->count);
    for (uint32_t i = 0; i < p->count; i++) {
        double difference = x[i] - (float)stats[i / p->length * 2];
        squares[i] = difference * difference;
    }
    double *expected = block_sums(p, x, squares);
    uint32_t count = partials_of(p);
    for (uint32_t entry = 0; entry < 2; entry++) {
        kernel_case *c =
            case_new(p->shape.name, entry == 0 ? BT_OPCODE_NORM_SUMS : BT_OPCODE_NORM_SQUARES);
        double *after = copy_doubles(expected, count);
        for (uint32_t i = 1 - entry; i < count; i += 2) {
            after[i] = 0.0;
        }
        case_vector(c, p->count, copy(p->x, p->count), NULL);
        if (entry == 1) {
            case_vector(c, p->rows * 2, to_float(stats, p->rows * 2), NULL);
        }
        case_vector(c, count, calloc(count, sizeof(float)), after);
        norm_attributes(c, p);
        check_case(c);
    }
    free(x);
    free(squares);
    free(expected);
}

static void check_fold(const norm_problem *p, int32_t quantity) {
    uint32_t count = partials_of(p), blocks = count / 2 / p->rows;
    float *partials = random_floats(count);
    double *expected = zeros(p->rows * 2);
    for (uint32_t i = 0; i < count; i++) {
        partials[i] = partials[i] * partials[i];
        expected[i / 2 / blocks * 2 + i % 2] += (double)partials[i] / p->length;
    }
    for (uint32_t row = 0; row < p->rows; row++) {
        double *second = &expected[row * 2 + 1];
        *second = quantity == BT_FOLD_MEAN         ? 0.0
                  : quantity == BT_FOLD_STATISTICS ? 1 / sqrt(*second + EPSILON)
                                                   : *second;
    }
    kernel_case *c = case_new(p->shape.name, BT_OPCODE_NORM_FOLD);
    case_vector(c, count, partials, NULL);
    case_vector(c, p->rows * 2, NULL, expected);
    case_attribute(c, (int32_t)p->rows);
    case_attribute(c, (int32_t)blocks);
    case_attribute(c, (int32_t)p->length);
    case_float(c, EPSILON);
    case_attribute(c, quantity);
    check_case(c);
}

static void check_apply(const norm_problem *p, const double *y, const double *stats) {
    kernel_case *c = case_new(p->shape.name, BT_OPCODE_NORM_APPLY);
    case_vector(c, p->count, copy(p->x, p->count), NULL);
    parameter_operand(c, p->with_scale, p->parameters, copy(p->scale, p->parameters), NULL);
    parameter_operand(c, p->with_bias, p->parameters, copy(p->bias, p->parameters), NULL);
    case_vector(c, p->rows * 2, to_float(stats, p->rows * 2), NULL);
    case_vector(c, p->count, NULL, copy_doubles(y, p->count));
    norm_attributes(c, p);
    check_in_place(c, 0, 4);
    check_case(c);
}

/* Sums of g and g * n, and the gradient by its formula. */
static void check_gradient_parts(const norm_problem *p, const double *stats) {
    double *g = zeros(p->count), *gn = zeros(p->count), *dx = zeros(p->count);
    double *means = zeros(p->rows * 2);
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t row = i / p->length;
        g[i] = (double)p->dy[i] * (p->with_scale ? p->scale[parameter_of(p, i)] : 1);
        gn[i] = g[i] * (p->x[i] - stats[row * 2]) * stats[row * 2 + 1];
        means[row * 2] += g[i] / p->length;
        means[row * 2 + 1] += gn[i] / p->length;
    }
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t row = i / p->length;
        double n = (p->x[i] - stats[row * 2]) * stats[row * 2 + 1];
        dx[i] = stats[row * 2 + 1] * (g[i] - means[row * 2] - n * means[row * 2 + 1]);
    }
    for (uint32_t sums = 0; sums < 2; sums++) {
        kernel_case *c =
            case_new(p->shape.name, sums ? BT_OPCODE_NORM_GRAD_SUMS : BT_OPCODE_NORM_GRAD_APPLY);
        case_vector(c, p->count, copy(p->x, p->count), NULL);
        case_vector(c, p->count, copy(p->dy, p->count), NULL);
        parameter_operand(c, p->with_scale, p->parameters, copy(p->scale, p->parameters), NULL);
        case_vector(c, p->rows * 2, to_float(stats, p->rows * 2), NULL);
        if (sums) {
            case_vector(c, partials_of(p), NULL, block_sums(p, g, gn));
        } else {
            case_vector(c, p->rows * 2, to_float(means, p->rows * 2), NULL);
            case_vector(c, p->count, NULL, copy_doubles(dx, p->count));
        }
        norm_attributes(c, p);
        c->tolerance = 4e-6;
        if (!sums) {
            check_in_place(c, 0, 5);
            check_in_place(c, 1, 5);
        }
        check_case(c);
    }
    free(g);
    free(gn);
    free(dx);
    free(means);
}

static void norm_parts_agree(void) {
    static const norm_shape shapes[] = {{"a part of a group", 1, 1, 3, 7},
                                        {"a part of several blocks", 1, 1, 2, 600},
                                        {"two whole groups", 1, 2, 2, 300}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (int absent = 0; absent < 3; absent++) {
            norm_problem p = norm_problem_new(shapes[i], absent != 1, absent == 0);
            double *x = to_double(p.x, p.count), *y = zeros(p.count), *stats = zeros(p.rows * 2);
            double *scale = to_double(p.scale, p.parameters);
            double *bias = to_double(p.bias, p.parameters);
            norm_reference(&p, x, scale, bias, y, stats);
            check_sums_and_squares(&p, stats);
            for (int32_t quantity = BT_FOLD_MEAN; quantity <= BT_FOLD_MEANS; quantity++) {
                check_fold(&p, quantity);
            }
            check_apply(&p, y, stats);
            check_gradient_parts(&p, stats);
            free(x);
            free(y);
            free(stats);
            free(scale);
            free(bias);
            norm_problem_free(&p);
        }
    }
}

/* ---------------------------------------------------------------------------------- batch norm */

typedef struct bn_problem {
    uint32_t samples, channels, inner, count;
    float *x, *dy, *scale, *bias, *mean, *variance;
    int frozen;
} bn_problem;

static void bn_statistics(const bn_problem *p, const double *x, uint32_t channel, double *mean,
                          double *squares) {
    double n = (double)p->samples * p->inner;
    *mean = *squares = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        *mean += i / p->inner % p->channels == channel ? x[i] / n : 0;
    }
    for (uint32_t i = 0; i < p->count; i++) {
        double difference = x[i] - *mean;
        *squares += i / p->inner % p->channels == channel ? difference * difference : 0;
    }
}

static void bn_reference(const bn_problem *p, const double *x, const double *scale,
                         const double *bias, double *y) {
    for (uint32_t c = 0; c < p->channels; c++) {
        double mean = p->mean[c], variance = p->variance[c];
        if (!p->frozen) {
            bn_statistics(p, x, c, &mean, &variance);
            variance /= (double)p->samples * p->inner;
        }
        for (uint32_t i = 0; i < p->count; i++) {
            if (i / p->inner % p->channels == c) {
                y[i] = (x[i] - mean) / sqrt(variance + EPSILON) * scale[c] + bias[c];
            }
        }
    }
}

static double bn_objective(const double *at, const void *context) {
    const bn_problem *p = context;
    double *y = zeros(p->count), total = 0;
    bn_reference(p, at, at + p->count, at + p->count + p->channels, y);
    for (uint32_t i = 0; i < p->count; i++) {
        total += y[i] * p->dy[i];
    }
    free(y);
    return total;
}

static void bn_vector(kernel_case *c, const bn_problem *p, const float *data, double *expected) {
    case_vector(c, p->channels, copy(data, p->channels), expected);
}

static void bn_tensor(kernel_case *c, const bn_problem *p, const float *data, double *expected) {
    case_vector(c, p->count, data ? copy(data, p->count) : NULL, expected);
}

static void bn_check(const char *name, kernel_case *c, const bn_problem *p) {
    int32_t counts[] = {(int32_t)p->samples, (int32_t)p->channels, (int32_t)p->inner};
    c->name = name;
    c->tolerance = 4e-6;
    case_attributes(c, counts, 3);
    case_float(c, EPSILON);
    case_float(c, 0.1f);
    if (c->call.opcode == BT_OPCODE_FROZEN_NORM_FORWARD) {
        check_in_place(c, 0, 5);
    } else if (c->call.opcode == BT_OPCODE_FROZEN_NORM_GRAD_INPUT) {
        check_in_place(c, 0, 3);
    } else if (c->call.opcode == BT_OPCODE_BATCH_NORM_GRAD_INPUT) {
        check_in_place(c, 1, 4);
    }
    check_case(c);
}

static void batch_norm_agrees(void) {
    static const uint32_t sizes[][3] = {{4, 3, 10}, {2, 2, 300}, {5, 4, 1}, {2, 9, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int frozen = 0; frozen < 2; frozen++) {
            bn_problem p = {sizes[s][0], sizes[s][1], sizes[s][2], 0,    NULL,  NULL,
                            NULL,        NULL,        NULL,        NULL, frozen};
            p.count = p.samples * p.channels * p.inner;
            uint32_t all = p.count + 2 * p.channels;
            float *at = random_floats(all);
            p.x = at;
            p.scale = at + p.count;
            p.bias = p.scale + p.channels;
            p.dy = random_floats(p.count);
            p.mean = random_floats(p.channels);
            p.variance = random_floats(p.channels);
            double *mean = zeros(p.channels), *variance = zeros(p.channels);
            double *stats = zeros(p.channels * 2), *y = zeros(p.count), *wide = to_double(at, all);
            double n = (double)p.samples * p.inner;
            for (uint32_t c = 0; c < p.channels; c++) {
                p.variance[c] = fabsf(p.variance[c]) + 0.1f;
                double batch_mean, squares;
                bn_statistics(&p, wide, c, &batch_mean, &squares);
                stats[c * 2] = batch_mean;
                stats[c * 2 + 1] = 1 / sqrt(squares / n + EPSILON);
                mean[c] = 0.9 * p.mean[c] + 0.1 * batch_mean;
                variance[c] = 0.9 * p.variance[c] + 0.1 * squares / (n - 1);
            }
            bn_reference(&p, wide, wide + p.count, wide + p.count + p.channels, y);
            double *gradient = numeric_gradient(bn_objective, &p, at, all);
            double *dx = copy_doubles(gradient, p.count);
            float *before = random_floats(p.channels);
            double *dscale = copy_doubles(gradient + p.count, p.channels);
            double *dbias = copy_doubles(gradient + p.count + p.channels, p.channels);
            for (uint32_t c = 0; c < p.channels; c++) {
                dscale[c] += before[c];
                dbias[c] += before[c];
            }
            if (frozen) {
                kernel_case *c = case_new("", BT_OPCODE_FROZEN_NORM_FORWARD);
                bn_tensor(c, &p, p.x, NULL);
                bn_vector(c, &p, p.scale, NULL);
                bn_vector(c, &p, p.bias, NULL);
                bn_vector(c, &p, p.mean, NULL);
                bn_vector(c, &p, p.variance, NULL);
                bn_tensor(c, &p, NULL, y);
                bn_check("frozen norm", c, &p);
                c = case_new("", BT_OPCODE_FROZEN_NORM_GRAD_INPUT);
                bn_tensor(c, &p, p.dy, NULL);
                bn_vector(c, &p, p.scale, NULL);
                bn_vector(c, &p, p.variance, NULL);
                bn_tensor(c, &p, NULL, dx);
                bn_check("frozen norm, input", c, &p);
                c = case_new("", BT_OPCODE_FROZEN_NORM_GRAD_PARAMETERS);
                bn_tensor(c, &p, p.x, NULL);
                bn_tensor(c, &p, p.dy, NULL);
                bn_vector(c, &p, p.mean, NULL);
                bn_vector(c, &p, p.variance, NULL);
                bn_vector(c, &p, before, dscale);
                bn_vector(c, &p, before, dbias);
                bn_check("frozen norm, parameters", c, &p);
                free(mean);
                free(variance);
            } else {
                float *single = to_float(stats, p.channels * 2);
                kernel_case *c = case_new("", BT_OPCODE_BATCH_NORM_FORWARD);
                bn_tensor(c, &p, p.x, NULL);
                bn_vector(c, &p, p.scale, NULL);
                bn_vector(c, &p, p.bias, NULL);
                bn_vector(c, &p, p.mean, mean);
                bn_vector(c, &p, p.variance, variance);
                bn_tensor(c, &p, NULL, y);
                case_vector(c, p.channels * 2, NULL, copy_doubles(stats, p.channels * 2));
                bn_check("batch norm", c, &p);
                c = case_new("", BT_OPCODE_BATCH_NORM_GRAD_INPUT);
                bn_tensor(c, &p, p.x, NULL);
                bn_tensor(c, &p, p.dy, NULL);
                bn_vector(c, &p, p.scale, NULL);
                case_vector(c, p.channels * 2, copy(single, p.channels * 2), NULL);
                bn_tensor(c, &p, NULL, dx);
                bn_check("batch norm, input", c, &p);
                c = case_new("", BT_OPCODE_BATCH_NORM_GRAD_PARAMETERS);
                bn_tensor(c, &p, p.x, NULL);
                bn_tensor(c, &p, p.dy, NULL);
                case_vector(c, p.channels * 2, single, NULL);
                bn_vector(c, &p, before, dscale);
                bn_vector(c, &p, before, dbias);
                bn_check("batch norm, parameters", c, &p);
            }
            free(before);
            free(gradient);
            free(stats);
            free(wide);
            free(at);
            free(p.dy);
            free(p.mean);
            free(p.variance);
        }
    }
}

int main(void) {
    print_kernel_sets();
    RUN(norm_shapes_agree);
    RUN(one_long_row);
    RUN(norm_parts_agree);
    RUN(batch_norm_agrees);
    return REPORT();
}
