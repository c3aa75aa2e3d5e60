/* What a session's parts share: the program on the device, its samples and its counters. */
#ifndef BT_SESSION_H
#define BT_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "plan/program_object.h"
#include "session/device.h"

/* What the device forgets when another program is loaded. */
typedef struct bt_past {
    uint32_t high_water[BT_LEVEL_COUNT]; /* bytes, of all programs so far */
    uint64_t cycles;                     /* of all programs so far */
} bt_past;

struct bt_session {
    bt_device *device; /* NULL once the device was closed */
    const bt_program *source;
    const bt_program_header *program; /* its header, and its tensors */
    const bt_tensor *tensors;
    uint32_t *named; /* indices of the tensors that have a name */
    uint32_t named_count;
    uint32_t format; /* of the sample store; 0: none chosen */
    uint32_t channels;
    bt_sample_layout layout;
    uint32_t sample_count;
    uint64_t micro_steps;
    uint64_t updates;
    float beta1; /* of Adam; 0 without it */
    float beta2;
    bt_past past;
    bool lost; /* the device could not get this program back */
    _Atomic bool abort;
};

/* The device is being closed: every later call of the session fails with BT_ERROR_STATE. */
void bt_session_detach(bt_session *session);

/* ---- steps of a session's life */

/* Looks at the program; bt_session_release must follow in any case. */
bt_status bt_session_prepare(bt_session *session, bt_device *device, const bt_program *program);
void bt_session_release(bt_session *session);
/* Sends the program; tensors then hold zeros, or the parameters' initial values. */
bt_status bt_session_load(bt_session *session);
bt_status bt_session_write_initial_values(bt_session *session);
/* Adds what the device counted with the loaded program to the past. */
bt_status bt_session_remember(bt_session *session, bt_past *past);

/* ---- samples */

/* Samples that the device's store can hold with this layout. */
uint32_t bt_session_store_capacity(const bt_session *session, const bt_sample_layout *layout);
/* Fixes the store's layout with the first samples; later ones must have the same. */
bt_status bt_session_choose_layout(bt_session *session, const bt_samples *samples);
/* Appends samples that were checked. */
bt_status bt_session_store(bt_session *session, const bt_samples *samples, uint32_t *first);

/* ---- features: what the prefix of the program computes of a sample */

/* Appends the features of samples that were checked. */
bt_status bt_features_upload(bt_session *session, const bt_samples *samples, uint32_t *first);
/* How many more samples of this layout can be turned into features that fit. */
uint32_t bt_features_capacity(const bt_session *session, const bt_sample_layout *layout);

#endif
