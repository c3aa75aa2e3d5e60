package org.biotrain.data;

import java.util.Arrays;

/**
 * A division of a data set into windows to train on and windows to test on; no window is in both. Holds indices only:
 * {@link #train()} and {@link #test()} copy the windows each time they are called.
 */
public final class Split {
    private final Dataset source;
    private final int[] train;
    private final int[] test;

    Split(Dataset source, int[] train, int[] test) {
        this.source = source;
        this.train = train;
        this.test = test;
        Arrays.sort(train);
        Arrays.sort(test);
    }

    /** The windows to train on, in the source's order. */
    public Dataset train() {
        return source.subset(train);
    }

    /** The windows to test on, in the source's order. */
    public Dataset test() {
        return source.subset(test);
    }

    /** Indices into the source, ascending. */
    public int[] trainIndices() {
        return train.clone();
    }

    /** Indices into the source, ascending. */
    public int[] testIndices() {
        return test.clone();
    }

    /**
     * This split without those training windows that share samples with a test window, which overlapping windows do
     * where training and test time meet.
     */
    public Split withoutOverlap() {
        int[] kept = Arrays.stream(train)
                .filter(candidate -> Arrays.stream(test)
                        .noneMatch(tested -> source.info(candidate).overlaps(source.info(tested))))
                .toArray();
        return new Split(source, kept, test.clone());
    }
}
