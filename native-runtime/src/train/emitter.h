/*
 * What the op table's forward and backward rules write to: instructions of one sequence, the tensor
 * of every value, and the gradients collected so far.
 */
#ifndef BT_EMITTER_H
#define BT_EMITTER_H

#include "model/graph.h"
#include "train/ir.h"

#define BT_NODE_SAVED 2u

struct bt_emitter {
    const bt_model *model;
    const bt_training_options *options;
    bt_ir *ir;
    uint32_t sequence;    /* BT_SEQUENCE_TRAIN or BT_SEQUENCE_EVALUATE */
    bt_shape *shapes;     /* per value, for the micro-batch */
    bool *live;           /* per value: the output depends on it */
    bool *trainable;      /* per value: parameters that are updated */
    bool *needs_gradient; /* per value */
    uint32_t *tensors;    /* per value: its tensor in this sequence */
    uint32_t *gradients;  /* per value: sum of the gradients so far, or BT_NO_TENSOR; of a
                             trainable parameter: its persistent gradient */
    uint32_t (*saved)[BT_NODE_SAVED]; /* per node: what its backward rule needs besides values */
    uint32_t place;          /* tensor that the next output takes, or BT_NO_TENSOR: a new one */
    uint32_t first_element;  /* of the part of the output that is being emitted */
    struct bt_chain *chains; /* see chain.h */
    uint32_t chain_count;
};

/* ---- values */

/* Tensor of an operand; BT_NO_TENSOR if it is absent. */
uint32_t bt_emit_operand(const bt_emitter *emitter, const bt_node *node, uint32_t operand);
/* Shape of an operand that is present. */
const bt_shape *bt_emit_operand_shape(const bt_emitter *emitter, const bt_node *node,
                                      uint32_t operand);
const bt_shape *bt_emit_output_shape(const bt_emitter *emitter, const bt_node *node);
/* A new tensor for the node's output. */
uint32_t bt_emit_output(bt_emitter *emitter, const bt_node *node);
/* The node's output is its first operand in another shape. */
void bt_emit_output_view(bt_emitter *emitter, const bt_node *node);
/* The output tensor made by the forward rule. */
uint32_t bt_emit_result(const bt_emitter *emitter, const bt_node *node);
/* A nameless vector that lives within the sequence. */
uint32_t bt_emit_scratch(bt_emitter *emitter, uint32_t dtype, uint32_t elements);

/*
 * Keeps a tensor for later, in half precision if the options say so; a half holds it times
 * 2^exponent. What is returned is read by bt_emit_unstash.
 */
uint32_t bt_emit_stash(bt_emitter *emitter, uint32_t tensor, int32_t exponent);
/* What bt_emit_stash has kept, in single precision; made anew if it is in half precision. */
uint32_t bt_emit_unstash(bt_emitter *emitter, uint32_t kept, int32_t exponent);

/* Lists: BT_OPERANDS(…), BT_ATTRIBUTES(…). */
void bt_emit(bt_emitter *emitter, uint32_t opcode, uint32_t operand_count, const uint32_t *operands,
             uint32_t attribute_count, const int32_t *attributes);

/* ---- gradients */

/* 1 if this operand's gradient is needed. */
bool bt_gradient_wanted(const bt_emitter *emitter, const bt_node *node, uint32_t operand);
/* 1 if the operand is a trainable parameter: its gradient is persistent and accumulates. */
bool bt_gradient_persists(const bt_emitter *emitter, const bt_node *node, uint32_t operand);

/*
 * The tensor that an instruction writes an operand's gradient to; bt_gradient_close then adds it to
 * the operand's sum. accumulates: the instruction adds to what is there (an accumulator starts at
 * zero); otherwise it overwrites.
 */
uint32_t bt_gradient_open(bt_emitter *emitter, const bt_node *node, uint32_t operand,
                          bool accumulates);
void bt_gradient_close(bt_emitter *emitter, const bt_node *node, uint32_t operand,
                       uint32_t gradient);
/* Adds a gradient that has the operand's elements in another shape, for example dy itself. */
void bt_gradient_add_view(bt_emitter *emitter, const bt_node *node, uint32_t operand,
                          uint32_t gradient);

#endif
