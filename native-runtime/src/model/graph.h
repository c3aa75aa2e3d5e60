/*
 * The network: values (the input, parameters, one output per node) and nodes in the order in which
 * they were added, which is a topological order because a node's operands must exist before it.
 */
#ifndef BT_GRAPH_H
#define BT_GRAPH_H

#include "model/op_table.h"

typedef struct bt_value {
    char *name;
    bt_shape shape; /* for one sample */
    uint32_t node;  /* the node it comes from, or BT_NO_VALUE */
    bool is_parameter;
    bool depends_on_input; /* then dims[0] grows with the batch */
    uint32_t roles;        /* parameters: union of the BT_ROLE_… of their uses */
    float *data;           /* parameters: initial value */
} bt_value;

typedef struct bt_node {
    const bt_op_row *row;
    char *name;
    uint32_t index;
    uint32_t stream; /* of dropout's masks: the index, which a rewritten network keeps */
    uint32_t input_count;
    uint32_t inputs[BT_MAX_INPUTS]; /* values or BT_NO_VALUE */
    uint32_t output;                /* value */
    bt_attributes attributes;
} bt_node;

struct bt_model {
    bt_value *values;
    uint32_t value_count, value_capacity;
    bt_node *nodes;
    uint32_t node_count, node_capacity;
    uint32_t input;  /* value, or BT_NO_VALUE before bt_model_add_input */
    uint32_t output; /* value, or BT_NO_VALUE before bt_model_set_output */
};

/* The parameter of this name, BT_NO_VALUE if there is none. */
uint32_t bt_model_find_parameter(const bt_model *model, const char *name);

/* Value of a node's operand, BT_NO_VALUE if it is absent. */
uint32_t bt_node_operand(const bt_node *node, uint32_t operand);

/*
 * Shapes of all values for a batch; shapes holds value_count entries. Fails if a node would mix
 * samples or bakes the batch of one in.
 */
bt_status bt_model_shapes(const bt_model *model, uint32_t batch, bt_shape *shapes);

/* Marks the values that the output is computed from; live holds value_count entries. */
void bt_model_mark_live(const bt_model *model, bool *live);

#endif
