/** Reference vectors: each case runs through a device as a small program, and its results are compared. */
@NullMarked
package org.biotrain.cli.verify;

import org.jspecify.annotations.NullMarked;
