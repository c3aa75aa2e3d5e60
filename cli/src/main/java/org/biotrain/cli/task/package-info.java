/** Task files: which recordings a study is about, how they become windows, and how a network is trained on them. */
@NullMarked
package org.biotrain.cli.task;

import org.jspecify.annotations.NullMarked;
