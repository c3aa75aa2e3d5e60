#include "base/error.h"
#include "hal/host.h"
#include "link/link.h"
#include "resident.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BT_SIM_MAX_CORES 64u
#define BT_SIM_TIMEOUT_MS 30000u
/* Where L2 begins on GAP9. */
#define BT_SIM_L2_ADDRESS 0x1C010000u

/* The firmware's own part of L2; the arena follows it. */
typedef struct bt_sim_memory {
    bt_mailbox mailbox;
    bt_record records[BT_RECORD_CAPACITY];
    uint8_t staging[BT_STAGING_BUFFERS][BT_STAGING_BYTES] __attribute__((aligned(4)));
    uint8_t program[BT_PROGRAM_LIMIT] __attribute__((aligned(4)));
} bt_sim_memory;

typedef struct bt_sim {
    bt_link link;
    bt_host *host;
    bt_hal hal;
    bt_sim_memory *memory;
    bt_resident resident;
    uint32_t starts;
    pthread_t thread;
    bool running; /* the thread was started */
    _Atomic bool stopping;
} bt_sim;

static uint32_t address_of(const bt_sim *sim, const void *place) {
    return BT_SIM_L2_ADDRESS + (uint32_t)((const uint8_t *)place - (const uint8_t *)sim->memory);
}

static void *device_main(void *argument) {
    bt_sim *sim = argument;
    while (!atomic_load(&sim->stopping) && bt_host_damage(sim->host) == NULL) {
        if (!bt_resident_poll(&sim->resident)) {
            sim->hal.idle(sim->hal.context);
        }
    }
    return NULL;
}

static bt_status sim_stop(bt_link *link) {
    bt_sim *sim = (bt_sim *)link;
    if (sim->running) {
        atomic_store(&sim->stopping, true);
        bt_host_ring(sim->host);
        pthread_join(sim->thread, NULL);
        sim->running = false;
    }
    return BT_OK;
}

static bt_status sim_start(bt_link *link) {
    bt_sim *sim = (bt_sim *)link;
    BT_TRY(sim_stop(link));
    bt_resident_memory memory = {
        .mailbox = &sim->memory->mailbox,
        .records = sim->memory->records,
        .records_address = address_of(sim, sim->memory->records),
        .program = sim->memory->program,
        .program_bytes = BT_PROGRAM_LIMIT,
    };
    for (uint32_t i = 0; i < BT_STAGING_BUFFERS; i++) {
        memory.staging[i] = sim->memory->staging[i];
        memory.staging_address[i] = address_of(sim, sim->memory->staging[i]);
    }
    sim->starts++;
    sim->hal = bt_host_hal(sim->host);
    bt_resident_init(&sim->resident, &sim->hal, &memory, bt_version(), sim->starts);
    atomic_store(&sim->stopping, false);
    int error = pthread_create(&sim->thread, NULL, device_main, sim);
    if (error != 0) {
        BT_FAIL(BT_ERROR_IO, "Could not start the simulated device as a thread: %s.",
                strerror(error));
    }
    sim->running = true;
    link->mailbox_address = address_of(sim, &sim->memory->mailbox);
    return BT_OK;
}

static bt_status check_running(const bt_sim *sim) {
    const char *damage = bt_host_damage(sim->host);
    if (damage != NULL) {
        BT_FAIL(BT_ERROR_DEVICE,
                "The simulated device stopped: a command wrote outside the %s arena. This is "
                "a defect of a kernel or of the program's validator; please report it.",
                damage);
    }
    if (!sim->running) {
        BT_FAIL(BT_ERROR_STATE, "The simulated device is not running; start it first.");
    }
    return BT_OK;
}

/* Place of size bytes at address of a running device, or NULL with *status saying why not. */
static uint8_t *translate(const bt_sim *sim, uint32_t address, uint32_t size, bt_status *status) {
    uint32_t offset = address - BT_SIM_L2_ADDRESS;
    uint32_t limit = (uint32_t)sizeof(bt_sim_memory);
    uint8_t *base = (uint8_t *)sim->memory;
    *status = check_running(sim);
    if (*status != BT_OK) {
        return NULL;
    }
    if (offset >= limit) {
        offset -= limit;
        limit = sim->hal.arena_bytes[BT_LEVEL_L2];
        base = sim->hal.arena[BT_LEVEL_L2];
    }
    if (address % 4 != 0 || size % 4 != 0 || address < BT_SIM_L2_ADDRESS || size > limit ||
        offset > limit - size) {
        *status = bt_error_set(
            BT_ERROR_ARGUMENT,
            "%u bytes at 0x%08X of the simulated device are not aligned words of its L2, which "
            "begins at 0x%08X and ends at 0x%08X.",
            size, address, BT_SIM_L2_ADDRESS,
            BT_SIM_L2_ADDRESS + (uint32_t)sizeof(bt_sim_memory) +
                sim->hal.arena_bytes[BT_LEVEL_L2]);
        return NULL;
    }
    return base + offset;
}

static bool in_mailbox(const bt_sim *sim, const uint8_t *place) {
    return place >= (const uint8_t *)&sim->memory->mailbox &&
           place < (const uint8_t *)(&sim->memory->mailbox + 1);
}

static bt_status sim_read(bt_link *link, uint32_t address, void *to, uint32_t size) {
    bt_sim *sim = (bt_sim *)link;
    bt_status status;
    uint8_t *place = translate(sim, address, size, &status);
    if (place == NULL) {
        return status;
    }
    if (in_mailbox(sim, place)) {
        for (uint32_t i = 0; i < size; i += 4) {
            uint32_t word = bt_word_load((const uint32_t *)(const void *)(place + i));
            memcpy((uint8_t *)to + i, &word, 4);
        }
    } else {
        memcpy(to, place, size);
    }
    return BT_OK;
}

static bt_status sim_write(bt_link *link, uint32_t address, const void *from, uint32_t size) {
    bt_sim *sim = (bt_sim *)link;
    bt_status status;
    uint8_t *place = translate(sim, address, size, &status);
    if (place == NULL) {
        return status;
    }
    if (in_mailbox(sim, place)) {
        for (uint32_t i = 0; i < size; i += 4) {
            uint32_t word;
            memcpy(&word, (const uint8_t *)from + i, 4);
            bt_word_store((uint32_t *)(void *)(place + i), word);
        }
        bt_host_ring(sim->host);
    } else {
        memcpy(place, from, size);
    }
    return BT_OK;
}

static bt_link_state sim_state(bt_link *link) {
    const bt_sim *sim = (const bt_sim *)link;
    if (bt_host_damage(sim->host) != NULL) {
        return BT_LINK_LOST;
    }
    return sim->running ? BT_LINK_RUNNING : BT_LINK_STOPPED;
}

static bt_status sim_wait_change(bt_link *link, uint32_t address, uint32_t value,
                                 uint64_t timeout_ns) {
    bt_sim *sim = (bt_sim *)link;
    bt_status status;
    uint8_t *place = translate(sim, address, 4, &status);
    if (place == NULL) {
        return status;
    }
    bt_host_wait_change(sim->host, (const uint32_t *)(const void *)place, value, timeout_ns);
    return check_running(sim);
}

static void sim_close(bt_link *link) {
    bt_sim *sim = (bt_sim *)link;
    sim_stop(link);
    bt_host_free(sim->host);
    free(sim->memory);
    free(sim);
}

static const bt_link_operations operations = {
    .load = NULL,
    .start = sim_start,
    .stop = sim_stop,
    .read = sim_read,
    .write = sim_write,
    .state = sim_state,
    .wait_change = sim_wait_change,
    .close = sim_close,
};

static bt_status sim_configure(bt_sim *sim, const bt_uri *uri) {
    static const char *const known[] = {"target", "cores", NULL};
    const char *target = bt_uri_option(uri, "target");
    if (*uri->path != '\0') {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "sim: takes options only, but \"%s\" follows it; write sim:?target=gap9.",
                uri->path);
    }
    BT_TRY(bt_uri_check_options(uri, known));
    BT_TRY_CONTEXT(bt_target_find(target == NULL ? "gap9" : target, &sim->link.target),
                   "Opening a sim: device.");
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t cores = sim->link.target.cores;
    if (processors > 0 && (uint32_t)processors < cores) {
        cores = (uint32_t)processors;
    }
    BT_TRY(bt_uri_number(uri, "cores", 1, BT_SIM_MAX_CORES, &cores));
    sim->link.target.cores = cores;
    BT_TRY(bt_host_create(&sim->link.target, cores, &sim->host));
    strncpy(sim->link.kernels, bt_host_kernels(sim->host), sizeof sim->link.kernels - 1);
    sim->memory = calloc(1, sizeof *sim->memory);
    if (sim->memory == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a simulated device.");
    }
    return BT_OK;
}

bt_status bt_link_open_sim(const bt_uri *uri, const bt_device_options *options, bt_link **out) {
    (void)options; /* the firmware is built in */
    bt_sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a simulated device.");
    }
    sim->link.operations = &operations;
    sim->link.name = "sim";
    sim->link.timeout_ms = BT_SIM_TIMEOUT_MS;
    bt_status status = sim_configure(sim, uri);
    if (status != BT_OK) {
        sim_close(&sim->link);
        return status;
    }
    *out = &sim->link;
    return BT_OK;
}
