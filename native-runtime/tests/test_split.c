/*
 * Pieces of an instruction: together they touch what the whole touches, and computed one by one, on
 * copies of their windows alone, they give the same bits.
 */
#include "networks.h"
#include "support.h"

#include "kernels/kernel.h"
#include "plan/split.h"

/* An instruction over tensors that nothing else uses. */
typedef struct subject {
    bt_ir ir;
    bt_instruction instruction;
    float *data[BT_MAX_OPERANDS];
} subject;

static subject subject_new(uint32_t opcode, uint32_t attribute_count, const int32_t *attributes) {
    subject s = {.instruction = {.opcode = opcode, .attribute_count = attribute_count}};
    bt_ir_init(&s.ir);
    memcpy(s.instruction.attributes, attributes, attribute_count * sizeof *attributes);
    return s;
}

static void add_operand(subject *s, uint32_t *seed, uint32_t rank, const uint32_t *dims) {
    bt_shape shape = {.rank = rank};
    memcpy(shape.dims, dims, rank * sizeof *dims);
    uint32_t k = s->instruction.operand_count++;
    uint32_t count = bt_shape_elements(&shape);
    s->instruction.operands[k] =
        bt_ir_tensor_new(&s->ir, BT_RESIDENCE_TRANSIENT, BT_DTYPE_F32, &shape, "", NULL);
    s->data[k] = malloc(count * sizeof(float));
    for (uint32_t i = 0; i < count; i++) {
        s->data[k][i] = next_float(seed);
    }
}

static void add_absent(subject *s) {
    s->instruction.operands[s->instruction.operand_count++] = BT_NO_TENSOR;
}

static void subject_free(subject *s) {
    for (uint32_t k = 0; k < s->instruction.operand_count; k++) {
        free(s->data[k]);
    }
    bt_ir_free(&s->ir);
}

static void run(const bt_instruction *instruction, const bt_shape *shapes, float *const *data) {
    const bt_team team = {.core = 0, .cores = 1};
    const bt_step_scalars scalars = {.seed = {7, 9}, .micro_step = 3};
    bt_tensor tensors[BT_MAX_OPERANDS] = {0};
    bt_call call = {.opcode = instruction->opcode,
                    .operand_count = instruction->operand_count,
                    .attribute_count = instruction->attribute_count,
                    .scalars = &scalars};
    memcpy(call.attribute, instruction->attributes, sizeof call.attribute);
    for (uint32_t k = 0; k < instruction->operand_count; k++) {
        if (instruction->operands[k] == BT_NO_TENSOR) {
            continue;
        }
        tensors[k].rank = (uint8_t)shapes[k].rank;
        for (uint32_t d = 0; d < BT_PROGRAM_MAX_RANK; d++) {
            tensors[k].dims[d] = d < shapes[k].rank ? shapes[k].dims[d] : 1;
        }
        call.tensor[k] = &tensors[k];
        call.data[k] = data[k];
    }
    CHECK(bt_call_check(&call) == BT_FAULT_NONE, "%s: the piece is not valid",
          bt_opcode_name(call.opcode));
    bt_kernels_baseline[call.opcode](&call, &team);
}

/* Copies a window's rows between a whole operand and a dense piece. */
static void move_window(const bt_window *w, float *whole, float *piece, int back) {
    for (uint32_t r = 0; r < w->rows; r++) {
        float *row = whole + w->offset + r * w->stride;
        memcpy(back ? row : piece, back ? piece : row, w->row_length * sizeof *row);
        piece += w->row_length;
    }
}

static void run_piece(const subject *s, bt_split counts, uint32_t unit, uint32_t column) {
    bt_piece piece;
    bt_shape shapes[BT_MAX_OPERANDS];
    float *copies[BT_MAX_OPERANDS] = {0};
    bt_split_piece(&s->ir, &s->instruction, counts, unit, column, &piece);
    for (uint32_t k = 0; k < piece.instruction.operand_count; k++) {
        if (s->data[k] != NULL) {
            shapes[k] = piece.windows[k].shape;
            copies[k] = malloc(bt_shape_elements(&shapes[k]) * sizeof(float));
            move_window(&piece.windows[k], s->data[k], copies[k], 0);
        }
    }
    run(&piece.instruction, shapes, copies);
    for (uint32_t k = 0; k < piece.instruction.operand_count; k++) {
        if (s->data[k] != NULL &&
            (bt_instruction_access(&piece.instruction, k) & BT_ACCESS_WRITE) != 0) {
            move_window(&piece.windows[k], s->data[k], copies[k], 1);
        }
        free(copies[k]);
    }
}

/* Expects the same bits from the whole and from every number of pieces up to a few. */
static uint32_t check_subject(const subject *s, const char *what) {
    bt_split limit = bt_split_limit(&s->ir, &s->instruction);
    bt_shape shapes[BT_MAX_OPERANDS];
    subject whole = *s;
    uint32_t tried = 0;
    for (uint32_t k = 0; k < s->instruction.operand_count; k++) {
        if (s->data[k] != NULL) {
            shapes[k] = s->ir.tensors[s->instruction.operands[k]].shape;
            whole.data[k] = malloc(bt_shape_elements(&shapes[k]) * sizeof(float));
        }
    }
    for (uint32_t units = 1; units <= limit.units && units <= 5; units++) {
        for (uint32_t columns = 1; columns <= limit.columns && columns <= 4; columns++) {
            if (columns > 1 && limit.one_unit && units != limit.units) {
                continue;
            }
            subject pieces = *s;
            for (uint32_t k = 0; k < s->instruction.operand_count; k++) {
                if (s->data[k] != NULL) {
                    size_t bytes = bt_shape_elements(&shapes[k]) * sizeof(float);
                    memcpy(whole.data[k], s->data[k], bytes);
                    pieces.data[k] = malloc(bytes);
                    memcpy(pieces.data[k], s->data[k], bytes);
                }
            }
            run(&s->instruction, shapes, whole.data);
            for (uint32_t u = 0; u < units; u++) {
                for (uint32_t c = 0; c < columns; c++) {
                    run_piece(&pieces, (bt_split){units, columns, false}, u, c);
                }
            }
            for (uint32_t k = 0; k < s->instruction.operand_count; k++) {
                if (s->data[k] != NULL) {
                    CHECK(memcmp(whole.data[k], pieces.data[k],
                                 bt_shape_elements(&shapes[k]) * sizeof(float)) == 0,
                          "%s in %u x %u pieces: operand %u differs", what, units, columns, k);
                    free(pieces.data[k]);
                }
            }
            tried += units > 1 || columns > 1;
        }
    }
    for (uint32_t k = 0; k < s->instruction.operand_count; k++) {
        free(whole.data[k]);
    }
    return tried;
}

/* A convolution and its gradients, with strides, paddings, dilations and groups. */
static void convolutions_are_cut_exactly(void) {
    enum { ROUNDS = 400 };
    uint32_t seed = 11, tried = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t groups = 1 + next_below(&seed, 3), in = 1 + next_below(&seed, 2);
        uint32_t out = 1 + next_below(&seed, 2), height = 1 + next_below(&seed, 2);
        uint32_t taps = 1 + next_below(&seed, 7), dilation = 1 + next_below(&seed, 2);
        uint32_t window = (taps - 1) * dilation + 1, stride = 1 + next_below(&seed, 3);
        uint32_t left = next_below(&seed, window), right = next_below(&seed, window);
        uint32_t width = window + next_below(&seed, round % 4 == 0 ? 700 : 40);
        uint32_t width_out = (width + left + right - window) / stride + 1;
        uint32_t samples = round % 7 == 0 ? 2 : 1;
        const uint32_t x[] = {samples, groups * in, height, width};
        const uint32_t w[] = {groups * out, in, 1, taps};
        const uint32_t y[] = {samples, groups * out, height, width_out};
        const int32_t attributes[] = {1,
                                      (int32_t)stride,
                                      0,
                                      (int32_t)left,
                                      0,
                                      (int32_t)right,
                                      1,
                                      (int32_t)dilation,
                                      (int32_t)groups};
        const uint32_t bias[] = {groups * out};
        subject forward = subject_new(BT_OPCODE_CONV_FORWARD, 9, attributes);
        add_operand(&forward, &seed, 4, x);
        add_operand(&forward, &seed, 4, w);
        add_operand(&forward, &seed, 1, bias);
        add_operand(&forward, &seed, 4, y);
        subject input = subject_new(BT_OPCODE_CONV_GRAD_INPUT, 9, attributes);
        add_operand(&input, &seed, 4, y);
        add_operand(&input, &seed, 4, w);
        add_operand(&input, &seed, 4, x);
        subject weight = subject_new(BT_OPCODE_CONV_GRAD_WEIGHT, 9, attributes);
        add_operand(&weight, &seed, 4, x);
        add_operand(&weight, &seed, 4, y);
        add_operand(&weight, &seed, 4, w);
        tried += check_subject(&forward, "convolution") + check_subject(&input, "its input's") +
                 check_subject(&weight, "its weight's");
        subject_free(&forward);
        subject_free(&input);
        subject_free(&weight);
    }
    CHECK(tried > 5 * ROUNDS, "only %u ways to cut", tried);
}

static void pools_are_cut_exactly(void) {
    uint32_t seed = 12, tried = 0;
    for (uint32_t round = 0; round < 100; round++) {
        uint32_t kernel = 1 + next_below(&seed, 5), stride = kernel + next_below(&seed, 3);
        uint32_t width = kernel + next_below(&seed, 60);
        const uint32_t x[] = {1, 3, 2, width}, y[] = {1, 3, 2, (width - kernel) / stride + 1};
        const int32_t attributes[] = {1, (int32_t)kernel, 1, (int32_t)stride, 0, 0, 0, 0, 1};
        subject forward = subject_new(BT_OPCODE_AVERAGE_POOL_FORWARD, 9, attributes);
        add_operand(&forward, &seed, 4, x);
        add_operand(&forward, &seed, 4, y);
        subject gradient = subject_new(BT_OPCODE_AVERAGE_POOL_GRAD, 9, attributes);
        add_operand(&gradient, &seed, 4, y);
        add_operand(&gradient, &seed, 4, x);
        tried += check_subject(&forward, "pooling") + check_subject(&gradient, "its gradient");
        subject_free(&forward);
        subject_free(&gradient);
    }
    CHECK(tried > 200, "only %u ways to cut", tried);
}

static void matrix_products_are_cut_exactly(void) {
    uint32_t seed = 13, tried = 0;
    for (uint32_t round = 0; round < 200; round++) {
        int32_t rows = 1 + (int32_t)next_below(&seed, 6),
                columns = 1 + (int32_t)next_below(&seed, 6);
        int32_t depth = 1 + (int32_t)next_below(&seed, 20);
        int a_turned = next_below(&seed, 2) != 0, b_turned = next_below(&seed, 2) != 0;
        const int32_t attributes[] = {1,
                                      rows,
                                      columns,
                                      depth,
                                      rows * depth,
                                      a_turned ? 1 : depth,
                                      a_turned ? rows : 1,
                                      depth * columns,
                                      b_turned ? 1 : columns,
                                      b_turned ? depth : 1,
                                      (int32_t)next_below(&seed, 2)};
        const uint32_t a[] = {(uint32_t)(rows * depth)}, b[] = {(uint32_t)(depth * columns)};
        const uint32_t c[] = {(uint32_t)(rows * columns)};
        subject s = subject_new(BT_OPCODE_MATMUL, 11, attributes);
        add_operand(&s, &seed, 1, a);
        add_operand(&s, &seed, 1, b);
        add_absent(&s);
        add_operand(&s, &seed, 1, c);
        tried += check_subject(&s, "matrix product");
        subject_free(&s);
    }
    CHECK(tried > 200, "only %u ways to cut", tried);
}

/* A norm's sums over several blocks, within one group and over several. */
static void norms_are_cut_exactly(void) {
    uint32_t seed = 14, tried = 0;
    for (uint32_t round = 0; round < 60; round++) {
        uint32_t rows = 1 + round % 3, channels = 1 + next_below(&seed, 4);
        uint32_t span = 2 + next_below(&seed, 900);
        const uint32_t all[] = {rows * channels * span}, each[] = {rows * channels};
        const uint32_t pairs[] = {2 * rows}, partials[] = {bt_norm_partials(rows, channels, span)};
        const int32_t attributes[] = {(int32_t)rows, (int32_t)(channels * span),
                                      (int32_t)rows, (int32_t)channels,
                                      (int32_t)span, 0x3A83126F};
        subject sums = subject_new(BT_OPCODE_NORM_SUMS, 6, attributes);
        add_operand(&sums, &seed, 1, all);
        add_operand(&sums, &seed, 1, partials);
        subject apply = subject_new(BT_OPCODE_NORM_APPLY, 6, attributes);
        add_operand(&apply, &seed, 1, all);
        add_operand(&apply, &seed, 1, each);
        add_operand(&apply, &seed, 1, each);
        add_operand(&apply, &seed, 1, pairs);
        add_operand(&apply, &seed, 1, all);
        subject gradient = subject_new(BT_OPCODE_NORM_GRAD_SUMS, 6, attributes);
        add_operand(&gradient, &seed, 1, all);
        add_operand(&gradient, &seed, 1, all);
        add_operand(&gradient, &seed, 1, each);
        add_operand(&gradient, &seed, 1, pairs);
        add_operand(&gradient, &seed, 1, partials);
        tried += check_subject(&sums, "sums") + check_subject(&apply, "norm") +
                 check_subject(&gradient, "sums of the gradient");
        subject_free(&sums);
        subject_free(&apply);
        subject_free(&gradient);
    }
    CHECK(tried > 100, "only %u ways to cut", tried);
}

static void elements_are_cut_exactly(void) {
    uint32_t seed = 15, tried = 0;
    for (uint32_t round = 0; round < 50; round++) {
        const uint32_t all[] = {1 + next_below(&seed, 500)};
        const int32_t dropout[] = {0x3E800000, 2, 0}, relu[] = {BT_FUNCTION_RELU, 0};
        subject masked = subject_new(BT_OPCODE_DROPOUT, 3, dropout);
        add_operand(&masked, &seed, 1, all);
        add_operand(&masked, &seed, 1, all);
        subject activation = subject_new(BT_OPCODE_ACTIVATION_FORWARD, 2, relu);
        add_operand(&activation, &seed, 1, all);
        add_operand(&activation, &seed, 1, all);
        tried += check_subject(&masked, "dropout") + check_subject(&activation, "activation");
        subject_free(&masked);
        subject_free(&activation);
    }
    CHECK(tried > 100, "only %u ways to cut", tried);
}

int main(void) {
    RUN(convolutions_are_cut_exactly);
    RUN(pools_are_cut_exactly);
    RUN(matrix_products_are_cut_exactly);
    RUN(norms_are_cut_exactly);
    RUN(elements_are_cut_exactly);
    return REPORT();
}
