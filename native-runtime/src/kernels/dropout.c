/* Dropout: the mask is a pure function of seed, stream, micro-batch and element. */
#include "kernels/kernels.h"
#include "kernels/philox.h"

/*
 * x y | ratio, stream, number of the first element: y = x / (1 - ratio) with probability 1 - ratio,
 * else 0; y may take the place of x. Applied to dy, the same instruction gives dx. Four
 * neighbouring elements of the whole mask share one counter; x may begin between them.
 */
void BT_KERNEL(bt_dropout)(const bt_call *call, const bt_team *team) {
    const float *x = bt_call_operand(call, 0);
    float *y = bt_call_operand(call, 1);
    float ratio = bt_call_float(call, 0);
    float scale = 1.0f / (1.0f - ratio);
    uint32_t stream = bt_call_count(call, 1);
    uint32_t offset = bt_call_count(call, 2);
    uint32_t skipped = offset % 4; /* of the first counter */
    uint32_t elements = bt_call_elements(call, 1);
    uint32_t begin, end;
    bt_team_share(team, bt_divide_up(elements, BT_CHUNK), &begin, &end);
    for (uint32_t chunk = begin; chunk < end; chunk++) {
        uint32_t first = chunk * BT_CHUNK;
        uint32_t n = bt_min(BT_CHUNK, elements - first);
        float value[BT_CHUNK], uniform[BT_CHUNK + 4];
        for (uint32_t quad = 0; quad < BT_CHUNK / 4 + (skipped > 0); quad++) {
            uint32_t counter[4] = {(offset + first) / 4 + quad, stream, call->scalars->micro_step,
                                   0};
            uint32_t word[4];
            bt_philox(call->scalars->seed, counter, word);
            for (uint32_t i = 0; i < 4; i++) {
                uniform[quad * 4 + i] = bt_philox_uniform(word[i]);
            }
        }
        bt_chunk_load(x + first, n, value);
        for (uint32_t i = 0; i < BT_CHUNK; i++) {
            value[i] = uniform[skipped + i] >= ratio ? value[i] * scale : 0.0f;
        }
        bt_chunk_store(value, n, y + first);
    }
}
