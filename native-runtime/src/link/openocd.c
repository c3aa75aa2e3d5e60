/*
 * openocd: a board behind a debug cable. OpenOCD reads and writes memory over the chip's system bus
 * while the cores run; this file talks to OpenOCD's Tcl port. The cable is slow and each exchange
 * slower still, so that what belongs together goes through in one: a payload, a command and its
 * sequence number; a wait, which loops inside OpenOCD, and the words that are read after it.
 */
#define _GNU_SOURCE
#include "link/openocd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "hal/virt/virt.h"
#include "link/elf.h"
#include "link/mailbox.h"
#include "link/process.h"
#include "link/tcl.h"

#define DEFAULT_TIMEOUT_MS 60000u
#define REQUEST_TIMEOUT_MS 10000u /* what OpenOCD may take beyond the transfer itself */
#define LAUNCH_TIMEOUT_S 30u
#define START_TIMEOUT_MS 20000u
#define SHUTDOWN_TIMEOUT_MS 500u
#define LAST_WORDS_MS 300u
#define SLICE_MS 5000u
/* A transfer slower than this is taken for a hang. */
#define LEAST_RATE 1000u /* bytes per second */
#define CHUNK_BYTES 16384u
#define FIRMWARE_LIMIT (16u << 20)
#define MEASURED_WRITE_BYTES 2048u
#define MEASURED_READ_BYTES 512u
#define CODE_SAMPLES 32u
#define VERIFIED_BYTES 4096u /* written, read back and compared at once */
#define VERIFY_TRIES 3u
/* In place of the mailbox's magic: the code in memory was verified, the firmware does not run. */
#define PARKED 0x504D5442u     /* "BTMP" */
#define VIRT_POLL_TICKS 10000u /* 1 ms */
#define WORD_TEXT_BYTES 11u    /* "0x12345678 " */
#define PATH_BYTES 192u
#define QUOTE_BYTES 400u

/* Options that are texts. */
enum { BINARY, SEARCH, CABLE, SCRIPT, SERIAL, CORE, VARIABLES, TEXTS };
static const char *const text_options[TEXTS] = {
    [BINARY] = "binary", [SEARCH] = "search", [CABLE] = "cable",   [SCRIPT] = "script",
    [SERIAL] = "serial", [CORE] = "core",     [VARIABLES] = "set",
};

/* A Tcl command in the making. */
typedef struct command {
    char *text;
    size_t length;
    size_t capacity;
    bool failed; /* no memory */
} command;

typedef struct openocd_link {
    bt_link link; /* first: a bt_link * is an openocd_link * */
    char host[256];
    char port[8];
    char *texts[TEXTS]; /* NULL: not given */
    bool launches;
    bool attaches_firmware; /* start=attach */
    bool resets;
    bool verifies;
    uint32_t speed_khz; /* 0: as the script says */
    uint32_t launch_seconds;
    uint32_t request_ms;
    uint32_t harts; /* of the virtual board */
    uint8_t *firmware;
    size_t firmware_bytes;
    bt_tcl tcl;
    bt_process process;
    int lock;
    char lock_path[PATH_BYTES + 64];
    command command;
    bool old;    /* OpenOCD 0.10: no read_memory */
    bool shared; /* an old one that sees our temporary files */
    bool loaded;
    char directory[PATH_BYTES]; /* private; "": none */
} openocd_link;

static openocd_link *of(bt_link *link) { return (openocd_link *)link; }

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* --------------------------------------------------------------------------------- commands */

static void make_room(command *c, size_t more) {
    if (c->length + more <= c->capacity) {
        return;
    }
    size_t capacity = c->capacity + more + 4096;
    char *text = realloc(c->text, capacity);
    if (text == NULL) {
        c->failed = true;
        return;
    }
    c->text = text;
    c->capacity = capacity;
}

static void begin(openocd_link *ocd) {
    ocd->command.length = 0;
    ocd->command.failed = false;
}

__attribute__((format(printf, 2, 3))) static void add(openocd_link *ocd, const char *format, ...) {
    command *c = &ocd->command;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    make_room(c, (size_t)length + 1);
    if (!c->failed) {
        va_start(arguments, format);
        vsnprintf(c->text + c->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
        c->length += (size_t)length;
    }
}

static uint32_t word_of(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static void add_words(openocd_link *ocd, const uint8_t *from, uint32_t size) {
    static const char digits[] = "0123456789abcdef";
    command *c = &ocd->command;
    make_room(c, (size_t)(size / 4) * WORD_TEXT_BYTES);
    for (uint32_t i = 0; i < size && !c->failed; i += 4) {
        uint32_t word = word_of(from + i);
        char *to = c->text + c->length;
        to[0] = '0';
        to[1] = 'x';
        for (uint32_t digit = 0; digit < 8; digit++) {
            to[2 + digit] = digits[word >> (28 - 4 * digit) & 15];
        }
        to[10] = ' ';
        c->length += WORD_TEXT_BYTES;
    }
}

/* OpenOCD 0.12 reports this on every access to a core that runs; it means nothing. */
static const char noise[] = "Failed to read priv register";

/* The first lines of a text, as one. */
static void quote(const char *text, char out[QUOTE_BYTES]) {
    size_t used = 0;
    out[0] = '\0';
    while (*text != '\0' && used + 3 < QUOTE_BYTES) {
        size_t length = strcspn(text, "\n");
        const char *nothing = strstr(text, noise);
        if (length > 0 && (nothing == NULL || nothing > text + length)) {
            used += (size_t)snprintf(out + used, QUOTE_BYTES - used, "%s%.*s", used > 0 ? "; " : "",
                                     (int)length, text);
        }
        text += length + (text[length] == '\n');
    }
}

/* Sets the sentence of a usual failure, if that is what the messages tell of. */
static bool explained(const char *messages, bt_status status) {
    const char *line;
    const char *sentence = bt_openocd_explain(messages, &line);
    if (sentence != NULL) {
        bt_error_set(status, "%s", sentence);
        bt_error_append(status, "OpenOCD said: %.*s", (int)strcspn(line, "\n"), line);
    }
    return sentence != NULL;
}

/* The failure of what, a verb, of which OpenOCD says answer. */
static bt_status failed(openocd_link *ocd, const char *what, const char *answer) {
    char words[QUOTE_BYTES];
    /* An OpenOCD of ours may have told the cause before. */
    if (explained(bt_process_messages(&ocd->process), BT_ERROR_DEVICE) ||
        explained(answer, BT_ERROR_DEVICE)) {
        return BT_ERROR_DEVICE;
    }
    quote(answer, words);
    BT_FAIL(BT_ERROR_DEVICE, "OpenOCD could not %s: %s", what, words);
}

/* When a connection to an OpenOCD of ours ends, its last words may still be on their way. */
static void await_end(openocd_link *ocd) {
    uint64_t deadline = now_ns() + LAST_WORDS_MS * 1000000ull;
    while (!bt_process_ended(&ocd->process) && now_ns() < deadline) {
        poll(NULL, 0, 10);
    }
}

/* The connection broke in the middle of what: an OpenOCD of ours may say why. */
static bt_status broken(openocd_link *ocd, const char *what, bt_status status) {
    char words[QUOTE_BYTES];
    if (status != BT_ERROR_TIMEOUT) {
        await_end(ocd);
    }
    if (!explained(bt_process_messages(&ocd->process), status)) {
        quote(bt_process_messages(&ocd->process), words);
        bt_error_append(status, "OpenOCD was to %s%s%s.", what,
                        words[0] != '\0' ? "; it said: " : "", words);
    }
    return status;
}

/*
 * Sends the command and gives its result. extra_ns is what it may take beyond the deadline of a
 * request; what says what it does.
 */
static bt_status run(openocd_link *ocd, const char *what, uint64_t extra_ns, const char **result) {
    static const char ok[] = "bt-ok ", error[] = "bt-error ";
    const char *answer;
    if (ocd->command.failed) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a command to OpenOCD.");
    }
    bt_status status =
        bt_tcl_request(&ocd->tcl, ocd->command.text, ocd->command.length,
                       ocd->request_ms * 1000000ull + extra_ns, &ocd->process, &answer);
    ocd->link.exchanges = ocd->tcl.exchanges;
    if (status != BT_OK) {
        return broken(ocd, what, status);
    }
    if (strncmp(answer, error, sizeof error - 1) == 0) {
        return failed(ocd, what, answer + sizeof error - 1);
    }
    if (strncmp(answer, ok, sizeof ok - 1) != 0) {
        bt_tcl_close(&ocd->tcl);
        BT_FAIL(BT_ERROR_DEVICE,
                "What listens there does not answer as OpenOCD does, but with \"%.100s\".", answer);
    }
    if (ocd->loaded) {
        bt_process_forget(&ocd->process); /* a later failure has nothing to do with it */
    }
    *result = answer + sizeof ok - 1;
    return BT_OK;
}

/* "bt_run {…}": one exchange for everything that was added since begin. */
static bt_status run_plain(openocd_link *ocd, const char *what, const char *script) {
    const char *result;
    begin(ocd);
    add(ocd, "bt_run {%s}", script);
    return run(ocd, what, 0, &result);
}

/* Time that a transfer may take beyond a request's own deadline; at most that once more. */
static uint64_t transfer_ns(const openocd_link *ocd, uint64_t bytes) {
    uint64_t ms = bytes * 1000 / LEAST_RATE;
    return (ms < ocd->request_ms ? ms : ocd->request_ms) * 1000000ull;
}

/* --------------------------------------------------------------------------------- memory */

static bt_status check_aligned(uint32_t address, uint32_t size) {
    if (address % 4 != 0 || size % 4 != 0 || size > UINT32_MAX - address) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "%u bytes at 0x%08x are not aligned words of the target's memory.", size, address);
    }
    return BT_OK;
}

static void temporary_path(const openocd_link *ocd, const char *name, char path[PATH_BYTES + 16]) {
    snprintf(path, PATH_BYTES + 16, "%s/%s", ocd->directory, name);
}

static bt_status write_temporary(const openocd_link *ocd, const char *name, const void *bytes,
                                 size_t size) {
    char path[PATH_BYTES + 16];
    temporary_path(ocd, name, path);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool written = file >= 0 && write(file, bytes, size) == (ssize_t)size;
    if (file >= 0) {
        written = close(file) == 0 && written;
    }
    if (!written) {
        BT_FAIL(BT_ERROR_IO, "Cannot write the temporary file %s: %s.", path, strerror(errno));
    }
    return BT_OK;
}

static bt_status read_temporary(const openocd_link *ocd, const char *name, void *bytes,
                                size_t size) {
    char path[PATH_BYTES + 16];
    temporary_path(ocd, name, path);
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool complete = file >= 0 && read(file, bytes, size) == (ssize_t)size;
    if (file >= 0) {
        close(file);
    }
    if (!complete) {
        BT_FAIL(BT_ERROR_DEVICE, "OpenOCD wrote fewer than %zu bytes to %s.", size, path);
    }
    return BT_OK;
}

/* Adds one write; number is its place among those of the same exchange. */
static bt_status add_write(openocd_link *ocd, const bt_link_write *write, uint32_t number) {
    BT_TRY(check_aligned(write->address, write->size));
    if (ocd->shared && write->size > 256) {
        char name[16], path[PATH_BYTES + 16];
        snprintf(name, sizeof name, "write%u", number);
        BT_TRY(write_temporary(ocd, name, write->from, write->size));
        temporary_path(ocd, name, path);
        add(ocd, "load_image {%s} 0x%08x bin; ", path, write->address);
        return BT_OK;
    }
    add(ocd, "bt_write 0x%08x {", write->address);
    add_words(ocd, write->from, write->size);
    add(ocd, "}; ");
    return BT_OK;
}

static bt_status openocd_write_all(bt_link *link, const bt_link_write *writes, uint32_t count) {
    openocd_link *ocd = of(link);
    uint64_t bytes = 0;
    const char *result;
    begin(ocd);
    add(ocd, "bt_run {");
    for (uint32_t i = 0; i < count; i++) {
        BT_TRY(add_write(ocd, &writes[i], i));
        bytes += writes[i].size;
    }
    add(ocd, "}");
    return run(ocd, "write memory", transfer_ns(ocd, bytes), &result);
}

static bt_status openocd_write(bt_link *link, uint32_t address, const void *from, uint32_t size) {
    for (uint32_t done = 0; done < size;) {
        uint32_t left = size - done;
        const bt_link_write write = {address + done, left < CHUNK_BYTES ? left : CHUNK_BYTES,
                                     (const uint8_t *)from + done};
        BT_TRY(openocd_write_all(link, &write, 1));
        done += write.size;
    }
    return BT_OK;
}

/* Takes size / 4 numbers off the text. */
static bt_status take_words(openocd_link *ocd, const char **text, uint8_t *to, uint32_t size) {
    for (uint32_t i = 0; i < size; i += 4) {
        char *end;
        errno = 0;
        const char *begin_of_number = *text + strspn(*text, " ");
        unsigned long long value = strtoull(begin_of_number, &end, 0);
        if (*begin_of_number < '0' || *begin_of_number > '9' || (*end != ' ' && *end != '\0') ||
            errno != 0 || value > UINT32_MAX) {
            bt_tcl_close(&ocd->tcl);
            BT_FAIL(BT_ERROR_DEVICE,
                    "OpenOCD's answer to a read has \"%.40s\" where word %u of %u belongs.",
                    begin_of_number, i / 4 + 1, size / 4);
        }
        uint32_t word = (uint32_t)value;
        memcpy(to + i, &word, sizeof word);
        *text = end;
    }
    return BT_OK;
}

/* Whether a read goes through a file: OpenOCD 0.10 makes long lists slowly. */
static bool through_file(const openocd_link *ocd, const bt_link_read *read) {
    return ocd->shared && read->size > 256;
}

static bt_status openocd_watch(bt_link *link, const bt_link_watch *words, uint32_t word_count,
                               uint64_t timeout_ns, const bt_link_read *reads,
                               uint32_t read_count) {
    openocd_link *ocd = of(link);
    uint64_t bytes = 0;
    const char *text;
    begin(ocd);
    add(ocd, "bt_run {");
    if (word_count > 0) {
        add(ocd, "bt_watch {");
        for (uint32_t i = 0; i < word_count; i++) {
            BT_TRY(check_aligned(words[i].address, 4));
            add(ocd, "0x%08x 0x%08x ", words[i].address, words[i].value);
        }
        add(ocd, "} %llu; ", (unsigned long long)((timeout_ns + 999999) / 1000000));
    }
    add(ocd, "concat");
    for (uint32_t i = 0; i < read_count; i++) {
        char name[16], path[PATH_BYTES + 16];
        BT_TRY(check_aligned(reads[i].address, reads[i].size));
        bytes += reads[i].size;
        if (through_file(ocd, &reads[i])) {
            snprintf(name, sizeof name, "read%u", i);
            temporary_path(ocd, name, path);
            add(ocd, " [bt_dump {%s} 0x%08x %u]", path, reads[i].address, reads[i].size);
        } else {
            add(ocd, " [bt_read 0x%08x %u]", reads[i].address, reads[i].size / 4);
        }
    }
    add(ocd, "}");
    BT_TRY(run(ocd, "read memory", timeout_ns + transfer_ns(ocd, bytes), &text));
    for (uint32_t i = 0; i < read_count; i++) {
        if (through_file(ocd, &reads[i])) {
            char name[16];
            snprintf(name, sizeof name, "read%u", i);
            BT_TRY(read_temporary(ocd, name, reads[i].to, reads[i].size));
        } else {
            BT_TRY(take_words(ocd, &text, reads[i].to, reads[i].size));
        }
    }
    if (text[strspn(text, " ")] != '\0') {
        bt_tcl_close(&ocd->tcl);
        BT_FAIL(BT_ERROR_DEVICE,
                "OpenOCD's answer to a read ends in \"%.40s\", which nobody asked for.", text);
    }
    return BT_OK;
}

static bt_status openocd_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    for (uint32_t done = 0; done < size;) {
        uint32_t left = size - done;
        const bt_link_read read = {address + done, left < CHUNK_BYTES ? left : CHUNK_BYTES,
                                   (uint8_t *)to + done};
        BT_TRY(openocd_watch(link, NULL, 0, 0, &read, 1));
        done += read.size;
    }
    return BT_OK;
}

static bt_status openocd_wait_change(bt_link *link, uint32_t address, uint32_t value,
                                     uint64_t timeout_ns) {
    const bt_link_watch word = {address, value};
    return openocd_watch(link, &word, 1, timeout_ns, NULL, 0);
}

static bt_link_state openocd_state(bt_link *link) {
    openocd_link *ocd = of(link);
    if (!ocd->loaded) {
        return BT_LINK_STOPPED;
    }
    return bt_tcl_alive(&ocd->tcl) ? BT_LINK_RUNNING : BT_LINK_LOST;
}

/* --------------------------------------------------------------------------------- launching */

/* A private folder for files, in XDG_RUNTIME_DIR or TMPDIR or /tmp. */
static bt_status make_directory(openocd_link *ocd) {
    const char *parent = getenv("XDG_RUNTIME_DIR");
    if (parent == NULL || access(parent, W_OK) != 0) {
        parent = getenv("TMPDIR");
    }
    if (parent == NULL || *parent == '\0' || strpbrk(parent, "{}\\") != NULL ||
        strlen(parent) > PATH_BYTES - 32) {
        parent = "/tmp";
    }
    snprintf(ocd->directory, sizeof ocd->directory, "%s/biotrain-XXXXXX", parent);
    if (mkdtemp(ocd->directory) == NULL) {
        bt_status status = bt_error_set(BT_ERROR_IO, "Cannot make a private folder %s: %s.",
                                        ocd->directory, strerror(errno));
        ocd->directory[0] = '\0';
        return status;
    }
    return BT_OK;
}

static void remove_directory(openocd_link *ocd) {
    static const char *const names[] = {"shared", "write0", "write1", "write2", "read0", "read1"};
    if (ocd->directory[0] == '\0') {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[PATH_BYTES + 16];
        temporary_path(ocd, names[i], path);
        unlink(path);
    }
    rmdir(ocd->directory);
    ocd->directory[0] = '\0';
}

/* Opens and locks the file at lock_path; again, if its owner removed it in between. */
static bt_status lock_file(openocd_link *ocd, const char *cable) {
    struct stat opened, named;
    do {
        if (ocd->lock >= 0) {
            close(ocd->lock);
        }
        ocd->lock = open(ocd->lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (ocd->lock < 0) {
            BT_FAIL(BT_ERROR_IO, "Cannot open the lock of the cable, %s: %s.", ocd->lock_path,
                    strerror(errno));
        }
        if (flock(ocd->lock, LOCK_EX | LOCK_NB) != 0) {
            close(ocd->lock);
            ocd->lock = -1;
            BT_FAIL(BT_ERROR_DEVICE,
                    "The cable \"%s\" is in use by another session of yours (lock %s); close that "
                    "one, or name another cable with option serial.",
                    cable, ocd->lock_path);
        }
    } while (fstat(ocd->lock, &opened) != 0 || stat(ocd->lock_path, &named) != 0 ||
             opened.st_ino != named.st_ino);
    return BT_OK;
}

/* One OpenOCD per cable and user: the lock is held as long as the link is open. */
static bt_status take_lock(openocd_link *ocd) {
    const char *cable = ocd->texts[SERIAL] != NULL   ? ocd->texts[SERIAL]
                        : ocd->texts[CABLE] != NULL  ? ocd->texts[CABLE]
                        : ocd->texts[SCRIPT] != NULL ? ocd->texts[SCRIPT]
                                                     : "default";
    const char *variables = ocd->texts[VARIABLES] != NULL ? ocd->texts[VARIABLES] : "";
    uint32_t name = bt_crc32c(bt_crc32c(0, cable, (uint32_t)strlen(cable)), variables,
                              (uint32_t)strlen(variables));
    const char *parent = getenv("XDG_RUNTIME_DIR");
    if (parent == NULL || access(parent, W_OK) != 0 || strlen(parent) > PATH_BYTES) {
        parent = "/tmp";
    }
    snprintf(ocd->lock_path, sizeof ocd->lock_path, "%s/biotrain-cable-%u-%08x.lock", parent,
             (unsigned)getuid(), name);
    return lock_file(ocd, cable);
}

/* "NAME:VALUE,NAME:VALUE" as Tcl's set commands. */
static void add_variables(openocd_link *ocd, const char *text) {
    while (*text != '\0') {
        size_t name = strcspn(text, ":,");
        size_t value = text[name] == ':' ? strcspn(text + name + 1, ",") : 0;
        add(ocd, "set %.*s {%.*s}; ", (int)name, text, (int)value, text + name + 1);
        text += name + (text[name] == ':' ? 1 + value : 0);
        text += *text == ',';
    }
}

static bt_status start_process(openocd_link *ocd) {
    /* Before the scripts, so that they can rely on it, and after them, since they may differ. A
     * script that has run init already cannot change ports any more. */
    static const char ports[] =
        "catch {bindto 127.0.0.1}; catch {tcl_port 0}; catch {telnet_port disabled}; "
        "catch {gdb_port disabled}";
    char speed[96], serial[160];
    const char *arguments[24];
    size_t count = 0;
#define ADD(text) arguments[count++] = (text)
    ADD(ocd->texts[BINARY] != NULL ? ocd->texts[BINARY] : "openocd");
    if (ocd->texts[SEARCH] != NULL) {
        ADD("-s");
        ADD(ocd->texts[SEARCH]);
    }
    ADD("-c");
    ADD(ports);
    begin(ocd);
    add_variables(ocd, ocd->texts[VARIABLES] != NULL ? ocd->texts[VARIABLES] : "");
    if (ocd->command.length > 0) {
        ADD("-c");
        ADD(ocd->command.text);
    }
    if (ocd->texts[CABLE] != NULL) {
        ADD("-f");
        ADD(ocd->texts[CABLE]);
    }
    if (ocd->texts[SERIAL] != NULL) {
        snprintf(serial, sizeof serial, "if {[catch {adapter serial %s}]} {ftdi_serial %s}",
                 ocd->texts[SERIAL], ocd->texts[SERIAL]);
        ADD("-c");
        ADD(serial);
    }
    if (ocd->speed_khz != 0) {
        snprintf(speed, sizeof speed, "if {[catch {adapter speed %u}]} {adapter_khz %u}",
                 ocd->speed_khz, ocd->speed_khz);
        ADD("-c");
        ADD(speed);
    }
    if (ocd->texts[SCRIPT] != NULL) {
        ADD("-f");
        ADD(ocd->texts[SCRIPT]);
    }
    ADD("-c");
    ADD(ports);
    ADD(NULL);
#undef ADD
    if (ocd->command.failed) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a command to OpenOCD.");
    }
    return bt_process_start(&ocd->process, arguments, NULL, 0);
}

/* The port that our OpenOCD took: it says so. */
static bool find_port(openocd_link *ocd) {
    static const char listening[] = "Listening on port ";
    const char *text = bt_process_messages(&ocd->process);
    while ((text = strstr(text, listening)) != NULL) {
        text += sizeof listening - 1;
        size_t digits = strspn(text, "0123456789");
        if (digits > 0 && digits < sizeof ocd->port && strncmp(text + digits, " for tcl", 8) == 0) {
            snprintf(ocd->port, sizeof ocd->port, "%.*s", (int)digits, text);
            return true;
        }
    }
    return false;
}

static bt_status launch(openocd_link *ocd) {
    BT_TRY(take_lock(ocd));
    BT_TRY(start_process(ocd));
    uint64_t deadline = now_ns() + ocd->launch_seconds * 1000000000ull;
    while (!find_port(ocd)) {
        if (bt_process_ended(&ocd->process)) {
            return failed(ocd, "start", bt_process_messages(&ocd->process));
        }
        if (now_ns() >= deadline) {
            char words[QUOTE_BYTES];
            bt_process_last_words(&ocd->process, "it", words, sizeof words);
            BT_FAIL(BT_ERROR_TIMEOUT,
                    "OpenOCD was not ready within %u s%s. Its script may wait for a board that is "
                    "off; check the board, or raise option launch.",
                    ocd->launch_seconds, words);
        }
        struct pollfd messages = {.fd = ocd->process.messages, .events = POLLIN};
        poll(&messages, 1, 100);
    }
    snprintf(ocd->host, sizeof ocd->host, "127.0.0.1");
    return BT_OK;
}

static void disconnect(openocd_link *ocd) {
    if (ocd->process.shell > 0 && ocd->tcl.socket >= 0) {
        static const char shutdown[] = "shutdown";
        const char *answer;
        bt_tcl_request(&ocd->tcl, shutdown, sizeof shutdown - 1, SHUTDOWN_TIMEOUT_MS * 1000000ull,
                       &ocd->process, &answer);
    }
    bt_tcl_close(&ocd->tcl);
    bt_process_stop(&ocd->process);
    remove_directory(ocd);
    if (ocd->lock >= 0) {
        unlink(ocd->lock_path);
        close(ocd->lock);
        ocd->lock = -1;
    }
    ocd->loaded = false;
}

/* --------------------------------------------------------------------------------- connecting */

/* Which commands this OpenOCD has; it may still be examining the chip before it answers. */
static bt_status probe(openocd_link *ocd) {
    static const char script[] =
        "proc bt_run {script} {"
        " set log [capture {set code [catch {uplevel #0 $script} result]}];"
        " if {$code == 0} {return \"bt-ok $result\"};"
        " return \"bt-error $result\\n$log\" }; "
        "set bt_has {}; foreach bt_name {read_memory write_memory mem2array array2mem mww mdw "
        "load_image dump_image ms sleep halt resume reg} "
        "{if {[llength [info commands $bt_name]]} {lappend bt_has $bt_name}}; "
        "bt_run {set bt_has}";
    static const char *const needed[] = {"ms", "sleep", "halt", "resume", "reg"};
    const char *has;
    begin(ocd);
    add(ocd, "%s", script);
    BT_TRY(run(ocd, "name its commands", ocd->launches ? ocd->launch_seconds * 1000000000ull : 0,
               &has));
    char list[256];
    snprintf(list, sizeof list, " %s ", has);
    ocd->old = strstr(list, " read_memory ") == NULL || strstr(list, " write_memory ") == NULL;
    if (ocd->old && (strstr(list, " mem2array ") == NULL || strstr(list, " array2mem ") == NULL)) {
        BT_FAIL(BT_ERROR_UNSUPPORTED,
                "This OpenOCD has neither read_memory nor mem2array, so it cannot be used; take "
                "version 0.12 or that of the GAP SDK.");
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        char word[32];
        snprintf(word, sizeof word, " %s ", needed[i]);
        if (strstr(list, word) == NULL) {
            BT_FAIL(BT_ERROR_UNSUPPORTED,
                    "This OpenOCD has no command %s, so it cannot be used; take version 0.12 or "
                    "that of the GAP SDK.",
                    needed[i]);
        }
    }
    return BT_OK;
}

static bt_status define_access(openocd_link *ocd) {
    static const char old[] = "proc bt_read {address count} {"
                              " mem2array words 32 $address $count; set list {};"
                              " for {set i 0} {$i < $count} {incr i} {lappend list $words($i)};"
                              " return $list }; "
                              "proc bt_write {address list} { set i 0;"
                              " if {[llength $list] == 1} {mww $address [lindex $list 0]; return};"
                              " foreach word $list {set words($i) $word; incr i};"
                              " array2mem words 32 $address $i }; "
                              "proc bt_dump {path address size} "
                              "{dump_image $path $address $size; return {}}; ";
    static const char recent[] = "proc bt_read {address count} {read_memory $address 32 $count}; "
                                 "proc bt_write {address list} {write_memory $address 32 $list}; ";
    /* A halted core has met a breakpoint or a fault: it would not change the word any more.
     * OpenOCD looks at it when it is told to, as nothing else of it runs meanwhile. */
    static const char watch[] =
        "if {![llength [info commands after]]} {proc after {pause} {sleep $pause}}; "
        "proc bt_watch {words timeout} {"
        " set end [expr {[ms] + $timeout}]; set look [expr {[ms] + 200}]; set pause 1;"
        " while {1} {"
        " foreach {address value} $words {if {[bt_read $address 1] != $value} return};"
        " if {[ms] >= $end} return;"
        " if {[ms] >= $look} {poll; incr look 200;"
        " if {[[target current] curstate] eq \"halted\"} {error \"the core has halted\"}};"
        " after $pause; if {$pause < 16} {incr pause $pause}}}; ";
    const char *result;
    begin(ocd);
    add(ocd, "bt_run {%s%s}", ocd->old ? old : recent, watch);
    return run(ocd, "take commands", 0, &result);
}

/* Memory is accessed over the system bus, which works while the cores run. */
static bt_status prepare_target(openocd_link *ocd) {
    char names[512];
    const char *result;
    begin(ocd);
    add(ocd, "bt_run {target names}");
    BT_TRY(run(ocd, "name its targets", 0, &result));
    snprintf(names, sizeof names, "%s", result);
    if (names[0] == '\0') {
        return failed(ocd, "find a target", "no script has described one");
    }
    begin(ocd);
    add(ocd, "bt_run {");
    if (ocd->texts[CORE] != NULL) {
        add(ocd, "targets %s; ", ocd->texts[CORE]);
    }
    if (ocd->speed_khz != 0) {
        add(ocd, "if {[catch {adapter speed %u}]} {adapter_khz %u}; ", ocd->speed_khz,
            ocd->speed_khz);
    }
    add(ocd, "catch {riscv set_command_timeout_sec %u}; ", (ocd->request_ms + 1999) / 2000);
    add(ocd, "if {[catch {riscv set_mem_access sysbus}]} {catch {riscv set_prefer_sba on}}; ");
    add(ocd, "catch {riscv set_enable_virt2phys off}; "); /* needless registers of a running core */
    add(ocd, "if {[catch {[target current] was_examined} examined]} {set examined 1}; "
             "if {!$examined} {[target current] arp_examine}}");
    bt_status status = run(ocd, "examine the core", 0, &result);
    if (status != BT_OK) {
        return bt_error_append(status, "OpenOCD's targets are %s.", names);
    }
    return BT_OK;
}

/* An old OpenOCD moves blocks faster through files, if it sees ours. */
static bt_status find_shared_files(openocd_link *ocd) {
    char secret[24], path[PATH_BYTES + 16];
    uint64_t number = now_ns();
    const char *result;
    if (!ocd->old) {
        return BT_OK;
    }
    BT_TRY(make_directory(ocd));
    if (getrandom(&number, sizeof number, 0) < 0) {
        number ^= (uint64_t)getpid() << 32;
    }
    snprintf(secret, sizeof secret, "%016llx", (unsigned long long)number);
    BT_TRY(write_temporary(ocd, "shared", secret, strlen(secret)));
    temporary_path(ocd, "shared", path);
    begin(ocd);
    add(ocd,
        "bt_run {if {[catch {set bt_file [open {%s} r]; set bt_text [read $bt_file]; "
        "close $bt_file}]} {set bt_text none}; set bt_text}",
        path);
    BT_TRY(run(ocd, "look for a file", 0, &result));
    ocd->shared = strcmp(result, secret) == 0;
    return BT_OK;
}

static bt_status connect_openocd(openocd_link *ocd) {
    bt_status status = bt_tcl_connect(&ocd->tcl, ocd->host, ocd->port, ocd->request_ms);
    if (status != BT_OK) {
        return ocd->launches ? broken(ocd, "answer", status) : status;
    }
    BT_TRY(probe(ocd));
    BT_TRY(define_access(ocd));
    BT_TRY(prepare_target(ocd));
    return find_shared_files(ocd);
}

/* --------------------------------------------------------------------------------- firmware */

static bt_status openocd_load(bt_link *link, const uint8_t *bytes, size_t size) {
    openocd_link *ocd = of(link);
    bt_elf elf;
    BT_TRY(bt_elf_open(bytes, size, &elf));
    BT_TRY(bt_elf_mailbox(&elf, &link->mailbox_address));
    uint8_t *firmware = malloc(size);
    if (firmware == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a firmware of %zu bytes.", size);
    }
    memcpy(firmware, bytes, size);
    free(ocd->firmware);
    ocd->firmware = firmware;
    ocd->firmware_bytes = size;
    return BT_OK;
}

/* Writes part of the firmware, and sees that it arrived: nothing else protects it. */
static bt_status write_verified(openocd_link *ocd, uint32_t address, const void *from,
                                uint32_t size) {
    uint8_t found[VERIFIED_BYTES];
    for (uint32_t tries = 0; tries < VERIFY_TRIES; tries++) {
        BT_TRY(openocd_write(&ocd->link, address, from, size));
        if (!ocd->verifies) {
            return BT_OK;
        }
        BT_TRY(openocd_read(&ocd->link, address, found, size));
        if (memcmp(found, from, size) == 0) {
            return BT_OK;
        }
    }
    BT_FAIL(BT_ERROR_DEVICE,
            "What is written to the board's memory at 0x%08x reads back differently, %u times: it "
            "is not its memory, or the cable is too fast; lower option speed.",
            address, VERIFY_TRIES);
}

/* Writes bytes to memory; what is missing of the last word becomes zero. */
static bt_status write_bytes(openocd_link *ocd, uint32_t address, const uint8_t *from,
                             uint32_t size) {
    for (uint32_t done = 0; done < size;) {
        uint8_t chunk[VERIFIED_BYTES] = {0};
        uint32_t bytes = size - done < VERIFIED_BYTES ? size - done : VERIFIED_BYTES;
        memcpy(chunk, from + done, bytes);
        BT_TRY(write_verified(ocd, address + done, chunk, (bytes + 3) & ~3u));
        done += bytes;
    }
    return BT_OK;
}

/* Writes the part of a segment that the file holds, without the code in it if that is there
 * already; the firmware clears the rest by itself. */
static bt_status write_segment(openocd_link *ocd, const bt_elf_segment *segment,
                               const bt_elf_segment *present) {
    uint32_t before = present->address - segment->address;
    if (present->file_bytes == 0 || present->address < segment->address ||
        before > segment->file_bytes || present->file_bytes > segment->file_bytes - before) {
        return write_bytes(ocd, segment->address, segment->data, segment->file_bytes);
    }
    uint32_t after = before + present->file_bytes;
    BT_TRY(write_bytes(ocd, segment->address, segment->data, before));
    return write_bytes(ocd, segment->address + after, segment->data + after,
                       segment->file_bytes - after);
}

/* Compares words all over the code with memory: another build differs in nearly all of them. The
 * first difference, if any, is at *address. */
static bt_status compare_code(openocd_link *ocd, const bt_elf_segment *code, bool *same,
                              uint32_t *address) {
    uint32_t found[CODE_SAMPLES];
    bt_link_read reads[CODE_SAMPLES];
    for (uint32_t i = 0; i < CODE_SAMPLES; i++) {
        uint32_t offset = (uint32_t)((uint64_t)code->file_bytes / 4 * i / CODE_SAMPLES) * 4;
        reads[i] = (bt_link_read){code->address + offset, 4, &found[i]};
    }
    BT_TRY(openocd_watch(&ocd->link, NULL, 0, 0, reads, CODE_SAMPLES));
    *same = true;
    for (uint32_t i = 0; *same && i < CODE_SAMPLES; i++) {
        *address = reads[i].address;
        *same = word_of(code->data + (reads[i].address - code->address)) == found[i];
    }
    return BT_OK;
}

/* The firmware of the virtual board wants to know how many harts there are, and that no doorbell
 * rings. */
static bt_status write_boot_block(openocd_link *ocd, const bt_elf *elf) {
    const bt_virt_boot_block boot = {.harts = ocd->harts, .poll_ticks = VIRT_POLL_TICKS};
    uint32_t address, bytes;
    if (!bt_elf_find(elf, "bt_virt_boot", &address, &bytes)) {
        return BT_OK;
    }
    return write_verified(ocd, address, &boot, sizeof boot);
}

/* Loads the segments; code that an earlier load verified is not sent again. */
static bt_status load_segments(openocd_link *ocd, const bt_elf *elf, bool verified) {
    bt_elf_segment code, segment;
    uint32_t address;
    bool same;
    BT_TRY(bt_elf_code(elf, &code));
    BT_TRY(compare_code(ocd, &code, &same, &address));
    code.file_bytes = same && verified ? code.file_bytes : 0;
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        BT_TRY(bt_elf_segment_get(elf, i, &segment));
        BT_TRY_CONTEXT(write_segment(ocd, &segment, &code), "Loading segment %u of the firmware.",
                       i);
    }
    return write_boot_block(ocd, elf);
}

/*
 * The mailbox's first word tells, also the next host if the cable is pulled meanwhile, how far this
 * has come: 0 the code may be half there, PARKED it is there, the magic the firmware runs.
 */
static bt_status load_and_start(openocd_link *ocd, const bt_elf *elf) {
    const uint32_t parked = PARKED;
    uint32_t address = ocd->link.mailbox_address, mark;
    char script[64];
    BT_TRY(openocd_read(&ocd->link, address, &mark, sizeof mark));
    bool verified = mark == BT_MAILBOX_MAGIC || mark == PARKED;
    mark = verified ? PARKED : 0;
    BT_TRY(openocd_write(&ocd->link, address, &mark, sizeof mark));
    BT_TRY(run_plain(ocd, ocd->resets ? "reset and halt the core" : "halt the core",
                     ocd->resets ? "reset halt" : "halt"));
    BT_TRY(openocd_write(&ocd->link, address, &mark, sizeof mark));
    BT_TRY(load_segments(ocd, elf, verified));
    BT_TRY(openocd_write(&ocd->link, address, &parked, sizeof parked));
    snprintf(script, sizeof script, "reg pc 0x%08x; resume", elf->entry);
    return run_plain(ocd, "start the firmware", script);
}

static bt_status check_same_firmware(openocd_link *ocd, const bt_elf *elf) {
    bt_elf_segment code;
    uint32_t address;
    bool same;
    BT_TRY(bt_elf_code(elf, &code));
    BT_TRY(compare_code(ocd, &code, &same, &address));
    if (!same) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The board does not run this firmware: its code differs at 0x%08x. Load it with "
                "start=load, or name the firmware that runs.",
                address);
    }
    return BT_OK;
}

static bt_status await_mailbox(openocd_link *ocd, uint64_t timeout_ms) {
    uint32_t address = ocd->link.mailbox_address, magic = PARKED;
    const bt_link_read read = {address, sizeof magic, &magic};
    uint64_t deadline = now_ns() + timeout_ms * 1000000ull, now = now_ns();
    do { /* a firmware clears its mailbox first: then it waits for another change */
        const bt_link_watch word = {address, magic};
        BT_TRY(openocd_watch(&ocd->link, &word, 1, now < deadline ? deadline - now : 0, &read, 1));
        now = now_ns();
    } while (magic != BT_MAILBOX_MAGIC && now < deadline);
    if (magic != BT_MAILBOX_MAGIC && timeout_ms == 0) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The firmware does not run: at 0x%08x there is 0x%08x instead of its mailbox. Load "
                "it with start=load.",
                address, magic);
    }
    if (magic != BT_MAILBOX_MAGIC) {
        BT_FAIL(BT_ERROR_TIMEOUT,
                "The firmware did not come up within %u s: at 0x%08x there is 0x%08x instead of "
                "its mailbox. Check that it is made for this board; try option reset=on.",
                START_TIMEOUT_MS / 1000u, address, magic);
    }
    return BT_OK;
}

/* Whether there is a running firmware that start=attach may use. A core that stands still may have
 * lost its debugger in the middle of something, so it cannot just go on. */
static bt_status find_running(openocd_link *ocd, bool *running) {
    const char *state;
    *running = false;
    if (ocd->attaches_firmware) {
        begin(ocd);
        add(ocd, "bt_run {[target current] curstate}");
        BT_TRY(run(ocd, "tell the core's state", 0, &state));
        *running = strcmp(state, "halted") != 0;
    }
    return BT_OK;
}

static uint32_t rate(uint64_t bytes, uint64_t ns) {
    uint64_t per_second = bytes * 1000000000ull / (ns > 0 ? ns : 1);
    return per_second > UINT32_MAX ? UINT32_MAX : (uint32_t)per_second;
}

/* A write to a staging buffer of the idle firmware and back: how fast, and whether it arrives. */
static bt_status measure(openocd_link *ocd) {
    uint32_t out[MEASURED_WRITE_BYTES / 4], in[MEASURED_READ_BYTES / 4];
    bt_mailbox mailbox;
    BT_TRY(openocd_read(&ocd->link, ocd->link.mailbox_address, &mailbox, sizeof mailbox));
    if (mailbox.completed != mailbox.sequence || mailbox.protocol != BT_PROTOCOL_VERSION) {
        return BT_OK; /* the buffers are in use */
    }
    for (uint32_t i = 0; i < MEASURED_WRITE_BYTES / 4; i++) {
        out[i] = i * 0x9E3779B9u;
    }
    uint64_t begun = now_ns();
    BT_TRY(openocd_write(&ocd->link, mailbox.staging[1], out, sizeof out));
    uint64_t written = now_ns();
    BT_TRY(openocd_read(&ocd->link, mailbox.staging[1], in, sizeof in));
    uint64_t read = now_ns();
    if (memcmp(in, out, sizeof in) != 0) {
        BT_FAIL(BT_ERROR_DEVICE,
                "What was written to the board's memory at 0x%08x reads back differently; lower "
                "the cable's speed with option speed, or check its connector.",
                mailbox.staging[1]);
    }
    ocd->link.write_rate = rate(sizeof out, written - begun);
    ocd->link.read_rate = rate(sizeof in, read - written);
    return BT_OK;
}

static bt_status start(openocd_link *ocd) {
    bt_elf elf;
    bool running;
    BT_TRY(bt_elf_open(ocd->firmware, ocd->firmware_bytes, &elf));
    if (ocd->launches) {
        BT_TRY(launch(ocd));
    }
    BT_TRY(connect_openocd(ocd));
    BT_TRY(find_running(ocd, &running));
    BT_TRY(running ? check_same_firmware(ocd, &elf) : load_and_start(ocd, &elf));
    BT_TRY(await_mailbox(ocd, running ? 0 : START_TIMEOUT_MS));
    return measure(ocd);
}

static bt_status openocd_start(bt_link *link) {
    openocd_link *ocd = of(link);
    if (ocd->tcl.socket >= 0) {
        BT_FAIL(BT_ERROR_STATE, "The link to OpenOCD is open already.");
    }
    bt_status status = start(ocd);
    if (status != BT_OK) {
        disconnect(ocd);
        return status;
    }
    ocd->loaded = true;
    return BT_OK;
}

static bt_status openocd_stop(bt_link *link) {
    openocd_link *ocd = of(link);
    bt_status status = BT_OK;
    if (ocd->loaded && bt_tcl_alive(&ocd->tcl)) {
        status = run_plain(ocd, "halt the core", "halt");
    }
    disconnect(ocd);
    return status;
}

/* The firmware goes on waiting for commands, so that another host can attach. */
static void openocd_close(bt_link *link) {
    openocd_link *ocd = of(link);
    disconnect(ocd);
    bt_tcl_free(&ocd->tcl);
    for (uint32_t i = 0; i < TEXTS; i++) {
        free(ocd->texts[i]);
    }
    free(ocd->command.text);
    free(ocd->firmware);
    free(ocd);
}

static const bt_link_operations openocd_operations = {
    .load = openocd_load,
    .start = openocd_start,
    .stop = openocd_stop,
    .read = openocd_read,
    .write = openocd_write,
    .state = openocd_state,
    .wait_change = openocd_wait_change,
    .close = openocd_close,
    .write_all = openocd_write_all,
    .watch = openocd_watch,
};

/* --------------------------------------------------------------------------------- options */

/* Texts that become part of Tcl commands hold no more than names do. */
static bt_status check_name(const char *key, const char *value, const char *more) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_.-";
    for (const char *at = value; *at != '\0'; at++) {
        if (strchr(allowed, *at) == NULL && strchr(more, *at) == NULL) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "%s=%s in an openocd: URI has a character \"%c\"; letters, digits and _.-%s "
                    "are allowed.",
                    key, value, *at, more);
        }
    }
    return BT_OK;
}

/* Sets *out if the option is there: to whether it is the first of two words. */
static bt_status read_choice(const bt_uri *uri, const char *key, const char *yes, const char *no,
                             bool *out) {
    const char *value = bt_uri_option(uri, key);
    if (value != NULL && strcmp(value, yes) != 0 && strcmp(value, no) != 0) {
        BT_FAIL(BT_ERROR_ARGUMENT, "%s=%s in an openocd: URI is neither %s nor %s.", key, value,
                yes, no);
    }
    if (value != NULL) {
        *out = strcmp(value, yes) == 0;
    }
    return BT_OK;
}

/* "HOST:PORT", "HOST", ":PORT" or "". */
static bt_status read_address(openocd_link *ocd, const char *path) {
    const char *colon = strrchr(path, ':');
    size_t length = colon != NULL ? (size_t)(colon - path) : strlen(path);
    const char *port = colon != NULL ? colon + 1 : "6666";
    char *end;
    unsigned long number = strtoul(port, &end, 10);
    if (*port < '0' || *port > '9' || *end != '\0' || number < 1 || number > 65535 ||
        length >= sizeof ocd->host) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "\"%s\" is not an address of OpenOCD; write openocd:HOST:PORT, for example "
                "openocd:127.0.0.1:6666.",
                path);
    }
    snprintf(ocd->host, sizeof ocd->host, "%.*s", (int)length, path);
    if (length == 0) {
        snprintf(ocd->host, sizeof ocd->host, "127.0.0.1");
    }
    snprintf(ocd->port, sizeof ocd->port, "%lu", number);
    return BT_OK;
}

static bt_status copy_texts(openocd_link *ocd, const bt_uri *uri) {
    for (uint32_t i = 0; i < TEXTS; i++) {
        const char *value = bt_uri_option(uri, text_options[i]);
        if (value == NULL) {
            continue;
        }
        if (*value == '\0') {
            BT_FAIL(BT_ERROR_ARGUMENT, "%s= in an openocd: URI has no value.", text_options[i]);
        }
        ocd->texts[i] = strdup(value);
        if (ocd->texts[i] == NULL) {
            BT_FAIL(BT_ERROR_MEMORY, "No memory for the option %s.", text_options[i]);
        }
        ocd->launches = ocd->launches || i != CORE;
    }
    if (ocd->texts[SERIAL] != NULL) {
        BT_TRY(check_name("serial", ocd->texts[SERIAL], ":"));
    }
    if (ocd->texts[CORE] != NULL) {
        BT_TRY(check_name("core", ocd->texts[CORE], ""));
    }
    if (ocd->texts[VARIABLES] != NULL) {
        BT_TRY(check_name("set", ocd->texts[VARIABLES], ":,/"));
    }
    return BT_OK;
}

static bt_status configure(openocd_link *ocd, const bt_uri *uri, const bt_device_options *options) {
    static const char *const known[] = {"binary", "search", "cable", "script", "serial", "set",
                                        "speed",  "launch", "core",  "target", "start",  "firmware",
                                        "reset",  "verify", "harts", NULL};
    const char *target = bt_uri_option(uri, "target");
    BT_TRY(bt_uri_check_options(uri, known));
    BT_TRY(copy_texts(ocd, uri));
    BT_TRY(bt_uri_number(uri, "speed", 1, 100000, &ocd->speed_khz));
    BT_TRY(bt_uri_number(uri, "launch", 1, 3600, &ocd->launch_seconds));
    BT_TRY(bt_uri_number(uri, "harts", 2, 1u + BT_VIRT_MAX_WORKERS, &ocd->harts));
    BT_TRY(read_choice(uri, "start", "attach", "load", &ocd->attaches_firmware));
    BT_TRY(read_choice(uri, "reset", "on", "off", &ocd->resets));
    BT_TRY(read_choice(uri, "verify", "on", "off", &ocd->verifies));
    if (ocd->launches && *uri->path != '\0') {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "openocd:%s attaches to a running OpenOCD, but binary, search, cable, script, "
                "serial and set are for one that is launched; keep one or the other.",
                uri->path);
    }
    if (ocd->launches && ocd->texts[SCRIPT] == NULL && ocd->texts[CABLE] == NULL) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "An openocd: URI that launches OpenOCD needs a script that describes the board: "
                "openocd:?script=FILE, with cable=FILE if the script leaves the cable open.");
    }
    BT_TRY(read_address(ocd, uri->path));
    if (options != NULL && options->timeout_ms != 0 && options->timeout_ms < ocd->request_ms) {
        ocd->request_ms = options->timeout_ms;
    }
    return bt_target_find(target == NULL ? "gap9" : target, &ocd->link.target);
}

bt_status bt_link_open_openocd(const bt_uri *uri, const bt_device_options *options, bt_link **out) {
    openocd_link *ocd = calloc(1, sizeof *ocd);
    if (ocd == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a link to OpenOCD.");
    }
    ocd->link.operations = &openocd_operations;
    ocd->link.name = "openocd";
    ocd->link.timeout_ms = DEFAULT_TIMEOUT_MS;
    ocd->link.slice_ms = SLICE_MS;
    strcpy(ocd->link.kernels, "rv32");
    ocd->launch_seconds = LAUNCH_TIMEOUT_S;
    ocd->request_ms = REQUEST_TIMEOUT_MS;
    ocd->harts = 1u + BT_VIRT_MAX_WORKERS;
    ocd->verifies = true;
    ocd->tcl = (bt_tcl)BT_TCL_NONE;
    ocd->process = (bt_process)BT_PROCESS_NONE;
    ocd->lock = -1;
    bt_status status = configure(ocd, uri, options);
    if (status == BT_OK) {
        status = bt_link_load_firmware(&ocd->link, uri, options, FIRMWARE_LIMIT,
                                       "firmware=/path/to/firmware.elf");
    }
    if (status != BT_OK) {
        openocd_close(&ocd->link);
        return status;
    }
    *out = &ocd->link;
    return BT_OK;
}
