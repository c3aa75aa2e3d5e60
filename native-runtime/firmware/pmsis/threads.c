#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_FIXED_NOREPLACE */

#include "threads.h"

#include "bsp/bsp.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 8u
#define CONTROLLER 8u
#define FABRIC 9u

/* GAP9's memory map; where the host has something else at an address, another one is taken. */
#define L1_ADDRESS 0x10000000u
#define L1_BYTES 0x20000u
#define L1_OWN_BYTES 0xF0u /* the driver's globals */
#define L2_ADDRESS 0x1C010000u
#define L2_BYTES 0x180000u
#define L2_OWN_BYTES 0x50000u /* for code, globals and the operating system */
#define STACK_BYTES                                                                                \
    0x100000u /* of the fabric controller; more than a chip's, for the host's code */
#define RAM_ADDRESS 0x80000000u
#define RAM_OWN_BYTES 16u

#define GUARD 0x6B6B6B6B6B6B6B6Bull
#define CHUNKS 16u
#define DMA_COMMANDS 16u
#define DMA_LIMIT 131072u
#define DMA_STRIDE_LIMIT 65536u
#define RAM_REQUESTS 16u
#define EVENT_READY 0x45565431u
#define EVENT_BUSY 0x45565432u

/* A memory from which chunks are taken and never given back; a guard word follows every chunk. */
typedef struct heap {
    const char *name;
    uint8_t *begin;
    uint32_t bytes;
    uint32_t used;
    uint8_t *guard[CHUNKS];
    uint32_t count;
} heap;

typedef struct ram_copy {
    const void *owner; /* event or request; NULL: free */
    uint32_t address;
    uint8_t *data;
    uint32_t size, stride, length;
    bool to_chip;
} ram_copy;

static struct {
    uint32_t workers;
    heap l1, l2;
    uint8_t *ram;
    uint32_t ram_bytes, ram_used;
    uint8_t *fabric_stack;
    uint32_t millivolts, hz[4];
    bool open;     /* the cluster */
    bool ram_open; /* the external memory */
    struct pi_cluster_task *task;
    void (*fork)(void *argument);
    void *fork_argument;
    uint32_t fork_cores;
    uint32_t tasks, tasks_done; /* numbers; protected by lock, as is all below */
    uint32_t forks, finished;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_barrier_t team;
    const pi_cl_dma_cmd_t *dma[DMA_COMMANDS]; /* under way */
    pi_cl_dma_dir_e dma_direction[DMA_COMMANDS];
    ram_copy copies[RAM_REQUESTS]; /* under way */
} m = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static _Thread_local uint32_t core = FABRIC;
static _Thread_local bool in_fork;

static void violation(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void violation(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "PMSIS: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    _exit(PMSIS_THREADS_VIOLATION);
}

static void on_fabric(const char *call) {
    if (core != FABRIC) {
        violation("%s is for the fabric controller, but core %u called it.", call, core);
    }
}

static void on_cluster(const char *call) {
    if (core == FABRIC) {
        violation("%s is for the cluster, but the fabric controller called it.", call);
    }
}

/* ------------------------------------------------------------------------------------- memory */

static uint8_t *map_low(uint32_t wanted, uint32_t bytes, int protection) {
    for (uint64_t address = wanted; address + bytes <= 0x80000000u; address += 0x1000000u) {
        void *place = mmap((void *)(uintptr_t)address, bytes, protection,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (place == (void *)(uintptr_t)address) {
            return place;
        }
        if (place != MAP_FAILED) {
            munmap(place, bytes);
        }
    }
    violation("the host has no room for %u bytes below 2 GiB.", bytes);
}

static void make_noise(uint8_t *begin, uint32_t bytes) {
    uint64_t state = 1;
    if (getrandom(&state, sizeof state, 0) < 0) {
        state = (uint64_t)time(NULL);
    }
    for (uint32_t i = 0; i + 8 <= bytes; i += 8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(begin + i, &state, 8);
    }
}

static void *take(heap *from, uint32_t size) {
    const uint64_t guard = GUARD;
    uint32_t needed = (size + 7u) / 8u * 8u + (uint32_t)sizeof guard;
    if (size == 0 || from->count == CHUNKS || needed < size || needed > from->bytes - from->used) {
        return NULL;
    }
    uint8_t *chunk = from->begin + from->used;
    from->used += needed;
    from->guard[from->count] = chunk + (size + 7u) / 8u * 8u;
    memcpy(from->guard[from->count++], &guard, sizeof guard);
    return chunk;
}

static void check_guards(const heap *of) {
    const uint64_t guard = GUARD;
    for (uint32_t i = 0; i < of->count; i++) {
        if (memcmp(of->guard[i], &guard, sizeof guard) != 0) {
            violation("something wrote behind chunk %u of %s.", i, of->name);
        }
    }
}

static bool inside(uintptr_t at, uint64_t bytes, uintptr_t begin, uint64_t size) {
    return at >= begin && bytes <= size && at - begin <= size - bytes;
}

static bool in_l1(uintptr_t at, uint64_t bytes) {
    return inside(at, bytes, (uintptr_t)m.l1.begin, m.l1.used);
}

/* Taken from the heap, a global, or on the fabric controller's stack. */
static bool in_l2(uintptr_t at, uint64_t bytes) {
    extern char __executable_start[], end[];
    return inside(at, bytes, (uintptr_t)m.l2.begin, m.l2.used) ||
           inside(at, bytes, (uintptr_t)__executable_start,
                  (uintptr_t)end - (uintptr_t)__executable_start) ||
           inside(at, bytes, (uintptr_t)m.fabric_stack, STACK_BYTES);
}

void *pi_l2_malloc(int32_t size) {
    on_fabric("pi_l2_malloc");
    return take(&m.l2, (uint32_t)size);
}

void *pi_cl_l1_malloc(pi_device_t *cluster, uint32_t size) {
    (void)cluster;
    if (!m.open) {
        violation("pi_cl_l1_malloc of %u bytes, but the cluster is not open.", size);
    }
    return take(&m.l1, size);
}

/* ----------------------------------------------------------------------------- clock and power */

static uint32_t max_frequency(uint32_t millivolts) {
    return (millivolts == 650   ? 240u
            : millivolts == 700 ? 280u
            : millivolts == 750 ? 325u
                                : 370u) *
           1000000u;
}

int32_t pi_freq_set(pi_freq_domain_e domain, uint32_t frequency) {
    on_fabric("pi_freq_set");
    if (domain == PI_FREQ_DOMAIN_CL && !m.open) {
        violation("pi_freq_set of the cluster before pi_cluster_open, which sets it again.");
    }
    if (frequency > max_frequency(m.millivolts)) {
        return -1;
    }
    m.hz[domain] = frequency;
    return 0;
}

uint32_t pi_freq_get(pi_freq_domain_e domain) { return m.hz[domain]; }

int32_t pi_pmu_voltage_set(pi_pmu_voltage_domain_e domain, uint32_t millivolts) {
    (void)domain;
    on_fabric("pi_pmu_voltage_set");
    if (millivolts != 650 && millivolts != 700 && millivolts != 750 && millivolts != 800) {
        return -1;
    }
    for (uint32_t i = 0; i < 4; i++) {
        if (m.hz[i] > max_frequency(millivolts)) {
            return -2;
        }
    }
    m.millivolts = millivolts;
    return 0;
}

void pi_time_wait_us(uint32_t microseconds) {
    on_fabric("pi_time_wait_us");
    const struct timespec pause = {microseconds / 1000000u, (long)(microseconds % 1000000u) * 1000};
    nanosleep(&pause, NULL);
}

uint64_t pi_time_get_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* ---------------------------------------------------------------------------- external memory */

void pi_open_from_conf(pi_device_t *device, void *conf) {
    device->config = conf;
    device->data = NULL;
}

void pi_default_ram_conf_init(struct pi_default_ram_conf *conf) {
    memset(conf, 0, sizeof *conf);
    conf->ram_size = (int)m.ram_bytes;
}

int32_t pi_ram_open(struct pi_device *device) {
    on_fabric("pi_ram_open");
    const struct pi_default_ram_conf *conf = device->config;
    if (conf == NULL || conf->ram_size != (int)m.ram_bytes) {
        violation("pi_ram_open without a configuration from pi_default_ram_conf_init.");
    }
    m.ram_open = true;
    m.ram_used = RAM_OWN_BYTES;
    return 0;
}

int pi_ram_alloc(struct pi_device *device, uint32_t *address, uint32_t size) {
    (void)device;
    on_fabric("pi_ram_alloc");
    if (!m.ram_open) {
        violation("pi_ram_alloc, but the external memory is not open.");
    }
    if (size > m.ram_bytes - m.ram_used) {
        return -1;
    }
    *address = RAM_ADDRESS + m.ram_used;
    m.ram_used += size;
    return 0;
}

static void check_ram(const char *call, const ram_copy *copy) {
    uint64_t rows = copy->length == 0 ? 0 : copy->size / copy->length;
    if (copy->size == 0 || rows == 0 || copy->size % copy->length != 0) {
        violation("%s of %u bytes in pieces of %u.", call, copy->size, copy->length);
    }
    uint64_t extent = (rows - 1) * copy->stride + copy->length;
    if (((uintptr_t)copy->data | copy->address | copy->size | copy->length) % 4 != 0) {
        violation("%s of %u bytes between address 0x%08X and %p: the micro-DMA moves whole words.",
                  call, copy->size, copy->address, (void *)copy->data);
    }
    if (!in_l2((uintptr_t)copy->data, copy->size)) {
        violation("%s with %u bytes at %p, which is not in L2: the micro-DMA reaches nothing else.",
                  call, copy->size, (void *)copy->data);
    }
    if (!m.ram_open ||
        !inside(copy->address, extent, RAM_ADDRESS + RAM_OWN_BYTES, m.ram_used - RAM_OWN_BYTES)) {
        violation("%s of %llu bytes at address 0x%08X of the external memory, which were not "
                  "allocated.",
                  call, (unsigned long long)extent, copy->address);
    }
}

static void do_ram_copy(const ram_copy *copy) {
    uint8_t *ram = m.ram + (copy->address - RAM_ADDRESS);
    for (uint32_t done = 0; done < copy->size; done += copy->length) {
        memcpy(copy->to_chip ? copy->data + done : ram, copy->to_chip ? ram : copy->data + done,
               copy->length);
        ram += copy->stride;
    }
}

static ram_copy *find_copy(const void *owner) {
    for (uint32_t i = 0; i < RAM_REQUESTS; i++) {
        if (m.copies[i].owner == owner) {
            return &m.copies[i];
        }
    }
    return NULL;
}

static void start_copy(const char *call, const ram_copy *copy) {
    check_ram(call, copy);
    if (find_copy(copy->owner) != NULL) {
        violation("%s with a request that is under way; wait for it first.", call);
    }
    ram_copy *place = find_copy(NULL);
    if (place == NULL) {
        violation("%s while %u copies are under way.", call, RAM_REQUESTS);
    }
    *place = *copy;
}

static void finish_copy(const char *call, const void *owner) {
    ram_copy *copy = find_copy(owner);
    if (copy == NULL) {
        violation("%s for nothing: no copy of that request is under way.", call);
    }
    do_ram_copy(copy);
    copy->owner = NULL;
}

void pi_ram_write(struct pi_device *device, uint32_t address, void *data, uint32_t size) {
    (void)device;
    on_fabric("pi_ram_write");
    const ram_copy copy = {NULL, address, data, size, size, size, false};
    check_ram("pi_ram_write", &copy);
    do_ram_copy(&copy);
}

void pi_ram_read_async(struct pi_device *device, uint32_t address, void *data, uint32_t size,
                       pi_evt_t *event) {
    (void)device;
    on_fabric("pi_ram_read_async");
    if (event->data[0] == EVENT_BUSY) {
        violation("pi_ram_read_async with an event that is under way; wait for it first.");
    }
    if (event->data[0] != EVENT_READY) {
        violation("pi_ram_read_async with an event that pi_evt_sig_init has not prepared.");
    }
    event->data[0] = EVENT_BUSY;
    start_copy("pi_ram_read_async", &(ram_copy){event, address, data, size, size, size, true});
}

pi_evt_t *pi_evt_sig_init(pi_evt_t *event) {
    if (find_copy(event) != NULL) {
        violation("pi_evt_sig_init of an event that is under way; wait for it first.");
    }
    event->data[0] = EVENT_READY;
    return event;
}

void pi_evt_wait(pi_evt_t *event) {
    on_fabric("pi_evt_wait");
    finish_copy("pi_evt_wait", event);
    event->data[0] = 0;
}

void pi_cl_ram_copy_2d(struct pi_device *device, uint32_t address, void *data, uint32_t size,
                       uint32_t stride, uint32_t length, int ext2loc, pi_cl_ram_req_t *request) {
    (void)device;
    on_cluster("pi_cl_ram_copy_2d");
    start_copy("pi_cl_ram_copy_2d",
               &(ram_copy){request, address, data, size, stride, length, ext2loc != 0});
}

void pi_cl_ram_copy_wait(pi_cl_ram_req_t *request) {
    on_cluster("pi_cl_ram_copy_wait");
    finish_copy("pi_cl_ram_copy_wait", request);
}

/* ------------------------------------------------------------------------------ cluster's DMA */

static uint32_t find_command(const pi_cl_dma_cmd_t *command) {
    uint32_t i = 0;
    while (i < DMA_COMMANDS && m.dma[i] != command) {
        i++;
    }
    return i;
}

static void check_command(const char *call, const pi_cl_dma_cmd_t *command) {
    uint32_t size = command->size, length = command->length;
    if (size == 0 || size >= DMA_LIMIT) {
        violation("%s of %u bytes: a command carries at least 1 and less than %u.", call, size,
                  DMA_LIMIT);
    }
    if (length == 0 || size % length != 0 || command->stride >= DMA_STRIDE_LIMIT) {
        violation("%s of %u bytes in pieces of %u with a stride of %u.", call, size, length,
                  command->stride);
    }
    uint64_t extent = (uint64_t)(size / length - 1) * command->stride + length;
    if (!in_l1(command->loc, size)) {
        violation("%s with %u bytes at 0x%08X as its L1 side, which is not memory of L1 that was "
                  "allocated.",
                  call, size, command->loc);
    }
    if (!in_l2(command->ext, extent)) {
        violation("%s with %llu bytes at 0x%08X as its external side, which is not in L2.", call,
                  (unsigned long long)extent, command->ext);
    }
}

static void start_command(const char *call, pi_cl_dma_cmd_t *command, pi_cl_dma_cmd_t value,
                          pi_cl_dma_dir_e direction) {
    on_cluster(call);
    if (find_command(command) < DMA_COMMANDS) {
        violation("%s with a command that is under way; wait for it first.", call);
    }
    check_command(call, &value);
    uint32_t place = find_command(NULL);
    if (place == DMA_COMMANDS) {
        violation("%s while %u commands are under way.", call, DMA_COMMANDS);
    }
    *command = value;
    m.dma[place] = command;
    m.dma_direction[place] = direction;
}

void pi_cl_dma_cmd(uint32_t ext, uint32_t loc, uint32_t size, pi_cl_dma_dir_e direction,
                   pi_cl_dma_cmd_t *command) {
    start_command("pi_cl_dma_cmd", command,
                  (pi_cl_dma_cmd_t){.size = size, .length = size, .loc = loc, .ext = ext},
                  direction);
}

void pi_cl_dma_cmd_2d(uint32_t ext, uint32_t loc, uint32_t size, uint32_t stride, uint32_t length,
                      pi_cl_dma_dir_e direction, pi_cl_dma_cmd_t *command) {
    start_command(
        "pi_cl_dma_cmd_2d", command,
        (pi_cl_dma_cmd_t){.size = size, .stride = stride, .length = length, .loc = loc, .ext = ext},
        direction);
}

void pi_cl_dma_cmd_wait(pi_cl_dma_cmd_t *command) {
    on_cluster("pi_cl_dma_cmd_wait");
    uint32_t place = find_command(command);
    if (place == DMA_COMMANDS) {
        violation("pi_cl_dma_cmd_wait for a command that is not under way.");
    }
    uint8_t *near = (uint8_t *)(uintptr_t)command->loc;
    uint8_t *far = (uint8_t *)(uintptr_t)command->ext;
    bool to_l1 = m.dma_direction[place] == PI_CL_DMA_DIR_EXT2LOC;
    for (uint32_t done = 0; done < command->size; done += command->length) {
        memcpy(to_l1 ? near : far, to_l1 ? far : near, command->length);
        near += command->length;
        far += command->stride;
    }
    m.dma[place] = NULL;
}

/* ------------------------------------------------------------------------------------ cluster */

uint32_t pi_core_id(void) { return core; }

/* What a worker's first frames do to its stack. */
static void use_stack(uint32_t worker) {
    uint8_t *top = (uint8_t *)m.task->stacks + (worker + 1u) * m.task->slave_stack_size;
    memset(top - PMSIS_THREADS_FRAME_BYTES, 0xA5, PMSIS_THREADS_FRAME_BYTES);
}

static void *worker_main(void *argument) {
    uint32_t seen = 0;
    core = (uint32_t)(uintptr_t)argument;
    for (;;) {
        pthread_mutex_lock(&m.lock);
        while (m.forks == seen) {
            pthread_cond_wait(&m.changed, &m.lock);
        }
        seen = m.forks;
        bool member = core < m.fork_cores;
        pthread_mutex_unlock(&m.lock);
        if (member) {
            use_stack(core);
            in_fork = true;
            m.fork(m.fork_argument);
            in_fork = false;
            pthread_mutex_lock(&m.lock);
            m.finished++;
            pthread_cond_broadcast(&m.changed);
            pthread_mutex_unlock(&m.lock);
        }
    }
    return NULL;
}

void pi_cl_team_fork(int cores, void (*entry)(void *argument), void *argument) {
    if (core != CONTROLLER) {
        violation("pi_cl_team_fork on core %u: only the cluster's controller forks.", core);
    }
    uint32_t count = cores == 0 ? (uint32_t)m.task->nb_cores : (uint32_t)cores;
    if (count > (uint32_t)m.task->nb_cores) {
        violation("pi_cl_team_fork to %u cores, but the task has %d.", count, m.task->nb_cores);
    }
    pthread_barrier_init(&m.team, NULL, count);
    pthread_mutex_lock(&m.lock);
    m.fork = entry;
    m.fork_argument = argument;
    m.fork_cores = count;
    m.finished = 0;
    m.forks++;
    pthread_cond_broadcast(&m.changed);
    while (m.finished < count) {
        pthread_cond_wait(&m.changed, &m.lock);
    }
    pthread_mutex_unlock(&m.lock);
    pthread_barrier_destroy(&m.team);
}

void pi_cl_team_barrier(void) {
    if (!in_fork) {
        violation("pi_cl_team_barrier on core %u outside a fork.", core);
    }
    pthread_barrier_wait(&m.team);
}

/* A task leaves nothing under way and stays within its memory. */
static void check_idle(void) {
    for (uint32_t i = 0; i < DMA_COMMANDS; i++) {
        if (m.dma[i] != NULL) {
            violation("a task ended with a DMA command of %u bytes under way; wait for it.",
                      m.dma[i]->size);
        }
    }
    for (uint32_t i = 0; i < RAM_REQUESTS; i++) {
        if (m.copies[i].owner != NULL) {
            violation("a task ended with a copy of %u bytes of external memory under way; wait "
                      "for it.",
                      m.copies[i].size);
        }
    }
    check_guards(&m.l1);
    check_guards(&m.l2);
}

static void *controller_main(void *argument) {
    (void)argument;
    uint32_t seen = 0;
    core = CONTROLLER;
    for (;;) {
        pthread_mutex_lock(&m.lock);
        while (m.tasks == seen) {
            pthread_cond_wait(&m.changed, &m.lock);
        }
        seen = m.tasks;
        pthread_mutex_unlock(&m.lock);
        m.task->entry(m.task->arg);
        check_idle();
        pthread_mutex_lock(&m.lock);
        m.tasks_done = seen;
        pthread_cond_broadcast(&m.changed);
        pthread_mutex_unlock(&m.lock);
    }
    return NULL;
}

void pi_cluster_conf_init(struct pi_cluster_conf *conf) {
    *conf = (struct pi_cluster_conf){.id = 0, .cc_stack_size = 0x800, .icache_conf = 1};
}

static void start_thread(void *(*body)(void *), uint32_t number) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, (void *)(uintptr_t)number) != 0) {
        violation("the host could not start core %u as a thread.", number);
    }
    pthread_detach(thread);
}

int32_t pi_cluster_open(pi_device_t *cluster) {
    on_fabric("pi_cluster_open");
    const struct pi_cluster_conf *conf = cluster->config;
    if (conf == NULL || conf->id != 0 || conf->cc_stack_size == 0) {
        violation("pi_cluster_open without a configuration from pi_cluster_conf_init.");
    }
    if (m.open) {
        return 0;
    }
    uint64_t own = (uint64_t)L1_OWN_BYTES + conf->cc_stack_size + conf->scratch_size;
    if (own > L1_BYTES) {
        return -1;
    }
    mprotect(m.l1.begin, L1_BYTES, PROT_READ | PROT_WRITE);
    make_noise(m.l1.begin, L1_BYTES);
    m.l1.begin += own;
    m.l1.bytes = L1_BYTES - (uint32_t)own;
    m.open = true;
    m.hz[PI_FREQ_DOMAIN_CL] = 50000000u;
    start_thread(controller_main, CONTROLLER);
    for (uint32_t worker = 0; worker < m.workers; worker++) {
        start_thread(worker_main, worker);
    }
    return 0;
}

struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task, void (*entry)(void *argument),
                                        void *argument) {
    *task = (struct pi_cluster_task){
        .entry = entry, .arg = argument, .slave_stack_size = 1024, .nb_cores = (int)m.workers};
    return task;
}

struct pi_cluster_task *pi_cluster_task_stacks(struct pi_cluster_task *task, void *stacks,
                                               int stack_size) {
    task->stacks = stacks;
    task->slave_stack_size = (uint32_t)stack_size;
    return task;
}

int pi_cluster_send_task_to_cl(pi_device_t *cluster, struct pi_cluster_task *task) {
    (void)cluster;
    on_fabric("pi_cluster_send_task_to_cl");
    if (!m.open) {
        violation("pi_cluster_send_task_to_cl, but the cluster is not open.");
    }
    if (task->nb_cores < 1 || (uint32_t)task->nb_cores > m.workers) {
        violation("a task for %d cores, but the cluster has %u workers.", task->nb_cores,
                  m.workers);
    }
    uint32_t stacks = (uint32_t)task->nb_cores * task->slave_stack_size;
    if (task->stacks == NULL) {
        task->stacks = take(&m.l1, stacks);
        if (task->stacks == NULL) {
            return -1;
        }
    }
    if (task->slave_stack_size < PMSIS_THREADS_FRAME_BYTES ||
        !in_l1((uintptr_t)task->stacks, stacks)) {
        violation("a task whose %d stacks of %u bytes at %p are not memory of L1 that was "
                  "allocated.",
                  task->nb_cores, task->slave_stack_size, task->stacks);
    }
    pthread_mutex_lock(&m.lock);
    m.task = task;
    m.tasks++;
    pthread_cond_broadcast(&m.changed);
    while (m.tasks_done != m.tasks) {
        pthread_cond_wait(&m.changed, &m.lock);
    }
    pthread_mutex_unlock(&m.lock);
    return 0;
}

/* ------------------------------------------------------------------------------------ machine */

static void *fabric_main(void *argument) {
    int (*firmware)(void);
    memcpy(&firmware, &argument, sizeof firmware);
    return (void *)(intptr_t)firmware();
}

int pmsis_threads_run(uint32_t workers, uint32_t ram_bytes, int (*firmware)(void)) {
    pthread_attr_t attributes;
    pthread_t fabric;
    void *argument, *result;
    m.workers = workers;
    m.ram_bytes = ram_bytes;
    m.millivolts = 800;
    m.hz[PI_FREQ_DOMAIN_FC] = 50000000u;
    m.hz[PI_FREQ_DOMAIN_PERIPH] = 160000000u;
    m.l1 = (heap){.name = "L1", .begin = map_low(L1_ADDRESS, L1_BYTES, PROT_NONE)};
    m.l2 = (heap){.name = "L2", .bytes = L2_BYTES - L2_OWN_BYTES};
    m.l2.begin = map_low(L2_ADDRESS + L2_OWN_BYTES, m.l2.bytes, PROT_READ | PROT_WRITE);
    make_noise(m.l2.begin, m.l2.bytes);
    m.fabric_stack = map_low(0x30000000u, STACK_BYTES, PROT_READ | PROT_WRITE);
    m.ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (workers < 1 || workers > MAX_WORKERS || m.ram == MAP_FAILED) {
        violation("a machine with %u workers and %u bytes of external memory cannot be made; "
                  "workers are 1 to 8.",
                  workers, ram_bytes);
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, m.fabric_stack, STACK_BYTES);
    memcpy(&argument, &firmware, sizeof argument);
    if (pthread_create(&fabric, &attributes, fabric_main, argument) != 0) {
        violation("the host could not start the fabric controller as a thread.");
    }
    pthread_join(fabric, &result);
    return (int)(intptr_t)result;
}
