#define _GNU_SOURCE
#include "link/gvsoc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "hal/pulp_open/pulp_open.h"
#include "link/elf.h"
#include "link/gvsoc_launch.h"
#include "link/mailbox.h"
#include "link/proxy.h"

#define L1_BEGIN 0x10000000u
#define L1_END 0x10100000u
#define PROXY_TIMEOUT_MS 20000u
#define GVSOC_TIMEOUT_MS 600000u /* a micro-batch of a large network is simulated for minutes */
#define FIRST_PAUSE_NS 100000ull
#define LONGEST_PAUSE_NS 5000000ull
#define MAX_FIRMWARE_BYTES (64u << 20)

/* What differs from one simulated system to the next. */
typedef struct gvsoc_system {
    const char *name;
    const char *simulator_target; /* --target= of GVSOC */
    const char *mailbox;          /* symbols of the firmware; boot and status may be NULL */
    const char *boot;
    const char *status;
    uint32_t doorbell; /* address that wakes the fabric controller; 0: it looks by itself */
    bool drops_names;  /* needs its working folder no more once the firmware runs */
} gvsoc_system;

static const gvsoc_system systems[] = {
    {"pulp-open", "pulp-open", "bt_pulp_mailbox", "bt_pulp_boot", "bt_pulp_status", 0x1A109810u,
     true},
    {"gap9", "gap9.evk", "bt_gap9_mailbox", NULL, NULL, 0, false},
};

typedef struct gvsoc_link {
    bt_link link; /* first: a bt_link * is a gvsoc_link * */
    const gvsoc_system *system;
    char host[256]; /* "": launch */
    char port[16];
    char l1_path[128];
    char l2_path[128];
    uint32_t doorbell;
    uint32_t cores; /* 0: as the firmware chooses */
    uint8_t *firmware;
    size_t firmware_bytes;
    uint32_t boot_address;   /* 0: none */
    uint32_t status_address; /* 0: none */
    bt_gvsoc_launch launch;  /* of a simulator of our own */
    bt_proxy proxy;
    bt_proxy_component l1, l2;
    bool running; /* simulated time advances */
} gvsoc_link;

static gvsoc_link *of(bt_link *link) { return (gvsoc_link *)link; }

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void pause_ns(uint64_t nanoseconds) {
    const struct timespec pause = {.tv_sec = (time_t)(nanoseconds / 1000000000ull),
                                   .tv_nsec = (long)(nanoseconds % 1000000000ull)};
    nanosleep(&pause, NULL);
}

/* -------------------------------------------------------------------------------- operations */

static const bt_proxy_component *component_of(const gvsoc_link *gvsoc, uint32_t address) {
    return address >= L1_BEGIN && address < L1_END ? &gvsoc->l1 : &gvsoc->l2;
}

/* Says what became of the simulator, when that explains the failure better. */
static bt_status explain(gvsoc_link *gvsoc, bt_status status) {
    if (status == BT_OK || gvsoc->launch.process.shell == 0) {
        return status;
    }
    /* The connection's end is seen before that of the process. */
    for (int i = 0; i < 100 && bt_proxy_closed(&gvsoc->proxy); i++) {
        if (bt_process_ended(&gvsoc->launch.process)) {
            return bt_gvsoc_fail(&gvsoc->launch, BT_ERROR_DEVICE,
                                 "The simulation has ended; open the device again");
        }
        pause_ns(LONGEST_PAUSE_NS);
    }
    return status;
}

static bt_status set_running(gvsoc_link *gvsoc, bool running) {
    if (gvsoc->running != running) {
        BT_TRY(bt_proxy_command(&gvsoc->proxy, running ? "run" : "stop"));
        gvsoc->running = running;
    }
    return BT_OK;
}

static bt_status gvsoc_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    gvsoc_link *gvsoc = of(link);
    return explain(gvsoc,
                   bt_proxy_read(&gvsoc->proxy, component_of(gvsoc, address), address, to, size));
}

static bt_status write_and_ring(gvsoc_link *gvsoc, uint32_t address, const void *from,
                                uint32_t size) {
    static const uint8_t ring[4] = {1, 0, 0, 0};
    const uint32_t sequence = gvsoc->link.mailbox_address + offsetof(bt_mailbox, sequence);
    BT_TRY(bt_proxy_write(&gvsoc->proxy, component_of(gvsoc, address), address, from, size));
    if (gvsoc->doorbell != 0 && address <= sequence && sequence - address < size) {
        BT_TRY(bt_proxy_write(&gvsoc->proxy, &gvsoc->l2, gvsoc->doorbell, ring, sizeof ring));
    }
    return BT_OK;
}

static bt_status gvsoc_write(bt_link *link, uint32_t address, const void *from, uint32_t size) {
    return explain(of(link), write_and_ring(of(link), address, from, size));
}

/* Whether a core of the device took an exception; *report then says which. */
static bool has_trapped(gvsoc_link *gvsoc, bt_pulp_report *report) {
    return gvsoc->status_address != 0 &&
           bt_proxy_read(&gvsoc->proxy, &gvsoc->l2, gvsoc->status_address, report,
                         sizeof *report) == BT_OK &&
           report->trapped == 1u;
}

static bt_status check_alive(gvsoc_link *gvsoc) {
    bt_pulp_report report;
    if (gvsoc->proxy.ended) {
        char what[96];
        snprintf(what, sizeof what, "The simulated program has ended with status %d",
                 gvsoc->proxy.exit_status);
        return bt_gvsoc_fail(&gvsoc->launch, BT_ERROR_DEVICE, what);
    }
    if (has_trapped(gvsoc, &report)) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The firmware on GVSOC stopped: hart %u took exception %u at 0x%08X; open the "
                "device again.",
                report.trap_hart, report.trap_cause, report.trap_address);
    }
    return BT_OK;
}

static bt_link_state gvsoc_state(bt_link *link) {
    gvsoc_link *gvsoc = of(link);
    if (gvsoc->proxy.socket < 0) {
        return BT_LINK_STOPPED;
    }
    return gvsoc->proxy.ended || bt_proxy_closed(&gvsoc->proxy) ? BT_LINK_LOST : BT_LINK_RUNNING;
}

/* Simulated time advances while this waits; nothing tells a change, so it looks again and again. */
static bt_status poll_word(gvsoc_link *gvsoc, uint32_t address, uint32_t value,
                           uint64_t timeout_ns) {
    uint64_t deadline = now_ns() + timeout_ns;
    uint64_t pause = FIRST_PAUSE_NS;
    BT_TRY(set_running(gvsoc, true));
    for (;;) {
        uint32_t word;
        BT_TRY(bt_proxy_read(&gvsoc->proxy, component_of(gvsoc, address), address, &word,
                             sizeof word));
        uint64_t now = now_ns();
        if (word != value && gvsoc->system->drops_names) {
            bt_gvsoc_drop_names(
                &gvsoc->launch); /* the firmware runs; files without names cannot outlive it */
        }
        if (word != value || now >= deadline) {
            return BT_OK;
        }
        BT_TRY(gvsoc->proxy.ended ? check_alive(gvsoc) : BT_OK);
        pause_ns(pause < deadline - now ? pause : deadline - now);
        pause = 2 * pause < LONGEST_PAUSE_NS ? 2 * pause : LONGEST_PAUSE_NS;
    }
}

static bt_status gvsoc_wait_change(bt_link *link, uint32_t address, uint32_t value,
                                   uint64_t timeout_ns) {
    gvsoc_link *gvsoc = of(link);
    bt_status status = poll_word(gvsoc, address, value, timeout_ns);
    if (status == BT_OK) {
        status = set_running(gvsoc, false);
    }
    if (status == BT_OK) {
        status = check_alive(gvsoc);
    }
    return explain(gvsoc, status);
}

static void leave(gvsoc_link *gvsoc) {
    if (gvsoc->launch.process.shell == 0) {
        bt_proxy_leave(&gvsoc->proxy);
    }
    bt_proxy_close(&gvsoc->proxy);
    bt_gvsoc_stop(&gvsoc->launch);
    gvsoc->running = false;
}

static bt_status gvsoc_stop(bt_link *link) {
    leave(of(link));
    return BT_OK;
}

/* Tells the firmware what to start with; in vain, and harmless, if it is running already. */
static bt_status write_boot_block(gvsoc_link *gvsoc) {
    bt_pulp_boot_block boot = {.magic = BT_PULP_BOOT_MAGIC,
                               .workers = gvsoc->cores != 0 ? gvsoc->cores : BT_PULP_MAX_WORKERS};
    if (gvsoc->boot_address == 0) {
        return BT_OK;
    }
    if (getrandom(&boot.generation, sizeof boot.generation, 0) < 0) {
        boot.generation = (uint32_t)now_ns();
    }
    return bt_proxy_write(&gvsoc->proxy, &gvsoc->l2, gvsoc->boot_address, &boot, sizeof boot);
}

static bt_status start(gvsoc_link *gvsoc) {
    if (gvsoc->host[0] != '\0') {
        BT_TRY(bt_proxy_connect(&gvsoc->proxy, gvsoc->host, gvsoc->port, PROXY_TIMEOUT_MS));
    } else {
        BT_TRY(bt_gvsoc_start(&gvsoc->launch, gvsoc->system->simulator_target, gvsoc->firmware,
                              gvsoc->firmware_bytes));
        BT_TRY(bt_proxy_connect(&gvsoc->proxy, "127.0.0.1", gvsoc->launch.port, PROXY_TIMEOUT_MS));
    }
    BT_TRY(bt_proxy_find(&gvsoc->proxy, gvsoc->l2_path, &gvsoc->l2));
    BT_TRY(bt_proxy_find(&gvsoc->proxy, gvsoc->l1_path, &gvsoc->l1));
    return write_boot_block(gvsoc);
}

static bt_status gvsoc_start(bt_link *link) {
    gvsoc_link *gvsoc = of(link);
    if (gvsoc->proxy.socket >= 0) {
        BT_FAIL(BT_ERROR_STATE, "GVSOC cannot start: it is running already.");
    }
    bt_status status = explain(gvsoc, start(gvsoc));
    if (status != BT_OK) {
        leave(gvsoc);
    }
    return status;
}

static bt_status gvsoc_load(bt_link *link, const uint8_t *bytes, size_t size) {
    gvsoc_link *gvsoc = of(link);
    const gvsoc_system *system = gvsoc->system;
    bt_elf elf;
    uint32_t symbol_bytes;
    BT_TRY(bt_elf_open(bytes, size, &elf));
    BT_TRY(bt_elf_symbol(&elf, system->mailbox, &link->mailbox_address, &symbol_bytes));
    if (system->boot != NULL) {
        BT_TRY(bt_elf_symbol(&elf, system->boot, &gvsoc->boot_address, &symbol_bytes));
        BT_TRY(bt_elf_symbol(&elf, system->status, &gvsoc->status_address, &symbol_bytes));
    }
    uint8_t *firmware = malloc(size);
    if (firmware == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a firmware of %zu bytes.", size);
    }
    memcpy(firmware, bytes, size);
    free(gvsoc->firmware);
    gvsoc->firmware = firmware;
    gvsoc->firmware_bytes = size;
    return BT_OK;
}

static void gvsoc_close(bt_link *link) {
    gvsoc_link *gvsoc = of(link);
    leave(gvsoc);
    free(gvsoc->firmware);
    free(gvsoc);
}

static const bt_link_operations gvsoc_operations = {
    .load = gvsoc_load,
    .start = gvsoc_start,
    .stop = gvsoc_stop,
    .read = gvsoc_read,
    .write = gvsoc_write,
    .state = gvsoc_state,
    .wait_change = gvsoc_wait_change,
    .close = gvsoc_close,
};

/* -------------------------------------------------------------------------------------- open */

static bt_status copy_option(const bt_uri *uri, const char *key, const char *otherwise, char *out,
                             size_t size) {
    const char *value = bt_uri_option(uri, key);
    value = value != NULL ? value : otherwise;
    if (*value == '\0' || strlen(value) >= size) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "%s=%s in a gvsoc: URI has %zu characters; 1 to %zu are allowed.", key, value,
                strlen(value), size - 1);
    }
    memcpy(out, value, strlen(value) + 1);
    return BT_OK;
}

/* "host:port" or "[address]:port". */
static bt_status parse_place(gvsoc_link *gvsoc, const char *path) {
    const char *colon = strrchr(path, ':');
    size_t host = colon != NULL ? (size_t)(colon - path) : 0;
    char *end = NULL;
    unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
    if (host > 2 && path[0] == '[' && path[host - 1] == ']') {
        path++;
        host -= 2;
    }
    if (host == 0 || host >= sizeof gvsoc->host || port == 0 || port > 65535 || *end != '\0') {
        BT_FAIL(
            BT_ERROR_ARGUMENT,
            "\"%s\" in a gvsoc: URI is not host:port; write gvsoc:127.0.0.1:42951 to attach, or "
            "gvsoc:?target=pulp-open to launch a simulator.",
            path);
    }
    memcpy(gvsoc->host, path, host);
    snprintf(gvsoc->port, sizeof gvsoc->port, "%lu", port);
    return BT_OK;
}

static bt_status find_system(const char *name, const gvsoc_system **out) {
    for (size_t i = 0; i < sizeof systems / sizeof *systems; i++) {
        if (strcmp(systems[i].name, name) == 0) {
            *out = &systems[i];
            return BT_OK;
        }
    }
    BT_FAIL(BT_ERROR_ARGUMENT, "target=%s in a gvsoc: URI is neither pulp-open nor gap9.", name);
}

static bt_status load_firmware(gvsoc_link *gvsoc, const bt_uri *uri,
                               const bt_device_options *options) {
    char example[96];
    const char *name = gvsoc->system->name;
    snprintf(example, sizeof example, "gvsoc:?target=%s&firmware=/path/to/biotrain-%s.elf", name,
             name);
    /* The one in options is for pulp-open. */
    return bt_link_load_firmware(&gvsoc->link, uri, gvsoc->system == &systems[0] ? options : NULL,
                                 MAX_FIRMWARE_BYTES, example);
}

static bt_status parse_doorbell(gvsoc_link *gvsoc, const bt_uri *uri) {
    const char *text = bt_uri_option(uri, "doorbell");
    gvsoc->doorbell = gvsoc->system->doorbell;
    if (text != NULL) {
        char *end;
        unsigned long address = strtoul(text, &end, 0);
        if (end == text || *end != '\0' || address > UINT32_MAX || address % 4 != 0) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "doorbell=%s in a gvsoc: URI is not the address of a 32-bit register, such as "
                    "0x1A109810, or 0 for none.",
                    text);
        }
        gvsoc->doorbell = (uint32_t)address;
    }
    return BT_OK;
}

static bt_status configure(gvsoc_link *gvsoc, const bt_uri *uri, const bt_device_options *options) {
    static const char *const known[] = {"cores", "doorbell", "firmware", "install",
                                        "l1",    "l2",       "target",   NULL};
    const char *target = bt_uri_option(uri, "target");
    BT_TRY(bt_uri_check_options(uri, known));
    BT_TRY(find_system(target != NULL ? target : "pulp-open", &gvsoc->system));
    BT_TRY(bt_uri_number(uri, "cores", 1, BT_PULP_MAX_WORKERS, &gvsoc->cores));
    if (gvsoc->cores != 0 && gvsoc->system->boot == NULL) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "target=%s of gvsoc: always works with all its cores; leave out "
                "the option cores.",
                gvsoc->system->name);
    }
    BT_TRY(parse_doorbell(gvsoc, uri));
    BT_TRY(
        copy_option(uri, "l1", "chip/cluster/l1/pe0_ico", gvsoc->l1_path, sizeof gvsoc->l1_path));
    BT_TRY(copy_option(uri, "l2", "chip/soc/axi_ico", gvsoc->l2_path, sizeof gvsoc->l2_path));
    BT_TRY(bt_target_find(gvsoc->system->name, &gvsoc->link.target));
    BT_TRY(*uri->path != '\0' ? parse_place(gvsoc, uri->path)
                              : bt_gvsoc_find(&gvsoc->launch, bt_uri_option(uri, "install"),
                                              gvsoc->system->boot == NULL));
    return load_firmware(gvsoc, uri, options);
}

bt_status bt_link_open_gvsoc(const bt_uri *uri, const bt_device_options *options, bt_link **out) {
    gvsoc_link *gvsoc = calloc(1, sizeof *gvsoc);
    if (gvsoc == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a GVSOC device.");
    }
    gvsoc->link.operations = &gvsoc_operations;
    gvsoc->link.name = "gvsoc";
    gvsoc->link.timeout_ms = GVSOC_TIMEOUT_MS;
    gvsoc->proxy.socket = -1;
    gvsoc->launch = (bt_gvsoc_launch)BT_GVSOC_LAUNCH_NONE;
    strcpy(gvsoc->link.kernels, "rv32");
    bt_status status = configure(gvsoc, uri, options);
    if (status != BT_OK) {
        gvsoc_close(&gvsoc->link);
        return status;
    }
    *out = &gvsoc->link;
    return BT_OK;
}
