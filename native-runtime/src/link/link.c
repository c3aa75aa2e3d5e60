#include "link/link.h"

#include "base/error.h"
#include "link/gvsoc.h"
#include "link/openocd.h"
#include "link/qemu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bt_scheme {
    const char *name;
    bt_status (*open)(const bt_uri *uri, const bt_device_options *options, bt_link **out);
} bt_scheme;

static const bt_scheme schemes[] = {
    {"sim", bt_link_open_sim},
    {"qemu", bt_link_open_qemu},
    {"gvsoc", bt_link_open_gvsoc},
    {"openocd", bt_link_open_openocd},
};

/* Appends text and suffix to a comma-separated list; what does not fit is left out. */
static void list_append(char *list, size_t size, const char *text, const char *suffix) {
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s%s", used == 0 ? "" : ", ", text, suffix);
}

static bt_status parse_options(char *options, bt_uri *out) {
    while (options != NULL && *options != '\0') {
        char *option = options;
        options = strchr(option, '&');
        if (options != NULL) {
            *options++ = '\0';
        }
        char *value = strchr(option, '=');
        if (value == NULL || value == option) {
            BT_FAIL(BT_ERROR_ARGUMENT,
                    "\"%s\" in a device URI is not an option; write key=value, separated by &.",
                    option);
        }
        *value++ = '\0';
        if (bt_uri_option(out, option) != NULL) {
            BT_FAIL(BT_ERROR_ARGUMENT, "Option \"%s\" stands twice in a device URI; keep one.",
                    option);
        }
        if (out->option_count == BT_URI_OPTIONS) {
            BT_FAIL(BT_ERROR_ARGUMENT, "A device URI has more than %u options; remove some.",
                    BT_URI_OPTIONS);
        }
        out->keys[out->option_count] = option;
        out->values[out->option_count] = value;
        out->option_count++;
    }
    return BT_OK;
}

bt_status bt_uri_parse(const char *text, bt_uri *out) {
    size_t length = strlen(text);
    memset(out, 0, sizeof *out);
    if (length >= BT_URI_BYTES) {
        BT_FAIL(BT_ERROR_ARGUMENT, "A device URI has %zu characters; at most %u are allowed.",
                length, BT_URI_BYTES - 1);
    }
    memcpy(out->text, text, length);
    char *colon = strchr(out->text, ':');
    if (colon == NULL || colon == out->text) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "\"%s\" is not a device URI; write scheme:?key=value, for example "
                "sim:?target=gap9&cores=8.",
                text);
    }
    *colon = '\0';
    out->scheme = out->text;
    out->path = colon + 1;
    char *question = strchr(colon + 1, '?');
    if (question == NULL) {
        return BT_OK;
    }
    *question = '\0';
    return parse_options(question + 1, out);
}

const char *bt_uri_option(const bt_uri *uri, const char *key) {
    for (uint32_t i = 0; i < uri->option_count; i++) {
        if (strcmp(uri->keys[i], key) == 0) {
            return uri->values[i];
        }
    }
    return NULL;
}

bt_status bt_uri_check_options(const bt_uri *uri, const char *const *known) {
    for (uint32_t i = 0; i < uri->option_count; i++) {
        const char *const *key = known;
        while (*key != NULL && strcmp(*key, uri->keys[i]) != 0) {
            key++;
        }
        if (*key == NULL) {
            char list[256] = "";
            for (key = known; *key != NULL; key++) {
                list_append(list, sizeof list, *key, "");
            }
            BT_FAIL(BT_ERROR_ARGUMENT, "%s: has no option \"%s\"; it knows %s.", uri->scheme,
                    uri->keys[i], list);
        }
    }
    return BT_OK;
}

bt_status bt_uri_number(const bt_uri *uri, const char *key, uint32_t low, uint32_t high,
                        uint32_t *out) {
    const char *text = bt_uri_option(uri, key);
    if (text == NULL) {
        return BT_OK;
    }
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    /* strtoull takes signs and blanks, and saturates when the number is too large. */
    if (*text < '0' || *text > '9' || *end != '\0' || value < low || value > high) {
        BT_FAIL(BT_ERROR_ARGUMENT, "%s=%s in a %s: URI is not a whole number from %u to %u.", key,
                text, uri->scheme, low, high);
    }
    *out = (uint32_t)value;
    return BT_OK;
}

static bt_status read_file(const char *path, uint32_t limit, uint8_t **bytes, size_t *size) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long length = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) > 0 &&
        (unsigned long)length <= limit && fseek(file, 0, SEEK_SET) == 0) {
        data = malloc((size_t)length);
    }
    int complete = data != NULL && fread(data, 1, (size_t)length, file) == (size_t)length;
    int error = errno;
    if (file != NULL) {
        fclose(file);
    }
    if (!complete) {
        free(data);
        if (file == NULL) {
            BT_FAIL(BT_ERROR_IO, "Cannot read the firmware %s: %s.", path, strerror(error));
        }
        BT_FAIL(BT_ERROR_IO,
                "Cannot read the firmware %s: it is empty, larger than %u MiB, or cut short.", path,
                limit >> 20);
    }
    *bytes = data;
    *size = (size_t)length;
    return BT_OK;
}

bt_status bt_link_load_firmware(bt_link *link, const bt_uri *uri, const bt_device_options *options,
                                uint32_t limit, const char *example) {
    const char *path = bt_uri_option(uri, "firmware");
    if (path == NULL) {
        if (options == NULL || options->firmware == NULL) {
            BT_FAIL(BT_ERROR_ARGUMENT, "%s: has no firmware; name one with %s.", uri->scheme,
                    example);
        }
        return link->operations->load(link, options->firmware, options->firmware_bytes);
    }
    uint8_t *bytes = NULL;
    size_t size = 0;
    BT_TRY(read_file(path, limit, &bytes, &size));
    bt_status status = link->operations->load(link, bytes, size);
    free(bytes);
    if (status != BT_OK) {
        return bt_error_append(status, "Loading the firmware %s failed.", path);
    }
    return BT_OK;
}

bt_status bt_link_open(const char *text, const bt_device_options *options, bt_link **out) {
    bt_uri uri;
    BT_TRY(bt_uri_parse(text, &uri));
    char list[256] = "";
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strcmp(schemes[i].name, uri.scheme) == 0) {
            return schemes[i].open(&uri, options, out);
        }
        list_append(list, sizeof list, schemes[i].name, ":");
    }
    BT_FAIL(BT_ERROR_ARGUMENT, "\"%s:\" is not a known device scheme; known are %s.", uri.scheme,
            list);
}
