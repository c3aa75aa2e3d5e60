#include "link/elf.h"

#include <string.h>

#include "base/error.h"
#include "link/mailbox.h"

/* Field offsets of Elf32_Ehdr, Elf32_Phdr, Elf32_Shdr and Elf32_Sym (System V ABI, chapter 4). */
#define EHDR_BYTES 52u
#define PHDR_BYTES 32u
#define SHDR_BYTES 40u
#define SYM_BYTES 16u
#define MACHINE_RISCV 243u
#define PT_LOAD 1u
#define SHT_PROGBITS 1u
#define SHT_SYMTAB 2u
#define SHF_EXECINSTR 4u

static uint32_t word(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t half(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }

static int inside(const bt_elf *elf, uint64_t offset, uint64_t bytes) {
    return offset + bytes <= elf->size;
}

static bt_status find_symbols(bt_elf *elf) {
    uint32_t table = word(elf->bytes + 32);
    uint32_t count = half(elf->bytes + 48);
    if (half(elf->bytes + 46) != SHDR_BYTES || !inside(elf, table, (uint64_t)count * SHDR_BYTES)) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The firmware's section table (%u entries at offset %u) lies "
                "outside the file of %u bytes; the file is damaged.",
                count, table, elf->size);
    }
    elf->sections_offset = table;
    elf->section_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *section = elf->bytes + table + (size_t)i * SHDR_BYTES;
        if (word(section + 4) != SHT_SYMTAB) {
            continue;
        }
        uint32_t link = word(section + 24);
        if (link >= count) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The firmware's symbol table names string section %u of %u; "
                    "the file is damaged.",
                    link, count);
        }
        const uint8_t *strings = elf->bytes + table + (size_t)link * SHDR_BYTES;
        elf->symbols_offset = word(section + 16);
        elf->symbol_count = word(section + 20) / SYM_BYTES;
        elf->strings_offset = word(strings + 16);
        elf->strings_bytes = word(strings + 20);
        if (!inside(elf, elf->symbols_offset, (uint64_t)elf->symbol_count * SYM_BYTES) ||
            !inside(elf, elf->strings_offset, elf->strings_bytes) || elf->strings_bytes == 0 ||
            elf->bytes[elf->strings_offset + elf->strings_bytes - 1] != 0) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "The firmware's symbol table lies outside the file; the file is damaged.");
        }
        return BT_OK;
    }
    return BT_OK;
}

bt_status bt_elf_open(const uint8_t *bytes, size_t size, bt_elf *out) {
    static const uint8_t identity[6] = {0x7F, 'E', 'L', 'F', 1 /* 32 bit */, 1 /* little endian */};
    BT_REQUIRE(bytes);
    BT_REQUIRE(out);
    bt_elf elf = {.bytes = bytes, .size = (uint32_t)size};
    if (size < EHDR_BYTES || size > UINT32_MAX || memcmp(bytes, identity, sizeof identity) != 0 ||
        half(bytes + 18) != MACHINE_RISCV) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The firmware (%zu bytes) is not a 32-bit little-endian RISC-V "
                "ELF; pass the .elf file of a BioTrain firmware.",
                size);
    }
    elf.entry = word(bytes + 24);
    elf.segment_count = half(bytes + 44);
    if (half(bytes + 42) != PHDR_BYTES ||
        !inside(&elf, word(bytes + 28), (uint64_t)elf.segment_count * PHDR_BYTES)) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The firmware's program headers (%u) lie outside the file of %u "
                "bytes; the file is damaged.",
                elf.segment_count, elf.size);
    }
    BT_TRY(find_symbols(&elf));
    *out = elf;
    return BT_OK;
}

bt_status bt_elf_segment_get(const bt_elf *elf, uint32_t index, bt_elf_segment *out) {
    const uint8_t *header = elf->bytes + word(elf->bytes + 28) + (size_t)index * PHDR_BYTES;
    bt_elf_segment segment = {0};
    if (index >= elf->segment_count) {
        BT_FAIL(BT_ERROR_ARGUMENT, "The firmware has %u segments, not %u.", elf->segment_count,
                index + 1);
    }
    if (word(header) == PT_LOAD) {
        uint32_t offset = word(header + 4);
        segment.address = word(header + 12);
        segment.file_bytes = word(header + 16);
        segment.memory_bytes = word(header + 20);
        if (!inside(elf, offset, segment.file_bytes) || segment.file_bytes > segment.memory_bytes) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "Segment %u of the firmware (%u bytes at offset %u) lies "
                    "outside the file of %u bytes; the file is damaged.",
                    index, segment.file_bytes, offset, elf->size);
        }
        segment.data = elf->bytes + offset;
    }
    *out = segment;
    return BT_OK;
}

/* Name of symbol number index, or "". */
static const char *symbol_name(const bt_elf *elf, uint32_t index) {
    uint32_t string = word(elf->bytes + elf->symbols_offset + (size_t)index * SYM_BYTES);
    return string < elf->strings_bytes ? (const char *)elf->bytes + elf->strings_offset + string
                                       : "";
}

static void symbol_place(const bt_elf *elf, uint32_t index, uint32_t *address, uint32_t *bytes) {
    const uint8_t *symbol = elf->bytes + elf->symbols_offset + (size_t)index * SYM_BYTES;
    *address = word(symbol + 4);
    *bytes = word(symbol + 8);
}

bool bt_elf_find(const bt_elf *elf, const char *name, uint32_t *address, uint32_t *bytes) {
    for (uint32_t i = 0; i < elf->symbol_count; i++) {
        if (strcmp(symbol_name(elf, i), name) == 0) {
            symbol_place(elf, i, address, bytes);
            return true;
        }
    }
    return false;
}

bt_status bt_elf_symbol(const bt_elf *elf, const char *name, uint32_t *address, uint32_t *bytes) {
    if (!bt_elf_find(elf, name, address, bytes)) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The firmware has no symbol %s; it is not a BioTrain firmware, or "
                "its symbols were stripped.",
                name);
    }
    return BT_OK;
}

bt_status bt_elf_mailbox(const bt_elf *elf, uint32_t *address) {
    static const char prefix[] = "bt_", suffix[] = "mailbox";
    for (uint32_t i = 0; i < elf->symbol_count; i++) {
        const char *name = symbol_name(elf, i);
        size_t length = strlen(name);
        uint32_t place, bytes;
        symbol_place(elf, i, &place, &bytes);
        if (bytes == sizeof(bt_mailbox) && place % 4 == 0 && length >= sizeof suffix - 1 &&
            strncmp(name, prefix, sizeof prefix - 1) == 0 &&
            strcmp(name + length - (sizeof suffix - 1), suffix) == 0) {
            *address = place;
            return BT_OK;
        }
    }
    BT_FAIL(BT_ERROR_ARGUMENT,
            "The firmware has no mailbox (a variable bt_..._mailbox of %zu bytes); it is not a "
            "BioTrain firmware of this version, or its symbols were stripped.",
            sizeof(bt_mailbox));
}

bt_status bt_elf_code(const bt_elf *elf, bt_elf_segment *out) {
    bt_elf_segment code = {0};
    for (uint32_t i = 0; i < elf->section_count; i++) {
        const uint8_t *section = elf->bytes + elf->sections_offset + (size_t)i * SHDR_BYTES;
        uint32_t offset = word(section + 16), bytes = word(section + 20);
        if (word(section + 4) == SHT_PROGBITS && (word(section + 8) & SHF_EXECINSTR) != 0 &&
            word(section + 12) % 4 == 0 && bytes > code.file_bytes && inside(elf, offset, bytes)) {
            code.address = word(section + 12);
            code.data = elf->bytes + offset;
            code.file_bytes = code.memory_bytes = bytes & ~3u;
        }
    }
    if (code.file_bytes == 0) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The firmware's file does not say where its code is, so it cannot be compared with "
                "what runs; its sections were stripped.");
    }
    *out = code;
    return BT_OK;
}
