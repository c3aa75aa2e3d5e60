package org.biotrain;

import java.util.Arrays;

/** The loss of every step of a training so far. */
final class TrainingHistory {
    private float[] losses = new float[64];
    private int steps;

    void add(float loss) {
        if (steps == losses.length) {
            losses = Arrays.copyOf(losses, 2 * steps);
        }
        losses[steps++] = loss;
    }

    void replace(float[] values) {
        losses = Arrays.copyOf(values, Math.max(values.length, 64));
        steps = values.length;
    }

    int steps() {
        return steps;
    }

    float loss(int step) {
        return losses[step];
    }

    float[] losses() {
        return Arrays.copyOf(losses, steps);
    }
}
