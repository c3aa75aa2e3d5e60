#include "plan/targets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BT_MAX_LINE 200u

typedef enum key_type { KEY_NAME, KEY_NUMBER, KEY_BYTES, KEY_RATE } key_type;

/* A key of the file, and where its value goes. */
typedef struct key {
    const char *name;
    key_type type;
    size_t offset;      /* in bt_target */
    uint32_t low, high; /* allowed; of a rate, in hundredths */
} key;

static const key keys[] = {
    {"name", KEY_NAME, offsetof(bt_target, name), 0, 0},
    {"cores", KEY_NUMBER, offsetof(bt_target, cores), 1, 64},
    {"l1_bytes", KEY_BYTES, offsetof(bt_target, l1_bytes), 0, 64u << 20},
    {"l2_bytes", KEY_BYTES, offsetof(bt_target, l2_bytes), 4096, 1u << 30},
    {"l3_bytes", KEY_BYTES, offsetof(bt_target, l3_bytes), 0, 1u << 30},
    {"sample_bytes", KEY_BYTES, offsetof(bt_target, sample_bytes), 0, 1u << 30},
    {"macs_per_cycle", KEY_RATE, offsetof(bt_target, macs_per_cycle), 1, 100000},
    {"l2_bytes_per_cycle", KEY_RATE, offsetof(bt_target, l2_bytes_per_cycle), 1, 100000},
    {"l3_bytes_per_cycle", KEY_RATE, offsetof(bt_target, l3_bytes_per_cycle), 1, 100000},
    {"l2_load_cycles", KEY_NUMBER, offsetof(bt_target, l2_load_cycles), 0, 1000},
    {"dispatch_cycles", KEY_NUMBER, offsetof(bt_target, dispatch_cycles), 0, 1000000},
};

#define KEYS ((uint32_t)(sizeof keys / sizeof keys[0]))

/* Where a sentence points to, and what has been read so far. */
typedef struct reader {
    const char *source;
    uint32_t line;
    uint32_t lines[KEYS]; /* where each key stands; 0: nowhere */
    bt_target *target;
} reader;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* Cuts blanks off both ends. */
static char *trim(char *text) {
    while (is_blank(*text)) {
        text++;
    }
    size_t length = strlen(text);
    while (length > 0 && is_blank(text[length - 1])) {
        length--;
    }
    text[length] = '\0';
    return text;
}

/* Digits only; false if there are none, others, or too many. */
static bool parse_digits(const char *text, uint64_t *out) {
    *out = 0;
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || length > 12) {
            return false;
        }
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return length > 0;
}

static bt_status read_number(reader *r, const key *k, const char *value) {
    uint64_t number;
    bool multiple = k->type == KEY_BYTES;
    if (!parse_digits(value, &number) || number < k->low || number > k->high ||
        (multiple && number % 4 != 0)) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "%s, line %u: %s is \"%s\"; a whole number%s from %u to %u is "
                "allowed.",
                r->source, r->line, k->name, value, multiple ? ", a multiple of 4," : "", k->low,
                k->high);
    }
    *(uint32_t *)(void *)((char *)r->target + k->offset) = (uint32_t)number;
    return BT_OK;
}

/* A decimal number with up to two digits behind the point. */
static bt_status read_rate(reader *r, const key *k, char *value) {
    char whole_text[16], part_text[3] = "00";
    uint64_t whole = 0, part = 0;
    const char *point = strchr(value, '.');
    size_t digits = point == NULL ? strlen(value) : (size_t)(point - value);
    size_t decimals = point == NULL ? 0 : strlen(point + 1);
    bool ok = digits < sizeof whole_text && decimals <= 2 && (point == NULL || decimals > 0);
    if (ok) {
        memcpy(whole_text, value, digits);
        whole_text[digits] = '\0';
        memcpy(part_text, point == NULL ? "" : point + 1, decimals);
        ok = parse_digits(whole_text, &whole) && parse_digits(part_text, &part) &&
             whole * 100 + part >= k->low && whole * 100 + part <= k->high;
    }
    if (!ok) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "%s, line %u: %s is \"%s\"; a number from %.2f to %.0f with up "
                "to two decimals is allowed.",
                r->source, r->line, k->name, value, k->low / 100.0, k->high / 100.0);
    }
    *(float *)(void *)((char *)r->target + k->offset) = (float)(whole * 100 + part) / 100.0f;
    return BT_OK;
}

static bt_status read_name(reader *r, const char *value) {
    size_t length = strlen(value);
    bool ok = length > 0 && length < sizeof r->target->name;
    for (size_t i = 0; ok && i < length; i++) {
        char c = value[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_' || c == '.';
    }
    if (!ok) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "%s, line %u: name is \"%s\"; 1 to %zu letters, digits, '-', '_' or '.' are "
                "allowed.",
                r->source, r->line, value, sizeof r->target->name - 1);
    }
    memcpy(r->target->name, value, length + 1);
    return BT_OK;
}

static bt_status read_line(reader *r, char *line) {
    char *text = trim(line);
    if (*text == '\0' || *text == '#') {
        return BT_OK;
    }
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        BT_FAIL(BT_ERROR_ARGUMENT, "%s, line %u: \"%s\" is not key = value.", r->source, r->line,
                text);
    }
    *equals = '\0';
    const char *name = trim(text);
    char *value = trim(equals + 1);
    uint32_t k = 0;
    while (k < KEYS && strcmp(keys[k].name, name) != 0) {
        k++;
    }
    if (k == KEYS) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "%s, line %u: there is no key \"%s\"; name, cores, l1_bytes, l2_bytes, l3_bytes, "
                "sample_bytes, macs_per_cycle, l2_bytes_per_cycle, l3_bytes_per_cycle, "
                "l2_load_cycles and "
                "dispatch_cycles are known.",
                r->source, r->line, name);
    }
    if (r->lines[k] != 0) {
        BT_FAIL(BT_ERROR_ARGUMENT, "%s, line %u: %s stands in line %u already; keep one.",
                r->source, r->line, name, r->lines[k]);
    }
    r->lines[k] = r->line;
    return keys[k].type == KEY_NAME   ? read_name(r, value)
           : keys[k].type == KEY_RATE ? read_rate(r, &keys[k], value)
                                      : read_number(r, &keys[k], value);
}

/* Copies the next line, without its end; *at moves behind it. */
static bt_status next_line(reader *r, const char *text, size_t length, size_t *at,
                           char line[BT_MAX_LINE]) {
    size_t used = 0;
    r->line++;
    for (; *at < length && text[*at] != '\n'; (*at)++) {
        char c = text[*at];
        if ((c < ' ' && !is_blank(c)) || c == 0x7F || used + 1 >= BT_MAX_LINE) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "%s, line %u: the line is longer than %u characters or holds control "
                    "characters; a target file is plain text.",
                    r->source, r->line, BT_MAX_LINE - 1);
        }
        line[used++] = c;
    }
    line[used] = '\0';
    (*at)++;
    return BT_OK;
}

bt_status bt_target_parse(const char *source, const char *text, size_t length, bt_target *out) {
    bt_target target = {.struct_size = sizeof target};
    reader r = {.source = source, .target = &target};
    char line[BT_MAX_LINE];
    for (size_t at = 0; at < length;) {
        BT_TRY(next_line(&r, text, length, &at, line));
        BT_TRY(read_line(&r, line));
    }
    for (uint32_t k = 0; k < KEYS; k++) {
        bool may_be_absent = keys[k].offset == offsetof(bt_target, sample_bytes);
        if (r.lines[k] == 0 && !may_be_absent) {
            BT_FAIL(BT_ERROR_ARGUMENT, "%s, line %u: the file ends without the key %s; add it.",
                    source, r.line, keys[k].name);
        }
    }
    *out = target;
    return BT_OK;
}

static bt_status read_file(const char *path, bt_target *out) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The target file %s cannot be opened: %s.", path,
                strerror(errno));
    }
    char *text = malloc(BT_TARGET_FILE_LIMIT + 1);
    size_t length = text == NULL ? 0 : fread(text, 1, BT_TARGET_FILE_LIMIT + 1, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    bt_status status;
    if (text == NULL) {
        status = bt_error_set(BT_ERROR_MEMORY, "The host has no memory left to read %s.", path);
    } else if (failed) {
        status = bt_error_set(BT_ERROR_ARGUMENT, "The target file %s cannot be read.", path);
    } else if (length > BT_TARGET_FILE_LIMIT) {
        status = bt_error_set(BT_ERROR_ARGUMENT,
                              "The target file %s has more than %u bytes; a target needs less.",
                              path, BT_TARGET_FILE_LIMIT);
    } else {
        status = bt_target_parse(path, text, length, out);
    }
    free(text);
    return status;
}

/* What a user names a file with. */
static bool is_path(const char *name) {
    static const char ending[] = ".target";
    size_t length = strlen(name);
    return strchr(name, '/') != NULL ||
           (length >= sizeof ending && strcmp(name + length - (sizeof ending - 1), ending) == 0);
}

bt_status bt_target_find(const char *name, bt_target *out) {
    BT_REQUIRE(name);
    BT_REQUIRE(out);
    char known[256] = "";
    for (uint32_t i = 0; i < bt_target_file_count; i++) {
        const bt_target_file *file = &bt_target_files[i];
        if (strcmp(file->name, name) == 0) {
            return bt_target_parse(file->name, file->text, strlen(file->text), out);
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", file->name);
    }
    if (is_path(name)) {
        return read_file(name, out);
    }
    BT_FAIL(BT_ERROR_ARGUMENT,
            "There is no target '%s'; known are %s, and files whose names end in .target.", name,
            known);
}
