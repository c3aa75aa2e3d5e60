#define _GNU_SOURCE
#include "link/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define STOP_TIMEOUT_MS 5000
#define LEAST_INHERITED 16 /* above the fixed descriptors of a program */
#define MAX_INHERITED 2u
#define MAX_ARGUMENTS 56u

/* The shell keeps none of the program's descriptors: their end tells that the program has ended. */
static const char script[] = "\"$@\" </dev/null & child=$!; exec 2>/dev/null 3>&- 4>&-; read -r _; "
                             "kill -9 $child; wait $child; kill -9 0";

static void close_descriptor(int *descriptor) {
    if (*descriptor >= 0) {
        close(*descriptor);
        *descriptor = -1;
    }
}

int bt_descriptor_raise(int descriptor) {
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, LEAST_INHERITED);
    if (descriptor >= 0) {
        close(descriptor);
    }
    return moved;
}

/* dup2 in posix_spawn clears close-on-exec. */
static int spawn_shell(pid_t *shell, const char *const *arguments, int lifeline, int messages,
                       const int *inherited, uint32_t count) {
    extern char **environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, lifeline, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, messages, STDERR_FILENO);
    for (uint32_t i = 0; i < count; i++) {
        posix_spawn_file_actions_adddup2(&actions, inherited[i], STDERR_FILENO + 1 + (int)i);
    }
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawn(shell, "/bin/sh", &actions, &attributes,
                            (char *const *)(uintptr_t)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

bt_status bt_process_start(bt_process *process, const char *const *arguments, const int *inherited,
                           uint32_t count) {
    const char *shell[MAX_ARGUMENTS + 5] = {"/bin/sh", "-c", script, "biotrain"};
    int lifelines[2] = {-1, -1}, messages[2] = {-1, -1};
    uint32_t given = 0;
    while (arguments[given] != NULL && given < MAX_ARGUMENTS) {
        shell[4 + given] = arguments[given];
        given++;
    }
    if (arguments[given] != NULL || count > MAX_INHERITED) {
        BT_FAIL(BT_ERROR_INTERNAL, "%s was given more than %u arguments or %u descriptors.",
                arguments[0], MAX_ARGUMENTS, MAX_INHERITED);
    }
    bt_status status = BT_OK;
    if (pipe2(lifelines, O_CLOEXEC) != 0 || pipe2(messages, O_CLOEXEC) != 0) {
        status = bt_error_set(BT_ERROR_IO, "Cannot create the pipes for %s: %s.", arguments[0],
                              strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        lifelines[i] = bt_descriptor_raise(lifelines[i]);
        messages[i] = bt_descriptor_raise(messages[i]);
    }
    *process = (bt_process)BT_PROCESS_NONE;
    if (status == BT_OK) {
        int error =
            spawn_shell(&process->shell, shell, lifelines[0], messages[1], inherited, count);
        if (error != 0) {
            process->shell = 0;
            status = bt_error_set(BT_ERROR_IO, "Cannot start /bin/sh for %s: %s.", arguments[0],
                                  strerror(error));
        }
    }
    close_descriptor(&lifelines[0]);
    close_descriptor(&messages[1]);
    process->lifeline = lifelines[1];
    process->messages = messages[0];
    if (status != BT_OK) {
        bt_process_stop(process);
        return status;
    }
    fcntl(process->messages, F_SETFL, O_NONBLOCK);
    return BT_OK;
}

/* Appends to the text; the oldest half goes when it is full. */
static void append(bt_process *process, const char *text, size_t length) {
    const size_t half = sizeof process->text / 2;
    if (process->length + length >= sizeof process->text) {
        size_t dropped = process->length - (half - 1);
        process->length -= dropped;
        memmove(process->text, process->text + dropped, process->length);
    }
    memcpy(process->text + process->length, text, length);
    process->length += length;
    process->text[process->length] = '\0';
}

static void collect(bt_process *process) {
    char text[BT_PROCESS_MESSAGE_BYTES / 2];
    while (process->messages >= 0) {
        ssize_t count = read(process->messages, text, sizeof text);
        if (count > 0) {
            append(process, text, (size_t)count);
        } else if (count == 0) {
            close_descriptor(&process->messages);
        } else if (errno != EINTR) {
            return;
        }
    }
}

const char *bt_process_messages(bt_process *process) {
    collect(process);
    return process->text;
}

void bt_process_last_words(bt_process *process, const char *name, char *out, size_t size) {
    collect(process);
    size_t length = process->length;
    while (length > 0 && process->text[length - 1] == '\n') {
        length--;
    }
    size_t used = length == 0 ? 0 : (size_t)snprintf(out, size, "; %s said: ", name);
    size_t room = used < size ? size - used - 1 : 0;
    size_t taken = length < room ? length : room;
    memcpy(out + size - 1 - room, process->text + length - taken, taken);
    out[size - 1 - room + taken] = '\0';
}

void bt_process_forget(bt_process *process) {
    collect(process);
    process->length = 0;
    process->text[0] = '\0';
}

bool bt_process_ended(bt_process *process) {
    collect(process);
    return process->messages < 0;
}

void bt_process_stop(bt_process *process) {
    close_descriptor(&process->lifeline);
    if (process->shell > 0) {
        for (int waited = 0; waitpid(process->shell, NULL, WNOHANG) == 0; waited++) {
            if (waited == STOP_TIMEOUT_MS) {
                kill(-process->shell, SIGKILL);
            }
            poll(NULL, 0, 1);
        }
        process->shell = 0;
    }
    collect(process);
    close_descriptor(&process->messages);
}
