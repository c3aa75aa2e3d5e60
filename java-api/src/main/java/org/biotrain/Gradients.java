package org.biotrain;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Gradients of the mean loss over some samples.
 *
 * @param losses one per sample
 * @param gradients of every trainable parameter, by the parameter's name; in addition that of the input, by the input's
 *     name, of a session with {@link TrainingOptions#inputGradient}
 */
@SuppressWarnings("ArrayRecordComponent") // copied in and out
public record Gradients(float[] losses, Map<String, Tensor> gradients) {
    /** Copies array and map. */
    public Gradients {
        losses = losses.clone();
        gradients = Collections.unmodifiableMap(new LinkedHashMap<>(gradients));
    }

    /** A copy of the losses. */
    @Override
    public float[] losses() {
        return losses.clone();
    }
}
