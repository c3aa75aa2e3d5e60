/* The host as a device: cores, arenas, guard words. */
#include "hal/host.h"
#include "support.h"

#include <stdatomic.h>
#include <string.h>

#define ROUNDS 200u

static bt_host *host_new(uint32_t cores) {
    const bt_target target = {.l1_bytes = 1000, .l2_bytes = 20000, .l3_bytes = 50000};
    bt_host *host = NULL;
    CHECK(bt_host_create(&target, cores, &host) == BT_OK, "%s", bt_error_message(0));
    return host;
}

typedef struct rounds {
    _Atomic uint32_t arrived;
    _Atomic uint32_t early; /* times a core saw a round that another had not entered */
    uint32_t cores;
} rounds;

static void pass_barriers(void *argument, const bt_team *team) {
    rounds *r = argument;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        atomic_fetch_add(&r->arrived, 1);
        bt_team_barrier(team);
        if (atomic_load(&r->arrived) < round * r->cores) {
            atomic_fetch_add(&r->early, 1);
        }
        bt_team_barrier(team);
    }
}

static void barriers_hold_all_cores(void) {
    static const uint32_t cores[] = {1, 2, 3, 8};
    for (uint32_t i = 0; i < 4; i++) {
        bt_host *host = host_new(cores[i]);
        bt_hal hal = bt_host_hal(host);
        rounds r = {.cores = cores[i]};
        for (uint32_t run = 1; run <= 3; run++) {
            atomic_store(&r.arrived, 0);
            hal.run_on_cores(hal.context, pass_barriers, &r);
            CHECK(atomic_load(&r.arrived) == ROUNDS * cores[i], "%u cores: %u arrivals", cores[i],
                  atomic_load(&r.arrived));
        }
        CHECK(atomic_load(&r.early) == 0, "%u cores: %u left a barrier early", cores[i],
              atomic_load(&r.early));
        bt_host_free(host);
    }
}

/* Writes the byte that argument points to. */
static void write_byte(void *argument, const bt_team *team) {
    if (team->core == 0) {
        uint8_t *place = argument;
        *place = 0;
    }
}

static void writes_outside_an_arena_are_noticed(void) {
    static const char *const names[] = {"L1", "L2"};
    for (uint32_t level = 0; level < 2; level++) {
        for (uint32_t end = 0; end < 2; end++) {
            bt_host *host = host_new(2);
            bt_hal hal = bt_host_hal(host);
            uint32_t bytes = hal.arena_bytes[level];
            hal.run_on_cores(hal.context, write_byte, hal.arena[level]);
            hal.run_on_cores(hal.context, write_byte, hal.arena[level] + bytes - 1);
            CHECK(bt_host_damage(host) == NULL, "%s is intact", names[level]);
            hal.run_on_cores(hal.context, write_byte,
                             end ? hal.arena[level] + bytes : hal.arena[level] - 1);
            const char *damage = bt_host_damage(host);
            CHECK(damage != NULL && strcmp(damage, names[level]) == 0, "%s: %s", names[level],
                  damage == NULL ? "nothing noticed" : damage);
            bt_host_free(host);
        }
    }
}

static void transfers_stay_inside_l3(void) {
    static const struct {
        uint32_t offset;
        uint32_t bytes;
    } outside[] = {{49997, 4}, {0xFFFFFFFC, 4}, {0, 50001}, {50000, 1}};
    uint8_t buffer[50004] = {0};
    bt_host *host = host_new(1);
    bt_hal hal = bt_host_hal(host);
    hal.l3_write(hal.context, 49996, "abcd", 4);
    bt_l3_read(&hal, 49996, buffer, 4);
    CHECK(memcmp(buffer, "abcd", 4) == 0 && bt_host_damage(host) == NULL, "the last word");
    bt_host_free(host);
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t write = 0; write < 2; write++) {
            host = host_new(1);
            hal = bt_host_hal(host);
            if (write) {
                hal.l3_write(hal.context, outside[i].offset, buffer, outside[i].bytes);
            } else {
                bt_l3_read(&hal, outside[i].offset, buffer, outside[i].bytes);
            }
            CHECK(bt_host_damage(host) != NULL, "%u bytes at %u", outside[i].bytes,
                  outside[i].offset);
            bt_host_free(host);
        }
    }
}

int main(void) {
    RUN(barriers_hold_all_cores);
    RUN(writes_outside_an_arena_are_noticed);
    RUN(transfers_stay_inside_l3);
    return REPORT();
}
