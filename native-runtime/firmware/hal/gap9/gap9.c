/*
 * HAL of GAP9, on PMSIS alone. The fabric controller serves the mailbox; the cluster's controller
 * (core 8) forks every job to the workers (cores 0 … 7). All memory is reserved once, at the start;
 * nothing is ever freed, closed or printed, and main does not return.
 *
 * The host reads and writes L2 over JTAG while this runs. There is no data cache, and no interrupt
 * that a host could raise: the mailbox is polled.
 */
#include "hal/gap9/gap9.h"

#include "bsp/bsp.h"
#include "pmsis.h"
#include "resident.h"

/* Pattern that a stack's high-water mark is read from. */
#define BT_STACK_PAINT 0x5AC35AC3u
#define BT_POLL_US 100u
#define BT_FAILED_SLEEP_US 100000u
/* All parts of the cluster's instruction caches. */
#define BT_ICACHE_ALL 0x7FFu

/* Requests under way at most; one more waits for all of them. */
#define BT_DMA_COMMANDS 16u
#define BT_RAM_REQUESTS 8u
/* Between L3 and L1: the micro-DMA reaches L2 only. */
#define BT_BOUNCE_BYTES 32768u
/* Of the cluster's DMA; whether it keeps more than 16 bits of a stride is not documented. */
#define BT_DMA_MAX_STRIDE 65535u

typedef char bt_one_command_carries_any_transfer[BT_TRANSFER_MAX_BYTES < 131072u ? 1 : -1];

/*
 * Found by the host through the ELF's symbols, the mailbox through __rt_debug_struct_ptr too. PI_L2
 * makes them part of what is loaded: the mailbox of an earlier start does not outlive loading. The
 * rest of our data is in L2 as well, where the SDK puts .data and .bss.
 */
PI_L2 bt_mailbox bt_gap9_mailbox __attribute__((aligned(16)));
PI_L2 bt_gap9_report bt_gap9_status;

/* The SDK's word behind the interrupt vectors, where a debugger looks for a program's block. */
extern void *volatile __rt_debug_struct_ptr __attribute__((weak));

static bt_record records[BT_RECORD_CAPACITY];
static uint8_t staging[BT_STAGING_BUFFERS][BT_STAGING_BYTES] __attribute__((aligned(16)));
static uint8_t program[BT_GAP9_PROGRAM_BYTES] __attribute__((aligned(16)));
static uint8_t bounce[BT_BOUNCE_BYTES] __attribute__((aligned(16)));

/* A transfer between L3 and the bounce buffer, for the cluster. */
typedef struct gap9_ram_request {
    pi_cl_ram_req_t request;
    bt_dma dma; /* of the other half, between the bounce buffer and L1 */
    uint8_t *place;
} gap9_ram_request;

typedef struct gap9_device {
    struct pi_cluster_conf cluster_conf;
    struct pi_device cluster;
    struct pi_cluster_task task;
    struct pi_default_ram_conf ram_conf;
    struct pi_device ram;
    uint32_t ram_base;
    pi_evt_t ram_event;
    uint8_t *stacks; /* of the workers */
    uint8_t *l1;
    uint8_t *l2;
    uint32_t workers;
    bt_core_fn fn; /* the job */
    void *argument;
    pi_cl_dma_cmd_t commands[BT_DMA_COMMANDS];
    uint32_t command_count;
    gap9_ram_request requests[BT_RAM_REQUESTS];
    uint32_t request_count;
    uint32_t bounce_used;
    uint32_t cluster_mhz;
} gap9_device;

static gap9_device gap9;

/* The start, or later a job, failed: the debugger finds stage and error in bt_gap9_status. */
static void check(int32_t error) {
    bt_gap9_status.error = error;
    while (error != 0) {
        pi_time_wait_us(BT_FAILED_SLEEP_US);
    }
}

static uint32_t address_of(const void *place) { return (uint32_t)(uintptr_t)place; }

/* ------------------------------------------------------------------------------------ cluster */

static void cluster_barrier(void *context) {
    (void)context;
    pi_cl_team_barrier();
}

static void on_worker(void *unused) {
    bt_team team;
    (void)unused;
    team.core = pi_core_id();
    team.cores = gap9.workers;
    team.barrier = cluster_barrier;
    team.context = 0;
    gap9.fn(gap9.argument, &team);
}

static void on_controller(void *unused) { pi_cl_team_fork((int)gap9.workers, on_worker, unused); }

static void gap9_run_on_cores(void *context, bt_core_fn fn, void *argument) {
    (void)context;
    gap9.fn = fn;
    gap9.argument = argument;
    pi_cluster_task(&gap9.task, on_controller, 0);
    pi_cluster_task_stacks(&gap9.task, gap9.stacks, BT_GAP9_WORKER_STACK_BYTES);
    check(pi_cluster_send_task_to_cl(&gap9.cluster, &gap9.task));
}

/* ------------------------------------------------------------------- DMA, on the first worker */

static void wait_l2(void) {
    uint32_t i;
    for (i = 0; i < gap9.command_count; i++) {
        pi_cl_dma_cmd_wait(&gap9.commands[i]);
    }
    gap9.command_count = 0;
}

static pi_cl_dma_cmd_t *next_command(void) {
    if (gap9.command_count == BT_DMA_COMMANDS) {
        wait_l2();
    }
    return &gap9.commands[gap9.command_count++];
}

/* Starts a transfer between L1 and L2, whose first row lies at far. */
static void start_l2(const bt_dma *dma, uint32_t far) {
    pi_cl_dma_dir_e direction = dma->to_l1 ? PI_CL_DMA_DIR_EXT2LOC : PI_CL_DMA_DIR_LOC2EXT;
    uint32_t near = address_of(dma->l1);
    uint32_t row;
    if (dma->rows > 1u && dma->stride <= BT_DMA_MAX_STRIDE) {
        pi_cl_dma_cmd_2d(far, near, dma->rows * dma->row_bytes, dma->stride, dma->row_bytes,
                         direction, next_command());
        return;
    }
    for (row = 0; row < dma->rows; row++) {
        pi_cl_dma_cmd(far + row * dma->stride, near + row * dma->row_bytes, dma->row_bytes,
                      direction, next_command());
    }
}

/* Waits for what is under way with L3, and brings what was read from the bounce buffer into L1. */
static void wait_l3(void) {
    uint32_t i;
    for (i = 0; i < gap9.request_count; i++) {
        gap9_ram_request *request = &gap9.requests[i];
        pi_cl_ram_copy_wait(&request->request);
        if (request->dma.to_l1) {
            start_l2(&request->dma, address_of(request->place));
        }
    }
    wait_l2();
    gap9.request_count = 0;
    gap9.bounce_used = 0;
}

/* Starts a transfer between L1 and L3 of at most the bounce buffer's size. */
static void start_l3_piece(const bt_dma *piece) {
    uint32_t bytes = piece->rows * piece->row_bytes;
    gap9_ram_request *request;
    if (gap9.request_count == BT_RAM_REQUESTS || gap9.bounce_used + bytes > BT_BOUNCE_BYTES) {
        wait_l3();
    }
    request = &gap9.requests[gap9.request_count++];
    request->place = bounce + gap9.bounce_used;
    request->dma = *piece;
    request->dma.rows = 1u;
    request->dma.row_bytes = bytes; /* dense in the bounce buffer */
    gap9.bounce_used += (bytes + 3u) & ~3u;
    if (!piece->to_l1) {
        start_l2(&request->dma, address_of(request->place));
        wait_l2();
    }
    pi_cl_ram_copy_2d(&gap9.ram, gap9.ram_base + piece->offset, request->place, bytes,
                      piece->stride, piece->row_bytes, (int)piece->to_l1, &request->request);
}

/* Cuts a transfer into pieces that fit into the bounce buffer: some rows, or a part of one. */
static void start_l3(const bt_dma *dma) {
    bt_dma piece = *dma;
    uint32_t row = 0;
    uint32_t column = 0;
    while (row < dma->rows) {
        uint32_t left = dma->row_bytes - column;
        if (dma->row_bytes <= BT_BOUNCE_BYTES) {
            uint32_t fit = BT_BOUNCE_BYTES / dma->row_bytes;
            piece.rows = dma->rows - row < fit ? dma->rows - row : fit;
        } else {
            piece.rows = 1u;
            piece.row_bytes = left < BT_BOUNCE_BYTES ? left : BT_BOUNCE_BYTES;
        }
        piece.l1 = (uint8_t *)dma->l1 + row * dma->row_bytes + column;
        piece.offset = dma->offset + row * dma->stride + column;
        start_l3_piece(&piece);
        column += piece.row_bytes;
        if (column == dma->row_bytes) {
            row += piece.rows;
            column = 0;
        }
    }
}

static void gap9_dma_start(void *context, const bt_dma *transfer) {
    bt_dma dma = *transfer;
    (void)context;
    if (dma.stride == dma.row_bytes) {
        dma.row_bytes *= dma.rows;
        dma.rows = 1u;
    }
    if (dma.level == BT_LEVEL_L2) {
        start_l2(&dma, address_of(gap9.l2) + dma.offset);
    } else {
        start_l3(&dma);
    }
}

static void gap9_dma_wait(void *context) {
    (void)context;
    wait_l3();
}

/* --------------------------------------------------- external memory, on the fabric controller */

static void gap9_l3_start(void *context, uint32_t offset, void *to, uint32_t bytes) {
    (void)context;
    pi_evt_sig_init(&gap9.ram_event);
    pi_ram_read_async(&gap9.ram, gap9.ram_base + offset, to, bytes, &gap9.ram_event);
}

static void gap9_l3_wait(void *context) {
    (void)context;
    pi_evt_wait(&gap9.ram_event);
}

static void gap9_l3_write(void *context, uint32_t offset, const void *from, uint32_t bytes) {
    (void)context;
    pi_ram_write(&gap9.ram, gap9.ram_base + offset, (void *)(uintptr_t)from, bytes);
}

/* ----------------------------------------------------------------------------- time and mailbox */

/* From the microseconds of PMSIS: its cluster timer is missing in some simulators. */
static uint64_t gap9_cycles(void *context) {
    (void)context;
    return pi_time_get_us() * gap9.cluster_mhz;
}

static void gap9_fence(void *context) {
    (void)context;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void gap9_idle(void *context) {
    (void)context;
    pi_time_wait_us(BT_POLL_US);
}

/* The host polls. */
static void gap9_notify(void *context) { (void)context; }

/* --------------------------------------------------------------------------------------- stacks */

/* The words of the workers' stacks, worker by worker, each from its far end. */
static uint32_t *worker_stack(uint32_t worker) {
    return (uint32_t *)(void *)(gap9.stacks + worker * BT_GAP9_WORKER_STACK_BYTES);
}

static void paint_stacks(void) {
    uint32_t *word = worker_stack(0);
    uint32_t *end = worker_stack(gap9.workers);
    while (word < end) {
        *word++ = BT_STACK_PAINT;
    }
}

static void report_stacks(void) {
    uint32_t worker;
    for (worker = 0; worker < gap9.workers; worker++) {
        const uint32_t *word = worker_stack(worker);
        const uint32_t *end = worker_stack(worker + 1u);
        while (word < end && *word == BT_STACK_PAINT) {
            word++;
        }
        bt_gap9_status.worker_stack[worker] = (uint32_t)(end - word) * 4u;
    }
}

/* ---------------------------------------------------------------------------------------- start */

/* The voltage first: it bounds the frequencies. A refusal is not fatal, since all works slower. */
static void set_clocks(void) {
    int32_t voltage = pi_pmu_voltage_set(PI_PMU_VOLTAGE_DOMAIN_CHIP, BT_MILLIVOLTS);
    int32_t fc = pi_freq_set(PI_FREQ_DOMAIN_FC, BT_FREQUENCY_HZ);
    int32_t cluster = pi_freq_set(PI_FREQ_DOMAIN_CL, BT_FREQUENCY_HZ);
    bt_gap9_status.clock_error = voltage != 0 ? voltage : fc != 0 ? fc : cluster;
    bt_gap9_status.fc_hz = pi_freq_get(PI_FREQ_DOMAIN_FC);
    bt_gap9_status.cluster_hz = pi_freq_get(PI_FREQ_DOMAIN_CL);
    gap9.cluster_mhz = (bt_gap9_status.cluster_hz + 500000u) / 1000000u;
}

static int32_t open_cluster(void) {
    pi_cluster_conf_init(&gap9.cluster_conf);
    gap9.cluster_conf.id = 0;
    gap9.cluster_conf.cc_stack_size = BT_GAP9_CONTROLLER_STACK_BYTES;
    gap9.cluster_conf.icache_conf = BT_ICACHE_ALL;
    pi_open_from_conf(&gap9.cluster, &gap9.cluster_conf);
    return pi_cluster_open(&gap9.cluster);
}

/* PMSIS knows how many workers there are: it writes their number into every task. */
static int32_t reserve_l1(void) {
    pi_cluster_task(&gap9.task, on_controller, 0);
    gap9.workers = (uint32_t)gap9.task.nb_cores;
    if (gap9.workers == 0 || gap9.workers > BT_GAP9_MAX_WORKERS) {
        return -1;
    }
    bt_gap9_status.workers = gap9.workers;
    gap9.stacks =
        (uint8_t *)pi_cl_l1_malloc(&gap9.cluster, gap9.workers * BT_GAP9_WORKER_STACK_BYTES);
    gap9.l1 = (uint8_t *)pi_cl_l1_malloc(&gap9.cluster, BT_GAP9_L1_ARENA_BYTES);
    return gap9.stacks == 0 || gap9.l1 == 0 ? -1 : 0;
}

/*
 * One word more than the arena, its last, counts the starts: nothing clears it, neither a reset nor
 * the loading of the ELF, and after power-up it begins with what the memory happens to hold.
 */
static int32_t reserve_l2(void) {
    gap9.l2 = (uint8_t *)pi_l2_malloc((int32_t)(BT_GAP9_L2_ARENA_BYTES + sizeof(uint32_t)));
    return gap9.l2 == 0 ? -1 : 0;
}

static uint32_t next_generation(void) {
    uint32_t *starts = (uint32_t *)(void *)(gap9.l2 + BT_GAP9_L2_ARENA_BYTES);
    return ++*starts;
}

static int32_t open_ram(void) {
    int32_t error;
    pi_default_ram_conf_init(&gap9.ram_conf);
    pi_open_from_conf(&gap9.ram, &gap9.ram_conf);
    error = pi_ram_open(&gap9.ram);
    return error != 0 ? error : pi_ram_alloc(&gap9.ram, &gap9.ram_base, BT_GAP9_L3_BYTES);
}

static void nothing(void *argument, const bt_team *team) {
    (void)argument;
    bt_team_barrier(team);
}

static void start(void) {
    bt_gap9_status.stage = BT_GAP9_CLUSTER;
    check(open_cluster());
    set_clocks();
    bt_gap9_status.stage = BT_GAP9_L1;
    check(reserve_l1());
    paint_stacks();
    bt_gap9_status.stage = BT_GAP9_L2;
    check(reserve_l2());
    bt_gap9_status.stage = BT_GAP9_RAM;
    check(open_ram());
    bt_gap9_status.stage = BT_GAP9_CORES;
    gap9_run_on_cores(0, nothing, 0);
}

static void serve(const bt_hal *hal) {
    static bt_resident resident;
    bt_resident_memory memory;
    uint32_t buffer;
    memory.mailbox = &bt_gap9_mailbox;
    memory.records = records;
    memory.records_address = address_of(records);
    for (buffer = 0; buffer < BT_STAGING_BUFFERS; buffer++) {
        memory.staging[buffer] = staging[buffer];
        memory.staging_address[buffer] = address_of(staging[buffer]);
    }
    memory.program = program;
    memory.program_bytes = sizeof program;
    bt_resident_init(&resident, hal, &memory, BT_BUILD_ID, next_generation());
    if (&__rt_debug_struct_ptr != 0) {
        __rt_debug_struct_ptr = &bt_gap9_mailbox;
    }
    bt_gap9_status.stage = BT_GAP9_SERVING;
    for (;;) {
        if (bt_resident_poll(&resident)) {
            report_stacks();
        } else {
            gap9_idle(0);
        }
    }
}

int main(void) {
    static bt_hal hal;
    start();
    hal.cores = gap9.workers;
    hal.kernels = bt_kernels_baseline;
    hal.arena[BT_LEVEL_L1] = gap9.l1;
    hal.arena[BT_LEVEL_L2] = gap9.l2;
    hal.arena_bytes[BT_LEVEL_L1] = BT_GAP9_L1_ARENA_BYTES;
    hal.arena_bytes[BT_LEVEL_L2] = BT_GAP9_L2_ARENA_BYTES;
    hal.arena_bytes[BT_LEVEL_L3] = BT_GAP9_L3_BYTES;
    hal.run_on_cores = gap9_run_on_cores;
    hal.dma_start = gap9_dma_start;
    hal.dma_wait = gap9_dma_wait;
    hal.l3_start = gap9_l3_start;
    hal.l3_wait = gap9_l3_wait;
    hal.l3_write = gap9_l3_write;
    hal.cycles = gap9_cycles;
    hal.fence = gap9_fence;
    hal.idle = gap9_idle;
    hal.notify = gap9_notify;
    serve(&hal);
    return 0;
}
