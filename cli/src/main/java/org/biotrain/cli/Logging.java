package org.biotrain.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import org.slf4j.LoggerFactory;

/** Sets how much is logged; logback.xml sends it to standard error. */
final class Logging {
    private Logging() {}

    static void configure(boolean verbose) {
        if (LoggerFactory.getLogger("org.biotrain") instanceof Logger logger) {
            logger.setLevel(verbose ? Level.DEBUG : Level.WARN);
        }
    }
}
