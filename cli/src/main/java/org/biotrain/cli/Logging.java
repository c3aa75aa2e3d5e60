package org.biotrain.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import java.util.List;
import org.slf4j.LoggerFactory;

/** Sets how much is logged; logback.xml sends it to standard error. */
final class Logging {
    /** Links on which an upload takes so long that one wants to see how far it is. */
    private static final List<String> SLOW_LINKS = List.of("openocd:");

    private Logging() {}

    static void configure(boolean verbose) {
        if (LoggerFactory.getLogger("org.biotrain") instanceof Logger logger) {
            logger.setLevel(verbose ? Level.DEBUG : Level.WARN);
        }
    }

    /** Also shows, for a device behind a slow link, how fast it is and how far transfers are. */
    static void showTransfers(String uri) {
        if (SLOW_LINKS.stream().anyMatch(uri::startsWith)
                && LoggerFactory.getLogger("org.biotrain.native") instanceof Logger logger
                && !logger.isInfoEnabled()) {
            logger.setLevel(Level.INFO);
        }
    }
}
