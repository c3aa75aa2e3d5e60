/*
 * Intermediate representation of a training program: instructions of the four sequences over
 * virtual tensors that have shapes but no addresses yet. A view shares the bytes of another tensor.
 *
 * Building never fails half-way: after the first failure status keeps it and every call is a no-op,
 * so emitters need no checks; whoever built the program looks at status once.
 */
#ifndef BT_IR_H
#define BT_IR_H

#include "model/shape.h"
#include "program/program.h"

#define BT_NO_NODE 0xFFFFFFFFu

typedef enum bt_residence {
    BT_RESIDENCE_TRANSIENT, /* lives within a sequence */
    BT_RESIDENCE_PERSISTENT /* keeps its bytes for ever */
} bt_residence;

typedef struct bt_ir_tensor {
    bt_shape shape;
    uint32_t dtype;         /* BT_DTYPE_… */
    uint32_t storage;       /* the tensor whose bytes it shares; itself if none */
    uint32_t value;         /* storage before others were put in its place; for reports */
    uint32_t offset;        /* bytes from the start of the storage */
    bt_residence residence; /* of a storage */
    uint32_t level;         /* home of a storage, BT_LEVEL_…; L2 until the planner decides */
    bool is_tile;           /* a storage in L1 that holds a copy while instructions need it */
    bool is_gradient;       /* a transient storage: a parameter's gradient; for reports */
    char *name;             /* NULL for a nameless one */
} bt_ir_tensor;

typedef struct bt_instruction {
    uint32_t opcode;
    uint32_t operand_count;
    uint32_t operands[BT_MAX_OPERANDS];
    uint32_t attribute_count;
    int32_t attributes[BT_MAX_CALL_ATTRIBUTES];
    uint32_t node; /* of the model, which it computes a part of, or BT_NO_NODE; for reports */
} bt_instruction;

typedef struct bt_sequence {
    bt_instruction *instructions;
    uint32_t count, capacity;
} bt_sequence;

typedef struct bt_ir {
    bt_status status;
    bt_ir_tensor *tensors;
    uint32_t tensor_count, tensor_capacity;
    bt_sequence sequences[BT_SEQUENCE_COUNT];
    /* Tensors that the session fills before TRAIN and EVALUATE, and reads after them. */
    uint32_t input, target, output, loss;
    uint32_t node; /* of the instructions that are emitted next */
} bt_ir;

/* Operand and attribute lists of bt_ir_emit. */
#define BT_LIST(type, ...)                                                                         \
    (uint32_t)(sizeof((const type[]){__VA_ARGS__}) / sizeof(type)), (const type[]) { __VA_ARGS__ }
#define BT_OPERANDS(...) BT_LIST(uint32_t, __VA_ARGS__)
#define BT_ATTRIBUTES(...) BT_LIST(int32_t, __VA_ARGS__)
#define BT_NO_ATTRIBUTES 0, NULL

void bt_ir_init(bt_ir *ir);
void bt_ir_free(bt_ir *ir);
/* On failure *out needs no bt_ir_free. */
bt_status bt_ir_copy(const bt_ir *ir, bt_ir *out);

/* A new tensor with its own bytes; name may be NULL. BT_NO_TENSOR after a failure. */
uint32_t bt_ir_tensor_new(bt_ir *ir, bt_residence residence, uint32_t dtype, const bt_shape *shape,
                          const char *prefix, const char *name);
/* The bytes of source in another shape of as many elements. */
uint32_t bt_ir_view(bt_ir *ir, uint32_t source, const bt_shape *shape);
/* Some of the elements of source, from element first on. */
uint32_t bt_ir_slice(bt_ir *ir, uint32_t source, uint32_t first, const bt_shape *shape);
/* Names a tensor prefix + name. */
void bt_ir_name(bt_ir *ir, uint32_t tensor, const char *prefix, const char *name);
/* Keeps the bytes of a tensor for ever. */
void bt_ir_keep(bt_ir *ir, uint32_t tensor);

void bt_ir_emit(bt_ir *ir, uint32_t sequence, uint32_t opcode, uint32_t operand_count,
                const uint32_t *operands, uint32_t attribute_count, const int32_t *attributes);

/* Bytes of a tensor, a multiple of 4. */
uint32_t bt_ir_bytes(const bt_ir_tensor *tensor);

/* The attribute that holds a float's bits. */
int32_t bt_ir_float(float value);

/* How an instruction touches one of its operands. */
enum { BT_ACCESS_READ = 1, BT_ACCESS_WRITE = 2 };
uint32_t bt_instruction_access(const bt_instruction *instruction, uint32_t operand);

/*
 * 1 if the written operand may take the bytes of the read operand exactly, because the kernel reads
 * every element before it writes it and never again.
 */
bool bt_instruction_in_place(const bt_instruction *instruction, uint32_t written, uint32_t read);

/* Multiply-adds of one instruction. */
uint64_t bt_instruction_macs(const bt_ir *ir, const bt_instruction *instruction);

#endif
