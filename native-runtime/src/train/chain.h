/*
 * Chains: a convolution or a normalisation and the layers behind it that treat every channel by
 * itself (depthwise convolution, normalisation, activation, pooling, dropout; up to the last
 * pooling or a convolution behind it), computed a part of the channels at a time, so that full maps
 * exist only where they are kept on purpose. Group normalisation needs sums over all channels: one
 * pass over the parts per sum, the same block sums in the same order as in one piece. What a pass
 * needs of the layers before it is computed again, except the outputs of convolutions that hold a
 * large share of the network's multiply-adds; likewise gradients behind such convolutions are kept
 * from pass to pass. A chain that begins with a normalisation hands on a gradient, part by part in
 * place of its input where nothing else needs that. No result changes by a bit.
 */
#ifndef BT_CHAIN_H
#define BT_CHAIN_H

#include "train/emitter.h"

typedef struct bt_chain bt_chain;

/* How chains are computed. */
typedef struct bt_partition {
    uint32_t parts;       /* at most so many; 1: no chains */
    uint32_t forgotten;   /* of 32 parts, so many are not kept for the backward pass even where they
                             are costly, but computed again in every pass of it */
    uint32_t least_bytes; /* of a chain's largest map in a part: less is not worth instructions */
} bt_partition;

/* Finds the chains of a model for two parts or more. */
void bt_chains_find(bt_emitter *emitter, const bt_partition *partition);
void bt_chains_free(bt_emitter *emitter);

/* The chain that a node belongs to, or NULL. */
bt_chain *bt_chain_of(const bt_emitter *emitter, uint32_t node);
bool bt_chain_begins(const bt_chain *chain, uint32_t node);
bool bt_chain_ends(const bt_chain *chain, uint32_t node);

/* Forward pass of all nodes; the output's tensor is whole. */
void bt_chain_forward(bt_emitter *emitter, bt_chain *chain);
/* Backward pass of all nodes, from the gradient of the output. */
void bt_chain_backward(bt_emitter *emitter, bt_chain *chain, uint32_t dy);

#endif
