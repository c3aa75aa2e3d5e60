/*
 * Client of GVSOC's proxy: a text protocol over TCP, one request and its reply at a time. It is
 * spoken in dialects: replies with "err=" or without, lines about the engine's state in between.
 *
 * Every call ends within the deadline. After a failure other than a refused access the connection
 * is of no use any more. The functions are for one thread at a time.
 */
#ifndef BT_PROXY_H
#define BT_PROXY_H

#include <stdbool.h>

#include "biotrain/biotrain.h"

#define BT_PROXY_LINE_BYTES 1024u

typedef struct bt_proxy {
    int socket; /* -1: not connected */
    uint32_t timeout_ms;
    uint32_t request; /* number of the last one */
    size_t begin;     /* received and not yet used: buffer[begin … end) */
    size_t end;
    uint8_t buffer[4096];
    bool ended; /* the simulated program has ended, with exit_status */
    int exit_status;
} bt_proxy;

/* A component of the simulated system, as get_component names it. */
typedef struct bt_proxy_component {
    char handle[32];
} bt_proxy_component;

/* Connects to a numeric port of a host. */
bt_status bt_proxy_connect(bt_proxy *proxy, const char *host, const char *port,
                           uint32_t timeout_ms);

/* "run", "stop": waits for the reply. */
bt_status bt_proxy_command(bt_proxy *proxy, const char *command);

/* Finds a component by its path; BT_ERROR_ARGUMENT if the system has none. */
bt_status bt_proxy_find(bt_proxy *proxy, const char *path, bt_proxy_component *out);

/* Memory as the component sees it; possible while time stands still, and takes no simulated time.
 */
bt_status bt_proxy_read(bt_proxy *proxy, const bt_proxy_component *component, uint32_t address,
                        void *to, uint32_t size);
bt_status bt_proxy_write(bt_proxy *proxy, const bt_proxy_component *component, uint32_t address,
                         const void *from, uint32_t size);

/* Whether the other side has closed the connection. */
bool bt_proxy_closed(const bt_proxy *proxy);

/*
 * Asks for "run" without waiting for the answer, and closes: a client that left while stopped would
 * hold simulated time for all others. Touches no error.
 */
void bt_proxy_leave(bt_proxy *proxy);

void bt_proxy_close(bt_proxy *proxy);

#endif
