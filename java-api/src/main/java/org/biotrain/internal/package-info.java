/** The adapter to the native library: the only user of the generated bindings. Not exported. */
@NullMarked
package org.biotrain.internal;

import org.jspecify.annotations.NullMarked;
