#ifndef BT_SESSION_H
#define BT_SESSION_H

#include "biotrain/biotrain.h"

/* The device is being closed: every later call of the session fails with BT_ERROR_STATE. */
void bt_session_detach(bt_session *session);

#endif
