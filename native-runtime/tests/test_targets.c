/* Targets: those that ship, those of files, and files that are wrong. */
#include "networks.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "plan/targets.h"

static const char good[] = "# A small one.\n"
                           "name = small\r\n"
                           "\tcores=2\n"
                           "l1_bytes = 16384\n"
                           "l2_bytes = 262144\n"
                           "l3_bytes = 0\n"
                           "macs_per_cycle = 0.5\n"
                           "l2_bytes_per_cycle = 4\n"
                           "l3_bytes_per_cycle = 0.25\n"
                           "l2_load_cycles = 12\n"
                           "dispatch_cycles = 250";

static void shipped_targets_are_named_like_their_files(void) {
    static const char *const names[] = {"gap9", "gap9-l2-only", "host", "pulp-open"};
    CHECK(bt_target_file_count == 4, "%u targets", bt_target_file_count);
    for (uint32_t i = 0; i < 4; i++) {
        bt_target target = target_named(names[i]);
        CHECK(strcmp(target.name, names[i]) == 0, "%s calls itself %s", names[i], target.name);
        CHECK(target.struct_size == sizeof target, "%s", names[i]);
    }
    CHECK(target_named("gap9").l1_bytes == 114688, "%u", target_named("gap9").l1_bytes);
    bt_target l2_only = target_named("gap9-l2-only");
    CHECK(l2_only.l3_bytes == 0 && l2_only.sample_bytes == 33554432, "%u, %u", l2_only.l3_bytes,
          l2_only.sample_bytes);
    CHECK(target_named("gap9").sample_bytes == 0, "%u", target_named("gap9").sample_bytes);
    CHECK(target_named("pulp-open").l1_bytes < 65536, "%u", target_named("pulp-open").l1_bytes);
}

static void a_file_describes_a_target(void) {
    char path[] = "/tmp/biotrain-target-XXXXXX";
    char file[64];
    bt_target target;
    CHECK(mkdtemp(path) != NULL, "no directory");
    snprintf(file, sizeof file, "%s/small.target", path);
    FILE *out = fopen(file, "wb");
    fputs(good, out);
    fclose(out);
    require(bt_target_find(file, &target), "bt_target_find");
    CHECK(strcmp(target.name, "small") == 0 && target.cores == 2 && target.l1_bytes == 16384,
          "%s, %u cores, %u bytes", target.name, target.cores, target.l1_bytes);
    CHECK(target.macs_per_cycle == 0.5f && target.l3_bytes_per_cycle == 0.25f, "%g, %g",
          (double)target.macs_per_cycle, (double)target.l3_bytes_per_cycle);
    CHECK(target.l2_load_cycles == 12 && target.dispatch_cycles == 250, "%u, %u",
          target.l2_load_cycles, target.dispatch_cycles);

    /* A device with these memories. */
    char uri[128];
    bt_device *device;
    bt_device_info info = {.struct_size = sizeof info};
    snprintf(uri, sizeof uri, "sim:?target=%s", file);
    require(bt_device_open(uri, NULL, &device), "bt_device_open");
    require(bt_device_info_get(device, &info), "bt_device_info_get");
    CHECK(info.l2_bytes == 262144 && strcmp(info.target, "small") == 0, "%u bytes, %s",
          info.l2_bytes, info.target);
    bt_device_close(device);

    remove(file);
    CHECK(bt_target_find(file, &target) == BT_ERROR_ARGUMENT, "a file that is gone is found");
    CHECK(strstr(bt_error_message(0), file) != NULL, "%s", bt_error_message(0));
    remove(path);
}

/* The good file with one line replaced; line 0 is added at the end. */
static bt_status parse_with(uint32_t line, const char *replacement, bt_target *out) {
    char text[1024] = "";
    const char *from = good;
    for (uint32_t i = 1; *from != '\0'; i++) {
        size_t length = strcspn(from, "\n");
        if (i == line) {
            strcat(text, replacement);
        } else {
            strncat(text, from, length);
        }
        strcat(text, "\n");
        from += length + (from[length] == '\n');
    }
    strcat(text, line == 0 ? replacement : "");
    return bt_target_parse("bad.target", text, strlen(text), out);
}

static void mistakes_are_told_with_their_line(void) {
    static const struct {
        uint32_t line;
        const char *text, *told;
    } mistakes[] = {
        {2, "name = a b", "line 2: name is \"a b\""},
        {2, "name = abcdefghijklmnopqrstuvwxyz0123456789", "line 2: name is"},
        {2, "name =", "line 2: name is \"\""},
        {2, "nonsense", "line 2: \"nonsense\" is not key = value"},
        {2, "color = red", "line 2: there is no key \"color\""},
        {3, "cores = 0", "line 3: cores is \"0\"; a whole number from 1 to 64"},
        {3, "cores = 65", "line 3: cores is \"65\""},
        {3, "cores = -1", "line 3: cores is \"-1\""},
        {3, "cores = 99999999999999999999", "line 3: cores is"},
        {4, "l1_bytes = 16383", "line 4: l1_bytes is \"16383\"; a whole number, a multiple of 4,"},
        {5, "l2_bytes = 0x1000", "line 5: l2_bytes is \"0x1000\""},
        {7, "macs_per_cycle = 0", "line 7: macs_per_cycle is \"0\""},
        {7, "macs_per_cycle = 1.234", "line 7: macs_per_cycle is \"1.234\""},
        {7, "macs_per_cycle = 1.", "line 7: macs_per_cycle is \"1.\""},
        {7, "macs_per_cycle = nan", "line 7: macs_per_cycle is \"nan\""},
        {0, "cores = 2", "line 12: cores stands in line 3 already"},
        {6, "# l3_bytes = 0", "line 11: the file ends without the key l3_bytes"},
        {6, "l3_bytes = 0\x01", "line 6: the line is longer than 199 characters or holds control"},
    };
    bt_target target;
    for (uint32_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        bt_status status = parse_with(mistakes[i].line, mistakes[i].text, &target);
        CHECK(status == BT_ERROR_ARGUMENT, "\"%s\" is taken", mistakes[i].text);
        CHECK(status == BT_OK || strstr(bt_error_message(0), mistakes[i].told) != NULL,
              "\"%s\": %s", mistakes[i].text, bt_error_message(0));
    }
    CHECK(bt_target_find("gap10", &target) == BT_ERROR_ARGUMENT, "gap10 is known");
    CHECK(strstr(bt_error_message(0), "gap9-l2-only, gap9, host, pulp-open") != NULL, "%s",
          bt_error_message(0));
}

/* Whatever bytes a file holds: a target with allowed sizes, or one sentence. */
static void damaged_files_are_refused_or_sound(void) {
    enum { FILES = 20000 };
    uint32_t seed = 3, taken = 0;
    for (uint32_t i = 0; i < FILES; i++) {
        char *text =
            malloc(sizeof good - 1); /* its exact size, so that a sanitizer sees overruns */
        size_t length = sizeof good - 1;
        memcpy(text, good, length);
        for (uint32_t change = next_below(&seed, 4); change < 4; change++) {
            text[next_below(&seed, (uint32_t)length)] =
                next_below(&seed, 2) ? (char)next_below(&seed, 256) : "=\n#. 09ab"[change];
        }
        length = next_below(&seed, 8) == 0 ? next_below(&seed, (uint32_t)length) : length;
        bt_target target;
        bt_status status = bt_target_parse("fuzz", text, length, &target);
        if (status == BT_OK) {
            taken++;
            CHECK(target.cores >= 1 && target.cores <= 64 && target.l2_bytes <= 1u << 30 &&
                      target.macs_per_cycle > 0.0f && strlen(target.name) > 0,
                  "file %u", i);
        } else {
            CHECK(status == BT_ERROR_ARGUMENT &&
                      strncmp(bt_error_message(0), "fuzz, line ", 11) == 0,
                  "file %u: %s", i, bt_error_message(0));
        }
        free(text);
    }
    CHECK(taken > 0 && taken < FILES, "%u of %d files are taken", taken, FILES);
}

int main(void) {
    RUN(shipped_targets_are_named_like_their_files);
    RUN(a_file_describes_a_target);
    RUN(mistakes_are_told_with_their_line);
    RUN(damaged_files_are_refused_or_sound);
    return REPORT();
}
