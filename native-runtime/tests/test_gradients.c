/*
 * Finite differences: for every differentiable op, over a spread of shapes, and for whole networks,
 * the compiled program's gradients against central differences of its own loss, the inner product
 * with a random upstream gradient. Everything runs on the interpreter with the baseline kernels.
 */
#include "machine.h"
#include "random_graph.h"
#include "support.h"

#include "model/op_table.h"

#include <math.h>

typedef struct gradient_case {
    bt_op op;
    const char *operands; /* as in "1,3,8;4,3,3"; the first is the input */
    const char *attributes;
    uint32_t micro_batch;
    uint32_t batch_norm; /* bt_batch_norm_mode, 0: the default */
} gradient_case;

static const gradient_case cases[] = {
    /* Convolutions: 1-D, dense, 1xK, Kx1, depthwise, pointwise, groups, strides, dilations, pads.
     */
    {BT_OP_CONV, "1,2,9;3,2,4;3", "", 2, 0},
    {BT_OP_CONV, "1,2,9;3,2,4", "stride=1,2 pads=0,3,0,1", 1, 0},
    {BT_OP_CONV, "1,2,12;4,1,3;4", "groups=2 dilation=1,2 pads=0,1,0,2", 2, 0},
    {BT_OP_CONV, "1,3,5,6;4,3,3,3;4", "pads=1,1,1,1", 1, 0},
    {BT_OP_CONV, "1,3,5,6;4,3,3,3", "stride=2,2 pads=1,0,0,2", 2, 0},
    {BT_OP_CONV, "1,1,3,40;2,1,1,16", "", 1, 0},
    {BT_OP_CONV, "1,2,3,20;2,2,1,8;2", "pads=0,3,0,4", 2, 0},
    {BT_OP_CONV, "1,1,8,11;4,1,8,1", "", 2, 0},
    {BT_OP_CONV, "1,4,1,20;4,1,1,7", "groups=4 pads=0,3,0,3", 2, 0},
    {BT_OP_CONV, "1,3,2,9;6,1,2,3;6", "groups=3", 1, 0},
    {BT_OP_CONV, "1,5,2,7;3,5,1,1;3", "", 2, 0},
    {BT_OP_CONV, "1,4,7,8;6,2,2,3", "stride=2,3 pads=0,2,1,3 dilation=2,2 groups=2", 2, 0},
    {BT_OP_CONV, "1,1,1,1;1,1,1,1;1", "", 1, 0},
    {BT_OP_CONV, "1,2,3,3;5,2,3,3", "", 1, 0},
    {BT_OP_CONV, "1,2,2,2;2,2,3,3", "stride=3,3 pads=2,2,2,2", 1, 0},
    {BT_OP_LINEAR, "1,7;4,7;4", "", 3, 0},
    {BT_OP_LINEAR, "1,7;7,4", "flags=2", 2, 0},
    {BT_OP_LINEAR, "1,3,5;4,5;4", "", 2, 0},
    {BT_OP_LINEAR, "1,1;1,1", "", 1, 0},
    {BT_OP_MATMUL, "1,4,6;6,5", "", 2, 0},
    {BT_OP_MATMUL, "1,2,3,4;1,2,4,5", "", 1, 0},
    {BT_OP_MATMUL, "1,3,4;1,4,2", "", 2, 0},
    {BT_OP_BATCH_NORM, "1,3,2,5;3;3;3;3", "epsilon=0.01", 4, BT_BATCH_NORM_TRAINING},
    {BT_OP_BATCH_NORM, "1,4;4;4;4;4", "epsilon=0.01", 5, BT_BATCH_NORM_TRAINING},
    {BT_OP_BATCH_NORM, "1,3,2,5;3;3;3;3", "epsilon=0.01", 2, BT_BATCH_NORM_FROZEN},
    {BT_OP_BATCH_NORM, "1,3,7;3;3;3;3", "", 1, BT_BATCH_NORM_FROZEN},
    {BT_OP_GROUP_NORM, "1,4,3,5;4;4", "groups=1 epsilon=0.01", 2, 0},
    {BT_OP_GROUP_NORM, "1,6,1,9;6;6", "groups=3 epsilon=0.01", 1, 0},
    {BT_OP_GROUP_NORM, "1,8;8;8", "groups=2 epsilon=0.01", 2, 0},
    {BT_OP_GROUP_NORM, "1,2,1,300;2;2", "groups=1 epsilon=0.01", 1, 0},
    {BT_OP_LAYER_NORM, "1,3,8;8;8", "epsilon=0.01", 2, 0},
    {BT_OP_LAYER_NORM, "1,3,8;3,8", "axis=1 epsilon=0.01", 2, 0},
    {BT_OP_INSTANCE_NORM, "1,3,9;3;3", "epsilon=0.01", 2, 0},
    {BT_OP_INSTANCE_NORM, "1,2,3,4;2;2", "epsilon=0.01", 1, 0},
    {BT_OP_RELU, "1,3,7", "", 2, 0},
    {BT_OP_ELU, "1,3,7", "alpha=0.7", 1, 0},
    {BT_OP_LEAKY_RELU, "1,3,7", "alpha=0.2", 1, 0},
    {BT_OP_GELU, "1,3,7", "", 2, 0},
    {BT_OP_GELU, "1,3,7", "flags=4", 1, 0},
    {BT_OP_SIGMOID, "1,3,7", "", 1, 0},
    {BT_OP_TANH, "1,1", "", 1, 0},
    {BT_OP_TANH, "1,3,7", "", 2, 0},
    {BT_OP_SILU, "1,3,7", "", 1, 0},
    {BT_OP_HARDSWISH, "1,3,7", "", 1, 0},
    {BT_OP_MAX_POOL, "1,2,5,7", "kernel=2,3 stride=2,2 pads=1,1,1,1", 2, 0},
    {BT_OP_MAX_POOL, "1,2,16", "kernel=1,4 stride=1,2", 1, 0},
    {BT_OP_MAX_POOL, "1,1,18,18", "kernel=17,17", 1, 0},
    {BT_OP_AVERAGE_POOL, "1,2,1,17", "kernel=1,4 stride=1,4", 2, 0},
    {BT_OP_AVERAGE_POOL, "1,2,5,7", "kernel=2,3 stride=2,2 pads=1,1,0,2 flags=1", 1, 0},
    {BT_OP_AVERAGE_POOL, "1,2,5,7", "kernel=2,3 stride=1,2 pads=1,1,0,2", 1, 0},
    {BT_OP_GLOBAL_AVERAGE_POOL, "1,3,2,5", "", 2, 0},
    {BT_OP_GLOBAL_AVERAGE_POOL, "1,3,6", "", 1, 0},
    {BT_OP_ADD, "1,3,5;3,5", "", 2, 0},
    {BT_OP_ADD, "1,3,1;1,1,5", "", 2, 0},
    {BT_OP_ADD, "1,3,4;3,1", "", 1, 0},
    {BT_OP_MUL, "1,3,5;3,1", "", 2, 0},
    {BT_OP_MUL, "1,3,1;1,1,5", "", 2, 0},
    {BT_OP_MUL, "1,3,5;1", "", 1, 0},
    {BT_OP_CONCAT, "1,3,5;1,2,5;1,1,5", "axis=1", 1, 0},
    {BT_OP_CONCAT, "1,3,5;1,3,2", "axis=2", 1, 0},
    {BT_OP_RESHAPE, "1,4,6", "dims=0,8,-1", 2, 0},
    {BT_OP_TRANSPOSE, "1,4,2,3", "dims=0,3,1,2", 2, 0},
    {BT_OP_TRANSPOSE, "1,4,1,3", "dims=0,2,1,3", 2, 0},
    {BT_OP_SOFTMAX, "1,3,5", "", 2, 0},
    {BT_OP_SOFTMAX, "1,3,5", "axis=1", 2, 0},
    {BT_OP_DROPOUT, "1,40", "ratio=0.4", 2, 0},
    {BT_OP_DROPOUT, "1,40", "ratio=0", 1, 0},
};

/* ---- finite differences */

static double total_loss(machine *m) {
    double sum = 0.0;
    const float *losses = machine_data(m, m->header->loss_tensor);
    machine_run(m, BT_SEQUENCE_TRAIN);
    for (uint32_t i = 0; i < m->header->micro_batch; i++) {
        sum += (double)losses[i];
    }
    return sum;
}

/* The session fills input and target before every run, because a run may reuse their bytes. */
typedef struct sample {
    float *input, *target;
    uint32_t inputs, targets;
} sample;

static void load(const machine *m, const sample *s) {
    memcpy(machine_data(m, m->header->input_tensor), s->input, s->inputs * sizeof(float));
    memcpy(machine_data(m, m->header->target_tensor), s->target, s->targets * sizeof(float));
}

static double loss_at(machine *m, const sample *s) {
    load(m, s);
    return total_loss(m);
}

/* Not near 0, where some ops have kinks, and with gaps larger than the steps, for pools. */
static sample sample_new(const machine *m, uint32_t seed) {
    sample s = {.inputs = m->header->micro_batch * m->header->input_elements,
                .targets = m->header->micro_batch * m->header->output_elements};
    s.input = malloc(s.inputs * sizeof(float));
    s.target = malloc(s.targets * sizeof(float));
    float gap = 3.0f / (float)s.inputs;
    for (uint32_t i = 0; i < s.inputs; i++) {
        float size = 0.1f + gap * ((float)i + 0.2f * next_float(&seed));
        s.input[i] = next_below(&seed, 2) ? size : -size;
    }
    for (uint32_t i = s.inputs; i-- > 1;) {
        uint32_t other = next_below(&seed, i + 1);
        float swapped = s.input[i];
        s.input[i] = s.input[other];
        s.input[other] = swapped;
    }
    for (uint32_t i = 0; i < s.targets; i++) {
        s.target[i] = next_float(&seed);
    }
    return s;
}

static void sample_free(sample *s) {
    free(s->input);
    free(s->target);
}

/* Largest error of one tensor's gradient, relative to the largest element of all gradients. */
static double tensor_error(machine *m, const sample *s, float *values, const float *gradient,
                           uint32_t elements, double scale, float step) {
    double worst = 0.0;
    for (uint32_t i = 0; i < elements; i++) {
        float kept = values[i];
        values[i] = kept + step;
        float above = values[i];
        double loss_above = loss_at(m, s);
        values[i] = kept - step;
        double numeric = (loss_above - loss_at(m, s)) / (double)(above - values[i]);
        values[i] = kept;
        double error = fabs(numeric - (double)gradient[i]) / scale;
        worst = error > worst ? error : worst;
    }
    return worst;
}

/* Worst error of a program's gradients over all parameters and the input. */
static double program_error(const bt_program *program, uint32_t seed, float step) {
    machine m = machine_new(program);
    sample s = sample_new(&m, seed);
    uint32_t parameters[32][2], count = 0;
    float *gradients[32];
    double scale = 1e-3, worst = 0.0;
    machine_run(&m, BT_SEQUENCE_BEGIN);
    (void)loss_at(&m, &s);
    for (uint32_t i = 0; i < m.header->tensor_count && count < 32; i++) {
        const char *name = machine_name(&m, i);
        if (name == NULL || strncmp(name, "gradient.", 9) != 0) {
            continue;
        }
        uint32_t elements = bt_tensor_elements(&m.tensors[i]);
        parameters[count][0] = machine_find(&m, "", name + 9);
        parameters[count][1] = elements;
        gradients[count] = malloc(elements * sizeof(float));
        memcpy(gradients[count], machine_data(&m, i), elements * sizeof(float));
        for (uint32_t k = 0; k < elements; k++) {
            double size = fabs((double)gradients[count][k]);
            /* A NaN must not hide. */
            scale = size > scale || isnan(size) ? size : scale;
        }
        count++;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t parameter = parameters[i][0];
        float *values = parameter == BT_NO_TENSOR ? s.input : machine_data(&m, parameter);
        double error = tensor_error(&m, &s, values, gradients[i], parameters[i][1], scale, step);
        worst = error > worst || isnan(error) ? error : worst;
        free(gradients[i]);
    }
    sample_free(&s);
    machine_free(&m);
    return count == 0 ? NAN : worst;
}

static bt_training_options case_options(const gradient_case *c) {
    bt_training_options options = options_default();
    options.loss = BT_LOSS_INNER_PRODUCT;
    options.input_gradient = 1;
    options.micro_batch = c->micro_batch;
    if (c->batch_norm != 0) {
        options.batch_norm = c->batch_norm;
    }
    return options;
}

/* The op over the input and parameters. */
static bt_model *case_model(const gradient_case *c) {
    builder b = builder_new(17);
    uint32_t inputs[BT_MAX_INPUTS], count = 0;
    bt_attributes attributes = attributes_parse(c->attributes);
    char copy[160];
    snprintf(copy, sizeof copy, "%s", c->operands);
    for (char *operand = strtok(copy, ";"); operand != NULL; operand = strtok(NULL, ";")) {
        int32_t dims[BT_MAX_RANK];
        uint32_t rank = dims_parse(operand, dims);
        inputs[count] = count == 0 ? add_input(&b, rank, dims)
                                   : add_parameter(&b, NULL, rank, dims, 0.8f, 0.6f);
        count++;
    }
    return finish(&b, add_node(&b, c->op, "n", count, inputs, &attributes));
}

static void every_op_matches_finite_differences(void) {
    double worst = 0.0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const gradient_case *c = &cases[i];
        bt_model *model = case_model(c);
        bt_training_options options = case_options(c);
        bt_program *program = compile(model, &options, "host");
        double error = program_error(program, (uint32_t)i, 2e-3f);
        CHECK(error <= 1e-3, "%s %s %s, micro_batch %u: relative error %g",
              bt_op_find((uint32_t)c->op)->name, c->operands, c->attributes, c->micro_batch, error);
        worst = error > worst ? error : worst;
        bt_program_free(program);
        bt_model_free(model);
    }
    printf("    %zu cases, worst relative error %.1e\n", sizeof cases / sizeof cases[0], worst);
}

static void every_differentiable_op_has_a_case(void) {
    for (uint32_t i = 0; i < bt_op_count(); i++) {
        bt_op_info info = {.struct_size = sizeof info};
        uint32_t found = 0;
        require(bt_op_info_get(i, &info), "bt_op_info_get");
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
            found += (uint32_t)cases[k].op == info.op;
        }
        CHECK(found > 0 || !info.differentiable, "%s", info.name);
    }
}

/* Operands that all come from the input, in a batch: softmax(x x^T) x, joined with x. */
static void operands_from_the_input_match_finite_differences(void) {
    const int32_t in[] = {1, 3, 4};
    builder b = builder_new(5);
    uint32_t x = add_input(&b, 3, in);
    bt_attributes swap = attributes_parse("dims=0,2,1"), axis = attributes_parse("axis=1");
    const uint32_t scores[] = {x, add_node(&b, BT_OP_TRANSPOSE, "transposed", 1, &x, &swap)};
    uint32_t v = add_node(&b, BT_OP_MATMUL, "scores", 2, scores, NULL);
    v = add_unary(&b, BT_OP_SOFTMAX, "softmax", v);
    const uint32_t values[] = {v, x};
    v = add_node(&b, BT_OP_MATMUL, "values", 2, values, NULL);
    const uint32_t joined[] = {v, x, v};
    bt_model *model = finish(&b, add_node(&b, BT_OP_CONCAT, "join", 3, joined, &axis));
    bt_training_options options = options_default();
    options.loss = BT_LOSS_INNER_PRODUCT;
    options.input_gradient = 1;
    options.micro_batch = 3;
    bt_program *program = compile(model, &options, "host");
    double error = program_error(program, 3, 2e-3f);
    CHECK(error <= 1e-3, "relative error %g", error);
    bt_program_free(program);
    bt_model_free(model);
}

/* Both operands are parameters, so that neither gradient is that of the input. */
static void products_of_parameters_match_finite_differences(void) {
    const int32_t in[] = {1, 2}, a_dims[] = {1, 2, 3, 4}, b_dims[] = {1, 2, 4, 5};
    builder b = builder_new(5);
    add_input(&b, 2, in);
    uint32_t p = add_parameter(&b, "a", 4, a_dims, 0.0f, 1.0f);
    const uint32_t inputs[] = {p, add_parameter(&b, "b", 4, b_dims, 0.0f, 1.0f)};
    bt_model *model = finish(&b, add_node(&b, BT_OP_MATMUL, "n", 2, inputs, NULL));
    bt_training_options options = options_default();
    options.loss = BT_LOSS_INNER_PRODUCT;
    bt_program *program = compile(model, &options, "host");
    double error = program_error(program, 3, 2e-3f);
    CHECK(error <= 1e-3, "relative error %g", error);
    bt_program_free(program);
    bt_model_free(model);
}

/* A weight that is itself computed, and one used by two layers. */
static void shared_and_computed_weights_match_finite_differences(void) {
    const int32_t in[] = {1, 2, 9}, w_dims[] = {2, 2, 3};
    builder b = builder_new(5);
    uint32_t x = add_input(&b, 3, in);
    uint32_t w = add_parameter(&b, "w", 3, w_dims, 0.3f, 0.5f);
    const uint32_t plain[] = {x, w};
    uint32_t v = add_node(&b, BT_OP_CONV, "first", 2, plain, NULL);
    v = add_unary(&b, BT_OP_TANH, "tanh", v);
    const uint32_t again[] = {v, w};
    v = add_node(&b, BT_OP_CONV, "second", 2, again, NULL);
    const uint32_t computed[] = {v, add_unary(&b, BT_OP_SIGMOID, "sigmoid", w)};
    v = add_node(&b, BT_OP_CONV, "third", 2, computed, NULL);
    const uint32_t square[] = {v, v};
    bt_model *model = finish(&b, add_node(&b, BT_OP_MUL, "square", 2, square, NULL));
    bt_training_options options = options_default();
    options.loss = BT_LOSS_INNER_PRODUCT;
    options.input_gradient = 1;
    options.micro_batch = 2;
    bt_program *program = compile(model, &options, "host");
    double error = program_error(program, 3, 2e-3f);
    CHECK(error <= 1e-3, "relative error %g", error);
    bt_program_free(program);
    bt_model_free(model);
}

/* Derivative of the loss along one random direction in all trained parameters and the input. */
static double direction_error(const bt_program *program, uint32_t seed, float step) {
    machine m = machine_new(program);
    sample s = sample_new(&m, seed);
    machine_run(&m, BT_SEQUENCE_BEGIN);
    (void)loss_at(&m, &s);
    double analytic = 0.0, norm = 0.0, losses[2];
    machine moved[2] = {machine_new(program), machine_new(program)};
    sample shifted[2] = {sample_new(&m, seed), sample_new(&m, seed)};
    for (uint32_t i = 0; i < m.header->tensor_count; i++) {
        const char *name = machine_name(&m, i);
        if (name == NULL || strncmp(name, "gradient.", 9) != 0) {
            continue;
        }
        uint32_t parameter = machine_find(&m, "", name + 9);
        uint32_t elements = bt_tensor_elements(&m.tensors[i]);
        const float *gradient = machine_data(&m, i);
        for (uint32_t k = 0; k < elements; k++) {
            float direction = next_float(&seed);
            analytic += (double)gradient[k] * (double)direction;
            norm += (double)gradient[k] * (double)gradient[k];
            for (int side = 0; side < 2; side++) {
                float *values = parameter == BT_NO_TENSOR ? shifted[side].input
                                                          : machine_data(&moved[side], parameter);
                values[k] += (side == 0 ? step : -step) * direction;
            }
        }
    }
    for (int side = 0; side < 2; side++) {
        losses[side] = loss_at(&moved[side], &shifted[side]);
        sample_free(&shifted[side]);
        machine_free(&moved[side]);
    }
    double numeric = (losses[0] - losses[1]) / (2.0 * (double)step);
    /* Differences of a loss near 0 lose digits: so the loss's own size counts as scale, too. */
    double scale = sqrt(norm) + fabs(losses[0]) * 1e-2 + 1e-2;
    sample_free(&s);
    machine_free(&m);
    return fabs(numeric - analytic) / scale;
}

static void random_networks_match_finite_differences(void) {
    enum { NETWORKS = 400 };
    uint32_t checked = 0;
    double worst = 0.0;
    for (uint32_t seed = 0; seed < NETWORKS; seed++) {
        bt_model *model = random_model(seed + 5000, 3 + seed % 12, 1);
        bt_target host = target_named("host");
        bt_training_options options = options_default();
        options.loss = BT_LOSS_INNER_PRODUCT;
        options.micro_batch = 1 + seed % 3;
        options.input_gradient = 1;
        options.batch_norm = options.micro_batch > 1 ? 1 + seed % 2 : BT_BATCH_NORM_FROZEN;
        bt_program *program;
        if (bt_program_compile(model, &options, &host, &program) == BT_OK) {
            /* Curvature wants a small step, rounding a large one. */
            double error = 1.0;
            for (float step = 1e-2f; step > 1e-4f; step *= 0.3f) {
                double candidate = direction_error(program, seed, step);
                error = candidate < error ? candidate : error;
            }
            CHECK(error <= 1e-3, "seed %u: relative error %g", seed, error);
            worst = error > worst ? error : worst;
            checked++;
            bt_program_free(program);
        }
        bt_model_free(model);
    }
    printf("    %u networks, worst relative error %.1e\n", checked, worst);
    CHECK(checked > NETWORKS * 9 / 10, "only %u networks compiled", checked);
}

/* One step along the gradient lowers the loss of the published networks. */
static void updates_lower_the_loss(void) {
    bt_model *models[] = {mi_bminet(8, 64, 1), epidenet()};
    for (int i = 0; i < 2; i++) {
        for (uint32_t optimizer = BT_OPTIMIZER_SGD; optimizer <= BT_OPTIMIZER_ADAMW; optimizer++) {
            bt_training_options options = options_default();
            options.optimizer = optimizer;
            bt_program *program = compile(models[i], &options, "gap9");
            machine m = machine_new(program);
            uint32_t seed = 5;
            uint32_t elements = m.header->input_elements;
            float *input = malloc(elements * sizeof *input);
            for (uint32_t k = 0; k < elements; k++) {
                input[k] = next_float(&seed);
            }
            double losses[4];
            m.scalars.learning_rate = 1e-3f;
            for (int step = 0; step < 4; step++) {
                const int32_t label = 1;
                memcpy(machine_data(&m, m.header->input_tensor), input, elements * sizeof *input);
                memcpy(machine_data(&m, m.header->target_tensor), &label, sizeof label);
                machine_run(&m, BT_SEQUENCE_BEGIN);
                losses[step] = total_loss(&m);
                machine_run(&m, BT_SEQUENCE_UPDATE);
            }
            CHECK(losses[3] < losses[0] && losses[3] > 0.0, "network %d, optimizer %u: %g to %g", i,
                  optimizer, losses[0], losses[3]);
            free(input);
            machine_free(&m);
            bt_program_free(program);
        }
        bt_model_free(models[i]);
    }
}

int main(void) {
    RUN(every_differentiable_op_has_a_case);
    RUN(every_op_matches_finite_differences);
    RUN(operands_from_the_input_match_finite_differences);
    RUN(products_of_parameters_match_finite_differences);
    RUN(shared_and_computed_weights_match_finite_differences);
    RUN(random_networks_match_finite_differences);
    RUN(updates_lower_the_loss);
    return REPORT();
}
