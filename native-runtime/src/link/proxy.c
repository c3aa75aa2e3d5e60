#define _GNU_SOURCE
#include "link/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

/* Fields of one line, split at semicolons. */
typedef struct proxy_reply {
    char line[BT_PROXY_LINE_BYTES];
    bool has_number;
    long long number;    /* req=: of the request, or -1 */
    const char *message; /* msg=, or "" */
    const char *payload; /* payload=, or NULL */
    const char *exit;    /* exit=, or NULL */
} proxy_reply;

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* ------------------------------------------------------------------------------------- bytes */

static bt_status lost(const char *what) {
    BT_FAIL(BT_ERROR_DEVICE, "The connection to GVSOC's proxy is gone: %s.", what);
}

/* Waits until the socket can be read or written. */
static bt_status wait_for(const bt_proxy *proxy, short events, uint64_t deadline) {
    struct pollfd wanted = {.fd = proxy->socket, .events = events};
    for (;;) {
        uint64_t now = now_ms();
        int ready = now < deadline ? poll(&wanted, 1, (int)(deadline - now)) : 0;
        if (ready > 0) {
            return BT_OK;
        }
        if (ready == 0) {
            BT_FAIL(BT_ERROR_TIMEOUT, "GVSOC's proxy did not answer within %u ms.",
                    proxy->timeout_ms);
        }
        if (errno != EINTR) {
            return lost(strerror(errno));
        }
    }
}

/*
 * Up to size bytes, at least one. The simulator sends a reply in two small segments: without the
 * quick acknowledgement, which holds for one segment only, the second waits 40 ms for it.
 */
static bt_status receive(bt_proxy *proxy, void *to, size_t size, size_t *received,
                         uint64_t deadline) {
    for (;;) {
        static const int on = 1;
        ssize_t count = recv(proxy->socket, to, size, MSG_DONTWAIT);
        if (count > 0) {
            setsockopt(proxy->socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
            *received = (size_t)count;
            return BT_OK;
        }
        if (count == 0) {
            return lost("the simulator closed it");
        }
        if (errno == EAGAIN) {
            BT_TRY(wait_for(proxy, POLLIN, deadline));
        } else if (errno != EINTR) {
            return lost(strerror(errno));
        }
    }
}

static bt_status receive_all(bt_proxy *proxy, uint8_t *to, size_t size, uint64_t deadline) {
    size_t buffered = proxy->end - proxy->begin;
    size_t done = buffered < size ? buffered : size;
    memcpy(to, proxy->buffer + proxy->begin, done);
    proxy->begin += done;
    while (done < size) {
        size_t count;
        BT_TRY(receive(proxy, to + done, size - done, &count, deadline));
        done += count;
    }
    return BT_OK;
}

static bt_status receive_line(bt_proxy *proxy, char line[BT_PROXY_LINE_BYTES], uint64_t deadline) {
    for (size_t length = 0; length < BT_PROXY_LINE_BYTES; length++) {
        if (proxy->begin == proxy->end) {
            proxy->begin = 0;
            BT_TRY(receive(proxy, proxy->buffer, sizeof proxy->buffer, &proxy->end, deadline));
        }
        char byte = (char)proxy->buffer[proxy->begin++];
        line[length] = byte == '\n' ? '\0' : byte;
        if (byte == '\n') {
            return BT_OK;
        }
    }
    BT_FAIL(BT_ERROR_DEVICE, "GVSOC's proxy sent a line of more than %u characters; is that GVSOC?",
            BT_PROXY_LINE_BYTES - 1);
}

static bt_status send_all(bt_proxy *proxy, const void *from, size_t size, uint64_t deadline) {
    const uint8_t *bytes = from;
    while (size > 0) {
        ssize_t count = send(proxy->socket, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0) {
            bytes += count;
            size -= (size_t)count;
        } else if (errno == EAGAIN) {
            BT_TRY(wait_for(proxy, POLLOUT, deadline));
        } else if (errno != EINTR) {
            return lost(strerror(errno));
        }
    }
    return BT_OK;
}

/* ---------------------------------------------------------------------- requests and replies */

/* Unknown fields are skipped: newer simulators add some. */
static void parse_reply(proxy_reply *reply) {
    char *rest = reply->line;
    reply->has_number = false;
    reply->message = "";
    reply->payload = reply->exit = NULL;
    while (rest != NULL) {
        char *field = strsep(&rest, ";");
        char *value = strchr(field, '=');
        if (value == NULL) {
            continue;
        }
        *value++ = '\0';
        if (strcmp(field, "req") == 0) {
            char *end;
            reply->number = strtoll(value, &end, 10);
            reply->has_number = end != value && *end == '\0';
        } else if (strcmp(field, "msg") == 0) {
            reply->message = value;
        } else if (strcmp(field, "payload") == 0) {
            reply->payload = value;
        } else if (strcmp(field, "exit") == 0) {
            reply->exit = value;
        }
    }
}

/* The next line that answers the current request; what comes unasked is noted or skipped. */
static bt_status receive_reply(bt_proxy *proxy, proxy_reply *reply, uint64_t deadline) {
    for (;;) {
        char line[64];
        BT_TRY(receive_line(proxy, reply->line, deadline));
        snprintf(line, sizeof line, "%.60s", reply->line);
        parse_reply(reply);
        if (!reply->has_number ||
            (reply->number != -1 && reply->number != (long long)proxy->request)) {
            BT_FAIL(BT_ERROR_DEVICE,
                    "GVSOC's proxy answered request %u with \"%s\", which is no answer to it; is "
                    "that GVSOC?",
                    proxy->request, line);
        }
        if (reply->exit != NULL) {
            proxy->ended = true;
            proxy->exit_status = atoi(reply->exit);
        }
        if (reply->number != -1) {
            return BT_OK;
        }
    }
}

static bt_status send_request(bt_proxy *proxy, const char *command, uint64_t *deadline) {
    char line[BT_PROXY_LINE_BYTES];
    if (proxy->socket < 0) {
        BT_FAIL(BT_ERROR_STATE, "There is no connection to GVSOC's proxy; start the device first.");
    }
    proxy->request++;
    int length = snprintf(line, sizeof line, "req=%u;cmd=%s\n", proxy->request, command);
    if (length >= (int)sizeof line) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "A command for GVSOC's proxy has %d characters; at most %u are "
                "allowed.",
                length, BT_PROXY_LINE_BYTES - 1);
    }
    *deadline = now_ms() + proxy->timeout_ms;
    return send_all(proxy, line, (size_t)length, *deadline);
}

bt_status bt_proxy_command(bt_proxy *proxy, const char *command) {
    proxy_reply reply;
    uint64_t deadline;
    BT_TRY(send_request(proxy, command, &deadline));
    return receive_reply(proxy, &reply, deadline);
}

bt_status bt_proxy_find(bt_proxy *proxy, const char *path, bt_proxy_component *out) {
    char command[512];
    proxy_reply reply;
    uint64_t deadline;
    char *end;
    snprintf(command, sizeof command, "get_component %s", path);
    BT_TRY(send_request(proxy, command, &deadline));
    BT_TRY(receive_reply(proxy, &reply, deadline));
    unsigned long long handle = strtoull(reply.message, &end, 16);
    if (handle == 0 || *end != '\0') {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "The simulated system has no component %s (answer \"%.60s\"); give the right path "
                "with the options l1 and l2 of gvsoc:.",
                path, reply.message);
    }
    snprintf(out->handle, sizeof out->handle, "0x%llx", handle);
    return BT_OK;
}

static bt_status refused(const char *what, uint32_t address, uint32_t size) {
    BT_FAIL(BT_ERROR_DEVICE, "GVSOC refused to %s %u bytes at 0x%08X; no memory is there.", what,
            size, address);
}

/* Dialects without "err=" say nothing of success. */
static bool is_error(const proxy_reply *reply) {
    return strncmp(reply->message, "err=", 4) == 0 && strcmp(reply->message, "err=0") != 0;
}

bt_status bt_proxy_read(bt_proxy *proxy, const bt_proxy_component *component, uint32_t address,
                        void *to, uint32_t size) {
    char command[128];
    proxy_reply reply;
    uint64_t deadline;
    snprintf(command, sizeof command, "component %s mem_read 0x%x 0x%x", component->handle, address,
             size);
    BT_TRY(send_request(proxy, command, &deadline));
    BT_TRY(receive_reply(proxy, &reply, deadline));
    if (reply.payload == NULL && is_error(&reply)) {
        return refused("read", address, size);
    }
    if (reply.payload == NULL || strtoull(reply.payload, NULL, 10) != size) {
        BT_FAIL(BT_ERROR_DEVICE,
                "GVSOC's proxy announced %s bytes, but %u were asked for; is that GVSOC?",
                reply.payload == NULL ? "no" : reply.payload, size);
    }
    BT_TRY(receive_all(proxy, to, size, deadline));
    BT_TRY(receive_reply(proxy, &reply, deadline));
    return is_error(&reply) ? refused("read", address, size) : BT_OK;
}

bt_status bt_proxy_write(bt_proxy *proxy, const bt_proxy_component *component, uint32_t address,
                         const void *from, uint32_t size) {
    char command[128];
    proxy_reply reply;
    uint64_t deadline;
    snprintf(command, sizeof command, "component %s mem_write 0x%x 0x%x", component->handle,
             address, size);
    BT_TRY(send_request(proxy, command, &deadline));
    BT_TRY(send_all(proxy, from, size, deadline));
    BT_TRY(receive_reply(proxy, &reply, deadline));
    return is_error(&reply) ? refused("write", address, size) : BT_OK;
}

/* -------------------------------------------------------------------------------- connection */

static bt_status connect_to(bt_proxy *proxy, const struct addrinfo *address, uint64_t deadline) {
    static const int on = 1;
    int error = 0;
    socklen_t length = sizeof error;
    proxy->socket = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                           address->ai_protocol);
    if (proxy->socket < 0) {
        BT_FAIL(BT_ERROR_IO, "Cannot create a socket: %s.", strerror(errno));
    }
    if (connect(proxy->socket, address->ai_addr, address->ai_addrlen) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            BT_TRY(wait_for(proxy, POLLOUT, deadline));
            getsockopt(proxy->socket, SOL_SOCKET, SO_ERROR, &error, &length);
        }
    }
    if (error != 0) {
        BT_FAIL(BT_ERROR_IO, "%s", strerror(error));
    }
    setsockopt(proxy->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return BT_OK;
}

bt_status bt_proxy_connect(bt_proxy *proxy, const char *host, const char *port,
                           uint32_t timeout_ms) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    *proxy = (bt_proxy){.socket = -1, .timeout_ms = timeout_ms};
    int error = getaddrinfo(host, port, &hints, &addresses);
    if (error != 0) {
        BT_FAIL(BT_ERROR_IO, "Cannot find the host %s of GVSOC's proxy: %s.", host,
                gai_strerror(error));
    }
    uint64_t deadline = now_ms() + timeout_ms;
    bt_status status = BT_ERROR_IO;
    for (const struct addrinfo *each = addresses; each != NULL && status != BT_OK;
         each = each->ai_next) {
        bt_proxy_close(proxy);
        status = connect_to(proxy, each, deadline);
    }
    freeaddrinfo(addresses);
    if (status != BT_OK) {
        bt_proxy_close(proxy);
        return bt_error_append(status,
                               "Connecting to GVSOC's proxy at %s:%s failed; start GVSOC with its "
                               "proxy enabled, or name its port.",
                               host, port);
    }
    return BT_OK;
}

bool bt_proxy_closed(const bt_proxy *proxy) {
    char byte;
    if (proxy->socket < 0) {
        return true;
    }
    ssize_t count = recv(proxy->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

void bt_proxy_leave(bt_proxy *proxy) {
    char line[64];
    int length = snprintf(line, sizeof line, "req=%u;cmd=run\n", proxy->request + 1);
    if (proxy->socket >= 0) {
        ssize_t sent = send(proxy->socket, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)sent; /* what cannot be sent to needs no farewell */
    }
    bt_proxy_close(proxy);
}

void bt_proxy_close(bt_proxy *proxy) {
    if (proxy->socket >= 0) {
        close(proxy->socket);
        proxy->socket = -1;
    }
}
