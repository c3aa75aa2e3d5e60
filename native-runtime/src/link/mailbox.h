/*
 * The mailbox: how host and device talk, the same over every link. One block of 32-bit
 * little-endian words in L2 that both sides read and write. Protocol: docs/protocol.md.
 *
 * A command is posted when sequence differs from completed. The host writes command and arguments
 * first, sequence last; the device writes status and results first, completed last. Bulk data goes
 * through two staging buffers; every chunk carries a CRC-32C.
 *
 * Shared with the device: C99, no libc.
 */
#ifndef BT_MAILBOX_H
#define BT_MAILBOX_H

#include <stdint.h>

#include "program/program.h"

#define BT_MAILBOX_MAGIC 0x584D5442u /* "BTMX" */
#define BT_PROTOCOL_VERSION 1u
#define BT_STAGING_BUFFERS 2u
#define BT_STAGING_BYTES 16384u
#define BT_RECORD_CAPACITY 256u /* a power of two */
#define BT_MAILBOX_ARGUMENTS 8u
#define BT_MAILBOX_RESULTS 8u

/* arguments -> results. Offsets and lengths in bytes, multiples of 4; buffer is 0 or 1. */
enum {
    BT_COMMAND_PING = 1,
    BT_COMMAND_RESET = 2,   /* forgets the program, the samples and the counters */
    BT_COMMAND_WRITE = 3,   /* space, offset, length, buffer, crc: staging -> space */
    BT_COMMAND_READ = 4,    /* space, offset, length, buffer -> crc: space -> staging */
    BT_COMMAND_LOAD = 5,    /* bytes: validates and adopts the program written to BT_SPACE_PROGRAM
                               -> fault, sequence, instruction, tensor */
    BT_COMMAND_SAMPLES = 6, /* format, channels: layout of the sample store; empties it */
    BT_COMMAND_TRAIN = 7,   /* steps, indices, buffer, crc: bt_step_command[steps], then the sample
                               indices -> steps completed */
    BT_COMMAND_ACCUMULATE = 8, /* samples, buffer, crc: indices in staging; losses replace them
                                  -> crc of the losses */
    BT_COMMAND_UPDATE = 9,     /* buffer, crc: one bt_step_command */
    BT_COMMAND_EVALUATE = 10,  /* samples, buffer, crc, with outputs (0 or 1): indices in staging;
                                  replaced by, per sample, the loss and the outputs if asked for ->
                                  crc.  The output tensor keeps the first micro-batch's outputs. */
    BT_COMMAND_PROGRESS = 11,  /* micro steps: counter of a resumed run */
    BT_COMMAND_PROFILE = 13,   /* on: 1 begins counting; 0 ends it, buffer -> crc: bt_profile_record
                                  for every opcode in staging */
    BT_COMMAND_STATISTICS = 12 /* buffer: bt_device_statistics in staging -> crc */
};

/* Address spaces of WRITE and READ. */
enum {
    BT_SPACE_PROGRAM = 0,
    BT_SPACE_L1 = 1,
    BT_SPACE_L2 = 2,
    BT_SPACE_L3 = 3,
    BT_SPACE_SAMPLES = 4
};

/* What a command ended with; also bt_mailbox.status. */
enum {
    BT_RESULT_OK = 0,
    BT_RESULT_COMMAND = 1,  /* unknown command */
    BT_RESULT_ARGUMENT = 2, /* an argument is out of range */
    BT_RESULT_CRC = 3,      /* the command or the bytes in staging are damaged: send them again */
    BT_RESULT_PROGRAM = 4,  /* program refused; results say why */
    BT_RESULT_STATE = 5,    /* no program loaded, or no samples */
    BT_RESULT_ABORTED = 6,  /* TRAIN ended early -> steps completed */
    BT_RESULT_NUMERIC = 7   /* a loss was not finite; its step was not applied -> steps completed,
                               bits of the loss */
};

enum { BT_STATE_BOOTING = 0, BT_STATE_IDLE = 1, BT_STATE_BUSY = 2 };

typedef struct bt_step_command {
    uint32_t samples;
    uint32_t learning_rate; /* bits of a float, likewise below */
    uint32_t correction1;
    uint32_t correction2;
} bt_step_command;

typedef struct bt_record {
    uint32_t loss; /* bits of a float: mean over the step's samples */
    uint32_t cycles_low;
    uint32_t cycles_high;
    uint32_t check; /* CRC-32C of the words before and the record's number */
} bt_record;

typedef struct bt_profile_record {
    uint32_t instructions[2]; /* low, high; likewise below */
    uint32_t critical[2];
} bt_profile_record;

typedef struct bt_device_statistics {
    uint32_t high_water[3]; /* L1, L2, L3 */
    uint32_t micro_steps;
    uint32_t cycles_low; /* in training sequences */
    uint32_t cycles_high;
} bt_device_statistics;

typedef struct bt_mailbox {
    /* Written by the device at start-up. */
    uint32_t magic; /* last of all: then everything else is valid */
    uint32_t protocol;
    uint32_t build_id;
    uint32_t cores;
    uint32_t arena_bytes[3];
    uint32_t program_bytes;               /* capacity of BT_SPACE_PROGRAM */
    uint32_t staging[BT_STAGING_BUFFERS]; /* addresses */
    uint32_t records;                     /* address of bt_record[BT_RECORD_CAPACITY] */
    uint32_t generation;                  /* changes with every start of the firmware */
    /* Written by the host. */
    uint32_t command;
    uint32_t arguments[BT_MAILBOX_ARGUMENTS];
    uint32_t check; /* CRC-32C of command, arguments and the sequence that will post them */
    uint32_t abort; /* sequence number of the command to stop after its current step */
    uint32_t sequence;
    /* Written by the device. */
    uint32_t status;
    uint32_t results[BT_MAILBOX_RESULTS];
    uint32_t results_check; /* CRC-32C of status, results and the sequence they belong to */
    uint32_t record_count;  /* records ever written; record i is records[i % capacity] */
    uint32_t heartbeat;     /* grows while a command runs */
    uint32_t state;
    uint32_t completed;
} bt_mailbox;

/*
 * Words that the other side may read or write at the same time. A load sees everything that was
 * written before the word it returns was stored. Single-hart RISC-V targets without the atomic
 * extension get their order from bt_hal.fence.
 */
static inline uint32_t bt_word_load(const uint32_t *word) {
#if defined(__riscv) && !defined(__riscv_atomic)
    return *(const volatile uint32_t *)word;
#else
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
#endif
}

static inline void bt_word_store(uint32_t *word, uint32_t value) {
#if defined(__riscv) && !defined(__riscv_atomic)
    *(volatile uint32_t *)word = value;
#else
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
#endif
}

/* For check and results_check: CRC-32C of count words and the sequence number they belong to. */
static inline uint32_t bt_mailbox_check(const uint32_t *words, uint32_t count, uint32_t sequence) {
    return bt_crc32c(bt_crc32c(0, words, count * sizeof *words), &sequence, sizeof sequence);
}

static inline uint32_t bt_record_check(const bt_record *record, uint32_t number) {
    const uint32_t words[3] = {record->loss, record->cycles_low, record->cycles_high};
    return bt_mailbox_check(words, 3, number);
}

#endif
