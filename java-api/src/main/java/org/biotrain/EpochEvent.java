package org.biotrain;

import java.time.Duration;

/**
 * One pass over the samples, as it was done.
 *
 * @param epoch number of the epoch, from 0
 * @param epochs epochs of the whole training
 * @param steps steps that this epoch consists of
 * @param meanLoss mean over the epoch's samples
 * @param elapsed time since the call of {@link TrainingSession#fit}
 */
public record EpochEvent(int epoch, int epochs, int steps, float meanLoss, Duration elapsed) {}
