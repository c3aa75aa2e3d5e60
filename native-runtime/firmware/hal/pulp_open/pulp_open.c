/*
 * HAL of GVSOC's open pulp-open target, bare metal: the fabric controller serves the mailbox, eight
 * cores of the cluster compute. Idle cores sleep: the workers in the event unit, the fabric
 * controller in wfi until a line of its interrupt controller rises.
 *
 * External memory (HyperRAM behind the micro-DMA) is not driven; a slice of L2 stands in for it.
 */
#include "hal/pulp_open/pulp_open.h"

#include "resident.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* Machine registers; docs/gvsoc.md names where they are described. */
#define FC_ICACHE_ENABLE REGISTER(0x1A108800u)
#define ITC_MASK REGISTER(0x1A109800u)
#define ITC_STATUS REGISTER(0x1A10980Cu)
#define ITC_STATUS_SET REGISTER(0x1A109810u)
#define ITC_STATUS_CLEAR REGISTER(0x1A109814u)
#define CLUSTER_FETCH_ENABLE REGISTER(0x10200008u) /* reading it is a write: never read it */
#define CLUSTER_BOOT_ADDRESS(core) REGISTER(0x10200040u + 4u * (core))
#define CLUSTER_ICACHE_ENABLE REGISTER(0x10201400u)
#define CLUSTER_EVENT(event) REGISTER(0x10200E00u + 4u * (event))
/* The event unit as each worker sees its own part of it. */
#define EVENT_MASK REGISTER(0x10204000u)
#define EVENT_WAIT_CLEAR 0x1020403Cu
#define BARRIER_TRIGGER_MASK REGISTER(0x10204200u)
#define BARRIER_TARGET_MASK REGISTER(0x1020420Cu)
#define BARRIER_WAIT_CLEAR 0x1020421Cu

/* The cluster's DMA engine (MCHAN) as each worker sees it. */
#define DMA_COMMAND REGISTER(0x10204400u) /* read: a number for the commands that follow */
#define DMA_STATUS REGISTER(0x10204404u)  /* bit of a number: under way; written: given back */
#define DMA_TO_L1 (1u << 17)
#define DMA_INCREMENT (1u << 18)
#define DMA_ROWS (1u << 19)

/* Lines of the interrupt controller; the host rings the doorbell. */
#define LINE_DOORBELL (1u << 0)
#define LINE_JOB_DONE (1u << 1)
/* Events of a worker. */
#define EVENT_JOB 0u
#define EVENT_BARRIER 16u

extern uint8_t __l1_arena[], __l2_arena[], __l3_begin[];
extern uint8_t __l1_arena_bytes[], __l2_arena_bytes[], __l3_bytes[];
extern uint32_t __fc_stack_begin[], __fc_stack_end[], __worker_stacks_begin[];
extern uint8_t bt_pulp_worker_entry[];

/* Found by the host through the ELF's symbols. */
bt_mailbox bt_pulp_mailbox __attribute__((section(".noinit"), aligned(16)));
bt_pulp_boot_block bt_pulp_boot __attribute__((section(".noinit")));
bt_pulp_report bt_pulp_status;
bt_pulp_counter_table bt_pulp_counters;

static bt_record records[BT_RECORD_CAPACITY] __attribute__((section(".noinit")));
static uint8_t staging[BT_STAGING_BUFFERS][BT_STAGING_BYTES]
    __attribute__((section(".noinit"), aligned(16)));
static uint8_t program[BT_PULP_PROGRAM_BYTES] __attribute__((section(".program"), aligned(16)));

/* The job of the cluster, in L1 where the workers read it at once. */
typedef struct pulp_cluster {
    bt_core_fn fn;
    void *argument;
    uint32_t workers;
    bt_profile *profile; /* NULL: nothing is counted */
} pulp_cluster;

static volatile pulp_cluster cluster __attribute__((section(".cluster")));

static inline uint32_t hart_id(void) {
    uint32_t id;
    __asm__ volatile("csrr %0, mhartid" : "=r"(id));
    return id;
}

static inline uint32_t clock_cycles(void) {
    uint32_t count;
    __asm__ volatile("csrr %0, mcycle" : "=r"(count));
    return count;
}

static inline void fence_all(void) { __asm__ volatile("fence iorw, iorw" ::: "memory"); }

static void pulp_fence(void *context) {
    (void)context;
    fence_all();
}

/* Sleeps until line rises, and takes it back; what it announced must be looked at after this. */
static void line_wait(uint32_t line) {
    while ((ITC_STATUS & line) == 0u) {
        __asm__ volatile("wfi" ::: "memory");
    }
    ITC_STATUS_CLEAR = line;
    fence_all();
}

/* A load that the event unit answers when the core shall go on (p.elw of the PULP extension). */
static inline void event_load(uint32_t address) {
    uint32_t ignored;
    __asm__ volatile(".insn i 0x03, 6, %0, 0(%1)" : "=r"(ignored) : "r"(address) : "memory");
}

/* --------------------------------------------------------------------------------- counting */

static uint32_t
    worker_time[BT_PULP_MAX_WORKERS]; /* mcycle at the start, then cycles to the barrier */
static bt_pulp_counter_table worker_counters[BT_PULP_MAX_WORKERS];

static inline void counters_begin(uint32_t core) {
    __asm__ volatile("csrw 0x79F, zero");               /* all counters := 0 */
    __asm__ volatile("csrw 0xCC0, %0" ::"r"(0x403FFu)); /* those read below */
    __asm__ volatile("csrw 0xCC1, %0" ::"r"(1u));
    worker_time[core] = clock_cycles();
}

/* Adds what this core's counters hold to the opcode that was executed. */
static void counters_charge(uint32_t core, uint32_t opcode) {
    uint64_t *to = worker_counters[core][opcode];
    __asm__ volatile("csrw 0xCC1, zero");
#define ADD(counter, number)                                                                       \
    do {                                                                                           \
        uint32_t count;                                                                            \
        __asm__ volatile("csrr %0, %1" : "=r"(count) : "i"(0x780 + (number)));                     \
        to[counter] += count;                                                                      \
    } while (0)
    ADD(BT_PULP_CYCLES, BT_PULP_CYCLES);
    ADD(BT_PULP_INSTRUCTIONS, BT_PULP_INSTRUCTIONS);
    ADD(BT_PULP_LOAD_STALLS, BT_PULP_LOAD_STALLS);
    ADD(BT_PULP_JUMP_STALLS, BT_PULP_JUMP_STALLS);
    ADD(BT_PULP_FETCH_STALLS, BT_PULP_FETCH_STALLS);
    ADD(BT_PULP_LOADS, BT_PULP_LOADS);
    ADD(BT_PULP_STORES, BT_PULP_STORES);
    ADD(BT_PULP_JUMPS, BT_PULP_JUMPS);
    ADD(BT_PULP_BRANCHES, BT_PULP_BRANCHES);
    ADD(BT_PULP_TAKEN_BRANCHES, BT_PULP_TAKEN_BRANCHES);
    ADD(BT_PULP_FPU_WAITS, 18);
#undef ADD
}

static inline void team_barrier(void) { event_load(BARRIER_WAIT_CLEAR); }

/*
 * While profiling, the time from one barrier to the next counts, without what the counting itself
 * takes: a second barrier follows it.
 */
static void counted_barrier(uint32_t core) {
    bt_profile *profile = cluster.profile;
    uint32_t opcode = profile->opcode;
    uint32_t arrived = clock_cycles();
    counters_charge(core, opcode);
    /* The slowest core's time: it is the one that arrives last. */
    worker_time[core] = arrived - worker_time[core];
    team_barrier();
    if (core == 0u) {
        uint32_t slowest = 0u;
        uint32_t worker;
        for (worker = 0u; worker < cluster.workers; worker++) {
            if (worker_time[worker] > slowest) {
                slowest = worker_time[worker];
            }
        }
        profile->critical[opcode] += slowest;
    }
    team_barrier();
    counters_begin(core);
}

static void pulp_set_profile(void *context, bt_profile *profile) {
    uint32_t opcode, counter, worker;
    (void)context;
    if (profile != 0) {
        __builtin_memset(worker_counters, 0, sizeof worker_counters);
        cluster.profile = profile;
        return;
    }
    for (opcode = 0u; opcode < BT_OPCODE_COUNT && cluster.profile != 0; opcode++) {
        for (counter = 0u; counter < BT_PULP_COUNTERS; counter++) {
            uint64_t sum = 0u;
            for (worker = 0u; worker < cluster.workers; worker++) {
                sum += worker_counters[worker][opcode][counter];
            }
            bt_pulp_counters[opcode][counter] = sum;
        }
        cluster.profile->instructions[opcode] = bt_pulp_counters[opcode][BT_PULP_INSTRUCTIONS];
    }
    cluster.profile = 0;
}

/* ----------------------------------------------------------------------------- memory and time */

#define NO_TRANSFER 32u

static uint32_t dma_number __attribute__((section(".cluster"))); /* of all transfers under way */

/* The engine takes the words of a command one after the other. */
static void pulp_dma_start(void *context, const bt_dma *dma) {
    uint8_t *other = (dma->level == BT_LEVEL_L2 ? __l2_arena : __l3_begin) + dma->offset;
    uint32_t command = dma->rows * dma->row_bytes | DMA_INCREMENT;
    (void)context;
    if (dma_number == NO_TRANSFER) {
        dma_number = DMA_COMMAND;
    }
    command |= dma->to_l1 ? DMA_TO_L1 : 0u;
    command |= dma->rows > 1u ? DMA_ROWS : 0u;
    fence_all();
    DMA_COMMAND = command;
    DMA_COMMAND = (uint32_t)dma->l1;
    DMA_COMMAND = (uint32_t)other;
    if (dma->rows > 1u) {
        DMA_COMMAND = dma->row_bytes;
        DMA_COMMAND = dma->stride;
    }
}

static void pulp_dma_wait(void *context) {
    (void)context;
    if (dma_number == NO_TRANSFER) {
        return;
    }
    while ((DMA_STATUS & 1u << dma_number) != 0u) {
    }
    DMA_STATUS = 1u << dma_number;
    dma_number = NO_TRANSFER;
    fence_all();
}

static void pulp_l3_start(void *context, uint32_t offset, void *to, uint32_t bytes) {
    (void)context;
    __builtin_memcpy(to, __l3_begin + offset, bytes);
}

static void pulp_l3_wait(void *context) { (void)context; }

static void pulp_l3_write(void *context, uint32_t offset, const void *from, uint32_t bytes) {
    (void)context;
    __builtin_memcpy(__l3_begin + offset, from, bytes);
}

/* The hardware's counter has 32 bits; it is read at least once per sequence of a program. */
static uint64_t pulp_cycles(void *context) {
    static uint32_t high, last;
    uint32_t now = clock_cycles();
    (void)context;
    high += now < last;
    last = now;
    return (uint64_t)high << 32 | now;
}

static void pulp_idle(void *context) {
    (void)context;
    line_wait(LINE_DOORBELL);
}

/* The host polls. */
static void pulp_notify(void *context) { (void)context; }

/* ------------------------------------------------------------------------------------- cluster */

static void pulp_barrier(void *context) {
    (void)context;
    if (cluster.profile != 0) {
        counted_barrier(hart_id());
    } else {
        team_barrier();
    }
}

void bt_pulp_worker(uint32_t core) {
    bt_team team;
    uint32_t all = (1u << cluster.workers) - 1u;
    if (core == 0u) {
        BARRIER_TRIGGER_MASK = all;
        BARRIER_TARGET_MASK = all;
        ITC_STATUS_SET = LINE_JOB_DONE; /* the cluster is ready */
    }
    team.core = core;
    team.cores = cluster.workers;
    team.barrier = pulp_barrier;
    team.context = 0;
    for (;;) {
        EVENT_MASK = 1u << EVENT_JOB;
        event_load(EVENT_WAIT_CLEAR);
        EVENT_MASK = 1u << EVENT_BARRIER;
        if (cluster.profile != 0) {
            counters_begin(core);
        }
        cluster.fn(cluster.argument, &team);
        team_barrier();
        if (core == 0u) {
            fence_all();
            ITC_STATUS_SET = LINE_JOB_DONE;
        }
    }
}

static void pulp_run_on_cores(void *context, bt_core_fn fn, void *argument) {
    (void)context;
    cluster.fn = fn;
    cluster.argument = argument;
    fence_all();
    CLUSTER_EVENT(EVENT_JOB) = (1u << cluster.workers) - 1u;
    line_wait(LINE_JOB_DONE);
}

static void cluster_start(uint32_t workers) {
    uint32_t core;
    cluster.workers = workers;
    cluster.profile = 0;
    dma_number = NO_TRANSFER;
    CLUSTER_ICACHE_ENABLE = 0xFFFFFFFFu;
    for (core = 0u; core < workers; core++) {
        CLUSTER_BOOT_ADDRESS(core) = (uint32_t)bt_pulp_worker_entry;
    }
    CLUSTER_FETCH_ENABLE = (1u << workers) - 1u;
    line_wait(LINE_JOB_DONE);
}

/* --------------------------------------------------------------------------------------- stacks */

/* Bytes of [begin, end) that lost their paint, counted from the far end. */
static uint32_t stack_high_water(const uint32_t *begin, const uint32_t *end) {
    while (begin < end && *begin == BT_STACK_PAINT) {
        begin++;
    }
    return (uint32_t)(end - begin) * 4u;
}

static void report_stacks(void) {
    uint32_t worker;
    bt_pulp_status.fc_stack = stack_high_water(__fc_stack_begin, __fc_stack_end);
    for (worker = 0u; worker < cluster.workers; worker++) {
        const uint32_t *begin = __worker_stacks_begin + worker * (BT_WORKER_STACK_BYTES / 4u);
        bt_pulp_status.worker_stack[worker] =
            stack_high_water(begin, begin + BT_WORKER_STACK_BYTES / 4u);
    }
}

void bt_pulp_trap(uint32_t cause, uint32_t address) {
    bt_pulp_status.trap_hart = hart_id();
    bt_pulp_status.trap_cause = cause;
    bt_pulp_status.trap_address = address;
    fence_all();
    bt_pulp_status.trapped = 1u;
}

/* ------------------------------------------------------------------------------------ main loop */

void bt_pulp_controller(void) {
    static bt_hal hal;
    static bt_resident resident;
    static bt_resident_memory memory;
    uint32_t asked = bt_pulp_boot.magic == BT_PULP_BOOT_MAGIC;
    uint32_t buffer;

    FC_ICACHE_ENABLE = 1u;
    ITC_MASK = LINE_DOORBELL | LINE_JOB_DONE;
    cluster_start(asked ? bt_pulp_boot.workers : BT_PULP_MAX_WORKERS);

    hal.cores = cluster.workers;
    hal.kernels = bt_kernels_baseline;
    hal.arena[BT_LEVEL_L1] = __l1_arena;
    hal.arena[BT_LEVEL_L2] = __l2_arena;
    hal.arena[BT_LEVEL_L3] = 0;
    hal.arena_bytes[BT_LEVEL_L1] = (uint32_t)__l1_arena_bytes;
    hal.arena_bytes[BT_LEVEL_L2] = (uint32_t)__l2_arena_bytes;
    hal.arena_bytes[BT_LEVEL_L3] = (uint32_t)__l3_bytes;
    hal.run_on_cores = pulp_run_on_cores;
    hal.dma_start = pulp_dma_start;
    hal.dma_wait = pulp_dma_wait;
    hal.l3_start = pulp_l3_start;
    hal.l3_wait = pulp_l3_wait;
    hal.l3_write = pulp_l3_write;
    hal.cycles = pulp_cycles;
    hal.fence = pulp_fence;
    hal.idle = pulp_idle;
    hal.notify = pulp_notify;
    hal.set_profile = pulp_set_profile;

    memory.mailbox = &bt_pulp_mailbox;
    memory.records = records;
    memory.records_address = (uint32_t)records;
    for (buffer = 0u; buffer < BT_STAGING_BUFFERS; buffer++) {
        memory.staging[buffer] = staging[buffer];
        memory.staging_address[buffer] = (uint32_t)staging[buffer];
    }
    memory.program = program;
    memory.program_bytes = sizeof program;

    bt_resident_init(&resident, &hal, &memory, BT_BUILD_ID, asked ? bt_pulp_boot.generation : 1u);
    for (;;) {
        if (bt_resident_poll(&resident)) {
            report_stacks();
        } else {
            pulp_idle(0);
        }
    }
}
