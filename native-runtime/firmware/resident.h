/*
 * The resident firmware: serves the mailbox for ever on the fabric controller and runs training
 * programs on the cluster. The same source on every device and inside the sim: link.
 *
 * Shared with the device: C99, no libc.
 */
#ifndef BT_RESIDENT_H
#define BT_RESIDENT_H

#include "hal/hal.h"
#include "link/mailbox.h"

typedef struct bt_resident_memory {
    bt_mailbox *mailbox;
    bt_record *records;                           /* BT_RECORD_CAPACITY */
    uint8_t *staging[BT_STAGING_BUFFERS];         /* BT_STAGING_BYTES each */
    uint32_t staging_address[BT_STAGING_BUFFERS]; /* as the host sees them */
    uint32_t records_address;
    uint8_t *program; /* 4-byte aligned */
    uint32_t program_bytes;
} bt_resident_memory;

/* Words of a piece of a recording on its way from L3. */
#define BT_FETCH_WORDS 512u
/* The same in bytes. */
#define BT_FETCH_BYTES (4u * BT_FETCH_WORDS)

typedef struct bt_resident {
    const bt_hal *hal;
    bt_resident_memory memory;
    const bt_program_header *program; /* NULL before LOAD */
    uint32_t format;                  /* of the sample store; 0: none */
    uint32_t channels;
    bt_sample_layout sample;
    uint32_t fetch[2][BT_FETCH_WORDS];
    uint32_t seed[2];
    uint32_t micro_steps;
    uint32_t l3_high_water;
    uint64_t training_cycles;
    uint32_t profiling;
    bt_profile profile;
} bt_resident;

/* Fills the mailbox; generation is any number that differs from the last start's. */
void bt_resident_init(bt_resident *resident, const bt_hal *hal, const bt_resident_memory *memory,
                      uint32_t build_id, uint32_t generation);

/* Serves one command if one is posted. Returns 1 if it did. */
uint32_t bt_resident_poll(bt_resident *resident);

#endif
