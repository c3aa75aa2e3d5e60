package org.biotrain;

import java.nio.FloatBuffer;
import java.util.Arrays;
import org.biotrain.data.Dataset;
import org.jspecify.annotations.Nullable;

/**
 * Network inputs with what is expected of each: a class label, or a target vector. Applications use a {@link Dataset};
 * this class is for inputs that are not windows of a signal and for losses other than cross-entropy. Immutable.
 */
public final class Samples {
    private final int count;
    private final FloatBuffer inputs;
    private final int @Nullable [] labels;
    private final float @Nullable [] targets;

    private Samples(int count, FloatBuffer inputs, int @Nullable [] labels, float @Nullable [] targets) {
        this.count = count;
        this.inputs = inputs;
        this.labels = labels;
        this.targets = targets;
    }

    /** The windows of a data set with their labels. */
    public static Samples of(Dataset dataset) {
        return new Samples(dataset.size(), dataset.data(), dataset.labels(), null);
    }

    /**
     * Inputs with class labels.
     *
     * @param inputs sample after sample, each in the shape of the model's input; copied
     * @param labels one per sample, from 0; copied
     * @throws InvalidArgumentException if the lengths do not fit or an input is NaN or infinite
     */
    public static Samples labelled(float[] inputs, int[] labels) {
        return new Samples(labels.length, checked(inputs, labels.length), labels.clone(), null);
    }

    /**
     * Inputs with target vectors.
     *
     * @param count number of samples
     * @param inputs sample after sample, each in the shape of the model's input; copied
     * @param targets sample after sample, each in the shape of the model's output; copied
     * @throws InvalidArgumentException if the lengths do not fit or a value is NaN or infinite
     */
    public static Samples withTargets(int count, float[] inputs, float[] targets) {
        checked(targets, count);
        return new Samples(count, checked(inputs, count), null, targets.clone());
    }

    private static FloatBuffer checked(float[] values, int count) {
        if (count < 1 || values.length == 0 || values.length % count != 0) {
            throw new InvalidArgumentException(values.length + " values can't be shared out to " + count
                    + " samples; give at least one sample, and for each the same number of values");
        }
        for (int i = 0; i < values.length; i++) {
            if (!Float.isFinite(values[i])) {
                throw new InvalidArgumentException("Value " + i % (values.length / count) + " of sample "
                        + i / (values.length / count) + " is " + values[i] + "; leave this sample out or repair it");
            }
        }
        return FloatBuffer.wrap(values.clone()).asReadOnlyBuffer();
    }

    /** Number of samples. */
    public int size() {
        return count;
    }

    /** All inputs, read-only, sample after sample. */
    public FloatBuffer inputs() {
        return inputs.asReadOnlyBuffer();
    }

    /** A copy of the labels, or null where there are targets. */
    public int @Nullable [] labels() {
        return labels == null ? null : labels.clone();
    }

    /** A copy of the targets, or null where there are labels. */
    public float @Nullable [] targets() {
        return targets == null ? null : targets.clone();
    }

    @Override
    public String toString() {
        int perSample = count == 0 ? 0 : inputs.remaining() / count;
        return count + " samples of " + perSample + " values with "
                + (labels == null
                        ? "targets"
                        : "labels " + Arrays.stream(labels).distinct().count() + " classes");
    }
}
