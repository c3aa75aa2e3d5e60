package org.biotrain;

import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;

/**
 * Shows a training's progress on one line of a terminal, and on one line per epoch where the output is no terminal.
 */
public final class ProgressBar implements TrainingListener {
    private static final int WIDTH = 30;
    /** No more often than a reader can follow, so that printing takes no time from training. */
    private static final long INTERVAL_NANOSECONDS = 100_000_000;

    private final PrintStream out;
    private final boolean terminal;
    private long begin;
    private int firstStep = -1;
    private long lastShown;

    /** Writes to standard error. */
    public ProgressBar() {
        this(
                System.err,
                Optional.ofNullable(System.console()).map(Console::isTerminal).orElse(false));
    }

    /**
     * Writes to a stream.
     *
     * @param terminal whether a carriage return goes back to the line's beginning there
     */
    public ProgressBar(PrintStream out, boolean terminal) {
        this.out = out;
        this.terminal = terminal;
    }

    @Override
    public void onBegin(TrainingSession session) {
        begin = System.nanoTime();
        lastShown = begin;
        firstStep = -1;
    }

    @Override
    public void onStep(StepEvent event) {
        if (firstStep < 0) {
            firstStep = event.step();
        }
        long now = System.nanoTime();
        boolean last = event.step() == event.totalSteps() - 1;
        if (terminal && (last || now - lastShown >= INTERVAL_NANOSECONDS)) {
            lastShown = now;
            out.print('\r' + line(event, now - begin));
            out.flush();
        }
    }

    private String line(StepEvent event, long elapsed) {
        int done = event.step() + 1;
        int filled = (int) ((long) WIDTH * done / event.totalSteps());
        long left = elapsed / (done - firstStep) * (event.totalSteps() - done);
        return String.format(
                Locale.ROOT,
                "epoch %d/%d [%s%s] step %d/%d  loss %.4f  %s left ",
                event.epoch() + 1,
                event.epochs(),
                "=".repeat(filled),
                " ".repeat(WIDTH - filled),
                done,
                event.totalSteps(),
                event.loss(),
                time(Duration.ofNanos(left)));
    }

    private static String time(Duration duration) {
        return duration.toMinutes() > 0
                ? duration.toMinutes() + " min " + duration.toSecondsPart() + " s"
                : duration.toSeconds() + " s";
    }

    @Override
    public void onEpoch(EpochEvent event) {
        if (!terminal) {
            out.printf(
                    Locale.ROOT,
                    "epoch %d/%d  mean loss %.4f  %s%n",
                    event.epoch() + 1,
                    event.epochs(),
                    event.meanLoss(),
                    time(event.elapsed()));
        }
    }

    @Override
    public void onEnd(TrainingResult result) {
        if (terminal && firstStep >= 0) {
            out.println();
        }
    }
}
