package org.biotrain;

import java.time.Duration;

/**
 * How a device is opened. Immutable.
 *
 * @param timeout deadline of one answer without progress; {@link Duration#ZERO} takes the link's own
 * @param logLevel what the native library reports to the SLF4J logger {@code org.biotrain.native}
 */
public record DeviceOptions(Duration timeout, LogLevel logLevel) {
    /** What the native library reports; each level includes those before it. */
    public enum LogLevel {
        /** Only failures. */
        ERROR,
        /** Also what may become one. */
        WARNING,
        /** Also what happens. */
        INFO,
        /** Also how. */
        DEBUG
    }

    /** Checks the deadline. */
    public DeviceOptions {
        if (timeout.isNegative() || timeout.compareTo(Duration.ofDays(1)) > 0) {
            throw new InvalidArgumentException(
                    "The timeout is " + timeout + ", but must be between 0 (the link's own) and one day");
        }
    }

    /** The link's own deadline, and messages down to {@link LogLevel#INFO}. */
    public static DeviceOptions defaults() {
        return new DeviceOptions(Duration.ZERO, LogLevel.INFO);
    }

    /** The same with this deadline. */
    public DeviceOptions withTimeout(Duration value) {
        return new DeviceOptions(value, logLevel);
    }

    /** The same with this log level. */
    public DeviceOptions withLogLevel(LogLevel value) {
        return new DeviceOptions(timeout, value);
    }
}
