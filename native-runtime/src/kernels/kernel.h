/*
 * Kernels: one per opcode, called by all cores of a team at once; each takes its share of the
 * outputs. They allocate nothing and trust their arguments (bt_call_check has passed).
 *
 * One answer everywhere: the order of every sum is fixed by shapes alone, never by the number of
 * cores, by SIMD width or by tiles. Multiply-adds are explicit (bt_fma); vectorisation runs across
 * independent outputs; sums over large extents run in blocks of BT_REDUCTION_BLOCK elements. Where
 * a result is NaN, every device gives a NaN, but not the same bits: IEEE 754 leaves them open.
 *
 * Every file of this folder is compiled once per instruction set with BT_ISA set to its suffix.
 */
#ifndef BT_KERNEL_H
#define BT_KERNEL_H

#include "program/program.h"

#ifndef BT_ISA
#define BT_ISA
#endif
#define BT_KERNEL_PASTE2(a, b) a##b
#define BT_KERNEL_PASTE(a, b) BT_KERNEL_PASTE2(a, b)
/* Name of a function of this folder for the instruction set being compiled. */
#define BT_KERNEL(name) BT_KERNEL_PASTE(name, BT_ISA)

typedef struct bt_team {
    uint32_t core; /* 0 … cores-1 */
    uint32_t cores;
    void (*barrier)(void *context);
    void *context;
} bt_team;

static inline void bt_team_barrier(const bt_team *team) {
    if (team->cores > 1) {
        team->barrier(team->context);
    }
}

/* This core's share [*begin, *end) of count units of work. */
static inline void bt_team_share(const bt_team *team, uint32_t count, uint32_t *begin,
                                 uint32_t *end) {
    uint32_t quotient = count / team->cores;
    uint32_t rest = count % team->cores;
    uint32_t core = team->core;
    *begin = core * quotient + (core < rest ? core : rest);
    *end = *begin + quotient + (core < rest ? 1u : 0u);
}

/*
 * Machine instructions by opcode: of all cores, and along the slowest core between barriers. The
 * latter are cycles on platforms that count those.
 */
typedef struct bt_profile {
    uint32_t opcode; /* being executed; the interpreter says it */
    uint64_t instructions[BT_OPCODE_COUNT];
    uint64_t critical[BT_OPCODE_COUNT];
} bt_profile;

typedef void (*bt_kernel_fn)(const bt_call *call, const bt_team *team);

/* Kernel tables, indexed by opcode. */
extern const bt_kernel_fn bt_kernels_baseline[BT_OPCODE_COUNT];
#ifdef BT_HAVE_X86_KERNELS
extern const bt_kernel_fn bt_kernels_avx2[BT_OPCODE_COUNT];
extern const bt_kernel_fn bt_kernels_avx512[BT_OPCODE_COUNT];
#endif

static inline float bt_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

#endif
