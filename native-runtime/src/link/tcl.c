#define _GNU_SOURCE
#include "link/tcl.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define END_OF_MESSAGE '\x1a'

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Waits for the socket, and empties the process's pipe meanwhile. False at the deadline. */
static bool wait_for(int socket, short events, uint64_t deadline, bt_process *process) {
    for (;;) {
        uint64_t now = now_ns();
        if (now >= deadline) {
            return false;
        }
        struct pollfd ready[2] = {
            {.fd = socket, .events = events},
            {.fd = process != NULL ? process->messages : -1, .events = POLLIN}};
        struct timespec left = {.tv_sec = (time_t)((deadline - now) / 1000000000ull),
                                .tv_nsec = (long)((deadline - now) % 1000000000ull)};
        ppoll(ready, 2, &left, NULL);
        if (ready[1].revents != 0) {
            bt_process_messages(process);
        }
        if (ready[0].revents != 0) {
            return true;
        }
    }
}

void bt_tcl_close(bt_tcl *tcl) {
    if (tcl->socket >= 0) {
        close(tcl->socket);
        tcl->socket = -1;
    }
}

void bt_tcl_free(bt_tcl *tcl) {
    bt_tcl_close(tcl);
    free(tcl->answer);
    *tcl = (bt_tcl)BT_TCL_NONE;
}

bool bt_tcl_alive(const bt_tcl *tcl) {
    struct pollfd ready = {.fd = tcl->socket, .events = POLLIN | POLLRDHUP};
    return tcl->socket >= 0 &&
           (poll(&ready, 1, 0) <= 0 || (ready.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0);
}

/* 0, or the error. */
static int connect_socket(int socket, const struct addrinfo *address, uint64_t deadline) {
    int error = 0, on = 1;
    socklen_t size = sizeof error;
    if (connect(socket, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS) {
            return errno;
        }
        if (!wait_for(socket, POLLOUT, deadline, NULL)) {
            return ETIMEDOUT;
        }
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return error;
}

bt_status bt_tcl_connect(bt_tcl *tcl, const char *host, const char *port, uint32_t timeout_ms) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    uint64_t deadline = now_ns() + timeout_ms * 1000000ull;
    int failure = getaddrinfo(host, port, &hints, &addresses);
    if (failure != 0) {
        BT_FAIL(BT_ERROR_DEVICE, "The host of OpenOCD, \"%s\", is not known: %s.", host,
                gai_strerror(failure));
    }
    int error = ENOENT;
    for (const struct addrinfo *at = addresses; at != NULL && error != 0; at = at->ai_next) {
        bt_tcl_close(tcl);
        tcl->socket = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        error = tcl->socket >= 0 ? connect_socket(tcl->socket, at, deadline) : errno;
    }
    freeaddrinfo(addresses);
    if (error != 0) {
        bt_tcl_close(tcl);
        BT_FAIL(error == ETIMEDOUT ? BT_ERROR_TIMEOUT : BT_ERROR_DEVICE,
                "No OpenOCD answers at %s:%s: %s. Start one there, or let openocd:?script=FILE "
                "launch its own.",
                host, port, strerror(error));
    }
    return BT_OK;
}

/* Closes the connection after a failure. */
static bt_status give_up(bt_tcl *tcl, bt_status status) {
    bt_tcl_close(tcl);
    return status;
}

static bt_status ended(bt_tcl *tcl) {
    return give_up(tcl, bt_error_set(BT_ERROR_DEVICE, "OpenOCD closed the connection; open the "
                                                      "device again."));
}

static bt_status silent(bt_tcl *tcl, uint64_t timeout_ns) {
    return give_up(tcl, bt_error_set(BT_ERROR_TIMEOUT,
                                     "OpenOCD did not answer within %llu ms; it or its cable "
                                     "hangs. Open the device again.",
                                     (unsigned long long)(timeout_ns / 1000000ull)));
}

static bt_status send_all(bt_tcl *tcl, const char *bytes, size_t length, uint64_t deadline,
                          uint64_t timeout_ns, bt_process *process) {
    for (size_t done = 0; done < length;) {
        ssize_t count = send(tcl->socket, bytes + done, length - done, MSG_NOSIGNAL);
        if (count > 0) {
            done += (size_t)count;
        } else if (errno != EAGAIN && errno != EINTR) {
            return ended(tcl);
        } else if (!wait_for(tcl->socket, POLLOUT, deadline, process)) {
            return silent(tcl, timeout_ns);
        }
    }
    return BT_OK;
}

/* Room for at least one more byte and the final zero. */
static bt_status make_room(bt_tcl *tcl, size_t length) {
    if (length + 2 <= tcl->capacity) {
        return BT_OK;
    }
    size_t capacity = tcl->capacity == 0 ? 4096 : tcl->capacity * 2;
    char *answer = capacity <= BT_TCL_ANSWER_BYTES ? realloc(tcl->answer, capacity) : NULL;
    if (answer == NULL) {
        return give_up(tcl, bt_error_set(BT_ERROR_DEVICE,
                                         "OpenOCD's answer is longer than %zu bytes; what listens "
                                         "there may be something else.",
                                         tcl->capacity));
    }
    tcl->answer = answer;
    tcl->capacity = capacity;
    return BT_OK;
}

static bt_status receive(bt_tcl *tcl, uint64_t deadline, uint64_t timeout_ns, bt_process *process) {
    size_t length = 0;
    for (;;) {
        BT_TRY(make_room(tcl, length));
        ssize_t count = recv(tcl->socket, tcl->answer + length, tcl->capacity - 1 - length, 0);
        if (count > 0) {
            length += (size_t)count;
            if (tcl->answer[length - 1] == END_OF_MESSAGE) {
                tcl->answer[length - 1] = '\0';
                break;
            }
        } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            return ended(tcl);
        } else if (!wait_for(tcl->socket, POLLIN, deadline, process)) {
            return silent(tcl, timeout_ns);
        }
    }
    if (strlen(tcl->answer) != length - 1 || strchr(tcl->answer, END_OF_MESSAGE) != NULL) {
        return give_up(tcl, bt_error_set(BT_ERROR_DEVICE,
                                         "OpenOCD's answer is not one line of text; what listens "
                                         "there may be something else."));
    }
    return BT_OK;
}

bt_status bt_tcl_request(bt_tcl *tcl, const char *command, size_t length, uint64_t timeout_ns,
                         bt_process *process, const char **answer) {
    static const char end = END_OF_MESSAGE;
    uint64_t deadline = now_ns() + timeout_ns;
    if (tcl->socket < 0) {
        BT_FAIL(BT_ERROR_DEVICE, "The connection to OpenOCD is gone; open the device again.");
    }
    tcl->exchanges++;
    BT_TRY(send_all(tcl, command, length, deadline, timeout_ns, process));
    BT_TRY(send_all(tcl, &end, 1, deadline, timeout_ns, process));
    BT_TRY(receive(tcl, deadline, timeout_ns, process));
    *answer = tcl->answer;
    return BT_OK;
}
