#include "faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define DEFAULT_DROP_MS 1000u
#define MAX_DROP_MS 600000u

static bt_status parse_number(const char *text, uint32_t high, uint32_t *out) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < 1 || value > high) {
        BT_FAIL(BT_ERROR_ARGUMENT, "\"%s\" is not a whole number from 1 to %u.", text, high);
    }
    *out = (uint32_t)value;
    return BT_OK;
}

typedef struct fault {
    const char *name;
    uint32_t *number; /* NULL: takes none */
    uint32_t normal;
    uint32_t high;
    bool *flag; /* without a number; NULL: all faults end */
} fault;

static bt_status set(bt_faults *faults, const fault *f, const char *number) {
    uint32_t value = f->normal;
    if (f->number == NULL && *number != '\0') {
        BT_FAIL(BT_ERROR_ARGUMENT, "The fault %s takes no number, but \"%s\" follows it.", f->name,
                number);
    }
    if (*number != '\0') {
        BT_TRY(parse_number(number, f->high, &value));
    }
    if (f->number != NULL) {
        *f->number = value;
    } else if (f->flag != NULL) {
        *f->flag = true;
    } else {
        *faults = (bt_faults){0};
    }
    return BT_OK;
}

bt_status bt_faults_set(bt_faults *faults, const char *text) {
    const fault known[] = {
        {"bus-error", &faults->bus_errors, 1, UINT32_MAX, NULL},
        {"flip", &faults->flips, 1, UINT32_MAX, NULL},
        {"tap-reset", &faults->tap_resets, 1, UINT32_MAX, NULL},
        {"drop", &faults->drop_ms, DEFAULT_DROP_MS, MAX_DROP_MS, NULL},
        {"busy-forever", NULL, 0, 0, &faults->bus_stuck},
        {"no-target", NULL, 0, 0, &faults->no_target},
        {"clear", NULL, 0, 0, NULL},
    };
    size_t length = strcspn(text, " ");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) == length && strncmp(known[i].name, text, length) == 0) {
            return set(faults, &known[i], text + length + strspn(text + length, " "));
        }
    }
    BT_FAIL(BT_ERROR_ARGUMENT,
            "The fault \"%s\" is unknown; known are bus-error [COUNT], flip [COUNT], tap-reset "
            "[COUNT], busy-forever, no-target, drop [MS] and clear.",
            text);
}
