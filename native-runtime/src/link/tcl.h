/*
 * Client of OpenOCD's Tcl port: a command, ended by the byte 0x1A, one answer, ended likewise.
 * Every request has a deadline. After a failure the connection is closed, since an answer that
 * comes late would be taken for that of the next request; later requests fail at once.
 */
#ifndef BT_TCL_H
#define BT_TCL_H

#include <stdbool.h>

#include "link/process.h"

#define BT_TCL_ANSWER_BYTES (1u << 20) /* longer ones are refused */

typedef struct bt_tcl {
    int socket; /* -1: not connected */
    char *answer;
    size_t capacity;
    uint64_t exchanges;
} bt_tcl;

#define BT_TCL_NONE {.socket = -1}

/* BT_ERROR_DEVICE if nobody listens there, BT_ERROR_TIMEOUT if nobody answers. */
bt_status bt_tcl_connect(bt_tcl *tcl, const char *host, const char *port, uint32_t timeout_ms);

/*
 * Sends one command and waits for its answer, which stays valid until the next request. While it
 * waits it collects the messages of process, so that a talkative OpenOCD cannot block; NULL if it
 * is not ours. BT_ERROR_TIMEOUT, or BT_ERROR_DEVICE if the connection ends or the answer is
 * too long or holds a zero byte.
 */
bt_status bt_tcl_request(bt_tcl *tcl, const char *command, size_t length, uint64_t timeout_ns,
                         bt_process *process, const char **answer);

/* Whether the connection is there, as far as that is known without a request. */
bool bt_tcl_alive(const bt_tcl *tcl);

/* Ends the connection; the last answer stays valid. */
void bt_tcl_close(bt_tcl *tcl);

void bt_tcl_free(bt_tcl *tcl);

#endif
