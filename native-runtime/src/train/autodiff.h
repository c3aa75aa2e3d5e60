/* From a model and training options to the instructions of the four sequences. */
#ifndef BT_AUTODIFF_H
#define BT_AUTODIFF_H

#include "train/chain.h"
#include "train/emitter.h"

/* What the training program of a model consists of; made by bt_training_build. */
typedef struct bt_training {
    bt_ir ir;
    uint32_t *parameter_tensors; /* per value: its tensor, BT_NO_TENSOR if it is no parameter */
    uint32_t input_elements;     /* per sample */
    uint32_t output_elements;    /* per sample */
    uint32_t target_kind;        /* BT_TARGET_… */
    uint64_t parameters;         /* elements */
    uint64_t trainable_parameters;
} bt_training;

/* On failure *out needs no bt_training_free. */
bt_status bt_training_build(const bt_model *model, const bt_training_options *options,
                            bt_training *out);
/* The same with its chains in parts. */
bt_status bt_training_build_in_parts(const bt_model *model, const bt_training_options *options,
                                     const bt_partition *partition, bt_training *out);
void bt_training_free(bt_training *training);

/* Emits the loss of output (micro_batch, elements per sample); dy may be BT_NO_TENSOR. */
void bt_emit_loss(bt_emitter *emitter, uint32_t output, uint32_t elements, uint32_t dy);

/* Emits the update of one parameter, with its optimizer's state. */
void bt_emit_update(bt_ir *ir, const bt_training_options *options, const char *name,
                    const bt_shape *shape, uint32_t parameter, uint32_t gradient);

#endif
