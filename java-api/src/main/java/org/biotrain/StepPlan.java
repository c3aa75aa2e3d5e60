package org.biotrain;

import org.biotrain.internal.NativeRandom;

/**
 * Which samples each step of a training takes.
 *
 * @param samples number of samples
 * @param batchSize of every step of an epoch but the last
 * @param lastBatch of the last step of an epoch
 * @param stepsPerEpoch steps of an epoch
 * @param epochs of the training
 * @param shuffle whether each epoch has an order of its own
 * @param seed of these orders
 */
record StepPlan(int samples, int batchSize, int lastBatch, int stepsPerEpoch, int epochs, boolean shuffle, long seed) {

    static StepPlan of(int samples, TrainingOptions options) {
        int batch = options.batchSize();
        int full = samples / batch;
        int rest = samples % batch;
        boolean partial = rest > 0 && rest % options.microBatch() == 0;
        int steps = full + (partial ? 1 : 0);
        if (steps == 0) {
            throw new InvalidArgumentException(samples + " samples do not make a step: the batch size is " + batch
                    + " and the micro-batch " + options.microBatch() + "; give more samples, or choose smaller ones");
        }
        if ((long) steps * options.epochs() > Integer.MAX_VALUE) {
            throw new InvalidArgumentException(options.epochs() + " epochs of " + steps
                    + " steps are more than the 2147483647 steps that a training can have; choose fewer epochs");
        }
        return new StepPlan(
                samples, batch, partial ? rest : batch, steps, options.epochs(), options.shuffle(), options.seed());
    }

    int total() {
        return stepsPerEpoch * epochs;
    }

    int epoch(int step) {
        return step / stepsPerEpoch;
    }

    /** Number of samples that a step takes. */
    int batch(int step) {
        return step % stepsPerEpoch == stepsPerEpoch - 1 ? lastBatch : batchSize;
    }

    /** Where in its epoch's order a step begins. */
    int position(int step) {
        return step % stepsPerEpoch * batchSize;
    }

    /** The order of the samples in an epoch. */
    int[] order(int epoch) {
        if (shuffle) {
            return NativeRandom.permutation(seed, epoch, samples);
        }
        int[] order = new int[samples];
        for (int i = 0; i < samples; i++) {
            order[i] = i;
        }
        return order;
    }
}
