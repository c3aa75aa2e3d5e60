package org.biotrain.cli;

import java.io.Console;
import java.io.PrintWriter;

/** A bar on standard error, redrawn in place; silent where standard error is no terminal. Not thread-safe. */
final class TerminalProgress implements AutoCloseable {
    private static final int WIDTH = 30;

    private final PrintWriter err;
    private final boolean terminal;
    private final int total;
    private int done;

    TerminalProgress(PrintWriter err, int total) {
        this.err = err;
        this.total = total;
        terminal = isTerminal();
    }

    @SuppressWarnings("SystemConsoleNull") // null in JDK 25 where neither stream is a terminal
    static boolean isTerminal() {
        Console console = System.console();
        return console != null && console.isTerminal();
    }

    /** One more of the total is done; {@code what} is shown beside the bar. */
    void step(String what) {
        done++;
        if (terminal) {
            int filled = Math.min(WIDTH, WIDTH * done / Math.max(1, total));
            err.print("\r[" + "#".repeat(filled) + "-".repeat(WIDTH - filled) + "] " + done + "/" + total + " " + what
                    + "\u001b[K");
            err.flush();
        }
    }

    /** Removes the bar. */
    @Override
    public void close() {
        if (terminal) {
            err.print("\r\u001b[K");
            err.flush();
        }
    }
}
