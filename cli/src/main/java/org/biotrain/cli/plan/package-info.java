/** Plans as pictures and pages. */
@NullMarked
package org.biotrain.cli.plan;

import org.jspecify.annotations.NullMarked;
