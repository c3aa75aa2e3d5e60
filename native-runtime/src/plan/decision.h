/*
 * What passes decided and what it bought, for people to read. A pass appends to the list of the
 * program that it changes; nothing depends on the list.
 */
#ifndef BT_DECISION_H
#define BT_DECISION_H

#include "base/error.h"

typedef struct bt_decision {
    const char *pass;     /* a constant: "recompute" */
    char text[192];       /* one sentence; longer ones are cut */
    uint64_t saved_bytes; /* the peak would be this much higher without it */
    uint64_t macs;        /* multiply-adds that it adds to TRAIN */
} bt_decision;

typedef struct bt_decisions {
    bt_decision *entries;
    uint32_t count;
} bt_decisions;

bt_status bt_decision_add(bt_decisions *decisions, const char *pass, uint64_t saved_bytes,
                          uint64_t macs, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void bt_decisions_free(bt_decisions *decisions);

#endif
