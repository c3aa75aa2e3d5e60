/* Activations, binary operations, dropout, softmax, losses, optimizers against double precision. */
#include "kernel_case.h"
#include "kernels/philox.h"

static float *copy(const float *x, uint32_t count) {
    float *out = malloc(count * sizeof *out);
    memcpy(out, x, count * sizeof *out);
    return out;
}

/* --------------------------------------------------------------------------------- activations */

static const char *const function_names[BT_FUNCTION_COUNT] = {
    "relu", "elu", "leaky relu", "gelu", "gelu tanh", "sigmoid", "tanh", "silu", "hardswish"};

static double activation(uint32_t function, double alpha, double x) {
    switch (function) {
    case BT_FUNCTION_RELU:
        return fmax(x, 0);
    case BT_FUNCTION_ELU:
        return x < 0 ? alpha * expm1(x) : x;
    case BT_FUNCTION_LEAKY_RELU:
        return x < 0 ? alpha * x : x;
    case BT_FUNCTION_GELU:
        return 0.5 * x * erfc(-x / sqrt(2));
    case BT_FUNCTION_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case BT_FUNCTION_SIGMOID:
        return 1 / (1 + exp(-x));
    case BT_FUNCTION_TANH:
        return tanh(x);
    case BT_FUNCTION_SILU:
        return x / (1 + exp(-x));
    default:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    }
}

typedef struct activation_context {
    uint32_t function;
    double alpha;
} activation_context;

static double activation_at(const double *x, const void *context) {
    const activation_context *a = context;
    return activation(a->function, a->alpha, *x);
}

static void activation_attributes(kernel_case *c, uint32_t function, float alpha) {
    case_attribute(c, (int32_t)function);
    case_float(c, alpha);
}

static void activations_and_their_gradients(void) {
    enum { COUNT = 777 };
    const float alpha = 0.3f;
    for (uint32_t function = 0; function < BT_FUNCTION_COUNT; function++) {
        activation_context context = {function, alpha};
        float *x = random_floats(COUNT), *dy = random_floats(COUNT);
        float *kept = malloc(COUNT * sizeof *kept);
        double *y = zeros(COUNT), *dx = zeros(COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            x[i] *= 6;
            if (fabsf(fabsf(x[i]) - 3) < 0.02f || fabsf(x[i]) < 0.02f) {
                x[i] = 0.5f; /* no differences across the kinks */
            }
            y[i] = activation(function, alpha, x[i]);
            kept[i] = bt_activation_keeps_output(function) ? (float)y[i] : x[i];
            double *slope = numeric_gradient(activation_at, &context, &x[i], 1);
            dx[i] = *slope * dy[i];
            free(slope);
        }
        kernel_case *c = case_new(function_names[function], BT_OPCODE_ACTIVATION_FORWARD);
        case_vector(c, COUNT, x, NULL);
        case_vector(c, COUNT, NULL, y);
        activation_attributes(c, function, alpha);
        check_in_place(c, 0, 1);
        check_case(c);
        c = case_new(function_names[function], BT_OPCODE_ACTIVATION_GRAD);
        case_vector(c, COUNT, kept, NULL);
        case_vector(c, COUNT, dy, NULL);
        case_vector(c, COUNT, NULL, dx);
        activation_attributes(c, function, alpha);
        check_in_place(c, 0, 2);
        check_in_place(c, 1, 2);
        check_case(c);
    }
}

/* At the kinks the gradient is PyTorch's. */
static void gradients_at_the_kinks(void) {
    static const struct {
        uint32_t function;
        float kept, slope;
    } kinks[] = {
        {BT_FUNCTION_RELU, 0.0f, 0.0f},       {BT_FUNCTION_ELU, 0.0f, 0.3f},
        {BT_FUNCTION_LEAKY_RELU, 0.0f, 0.3f}, {BT_FUNCTION_HARDSWISH, -3.0f, 0.0f},
        {BT_FUNCTION_HARDSWISH, 3.0f, 1.0f},
    };
    for (size_t i = 0; i < sizeof kinks / sizeof *kinks; i++) {
        float one = 1.0f;
        double *expected = zeros(1);
        *expected = kinks[i].slope;
        kernel_case *c = case_new(function_names[kinks[i].function], BT_OPCODE_ACTIVATION_GRAD);
        case_vector(c, 1, copy(&kinks[i].kept, 1), NULL);
        case_vector(c, 1, copy(&one, 1), NULL);
        case_vector(c, 1, NULL, expected);
        activation_attributes(c, kinks[i].function, 0.3f);
        check_case(c);
    }
}

/* Large arguments neither overflow nor turn into NaN; NaN stays NaN. */
static void extreme_arguments(void) {
    static const float extremes[] = {-1e30f, -200.0f, -88.0f, -0.0f, 0.0f, 88.0f, 200.0f, 1e30f};
    enum { COUNT = sizeof extremes / sizeof *extremes };
    for (uint32_t function = 0; function < BT_FUNCTION_COUNT; function++) {
        float x[COUNT + 1];
        double *y = zeros(COUNT + 1);
        memcpy(x, extremes, sizeof extremes);
        x[COUNT] = NAN;
        for (uint32_t i = 0; i < COUNT; i++) {
            y[i] = activation(function, 0.3, x[i]);
        }
        y[COUNT] = NAN;
        kernel_case *c = case_new(function_names[function], BT_OPCODE_ACTIVATION_FORWARD);
        case_vector(c, COUNT + 1, copy(x, COUNT + 1), NULL);
        case_vector(c, COUNT + 1, NULL, y);
        activation_attributes(c, function, 0.3f);
        check_case(c);
    }
}

/* --------------------------------------------------------------------------- binary, broadcasting
 */

typedef struct dims {
    uint32_t rank, dim[BT_PROGRAM_MAX_RANK];
} dims;

static uint32_t count_of(dims d) {
    uint32_t count = 1;
    for (uint32_t i = 0; i < d.rank; i++) {
        count *= d.dim[i];
    }
    return count;
}

/* Element of operand d that element number e of a tensor with dims full uses. */
static uint32_t broadcast_element(dims d, dims full, uint32_t e) {
    uint32_t element = 0, stride = 1;
    for (uint32_t i = 0; i < full.rank; i++) {
        uint32_t extent = full.dim[full.rank - 1 - i];
        uint32_t index = e % extent;
        e /= extent;
        if (i < d.rank) {
            uint32_t own = d.dim[d.rank - 1 - i];
            element += own == 1 ? 0 : index * stride;
            stride *= own;
        }
    }
    return element;
}

static const struct broadcast_pair {
    dims a, b, y;
} broadcast_pairs[] = {
    {{1, {1}}, {1, {1}}, {1, {1}}},
    {{3, {2, 5, 41}}, {3, {2, 5, 41}}, {3, {2, 5, 41}}},
    {{4, {2, 3, 4, 70}}, {4, {1, 3, 1, 1}}, {4, {2, 3, 4, 70}}},
    {{2, {7, 130}}, {1, {130}}, {2, {7, 130}}},
    {{1, {1}}, {3, {3, 2, 9}}, {3, {3, 2, 9}}},
    {{3, {4, 1, 5}}, {2, {6, 1}}, {3, {4, 6, 5}}},
    {{5, {2, 1, 3, 1, 2}}, {5, {1, 4, 3, 2, 1}}, {5, {2, 4, 3, 2, 2}}},
    {{2, {600, 3}}, {1, {3}}, {2, {600, 3}}},
};

static void binary_operations(void) {
    for (size_t i = 0; i < sizeof broadcast_pairs / sizeof *broadcast_pairs; i++) {
        const struct broadcast_pair *pair = &broadcast_pairs[i];
        uint32_t count = count_of(pair->y);
        for (int32_t function = BT_BINARY_ADD; function <= BT_BINARY_MUL; function++) {
            float *a = random_floats(count_of(pair->a)), *b = random_floats(count_of(pair->b));
            double *y = zeros(count);
            for (uint32_t e = 0; e < count; e++) {
                double left = a[broadcast_element(pair->a, pair->y, e)];
                double right = b[broadcast_element(pair->b, pair->y, e)];
                y[e] = function == BT_BINARY_ADD ? left + right : left * right;
            }
            kernel_case *c = case_new("binary", BT_OPCODE_BINARY);
            case_f32(c, pair->a.rank, pair->a.dim, a, NULL);
            case_f32(c, pair->b.rank, pair->b.dim, b, NULL);
            case_f32(c, pair->y.rank, pair->y.dim, NULL, y);
            case_attribute(c, function);
            if (count_of(pair->a) == count) {
                check_in_place(c, 0, 2);
            }
            if (count_of(pair->b) == count) {
                check_in_place(c, 1, 2);
            }
            check_case(c);
        }
    }
}

/* da = sum over broadcast dimensions of dy (* other): the adjoint of the operations above. */
static void broadcast_gradients(void) {
    for (size_t i = 0; i < sizeof broadcast_pairs / sizeof *broadcast_pairs; i++) {
        const struct broadcast_pair *pair = &broadcast_pairs[i];
        uint32_t count = count_of(pair->y);
        for (int with_other = 0; with_other < 2; with_other++) {
            float *dy = random_floats(count), *a = random_floats(count_of(pair->a));
            double *db = zeros(count_of(pair->b));
            for (uint32_t e = 0; e < count; e++) {
                double factor = with_other ? a[broadcast_element(pair->a, pair->y, e)] : 1;
                db[broadcast_element(pair->b, pair->y, e)] += dy[e] * factor;
            }
            kernel_case *c = case_new("broadcast reduce", BT_OPCODE_BROADCAST_REDUCE);
            case_f32(c, pair->y.rank, pair->y.dim, dy, NULL);
            if (with_other) {
                case_f32(c, pair->a.rank, pair->a.dim, a, NULL);
            } else {
                case_absent(c);
                free(a);
            }
            case_f32(c, pair->b.rank, pair->b.dim, NULL, db);
            check_case(c);
        }
    }
}

static void accumulate_adds(void) {
    float *source = random_floats(1001), *target = random_floats(1001);
    double *sum = zeros(1001);
    for (uint32_t i = 0; i < 1001; i++) {
        sum[i] = (double)source[i] + target[i];
    }
    kernel_case *c = case_new("accumulate", BT_OPCODE_ACCUMULATE);
    case_vector(c, 1001, source, NULL);
    case_vector(c, 1001, target, sum);
    check_case(c);
}

static void channel_sums(void) {
    static const uint32_t sizes[][3] = {
        {1, 1, 1}, {2, 3, 5}, {8, 11, 1}, {2, 3, 1900}, {1, 32, 256}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t rows = sizes[s][0], channels = sizes[s][1], inner = sizes[s][2];
        uint32_t count = rows * channels * inner;
        float *dy = random_floats(count), *db = random_floats(channels);
        double *expected = to_double(db, channels);
        for (uint32_t i = 0; i < count; i++) {
            expected[i / inner % channels] += dy[i];
        }
        kernel_case *c = case_new("channel sum", BT_OPCODE_CHANNEL_SUM);
        case_vector(c, count, dy, NULL);
        case_vector(c, channels, db, expected);
        int32_t attributes[] = {(int32_t)rows, (int32_t)channels, (int32_t)inner};
        case_attributes(c, attributes, 3);
        check_case(c);
    }
}

/* ------------------------------------------------------------------------------------- dropout */

static kernel_case *dropout_case(const float *x, uint32_t count, float ratio, int32_t stream,
                                 int32_t first, uint32_t micro_step) {
    kernel_case *c = case_new("dropout", BT_OPCODE_DROPOUT);
    case_vector(c, count, copy(x, count), NULL);
    case_vector(c, count, NULL, NULL);
    case_float(c, ratio);
    case_attribute(c, stream);
    case_attribute(c, first);
    c->scalars.seed[0] = 17;
    c->scalars.seed[1] = 4;
    c->scalars.micro_step = micro_step;
    return c;
}

static void dropout_follows_the_generator(void) {
    enum { COUNT = 1003 };
    static const uint32_t firsts[] = {0, 4, 237, 474, 711, 64};
    for (uint32_t k = 0; k < sizeof firsts / sizeof *firsts; k++) {
        float *x = random_floats(COUNT);
        double *y = zeros(COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t e = firsts[k] + i;
            uint32_t key[2] = {17, 4}, counter[4] = {e / 4, 3, 9, 0}, word[4];
            bt_philox(key, counter, word);
            y[i] = bt_philox_uniform(word[e % 4]) >= 0.25f ? x[i] / 0.75 : 0;
        }
        kernel_case *c = dropout_case(x, COUNT, 0.25f, 3, (int32_t)firsts[k], 9);
        c->expected[1] = y;
        check_in_place(c, 0, 1);
        check_case(c);
        free(x);
    }
}

static uint32_t ones_kept(uint32_t count, float ratio, int32_t stream, uint32_t micro_step,
                          uint8_t *mask) {
    float *x = random_floats(count); /* a zero among them is unlikely, and the seed is fixed */
    kernel_case *c = dropout_case(x, count, ratio, stream, 0, micro_step);
    run_call(bt_kernels_baseline[BT_OPCODE_DROPOUT], &c->call, 1);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        mask[i] = ((const float *)c->call.data[1])[i] != 0;
        kept += mask[i];
    }
    case_free(c);
    free(x);
    return kept;
}

static void dropout_masks_are_fair_and_differ(void) {
    enum { COUNT = 100000 };
    uint8_t *mask = malloc(COUNT), *other_stream = malloc(COUNT), *other_step = malloc(COUNT);
    uint32_t kept = ones_kept(COUNT, 0.3f, 0, 0, mask);
    ones_kept(COUNT, 0.3f, 1, 0, other_stream);
    ones_kept(COUNT, 0.3f, 0, 1, other_step);
    CHECK(kept > 69300 && kept < 70700, "%u of 100000 kept at ratio 0.3", kept);
    CHECK(memcmp(mask, other_stream, COUNT) != 0, "streams share a mask");
    CHECK(memcmp(mask, other_step, COUNT) != 0, "micro-batches share a mask");
    CHECK(ones_kept(COUNT, 0.0f, 0, 0, mask) == COUNT, "ratio 0 drops");
    free(mask);
    free(other_stream);
    free(other_step);
}

/* ------------------------------------------------------------------------------------- softmax */

static void softmax_reference(const double *x, uint32_t channels, uint32_t stride, double *y) {
    double largest = -INFINITY, total = 0;
    for (uint32_t c = 0; c < channels; c++) {
        largest = fmax(largest, x[c * stride]);
    }
    for (uint32_t c = 0; c < channels; c++) {
        total += exp(x[c * stride] - largest);
    }
    for (uint32_t c = 0; c < channels; c++) {
        y[c * stride] = exp(x[c * stride] - largest) / total;
    }
}

static void softmax_and_its_gradient(void) {
    static const uint32_t sizes[][3] = {{1, 1, 1}, {3, 5, 1}, {2, 4, 7}, {1, 700, 1}, {2, 33, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t rows = sizes[s][0], channels = sizes[s][1], inner = sizes[s][2];
        uint32_t count = rows * channels * inner;
        int32_t attributes[] = {(int32_t)rows, (int32_t)channels, (int32_t)inner};
        float *x = random_floats(count), *dy = random_floats(count), *y32 = copy(x, count);
        double *y = zeros(count), *dx = zeros(count), *wide;
        for (uint32_t i = 0; i < count; i++) {
            x[i] *= 8;
        }
        wide = to_double(x, count);
        for (uint32_t unit = 0; unit < rows * inner; unit++) {
            uint32_t start = unit / inner * channels * inner + unit % inner;
            softmax_reference(wide + start, channels, inner, y + start);
            double sum = 0;
            for (uint32_t c = 0; c < channels; c++) {
                sum += y[start + c * inner] * dy[start + c * inner];
            }
            for (uint32_t c = 0; c < channels; c++) {
                uint32_t i = start + c * inner;
                dx[i] = y[i] * (dy[i] - sum);
                y32[i] = (float)y[i];
            }
        }
        kernel_case *c = case_new("softmax", BT_OPCODE_SOFTMAX_FORWARD);
        case_vector(c, count, x, NULL);
        case_vector(c, count, NULL, y);
        case_attributes(c, attributes, 3);
        check_in_place(c, 0, 1);
        check_case(c);
        c = case_new("softmax gradient", BT_OPCODE_SOFTMAX_GRAD);
        case_vector(c, count, y32, NULL);
        case_vector(c, count, dy, NULL);
        case_vector(c, count, NULL, dx);
        case_attributes(c, attributes, 3);
        c->tolerance = 4e-6;
        check_in_place(c, 1, 2);
        check_case(c);
        free(wide);
    }
}

/* -------------------------------------------------------------------------------------- losses */

/* Loss of one sample as a function of the output; target: class or values. */
typedef struct loss_context {
    uint32_t opcode, elements;
    int32_t label;
    const float *target;
} loss_context;

static double loss_of(const double *x, const void *context) {
    const loss_context *l = context;
    double loss = 0, largest = -INFINITY;
    if (l->opcode == BT_OPCODE_CROSS_ENTROPY) {
        for (uint32_t i = 0; i < l->elements; i++) {
            largest = fmax(largest, x[i]);
        }
        for (uint32_t i = 0; i < l->elements; i++) {
            loss += exp(x[i] - largest);
        }
        return log(loss) - (x[l->label] - largest);
    }
    for (uint32_t i = 0; i < l->elements; i++) {
        double difference = x[i] - l->target[i];
        loss += l->opcode == BT_OPCODE_MSE ? difference * difference / l->elements
                                           : x[i] * l->target[i];
    }
    return loss;
}

static void check_loss(uint32_t opcode, const char *name, uint32_t samples, uint32_t elements,
                       float scale) {
    uint32_t count = samples * elements, dims[] = {samples, elements};
    float *x = random_floats(count), *target = random_floats(count);
    int32_t *labels = malloc(samples * sizeof *labels);
    double *losses = zeros(samples), *gradient = zeros(count);
    for (uint32_t i = 0; i < count; i++) {
        x[i] *= scale;
    }
    for (uint32_t n = 0; n < samples; n++) {
        labels[n] = (int32_t)(n * 7 % elements);
        loss_context context = {opcode, elements, labels[n], target + n * elements};
        double *wide = to_double(x + n * elements, elements);
        losses[n] = loss_of(wide, &context);
        double *slope = numeric_gradient(loss_of, &context, x + n * elements, elements);
        for (uint32_t i = 0; i < elements; i++) {
            gradient[n * elements + i] = slope[i] * 0.25; /* inverse_batch of the case */
        }
        free(slope);
        free(wide);
    }
    for (int with_gradient = 0; with_gradient < 2; with_gradient++) {
        kernel_case *c = case_new(name, opcode);
        case_f32(c, 2, dims, copy(x, count), NULL);
        if (opcode == BT_OPCODE_CROSS_ENTROPY) {
            int32_t *own = malloc(samples * sizeof *own);
            memcpy(own, labels, samples * sizeof *own);
            case_operand(c, BT_DTYPE_I32, 1, &samples, own, NULL);
        } else {
            case_f32(c, 2, dims, copy(target, count), NULL);
        }
        double *expected = zeros(samples);
        memcpy(expected, losses, samples * sizeof *expected);
        case_vector(c, samples, NULL, expected);
        case_attribute(c, (int32_t)elements);
        if (with_gradient) {
            case_f32(c, 2, dims, NULL, gradient);
            check_in_place(c, 0, 3);
        } else {
            case_absent(c);
        }
        check_case(c);
    }
    free(x);
    free(target);
    free(labels);
    free(losses);
}

static void losses_and_their_gradients(void) {
    check_loss(BT_OPCODE_CROSS_ENTROPY, "cross-entropy", 5, 11, 3);
    check_loss(BT_OPCODE_CROSS_ENTROPY, "cross-entropy, two classes", 1, 2, 1);
    check_loss(BT_OPCODE_CROSS_ENTROPY, "cross-entropy, 300 classes", 2, 300, 4);
    check_loss(BT_OPCODE_MSE, "mse", 3, 7, 1);
    check_loss(BT_OPCODE_MSE, "mse, blocks", 1, 1000, 1);
    check_loss(BT_OPCODE_INNER_PRODUCT, "inner product", 2, 600, 1);
}

static kernel_case *cross_entropy_case(float first, float second, int32_t label, double loss,
                                       double slope) {
    float logits[] = {first, second};
    uint32_t one = 1, dims[] = {1, 2};
    int32_t *own = malloc(sizeof *own);
    *own = label;
    double *losses = zeros(1), *gradient = zeros(2);
    losses[0] = loss;
    gradient[0] = slope * 0.25;
    gradient[1] = -slope * 0.25;
    kernel_case *c = case_new("cross-entropy, extreme", BT_OPCODE_CROSS_ENTROPY);
    case_f32(c, 2, dims, copy(logits, 2), NULL);
    case_operand(c, BT_DTYPE_I32, 1, &one, own, NULL);
    case_vector(c, 1, NULL, losses);
    case_f32(c, 2, dims, NULL, gradient);
    case_attribute(c, 2);
    return c;
}

static void cross_entropy_survives_extreme_logits(void) {
    check_case(cross_entropy_case(1e4f, -1e4f, 1, 2e4, 1));
    check_case(cross_entropy_case(1e4f, -1e4f, 0, 0, 0));
    check_case(cross_entropy_case(-1e4f, -1e4f, 0, log(2), -0.5));
}

static void label_that_is_no_class_gives_nan(void) {
    static const int32_t bad[] = {-1, 2, 2147483647, -2147483647};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kernel_case *c = cross_entropy_case(1, 1, bad[i], NAN, 0);
        free(c->expected[3]);
        c->expected[3] = NULL;
        check_case(c);
    }
}

/* ----------------------------------------------------------------------------------- optimizers */

enum { WEIGHTS = 101, STEPS = 4 };

/* Runs STEPS steps of a case whose operands are w, g and state; expected follows in double. */
typedef void (*step_fn)(double *w, double g, double *state, uint32_t step);

static void check_optimizer(kernel_case *c, uint32_t states, step_fn step) {
    double w[WEIGHTS], state[WEIGHTS][2] = {{0}};
    float *weights = c->call.data[0], *gradients = c->call.data[1];
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        w[i] = weights[i];
    }
    for (uint32_t t = 1; t <= STEPS; t++) {
        double beta1 = 0.9f, beta2 = 0.999f;
        c->scalars.correction1 = (float)(1 - pow(beta1, t));
        c->scalars.correction2 = (float)(1 - pow(beta2, t));
        for (uint32_t i = 0; i < WEIGHTS; i++) {
            gradients[i] = random_float();
            step(&w[i], gradients[i], state[i], t);
        }
        run_call(bt_kernels_baseline[c->call.opcode], &c->call, 1);
        double worst = 0;
        for (uint32_t i = 0; i < WEIGHTS; i++) {
            worst = fmax(worst, fabs(weights[i] - w[i]));
        }
        CHECK(worst < 1e-6, "%s: step %u is off by %g", c->name, t, worst);
    }
    /* One step more, for all sets and teams. */
    for (uint32_t k = 0; k <= states; k++) {
        uint32_t operand = k == 0 ? 0 : k + 1;
        c->expected[operand] = zeros(WEIGHTS);
    }
    c->scalars.correction1 = (float)(1 - pow(0.9f, STEPS + 1));
    c->scalars.correction2 = (float)(1 - pow(0.999f, STEPS + 1));
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        step(&w[i], gradients[i], state[i], STEPS + 1);
        c->expected[0][i] = w[i];
        for (uint32_t k = 0; k < states; k++) {
            c->expected[2 + k][i] = state[i][k];
        }
    }
    check_case(c);
}

static void sgd_plain(double *w, double g, double *state, uint32_t step) {
    (void)state;
    (void)step;
    *w -= 0.05f * g;
}

static void sgd_momentum_decay(double *w, double g, double *state, uint32_t step) {
    g += 0.01f * *w;
    state[0] = step == 1 ? g : 0.9f * state[0] + g;
    *w -= 0.05f * state[0];
}

static void sgd_nesterov(double *w, double g, double *state, uint32_t step) {
    state[0] = step == 1 ? g : 0.9f * state[0] + g;
    *w -= 0.05f * (g + 0.9f * state[0]);
}

static void adam_step(double *w, double g, double *state, uint32_t step) {
    state[0] = 0.9f * state[0] + (1 - 0.9f) * g;
    state[1] = 0.999f * state[1] + (1 - 0.999f) * g * g;
    double root = sqrt(state[1] / (1 - pow(0.999f, step)));
    *w -= 0.05f * (state[0] / (1 - pow(0.9f, step))) / (root + 1e-8f);
}

static void adam_coupled(double *w, double g, double *state, uint32_t step) {
    adam_step(w, g + 0.1f * *w, state, step);
}

static void adamw(double *w, double g, double *state, uint32_t step) {
    *w *= 1 - 0.05f * 0.1f;
    adam_step(w, g, state, step);
}

static kernel_case *sgd_case(const char *name, int with_momentum, float decay, int32_t nesterov) {
    kernel_case *c = case_new(name, BT_OPCODE_SGD);
    case_vector(c, WEIGHTS, random_floats(WEIGHTS), NULL);
    case_vector(c, WEIGHTS, random_floats(WEIGHTS), NULL);
    if (with_momentum) {
        case_vector(c, WEIGHTS, calloc(WEIGHTS, sizeof(float)), NULL);
    } else {
        case_absent(c);
    }
    case_float(c, with_momentum ? 0.9f : 0.0f);
    case_float(c, decay);
    case_attribute(c, nesterov);
    return c;
}

static kernel_case *adam_case(const char *name, int32_t decoupled) {
    kernel_case *c = case_new(name, BT_OPCODE_ADAM);
    case_vector(c, WEIGHTS, random_floats(WEIGHTS), NULL);
    case_vector(c, WEIGHTS, random_floats(WEIGHTS), NULL);
    case_vector(c, WEIGHTS, calloc(WEIGHTS, sizeof(float)), NULL);
    case_vector(c, WEIGHTS, calloc(WEIGHTS, sizeof(float)), NULL);
    case_float(c, 0.9f);
    case_float(c, 0.999f);
    case_float(c, 1e-8f);
    case_float(c, 0.1f);
    case_attribute(c, decoupled);
    return c;
}

static void optimizers_follow_pytorch(void) {
    check_optimizer(sgd_case("sgd", 0, 0, 0), 0, sgd_plain);
    check_optimizer(sgd_case("sgd, momentum, decay", 1, 0.01f, 0), 1, sgd_momentum_decay);
    check_optimizer(sgd_case("sgd, nesterov", 1, 0, 1), 1, sgd_nesterov);
    check_optimizer(adam_case("adam", 0), 2, adam_coupled);
    check_optimizer(adam_case("adamw", 1), 2, adamw);
}

static void zero_clears(void) {
    kernel_case *c = case_new("zero", BT_OPCODE_ZERO);
    case_vector(c, 1013, NULL, zeros(1013));
    check_case(c);
}

/* The mask of an activation's output gives the same gradient as the output itself. */
static void masks_stand_for_the_output(void) {
    static const uint32_t counts[] = {1, 7, 8, 9, 64, 513, 1900};
    for (uint32_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        uint32_t count = counts[k], bytes = (count + 7) / 8;
        float *y = random_floats(count), *dy = random_floats(count), slope = k % 2 ? 0.0f : 0.2f;
        double *mask = zeros(bytes), *dx = zeros(count);
        uint8_t *bits = calloc(bytes, 1);
        for (uint32_t i = 0; i < count; i++) {
            y[i] = i % 5 == 0 ? 0.0f : i % 7 == 0 ? -0.0f : y[i];
            mask[i / 8] += y[i] > 0 ? 1 << i % 8 : 0;
            dx[i] = (double)(y[i] > 0 ? dy[i] : slope * dy[i]);
        }
        for (uint32_t i = 0; i < bytes; i++) {
            bits[i] = (uint8_t)mask[i];
        }
        kernel_case *c = case_new("sign mask", BT_OPCODE_SIGN_MASK);
        case_vector(c, count, y, NULL);
        case_operand(c, BT_DTYPE_U8, 1, &bytes, NULL, mask);
        c->tolerance = 0;
        check_case(c);
        c = case_new("mask gradient", BT_OPCODE_MASK_GRAD);
        case_operand(c, BT_DTYPE_U8, 1, &bytes, bits, NULL);
        case_vector(c, count, dy, NULL);
        case_vector(c, count, NULL, dx);
        case_float(c, slope);
        c->tolerance = 0;
        check_in_place(c, 1, 2);
        check_case(c);
    }
}

int main(void) {
    print_kernel_sets();
    RUN(masks_stand_for_the_output);
    RUN(activations_and_their_gradients);
    RUN(gradients_at_the_kinks);
    RUN(extreme_arguments);
    RUN(binary_operations);
    RUN(broadcast_gradients);
    RUN(accumulate_adds);
    RUN(channel_sums);
    RUN(dropout_follows_the_generator);
    RUN(dropout_masks_are_fair_and_differ);
    RUN(softmax_and_its_gradient);
    RUN(losses_and_their_gradients);
    RUN(cross_entropy_survives_extreme_logits);
    RUN(label_that_is_no_class_gives_nan);
    RUN(optimizers_follow_pytorch);
    RUN(zero_clears);
    return REPORT();
}
