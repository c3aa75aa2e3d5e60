package org.biotrain;

import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import org.biotrain.TrainingResult.Outcome;
import org.biotrain.internal.NativeSession;
import org.biotrain.internal.TrainingStepEvent;
import org.jspecify.annotations.Nullable;

/** One call of {@link TrainingSession#fit}. */
final class TrainingRun {
    /** Steps that one native call trains at most. */
    private static final int MAX_CHUNK = 256;
    /** How long a native call should train. */
    private static final long CHUNK_NANOSECONDS = 100_000_000;

    private final TrainingSession session;
    private final NativeSession device;
    private final TrainingHistory history;
    private final StepPlan plan;
    private final int firstSample;
    private final List<TrainingListener> listeners;
    private final long start = System.nanoTime();
    private int chunk = 1;

    TrainingRun(TrainingSession session, StepPlan plan, int firstSample, List<TrainingListener> listeners) {
        this.session = session;
        this.device = session.nativeSession();
        this.history = session.history();
        this.plan = plan;
        this.firstSample = firstSample;
        this.listeners = listeners;
    }

    TrainingResult run() {
        TrainingResult result;
        try {
            tell("onBegin", listener -> listener.onBegin(session));
            train();
            result = result(history.steps() == plan.total() ? Outcome.COMPLETED : Outcome.STOPPED);
        } catch (Throwable failure) {
            try {
                TrainingResult failed = result(Outcome.FAILED);
                tell("onEnd", listener -> listener.onEnd(failed));
            } catch (Throwable second) {
                failure.addSuppressed(second);
            }
            throw failure;
        }
        tell("onEnd", listener -> listener.onEnd(result));
        return result;
    }

    private TrainingResult result(Outcome outcome) {
        return session.result(outcome, plan, elapsed());
    }

    private Duration elapsed() {
        return Duration.ofNanos(System.nanoTime() - start);
    }

    private void train() {
        int orderedEpoch = -1;
        int[] order = {};
        while (history.steps() < plan.total() && !session.stopRequested()) {
            int step = history.steps();
            int epoch = plan.epoch(step);
            if (epoch != orderedEpoch) {
                order = plan.order(epoch);
                orderedEpoch = epoch;
            }
            int epochEnd = (epoch + 1) * plan.stepsPerEpoch();
            train(step, Math.min(chunk, epochEnd - step), order);
            if (history.steps() == epochEnd) {
                EpochEvent event =
                        new EpochEvent(epoch, plan.epochs(), plan.stepsPerEpoch(), meanLoss(epoch), elapsed());
                tell("onEpoch", listener -> listener.onEpoch(event));
            }
        }
    }

    private void train(int first, int count, int[] order) {
        int[] batches = new int[count];
        int samples = 0;
        for (int i = 0; i < count; i++) {
            batches[i] = plan.batch(first + i);
            samples += batches[i];
        }
        int[] indices = new int[samples];
        int position = plan.position(first);
        for (int i = 0; i < samples; i++) {
            indices[i] = firstSample + order[position + i];
        }
        Steps steps = new Steps();
        long begin = System.nanoTime();
        try {
            device.train(batches, device.learningRates(first, count, plan.total()), indices, steps);
        } catch (RuntimeException e) {
            if (steps.failure != null) {
                steps.failure.addSuppressed(e);
            } else {
                throw e;
            }
        }
        rethrow(steps.failure);
        chunk = nextChunk(count, System.nanoTime() - begin);
    }

    /** A device that is called a few times a second stops soon, and a slow link is not in its way. */
    private static int nextChunk(int steps, long nanoseconds) {
        long steady = steps * CHUNK_NANOSECONDS / Math.max(1, nanoseconds);
        return (int) Math.clamp(steady, 1, Math.min(MAX_CHUNK, 2L * steps));
    }

    private static void rethrow(@Nullable Throwable failure) {
        switch (failure) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            // Listeners declare no checked exceptions.
            default -> throw new InternalException("A listener threw a checked exception", failure);
        }
    }

    private float meanLoss(int epoch) {
        double sum = 0;
        long samples = 0;
        for (int step = epoch * plan.stepsPerEpoch(); step < (epoch + 1) * plan.stepsPerEpoch(); step++) {
            sum += (double) history.loss(step) * plan.batch(step);
            samples += plan.batch(step);
        }
        return (float) (sum / samples);
    }

    /** Told each step by native code, through which no exception may pass. */
    private final class Steps implements NativeSession.StepHandler {
        private TrainingStepEvent measured = begun();
        private @Nullable Throwable failure;

        @Override
        public boolean step(float loss, float learningRate, long cycles) {
            int step = history.steps();
            history.add(loss);
            record(step, loss, learningRate, cycles);
            StepEvent event = new StepEvent(
                    step, plan.total(), plan.epoch(step), plan.epochs(), plan.batch(step), loss, learningRate, cycles);
            try {
                if (failure == null) {
                    tell("onStep", listener -> listener.onStep(event));
                }
            } catch (Throwable e) {
                failure = e;
            }
            return failure == null && !session.stopRequested();
        }

        private void record(int step, float loss, float learningRate, long cycles) {
            TrainingStepEvent event = measured;
            measured = begun();
            if (event.shouldCommit()) {
                event.step = step;
                event.loss = loss;
                event.learningRate = learningRate;
                event.cycles = cycles;
                event.commit();
            }
        }

        private static TrainingStepEvent begun() {
            TrainingStepEvent event = new TrainingStepEvent();
            event.begin();
            return event;
        }
    }

    private void tell(String method, Consumer<TrainingListener> call) {
        for (TrainingListener listener : listeners) {
            try {
                call.accept(listener);
            } catch (RuntimeException e) {
                throw new ListenerException(
                        "The listener " + listener.getClass().getName() + " threw an exception in " + method + " after "
                                + history.steps() + " steps, so training stopped there: " + e,
                        e);
            }
        }
    }
}
