/** Networks for biosignals, made with fresh weights for any number of channels, samples and classes. */
@NullMarked
package org.biotrain.zoo;

import org.jspecify.annotations.NullMarked;
