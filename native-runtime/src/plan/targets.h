/* Targets: those that ship, and those of files. */
#ifndef BT_TARGETS_H
#define BT_TARGETS_H

#include "base/error.h"

/* The files of native-runtime/targets, in the order of the files; CMake writes them in. */
typedef struct bt_target_file {
    const char *name; /* without its ending */
    const char *text;
} bt_target_file;

extern const bt_target_file bt_target_files[];
extern const uint32_t bt_target_file_count;

/* Larger files are no targets. */
#define BT_TARGET_FILE_LIMIT 16384u

/*
 * Reads the text of a target file, length bytes that need not be trusted; source names it in
 * messages. Lines are "key = value", blank, or comments that begin with #; every key stands once.
 */
bt_status bt_target_parse(const char *source, const char *text, size_t length, bt_target *out);

#endif
