/* The functions that a compiler calls on its own, for devices without its run-time library. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    uint8_t *destination = to;
    const uint8_t *source = from;
    if ((((uintptr_t)destination | (uintptr_t)source) & 3u) == 0u) {
        for (; size >= 16u; size -= 16u, destination += 16, source += 16) {
            uint32_t *d = (uint32_t *)(void *)destination;
            const uint32_t *s = (const uint32_t *)(const void *)source;
            uint32_t a = s[0], b = s[1], c = s[2], e = s[3];
            d[0] = a;
            d[1] = b;
            d[2] = c;
            d[3] = e;
        }
        for (; size >= 4u; size -= 4u, destination += 4, source += 4) {
            *(uint32_t *)(void *)destination = *(const uint32_t *)(const void *)source;
        }
    }
    while (size-- > 0u) {
        *destination++ = *source++;
    }
    return to;
}

void *memset(void *to, int value, size_t size) {
    uint8_t *destination = to;
    uint32_t word = (uint8_t)value * 0x01010101u;
    if (((uintptr_t)destination & 3u) == 0u) {
        for (; size >= 4u; size -= 4u, destination += 4) {
            *(uint32_t *)(void *)destination = word;
        }
    }
    while (size-- > 0u) {
        *destination++ = (uint8_t)value;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    uint8_t *destination = to;
    const uint8_t *source = from;
    if (destination <= source || destination >= source + size) {
        return memcpy(to, from, size);
    }
    while (size-- > 0u) {
        destination[size] = source[size];
    }
    return to;
}

/* Quotient of 64-bit numbers: bit by bit, since only the validator needs it. */
uint64_t __udivdi3(uint64_t numerator, uint64_t denominator) {
    uint64_t quotient = 0;
    uint64_t remainder = 0;
    int bit;
    for (bit = 63; bit >= 0; bit--) {
        remainder = remainder << 1 | (numerator >> bit & 1u);
        if (remainder >= denominator) {
            remainder -= denominator;
            quotient |= (uint64_t)1 << bit;
        }
    }
    return quotient;
}
