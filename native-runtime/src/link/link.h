/*
 * A link: how the host reaches a target's memory. Six things, the same for every transport;
 * everything above (mailbox, session) knows only this. A link on which every exchange is slow does
 * several of them in one, too.
 *
 * Addresses are the target's 32-bit addresses. Functions set the error stack on failure.
 */
#ifndef BT_LINK_H
#define BT_LINK_H

#include "biotrain/biotrain.h"

typedef struct bt_link bt_link;

typedef enum bt_link_state {
    BT_LINK_STOPPED = 0,
    BT_LINK_RUNNING = 1,
    BT_LINK_LOST = 2 /* the target or its debug server is gone */
} bt_link_state;

typedef struct bt_link_write {
    uint32_t address;
    uint32_t size;
    const void *from;
} bt_link_write;

typedef struct bt_link_read {
    uint32_t address;
    uint32_t size;
    void *to;
} bt_link_read;

/* A word that is waited for: until it is not value any more. */
typedef struct bt_link_watch {
    uint32_t address;
    uint32_t value;
} bt_link_watch;

typedef struct bt_link_operations {
    bt_status (*load)(bt_link *link, const uint8_t *elf, size_t size); /* NULL: firmware built in */
    bt_status (*start)(bt_link *link);
    bt_status (*stop)(bt_link *link);
    /* address and size are multiples of 4. */
    bt_status (*read)(bt_link *link, uint32_t address, void *to, uint32_t size);
    bt_status (*write)(bt_link *link, uint32_t address, const void *from, uint32_t size);
    bt_link_state (*state)(bt_link *link);
    /* Waits until the word at address differs from value or timeout_ns passed (then BT_OK too). */
    bt_status (*wait_change)(bt_link *link, uint32_t address, uint32_t value, uint64_t timeout_ns);
    void (*close)(bt_link *link); /* frees the link */
    /* Several writes, in this order, in one exchange. NULL: they are done one by one. */
    bt_status (*write_all)(bt_link *link, const bt_link_write *writes, uint32_t count);
    /* Waits as wait_change for any of the words, then reads, in this order, in one exchange. NULL:
     * they are done one by one, waiting for the first word only. */
    bt_status (*watch)(bt_link *link, const bt_link_watch *words, uint32_t word_count,
                       uint64_t timeout_ns, const bt_link_read *reads, uint32_t read_count);
} bt_link_operations;

/* Every link's struct begins with this. */
struct bt_link {
    const bt_link_operations *operations;
    const char *name;
    uint32_t mailbox_address; /* known after start */
    uint32_t timeout_ms;      /* default deadline of an answer without progress */
    uint32_t slice_ms;        /* how long one wait may last; 0: BT_LINK_SLICE_MS */
    /* Bytes per second to and from the target as measured by start; 0: not measured. */
    uint32_t write_rate;
    uint32_t read_rate;
    uint64_t exchanges; /* round trips so far, where they are what takes time */
    bt_target target;
    char kernels[16]; /* kernel set of the target, for example "avx2" */
};

#define BT_LINK_SLICE_MS 20u

#define BT_URI_BYTES 1024u
#define BT_URI_OPTIONS 16u

/* Parsed "scheme:path?key=value&key=value". All strings point into text. */
typedef struct bt_uri {
    char text[BT_URI_BYTES];
    const char *scheme;
    const char *path;
    uint32_t option_count;
    const char *keys[BT_URI_OPTIONS];
    const char *values[BT_URI_OPTIONS];
} bt_uri;

bt_status bt_uri_parse(const char *text, bt_uri *out);

/* Value of an option, or NULL if it is absent. */
const char *bt_uri_option(const bt_uri *uri, const char *key);

/* Refuses options other than the known ones, a list that NULL ends. */
bt_status bt_uri_check_options(const bt_uri *uri, const char *const *known);

/* A whole number in low … high; *out keeps its value if the option is absent. */
bt_status bt_uri_number(const bt_uri *uri, const char *key, uint32_t low, uint32_t high,
                        uint32_t *out);

/* Opens the link that the URI's scheme names; options may be NULL. It is not started. */
bt_status bt_link_open(const char *uri, const bt_device_options *options, bt_link **out);

/*
 * Loads the firmware that the URI's option "firmware" names as a file of at most limit bytes, else
 * the one in options (may be NULL); example is what the error recommends if there is neither.
 */
bt_status bt_link_load_firmware(bt_link *link, const bt_uri *uri, const bt_device_options *options,
                                uint32_t limit, const char *example);

/* "sim:?target=gap9&cores=8": the resident firmware on threads of this process. */
bt_status bt_link_open_sim(const bt_uri *uri, const bt_device_options *options, bt_link **out);

#endif
