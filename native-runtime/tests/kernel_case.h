/*
 * One kernel call as a test case: operands, attributes, and what the outputs should be. check_case
 * runs it with every instruction set of this machine and with 1, 2, 3 and 8 cores, compares the
 * first result with a double-precision reference and all others with the first one, bit by bit.
 */
#ifndef BT_KERNEL_CASE_H
#define BT_KERNEL_CASE_H

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernel.h"
#include "support.h"

typedef struct kernel_case {
    const char *name;
    bt_call call;
    bt_step_scalars scalars;
    bt_tensor tensor[BT_MAX_OPERANDS];
    double *expected[BT_MAX_OPERANDS]; /* NULL: not compared with a reference */
    double tolerance;                  /* relative to the largest expected element */
} kernel_case;

/* ------------------------------------------------------------------------------------- numbers */

static uint64_t random_state = 1;

/* Uniform in [-1, 1), exact in float. */
static inline float random_float(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(random_state >> 40) * 0x1p-23f - 1.0f;
}

static inline float *random_floats(size_t count) {
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; i < count; i++) {
        x[i] = random_float();
    }
    return x;
}

static inline double *zeros(size_t count) { return calloc(count, sizeof(double)); }

static inline double *to_double(const float *x, size_t count) {
    double *out = malloc(count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        out[i] = x[i];
    }
    return out;
}

/* -------------------------------------------------------------------------------------- building
 */

static inline kernel_case *case_new(const char *name, uint32_t opcode) {
    kernel_case *c = calloc(1, sizeof *c);
    c->name = name;
    c->call.opcode = opcode;
    c->call.scalars = &c->scalars;
    c->scalars.inverse_batch = 0.25f;
    c->scalars.learning_rate = 0.05f;
    c->tolerance = 2e-6;
    return c;
}

static inline uint32_t case_elements(const kernel_case *c, uint32_t operand) {
    return bt_tensor_elements(&c->tensor[operand]);
}

/* Appends an operand that owns data (allocated with malloc; NULL: filled with a pattern, since
 * every element must be written) and, for outputs, what it should hold. Returns its data. */
static inline void *case_operand(kernel_case *c, uint32_t dtype, uint32_t rank,
                                 const uint32_t *dims, void *data, double *expected) {
    uint32_t index = c->call.operand_count++;
    bt_tensor *tensor = &c->tensor[index];
    tensor->level = BT_LEVEL_L2;
    tensor->dtype = (uint8_t)dtype;
    tensor->rank = (uint8_t)rank;
    for (uint32_t i = 0; i < BT_PROGRAM_MAX_RANK; i++) {
        tensor->dims[i] = i < rank ? dims[i] : 1;
    }
    if (!data) {
        size_t bytes = (size_t)bt_tensor_elements(tensor) * bt_dtype_bytes(dtype);
        data = malloc(bytes);
        memset(data, 0xC1, bytes);
    }
    c->call.tensor[index] = tensor;
    c->call.data[index] = data;
    c->expected[index] = expected;
    return data;
}

static inline void *case_f32(kernel_case *c, uint32_t rank, const uint32_t *dims, void *data,
                             double *expected) {
    return case_operand(c, BT_DTYPE_F32, rank, dims, data, expected);
}

/* A vector operand. */
static inline void *case_vector(kernel_case *c, uint32_t count, void *data, double *expected) {
    return case_operand(c, BT_DTYPE_F32, 1, &count, data, expected);
}

static inline void case_absent(kernel_case *c) { c->call.operand_count++; }

static inline void case_attribute(kernel_case *c, int32_t value) {
    c->call.attribute[c->call.attribute_count++] = value;
}

static inline void case_attributes(kernel_case *c, const int32_t *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        case_attribute(c, values[i]);
    }
}

static inline void case_float(kernel_case *c, float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    case_attribute(c, bits);
}

static inline void case_free(kernel_case *c) {
    for (uint32_t i = 0; i < c->call.operand_count; i++) {
        free(c->call.data[i]);
        free(c->expected[i]);
    }
    free(c);
}

/* --------------------------------------------------------------------------------------- running
 */

typedef struct kernel_set {
    const char *name;
    const bt_kernel_fn *kernels;
} kernel_set;

/* The instruction sets that this machine has; baseline is always the first. */
static inline uint32_t kernel_sets(kernel_set sets[3]) {
    uint32_t count = 0;
    sets[count++] = (kernel_set){"baseline", bt_kernels_baseline};
#ifdef BT_HAVE_X86_KERNELS
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        sets[count++] = (kernel_set){"avx2", bt_kernels_avx2};
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
        sets[count++] = (kernel_set){"avx512", bt_kernels_avx512};
    }
#endif
    return count;
}

static inline void print_kernel_sets(void) {
    kernel_set sets[3];
    uint32_t count = kernel_sets(sets);
    printf("kernels: ");
    for (uint32_t i = 0; i < count; i++) {
        printf("%s%s", i ? ", " : "", sets[i].name);
    }
    printf(count == 3 ? "\n"
                      : " (the others are skipped: this processor lacks their instructions)\n");
}

typedef struct core_run {
    bt_kernel_fn kernel;
    const bt_call *call;
    bt_team team;
} core_run;

static inline void wait_at_barrier(void *context) { pthread_barrier_wait(context); }

static inline void *run_core(void *argument) {
    core_run *run = argument;
    run->kernel(run->call, &run->team);
    return NULL;
}

/* Runs a call on a team of threads. */
static inline void run_call(bt_kernel_fn kernel, const bt_call *call, uint32_t cores) {
    pthread_barrier_t barrier;
    pthread_t thread[8];
    core_run run[8];
    pthread_barrier_init(&barrier, NULL, cores);
    for (uint32_t i = 0; i < cores; i++) {
        run[i] = (core_run){kernel, call, {i, cores, wait_at_barrier, &barrier}};
        if (i > 0) {
            pthread_create(&thread[i], NULL, run_core, &run[i]);
        }
    }
    run_core(&run[0]);
    for (uint32_t i = 1; i < cores; i++) {
        pthread_join(thread[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
}

static inline size_t operand_bytes(const kernel_case *c, uint32_t i) {
    return c->call.tensor[i] ? (size_t)case_elements(c, i) * bt_dtype_bytes(c->tensor[i].dtype) : 0;
}

/* Whether an operand holds the same bits as data; NaNs are not told apart, because IEEE 754 does
 * not say which one an operation gives. */
static inline int same_bits(const kernel_case *c, uint32_t operand, const void *data) {
    const unsigned char *actual = c->call.data[operand], *other = data;
    uint32_t bytes = bt_dtype_bytes(c->tensor[operand].dtype);
    for (uint32_t i = 0; i < case_elements(c, operand); i++) {
        if (memcmp(actual + i * bytes, other + i * bytes, bytes) != 0) {
            float a, b;
            if (c->tensor[operand].dtype != BT_DTYPE_F32) {
                return 0;
            }
            memcpy(&a, actual + i * bytes, sizeof a);
            memcpy(&b, other + i * bytes, sizeof b);
            if (!isnan(a) || !isnan(b)) {
                return 0;
            }
        }
    }
    return 1;
}

/* What a half stands for. */
static inline double half_value(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double magnitude = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                       : exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(1024 + fraction, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

static inline double operand_value(const kernel_case *c, uint32_t operand, uint32_t element) {
    const void *data = c->call.data[operand];
    switch (c->tensor[operand].dtype) {
    case BT_DTYPE_U8:
        return ((const uint8_t *)data)[element];
    case BT_DTYPE_U16:
        return ((const uint16_t *)data)[element];
    case BT_DTYPE_F16:
        return half_value(((const uint16_t *)data)[element]);
    case BT_DTYPE_I32:
        return ((const int32_t *)data)[element];
    default:
        return ((const float *)data)[element];
    }
}

static inline void check_expected(const kernel_case *c, uint32_t operand) {
    uint32_t count = case_elements(c, operand);
    double largest = 0, worst = 0;
    uint32_t where = 0;
    for (uint32_t i = 0; i < count; i++) {
        double expected = c->expected[operand][i], actual = operand_value(c, operand, i);
        if (isnan(expected) || isinf(expected)) {
            CHECK(isnan(expected) ? isnan(actual) : actual == expected,
                  "%s: operand %u element %u is %g instead of %g", c->name, operand, i, actual,
                  expected);
            continue;
        }
        double error = fabs(actual - expected);
        largest = fmax(largest, fabs(expected));
        if (!(error <= worst)) { /* also takes NaN */
            worst = error;
            where = i;
        }
    }
    CHECK(worst <= c->tolerance * largest, "%s: operand %u element %u is %.9g instead of %.9g",
          c->name, operand, where, operand_value(c, operand, where), c->expected[operand][where]);
}

/* Checks a case as described above and frees it. */
static inline void check_case(kernel_case *c) {
    static const uint32_t team_sizes[] = {1, 2, 3, 8};
    CHECK(bt_call_check(&c->call) == BT_FAULT_NONE, "%s: bt_call_check refuses the case (%d)",
          c->name, (int)bt_call_check(&c->call));
    void *before[BT_MAX_OPERANDS] = {NULL}, *first[BT_MAX_OPERANDS] = {NULL};
    for (uint32_t i = 0; i < c->call.operand_count; i++) {
        before[i] = malloc(operand_bytes(c, i) + 1);
        first[i] = malloc(operand_bytes(c, i) + 1);
        if (c->call.tensor[i]) {
            memcpy(before[i], c->call.data[i], operand_bytes(c, i));
        }
    }
    kernel_set sets[3];
    uint32_t set_count = kernel_sets(sets);
    for (uint32_t s = 0; s < set_count; s++) {
        for (uint32_t t = 0; t < 4; t++) {
            for (uint32_t i = 0; i < c->call.operand_count; i++) {
                if (c->call.tensor[i]) {
                    memcpy(c->call.data[i], before[i], operand_bytes(c, i));
                }
            }
            run_call(sets[s].kernels[c->call.opcode], &c->call, team_sizes[t]);
            for (uint32_t i = 0; i < c->call.operand_count; i++) {
                if (!c->call.tensor[i]) {
                    continue;
                }
                if (s > 0 || t > 0) {
                    CHECK(same_bits(c, i, first[i]), "%s: operand %u differs with %s and %u cores",
                          c->name, i, sets[s].name, team_sizes[t]);
                    continue;
                }
                memcpy(first[i], c->call.data[i], operand_bytes(c, i));
                if (c->expected[i]) {
                    check_expected(c, i);
                }
            }
        }
    }
    for (uint32_t i = 0; i < c->call.operand_count; i++) {
        free(before[i]);
        free(first[i]);
    }
    case_free(c);
}

/* Checks that the output may take the place of the input: same result, for all sets and teams. */
static inline void check_in_place(const kernel_case *c, uint32_t input, uint32_t output) {
    size_t bytes = operand_bytes(c, output);
    kernel_set sets[3];
    uint32_t set_count = kernel_sets(sets);
    run_call(sets[0].kernels[c->call.opcode], &c->call, 1);
    void *shared = malloc(bytes);
    bt_call in_place = c->call;
    in_place.data[input] = in_place.data[output] = shared;
    for (uint32_t s = 0; s < set_count; s++) {
        for (uint32_t cores = 1; cores <= 8; cores += 7) {
            memcpy(shared, c->call.data[input], bytes);
            run_call(sets[s].kernels[c->call.opcode], &in_place, cores);
            CHECK(same_bits(c, output, shared),
                  "%s: operand %u in place of %u with %s and %u cores", c->name, output, input,
                  sets[s].name, cores);
        }
    }
    free(shared);
}

/* ----------------------------------------------------------------------------------
 * differentiation */

/* A scalar function of count numbers, with what else it depends on in context. */
typedef double (*scalar_fn)(const double *x, const void *context);

/* Gradient of f at x by central differences with one step of extrapolation. */
static inline double *numeric_gradient(scalar_fn f, const void *context, const float *x,
                                       uint32_t count) {
    double *at = to_double(x, count), *gradient = zeros(count);
    const double h = 1e-3;
    for (uint32_t i = 0; i < count; i++) {
        double center = at[i], slope[2];
        for (int k = 0; k < 2; k++) {
            double step = k ? h / 2 : h;
            at[i] = center + step;
            double above = f(at, context);
            at[i] = center - step;
            slope[k] = (above - f(at, context)) / (2 * step);
        }
        at[i] = center;
        gradient[i] = (4 * slope[1] - slope[0]) / 3;
    }
    free(at);
    return gradient;
}

#endif
