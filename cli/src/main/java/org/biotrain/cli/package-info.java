/** The {@code biotrain} command: one class per command. */
@NullMarked
package org.biotrain.cli;

import org.jspecify.annotations.NullMarked;
