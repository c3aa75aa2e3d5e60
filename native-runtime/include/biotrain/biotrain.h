/*
 * BioTrain: fine-tuning of small biosignal networks on microcontrollers, on simulators and in
 * process.
 *
 * Intended usage
 *   1. bt_model_create, bt_model_add_*, bt_model_set_output      build the network
 *   2. bt_program_compile                                        compile it into a training program
 *   3. bt_device_open, bt_session_open                           load the program into a device
 *   4. bt_session_upload, bt_session_train, bt_session_evaluate  calibrate and look
 *   5. bt_session_read                                           take the weights back
 *
 * Errors: every function that can fail returns a bt_status. On failure the calling thread's error
 * stack (bt_error_depth, bt_error_message) says what was wrong, which value, and what is allowed.
 * Out-parameters are written only on success unless a function says otherwise. The library never
 * prints, exits or aborts on a user's mistake.
 *
 * Threads: a handle may be used by one thread at a time. Different handles are independent, but a
 * session uses its device: both then belong to one thread. bt_session_abort alone may be called
 * from any thread.
 *
 * Ownership: whoever receives a handle frees it with the function that its creator names. Strings
 * returned by the library belong to the library. All arrays passed in are copied before return.
 *
 * Layout: tensors are dense, row-major, float32 unless said otherwise; images are N, C, H, W; a
 * signal window is N, 1, channels, samples or N, channels, samples.
 */
#ifndef BIOTRAIN_BIOTRAIN_H
#define BIOTRAIN_BIOTRAIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BT_API __attribute__((visibility("default")))
#else
#define BT_API
#endif

#define BT_VERSION_MAJOR 0
#define BT_VERSION_MINOR 1
#define BT_VERSION_PATCH 0

#define BT_MAX_RANK 5

/* ---------------------------------------------------------------- status, errors, log, version */

/* Values are stable. */
typedef enum bt_status {
    BT_OK = 0,
    BT_ERROR_ARGUMENT = 1,    /* a value passed in is not allowed */
    BT_ERROR_MEMORY = 2,      /* the host has no memory left */
    BT_ERROR_UNSUPPORTED = 3, /* known, but not possible in this combination */
    BT_ERROR_MODEL = 4,       /* the network's shapes or structure are inconsistent */
    BT_ERROR_PROGRAM = 5,     /* a program is damaged or not valid for this device */
    BT_ERROR_CAPACITY = 6,    /* something does not fit the target's memories */
    BT_ERROR_DEVICE = 7,      /* the device or its link failed */
    BT_ERROR_TIMEOUT = 8,     /* the device did not answer within the deadline */
    BT_ERROR_ABORTED = 9,     /* stopped on request */
    BT_ERROR_NUMERIC = 10,    /* a loss is not finite; the weights are those before that step */
    BT_ERROR_STATE = 11,      /* the call is not possible now */
    BT_ERROR_IO = 12,         /* a file or process on the host failed */
    BT_ERROR_INTERNAL = 13    /* a defect of this library */
} bt_status;

/* Name of a status, for example "BT_ERROR_ARGUMENT"; never NULL. */
BT_API const char *bt_status_name(bt_status status);

/* Number of entries on this thread's error stack; 0 if the last failing call was cleared. */
BT_API uint32_t bt_error_depth(void);

/* Message number index of this thread's error stack: 0 is the origin, later ones are context. */
BT_API const char *bt_error_message(uint32_t index);

/* (major << 16) | (minor << 8) | patch. */
BT_API uint32_t bt_version(void);

/* One member of a public struct; member "" stands for the whole struct (offset 0, its size). */
typedef struct bt_abi_entry {
    const char *type;
    const char *member;
    uint32_t offset;
    uint32_t size;
} bt_abi_entry;

/* Table of all public structs and members; *entries stays valid for ever. */
BT_API bt_status bt_abi_table(const bt_abi_entry **entries, uint32_t *count);

typedef enum bt_log_level {
    BT_LOG_ERROR = 1,
    BT_LOG_WARNING = 2,
    BT_LOG_INFO = 3,
    BT_LOG_DEBUG = 4
} bt_log_level;

/* Called on the thread that called the library; must return and must not call the library. */
typedef void (*bt_log_fn)(void *user, bt_log_level level, const char *message);

/* ------------------------------------------------------------------------------- random numbers */

/*
 * Counter-based generator (Philox4x32-10, Salmon et al., SC'11): number i of a (seed, stream) pair
 * is a pure function of the three, so results never depend on order or platform.
 */
BT_API bt_status bt_random_uniform(uint64_t seed, uint64_t stream, size_t count, float *out);
BT_API bt_status bt_random_normal(uint64_t seed, uint64_t stream, size_t count, float *out);
/* A permutation of 0 … count-1 (Fisher-Yates). */
BT_API bt_status bt_random_permutation(uint64_t seed, uint64_t stream, uint32_t count,
                                       uint32_t *out);

/* ------------------------------------------------------------------------------------- op table */

/* Operations of a model. Values are stable. */
typedef enum bt_op {
    BT_OP_CONV = 1, /* x (N,C,H,W) or (N,C,L), weight (O,C/groups,kh,kw) or (O,C/groups,k), bias? */
    BT_OP_LINEAR = 2,        /* x (…,in), weight (out,in), bias? (out) */
    BT_OP_MATMUL = 3,        /* a (…,M,K), b (…,K,N) with equal or absent batch dimensions in b */
    BT_OP_BATCH_NORM = 4,    /* x, scale, bias, running mean, running variance: (C) each */
    BT_OP_GROUP_NORM = 5,    /* x (N,C,…), scale (C), bias (C) */
    BT_OP_LAYER_NORM = 6,    /* x, scale, bias?: shaped as the trailing dimensions from axis on */
    BT_OP_INSTANCE_NORM = 7, /* x (N,C,…), scale (C), bias (C) */
    BT_OP_RELU = 8,
    BT_OP_ELU = 9,
    BT_OP_LEAKY_RELU = 10,
    BT_OP_GELU = 11,
    BT_OP_SIGMOID = 12,
    BT_OP_TANH = 13,
    BT_OP_SILU = 14,
    BT_OP_HARDSWISH = 15,
    BT_OP_MAX_POOL = 16,
    BT_OP_AVERAGE_POOL = 17,
    BT_OP_GLOBAL_AVERAGE_POOL = 18,
    BT_OP_ADD = 19,       /* two operands, NumPy broadcasting */
    BT_OP_MUL = 20,       /* two operands, NumPy broadcasting */
    BT_OP_CONCAT = 21,    /* 2 … BT_MAX_INPUTS operands along axis */
    BT_OP_RESHAPE = 22,   /* dims: 0 keeps the input's dimension, one -1 is inferred */
    BT_OP_TRANSPOSE = 23, /* dims: the permutation */
    BT_OP_SOFTMAX = 24,
    BT_OP_DROPOUT = 25
} bt_op;

#define BT_MAX_INPUTS 6

typedef enum bt_loss {
    BT_LOSS_CROSS_ENTROPY = 1, /* of softmax(output) and a class index per sample */
    BT_LOSS_MSE = 2,           /* mean over the output's elements of (output - target)^2 */
    BT_LOSS_INNER_PRODUCT = 3  /* sum of output * target: back-propagates a given gradient */
} bt_loss;

/* One row of the op table. */
typedef struct bt_op_info {
    uint32_t struct_size;
    uint32_t op;                /* bt_op */
    const char *name;           /* "Conv" */
    const char *onnx;           /* ONNX operators that become this op, comma separated */
    const char *limits;         /* what is supported, one sentence */
    const char *backward_needs; /* what the backward pass keeps: "x, weight", "y", "shape" … */
    uint32_t differentiable;    /* 1: gradients of every float operand exist */
    float tolerance;            /* relative error allowed against float64 references */
} bt_op_info;

BT_API uint32_t bt_op_count(void);
BT_API bt_status bt_op_info_get(uint32_t index, bt_op_info *out);

/* ---------------------------------------------------------------------------------------- model */

/* A network of one input and one output, built for one sample (batch dimension 1). */
typedef struct bt_model bt_model;

#define BT_ATTRIBUTE_COUNT_INCLUDE_PAD 1u  /* average pooling divides by the whole window */
#define BT_ATTRIBUTE_TRANSPOSED_WEIGHT 2u  /* linear: weight is stored (in,out) */
#define BT_ATTRIBUTE_TANH_APPROXIMATION 4u /* GELU */

typedef struct bt_attributes {
    uint32_t struct_size;
    uint32_t flags;       /* BT_ATTRIBUTE_… */
    int32_t kernel[2];    /* pools: height, width */
    int32_t strides[2];   /* height, width; rank-3 tensors use the width entries */
    int32_t pads[4];      /* top, left, bottom, right; zero padding */
    int32_t dilations[2]; /* height, width */
    int32_t groups;       /* convolution, group normalisation */
    int32_t axis;         /* concat, softmax, layer normalisation; negative counts from the end */
    float alpha;          /* ELU, leaky ReLU */
    float epsilon;        /* normalisations */
    float momentum;       /* batch normalisation: new = (1-momentum)*old + momentum*batch */
    float ratio;          /* dropout: probability of zero */
    uint32_t rank;        /* number of entries in dims */
    int32_t dims[BT_MAX_RANK]; /* reshape, transpose */
} bt_attributes;

/* Fills *out with the defaults of every attribute (strides 1, pads 0, groups 1, epsilon 1e-5 …). */
BT_API bt_status bt_attributes_default(bt_attributes *out);

typedef struct bt_node_info {
    uint32_t struct_size;
    uint32_t op; /* bt_op */
    const char *name;
    uint32_t rank;
    int32_t dims[BT_MAX_RANK]; /* output, batch 1 */
    uint64_t parameters;       /* elements of this node's parameters, running statistics excluded */
    uint64_t macs;             /* multiply-adds of the forward pass of one sample */
} bt_node_info;

typedef struct bt_value_info {
    uint32_t struct_size;
    uint32_t is_parameter;
    const char *name;
    uint32_t rank;
    int32_t dims[BT_MAX_RANK];
} bt_value_info;

BT_API bt_status bt_model_create(bt_model **out);
/* NULL is allowed. */
BT_API void bt_model_free(bt_model *model);
/* The input of the network: dims[0] is 1, the batch. Exactly one input. */
BT_API bt_status bt_model_add_input(bt_model *model, const char *name, uint32_t rank,
                                    const int32_t *dims, uint32_t *value);
/* A parameter with its initial value (product of dims floats); names are unique, 1 … 255 bytes. */
BT_API bt_status bt_model_add_parameter(bt_model *model, const char *name, uint32_t rank,
                                        const int32_t *dims, const float *data, uint32_t *value);
/*
 * A node; inputs are values added before; an absent optional operand is BT_NO_VALUE. Shapes are
 * checked at once: BT_ERROR_MODEL says which operand has which shape and what is allowed.
 */
#define BT_NO_VALUE 0xFFFFFFFFu
BT_API bt_status bt_model_add_node(bt_model *model, bt_op op, const char *name,
                                   const uint32_t *inputs, uint32_t input_count,
                                   const bt_attributes *attributes, uint32_t *value);
BT_API bt_status bt_model_set_output(bt_model *model, uint32_t value);
BT_API uint32_t bt_model_node_count(const bt_model *model);
BT_API bt_status bt_model_node_info(const bt_model *model, uint32_t index, bt_node_info *out);
BT_API uint32_t bt_model_value_count(const bt_model *model);
BT_API bt_status bt_model_value_info(const bt_model *model, uint32_t value, bt_value_info *out);
/* Value of the parameter of this name; count is the number of its elements. */
BT_API bt_status bt_model_parameter_get(const bt_model *model, const char *name, float *data,
                                        size_t count);
/*
 * The pass batch-norm-to-group-norm: a new network with GroupNorm of so many groups in place of
 * every BatchNorm, its scales and biases chosen so that both compute the same function of a sample
 * whose mean and variance over each group are those of the running statistics. Scales and biases
 * keep their names; the running statistics are gone.
 */
BT_API bt_status bt_model_group_norm(const bt_model *model, uint32_t groups, bt_model **out);

/* ------------------------------------------------------------------------- options and targets */

typedef enum bt_optimizer {
    BT_OPTIMIZER_SGD = 1,
    BT_OPTIMIZER_ADAM = 2,
    BT_OPTIMIZER_ADAMW = 3
} bt_optimizer;

typedef enum bt_schedule {
    BT_SCHEDULE_CONSTANT = 1,
    BT_SCHEDULE_COSINE = 2, /* to minimum_rate over the total steps */
    BT_SCHEDULE_STEP = 3    /* times decay every decay_steps steps */
} bt_schedule;

typedef enum bt_update_scheme {
    BT_UPDATE_FULL = 1,
    BT_UPDATE_LAST_LAYER = 2, /* parameters of the last node that has any */
    BT_UPDATE_BIAS_ONLY = 3,  /* biases of convolutions and linear layers, biases of norms */
    BT_UPDATE_NORM_ONLY = 4,  /* scales and biases of normalisations */
    BT_UPDATE_LIST = 5,       /* the parameters named in trainable */
    BT_UPDATE_NONE = 6        /* nothing: the program evaluates only */
} bt_update_scheme;

typedef enum bt_batch_norm_mode {
    BT_BATCH_NORM_FROZEN = 1,  /* running statistics are used and kept; scale and bias train */
    BT_BATCH_NORM_TRAINING = 2 /* statistics of the micro-batch; needs micro_batch >= 2 */
} bt_batch_norm_mode;

typedef struct bt_training_options {
    uint32_t struct_size;
    uint32_t loss;       /* bt_loss */
    uint32_t optimizer;  /* bt_optimizer */
    uint32_t scheme;     /* bt_update_scheme */
    uint32_t schedule;   /* bt_schedule */
    uint32_t batch_norm; /* bt_batch_norm_mode */
    uint32_t
        micro_batch;   /* samples computed at once, >= 1; a step's samples are a multiple of it */
    uint32_t nesterov; /* 0 or 1 */
    uint32_t input_gradient; /* 1: keep the gradient of the input, readable as gradient.<input> */
    uint32_t stash_fp16;     /* 1: maps and gradients kept for later are rounded to IEEE half; see
                                docs/architecture.md */
    float learning_rate;
    float momentum;
    float weight_decay; /* coupled for SGD and Adam, decoupled for AdamW */
    float beta1;
    float beta2;
    float epsilon;
    float minimum_rate;    /* cosine */
    float decay;           /* step */
    uint32_t decay_steps;  /* step */
    uint32_t warmup_steps; /* linear from 0, before any schedule */
    uint32_t trainable_count;
    const char *const *trainable; /* BT_UPDATE_LIST */
    uint64_t seed;                /* dropout */
    /* Passes, 0 or 1; bt_pass_info_get says what each does. */
    uint32_t dead_gradients; /* default 1 */
    uint32_t fold_batch_norm;
    uint32_t cache_features;
    /* 1: parameters are updated within the backward pass and no gradient of theirs is kept, for
     * steps of exactly one micro-batch; see bt_session_train. */
    uint32_t fused_update;
} bt_training_options;

/* SGD, lr 5e-3, momentum 0.9, weight decay 1e-3, cosine, full, micro-batch 1, cross-entropy. */
BT_API bt_status bt_training_options_default(bt_training_options *out);

/* Topology passes: changes of the network, or of what is computed of it. Values are stable. */
typedef enum bt_pass {
    BT_PASS_BATCH_NORM_TO_GROUP_NORM = 1, /* bt_model_group_norm */
    BT_PASS_FREEZE_BATCH_NORM = 2,        /* batch_norm in bt_training_options; likewise below */
    BT_PASS_FOLD_BATCH_NORM = 3,          /* fold_batch_norm */
    BT_PASS_DEAD_GRADIENTS = 4,           /* dead_gradients */
    BT_PASS_CACHE_FEATURES = 5            /* cache_features */
} bt_pass;

/* How the result of training with a pass compares to that without it. */
typedef enum bt_exactness {
    BT_EXACTNESS_BITS = 1,     /* the same bits */
    BT_EXACTNESS_ROUNDING = 2, /* the same function, rounded differently */
    BT_EXACTNESS_CHANGES = 3   /* another function */
} bt_exactness;

typedef struct bt_pass_info {
    uint32_t struct_size;
    uint32_t pass;       /* bt_pass */
    uint32_t exactness;  /* bt_exactness */
    uint32_t is_default; /* 1: on unless switched off */
    const char *name;    /* "fold-batch-norm" */
    const char *effect;  /* what it does, one sentence */
    const char *limits;  /* when it applies and what differs, one sentence */
} bt_pass_info;

BT_API uint32_t bt_pass_count(void);
BT_API bt_status bt_pass_info_get(uint32_t index, bt_pass_info *out);

/* Learning rate of step (0-based) out of total_steps. */
BT_API bt_status bt_learning_rate(const bt_training_options *options, uint64_t step,
                                  uint64_t total_steps, float *out);

typedef struct bt_target {
    uint32_t struct_size;
    uint32_t cores;
    uint32_t l1_bytes; /* for programs, after the firmware's own needs; likewise below */
    uint32_t l2_bytes;
    uint32_t l3_bytes;
    uint32_t sample_bytes; /* external memory beyond l3_bytes, for samples only */
    char name[32];
    /* Costs, which estimates of cycles are made from. */
    float macs_per_cycle;     /* fp32 multiply-adds of all cores */
    float l2_bytes_per_cycle; /* transfers between L1 and L2 */
    float l3_bytes_per_cycle; /* transfers to and from L3 */
    uint32_t l2_load_cycles;  /* of one core, for a word of L2 that it touches itself */
    uint32_t dispatch_cycles; /* to hand an instruction to the cores and wait for all of them */
} bt_target;

/*
 * A target that ships ("gap9"; "gap9-l2-only", the same with nothing but samples in L3;
 * "pulp-open"; "host"), or one from a file: its path has a '/' or ends in ".target", and
 * docs/planner.md says what it holds. BT_ERROR_ARGUMENT names the line that is wrong.
 */
BT_API bt_status bt_target_find(const char *name, bt_target *out);

/* -------------------------------------------------------------------------------------- program */

/* A compiled training program: flat, position-independent, validated bytes. Immutable. */
typedef struct bt_program bt_program;

/*
 * With cache_features a program has a second one inside, which computes the features: peaks are
 * then the larger of both, input elements, parameters and forward_macs those of the whole network,
 * and all else describes the part that trains.
 */

typedef struct bt_program_info {
    uint32_t struct_size;
    uint32_t bytes;         /* of the program itself */
    uint32_t instructions;  /* of all sequences */
    uint32_t l1_peak_bytes; /* planned peaks of the arenas */
    uint32_t l2_peak_bytes;
    uint32_t l3_peak_bytes;
    uint32_t l2_lower_bound_bytes; /* largest sum of bytes alive at once */
    uint32_t persistent_bytes;     /* weights, gradients, optimizer state, statistics */
    uint32_t micro_batch;
    uint32_t input_elements;       /* per sample */
    uint32_t output_elements;      /* per sample */
    uint32_t trainable_parameters; /* elements */
    uint64_t parameters;           /* elements, running statistics excluded */
    uint64_t forward_macs;         /* per sample */
    uint64_t training_macs;        /* per sample: forward and backward of the chosen scheme */
} bt_program_info;

BT_API bt_status bt_program_compile(const bt_model *model, const bt_training_options *options,
                                    const bt_target *target, bt_program **out);
/* Validates untrusted bytes completely. */
BT_API bt_status bt_program_from_bytes(const uint8_t *bytes, size_t size, bt_program **out);
BT_API void bt_program_free(bt_program *program);
/* The bytes belong to the program. With cache_features they are those of the part that trains. */
BT_API bt_status bt_program_bytes(const bt_program *program, const uint8_t **bytes, size_t *size);
BT_API bt_status bt_program_info_get(const bt_program *program, bt_program_info *out);

/* ----------------------------------------------------------------------------------------- plan */

/* What the planner decided, to be looked at before anything runs. Immutable. */
typedef struct bt_plan bt_plan;

typedef enum bt_policy {
    BT_POLICY_COMPILE = 1,     /* what bt_program_compile does */
    BT_POLICY_CONVENTIONAL = 2 /* the whole batch at once with BatchNorm in place of GroupNorm and
                                  InstanceNorm; every activation and every gradient has bytes of
                                  its own */
} bt_policy;

#define BT_PLAN_LEVELS 3    /* L1, L2, L3 */
#define BT_PLAN_SEQUENCES 4 /* begin, train, update, evaluate */

typedef struct bt_plan_info {
    uint32_t struct_size;
    uint32_t tensors;
    uint32_t decisions;
    uint32_t instructions[BT_PLAN_SEQUENCES];
    uint32_t backward;      /* number of train's first instruction behind the loss */
    uint32_t program_bytes; /* 0 for a plan that is no program */
    uint32_t micro_batch;
    uint64_t peak_bytes[BT_PLAN_LEVELS];
    uint64_t lower_bound_bytes[BT_PLAN_LEVELS]; /* largest sum of bytes alive at once */
    uint64_t capacity_bytes[BT_PLAN_LEVELS];    /* of the target */
    uint64_t persistent_bytes;
    uint64_t parameters;    /* elements, running statistics excluded */
    uint64_t forward_macs;  /* per sample */
    uint64_t training_macs; /* per sample: forward and backward of the chosen scheme */
    uint64_t planned_macs;  /* the same with what the plan computes again */
} bt_plan_info;

typedef enum bt_tensor_kind {
    BT_TENSOR_WEIGHT = 1,     /* parameters and running statistics */
    BT_TENSOR_GRADIENT = 2,   /* of a parameter, summed over the batch */
    BT_TENSOR_OPTIMIZER = 3,  /* momentum and the like */
    BT_TENSOR_INPUT = 4,      /* the samples and their targets */
    BT_TENSOR_ACTIVATION = 5, /* made and used in the forward pass, or made again for a moment */
    BT_TENSOR_STASH = 6,      /* made in the forward pass, kept for the backward pass */
    BT_TENSOR_ERROR = 7,      /* the gradient of an activation */
    BT_TENSOR_SCRATCH = 8,    /* block sums, losses */
    BT_TENSOR_TILE = 9        /* a part of a tensor, brought closer to the cores */
} bt_tensor_kind;

typedef struct bt_plan_tensor {
    uint32_t struct_size;
    uint32_t kind;  /* bt_tensor_kind */
    uint32_t level; /* 1, 2 or 3 */
    uint32_t persistent;
    uint32_t bytes;
    uint32_t rank;
    int32_t dims[BT_MAX_RANK];
    uint32_t block; /* tensors of a block follow each other in place */
    uint64_t offset;
    /* Time per sequence: 0 is before its first instruction, instruction i runs at i + 1, results
     * are read one after the last. first > last: not used there. */
    uint32_t first[BT_PLAN_SEQUENCES];
    uint32_t last[BT_PLAN_SEQUENCES];
    const char *name;  /* "" for a nameless one */
    const char *layer; /* whose instruction writes it first; "" if it belongs to none */
} bt_plan_tensor;

typedef struct bt_plan_instruction {
    uint32_t struct_size;
    uint32_t operands;
    const char *name;  /* "conv.forward" */
    const char *layer; /* "" if it belongs to none */
    uint64_t macs;
    uint64_t cycles;                        /* estimated */
    uint64_t traffic_bytes[BT_PLAN_LEVELS]; /* read and written, each operand once */
} bt_plan_instruction;

typedef struct bt_plan_decision {
    uint32_t struct_size;
    const char *pass;     /* "recompute" */
    const char *text;     /* one sentence */
    uint64_t saved_bytes; /* the peak would be this much higher without it */
    uint64_t macs;        /* that it adds to the training of a micro-batch */
} bt_plan_decision;

/*
 * Plans a training for a target; a plan that does not fit is a plan, too. batch is the samples of
 * an optimizer step: the conventional policy computes them at once. Same refusals as
 * bt_program_compile, capacity aside.
 */
BT_API bt_status bt_plan_create(const bt_model *model, const bt_training_options *options,
                                const bt_target *target, bt_policy policy, uint32_t batch,
                                bt_plan **out);
/* NULL is allowed. */
BT_API void bt_plan_free(bt_plan *plan);
/* The plan of a program compiled here, which it belongs to. */
BT_API bt_status bt_program_plan(const bt_program *program, const bt_plan **out);
BT_API bt_status bt_plan_info_get(const bt_plan *plan, bt_plan_info *out);
/* Strings belong to the plan. */
BT_API bt_status bt_plan_tensor_get(const bt_plan *plan, uint32_t index, bt_plan_tensor *out);
BT_API bt_status bt_plan_instruction_get(const bt_plan *plan, uint32_t sequence, uint32_t index,
                                         bt_plan_instruction *out);
BT_API bt_status bt_plan_decision_get(const bt_plan *plan, uint32_t index, bt_plan_decision *out);
/* What to change so that the training fits the target, one sentence; "" if it fits. */
BT_API const char *bt_plan_advice(const bt_plan *plan);

/* --------------------------------------------------------------------------------------- device */

/* A device behind a link. URIs: "sim:?target=gap9&cores=8". */
typedef struct bt_device bt_device;

typedef struct bt_device_options {
    uint32_t struct_size;
    uint32_t log_level; /* bt_log_level */
    bt_log_fn log;      /* may be NULL */
    void *log_user;
    const uint8_t *firmware; /* ELF for links that load one; NULL: the URI names a file */
    size_t firmware_bytes;
    uint32_t timeout_ms; /* deadline of one answer without progress; 0: the link's default */
} bt_device_options;

typedef struct bt_device_info {
    uint32_t struct_size;
    uint32_t protocol;
    uint32_t build_id;
    uint32_t cores;
    uint32_t l1_bytes;
    uint32_t l2_bytes;
    uint32_t l3_bytes;
    char link[16];
    char target[32];
    char kernels[16]; /* kernel set in use, for example "avx2" */
} bt_device_info;

/* options may be NULL. The device must outlive its sessions. */
BT_API bt_status bt_device_open(const char *uri, const bt_device_options *options, bt_device **out);
BT_API void bt_device_close(bt_device *device);
BT_API bt_status bt_device_info_get(const bt_device *device, bt_device_info *out);
/* Target that programs for this device are compiled for. */
BT_API bt_status bt_device_target(const bt_device *device, bt_target *out);
/* Time of an empty command, in nanoseconds; for link measurements. */
BT_API bt_status bt_device_ping(bt_device *device, uint64_t *nanoseconds);

/* -------------------------------------------------------------------------------------- session */

/* A program loaded into a device, with the model's parameters. One session per device at a time. */
typedef struct bt_session bt_session;

typedef enum bt_sample_format {
    BT_SAMPLE_INT16 = 1, /* 16 bit with scale and offset per window and channel */
    BT_SAMPLE_FLOAT32 = 2
} bt_sample_format;

typedef struct bt_samples {
    uint32_t struct_size;
    uint32_t count;
    uint32_t format;       /* bt_sample_format */
    uint32_t channels;     /* rows that share a scale; divides the input's elements */
    const float *inputs;   /* count x input elements */
    const int32_t *labels; /* count; cross-entropy */
    const float *targets;  /* count x output elements; other losses */
} bt_samples;

typedef struct bt_step {
    uint32_t samples; /* taken from the index list, a multiple of the micro-batch */
    float learning_rate;
} bt_step;

typedef struct bt_step_record {
    uint64_t step; /* updates done, this one included; bt_session_set_progress restores it */
    float loss;    /* mean over the step's samples, before the update */
    float learning_rate;
    uint64_t cycles; /* the device's cycle counter; 0 where there is none */
} bt_step_record;

/*
 * Return 0 to go on, 1 to stop. The device runs ahead of the host: steps that it has finished by
 * then are still reported, and what they return is ignored. Must not call the library.
 */
typedef uint32_t (*bt_step_fn)(void *user, const bt_step_record *record);

typedef struct bt_tensor_info {
    uint32_t struct_size;
    uint32_t rank;
    int32_t dims[BT_MAX_RANK];
    uint32_t bytes;
    uint32_t level; /* 1, 2 or 3; 0: a frozen parameter that the device does not need */
    const char *name;
} bt_tensor_info;

typedef struct bt_statistics {
    uint32_t struct_size;
    uint32_t l1_high_water; /* bytes of the program's part of each level that were ever written */
    uint32_t l2_high_water;
    uint32_t l3_high_water;
    uint64_t micro_steps; /* micro-batches trained */
    uint64_t updates;
    uint64_t cycles; /* spent in training sequences */
    uint64_t bytes_to_device;
    uint64_t bytes_from_device;
    uint64_t link_nanoseconds; /* spent in transfers */
} bt_statistics;

/* One kind of instruction of a program in a profile. */
typedef struct bt_profile_entry {
    const char *name;      /* "conv.forward" */
    uint64_t instructions; /* machine instructions of all cores */
    uint64_t critical;     /* of the slowest core between two barriers, added up; gvsoc: cycles */
} bt_profile_entry;

BT_API bt_status bt_session_open(bt_device *device, const bt_program *program, bt_session **out);
BT_API void bt_session_close(bt_session *session);
/* Appends samples to the device's store; *first is the index of the first of them. */
BT_API bt_status bt_session_upload(bt_session *session, const bt_samples *samples, uint32_t *first);
BT_API bt_status bt_session_clear_samples(bt_session *session);
/* How many more samples of this format the store takes; while it is empty, with one scale per row
 * of the input. */
BT_API bt_status bt_session_capacity(const bt_session *session, bt_sample_format format,
                                     uint32_t *samples);
/*
 * step_count optimizer steps; step i takes the next steps[i].samples entries of indices. on_step
 * (may be NULL) is called in order on this thread. After BT_ERROR_ABORTED or BT_ERROR_NUMERIC all
 * reported steps are complete and no other has changed the weights, with one exception: a program
 * with fused_update has updated the weights before its loss is looked at, so after BT_ERROR_NUMERIC
 * they are those after the step that failed; restore a checkpoint. Such a program takes steps of
 * one micro-batch only, and neither bt_session_accumulate nor bt_session_update.
 */
BT_API bt_status bt_session_train(bt_session *session, const bt_step *steps, uint32_t step_count,
                                  const uint32_t *indices, bt_step_fn on_step, void *user);
/* Gradients of the mean loss over count samples, readable as gradient.<parameter>; no update. */
BT_API bt_status bt_session_accumulate(bt_session *session, const uint32_t *indices, uint32_t count,
                                       float *losses);
/* One optimizer update from the gradients on the device. */
BT_API bt_status bt_session_update(bt_session *session, float learning_rate);
/* Inference; outputs: count x output elements; losses: count; either may be NULL. */
BT_API bt_status bt_session_evaluate(bt_session *session, const uint32_t *indices, uint32_t count,
                                     float *outputs, float *losses);
/*
 * Named tensors: every parameter by its name, gradient.<parameter>, optimizer state as
 * momentum.<parameter>, adam_m.<parameter>, adam_v.<parameter>. With fold_batch_norm also what
 * frozen parameters were folded into. A parameter that a pass compiled into the program (folded, or
 * read by the cached part) can be read, but written only with the value that it has.
 */
BT_API uint32_t bt_session_tensor_count(const bt_session *session);
BT_API bt_status bt_session_tensor_info(const bt_session *session, uint32_t index,
                                        bt_tensor_info *out);
BT_API bt_status bt_session_read(bt_session *session, const char *name, float *data, size_t count);
BT_API bt_status bt_session_write(bt_session *session, const char *name, const float *data,
                                  size_t count);
/* Position of a resumed run: micro-batches and updates done (dropout and Adam depend on them). */
BT_API bt_status bt_session_set_progress(bt_session *session, uint64_t micro_steps,
                                         uint64_t updates);
BT_API bt_status bt_session_statistics(bt_session *session, bt_statistics *out);
/*
 * Counts the instructions that the device executes in training and evaluation from now on, with one
 * core at work at a time, so that counts are exact. BT_ERROR_UNSUPPORTED where a device cannot
 * count: qemu:?icount=on can.
 */
BT_API bt_status bt_session_profile_begin(bt_session *session);
/* Ends counting. Writes the first capacity of the *count kinds of instruction that were executed.
 */
BT_API bt_status bt_session_profile_end(bt_session *session, bt_profile_entry *entries,
                                        uint32_t capacity, uint32_t *count);
/*
 * From any thread: the running training or evaluation ends with BT_ERROR_ABORTED after the step in
 * progress, unless that was the last. Does nothing if none is running.
 */
BT_API void bt_session_abort(bt_session *session);

#ifdef __cplusplus
}
#endif

#endif
