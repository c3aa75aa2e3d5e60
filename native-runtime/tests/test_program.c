/* The program format: what the validator refuses, and that nothing it accepts leaves its arenas. */
#include "networks.h"
#include "program_run.h"
#include "support.h"

#include <stddef.h>

#define FUZZ_ROUNDS 100000u
#define PROGRAM_COUNT 7u

static const uint32_t arenas[BT_LEVEL_COUNT] = {32768, 262144, 65536};

/* ------------------------------------------------------------------------------------- programs */

/* Convolutions, group norm, pooling, dropout, a linear layer; Adam; classes. */
static bt_program *convolutional_program(void) {
    builder b = builder_new(1);
    const int32_t dims[] = {1, 1, 2, 20};
    bt_attributes attributes = attributes_default();
    uint32_t v = add_input(&b, 4, dims);
    v = add_conv(&b, "conv1", v, 4, 1, 2, 5, 1, 1, 3);
    v = add_group_norm(&b, "norm1", v, 4, 2);
    v = add_unary(&b, BT_OP_RELU, "relu", v);
    v = add_conv(&b, "conv2", v, 4, 1, 1, 3, 4, 0, 0);
    attributes.kernel[0] = 1;
    attributes.kernel[1] = 3;
    attributes.strides[1] = 2;
    attributes.pads[3] = 1;
    v = add_node(&b, BT_OP_MAX_POOL, "max", 1, &v, &attributes);
    v = add_average_pool(&b, "average", v, 2);
    attributes = attributes_default();
    attributes.ratio = 0.5f;
    v = add_node(&b, BT_OP_DROPOUT, "dropout", 1, &v, &attributes);
    v = add_flatten(&b, v);
    v = add_linear(&b, "fc", v, 16, 3);
    bt_model *model = finish(&b, v);
    bt_training_options options = options_default();
    options.optimizer = BT_OPTIMIZER_ADAM;
    options.micro_batch = 2;
    bt_program *program = compile(model, &options, "gap9");
    bt_model_free(model);
    return program;
}

/* Batch norm, in training or frozen; rank 3; vector targets; SGD. */
static bt_program *batch_norm_program(bt_batch_norm_mode mode) {
    builder b = builder_new(2);
    const int32_t dims[] = {1, 3, 12};
    const int32_t weight[] = {6, 3, 3};
    bt_attributes attributes = attributes_default();
    uint32_t v = add_input(&b, 3, dims);
    const uint32_t conv[] = {v, add_parameter(&b, "w", 3, weight, 0.0f, 0.3f)};
    attributes.dilations[1] = 2;
    attributes.strides[1] = 2;
    attributes.pads[1] = 1;
    v = add_node(&b, BT_OP_CONV, "conv", 2, conv, &attributes);
    const uint32_t norm[] = {
        v, add_vector(&b, "scale", 6, 1.0f, 0.1f), add_vector(&b, "bias", 6, 0.0f, 0.1f),
        add_vector(&b, "mean", 6, 0.0f, 0.1f), add_vector(&b, "variance", 6, 1.0f, 0.1f)};
    v = add_node(&b, BT_OP_BATCH_NORM, "norm", 5, norm, NULL);
    v = add_unary(&b, BT_OP_SILU, "silu", v);
    v = add_unary(&b, BT_OP_GLOBAL_AVERAGE_POOL, "pool", v);
    v = add_flatten(&b, v);
    bt_model *model = finish(&b, v);
    bt_training_options options = options_default();
    options.loss = BT_LOSS_MSE;
    options.batch_norm = mode;
    options.micro_batch = 2;
    options.nesterov = 1;
    bt_program *program = compile(model, &options, "gap9");
    bt_model_free(model);
    return program;
}

/* Attention-like: matrix products, softmax, transpose, broadcasting, concatenation, layer norm. */
static bt_program *attention_program(void) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 4, 6};
    const int32_t square[] = {6, 6};
    bt_attributes attributes = attributes_default();
    uint32_t x = add_input(&b, 3, dims);
    const uint32_t query_inputs[] = {x, add_parameter(&b, "query", 2, square, 0.0f, 0.4f)};
    uint32_t query = add_node(&b, BT_OP_LINEAR, "query", 2, query_inputs, NULL);
    attributes.rank = 3;
    attributes.dims[1] = 2;
    attributes.dims[2] = 1;
    uint32_t key = add_node(&b, BT_OP_TRANSPOSE, "key", 1, &x, &attributes);
    const uint32_t product[] = {query, key};
    uint32_t scores = add_node(&b, BT_OP_MATMUL, "scores", 2, product, NULL);
    attributes = attributes_default();
    attributes.axis = -1;
    scores = add_node(&b, BT_OP_SOFTMAX, "softmax", 1, &scores, &attributes);
    const uint32_t mixed_inputs[] = {scores, x};
    uint32_t mixed = add_node(&b, BT_OP_MATMUL, "mixed", 2, mixed_inputs, NULL);
    const uint32_t scaled_inputs[] = {mixed, add_vector(&b, "gain", 6, 1.0f, 0.1f)};
    uint32_t scaled = add_node(&b, BT_OP_MUL, "scaled", 2, scaled_inputs, NULL);
    const uint32_t sum_inputs[] = {scaled, x};
    uint32_t sum = add_node(&b, BT_OP_ADD, "sum", 2, sum_inputs, NULL);
    const uint32_t norm_inputs[] = {sum, add_vector(&b, "norm.scale", 6, 1.0f, 0.1f),
                                    add_vector(&b, "norm.bias", 6, 0.0f, 0.1f)};
    uint32_t normed = add_node(&b, BT_OP_LAYER_NORM, "norm", 3, norm_inputs, &attributes);
    normed = add_unary(&b, BT_OP_GELU, "gelu", normed);
    const uint32_t concat_inputs[] = {normed, x};
    uint32_t v = add_node(&b, BT_OP_CONCAT, "concat", 2, concat_inputs, &attributes);
    v = add_flatten(&b, v);
    v = add_linear(&b, "fc", v, 48, 4);
    bt_model *model = finish(&b, v);
    bt_training_options options = options_default();
    options.optimizer = BT_OPTIMIZER_ADAMW;
    bt_program *program = compile(model, &options, "gap9");
    bt_model_free(model);
    return program;
}

/* Computed in parts and tiles: normalisations over the channels of several parts. */
static bt_program *chain_program(uint32_t stash_fp16) {
    builder b = builder_new(5);
    const int32_t dims[] = {1, 1, 2, 3000};
    uint32_t v = add_input(&b, 4, dims);
    v = add_conv(&b, "conv1", v, 4, 1, 2, 1, 1, 0, 0);
    v = add_group_norm(&b, "norm1", v, 4, 1);
    v = add_conv(&b, "conv2", v, 4, 1, 1, 3, 4, 1, 1);
    v = add_group_norm(&b, "norm2", v, 4, 1);
    v = add_unary(&b, BT_OP_RELU, "relu", v);
    v = add_average_pool(&b, "pool", v, 300);
    v = add_flatten(&b, v);
    v = add_linear(&b, "fc", v, 40, 2);
    bt_model *model = finish(&b, v);
    bt_training_options options = options_default();
    options.stash_fp16 = stash_fp16;
    bt_target target = target_named("gap9");
    target.l1_bytes = 32768; /* with room for all of it nothing would be gained */
    bt_program *program;
    require(bt_program_compile(model, &options, &target, &program), "bt_program_compile");
    bt_model_free(model);
    return program;
}

/* The smallest: a given gradient goes back through one linear layer. */
static bt_program *linear_program(void) {
    builder b = builder_new(4);
    const int32_t dims[] = {1, 5};
    uint32_t v = add_input(&b, 2, dims);
    v = add_linear(&b, "fc", v, 5, 3);
    bt_model *model = finish(&b, v);
    bt_training_options options = options_default();
    options.loss = BT_LOSS_INNER_PRODUCT;
    options.input_gradient = 1;
    bt_program *program = compile(model, &options, "gap9");
    bt_model_free(model);
    return program;
}

/* A program's bytes that a test may change. */
typedef struct image {
    uint8_t *bytes;
    uint32_t size;
} image;

static image image_of(bt_program *program) {
    const uint8_t *bytes;
    size_t size;
    require(bt_program_bytes(program, &bytes, &size), "bt_program_bytes");
    image result = {malloc(size), (uint32_t)size};
    memcpy(result.bytes, bytes, size);
    bt_program_free(program);
    return result;
}

static bt_program_header *header_of(const image *i) {
    return (bt_program_header *)(void *)i->bytes;
}

static bt_tensor *tensors_of(const image *i) {
    return (bt_tensor *)(void *)(i->bytes + header_of(i)->tensor_offset);
}

static uint32_t *words_of(const image *i, uint32_t sequence) {
    return (uint32_t *)(void *)(i->bytes + header_of(i)->sequence_offset[sequence]);
}

/* Head word of instruction number index of a sequence. */
static uint32_t *instruction_of(const image *i, uint32_t sequence, uint32_t index) {
    uint32_t *words = words_of(i, sequence);
    while (index-- > 0) {
        words += 1 + (words[0] >> 8 & 0xFF) + (words[0] >> 16);
    }
    return words;
}

/* First instruction with this opcode; its number goes to *index. */
static uint32_t *find_opcode(const image *i, uint32_t sequence, uint32_t opcode, uint32_t *index) {
    uint32_t *end = words_of(i, sequence) + header_of(i)->sequence_words[sequence];
    for (*index = 0;; ++*index) {
        uint32_t *words = instruction_of(i, sequence, *index);
        if (words >= end) {
            printf("the program has no %s\n", bt_opcode_name(opcode));
            exit(1);
        }
        if ((words[0] & 0xFF) == opcode) {
            return words;
        }
    }
}

/* ------------------------------------------------------------------------------------- refusals */

static bt_fault_location validate(const image *i) {
    bt_fault_location where;
    bt_program_validate(i->bytes, i->size, arenas, &where);
    return where;
}

static void expect(const image *i, bt_fault fault, const char *what) {
    bt_fault_location where = validate(i);
    CHECK(where.fault == fault, "%s: fault %d instead of %d", what, (int)where.fault, (int)fault);
}

/* Expects a fault in a sealed program with *word set to value, then puts the old value back. */
static void expect_with(image *i, uint32_t *word, uint32_t value, bt_fault fault,
                        const char *what) {
    uint32_t old = *word;
    *word = value;
    program_seal(i->bytes);
    expect(i, fault, what);
    *word = old;
    program_seal(i->bytes);
}

static void the_compiler_s_programs_are_valid(void) {
    image images[] = {image_of(convolutional_program()),
                      image_of(batch_norm_program(BT_BATCH_NORM_TRAINING)),
                      image_of(batch_norm_program(BT_BATCH_NORM_FROZEN)),
                      image_of(attention_program()),
                      image_of(linear_program()),
                      image_of(chain_program(0)),
                      image_of(chain_program(1))};
    for (uint32_t i = 0; i < sizeof images / sizeof *images; i++) {
        expect(&images[i], BT_FAULT_NONE, "a compiled program");
        CHECK(program_run(images[i].bytes, bt_kernels_baseline, i), "program %u left its arena", i);
        free(images[i].bytes);
    }
}

static void a_damaged_header_is_refused(void) {
    image i = image_of(convolutional_program());
    bt_program_header *h = header_of(&i);
    image shorter = {i.bytes, i.size - 4}, stub = {i.bytes, 100}, empty = {i.bytes, 0};
    expect(&shorter, BT_FAULT_SIZE, "a byte count that is too small");
    expect(&stub, BT_FAULT_SIZE, "half a header");
    expect(&empty, BT_FAULT_SIZE, "nothing");
    expect_with(&i, &h->magic, 1, BT_FAULT_MAGIC, "magic");
    expect_with(&i, &h->version, 99, BT_FAULT_VERSION, "version");
    i.bytes[i.size / 2] ^= 1;
    expect(&i, BT_FAULT_CRC, "one bit");
    i.bytes[i.size / 2] ^= 1;
    expect_with(&i, &h->arena_bytes[1], arenas[1] + 1, BT_FAULT_ARENA, "L2 too large");
    expect_with(&i, &h->arena_bytes[0], h->arena_bytes[0] - 4, BT_FAULT_TENSOR, "L1 too small");
    expect_with(&i, &h->tensor_offset, 0xFFFFFFFCu, BT_FAULT_SECTION, "tensors far away");
    expect_with(&i, &h->tensor_offset, 0, BT_FAULT_SECTION, "tensors in the header");
    expect_with(&i, &h->tensor_offset, h->tensor_offset + 2, BT_FAULT_SECTION, "misaligned");
    expect_with(&i, &h->tensor_count, BT_MAX_TENSORS + 1, BT_FAULT_SECTION, "many tensors");
    expect_with(&i, &h->tensor_count, h->tensor_count + 1, BT_FAULT_SECTION, "overlap");
    expect_with(&i, &h->sequence_words[1], 0x40000001u, BT_FAULT_SECTION, "words that wrap");
    expect_with(&i, &h->sequence_words[1], h->sequence_words[1] + 1, BT_FAULT_SECTION, "overlap");
    expect_with(&i, &h->sequence_words[1], h->sequence_words[1] - 1, BT_FAULT_INSTRUCTION,
                "a truncated instruction");
    expect_with(&i, &h->names_bytes, 0xFFFFFFFCu, BT_FAULT_SECTION, "long names");
    expect_with(&i, &h->input_tensor, h->tensor_count, BT_FAULT_INTERFACE, "no input");
    expect_with(&i, &h->target_tensor, h->input_tensor, BT_FAULT_INTERFACE, "target's type");
    expect_with(&i, &h->loss_tensor, h->output_tensor, BT_FAULT_INTERFACE, "loss's shape");
    expect_with(&i, &h->micro_batch, 0, BT_FAULT_INTERFACE, "micro-batch 0");
    expect_with(&i, &h->micro_batch, 0x80000002u, BT_FAULT_INTERFACE, "micro-batch that wraps");
    expect_with(&i, &h->input_elements, 41, BT_FAULT_INTERFACE, "input elements");
    expect_with(&i, &h->target_kind, 2, BT_FAULT_INTERFACE, "target kind");
    i.bytes[h->names_offset + h->names_bytes - 1] = 'x';
    i.bytes[h->names_offset + h->names_bytes - 2] = 'x';
    program_seal(i.bytes);
    expect(&i, BT_FAULT_SECTION, "names without an end");
    free(i.bytes);
}

static void a_damaged_tensor_is_refused_with_its_number(void) {
    image i = image_of(convolutional_program());
    bt_tensor *t = &tensors_of(&i)[3];
    const bt_tensor good = *t;
    bt_tensor bad[10];
    for (uint32_t b = 0; b < 10; b++) {
        bad[b] = good;
    }
    bad[0].level = 3;
    bad[1].dtype = BT_DTYPE_COUNT;
    bad[2].rank = 0;
    bad[3].rank = 6;
    bad[4].reserved = 1;
    bad[5].offset += 1;
    bad[6].offset = 0xFFFFFFF0u;
    bad[7].dims[0] = 0;
    bad[8].dims[0] = 0x40000001u;
    bad[9].name = 0x7FFFFFFFu;
    for (uint32_t b = 0; b < 10; b++) {
        *t = bad[b];
        program_seal(i.bytes);
        bt_fault_location where = validate(&i);
        CHECK(where.fault == BT_FAULT_TENSOR && where.tensor == 3, "case %u: fault %d, tensor %u",
              b, (int)where.fault, where.tensor);
    }
    free(i.bytes);
}

static void a_damaged_instruction_is_refused_with_its_number(void) {
    image i = image_of(convolutional_program());
    uint32_t *words = instruction_of(&i, BT_SEQUENCE_TRAIN, 2);
    const struct {
        uint32_t word;
        uint32_t value;
        bt_fault fault;
    } cases[] = {
        {0, BT_HEAD(BT_OPCODE_COUNT, 2, 2), BT_FAULT_INSTRUCTION},
        {0, BT_HEAD(BT_OPCODE_ZERO, 9, 0), BT_FAULT_INSTRUCTION},
        {0, BT_HEAD(BT_OPCODE_ZERO, 1, 17), BT_FAULT_INSTRUCTION},
        {0, BT_HEAD(BT_OPCODE_ZERO, 2, 0), BT_FAULT_INSTRUCTION},
        {0, BT_HEAD(BT_OPCODE_ZERO, 1, 1), BT_FAULT_INSTRUCTION},
        {1, header_of(&i)->tensor_count, BT_FAULT_OPERAND},
        {1, BT_NO_TENSOR, BT_FAULT_OPERAND},
        {1, header_of(&i)->target_tensor, BT_FAULT_OPERAND},
    };
    for (uint32_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        uint32_t old = words[cases[c].word];
        words[cases[c].word] = cases[c].value;
        program_seal(i.bytes);
        bt_fault_location where = validate(&i);
        CHECK(where.fault == cases[c].fault && where.sequence == BT_SEQUENCE_TRAIN &&
                  where.instruction == 2,
              "case %u: fault %d, sequence %u, instruction %u", c, (int)where.fault, where.sequence,
              where.instruction);
        words[cases[c].word] = old;
    }
    free(i.bytes);
}

/* Sets attribute number attribute of the first instruction with this opcode. */
static void expect_attribute(image *i, uint32_t sequence, uint32_t opcode, uint32_t attribute,
                             int32_t value) {
    uint32_t index;
    uint32_t *words = find_opcode(i, sequence, opcode, &index);
    uint32_t operands = words[0] >> 8 & 0xFF;
    char what[64];
    snprintf(what, sizeof what, "%s attribute %u = %d", bt_opcode_name(opcode), attribute, value);
    expect_with(i, &words[1 + operands + attribute], (uint32_t)value, BT_FAULT_SHAPE, what);
}

static void attributes_that_do_not_fit_the_shapes_are_refused(void) {
    const uint32_t train = BT_SEQUENCE_TRAIN, update = BT_SEQUENCE_UPDATE;
    const int32_t nan = 0x7FC00000, one = 0x3F800000;
    image conv = image_of(convolutional_program());
    expect_attribute(&conv, train, BT_OPCODE_CONV_FORWARD, 1, 0);          /* stride */
    expect_attribute(&conv, train, BT_OPCODE_CONV_FORWARD, 1, 2);          /* stride */
    expect_attribute(&conv, train, BT_OPCODE_CONV_FORWARD, 3, -1);         /* pad */
    expect_attribute(&conv, train, BT_OPCODE_CONV_FORWARD, 5, 4);          /* pad */
    expect_attribute(&conv, train, BT_OPCODE_CONV_FORWARD, 7, 0x7FFFFFFF); /* dilation */
    expect_attribute(&conv, train, BT_OPCODE_CONV_FORWARD, 8, 0);          /* groups */
    expect_attribute(&conv, train, BT_OPCODE_CONV_FORWARD, 8, 3);          /* groups */
    expect_attribute(&conv, train, BT_OPCODE_CONV_GRAD_WEIGHT, 1, 3);      /* stride */
    expect_attribute(&conv, train, BT_OPCODE_CONV_GRAD_INPUT, 5, 1);       /* pad */
    expect_attribute(&conv, train, BT_OPCODE_NORM_FORWARD, 0, 2);          /* rows */
    expect_attribute(&conv, train, BT_OPCODE_NORM_FORWARD, 2, 0);          /* groups */
    expect_attribute(&conv, train, BT_OPCODE_NORM_FORWARD, 3, 0x10000);    /* channels */
    expect_attribute(&conv, train, BT_OPCODE_NORM_FORWARD, 5, nan);        /* epsilon */
    expect_attribute(&conv, train, BT_OPCODE_ACTIVATION_GRAD, 0, BT_FUNCTION_COUNT);
    expect_attribute(&conv, train, BT_OPCODE_MAX_POOL_FORWARD, 1, 0x7FFFFFFF);
    expect_attribute(&conv, train, BT_OPCODE_MAX_POOL_GRAD, 7, 3);
    expect_attribute(&conv, train, BT_OPCODE_DROPOUT, 0, one);
    expect_attribute(&conv, train, BT_OPCODE_DROPOUT, 2, -1);
    expect_attribute(&conv, train, BT_OPCODE_DROPOUT, 2, 0x7FFFFFFF);
    expect_attribute(&conv, train, BT_OPCODE_CROSS_ENTROPY, 0, 0);
    expect_attribute(&conv, train, BT_OPCODE_CROSS_ENTROPY, 0, 4);
    expect_attribute(&conv, train, BT_OPCODE_CHANNEL_SUM, 0, -2);
    expect_attribute(&conv, update, BT_OPCODE_ADAM, 4, 2);
    free(conv.bytes);
    image attention = image_of(attention_program());
    for (uint32_t attribute = 0; attribute < 4; attribute++) {
        expect_attribute(&attention, train, BT_OPCODE_MATMUL, attribute, 0);
        expect_attribute(&attention, train, BT_OPCODE_MATMUL, attribute, 0x7FFFFFFF);
    }
    for (uint32_t attribute = 4; attribute < 10; attribute++) {
        expect_attribute(&attention, train, BT_OPCODE_MATMUL, attribute, -1);
    }
    expect_attribute(&attention, train, BT_OPCODE_MATMUL, 5, 0x7FFFFFFF);
    expect_attribute(&attention, train, BT_OPCODE_TRANSPOSE, 0, 3);
    expect_attribute(&attention, train, BT_OPCODE_TRANSPOSE, 0, 1);
    expect_attribute(&attention, train, BT_OPCODE_SOFTMAX_FORWARD, 1, 5);
    expect_attribute(&attention, train, BT_OPCODE_BINARY, 0, 2);
    for (uint32_t attribute = 0; attribute < 6; attribute++) {
        expect_attribute(&attention, train, BT_OPCODE_COPY_BLOCKS, attribute, 0x7FFFFFFF);
        expect_attribute(&attention, train, BT_OPCODE_COPY_BLOCKS, attribute, -1);
    }
    free(attention.bytes);
    image chain = image_of(chain_program(0));
    expect_attribute(&chain, train, BT_OPCODE_TRANSFER, 0, 0x7FFFFFFF);
    expect_attribute(&chain, train, BT_OPCODE_TRANSFER, 0, -1);
    free(chain.bytes);
    image half = image_of(chain_program(1));
    expect_attribute(&half, train, BT_OPCODE_CONVERT, 0, 25); /* scale */
    expect_attribute(&half, train, BT_OPCODE_CONVERT, 0, -25);
    free(half.bytes);
}

/* A transfer of elements floats between these levels. */
static bt_fault transfer_fault(uint32_t elements, uint32_t from, uint32_t to) {
    const bt_tensor source = {
        .level = (uint8_t)from, .dtype = BT_DTYPE_F32, .rank = 1, .dims = {elements, 1, 1, 1, 1}};
    bt_tensor target = source;
    target.level = (uint8_t)to;
    const bt_call call = {.opcode = BT_OPCODE_TRANSFER,
                          .operand_count = 2,
                          .attribute_count = 1,
                          .tensor = {&source, &target}};
    return bt_call_check(&call);
}

static void levels_are_enforced(void) {
    CHECK(transfer_fault(32767, BT_LEVEL_L2, BT_LEVEL_L1) == BT_FAULT_NONE, "131068 bytes");
    CHECK(transfer_fault(32767, BT_LEVEL_L1, BT_LEVEL_L3) == BT_FAULT_NONE, "to L3");
    CHECK(transfer_fault(32768, BT_LEVEL_L2, BT_LEVEL_L1) == BT_FAULT_SHAPE, "128 KiB");
    CHECK(transfer_fault(8, BT_LEVEL_L3, BT_LEVEL_L2) == BT_FAULT_SHAPE, "past L1");
    CHECK(transfer_fault(8, BT_LEVEL_L1, BT_LEVEL_L1) == BT_FAULT_SHAPE, "within L1");
    image i = image_of(convolutional_program());
    uint32_t index;
    const uint32_t *conv = find_opcode(&i, BT_SEQUENCE_TRAIN, BT_OPCODE_CONV_FORWARD, &index);
    header_of(&i)->arena_bytes[BT_LEVEL_L3] = arenas[BT_LEVEL_L3];
    tensors_of(&i)[conv[1]].level = BT_LEVEL_L3;
    tensors_of(&i)[conv[1]].offset = 0;
    program_seal(i.bytes);
    expect(&i, BT_FAULT_OPERAND, "a kernel that reaches L3");
    free(i.bytes);
}

static void an_output_that_overlaps_an_input_is_refused(void) {
    image i = image_of(convolutional_program());
    uint32_t index;
    const uint32_t *conv = find_opcode(&i, BT_SEQUENCE_TRAIN, BT_OPCODE_CONV_FORWARD, &index);
    const uint32_t *relu = find_opcode(&i, BT_SEQUENCE_TRAIN, BT_OPCODE_ACTIVATION_FORWARD, &index);
    bt_tensor *tensors = tensors_of(&i);
    bt_tensor *y = &tensors[conv[4]];
    bt_tensor old = *y;
    memcpy(header_of(&i)->arena_bytes, arenas, sizeof arenas); /* room for moved tensors */
    y->level = tensors[conv[2]].level;
    y->offset = tensors[conv[2]].offset; /* onto the weights */
    program_seal(i.bytes);
    expect(&i, BT_FAULT_OPERAND, "a convolution onto its weights");
    *y = old;
    y = &tensors[relu[2]];
    old = *y;
    *y = tensors[relu[1]];
    program_seal(i.bytes);
    expect(&i, BT_FAULT_NONE, "an activation in place");
    y->offset += 4;
    program_seal(i.bytes);
    expect(&i, BT_FAULT_OPERAND, "an activation beside its place");
    free(i.bytes);
}

/* ----------------------------------------------------------------------------------------- fuzz */

static uint32_t interesting(uint32_t *seed, uint32_t old) {
    static const uint32_t values[] = {0,          1,          2,          3,
                                      0x7FFFFFFF, 0x80000000, 0xFFFF,     0x10000,
                                      0x7FC00000, 0xFFFFFFFF, 0xFFFFFFFE, 255};
    switch (next_below(seed, 5)) {
    case 0:
        return values[next_below(seed, sizeof values / sizeof *values)];
    case 1:
        return old ^ 1u << next_below(seed, 32);
    case 2:
        return old + next_below(seed, 9) - 4u;
    case 3:
        return next_below(seed, 64);
    default:
        return next_bits(seed) << 12 ^ next_bits(seed);
    }
}

static void mutate(image *i, uint32_t *seed) {
    bt_program_header *h = header_of(i);
    uint32_t *words = (uint32_t *)(void *)i->bytes;
    uint32_t first, count;
    switch (next_below(seed, 8)) {
    case 0: /* the header, behind magic, version, bytes and crc */
        first = 4;
        count = sizeof *h / 4 - 4;
        break;
    case 1:
    case 2:
    case 3:
        first = h->tensor_offset / 4;
        count = h->tensor_count * (uint32_t)sizeof(bt_tensor) / 4;
        break;
    default:
        first = h->sequence_offset[0] / 4;
        count = (h->names_offset - h->sequence_offset[0]) / 4;
        break;
    }
    uint32_t *word = &words[first + next_below(seed, count)];
    if (next_below(seed, 4) == 0) {
        *word = words[first + next_below(seed, count)]; /* a plausible value at a wrong place */
    } else {
        *word = interesting(seed, *word);
    }
}

static void count_opcodes(const image *i, uint32_t *counts) {
    for (uint32_t sequence = 0; sequence < BT_SEQUENCE_COUNT; sequence++) {
        const uint32_t *words = words_of(i, sequence);
        const uint32_t *end = words + header_of(i)->sequence_words[sequence];
        while (words < end) {
            counts[words[0] & 0xFF]++;
            words += 1 + (words[0] >> 8 & 0xFF) + (words[0] >> 16);
        }
    }
}

static void no_accepted_mutant_leaves_its_arena(void) {
    image originals[PROGRAM_COUNT] = {image_of(convolutional_program()),
                                      image_of(batch_norm_program(BT_BATCH_NORM_TRAINING)),
                                      image_of(batch_norm_program(BT_BATCH_NORM_FROZEN)),
                                      image_of(attention_program()),
                                      image_of(linear_program()),
                                      image_of(chain_program(0)),
                                      image_of(chain_program(1))};
    const bt_kernel_fn *kernels[3] = {bt_kernels_baseline};
    uint32_t sets = 1;
#ifdef BT_HAVE_X86_KERNELS
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        kernels[sets++] = bt_kernels_avx2;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
        kernels[sets++] = bt_kernels_avx512;
    }
#endif
    uint32_t seed = 20240611;
    uint32_t accepted = 0;
    uint32_t faults[BT_FAULT_INTERFACE + 1] = {0};
    uint32_t opcodes[256] = {0};
    for (uint32_t round = 0; round < FUZZ_ROUNDS; round++) {
        const image *original = &originals[round % PROGRAM_COUNT];
        image mutant = {malloc(original->size), original->size};
        memcpy(mutant.bytes, original->bytes, original->size);
        for (uint32_t changes = 1 + next_below(&seed, 3); changes > 0; changes--) {
            /* Sections may have moved: each change looks at the original's. */
            memcpy(mutant.bytes + offsetof(bt_program_header, tensor_count),
                   original->bytes + offsetof(bt_program_header, tensor_count),
                   offsetof(bt_program_header, names_bytes) -
                       offsetof(bt_program_header, tensor_count));
            mutate(&mutant, &seed);
        }
        program_seal(mutant.bytes);
        bt_fault_location where = validate(&mutant);
        faults[where.fault]++;
        if (where.fault == BT_FAULT_NONE) {
            accepted++;
            count_opcodes(&mutant, opcodes);
            CHECK(program_run(mutant.bytes, kernels[round / PROGRAM_COUNT % sets], seed),
                  "round %u: the guard behind an arena was written", round);
        }
        free(mutant.bytes);
    }
    CHECK(accepted > FUZZ_ROUNDS / 20, "only %u mutants were accepted", accepted);
    for (uint32_t fault = BT_FAULT_ARENA; fault <= BT_FAULT_INTERFACE; fault++) {
        CHECK(faults[fault] > 0, "no mutant had fault %u", fault);
    }
    for (uint32_t opcode = 0; opcode < BT_OPCODE_COUNT; opcode++) {
        CHECK(opcodes[opcode] > 0, "no mutant ran %s", bt_opcode_name(opcode));
    }
    for (uint32_t p = 0; p < PROGRAM_COUNT; p++) {
        free(originals[p].bytes);
    }
}

/* ---------------------------------------------------------------------------------------- parts */

static void the_checksum_is_crc32c(void) {
    /* Check value of the CRC catalogue. */
    CHECK(bt_crc32c(0, "123456789", 9) == 0xE3069283u, "%08X", bt_crc32c(0, "123456789", 9));
    uint32_t first = bt_crc32c(0, "1234", 4);
    CHECK(bt_crc32c(first, "56789", 5) == 0xE3069283u, "it cannot be continued");
}

static void samples_have_a_layout(void) {
    bt_program_header header = {
        .input_elements = 15, .output_elements = 4, .target_kind = BT_TARGET_CLASS};
    bt_sample_layout layout;
    CHECK(bt_sample_layout_get(&header, BT_SAMPLE_INT16, 3, &layout), "int16");
    CHECK(layout.target_bytes == 4 && layout.scale_bytes == 24 && layout.data_bytes == 32 &&
              layout.record_bytes == 60,
          "%u bytes", layout.record_bytes);
    header.target_kind = BT_TARGET_VECTOR;
    CHECK(bt_sample_layout_get(&header, BT_SAMPLE_FLOAT32, 1, &layout), "float32");
    CHECK(layout.target_bytes == 16 && layout.scale_bytes == 0 && layout.record_bytes == 76,
          "%u bytes", layout.record_bytes);
    CHECK(!bt_sample_layout_get(&header, BT_SAMPLE_INT16, 4, &layout), "4 channels of 15");
    CHECK(!bt_sample_layout_get(&header, BT_SAMPLE_INT16, 0, &layout), "no channels");
    CHECK(!bt_sample_layout_get(&header, 3, 1, &layout), "format 3");
}

int main(void) {
    RUN(the_compiler_s_programs_are_valid);
    RUN(a_damaged_header_is_refused);
    RUN(a_damaged_tensor_is_refused_with_its_number);
    RUN(a_damaged_instruction_is_refused_with_its_number);
    RUN(attributes_that_do_not_fit_the_shapes_are_refused);
    RUN(levels_are_enforced);
    RUN(an_output_that_overlaps_an_input_is_refused);
    RUN(no_accepted_mutant_leaves_its_arena);
    RUN(the_checksum_is_crc32c);
    RUN(samples_have_a_layout);
    return REPORT();
}
