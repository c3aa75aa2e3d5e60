/*
 * A program that a link starts and that never outlives it: QEMU, OpenOCD.
 *
 * The program runs in a session of its own, so a Ctrl-C at the terminal is for the application
 * alone, below a shell that kills it when its standard input, a pipe that only this process holds
 * open, comes to its end: on bt_process_stop, and when this process dies, however it dies.
 *
 * What the program writes to standard error is collected; it must be read now and then
 * (bt_process_messages), since a full pipe would stop the program. One thread at a time.
 */
#ifndef BT_PROCESS_H
#define BT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "biotrain/biotrain.h"

#define BT_PROCESS_MESSAGE_BYTES 8192u

typedef struct bt_process {
    pid_t shell; /* 0: not started */
    int lifeline;
    int messages; /* the program's standard error; -1 once it has ended */
    size_t length;
    char text[BT_PROCESS_MESSAGE_BYTES]; /* the last part of what it wrote */
} bt_process;

#define BT_PROCESS_NONE {.lifeline = -1, .messages = -1}

/*
 * Starts arguments[0], looked up in PATH; NULL ends the list. The inherited descriptors become 3,
 * 4, …, at most two, in the program; they must be above 15 (bt_descriptor_raise). BT_ERROR_IO if
 * no process can be made; a program that does not exist ends with a message of the shell.
 */
bt_status bt_process_start(bt_process *process, const char *const *arguments, const int *inherited,
                           uint32_t count);

/* Everything that it wrote so far, or the last part of that. */
const char *bt_process_messages(bt_process *process);

/* The end of that, without the last newline, as "; NAME said: …", or "" if it wrote nothing. */
void bt_process_last_words(bt_process *process, const char *name, char *out, size_t size);

/* Drops what it wrote so far. */
void bt_process_forget(bt_process *process);

/* Whether it has ended by itself, or was never started. */
bool bt_process_ended(bt_process *process);

/* Kills it and all that it started, and waits for that. Does nothing if it is not running. */
void bt_process_stop(bt_process *process);

/* Moves a close-on-exec descriptor above 15, so that no fixed one of a program overwrites it. */
int bt_descriptor_raise(int descriptor);

#endif
