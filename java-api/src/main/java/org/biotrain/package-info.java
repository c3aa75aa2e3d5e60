/** Devices, models, training sessions and their results. */
@NullMarked
package org.biotrain;

import org.jspecify.annotations.NullMarked;
