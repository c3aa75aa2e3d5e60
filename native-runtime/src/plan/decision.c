#include "plan/decision.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bt_status bt_decision_add(bt_decisions *decisions, const char *pass, uint64_t saved_bytes,
                          uint64_t macs, const char *format, ...) {
    bt_decision *larger =
        realloc(decisions->entries, (decisions->count + 1) * sizeof *decisions->entries);
    if (larger == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "The host has no memory left to plan a program.");
    }
    decisions->entries = larger;
    bt_decision *added = &larger[decisions->count++];
    *added = (bt_decision){.pass = pass, .saved_bytes = saved_bytes, .macs = macs};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(added->text, sizeof added->text, format, arguments);
    va_end(arguments);
    return BT_OK;
}

void bt_decisions_free(bt_decisions *decisions) {
    free(decisions->entries);
    *decisions = (bt_decisions){0};
}
