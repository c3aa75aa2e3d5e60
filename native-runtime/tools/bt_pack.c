/*
 * bt-pack: packs the buffers of a CSV file; a tool to try the planner's packing on any instance.
 *
 * Rows go to stdout, everything else to stderr, so that stdout is a CSV file or empty.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/pack.h"

#define EXIT_FITS 0
#define EXIT_DOES_NOT_FIT 1
#define EXIT_MISUSE 2

/* Far more than BT_PACK_MAX_BUFFERS rows need; a file that is no instance ends here. */
#define MAX_FILE_BYTES ((size_t)16 << 20)

enum { ID, LOWER, UPPER, SIZE, COLUMNS };
static const char *const column_names[COLUMNS] = {"id", "lower", "upper", "size"};

typedef struct row {
    const char *id; /* in the file's text */
    uint32_t line;
    bt_pack_interval interval;
    uint64_t size;
} row;

typedef struct instance {
    const char *path;
    char *text;
    row *rows;
    uint32_t count;
} instance;

static const char usage[] =
    "Usage: bt-pack [--budget NODES] CAPACITY FILE.csv\n"
    "\n"
    "Gives every buffer an offset so that buffers alive at the same time do not overlap and all\n"
    "end at or below CAPACITY bytes. CAPACITY min looks for the lowest height.\n"
    "\n"
    "FILE.csv starts with the names of its columns: id, lower, upper and size, in any order. A\n"
    "buffer of size bytes is alive from lower to before upper.\n"
    "\n"
    "Prints id,offset rows, and on stderr the height, the lower bound and the nodes spent.\n"
    "\n"
    "  --budget NODES  effort after which to give up, default %u; results do not depend on time\n"
    "  --help          print this text\n"
    "\n"
    "Exit status: 0 the buffers fit; 1 they do not, or the budget ended (stderr says which);\n"
    "2 the command or the file is wrong.\n";

/* Prints a sentence on what is wrong; returns false. */
__attribute__((format(printf, 1, 2))) static bool refuse(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("bt-pack: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return false;
}

/* A whole number in decimal digits, without sign or space. */
static bool parse_number(const char *text, uint64_t *out) {
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (*text < '0' || *text > '9' || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = 10 * value + digit;
    }
    *out = value;
    return true;
}

/* Reads the whole file as text that ends in NUL. */
static bool read_text(instance *in) {
    FILE *file = fopen(in->path, "rb");
    if (file == NULL) {
        return refuse("%s cannot be opened: %s.", in->path, strerror(errno));
    }
    size_t length = 0;
    size_t capacity = 0;
    bool ok = true;
    while (ok && !feof(file)) {
        capacity = capacity == 0 ? 65536 : 2 * capacity;
        char *larger = realloc(in->text, capacity + 1);
        if (larger == NULL) {
            ok = refuse("no memory is left to read %s.", in->path);
            break;
        }
        in->text = larger;
        length += fread(in->text + length, 1, capacity - length, file);
        if (ferror(file)) {
            ok = refuse("%s cannot be read: %s.", in->path, strerror(errno));
        } else if (length > MAX_FILE_BYTES) {
            ok = refuse("%s has more than %zu bytes; an instance of %u buffers needs less.",
                        in->path, MAX_FILE_BYTES, BT_PACK_MAX_BUFFERS);
        }
    }
    fclose(file);
    if (ok) {
        in->text[length] = '\0';
        if (strlen(in->text) != length) {
            ok = refuse("%s contains a zero byte; it must be a text file.", in->path);
        }
    }
    return ok;
}

/* Cuts the next line off, without its end; NULL after the last one. */
static char *next_line(char **rest) {
    char *line = *rest;
    if (*line == '\0') {
        return NULL;
    }
    size_t length = strcspn(line, "\n");
    *rest = line + length + (line[length] == '\n');
    line[length] = '\0';
    if (length > 0 && line[length - 1] == '\r') {
        line[length - 1] = '\0';
    }
    return line;
}

/* Cuts the next field off, without the spaces around it; NULL after the last one. */
static char *next_field(char **rest) {
    char *field = *rest;
    if (field == NULL) {
        return NULL;
    }
    size_t length = strcspn(field, ",");
    *rest = field[length] == ',' ? field + length + 1 : NULL;
    while (length > 0 && (field[length - 1] == ' ' || field[length - 1] == '\t')) {
        length--;
    }
    field[length] = '\0';
    return field + strspn(field, " \t");
}

/* Where each column stands. */
static bool parse_header(const instance *in, char *line, uint32_t positions[COLUMNS]) {
    for (uint32_t c = 0; c < COLUMNS; c++) {
        positions[c] = UINT32_MAX;
    }
    char *name;
    for (uint32_t position = 0; (name = next_field(&line)) != NULL; position++) {
        uint32_t c = 0;
        while (c < COLUMNS && strcmp(name, column_names[c]) != 0) {
            c++;
        }
        if (c == COLUMNS) {
            return refuse("%s:1: column \"%.40s\" is unknown; the columns are id, lower, upper and "
                          "size.",
                          in->path, name);
        }
        if (positions[c] != UINT32_MAX) {
            return refuse("%s:1: column \"%s\" appears twice.", in->path, name);
        }
        positions[c] = position;
    }
    for (uint32_t c = 0; c < COLUMNS; c++) {
        if (positions[c] == UINT32_MAX) {
            return refuse("%s:1: column \"%s\" is missing; the first line names the columns id, "
                          "lower, upper and size.",
                          in->path, column_names[c]);
        }
    }
    return true;
}

static bool parse_row(const instance *in, uint32_t line_number, char *line,
                      const uint32_t positions[COLUMNS], row *out) {
    char *fields[COLUMNS];
    uint32_t count = 0;
    char *field;
    while ((field = next_field(&line)) != NULL) {
        if (count < COLUMNS) {
            fields[count] = field;
        }
        count++;
    }
    if (count != COLUMNS) {
        return refuse("%s:%u: there are %u fields; the first line names %u columns.", in->path,
                      line_number, count, (unsigned)COLUMNS);
    }
    uint64_t *values[COLUMNS] = {NULL, &out->interval.lower, &out->interval.upper, &out->size};
    for (uint32_t c = LOWER; c < COLUMNS; c++) {
        if (!parse_number(fields[positions[c]], values[c])) {
            return refuse("%s:%u: %s is \"%.40s\"; it must be a whole number from 0 to %" PRIu64
                          ".",
                          in->path, line_number, column_names[c], fields[positions[c]], UINT64_MAX);
        }
    }
    if (out->interval.lower >= out->interval.upper) {
        return refuse("%s:%u: the buffer lives from %" PRIu64 " to before %" PRIu64
                      "; upper must be greater than lower.",
                      in->path, line_number, out->interval.lower, out->interval.upper);
    }
    out->id = fields[positions[ID]];
    out->line = line_number;
    if (*out->id == '\0') {
        return refuse("%s:%u: the id is empty; every buffer needs one.", in->path, line_number);
    }
    return true;
}

static bool parse_rows(instance *in) {
    char *rest = in->text;
    char *line = next_line(&rest);
    uint32_t positions[COLUMNS];
    uint32_t capacity = 0;
    if (line == NULL) {
        return refuse(
            "%s is empty; its first line must name the columns id, lower, upper and size.",
            in->path);
    }
    if (!parse_header(in, line, positions)) {
        return false;
    }
    for (uint32_t line_number = 2; (line = next_line(&rest)) != NULL; line_number++) {
        if (line[strspn(line, " \t")] == '\0') {
            continue;
        }
        if (in->count == BT_PACK_MAX_BUFFERS) {
            return refuse("%s:%u: there are more than %u buffers.", in->path, line_number,
                          BT_PACK_MAX_BUFFERS);
        }
        if (in->count == capacity) {
            capacity = capacity == 0 ? 256 : 2 * capacity;
            row *larger = realloc(in->rows, capacity * sizeof *larger);
            if (larger == NULL) {
                return refuse("no memory is left to read %s.", in->path);
            }
            in->rows = larger;
        }
        if (!parse_row(in, line_number, line, positions, &in->rows[in->count])) {
            return false;
        }
        in->count++;
    }
    return true;
}

static int compare_ids(const void *left, const void *right) {
    const row *a = *(const row *const *)left;
    const row *b = *(const row *const *)right;
    int order = strcmp(a->id, b->id);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static bool check_ids(const instance *in) {
    const row **sorted = malloc((in->count + (size_t)1) * sizeof *sorted);
    if (sorted == NULL) {
        return refuse("no memory is left to read %s.", in->path);
    }
    for (uint32_t i = 0; i < in->count; i++) {
        sorted[i] = &in->rows[i];
    }
    qsort(sorted, in->count, sizeof *sorted, compare_ids);
    bool ok = true;
    for (uint32_t i = 1; i < in->count && ok; i++) {
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0) {
            ok = refuse("%s:%u: id \"%.40s\" is that of line %u; ids must differ.", in->path,
                        sorted[i]->line, sorted[i]->id, sorted[i - 1]->line);
        }
    }
    free(sorted);
    return ok;
}

/* Says how it ended, on stderr; the exit status. */
static int report(const bt_pack_result *result, uint64_t capacity) {
    switch (result->verdict) {
    case BT_PACK_INFEASIBLE:
        fprintf(stderr,
                "infeasible: nothing fits %" PRIu64 " bytes, proved; lower bound %" PRIu64
                ", best height %" PRIu64 ", %" PRIu64 " nodes\n",
                capacity, result->lower_bound, result->height, result->nodes);
        return EXIT_DOES_NOT_FIT;
    case BT_PACK_BUDGET:
        if (capacity != 0) {
            fprintf(stderr,
                    "budget: ended after %" PRIu64 " nodes without a placement in %" PRIu64
                    " bytes and without a proof that there is none; lower bound %" PRIu64
                    ", best height %" PRIu64 "; a larger --budget may decide\n",
                    result->nodes, capacity, result->lower_bound, result->height);
            return EXIT_DOES_NOT_FIT;
        }
        break;
    case BT_PACK_OPTIMAL:
    case BT_PACK_FITS:
        break;
    }
    fprintf(stderr, "height %" PRIu64 ", lower bound %" PRIu64 ", %s, %" PRIu64 " nodes\n",
            result->height, result->lower_bound,
            result->verdict == BT_PACK_OPTIMAL ? "optimal"
            : result->verdict == BT_PACK_FITS  ? "fits"
                                               : "best found within the budget",
            result->nodes);
    return EXIT_FITS;
}

static int pack(const instance *in, uint64_t capacity, uint64_t budget) {
    int exit_status = EXIT_MISUSE;
    bt_pack_result result;
    bt_pack_buffer *buffers = malloc((in->count + (size_t)1) * sizeof *buffers);
    uint64_t *offsets = malloc((in->count + (size_t)1) * sizeof *offsets);
    if (buffers == NULL || offsets == NULL) {
        refuse("no memory is left to pack %s.", in->path);
        goto done;
    }
    for (uint32_t i = 0; i < in->count; i++) {
        buffers[i] = (bt_pack_buffer){in->rows[i].size, &in->rows[i].interval, 1};
    }
    if (bt_pack(buffers, in->count, capacity, budget, offsets, &result) != BT_OK) {
        refuse("%s: %s", in->path, bt_error_message(0));
        goto done;
    }
    exit_status = report(&result, capacity);
    if (exit_status == EXIT_FITS) {
        puts("id,offset");
        for (uint32_t i = 0; i < in->count; i++) {
            printf("%s,%" PRIu64 "\n", in->rows[i].id, offsets[i]);
        }
        if (fflush(stdout) != 0) {
            refuse("the rows cannot be written: %s.", strerror(errno));
            exit_status = EXIT_MISUSE;
        }
    }
done:
    free(buffers);
    free(offsets);
    return exit_status;
}

typedef struct command {
    uint64_t capacity; /* 0: the lowest height */
    uint64_t budget;
    const char *path;
    bool help;
} command;

static bool parse_command(int count, char **arguments, command *out) {
    const char *positional[2];
    int positionals = 0;
    *out = (command){.budget = BT_PACK_DEFAULT_BUDGET};
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0) {
            out->help = true;
            return true;
        }
        if (strcmp(arguments[i], "--budget") == 0) {
            i++;
            if (i == count || !parse_number(arguments[i], &out->budget)) {
                return refuse("--budget is \"%.40s\"; give a whole number of nodes.",
                              i == count ? "" : arguments[i]);
            }
        } else if (strncmp(arguments[i], "--", 2) == 0) {
            return refuse("option %.40s is unknown; there are --budget and --help.", arguments[i]);
        } else if (positionals == 2) {
            return refuse("\"%.40s\" is too much; give CAPACITY and FILE.csv (--help says more).",
                          arguments[i]);
        } else {
            positional[positionals++] = arguments[i];
        }
    }
    if (positionals < 2) {
        return refuse("%s is missing; give CAPACITY and FILE.csv (--help says more).",
                      positionals == 0 ? "CAPACITY" : "FILE.csv");
    }
    if (strcmp(positional[0], "min") != 0 &&
        (!parse_number(positional[0], &out->capacity) || out->capacity == 0)) {
        return refuse("CAPACITY is \"%.40s\"; give a number of bytes from 1 on, or min.",
                      positional[0]);
    }
    out->path = positional[1];
    return true;
}

int main(int count, char **arguments) {
    command command;
    if (!parse_command(count, arguments, &command)) {
        return EXIT_MISUSE;
    }
    if (command.help) {
        printf(usage, BT_PACK_DEFAULT_BUDGET);
        return EXIT_FITS;
    }
    instance in = {.path = command.path};
    int exit_status = EXIT_MISUSE;
    if (read_text(&in) && parse_rows(&in) && check_ids(&in)) {
        exit_status = pack(&in, command.capacity, command.budget);
    }
    free(in.rows);
    free(in.text);
    return exit_status;
}
