/** Generated signals: enough like the real thing to show what calibration does, without any recording. */
@NullMarked
package org.biotrain.cli.demo;

import org.jspecify.annotations.NullMarked;
