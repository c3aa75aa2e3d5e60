/*
 * The training program: what the host compiles and every device interprets.
 *
 * A program is one block of little-endian 32-bit words, position independent, without pointers:
 *
 *   header | tensor table | instructions of the four sequences | names (for the host only)
 *
 * An instruction is a head word, then its operands (indices into the tensor table or BT_NO_TENSOR),
 * then its attributes (signed integers, or the bits of a float). bt_program_validate accepts a
 * program only if no instruction in it can read or write outside the tensors it names and no tensor
 * lies outside its arena; after that the interpreter checks nothing any more.
 *
 * Shared with the device: C99, no libc.
 */
#ifndef BT_PROGRAM_H
#define BT_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#define BT_PROGRAM_MAGIC 0x52505442u /* "BTPR" */
#define BT_PROGRAM_VERSION 2u

#define BT_PROGRAM_LIMIT 131072u /* bytes that every device has room for */
#define BT_PROGRAM_MAX_RANK 5
#define BT_MAX_OPERANDS 8
#define BT_MAX_CALL_ATTRIBUTES 16
#define BT_MAX_TENSORS 4096u
#define BT_NO_TENSOR 0xFFFFFFFFu

/* Arenas, by memory level. */
enum { BT_LEVEL_L1 = 0, BT_LEVEL_L2 = 1, BT_LEVEL_L3 = 2, BT_LEVEL_COUNT = 3 };

/* Bytes of one transfer at most: the DMA engine's length register has 17 bits. */
#define BT_TRANSFER_MAX_BYTES 131071u

/* F16, IEEE half precision, is for keeping only: CONVERT makes F32 of it, with which all else
 * computes. */
enum {
    BT_DTYPE_F32 = 0,
    BT_DTYPE_I32 = 1,
    BT_DTYPE_U16 = 2,
    BT_DTYPE_U8 = 3,
    BT_DTYPE_F16 = 4,
    BT_DTYPE_COUNT = 5
};

enum {
    BT_SEQUENCE_BEGIN = 0,    /* clear the gradients: once per step */
    BT_SEQUENCE_TRAIN = 1,    /* forward, loss, backward of one micro-batch; gradients accumulate */
    BT_SEQUENCE_UPDATE = 2,   /* one optimizer update */
    BT_SEQUENCE_EVALUATE = 3, /* forward and loss of one micro-batch, in inference form */
    BT_SEQUENCE_COUNT = 4
};

/* TRAIN also clears the gradients and updates the parameters, so a step is one micro-batch; BEGIN
 * and UPDATE are empty. */
#define BT_PROGRAM_FUSED_UPDATE 1u

/* What a sample's target is. */
enum { BT_TARGET_CLASS = 0, BT_TARGET_VECTOR = 1 };

typedef struct bt_program_header {
    uint32_t magic;
    uint32_t version;
    uint32_t bytes;                       /* of the whole program, a multiple of 4 */
    uint32_t crc;                         /* CRC-32C of all bytes with this field zero */
    uint32_t arena_bytes[BT_LEVEL_COUNT]; /* peak of each arena */
    uint32_t tensor_count;
    uint32_t tensor_offset;                      /* bytes from the start */
    uint32_t sequence_offset[BT_SEQUENCE_COUNT]; /* bytes from the start */
    uint32_t sequence_words[BT_SEQUENCE_COUNT];  /* 32-bit words */
    uint32_t names_offset;
    uint32_t names_bytes; /* multiple of 4, zero padded */
    uint32_t micro_batch;
    uint32_t input_tensor;    /* F32, micro_batch x input_elements */
    uint32_t target_tensor;   /* I32 (micro_batch), or F32 micro_batch x output_elements */
    uint32_t output_tensor;   /* F32, micro_batch x output_elements; written by EVALUATE */
    uint32_t loss_tensor;     /* F32 (micro_batch); written by TRAIN and EVALUATE */
    uint32_t input_elements;  /* per sample */
    uint32_t output_elements; /* per sample */
    uint32_t target_kind;     /* BT_TARGET_… */
    uint32_t seed[2];         /* of the dropout masks: low, high word */
    uint32_t flags;           /* BT_PROGRAM_…; others are 0 */
} bt_program_header;

typedef struct bt_tensor {
    uint8_t level; /* BT_LEVEL_… */
    uint8_t dtype; /* BT_DTYPE_… */
    uint8_t rank;  /* 1 … BT_PROGRAM_MAX_RANK */
    uint8_t reserved;
    uint32_t offset;                    /* in its arena, a multiple of 4 */
    uint32_t dims[BT_PROGRAM_MAX_RANK]; /* unused ones are 1 */
    uint32_t name;                      /* offset into the names, or BT_NO_TENSOR */
} bt_tensor;

/* Head word: opcode | operand count << 8 | attribute count << 16. */
#define BT_HEAD(opcode, operands, attributes)                                                      \
    ((uint32_t)(opcode) | ((uint32_t)(operands) << 8) | ((uint32_t)(attributes) << 16))

/*
 * The instruction set. Every line: opcode, name, operands, attributes.
 *   ?  an operand that may be BT_NO_TENSOR      += the operand accumulates, others are overwritten
 * View attributes: "rows, channels, inner" see a tensor as that dense 3-D array.
 *
 * Conv attributes: stride_h stride_w pad_top pad_left pad_bottom pad_right dilation_h dilation_w
 * groups. Rank-3 tensors (N,C,L) are seen as (N,C,1,L), weights alike.
 */
#define BT_OPCODES(X)                                                                                 \
    X(CONV_FORWARD, "conv.forward")                   /* x w b? y | conv */                           \
    X(CONV_GRAD_INPUT, "conv.grad_input")             /* dy w dx | conv */                            \
    X(CONV_GRAD_WEIGHT, "conv.grad_weight")           /* x dy dw+= | conv */                          \
    X(CHANNEL_SUM, "channel_sum")                     /* dy db+= | rows channels inner */             \
    X(MATMUL, "matmul")                               /* a b bias? c | batch M N K, strides of a      \
                                                         (batch,m,k), of b (batch,k,n), accumulate */ \
    X(NORM_FORWARD, "norm.forward")                   /* x scale? bias? y stats partials | norm */    \
    X(NORM_GRAD_INPUT, "norm.grad_input")             /* x dy scale? stats dx partials | norm */      \
    X(NORM_GRAD_PARAMETERS, "norm.grad_parameters")   /* x dy stats dscale+=? dbias+=? partials       \
                                                         | norm */                                    \
    X(BATCH_NORM_FORWARD, "batch_norm.forward")       /* x scale bias mean+= var+= y stats | bn */    \
    X(BATCH_NORM_GRAD_INPUT, "batch_norm.grad_input") /* x dy scale stats dx | bn */                  \
    X(BATCH_NORM_GRAD_PARAMETERS,                                                                     \
      "batch_norm.grad_parameters")                     /* x dy stats dscale+=? dbias+=? */           \
    X(FROZEN_NORM_FORWARD, "frozen_norm.forward")       /* x scale bias mean var y | bn */            \
    X(FROZEN_NORM_GRAD_INPUT, "frozen_norm.grad_input") /* dy scale var dx | bn */                    \
    X(FROZEN_NORM_GRAD_PARAMETERS, "frozen_norm.grad_parameters") /* x dy mean var dscale+=?          \
                                                                     dbias+=? | bn */                 \
    X(ACTIVATION_FORWARD, "activation.forward")                   /* x y | function, alpha */         \
    X(ACTIVATION_GRAD, "activation.grad")   /* kept dy dx | function, alpha; kept is x or y,          \
                                               see bt_activation_keeps_output */                      \
    X(MAX_POOL_FORWARD, "max_pool.forward") /* x y argmax? | pool; argmax U8 or U16: index            \
                                               in the window, first maximum */                        \
    X(MAX_POOL_GRAD, "max_pool.grad")       /* dy argmax dx | pool */                                 \
    X(AVERAGE_POOL_FORWARD, "average_pool.forward") /* x y | pool */                                  \
    X(AVERAGE_POOL_GRAD, "average_pool.grad")       /* dy dx | pool */                                \
    X(BINARY, "binary")                     /* a b y | function (0 add, 1 mul); broadcasts */         \
    X(BROADCAST_REDUCE, "broadcast_reduce") /* dy other? da | none; da = sum over broadcast           \
                                               dimensions of dy * other */                            \
    X(ACCUMULATE, "accumulate")             /* src dst+= */                                           \
    X(TRANSPOSE, "transpose")               /* x y | rank entries: y's axis i is x's perm[i] */       \
    X(COPY_BLOCKS, "copy_blocks")           /* src dst | count length src_stride src_offset           \
                                               dst_stride dst_offset, in elements */                  \
    X(SOFTMAX_FORWARD, "softmax.forward")   /* x y | rows channels inner */                           \
    X(SOFTMAX_GRAD, "softmax.grad")         /* y dy dx | rows channels inner */                       \
    X(DROPOUT, "dropout")                   /* x y | ratio, stream, number of the first element in    \
                                               the mask; also its own gradient */                     \
    X(CROSS_ENTROPY, "cross_entropy")       /* logits labels losses dlogits? | classes */             \
    X(MSE, "mse")                           /* y target losses dy? | elements per sample */           \
    X(INNER_PRODUCT, "inner_product")       /* y target losses dy? | elements per sample */           \
    X(ZERO, "zero")                         /* dst */                                                 \
    X(SGD, "sgd")                           /* w+= g momentum+=? | momentum, decay, nesterov */       \
    X(ADAM, "adam")                         /* w+= g m+= v+= | beta1 beta2 epsilon decay              \
                                               decoupled */                                           \
    X(NORM_SUMS, "norm.sums")               /* x partials | norm */                                   \
    X(NORM_SQUARES, "norm.squares")         /* x stats partials+= | norm */                           \
    X(NORM_FOLD, "norm.fold")               /* partials out | rows blocks elements epsilon            \
                                               quantity */                                            \
    X(NORM_APPLY, "norm.apply")             /* x scale? bias? stats y | norm */                       \
    X(NORM_GRAD_SUMS, "norm.grad_sums")     /* x dy scale? stats partials | norm */                   \
    X(NORM_GRAD_APPLY, "norm.grad_apply")   /* x dy scale? stats means dx | norm */                   \
    X(CONVERT, "convert")                   /* x y | exponent; one is F32, the other F16 and          \
                                               holds the numbers times 2^exponent */                  \
    X(SIGN_MASK, "sign_mask")               /* x mask; U8: bit e % 8 of byte e / 8 is x[e] > 0 */     \
    X(MASK_GRAD, "mask.grad")               /* mask dy dx | slope where the bit is 0; it is 1         \
                                               elsewhere: the gradient of a (leaky) ReLU */           \
    X(TRANSFER, "transfer") /* src dst | offset, or offset rows row_length stride */                  \
    X(WAIT, "wait")         /* none */

/*
 * TRANSFER starts a copy by DMA between a tensor in L1, which is dense and copied whole, and a part
 * of a tensor of the same dtype in L2 or L3: as many elements from element offset on, or rows of
 * row_length elements, stride elements apart. Nobody may touch the bytes on either side before a
 * WAIT, which ends when every transfer that was started has. Kernels reach L1 and L2; what is in L3
 * is reached by transfers alone.
 *
 * norm attributes (group, layer and instance normalisation): rows, row_length, groups, channels per
 * group, span, epsilon. Rows are contiguous and normalised one by one; element e of row r uses
 * parameter (r % groups) * channels_per_group + e / span; row_length = channels_per_group * span.
 * stats: rows x (mean, 1/sqrt(var+epsilon)). partials: bt_norm_partials(rows, channels per group,
 * span) floats.
 *
 * NORM_FORWARD and NORM_GRAD_INPUT in parts, for some of the channels at a time (whole groups, or a
 * part of one group; the norm attributes then describe that part alone, partials and stats are
 * those of the part): NORM_SUMS puts the sums of blocks in the first of their partials,
 * NORM_SQUARES the squares of the differences from the mean in stats in the second, NORM_GRAD_SUMS
 * both sums of the gradient. NORM_FOLD folds whole rows of blocks over elements elements each, into
 * out, rows x 2: BT_FOLD_MEAN (mean, 0), BT_FOLD_STATISTICS (mean, 1/sqrt(var+epsilon)),
 * BT_FOLD_MEANS both means.
 *
 * bn attributes: N, channels, inner, epsilon, momentum. stats: channels x (mean, inv_std).
 *
 * pool attributes: kernel_h kernel_w stride_h stride_w pad_top pad_left pad_bottom pad_right
 * count_include_pad.
 */
enum {
#define BT_OPCODE_ENUM(name, text) BT_OPCODE_##name,
    BT_OPCODES(BT_OPCODE_ENUM)
#undef BT_OPCODE_ENUM
        BT_OPCODE_COUNT
};

enum {
    BT_FUNCTION_RELU = 0,
    BT_FUNCTION_ELU = 1,
    BT_FUNCTION_LEAKY_RELU = 2,
    BT_FUNCTION_GELU = 3,
    BT_FUNCTION_GELU_TANH = 4,
    BT_FUNCTION_SIGMOID = 5,
    BT_FUNCTION_TANH = 6,
    BT_FUNCTION_SILU = 7,
    BT_FUNCTION_HARDSWISH = 8,
    BT_FUNCTION_COUNT = 9
};

enum { BT_BINARY_ADD = 0, BT_BINARY_MUL = 1 };

/* What NORM_FOLD makes of the block sums. */
enum { BT_FOLD_MEAN = 0, BT_FOLD_STATISTICS = 1, BT_FOLD_MEANS = 2 };

/* 1 if the gradient of this activation is computed from its output, 0 if from its input. */
uint32_t bt_activation_keeps_output(uint32_t function);

/* Block of the reduction tree: sums over large extents are sums of sums over blocks of this many
 * elements, blocks in order; tiles and cores never split a block. */
#define BT_REDUCTION_BLOCK 256u

/*
 * Floats that NORM_FORWARD and both its gradients need for block sums, two per block. A block never
 * crosses a channel, so that a group may be processed channel by channel: with span > 1 every
 * channel of the group has ceil(span / BT_REDUCTION_BLOCK) blocks; with span 1 blocks run along the
 * row.
 */
uint32_t bt_norm_partials(uint32_t rows, uint32_t channels_per_group, uint32_t span);

uint32_t bt_dtype_bytes(uint32_t dtype);
/* Elements of a validated tensor. */
uint32_t bt_tensor_elements(const bt_tensor *tensor);
const char *bt_opcode_name(uint32_t opcode);

/* Values that change from step to step. */
typedef struct bt_step_scalars {
    float learning_rate;
    float correction1;   /* 1 - beta1^t */
    float correction2;   /* 1 - beta2^t */
    float inverse_batch; /* 1 / samples of the step */
    uint32_t seed[2];
    uint32_t micro_step; /* counter of micro-batches since the start: stream of the dropout masks */
} bt_step_scalars;

/* One decoded instruction: what a kernel is called with. */
typedef struct bt_call {
    uint32_t opcode;
    uint32_t operand_count;
    uint32_t attribute_count;
    const bt_tensor *tensor[BT_MAX_OPERANDS]; /* NULL for an absent operand */
    void *data[BT_MAX_OPERANDS];
    int32_t attribute[BT_MAX_CALL_ATTRIBUTES];
    const bt_step_scalars *scalars;
} bt_call;

/* Attribute number index as the float whose bits it holds. */
static inline float bt_call_float(const bt_call *call, uint32_t index) {
    union {
        int32_t i;
        float f;
    } bits;
    bits.i = call->attribute[index];
    return bits.f;
}

/* Why a program is refused; texts in bt_program_fault_text. */
typedef enum bt_fault {
    BT_FAULT_NONE = 0,
    BT_FAULT_SIZE = 1, /* shorter than its header or than it says */
    BT_FAULT_MAGIC = 2,
    BT_FAULT_VERSION = 3,
    BT_FAULT_CRC = 4,
    BT_FAULT_SECTION = 5,     /* a section lies outside the program, overlaps or is misaligned */
    BT_FAULT_ARENA = 6,       /* needs more than the device has */
    BT_FAULT_TENSOR = 7,      /* a tensor's dtype, rank, dims, offset or name */
    BT_FAULT_INSTRUCTION = 8, /* truncated, unknown opcode, operand or attribute count */
    BT_FAULT_OPERAND = 9,     /* tensor index, missing operand, dtype, overlap */
    BT_FAULT_SHAPE = 10,      /* shapes and attributes do not fit together */
    BT_FAULT_INTERFACE = 11   /* input, target, output or loss tensor, flags */
} bt_fault;

typedef struct bt_fault_location {
    bt_fault fault;
    uint32_t sequence;    /* BT_SEQUENCE_…, or BT_NO_TENSOR */
    uint32_t instruction; /* number in its sequence, or BT_NO_TENSOR */
    uint32_t tensor;      /* or BT_NO_TENSOR */
} bt_fault_location;

/*
 * Validates size untrusted bytes (4-byte aligned) for a device with these arenas. Time is linear in
 * size. Returns where->fault.
 */
bt_fault bt_program_validate(const uint8_t *bytes, uint32_t size,
                             const uint32_t arena_bytes[BT_LEVEL_COUNT], bt_fault_location *where);

const char *bt_program_fault_text(bt_fault fault);

/* Checks operands' dtypes and shapes and the attributes of one decoded instruction (data unused).
 */
bt_fault bt_call_check(const bt_call *call);

/*
 * Checks the addresses of an instruction that bt_call_check accepts: no operand that it writes
 * overlaps another one, except exactly the same bytes where its kernel works in place.
 */
bt_fault bt_call_check_overlap(const bt_call *call);

/*
 * Decodes the instruction at words (of at most available words) against a tensor table; arenas may
 * be NULL. Returns the number of words it takes, or 0 if it is malformed.
 */
uint32_t bt_call_decode(const uint32_t *words, uint32_t available, const bt_tensor *tensors,
                        uint32_t tensor_count, uint8_t *const arenas[BT_LEVEL_COUNT], bt_call *out);

/* CRC-32C (Castagnoli), continued from crc; start with 0. */
uint32_t bt_crc32c(uint32_t crc, const void *data, size_t size);

/* One sample in the store: target, then per-channel scale and offset (int16 only), then the data.
 */
typedef struct bt_sample_layout {
    uint32_t target_bytes;
    uint32_t scale_bytes; /* channels x (scale, offset), 0 for float32 */
    uint32_t data_bytes;
    uint32_t record_bytes; /* sum, a multiple of 4 */
} bt_sample_layout;

/* format: BT_SAMPLE_… of biotrain.h. Returns 0 if channels does not divide the input. */
uint32_t bt_sample_layout_get(const bt_program_header *header, uint32_t format, uint32_t channels,
                              bt_sample_layout *out);

#endif
