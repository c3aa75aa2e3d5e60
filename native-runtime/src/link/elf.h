/*
 * Reader of 32-bit little-endian RISC-V executables: what a link needs to load a firmware and to
 * find its mailbox. The bytes are untrusted: every offset is checked before use.
 */
#ifndef BT_ELF_H
#define BT_ELF_H

#include <stdbool.h>

#include "biotrain/biotrain.h"

typedef struct bt_elf {
    const uint8_t *bytes; /* the caller's; must outlive this */
    uint32_t size;
    uint32_t entry;
    uint32_t segment_count;
    uint32_t symbols_offset; /* 0: none */
    uint32_t symbol_count;
    uint32_t strings_offset;
    uint32_t strings_bytes;
    uint32_t sections_offset;
    uint32_t section_count;
} bt_elf;

/* Part of memory that loading fills: file_bytes from data, the rest up to memory_bytes with zero.
 */
typedef struct bt_elf_segment {
    uint32_t address; /* physical */
    const uint8_t *data;
    uint32_t file_bytes;
    uint32_t memory_bytes;
} bt_elf_segment;

/* BT_ERROR_ARGUMENT if this is not such an executable or a table lies outside it. */
bt_status bt_elf_open(const uint8_t *bytes, size_t size, bt_elf *out);

/* Program header number index; memory_bytes is 0 for those that load nothing. */
bt_status bt_elf_segment_get(const bt_elf *elf, uint32_t index, bt_elf_segment *out);

/* Whether there is a symbol of this name; then its address and size. */
bool bt_elf_find(const bt_elf *elf, const char *name, uint32_t *address, uint32_t *bytes);

/* Address of the firmware's mailbox: the variable bt_mailbox or bt_…_mailbox of its size. */
bt_status bt_elf_mailbox(const bt_elf *elf, uint32_t *address);

/* The largest section of code; BT_ERROR_ARGUMENT if the file does not say where its code is. */
bt_status bt_elf_code(const bt_elf *elf, bt_elf_segment *out);

/* Address and size of a symbol; BT_ERROR_ARGUMENT if it is not there. */
bt_status bt_elf_symbol(const bt_elf *elf, const char *name, uint32_t *address, uint32_t *bytes);

#endif
