/*
 * HAL of QEMU's virt machine: hart 0 is the fabric controller, harts 1 … n are the cluster's
 * workers. Idle harts sleep in wfi and are woken by software interrupts of the CLINT; nothing
 * spins, because the machine below may have fewer processors than harts.
 *
 * The doorbell is the UART: a byte from the host wakes the fabric controller, a byte to the host
 * says that the mailbox has changed. The bytes themselves mean nothing. A debugger has no doorbell
 * to ring: for a board behind one, a timer wakes the fabric controller.
 */
#include "hal/virt/virt.h"

#include "resident.h"

#define REGISTER32(address) (*(volatile uint32_t *)(address))
#define REGISTER8(address) (*(volatile uint8_t *)(address))

/* Machine registers, QEMU hw/riscv/virt.c. */
#define CLINT_MSIP(hart) REGISTER32(0x02000000u + 4u * (hart))
#define CLINT_MTIMECMP_HART0_LOW REGISTER32(0x02004000u)
#define CLINT_MTIMECMP_HART0_HIGH REGISTER32(0x02004004u)
#define CLINT_MTIME_LOW REGISTER32(0x0200BFF8u)
#define CLINT_MTIME_HIGH REGISTER32(0x0200BFFCu)
#define RTC_NANOSECONDS_LOW REGISTER32(0x00101000u)
#define PLIC_PRIORITY(source) REGISTER32(0x0C000000u + 4u * (source))
#define PLIC_ENABLE_HART0 REGISTER32(0x0C002000u)
#define PLIC_CLAIM_HART0 REGISTER32(0x0C200004u)
#define UART_SOURCE 10u
#define UART_DATA REGISTER8(0x10000000u)
#define UART_INTERRUPT_ENABLE REGISTER8(0x10000001u)
#define UART_FIFO_CONTROL REGISTER8(0x10000002u)
#define UART_LINE_STATUS REGISTER8(0x10000005u)
#define UART_RECEIVED 0x01u
#define UART_TRANSMIT_EMPTY 0x20u

#define MIE_SOFTWARE (1u << 3)
#define MIE_TIMER (1u << 7)
#define MIE_EXTERNAL (1u << 11)

extern uint8_t __l1_arena[], __l2_arena[], __l3_begin[];
extern uint8_t __l1_arena_bytes[], __l2_arena_bytes[], __l3_bytes[];
extern uint32_t __fc_stack_begin[], __fc_stack_end[], __worker_stacks_begin[];

/* Found by the host through the ELF's symbols. */
bt_mailbox bt_virt_mailbox __attribute__((section(".noinit"), aligned(16)));
bt_virt_boot_block bt_virt_boot
    __attribute__((section(".data"))) = {BT_BOOT_HARTS, 0u, 0u, BT_BOOT_POLL_TICKS};
bt_virt_report bt_virt_status __attribute__((section(".data")));

static bt_record records[BT_RECORD_CAPACITY] __attribute__((section(".noinit")));
static uint8_t staging[BT_STAGING_BUFFERS][BT_STAGING_BYTES]
    __attribute__((section(".noinit"), aligned(16)));
static uint8_t program[BT_VIRT_PROGRAM_BYTES] __attribute__((section(".noinit"), aligned(16)));

/* The cluster: one job at a time. Lies in .data, since workers look at it before .bss is cleared.
 */
typedef struct virt_cluster {
    volatile uint32_t open; /* set by the fabric controller once memory is ready */
    volatile uint32_t job;  /* number of the current job; a change starts it */
    bt_core_fn fn;
    void *argument;
    uint32_t workers;
    volatile uint32_t arrived;  /* at the barrier */
    volatile uint32_t round;    /* number of barriers passed */
    volatile uint32_t finished; /* workers done with the job */
    volatile uint32_t turn;     /* while profiling: the only worker (1 …) that may run */
    bt_profile *profile;        /* NULL: all run at once */
    uint32_t began;             /* instruction counter when the turn began */
    uint32_t slowest;           /* most instructions of a turn since the last barrier */
} virt_cluster;

static virt_cluster cluster __attribute__((section(".data"))) = {0};

/* The DMA engine: one transfer at a time. */
typedef struct virt_transfer {
    uint32_t offset;
    void *to;
    uint32_t bytes;
    volatile uint32_t started; /* transfers ever started */
    volatile uint32_t done;    /* and completed */
} virt_transfer;

static virt_transfer transfer __attribute__((section(".data"))) = {0};

static inline uint32_t hart_id(void) {
    uint32_t id;
    __asm__ volatile("csrr %0, mhartid" : "=r"(id));
    return id;
}

static inline void allow_wakeup_by(uint32_t sources) {
    __asm__ volatile("csrw mie, %0" ::"r"(sources));
}

static inline void wait_for_interrupt(void) { __asm__ volatile("wfi" ::: "memory"); }

static inline void fence_all(void) { __asm__ volatile("fence iorw, iorw" ::: "memory"); }

static inline void wake(uint32_t hart) { CLINT_MSIP(hart) = 1u; }

/* Clears this hart's pending wake-up; what it announced must be looked at after this. */
static inline void take_wakeup(uint32_t hart) {
    CLINT_MSIP(hart) = 0u;
    fence_all();
}

static void virt_fence(void *context) {
    (void)context;
    fence_all();
}

/* ------------------------------------------------------------------------------------- cluster */

/*
 * While profiling, workers take turns between two barriers. QEMU's counter under icount is one for
 * all harts; with all others asleep its growth is this hart's own work. So a hart goes to sleep in
 * the instruction after the one that wakes the next.
 */
static inline uint32_t instructions_retired(void) {
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

static void turn_wait(uint32_t hart) {
    while (__atomic_load_n(&cluster.turn, __ATOMIC_ACQUIRE) != hart) {
        wait_for_interrupt();
        take_wakeup(hart);
    }
    cluster.began = instructions_retired();
}

/* Charges this turn to the instruction that is being executed. */
static void turn_charge(uint32_t hart) {
    bt_profile *profile = cluster.profile;
    uint32_t spent = instructions_retired() - cluster.began;
    profile->instructions[profile->opcode] += spent;
    if (spent > cluster.slowest) {
        cluster.slowest = spent;
    }
    if (hart == cluster.workers) {
        profile->critical[profile->opcode] += cluster.slowest;
        cluster.slowest = 0u;
    }
}

static void turn_pass(uint32_t hart) {
    uint32_t next = hart == cluster.workers ? 1u : hart + 1u;
    __atomic_store_n(&cluster.turn, next, __ATOMIC_RELEASE);
    if (next != hart) {
        wake(next);
        wait_for_interrupt();
        take_wakeup(hart);
    }
}

static void profiled_barrier(uint32_t hart) {
    turn_charge(hart);
    turn_pass(hart);
    turn_wait(hart);
}

static void virt_barrier(void *context) {
    uint32_t hart = hart_id();
    uint32_t round = cluster.round;
    (void)context;
    if (cluster.profile != 0) {
        profiled_barrier(hart);
        return;
    }
    if (__atomic_add_fetch(&cluster.arrived, 1u, __ATOMIC_ACQ_REL) == cluster.workers) {
        uint32_t other;
        cluster.arrived = 0u;
        __atomic_store_n(&cluster.round, round + 1u, __ATOMIC_RELEASE);
        for (other = 1u; other <= cluster.workers; other++) {
            if (other != hart) {
                wake(other);
            }
        }
        return;
    }
    while (__atomic_load_n(&cluster.round, __ATOMIC_ACQUIRE) == round) {
        wait_for_interrupt();
        take_wakeup(hart);
    }
}

static void serve_transfer(void) {
    uint32_t number = __atomic_load_n(&transfer.started, __ATOMIC_ACQUIRE);
    if (number != transfer.done) {
        __builtin_memcpy(transfer.to, __l3_begin + transfer.offset, transfer.bytes);
        __atomic_store_n(&transfer.done, number, __ATOMIC_RELEASE);
        wake(0u);
    }
}

void bt_virt_worker(uint32_t hart) {
    uint32_t done = 0u;
    bt_team team;
    allow_wakeup_by(MIE_SOFTWARE);
    while (!__atomic_load_n(&cluster.open, __ATOMIC_ACQUIRE)) {
        wait_for_interrupt();
        take_wakeup(hart);
    }
    team.core = hart - 1u;
    team.cores = cluster.workers;
    team.barrier = virt_barrier;
    team.context = 0;
    for (;;) {
        while (__atomic_load_n(&cluster.job, __ATOMIC_ACQUIRE) == done) {
            if (hart == 1u) {
                serve_transfer();
            }
            wait_for_interrupt();
            take_wakeup(hart);
        }
        done++;
        if (cluster.profile != 0) {
            turn_wait(hart);
        }
        cluster.fn(cluster.argument, &team);
        if (cluster.profile != 0) {
            turn_charge(hart);
        }
        if (__atomic_add_fetch(&cluster.finished, 1u, __ATOMIC_ACQ_REL) == cluster.workers) {
            wake(0u);
        } else if (cluster.profile != 0) {
            turn_pass(hart);
        }
    }
}

static void virt_run_on_cores(void *context, bt_core_fn fn, void *argument) {
    uint32_t hart;
    (void)context;
    cluster.fn = fn;
    cluster.argument = argument;
    cluster.turn = 1u;
    __atomic_store_n(&cluster.finished, 0u, __ATOMIC_RELEASE);
    __atomic_store_n(&cluster.job, cluster.job + 1u, __ATOMIC_RELEASE);
    /* While profiling, the first worker's turn wakes the second, and so on. */
    for (hart = 1u; hart <= (cluster.profile != 0 ? 1u : cluster.workers); hart++) {
        wake(hart);
    }
    allow_wakeup_by(MIE_SOFTWARE);
    while (__atomic_load_n(&cluster.finished, __ATOMIC_ACQUIRE) != cluster.workers) {
        wait_for_interrupt();
        take_wakeup(0u);
    }
}

/* ----------------------------------------------------------------------------- memory and time */

/* The first worker is the DMA engine of the idle cluster: the fabric controller goes on meanwhile.
 */
static void virt_l3_start(void *context, uint32_t offset, void *to, uint32_t bytes) {
    (void)context;
    transfer.offset = offset;
    transfer.to = to;
    transfer.bytes = bytes;
    __atomic_store_n(&transfer.started, transfer.started + 1u, __ATOMIC_RELEASE);
    wake(1u);
}

static void virt_l3_wait(void *context) {
    (void)context;
    allow_wakeup_by(MIE_SOFTWARE);
    while (__atomic_load_n(&transfer.done, __ATOMIC_ACQUIRE) != transfer.started) {
        wait_for_interrupt();
        take_wakeup(0u);
    }
}

static void virt_l3_write(void *context, uint32_t offset, const void *from, uint32_t bytes) {
    (void)context;
    __builtin_memcpy(__l3_begin + offset, from, bytes);
}

/* The machine has no DMA between its levels: the core that starts a transfer does it. */
static void virt_dma_start(void *context, const bt_dma *dma) {
    uint8_t *other = (dma->level == BT_LEVEL_L2 ? __l2_arena : __l3_begin) + dma->offset;
    uint8_t *l1 = (uint8_t *)dma->l1;
    uint32_t row;
    (void)context;
    for (row = 0u; row < dma->rows; row++) {
        if (dma->to_l1) {
            __builtin_memcpy(l1, other, dma->row_bytes);
        } else {
            __builtin_memcpy(other, l1, dma->row_bytes);
        }
        l1 += dma->row_bytes;
        other += dma->stride;
    }
}

static void virt_dma_wait(void *context) { (void)context; }

static uint64_t virt_cycles(void *context) {
    uint32_t high, low, again;
    (void)context;
    do {
        __asm__ volatile("csrr %0, mcycleh" : "=r"(high));
        __asm__ volatile("csrr %0, mcycle" : "=r"(low));
        __asm__ volatile("csrr %0, mcycleh" : "=r"(again));
    } while (high != again);
    return ((uint64_t)high << 32) | low;
}

static void virt_set_profile(void *context, bt_profile *profile) {
    (void)context;
    cluster.profile = profile;
}

/* ------------------------------------------------------------------------------------ doorbell */

static void doorbell_open(void) {
    UART_FIFO_CONTROL = 0x07u; /* FIFOs on and empty */
    UART_INTERRUPT_ENABLE = 0x01u;
    PLIC_PRIORITY(UART_SOURCE) = 1u;
    PLIC_ENABLE_HART0 = 1u << UART_SOURCE;
}

static uint64_t timer_now(void) {
    uint32_t high, low;
    do {
        high = CLINT_MTIME_HIGH;
        low = CLINT_MTIME_LOW;
    } while (high != CLINT_MTIME_HIGH);
    return ((uint64_t)high << 32) | low;
}

static void timer_set(uint64_t time) {
    /* Never earlier than either value in between. */
    CLINT_MTIMECMP_HART0_HIGH = 0xFFFFFFFFu;
    CLINT_MTIMECMP_HART0_LOW = (uint32_t)time;
    CLINT_MTIMECMP_HART0_HIGH = (uint32_t)(time >> 32);
}

static void virt_idle(void *context) {
    uint32_t source;
    (void)context;
    if (bt_virt_boot.poll_ticks != 0u) {
        timer_set(timer_now() + bt_virt_boot.poll_ticks);
        allow_wakeup_by(MIE_EXTERNAL | MIE_TIMER);
    } else {
        allow_wakeup_by(MIE_EXTERNAL);
    }
    wait_for_interrupt();
    source = PLIC_CLAIM_HART0;
    while (UART_LINE_STATUS & UART_RECEIVED) {
        (void)UART_DATA;
    }
    if (source != 0u) {
        PLIC_CLAIM_HART0 = source;
    }
    fence_all();
}

static void virt_notify(void *context) {
    (void)context;
    /* A full transmitter already has bytes that the host has not seen: one more tells no more. */
    if (UART_LINE_STATUS & UART_TRANSMIT_EMPTY) {
        UART_DATA = 1u;
    }
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
    bt_virt_status.fc_stack = stack_high_water(__fc_stack_begin, __fc_stack_end);
    for (worker = 0u; worker < cluster.workers; worker++) {
        const uint32_t *begin = __worker_stacks_begin + worker * (BT_WORKER_STACK_BYTES / 4u);
        bt_virt_status.worker_stack[worker] =
            stack_high_water(begin, begin + BT_WORKER_STACK_BYTES / 4u);
    }
}

void bt_virt_trap(uint32_t cause, uint32_t address, uint32_t value) {
    bt_virt_status.trap_hart = hart_id();
    bt_virt_status.trap_cause = cause;
    bt_virt_status.trap_address = address;
    bt_virt_status.trap_value = value;
    fence_all();
    bt_virt_status.trapped = 1u;
    virt_notify(0);
}

/* ------------------------------------------------------------------------------------ main loop */

void bt_virt_controller(void) {
    static bt_hal hal;
    static bt_resident resident;
    static bt_resident_memory memory;
    uint32_t buffer;

    cluster.workers = bt_virt_boot.harts - 1u;
    __atomic_store_n(&cluster.open, 1u, __ATOMIC_RELEASE);
    doorbell_open();

    hal.cores = cluster.workers;
    hal.kernels = bt_kernels_baseline;
    hal.arena[BT_LEVEL_L1] = __l1_arena;
    hal.arena[BT_LEVEL_L2] = __l2_arena;
    hal.arena[BT_LEVEL_L3] = 0;
    hal.arena_bytes[BT_LEVEL_L1] = (uint32_t)__l1_arena_bytes;
    hal.arena_bytes[BT_LEVEL_L2] = (uint32_t)__l2_arena_bytes;
    hal.arena_bytes[BT_LEVEL_L3] = (uint32_t)__l3_bytes;
    hal.run_on_cores = virt_run_on_cores;
    hal.dma_start = virt_dma_start;
    hal.dma_wait = virt_dma_wait;
    hal.l3_start = virt_l3_start;
    hal.l3_wait = virt_l3_wait;
    hal.l3_write = virt_l3_write;
    hal.cycles = virt_cycles;
    hal.fence = virt_fence;
    hal.idle = virt_idle;
    hal.notify = virt_notify;
    hal.set_profile = bt_virt_boot.counts_instructions ? virt_set_profile : 0;

    memory.mailbox = &bt_virt_mailbox;
    memory.records = records;
    memory.records_address = (uint32_t)records;
    for (buffer = 0u; buffer < BT_STAGING_BUFFERS; buffer++) {
        memory.staging[buffer] = staging[buffer];
        memory.staging_address[buffer] = (uint32_t)staging[buffer];
    }
    memory.program = program;
    memory.program_bytes = sizeof program;

    bt_resident_init(&resident, &hal, &memory, BT_BUILD_ID,
                     bt_virt_boot.generation != 0u ? bt_virt_boot.generation : RTC_NANOSECONDS_LOW);
    virt_notify(0);
    for (;;) {
        if (bt_resident_poll(&resident)) {
            report_stacks();
        } else {
            virt_idle(0);
        }
    }
}
