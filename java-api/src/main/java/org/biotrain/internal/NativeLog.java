package org.biotrain.internal;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.biotrain.ffi.biotrain_h;
import org.biotrain.ffi.bt_log_fn;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/** Receives what a native device logs: passes it on to SLF4J and keeps the latest messages for a run's log. */
public final class NativeLog implements bt_log_fn.Function {
    private static final Logger LOGGER = LoggerFactory.getLogger("org.biotrain.native");
    /** Enough for all that a device says while it is opened. */
    private static final int KEPT = 200;

    private final Deque<String> latest = new ArrayDeque<>();
    private final List<Consumer<String>> sinks = new CopyOnWriteArrayList<>();

    NativeLog() {}

    @Override
    public void apply(MemorySegment user, int level, MemorySegment message) {
        // Called by native code: an exception that left this method would end the JVM.
        try {
            log(level(level), Native.string(message));
        } catch (Throwable e) {
            report(e);
        }
    }

    private static void report(Throwable failure) {
        try {
            LOGGER.error("A message of the native library was lost", failure);
        } catch (Throwable _) {
            // The logger itself fails; there is nobody left to tell.
        }
    }

    private static Level level(int level) {
        if (level == biotrain_h.BT_LOG_ERROR()) {
            return Level.ERROR;
        }
        if (level == biotrain_h.BT_LOG_WARNING()) {
            return Level.WARN;
        }
        return level == biotrain_h.BT_LOG_INFO() ? Level.INFO : Level.DEBUG;
    }

    private void log(Level level, String message) {
        String line = level + " " + message;
        synchronized (latest) {
            if (latest.size() == KEPT) {
                latest.removeFirst();
            }
            latest.addLast(line);
        }
        LOGGER.atLevel(level).log(message);
        sinks.forEach(sink -> sink.accept(line));
    }

    /** Passes the latest lines to the sink, and from now on each new one, until {@link #remove}. */
    public void add(Consumer<String> sink) {
        List<String> lines;
        synchronized (latest) {
            lines = new ArrayList<>(latest);
        }
        lines.forEach(sink);
        sinks.add(sink);
    }

    /** Ends {@link #add}. */
    public void remove(Consumer<String> sink) {
        sinks.remove(sink);
    }
}
