#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "hal/host.h"

#include "base/error.h"
#include "link/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BT_GUARD_BYTES 512u
#define BT_GUARD_PATTERN 0x5Bu
/* Transfers of the cluster's DMA under way at most; all are then done first. */
#define BT_DMA_QUEUE 64u
/* Turns of the waiting loop before a core sleeps: about 20 microseconds. */
#define BT_SPIN_TURNS 400u

static const char *const level_names[BT_LEVEL_COUNT] = {"L1", "L2", "L3"};

/* Guard, arena, guard; pages are committed when they are touched. */
typedef struct bt_arena {
    uint8_t *mapping;
    size_t mapped_bytes;
    uint8_t *begin;
    uint32_t bytes;
} bt_arena;

/* A counter that cores wait for: they spin for a while, then sleep. */
typedef struct bt_signal {
    _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} bt_signal;

typedef struct bt_worker {
    bt_host *host;
    uint32_t core;
    pthread_t thread;
} bt_worker;

struct bt_host {
    bt_arena arena[BT_LEVEL_COUNT];
    const bt_kernel_fn *kernels;
    const char *kernels_name;
    uint32_t cores;
    uint32_t spin_turns;
    uint32_t started; /* worker threads */
    bt_worker *workers;
    bt_signal work;  /* counts runs */
    bt_signal phase; /* counts barriers */
    _Atomic uint32_t arrived;
    bool closing;
    bt_core_fn fn;
    void *argument;
    struct {
        const uint8_t *from; /* NULL: no transfer is under way */
        void *to;
        uint32_t bytes;
    } transfer;
    bt_dma dma[BT_DMA_QUEUE];
    uint32_t dma_count;
    pthread_mutex_t doorbell;
    pthread_cond_t rung;     /* by the link, for the device */
    pthread_cond_t notified; /* by the device, for the link */
    uint32_t rings;
    uint32_t rings_seen;
    _Atomic(const char *) damage; /* name of an arena that was written outside its bounds */
};

/* --------------------------------------------------------------------------------- signals */

static void signal_init(bt_signal *signal) {
    atomic_init(&signal->value, 0);
    atomic_init(&signal->sleepers, 0);
    pthread_mutex_init(&signal->mutex, NULL);
    pthread_cond_init(&signal->changed, NULL);
}

static void signal_destroy(bt_signal *signal) {
    pthread_cond_destroy(&signal->changed);
    pthread_mutex_destroy(&signal->mutex);
}

static void signal_raise(bt_signal *signal) {
    atomic_fetch_add(&signal->value, 1);
    /* Either this sees the sleeper, or the sleeper, who counts itself first, sees the new value. */
    if (atomic_load(&signal->sleepers) > 0) {
        pthread_mutex_lock(&signal->mutex);
        pthread_cond_broadcast(&signal->changed);
        pthread_mutex_unlock(&signal->mutex);
    }
}

static void pause_core(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void signal_wait(bt_signal *signal, uint32_t old, uint32_t turns) {
    while (turns > 0) {
        if (atomic_load_explicit(&signal->value, memory_order_acquire) != old) {
            return;
        }
        pause_core();
        turns--;
    }
    pthread_mutex_lock(&signal->mutex);
    atomic_fetch_add(&signal->sleepers, 1);
    while (atomic_load(&signal->value) == old) {
        pthread_cond_wait(&signal->changed, &signal->mutex);
    }
    atomic_fetch_sub(&signal->sleepers, 1);
    pthread_mutex_unlock(&signal->mutex);
}

/* ---------------------------------------------------------------------------------- guards */

static bool guard_intact(const uint8_t *guard) {
    for (uint32_t i = 0; i < BT_GUARD_BYTES; i++) {
        if (guard[i] != BT_GUARD_PATTERN) {
            return false;
        }
    }
    return true;
}

static void check_guards(bt_host *host) {
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        const bt_arena *arena = &host->arena[level];
        if (!guard_intact(arena->mapping) || !guard_intact(arena->begin + arena->bytes)) {
            atomic_store(&host->damage, level_names[level]);
        }
    }
}

const char *bt_host_damage(const bt_host *host) { return atomic_load(&host->damage); }

/* ----------------------------------------------------------------------------------- cores */

static void barrier(void *context) {
    bt_host *host = context;
    uint32_t phase = atomic_load(&host->phase.value);
    if (atomic_fetch_add(&host->arrived, 1) + 1 == host->cores) {
        atomic_store(&host->arrived, 0);
        signal_raise(&host->phase);
    } else {
        signal_wait(&host->phase, phase, host->spin_turns);
    }
}

static bt_team team_of(bt_host *host, uint32_t core) {
    return (bt_team){.core = core, .cores = host->cores, .barrier = barrier, .context = host};
}

static void *worker_main(void *argument) {
    bt_worker *worker = argument;
    bt_host *host = worker->host;
    bt_team team = team_of(host, worker->core);
    uint32_t runs = 0;
    for (;;) {
        signal_wait(&host->work, runs, host->spin_turns);
        runs++;
        if (host->closing) {
            return NULL;
        }
        host->fn(host->argument, &team);
        barrier(host);
    }
}

static void run_on_cores(void *context, bt_core_fn fn, void *argument) {
    bt_host *host = context;
    bt_team team = team_of(host, 0);
    if (host->cores > 1) {
        host->fn = fn;
        host->argument = argument;
        signal_raise(&host->work);
    }
    fn(argument, &team);
    if (host->cores > 1) {
        barrier(host);
    }
    check_guards(host);
}

static bt_status start_workers(bt_host *host) {
    host->workers = calloc(host->cores, sizeof *host->workers);
    if (host->workers == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for %u cores.", host->cores);
    }
    while (host->started + 1 < host->cores) {
        bt_worker *worker = &host->workers[host->started];
        worker->host = host;
        worker->core = host->started + 1;
        int error = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (error != 0) {
            BT_FAIL(BT_ERROR_IO, "Could not start core %u of %u as a thread: %s.", worker->core,
                    host->cores, strerror(error));
        }
        host->started++;
    }
    return BT_OK;
}

/* -------------------------------------------------------------------------------- doorbell */

static void doorbell_init(bt_host *host) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&host->doorbell, NULL);
    pthread_cond_init(&host->rung, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&host->notified, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void doorbell_destroy(bt_host *host) {
    pthread_cond_destroy(&host->notified);
    pthread_cond_destroy(&host->rung);
    pthread_mutex_destroy(&host->doorbell);
}

static void idle(void *context) {
    bt_host *host = context;
    pthread_mutex_lock(&host->doorbell);
    while (host->rings == host->rings_seen) {
        pthread_cond_wait(&host->rung, &host->doorbell);
    }
    host->rings_seen = host->rings;
    pthread_mutex_unlock(&host->doorbell);
}

void bt_host_ring(bt_host *host) {
    pthread_mutex_lock(&host->doorbell);
    host->rings++;
    pthread_cond_signal(&host->rung);
    pthread_mutex_unlock(&host->doorbell);
}

static void notify(void *context) {
    bt_host *host = context;
    pthread_mutex_lock(&host->doorbell);
    pthread_cond_broadcast(&host->notified);
    pthread_mutex_unlock(&host->doorbell);
}

void bt_host_wait_change(bt_host *host, const uint32_t *word, uint32_t value, uint64_t timeout_ns) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(timeout_ns / 1000000000u);
    end.tv_nsec += (long)(timeout_ns % 1000000000u);
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&host->doorbell);
    while (bt_word_load(word) == value &&
           pthread_cond_timedwait(&host->notified, &host->doorbell, &end) == 0) {
    }
    pthread_mutex_unlock(&host->doorbell);
}

/* ---------------------------------------------------------------------------------- arenas */

static bt_status arena_map(bt_arena *arena, uint32_t level, uint32_t bytes) {
    size_t size = 2 * (size_t)BT_GUARD_BYTES + bytes;
    void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        BT_FAIL(BT_ERROR_MEMORY, "Could not reserve %u bytes for the %s arena: %s.", bytes,
                level_names[level], strerror(errno));
    }
    arena->mapping = mapping;
    arena->mapped_bytes = size;
    arena->begin = arena->mapping + BT_GUARD_BYTES;
    arena->bytes = bytes;
    memset(arena->mapping, BT_GUARD_PATTERN, BT_GUARD_BYTES);
    memset(arena->begin + bytes, BT_GUARD_PATTERN, BT_GUARD_BYTES);
    return BT_OK;
}

/* Where a transfer with L3 begins, or NULL if it leaves the arena. */
static uint8_t *l3_range(bt_host *host, uint32_t offset, uint32_t bytes) {
    const bt_arena *arena = &host->arena[BT_LEVEL_L3];
    if (bytes > arena->bytes || offset > arena->bytes - bytes) {
        atomic_store(&host->damage, level_names[BT_LEVEL_L3]);
        return NULL;
    }
    return arena->begin + offset;
}

/* The bytes move in l3_wait: who reads them before it sees what was there. */
static void l3_start(void *context, uint32_t offset, void *to, uint32_t bytes) {
    bt_host *host = context;
    host->transfer.from = l3_range(host, offset, bytes);
    host->transfer.to = to;
    host->transfer.bytes = bytes;
}

static void l3_wait(void *context) {
    bt_host *host = context;
    if (host->transfer.from != NULL) {
        memcpy(host->transfer.to, host->transfer.from, host->transfer.bytes);
        host->transfer.from = NULL;
    }
}

static void l3_write(void *context, uint32_t offset, const void *from, uint32_t bytes) {
    uint8_t *to = l3_range(context, offset, bytes);
    if (to != NULL) {
        memcpy(to, from, bytes);
    }
}

/* Whether a transfer stays inside both arenas and what one command can carry. */
static bool dma_fits(const bt_host *host, const bt_dma *dma) {
    const bt_arena *l1 = &host->arena[BT_LEVEL_L1];
    const bt_arena *far = &host->arena[dma->level];
    uint64_t bytes = (uint64_t)dma->rows * dma->row_bytes;
    uint64_t end = dma->offset + (uint64_t)(dma->rows - 1) * dma->stride + dma->row_bytes;
    uint64_t at = (uint64_t)((const uint8_t *)dma->l1 - l1->begin);
    return bytes <= BT_TRANSFER_MAX_BYTES && at <= l1->bytes && bytes <= l1->bytes - at &&
           end <= far->bytes;
}

static void dma_copy(bt_host *host, const bt_dma *dma) {
    uint8_t *far = host->arena[dma->level].begin + dma->offset;
    uint8_t *near = dma->l1;
    if (!dma_fits(host, dma)) {
        atomic_store(&host->damage, level_names[dma->level]);
        return;
    }
    for (uint32_t row = 0; row < dma->rows; row++) {
        memcpy(dma->to_l1 ? near : far, dma->to_l1 ? far : near, dma->row_bytes);
        near += dma->row_bytes;
        far += dma->stride;
    }
}

/* As late as possible, latest first: a program that touches either side before it waits, or relies
 * on an order of transfers, gives other results than one that moves bytes at once. */
static void dma_wait(void *context) {
    bt_host *host = context;
    while (host->dma_count > 0) {
        dma_copy(host, &host->dma[--host->dma_count]);
    }
}

static void dma_start(void *context, const bt_dma *transfer) {
    bt_host *host = context;
    if (host->dma_count == BT_DMA_QUEUE) {
        dma_wait(host);
    }
    host->dma[host->dma_count++] = *transfer;
}

/* --------------------------------------------------------------------------------- kernels */

typedef struct bt_kernel_set {
    const char *name;
    const bt_kernel_fn *kernels;
    bool usable;
} bt_kernel_set;

/* The best set for this processor, or the one that BIOTRAIN_KERNELS names. */
static bt_status choose_kernels(bt_host *host) {
    const bt_kernel_set sets[] = {
#ifdef BT_HAVE_X86_KERNELS
        {"avx512", bt_kernels_avx512,
         __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("fma")},
        {"avx2", bt_kernels_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
        {"baseline", bt_kernels_baseline, true},
    };
    const char *wanted = getenv("BIOTRAIN_KERNELS");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        bool named = wanted != NULL && strcmp(wanted, sets[i].name) == 0;
        if (named && !sets[i].usable) {
            BT_FAIL(BT_ERROR_UNSUPPORTED,
                    "BIOTRAIN_KERNELS is %s, which this processor does not support; unset it.",
                    wanted);
        }
        if (named || (wanted == NULL && sets[i].usable)) {
            host->kernels = sets[i].kernels;
            host->kernels_name = sets[i].name;
            return BT_OK;
        }
    }
    BT_FAIL(BT_ERROR_ARGUMENT,
            "BIOTRAIN_KERNELS is \"%s\"; use baseline, avx2 or avx512, or unset it.", wanted);
}

const char *bt_host_kernels(const bt_host *host) { return host->kernels_name; }

/* ------------------------------------------------------------------------------------ host */

static uint64_t cycles(void *context) {
    (void)context;
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

static void fence(void *context) {
    (void)context; /* words shared with the host are stored with release, loaded with acquire */
}

bt_hal bt_host_hal(bt_host *host) {
    return (bt_hal){
        .context = host,
        .cores = host->cores,
        .kernels = host->kernels,
        /* L3 is not mapped on the targets, so it is not here. */
        .arena = {host->arena[BT_LEVEL_L1].begin, host->arena[BT_LEVEL_L2].begin, NULL},
        .arena_bytes = {host->arena[BT_LEVEL_L1].bytes, host->arena[BT_LEVEL_L2].bytes,
                        host->arena[BT_LEVEL_L3].bytes},
        .run_on_cores = run_on_cores,
        .dma_start = dma_start,
        .dma_wait = dma_wait,
        .l3_start = l3_start,
        .l3_wait = l3_wait,
        .l3_write = l3_write,
        .cycles = cycles,
        .fence = fence,
        .idle = idle,
        .notify = notify,
    };
}

static bt_status host_start(bt_host *host, const bt_target *target) {
    const uint32_t bytes[BT_LEVEL_COUNT] = {target->l1_bytes, target->l2_bytes,
                                            target->l3_bytes + target->sample_bytes};
    BT_TRY(choose_kernels(host));
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        BT_TRY(arena_map(&host->arena[level], level, bytes[level]));
    }
    return start_workers(host);
}

bt_status bt_host_create(const bt_target *target, uint32_t cores, bt_host **out) {
    bt_host *host = calloc(1, sizeof *host);
    if (host == NULL) {
        BT_FAIL(BT_ERROR_MEMORY, "No memory for a simulated device.");
    }
    host->cores = cores;
    /* With fewer processors than cores, spinning only keeps others from working. */
    host->spin_turns = (long)cores <= sysconf(_SC_NPROCESSORS_ONLN) ? BT_SPIN_TURNS : 0;
    signal_init(&host->work);
    signal_init(&host->phase);
    doorbell_init(host);
    atomic_init(&host->arrived, 0);
    atomic_init(&host->damage, NULL);
    bt_status status = host_start(host, target);
    if (status != BT_OK) {
        bt_host_free(host);
        return status;
    }
    *out = host;
    return BT_OK;
}

void bt_host_free(bt_host *host) {
    if (host == NULL) {
        return;
    }
    host->closing = true;
    signal_raise(&host->work);
    for (uint32_t i = 0; i < host->started; i++) {
        pthread_join(host->workers[i].thread, NULL);
    }
    free(host->workers);
    signal_destroy(&host->work);
    signal_destroy(&host->phase);
    doorbell_destroy(host);
    for (uint32_t level = 0; level < BT_LEVEL_COUNT; level++) {
        if (host->arena[level].mapping != NULL) {
            munmap(host->arena[level].mapping, host->arena[level].mapped_bytes);
        }
    }
    free(host);
}
