/*
 * The openocd: link against a scripted OpenOCD: both generations of commands, every usual failure
 * in its words, and answers that no OpenOCD should give. Behind the scripted one is the firmware of
 * sim:, so whole sessions run.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device_run.h"
#include "link/elf.h"
#include "link/link.h"
#include "link/openocd.h"
#include "session/device.h"
#include "support.h"

#define REQUEST_BYTES (512u * 1024u)
#define RAM_BASE 0x80000000u
#define RAM_BYTES (1u << 20)
#define SIM_MAILBOX 0x1C010000u
#define TIMEOUT_MS 400u

/* What the server does instead of answering request number sabotage_at. */
typedef enum sabotage {
    NONE,
    GARBAGE,
    TRUNCATED,
    OVERSIZED,
    ZERO_BYTE,
    TWO_ANSWERS,
    SILENT,
    CLOSED,
    NO_NUMBERS,
    TOO_MANY_NUMBERS,
    ERROR_ANSWER,
    SABOTAGES
} sabotage;

typedef struct server {
    int listener;
    unsigned port;
    pthread_t thread;
    const char *commands; /* that it has */
    bool sees_files;
    const char *state; /* of the core */
    useconds_t delay;  /* before it answers a large write */
    sabotage sabotage;
    uint32_t sabotage_at;
    uint32_t requests;
    uint32_t block_writes; /* of more than one word at once */
    uint32_t file_transfers;
    bt_link *sim;
    bool started;
    uint32_t mailbox; /* where the firmware's file has it */
    uint8_t *ram;
    char *request;
    char *answer;
} server;

static const char old_commands[] =
    "mem2array array2mem mww mdw load_image dump_image ms sleep halt resume reg";
static const char new_commands[] = "read_memory write_memory mem2array array2mem mww mdw "
                                   "load_image dump_image ms sleep halt resume reg";

/* ----------------------------------------------------------------------------------------- memory
 */

/* The running firmware's address, or 0 if this is plain memory. */
static uint32_t sim_address(const server *s, uint32_t address) {
    if (s->started && address - s->mailbox < sizeof(bt_mailbox)) {
        return SIM_MAILBOX + (address - s->mailbox);
    }
    return s->started && address >= SIM_MAILBOX && address < RAM_BASE ? address : 0;
}

static void memory_move(server *s, uint32_t address, void *data, uint32_t size, bool write) {
    uint32_t sim = sim_address(s, address);
    if (sim != 0) {
        require(write ? s->sim->operations->write(s->sim, sim, data, size)
                      : s->sim->operations->read(s->sim, sim, data, size),
                "memory of sim:");
    } else if (address - RAM_BASE <= RAM_BYTES - size) {
        uint8_t *place = s->ram + (address - RAM_BASE);
        memcpy(write ? place : data, write ? data : place, size);
    }
}

static uint32_t memory_word(server *s, uint32_t address) {
    uint32_t word = 0;
    memory_move(s, address, &word, 4, false);
    return word;
}

/* --------------------------------------------------------------------------------------- commands
 */

static void write_words(server *s, uint32_t address, const char *words) {
    static uint32_t data[BT_STAGING_BYTES / 4];
    uint32_t count = 0;
    char *end;
    for (const char *at = words; *at != '}'; at = end + strspn(end, " ")) {
        data[count++] = (uint32_t)strtoul(at, &end, 0);
    }
    s->block_writes += count > 1;
    if (count > 1000) {
        usleep(s->delay);
    }
    memory_move(s, address, data, count * 4, true);
}

static void move_file(server *s, const char *path, uint32_t address, uint32_t size) {
    static uint8_t data[BT_STAGING_BYTES];
    bool load = size == 0;
    FILE *file = fopen(path, load ? "rb" : "wb");
    require(file != NULL ? BT_OK : BT_ERROR_IO, path);
    if (load) {
        size = (uint32_t)fread(data, 1, sizeof data, file);
        memory_move(s, address, data, size, true);
    } else {
        memory_move(s, address, data, size, false);
        fwrite(data, 1, size, file);
    }
    fclose(file);
    s->file_transfers++;
}

static void watch_words(server *s, const char *words) {
    char *end;
    uint32_t addresses[2], values[2], count = 0;
    while (*words != '}' && count < 2) {
        addresses[count] = (uint32_t)strtoul(words, &end, 0);
        values[count++] = (uint32_t)strtoul(end, &end, 0);
        words = end + strspn(end, " ");
    }
    double limit = seconds() + 1e-3 * strtod(strchr(words, '}') + 1, NULL);
    while (seconds() < limit) {
        for (uint32_t i = 0; i < count; i++) {
            if (memory_word(s, addresses[i]) != values[i]) {
                return;
            }
        }
        usleep(200);
    }
}

/* "[bt_read A N]" and "[bt_dump {P} A N]": appended to the answer. */
static void read_all(server *s, const char *script) {
    for (const char *at = script; (at = strchr(at, '[')) != NULL; at++) {
        char path[256];
        unsigned address, count;
        if (sscanf(at, "[bt_read %x %u]", &address, &count) == 2) {
            char *to = s->answer + strlen(s->answer);
            for (unsigned i = 0; i < count; i++) {
                to += sprintf(to, "%u ", memory_word(s, address + 4 * i));
            }
        } else if (sscanf(at, "[bt_dump {%255[^}]} %x %u]", path, &address, &count) == 3) {
            move_file(s, path, address, count);
        }
    }
}

static void run_script(server *s, const char *script) {
    for (const char *at = script; *at != '\0'; at++) {
        char path[256];
        unsigned address;
        if (sscanf(at, "bt_write %x", &address) == 1) {
            at = strchr(at, '{') + 1;
            write_words(s, address, at);
            at = strchr(at, '}');
        } else if (sscanf(at, "load_image {%255[^}]} %x bin", path, &address) == 2) {
            move_file(s, path, address, 0);
            at = strchr(at, ';');
        } else if (strncmp(at, "bt_watch {", 10) == 0) {
            watch_words(s, at + 10);
            at = strchr(at, ';');
        } else if (strncmp(at, "concat", 6) == 0) {
            read_all(s, at);
            return;
        }
    }
}

/* Answers as OpenOCD with the link's procedures does. */
static void serve(server *s, const char *request) {
    char path[256];
    strcpy(s->answer, "bt-ok ");
    if (strncmp(request, "proc bt_run", 11) == 0) {
        strcat(s->answer, s->commands);
    } else if (strstr(request, "target names") != NULL) {
        strcat(s->answer, "board.fc board.cl0");
    } else if (strstr(request, "curstate}") != NULL) {
        strcat(s->answer, s->state);
    } else if (sscanf(request, "bt_run {if {[catch {set bt_file [open {%255[^}]}", path) == 1) {
        char text[64] = "none";
        FILE *file = s->sees_files ? fopen(path, "r") : NULL;
        if (file != NULL) {
            text[fread(text, 1, sizeof text - 1, file)] = '\0';
            fclose(file);
        }
        strcat(s->answer, text);
    } else if (strstr(request, "reg pc ") != NULL) {
        require(s->sim->operations->start(s->sim), "start of sim:");
        s->started = true;
    } else if (strstr(request, "bt_run {proc") == NULL && strstr(request, "bt_run {if") == NULL &&
               strstr(request, "bt_run {targets") == NULL) {
        run_script(s, request + strlen("bt_run {"));
    }
}

static void send_text(int client, const char *text, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t count = send(client, text + done, length - done, MSG_NOSIGNAL);
        if (count <= 0) {
            return;
        }
        done += (size_t)count;
    }
}

/* False: the connection is to end. */
static bool commit_sabotage(server *s, int client) {
    static char flood[2u << 20];
    switch (s->sabotage) {
    case GARBAGE:
        send_text(client, "SSH-2.0-OpenSSH_9.2\x1a", 20);
        return true;
    case TRUNCATED:
        send_text(client, s->answer, strlen(s->answer) / 2);
        return false;
    case OVERSIZED:
        memset(flood, '7', sizeof flood);
        send_text(client, flood, sizeof flood);
        return true;
    case ZERO_BYTE:
        send_text(client, "bt-ok \0 1\x1a", 10);
        return true;
    case TWO_ANSWERS:
        send_text(client,
                  "bt-ok 1\x1a"
                  "bt-ok 2\x1a",
                  16);
        return true;
    case SILENT:
        return true;
    case NO_NUMBERS:
        send_text(client, "bt-ok 0x1 -3 zz 99999999999\x1a", 28);
        return true;
    case TOO_MANY_NUMBERS:
        strcat(s->answer, " 1 2 3 4\x1a");
        send_text(client, s->answer, strlen(s->answer));
        return true;
    case ERROR_ANSWER:
        send_text(client, "bt-error something is wrong\nError: with the board\n\x1a", 51);
        return true;
    default:
        return false;
    }
}

static void converse(server *s, int client) {
    size_t length = 0;
    for (;;) {
        ssize_t count = recv(client, s->request + length, REQUEST_BYTES - length - 1, 0);
        if (count <= 0) {
            return;
        }
        length += (size_t)count;
        if (s->request[length - 1] != '\x1a') {
            continue;
        }
        s->request[length - 1] = '\0';
        length = 0;
        serve(s, s->request);
        if (s->sabotage != NONE && s->requests++ == s->sabotage_at) {
            if (!commit_sabotage(s, client)) {
                return;
            }
        } else {
            s->requests += s->sabotage == NONE;
            strcat(s->answer, "\x1a");
            send_text(client, s->answer, strlen(s->answer));
        }
    }
}

static void *server_main(void *argument) {
    server *s = argument;
    int client;
    while ((client = accept(s->listener, NULL, NULL)) >= 0) {
        converse(s, client);
        close(client);
    }
    return NULL;
}

static uint8_t firmware[1 << 20];
static size_t firmware_bytes;

static server *server_start(const char *commands, bool sees_files) {
    server *s = calloc(1, sizeof *s);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    bt_uri uri;
    bt_elf elf;
    s->commands = commands;
    s->sees_files = sees_files;
    s->state = "running";
    s->ram = calloc(1, RAM_BYTES);
    s->request = malloc(REQUEST_BYTES);
    s->answer = malloc(REQUEST_BYTES);
    require(bt_uri_parse("sim:?cores=1", &uri), "sim:");
    require(bt_link_open_sim(&uri, NULL, &s->sim), "sim:");
    require(bt_elf_open(firmware, firmware_bytes, &elf), "firmware");
    require(bt_elf_mailbox(&elf, &s->mailbox), "mailbox");
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    require(bind(s->listener, (struct sockaddr *)&address, size) == 0 &&
                    listen(s->listener, 4) == 0 &&
                    getsockname(s->listener, (struct sockaddr *)&address, &size) == 0
                ? BT_OK
                : BT_ERROR_IO,
            "server");
    s->port = ntohs(address.sin_port);
    pthread_create(&s->thread, NULL, server_main, s);
    return s;
}

static void server_stop(server *s) {
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    s->sim->operations->close(s->sim);
    free(s->ram);
    free(s->request);
    free(s->answer);
    free(s);
}

static bt_status open_at(const server *s, const char *more, uint32_t timeout_ms,
                         bt_device **device) {
    char uri[128];
    const bt_device_options options = {.struct_size = sizeof options,
                                       .timeout_ms = timeout_ms,
                                       .firmware = firmware,
                                       .firmware_bytes = firmware_bytes};
    snprintf(uri, sizeof uri, "openocd:127.0.0.1:%u%s", s->port, more);
    return bt_device_open(uri, &options, device);
}

/* ----------------------------------------------------------------------------------------- tests
 */

static uint32_t trained_state(bt_device *device, const bt_program *program) {
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    require(train(session, 2, 4), "bt_session_train");
    uint32_t state = state_crc(session);
    bt_session_close(session);
    bt_device_close(device);
    return state;
}

static void both_generations_give_the_bits_of_sim(void) {
    static const struct {
        const char *commands;
        bool sees_files;
    } kinds[] = {{new_commands, true}, {old_commands, true}, {old_commands, false}};
    bt_program *program = epidenet_program();
    uint32_t expected = trained_state(device_open("sim:?cores=1", 0), program);
    for (uint32_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        server *s = server_start(kinds[i].commands, kinds[i].sees_files);
        bt_device *device;
        require(open_at(s, "", 0, &device), "openocd:");
        CHECK(trained_state(device, program) == expected, "kind %u: other weights than sim:", i);
        CHECK((s->file_transfers > 0) == (i == 1), "kind %u: %u transfers through files", i,
              s->file_transfers);
        server_stop(s);
    }
    bt_program_free(program);
}

static void an_openocd_without_the_needed_commands_is_refused(void) {
    static const char *const lists[][2] = {
        {"mww mdw load_image dump_image ms sleep halt resume reg", "mem2array"},
        {"read_memory write_memory ms sleep halt reg", "resume"},
        {"", "mem2array"},
    };
    for (uint32_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        server *s = server_start(lists[i][0], false);
        bt_device *device;
        bt_status status = open_at(s, "", 0, &device);
        CHECK(status == BT_ERROR_UNSUPPORTED && strstr(bt_error_message(0), lists[i][1]) != NULL,
              "%s: %s", bt_status_name(status), bt_error_message(0));
        server_stop(s);
    }
}

/* Opens, loads, uploads, trains; the first failure ends it. */
static bt_status whole_session(const server *s, const bt_program *program) {
    bt_device *device;
    bt_session *session = NULL;
    float *inputs = calloc(SAMPLES * 2000, sizeof *inputs);
    int32_t labels[SAMPLES] = {0};
    uint32_t first;
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = SAMPLES,
                                .format = BT_SAMPLE_INT16,
                                .channels = 2,
                                .inputs = inputs,
                                .labels = labels};
    bt_status status = open_at(s, "", TIMEOUT_MS, &device);
    if (status == BT_OK) {
        status = bt_session_open(device, program, &session);
        if (status == BT_OK) {
            status = bt_session_upload(session, &samples, &first);
        }
        if (status == BT_OK) {
            status = train(session, 1, 2);
        }
        bt_session_close(session);
        bt_device_close(device);
    }
    free(inputs);
    return status;
}

static void no_answer_does_harm(void) {
    bt_program *program = epidenet_program();
    server *s = server_start(old_commands, false);
    require(whole_session(s, program), "a session without sabotage");
    uint32_t requests = s->requests, tried = 0;
    server_stop(s);
    for (int kind = GARBAGE; kind < SABOTAGES; kind++) {
        /* Every request of the opening, then some of those that follow. */
        for (uint32_t at = 0; at < requests; at += at < 16 ? 1 : 23) {
            s = server_start(old_commands, at % 2 == 0);
            s->sabotage = (sabotage)kind;
            s->sabotage_at = at;
            double begun = seconds();
            bt_status status = whole_session(s, program);
            double took = seconds() - begun;
            CHECK(took < 6.0, "sabotage %d at request %u: %.1f s", kind, at, took);
            /* Nobody reads the text of an answer to a write. */
            CHECK(status == BT_OK ? kind == NO_NUMBERS || kind == TOO_MANY_NUMBERS
                                  : status == BT_ERROR_DEVICE || status == BT_ERROR_TIMEOUT ||
                                        status == BT_ERROR_UNSUPPORTED,
                  "sabotage %d at request %u: %s", kind, at, bt_status_name(status));
            CHECK(status == BT_OK || strlen(bt_error_message(0)) > 20, "%s", bt_error_message(0));
            tried++;
            server_stop(s);
        }
    }
    printf("       %u sessions of %u requests were sabotaged\n", tried, requests);
    bt_program_free(program);
}

typedef struct progress {
    uint32_t rates;
    uint32_t summaries;
} progress;

static void collect_progress(void *user, bt_log_level level, const char *text) {
    progress *p = user;
    (void)level;
    if (strncmp(text, "Upload: ", 8) == 0) {
        p->rates += strstr(text, " kB/s, ") != NULL && strstr(text, " s left.") != NULL;
        p->summaries += strstr(text, " s left.") == NULL;
        printf("       %s\n", text);
    }
}

static void a_megabyte_goes_in_blocks_and_reports_its_progress(void) {
    enum { WINDOWS = 250, ELEMENTS = 2000 };
    bt_program *program = epidenet_program();
    server *s = server_start(new_commands, false);
    progress p = {0};
    char uri[64];
    const bt_device_options options = {.struct_size = sizeof options,
                                       .log_level = BT_LOG_INFO,
                                       .log = collect_progress,
                                       .log_user = &p,
                                       .firmware = firmware,
                                       .firmware_bytes = firmware_bytes};
    bt_device *device;
    snprintf(uri, sizeof uri, "openocd:127.0.0.1:%u", s->port);
    require(bt_device_open(uri, &options, &device), "openocd:");
    bt_session *session = session_open(device, program);
    float *inputs = malloc(WINDOWS * ELEMENTS * sizeof *inputs);
    int32_t labels[WINDOWS] = {0};
    uint32_t first;
    require(bt_random_normal(5, 0, WINDOWS * ELEMENTS, inputs), "bt_random_normal");
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = WINDOWS,
                                .format = BT_SAMPLE_INT16,
                                .channels = 2,
                                .inputs = inputs,
                                .labels = labels};
    uint64_t bytes = device->bytes_to_device, exchanges = device->link->exchanges;
    uint32_t blocks = s->block_writes;
    s->delay = 20000;
    require(bt_session_upload(session, &samples, &first), "bt_session_upload");
    bytes = device->bytes_to_device - bytes;
    exchanges = device->link->exchanges - exchanges;
    blocks = s->block_writes - blocks;
    uint64_t chunks = bytes / BT_STAGING_BYTES + 1;
    printf("       %llu bytes: %llu exchanges, %u writes of blocks\n", (unsigned long long)bytes,
           (unsigned long long)exchanges, blocks);
    CHECK(bytes > 1000000, "%llu bytes", (unsigned long long)bytes);
    CHECK(exchanges <= 3 * chunks + 3, "%llu exchanges", (unsigned long long)exchanges);
    CHECK(blocks <= 2 * chunks + 2, "%u writes of blocks", blocks);
    CHECK(p.rates >= 1 && p.summaries == 1, "%u reports, %u summaries", p.rates, p.summaries);
    free(inputs);
    bt_session_close(session);
    bt_device_close(device);
    server_stop(s);
    bt_program_free(program);
}

static void a_firmware_that_does_not_run_or_differs_is_not_attached_to(void) {
    server *s = server_start(new_commands, false);
    bt_device *device;
    bt_status status = open_at(s, "?start=attach", 0, &device);
    CHECK(status == BT_ERROR_DEVICE && strstr(bt_error_message(0), "start=load") != NULL, "%s: %s",
          bt_status_name(status), bt_error_message(0));
    require(open_at(s, "", 0, &device), "load");
    bt_device_close(device);
    require(open_at(s, "?start=attach", 0, &device), "attach");
    bt_device_close(device);
    s->state = "halted"; /* a core that stands still is started anew */
    uint32_t generation = s->mailbox + (uint32_t)offsetof(bt_mailbox, generation);
    uint32_t before = memory_word(s, generation);
    require(open_at(s, "?start=attach&core=board.fc&speed=1000", 0, &device), "halted");
    CHECK(memory_word(s, generation) == before + 1, "the firmware was not started anew");
    bt_device_close(device);
    server_stop(s);
}

static void usual_failures_are_explained(void) {
    static const char *const cases[][2] = {
        /* 0.12 */
        {"Error: libusb_open() failed with LIBUSB_ERROR_ACCESS\nError: unable to open ftdi device",
         "ATTR{idVendor}==\"0403\""},
        {"Error: libusb_claim_interface() failed with LIBUSB_ERROR_BUSY", "held by another"},
        {"Error: no device found\nError: unable to open ftdi device with vid 0403, pid 6011, "
         "description '*', serial 'X' at bus location '*'",
         "No debug cable"},
        {"Error: couldn't bind tcl to socket on port 6666: Address already in use", "left over"},
        {"Error: JTAG scan chain interrogation failed: all ones\nError: Check JTAG interface",
         "all ones: no chip"},
        {"Error: JTAG scan chain interrogation failed: all zeroes", "all zeroes: no chip"},
        {"Warn : JTAG tap: gap9.riscv       UNEXPECTED: 0x10001fff (mfg: 0x7ff)\n"
         "Error: JTAG tap: gap9.riscv  expected 1 of 1: 0x20020bcb",
         "not the one that the script"},
        {"Error: Unsupported DTM version: 15", "nonsense"},
        {"Error: Debug Module did not become active. dmcontrol=0x0", "does not wake up"},
        {"Error: dtmcontrol is 0. Check JTAG connectivity/board power.", "no debug module"},
        {"semihosting: *** application exited normally ***", "semihosting exit"},
        {"semihosting: *** application exited with 3 ***", "semihosting exit"},
        {"Error: timed out while waiting for target halted", "does not halt"},
        {"Target not examined yet", "examine the core"},
        {"embedded:startup.tcl:28: Error: Can't find gap9revb.tcl", "option search"},
        {"Error: couldn't open gap9revb.tcl", "option search"},
        {"biotrain: 1: openocd9: not found", "option binary"},
        {"board.cfg:3: Error: invalid command name \"adapter_khz\"", "SDK's own OpenOCD"},
        {"Error: Failed to connect: Connection refused", "JTAG server"},
        {"Error: Timed out after 2s waiting for sbbusy to go low", "system bus does not answer"},
        {"Error: DMI operation didn't complete in 2 seconds", "does not answer"},
        {"Error: Debugger is not authenticated to target Debug Module.", "locked"},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *line = NULL, *sentence = bt_openocd_explain(cases[i][0], &line);
        CHECK(sentence != NULL && strstr(sentence, cases[i][1]) != NULL, "%s: %s", cases[i][0],
              sentence != NULL ? sentence : "not recognised");
        CHECK(sentence == NULL || (line >= cases[i][0] && *line != '\0'), "%s: no line",
              cases[i][0]);
    }
    const char *line;
    CHECK(bt_openocd_explain("Info : clock speed 1000 kHz", &line) == NULL, "recognised nothing");
}

/* A program in place of OpenOCD. */
static void write_program(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    chmod(path, 0700);
}

static void a_launched_openocd_that_fails_is_explained(void) {
    static const char *const programs[][2] = {
        {"#!/bin/sh\necho 'Error: libusb_open() failed with LIBUSB_ERROR_ACCESS' >&2\nexit 1\n",
         "60-biotrain.rules"},
        {"#!/bin/sh\necho 'Error: JTAG scan chain interrogation failed: all ones' >&2\nexit 1\n",
         "no chip answers"},
        {"#!/bin/sh\necho 'something new went wrong' >&2\nexit 3\n", "something new went wrong"},
        {"#!/bin/sh\nexit 0\n", "could not start"},
        {"#!/bin/sh\nsleep 100\n", "not ready within 1 s"},
        {"#!/bin/sh\necho 'Listening on port 1 for tcl connections' >&2\nsleep 100\n",
         "Connection refused"},
        {"#!/bin/sh\nwhile :; do echo 'Info : waiting, waiting, waiting for the board'; done >&2\n",
         "waiting for the board"},
    };
    char folder[] = "/tmp/biotrain-test-XXXXXX", path[64], uri[200];
    const bt_device_options options = {
        .struct_size = sizeof options, .firmware = firmware, .firmware_bytes = firmware_bytes};
    require(mkdtemp(folder) != NULL ? BT_OK : BT_ERROR_IO, folder);
    snprintf(path, sizeof path, "%s/openocd", folder);
    snprintf(uri, sizeof uri, "openocd:?binary=%s&script=board.cfg&serial=%s&launch=1", path,
             folder + strlen("/tmp/"));
    for (uint32_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        bt_device *device;
        write_program(path, programs[i][0]);
        double begun = seconds();
        bt_status status = bt_device_open(uri, &options, &device);
        CHECK(status == BT_ERROR_DEVICE || status == BT_ERROR_TIMEOUT, "%s",
              bt_status_name(status));
        CHECK(strstr(bt_error_message(0), programs[i][1]) != NULL, "%s", bt_error_message(0));
        CHECK(seconds() - begun < 8.0, "program %u took %.1f s", i, seconds() - begun);
    }
    unlink(path);
    rmdir(folder);
}

static void options_are_checked(void) {
    static const char *const bad[][2] = {
        {"openocd:nowhere.invalid:6666", "nowhere.invalid"},
        {"openocd:127.0.0.1:99999", "address"},
        {"openocd:127.0.0.1:x", "address"},
        {"openocd::1", "No OpenOCD answers"},
        {"openocd:127.0.0.1:6666?script=a.cfg", "one or the other"},
        {"openocd:?serial=1", "script"},
        {"openocd:?script=a.cfg&serial=1;shutdown", "serial"},
        {"openocd:?script=a.cfg&set=A:]exit", "set"},
        {"openocd:?core=[exit]", "core"},
        {"openocd:?start=maybe", "start"},
        {"openocd:?reset=1", "reset"},
        {"openocd:?speed=0", "speed"},
        {"openocd:?script=", "script"},
        {"openocd:?cabel=x", "cabel"},
        {"openocd:?target=gap10", "gap10"},
        {"openocd:?firmware=/nonexistent.elf", "/nonexistent.elf"},
    };
    const bt_device_options options = {
        .struct_size = sizeof options, .firmware = firmware, .firmware_bytes = firmware_bytes};
    bt_device *device;
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bt_status status = bt_device_open(bad[i][0], &options, &device);
        CHECK(status != BT_OK && strstr(bt_error_message(0), bad[i][1]) != NULL, "%s: %s",
              bad[i][0], bt_error_message(0));
    }
    bt_status status = bt_device_open("openocd:", NULL, &device);
    CHECK(status == BT_ERROR_ARGUMENT && strstr(bt_error_message(0), "firmware") != NULL, "%s",
          bt_error_message(0));
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    FILE *file = fopen(BT_FIRMWARE_FILE, "rb");
    if (file == NULL) {
        return skip("the firmware was not built; clang-19 and lld-19 are needed for it");
    }
    firmware_bytes = fread(firmware, 1, sizeof firmware, file);
    fclose(file);
    RUN(both_generations_give_the_bits_of_sim);
    RUN(an_openocd_without_the_needed_commands_is_refused);
    RUN(no_answer_does_harm);
    RUN(a_megabyte_goes_in_blocks_and_reports_its_progress);
    RUN(a_firmware_that_does_not_run_or_differs_is_not_attached_to);
    RUN(usual_failures_are_explained);
    RUN(a_launched_openocd_that_fails_is_explained);
    RUN(options_are_checked);
    return REPORT();
}
