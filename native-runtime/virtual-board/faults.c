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

bt_status bt_faults_set(bt_faults *faults, const char *text) {
    const struct {
        const char *name;
        uint32_t *counter; /* NULL: takes no number */
        uint32_t normal;
        uint32_t high;
    } known[] = {
        {"bus-error", &faults->bus_errors, 1, UINT32_MAX},
        {"flip", &faults->flips, 1, UINT32_MAX},
        {"tap-reset", &faults->tap_resets, 1, UINT32_MAX},
        {"drop", &faults->drop_ms, DEFAULT_DROP_MS, MAX_DROP_MS},
        {"busy-forever", NULL, 0, 0},
        {"clear", NULL, 0, 0},
    };
    size_t length = strcspn(text, " ");
    const char *number = text + length + strspn(text + length, " ");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) != length || strncmp(known[i].name, text, length) != 0) {
            continue;
        }
        if (known[i].counter != NULL) {
            *known[i].counter = known[i].normal;
            return *number != '\0' ? parse_number(number, known[i].high, known[i].counter) : BT_OK;
        }
        if (*number != '\0') {
            BT_FAIL(BT_ERROR_ARGUMENT, "The fault %s takes no number, but \"%s\" follows it.",
                    known[i].name, number);
        }
        if (strcmp(known[i].name, "clear") == 0) {
            *faults = (bt_faults){0};
        } else {
            faults->bus_stuck = true;
        }
        return BT_OK;
    }
    BT_FAIL(BT_ERROR_ARGUMENT,
            "The fault \"%s\" is unknown; known are bus-error [COUNT], flip [COUNT], tap-reset "
            "[COUNT], busy-forever, drop [MS] and clear.",
            text);
}
