/*
 * Maps kept in half precision: less memory, and training that stays close to that in single
 * precision. The same samples, the same first parameters, some optimizer steps each.
 */
#include <math.h>

#include "machine.h"
#include "support.h"

enum { STEPS = 6, BATCH = 4 };

typedef struct run {
    float losses[STEPS * BATCH];
    float evaluation;
} run;

static void load_sample(const machine *m, uint32_t number) {
    uint32_t state = 1000 + number * 77;
    float *input = machine_data(m, m->header->input_tensor);
    int32_t label = (int32_t)(number % m->header->output_elements);
    for (uint32_t i = 0; i < m->header->input_elements; i++) {
        input[i] = next_float(&state) + 0.2f * (float)label * sinf(0.05f * (float)i);
    }
    *(int32_t *)(void *)machine_data(m, m->header->target_tensor) = label;
}

static run train(const bt_program *program) {
    run result;
    machine m = machine_new(program);
    m.scalars.inverse_batch = 1.0f / BATCH;
    for (uint32_t step = 0; step < STEPS; step++) {
        machine_run(&m, BT_SEQUENCE_BEGIN);
        for (uint32_t i = 0; i < BATCH; i++) {
            load_sample(&m, step * BATCH + i);
            machine_run(&m, BT_SEQUENCE_TRAIN);
            result.losses[step * BATCH + i] = *machine_data(&m, m.header->loss_tensor);
        }
        machine_run(&m, BT_SEQUENCE_UPDATE);
    }
    load_sample(&m, 0);
    machine_run(&m, BT_SEQUENCE_EVALUATE);
    result.evaluation = *machine_data(&m, m.header->loss_tensor);
    machine_free(&m);
    return result;
}

static void check_network(const char *name, bt_model *model, uint32_t limit) {
    bt_training_options options = options_default();
    bt_program *single = compile(model, &options, "gap9-l2-only");
    options.stash_fp16 = 1;
    bt_program *half = compile(model, &options, "gap9-l2-only");
    run a = train(single), b = train(half);
    double sum = 0.0, worst = 0.0;
    for (uint32_t i = 0; i < STEPS * BATCH; i++) {
        double deviation = fabs((double)b.losses[i] - (double)a.losses[i]);
        sum += deviation / (STEPS * BATCH);
        worst = fmax(worst, deviation);
    }
    uint32_t before = program_info(single).l2_peak_bytes, after = program_info(half).l2_peak_bytes;
    printf("    %s: loss %.4f, off by %.1e on average, %.1e at most; %u bytes of L2 instead of %u, "
           "%u of L1\n",
           name, (double)a.evaluation, sum, worst, after, before, program_info(half).l1_peak_bytes);
    CHECK(isfinite(sum) && worst < 0.02, "%s: the loss is off by %g", name, worst);
    CHECK(fabs((double)b.evaluation - (double)a.evaluation) < 0.02, "%s: %g instead of %g", name,
          (double)b.evaluation, (double)a.evaluation);
    CHECK(after <= before && after <= limit, "%s: %u bytes instead of %u", name, after, before);
    bt_program_free(single);
    bt_program_free(half);
    bt_model_free(model);
}

static void training_stays_close_to_single_precision(void) {
    check_network("EpiDeNet", epidenet(), 51000);
    check_network("MI-BMINet F8", mi_bminet(8, 64, 0), 45000);
    check_network("MI-BMINet F32", mi_bminet(32, 128, 1), 290000);
}

/* What is rounded is the kept map, so a program that keeps none has the same bits. */
static void nothing_else_is_rounded(void) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 12};
    uint32_t v = add_input(&b, 2, dims);
    bt_model *model = finish(&b, add_linear(&b, "fc", v, 12, 3));
    bt_training_options options = options_default();
    bt_program *single = compile(model, &options, "gap9-l2-only");
    options.stash_fp16 = 1;
    bt_program *half = compile(model, &options, "gap9-l2-only");
    CHECK(single->size == half->size && memcmp(single->bytes, half->bytes, half->size) == 0,
          "the programs differ");
    bt_program_free(single);
    bt_program_free(half);
    bt_model_free(model);
}

int main(void) {
    RUN(training_stays_close_to_single_precision);
    RUN(nothing_else_is_rounded);
    return REPORT();
}
