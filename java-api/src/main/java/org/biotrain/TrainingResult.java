package org.biotrain;

import java.time.Duration;

/**
 * What a training came to.
 *
 * @param outcome whether all epochs were done
 * @param steps steps done over the whole training, those before a restored checkpoint included
 * @param totalSteps steps of the whole training
 * @param losses mean loss of each of these steps
 * @param duration of this call of {@link TrainingSession#fit}
 * @param sha256 over the losses (float bits, little-endian, in order) and then the parameters (likewise, sorted by
 *     name), in hexadecimal: equal figures mean equal runs, bit by bit
 */
@SuppressWarnings("ArrayRecordComponent") // copied in and out
public record TrainingResult(
        Outcome outcome, int steps, int totalSteps, float[] losses, Duration duration, String sha256) {
    /** How a training ended. */
    public enum Outcome {
        /** All epochs are done. */
        COMPLETED,
        /** {@link TrainingSession#stop} was called; {@code fit} continues from there. */
        STOPPED,
        /** An exception ended it, which {@code fit} throws. */
        FAILED
    }

    /** Copies the losses. */
    public TrainingResult {
        losses = losses.clone();
    }

    /** A copy of the mean loss of each step. */
    @Override
    public float[] losses() {
        return losses.clone();
    }
}
