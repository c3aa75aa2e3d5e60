/*
 * Staging: kernels work in L1, so what an instruction needs of tensors whose home is L2 or L3 is
 * brought into tiles in L1 and taken back by DMA. An instruction whose tiles do not fit is cut into
 * pieces (split.h). Transfers run while others compute: the inputs of a piece are fetched during
 * the piece before it, its outputs leave during the piece after it. A tile that a later instruction
 * reads again stays as long as there is room, and results that only such instructions read never
 * leave L1.
 */
#ifndef BT_STAGE_H
#define BT_STAGE_H

#include "plan/memory_plan.h"

/*
 * Rewrites all sequences. Levels of the IR's tensors say where they live; plan, made from the same
 * IR, says when. Tiles and what lives in L1 take at most l1_bytes together, but for gaps. On
 * failure the IR is not usable. BT_ERROR_CAPACITY: an operand in L3 that cannot be cut small
 * enough, or so little room that there would be too many pieces.
 */
bt_status bt_stage(bt_ir *ir, const bt_memory_plan *plan, uint64_t l1_bytes, bt_staging *out);

#endif
