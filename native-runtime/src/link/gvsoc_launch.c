#define _GNU_SOURCE
#include "link/gvsoc_launch.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define STEP_TIMEOUT_S 120
#define PAUSE_MS 5
#define MAX_FILE_BYTES (64u << 20)

static time_t now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* ------------------------------------------------------------------------------------- files */

/* The whole file and a terminating zero; the caller frees it. */
static bt_status read_file(const char *path, char **bytes, size_t *size) {
    FILE *file = fopen(path, "rb");
    char *data = NULL;
    long length = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) > 0 &&
        length <= (long)MAX_FILE_BYTES && fseek(file, 0, SEEK_SET) == 0) {
        data = calloc(1, (size_t)length + 1);
    }
    int complete = data != NULL && fread(data, 1, (size_t)length, file) == (size_t)length;
    int error = errno;
    if (file != NULL) {
        fclose(file);
    }
    if (!complete) {
        free(data);
        BT_FAIL(BT_ERROR_IO, "Cannot read %s: %s.", path,
                file == NULL ? strerror(error) : "empty, larger than 64 MiB, or cut short");
    }
    *bytes = data;
    *size = (size_t)length;
    return BT_OK;
}

static bt_status write_file(const char *folder, const char *name, const void *bytes, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    bool complete = file != NULL && fwrite(bytes, 1, size, file) == size;
    if (file == NULL || fclose(file) != 0 || !complete) {
        BT_FAIL(BT_ERROR_IO, "Cannot write %s: %s.", path, strerror(errno));
    }
    return BT_OK;
}

static bt_status make_work(bt_gvsoc_launch *launch) {
    const char *folder = getenv("TMPDIR");
    char template[sizeof launch->work];
    int length = snprintf(template, sizeof template, "%s/biotrain-gvsoc-XXXXXX",
                          folder != NULL && folder[0] == '/' ? folder : "/tmp");
    if (length >= (int)sizeof template || mkdtemp(template) == NULL) {
        BT_FAIL(BT_ERROR_IO, "Cannot create the working folder %s for GVSOC: %s.", template,
                strerror(errno));
    }
    memcpy(launch->work, template, sizeof template);
    return BT_OK;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void bt_gvsoc_drop_names(bt_gvsoc_launch *launch) {
    if (launch->work[0] != '\0') {
        nftw(launch->work, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        launch->work[0] = '\0';
    }
}

static bt_status copy_efuses(const bt_gvsoc_launch *launch) {
    char *bytes;
    size_t size;
    if (launch->efuses[0] == '\0') {
        return BT_OK;
    }
    BT_TRY_CONTEXT(read_file(launch->efuses, &bytes, &size),
                   "A simulated GAP9 starts with that file of the GAP SDK; set GAP_SDK_HOME.");
    bt_status status = write_file(launch->work, "chip.efuse_preload.data", bytes, size);
    free(bytes);
    return status;
}

/* --------------------------------------------------------------------------------- installation */

bt_status bt_gvsoc_find(bt_gvsoc_launch *launch, const char *option, bool is_gap9) {
    static const char *const needed[] = {"gvsoc", "gvsoc_launcher"};
    const char *install = getenv("GVSOC_INSTALL_DIR");
    const char *sdk = getenv("GAP_SDK_HOME");
    const char *source = "The option install";
    char program[1100];
    if (option != NULL) {
        snprintf(launch->install, sizeof launch->install, "%s", option);
    } else if (install != NULL && *install != '\0') {
        snprintf(launch->install, sizeof launch->install, "%s", install);
        source = "GVSOC_INSTALL_DIR";
    } else if (sdk != NULL && *sdk != '\0') {
        snprintf(launch->install, sizeof launch->install, "%s/install/workstation", sdk);
        source = "GAP_SDK_HOME/install/workstation";
    } else {
        BT_FAIL(
            BT_ERROR_IO,
            "GVSOC is not installed: neither GVSOC_INSTALL_DIR nor GAP_SDK_HOME is set. Set one "
            "of them, give gvsoc:?install=FOLDER, or attach with gvsoc:HOST:PORT.");
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        snprintf(program, sizeof program, "%s/bin/%s", launch->install, needed[i]);
        if (access(program, X_OK) != 0) {
            BT_FAIL(BT_ERROR_IO,
                    "GVSOC is not installed: there is no program %s. %s must name the folder that "
                    "holds GVSOC's bin.",
                    program, source);
        }
    }
    if (is_gap9 && sdk != NULL) {
        snprintf(launch->efuses, sizeof launch->efuses,
                 "%s/utils/efuse/GAP9/efuse_hyper_preload.data", sdk);
    }
    return BT_OK;
}

/* ---------------------------------------------------------------------------------- simulator */

bt_status bt_gvsoc_fail(bt_gvsoc_launch *launch, bt_status status, const char *what) {
    char words[1024];
    bt_process_last_words(&launch->process, "GVSOC", words, sizeof words);
    return bt_error_set(status, "%s%s.", what, words);
}

/*
 * Starts a command of the simulator in its working folder. Its standard output goes where its
 * errors go; "stdbuf" makes it come line by line.
 */
static bt_status start_command(bt_gvsoc_launch *launch, const char *const *command) {
    const char *arguments[32] = {"/bin/sh", "-c", "cd \"$0\" && exec stdbuf -oL \"$@\" >&2",
                                 launch->work};
    size_t count = 4;
    for (; *command != NULL; command++) {
        arguments[count++] = *command;
    }
    return bt_process_start(&launch->process, arguments, NULL, 0);
}

/* Has GVSOC write gvsoc_config.json, which describes the system and the firmware to load. */
static bt_status prepare(bt_gvsoc_launch *launch, const char *target) {
    char program[1100], target_option[64], binary[300], work[300];
    snprintf(program, sizeof program, "%s/bin/gvsoc", launch->install);
    snprintf(target_option, sizeof target_option, "--target=%s", target);
    snprintf(binary, sizeof binary, "--binary=%s/firmware.elf", launch->work);
    snprintf(work, sizeof work, "--work-dir=%s", launch->work);
    const char *const command[] = {program, target_option, binary,    work,
                                   "image", "flash",       "prepare", NULL};
    time_t deadline = now_s() + STEP_TIMEOUT_S;
    BT_TRY(start_command(launch, command));
    while (!bt_process_ended(&launch->process)) {
        if (now_s() >= deadline) {
            bt_process_stop(&launch->process);
            return bt_gvsoc_fail(launch, BT_ERROR_TIMEOUT,
                                 "GVSOC did not write its configuration within 120 s");
        }
        poll(NULL, 0, PAUSE_MS);
    }
    bt_process_stop(&launch->process);
    return BT_OK;
}

/* The value that follows "key": between from and to, or NULL. */
static char *json_value(char *from, const char *to, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    char *at = strstr(from, quoted);
    if (at == NULL || at >= to) {
        return NULL;
    }
    at += strlen(quoted);
    at += strspn(at, " \t\r\n");
    return *at == ':' ? at + 1 + strspn(at + 1, " \t\r\n") : NULL;
}

/* Puts a shorter value in place of an earlier one, and blanks after it. */
static bool overwrite_value(char *at, const char *value) {
    size_t room = strcspn(at, ",} \t\r\n");
    size_t length = strlen(value);
    if (room < length) {
        return false;
    }
    memset(at, ' ', room);
    memcpy(at, value, length);
    return true;
}

/* Switches the proxy on, on a free port, in the configuration that GVSOC wrote. */
static bt_status enable_proxy(bt_gvsoc_launch *launch) {
    char path[300];
    char *text;
    size_t size;
    snprintf(path, sizeof path, "%s/gvsoc_config.json", launch->work);
    if (read_file(path, &text, &size) != BT_OK) {
        return bt_gvsoc_fail(launch, BT_ERROR_DEVICE, "GVSOC wrote no gvsoc_config.json");
    }
    char *proxy = json_value(text, text + size, "proxy");
    char *end = proxy != NULL && *proxy == '{' ? strchr(proxy, '}') : NULL;
    char *enabled = end != NULL ? json_value(proxy, end, "enabled") : NULL;
    char *port = end != NULL ? json_value(proxy, end, "port") : NULL;
    bt_status status;
    if (enabled != NULL && port != NULL && overwrite_value(enabled, "true") &&
        overwrite_value(port, "0")) {
        status = write_file(launch->work, "gvsoc_config.json", text, size);
    } else {
        status = bt_error_set(
            BT_ERROR_DEVICE, "This GVSOC's configuration has no proxy with enabled and port; use a "
                             "GVSOC of 2022 or later.");
    }
    free(text);
    return status;
}

/* Starts the simulator and reads from its output where its proxy listens. */
static bt_status run(bt_gvsoc_launch *launch) {
    static const char opened[] = "Opened proxy on socket ";
    char program[1100];
    snprintf(program, sizeof program, "%s/bin/gvsoc_launcher", launch->install);
    const char *const command[] = {program, "--config=gvsoc_config.json", NULL};
    time_t deadline = now_s() + STEP_TIMEOUT_S;
    BT_TRY(start_command(launch, command));
    for (;;) {
        bool ended = bt_process_ended(&launch->process);
        const char *found = strstr(bt_process_messages(&launch->process), opened);
        if (found != NULL && strchr(found, '\n') != NULL) {
            snprintf(launch->port, sizeof launch->port, "%d", atoi(found + sizeof opened - 1));
            return BT_OK;
        }
        if (ended) {
            return bt_gvsoc_fail(launch, BT_ERROR_DEVICE, "GVSOC ended at once");
        }
        if (now_s() >= deadline) {
            return bt_gvsoc_fail(launch, BT_ERROR_TIMEOUT,
                                 "GVSOC did not open its proxy within 120 s");
        }
        poll(NULL, 0, PAUSE_MS);
    }
}

bt_status bt_gvsoc_start(bt_gvsoc_launch *launch, const char *target, const uint8_t *firmware,
                         size_t firmware_bytes) {
    BT_TRY(make_work(launch));
    BT_TRY(write_file(launch->work, "firmware.elf", firmware, firmware_bytes));
    BT_TRY(copy_efuses(launch));
    BT_TRY(prepare(launch, target));
    BT_TRY(enable_proxy(launch));
    return run(launch);
}

void bt_gvsoc_stop(bt_gvsoc_launch *launch) {
    bt_process_stop(&launch->process);
    bt_gvsoc_drop_names(launch);
}
