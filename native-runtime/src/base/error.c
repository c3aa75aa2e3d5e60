#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#define BT_ERROR_LEVELS 8u
#define BT_ERROR_TEXT 512u

typedef struct bt_error_stack {
    uint32_t depth;
    char text[BT_ERROR_LEVELS][BT_ERROR_TEXT];
} bt_error_stack;

static _Thread_local bt_error_stack error_stack;

static void push(const char *format, va_list arguments) {
    /* When the stack is full the newest context is dropped: the origin says most. */
    if (error_stack.depth < BT_ERROR_LEVELS) {
        vsnprintf(error_stack.text[error_stack.depth], BT_ERROR_TEXT, format, arguments);
        error_stack.depth++;
    }
}

bt_status bt_error_set(bt_status status, const char *format, ...) {
    va_list arguments;
    error_stack.depth = 0;
    va_start(arguments, format);
    push(format, arguments);
    va_end(arguments);
    return status;
}

bt_status bt_error_append(bt_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    push(format, arguments);
    va_end(arguments);
    return status;
}

uint32_t bt_error_depth(void) { return error_stack.depth; }

const char *bt_error_message(uint32_t index) {
    return index < error_stack.depth ? error_stack.text[index] : "";
}

const char *bt_status_name(bt_status status) {
    switch (status) {
    case BT_OK:
        return "BT_OK";
    case BT_ERROR_ARGUMENT:
        return "BT_ERROR_ARGUMENT";
    case BT_ERROR_MEMORY:
        return "BT_ERROR_MEMORY";
    case BT_ERROR_UNSUPPORTED:
        return "BT_ERROR_UNSUPPORTED";
    case BT_ERROR_MODEL:
        return "BT_ERROR_MODEL";
    case BT_ERROR_PROGRAM:
        return "BT_ERROR_PROGRAM";
    case BT_ERROR_CAPACITY:
        return "BT_ERROR_CAPACITY";
    case BT_ERROR_DEVICE:
        return "BT_ERROR_DEVICE";
    case BT_ERROR_TIMEOUT:
        return "BT_ERROR_TIMEOUT";
    case BT_ERROR_ABORTED:
        return "BT_ERROR_ABORTED";
    case BT_ERROR_NUMERIC:
        return "BT_ERROR_NUMERIC";
    case BT_ERROR_STATE:
        return "BT_ERROR_STATE";
    case BT_ERROR_IO:
        return "BT_ERROR_IO";
    case BT_ERROR_INTERNAL:
        return "BT_ERROR_INTERNAL";
    }
    return "unknown status";
}
