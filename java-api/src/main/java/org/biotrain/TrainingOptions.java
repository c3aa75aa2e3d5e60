package org.biotrain;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/**
 * How a session trains. Immutable; made by {@link #builder}.
 *
 * @param optimizer the update rule; SGD with rate 5e-3, momentum 0.9 and weight decay 1e-3 unless set
 * @param schedule the learning rate over all steps; a cosine to 0 unless set
 * @param batchSize samples of one optimizer step, a multiple of the micro-batch; 8 unless set
 * @param microBatch samples that the device computes at once; their gradients add up to the step's mean; 1 unless set
 * @param epochs passes over the samples; 30 unless set
 * @param scheme which parameters train; all unless set
 * @param loss what is minimised; cross-entropy unless set
 * @param batchNorm what batch normalisation does; frozen unless set
 * @param seed of the order of the samples and of dropout; the same seed gives the same bits; 0 unless set
 * @param sampleFormat how samples travel; 16 bits unless set
 * @param shuffle whether each epoch takes the samples in a new order; true unless set
 * @param inputGradient whether the gradient of the input is kept, readable as {@code gradient.<input>}; false unless set
 * @param stash how maps are kept for later; in single precision unless set
 * @param fusedUpdate whether the backward pass updates each parameter as soon as its gradient is complete, so that no
 *     gradient is kept: less memory and the same bits, for a batch of one micro-batch. A session then has no gradients
 *     to {@linkplain TrainingSession#accumulate accumulate}, and when a loss is not finite the weights are those after
 *     that step: restore a checkpoint. False unless set
 * @param passes the passes of the program that are on, of {@link Pass#FOLD_BATCH_NORM}, {@link Pass#DEAD_GRADIENTS} and
 *     {@link Pass#CACHE_FEATURES}; dead gradients alone unless set
 */
public record TrainingOptions(
        Optimizer optimizer,
        Schedule schedule,
        int batchSize,
        int microBatch,
        int epochs,
        UpdateScheme scheme,
        Loss loss,
        BatchNormMode batchNorm,
        long seed,
        SampleFormat sampleFormat,
        boolean shuffle,
        boolean inputGradient,
        Stash stash,
        boolean fusedUpdate,
        Set<Pass> passes) {

    /** Checks that the values fit together. */
    public TrainingOptions {
        Checks.atLeast("The batch size", batchSize, 1);
        Checks.atLeast("The micro-batch", microBatch, 1);
        Checks.atLeast("The number of epochs", epochs, 1);
        if (batchSize % microBatch != 0) {
            throw new InvalidArgumentException("The batch size " + batchSize + " is not a multiple of the micro-batch "
                    + microBatch + "; choose for example batchSize(" + (batchSize / microBatch + 1) * microBatch + ")");
        }
        if (fusedUpdate && batchSize != microBatch) {
            throw new InvalidArgumentException("With fused updates a step is one micro-batch, but the batch size is "
                    + batchSize + " and the micro-batch " + microBatch + "; set both to the same, or do without"
                    + " fusedUpdate");
        }
        if (batchNorm == BatchNormMode.TRAINING && microBatch < 2) {
            throw new InvalidArgumentException("Batch normalisation in training mode needs a micro-batch of at least 2,"
                    + " but it is 1; set microBatch, or use one of the passes freeze-batch-norm and"
                    + " batch-norm-to-group-norm");
        }
        EnumSet<Pass> sorted = EnumSet.noneOf(Pass.class);
        sorted.addAll(passes);
        if (sorted.contains(Pass.BATCH_NORM_TO_GROUP_NORM) || sorted.contains(Pass.FREEZE_BATCH_NORM)) {
            throw new InvalidArgumentException("The passes " + sorted + " contain one that is switched elsewhere:"
                    + " batch-norm-to-group-norm by model.withGroupNorm, freeze-batch-norm by batchNorm");
        }
        passes = Collections.unmodifiableSet(sorted);
    }

    /** The options that are used where nothing is set. */
    public static TrainingOptions defaults() {
        return builder().build();
    }

    /** A builder that starts from the defaults. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder that starts from these options. */
    public Builder toBuilder() {
        Builder builder = new Builder();
        builder.optimizer = optimizer;
        builder.schedule = schedule;
        builder.batchSize = batchSize;
        builder.microBatch = microBatch;
        builder.epochs = epochs;
        builder.scheme = scheme;
        builder.loss = loss;
        builder.batchNorm = batchNorm;
        builder.seed = seed;
        builder.sampleFormat = sampleFormat;
        builder.shuffle = shuffle;
        builder.inputGradient = inputGradient;
        builder.stash = stash;
        builder.fusedUpdate = fusedUpdate;
        builder.passes.clear();
        builder.passes.addAll(passes);
        return builder;
    }

    /** Collects options; see the components of {@link TrainingOptions} for what they mean. */
    public static final class Builder {
        private Optimizer optimizer = Optimizer.sgd(5e-3f).momentum(0.9f).weightDecay(1e-3f);
        private Schedule schedule = Schedule.cosine(0);
        private int batchSize = 8;
        private int microBatch = 1;
        private int epochs = 30;
        private UpdateScheme scheme = UpdateScheme.FULL;
        private Loss loss = Loss.CROSS_ENTROPY;
        private BatchNormMode batchNorm = BatchNormMode.FROZEN;
        private long seed;
        private SampleFormat sampleFormat = SampleFormat.INT16;
        private boolean shuffle = true;
        private boolean inputGradient;
        private Stash stash = Stash.FLOAT32;
        private boolean fusedUpdate;
        private final EnumSet<Pass> passes = EnumSet.of(Pass.DEAD_GRADIENTS);

        private Builder() {}

        /** Sets the update rule. */
        public Builder optimizer(Optimizer value) {
            optimizer = value;
            return this;
        }

        /** Sets the course of the learning rate. */
        public Builder schedule(Schedule value) {
            schedule = value;
            return this;
        }

        /** Sets the samples of one optimizer step. */
        public Builder batchSize(int value) {
            batchSize = value;
            return this;
        }

        /** Sets the samples that are computed at once. */
        public Builder microBatch(int value) {
            microBatch = value;
            return this;
        }

        /** Sets the passes over the samples. */
        public Builder epochs(int value) {
            epochs = value;
            return this;
        }

        /** Sets which parameters train. */
        public Builder scheme(UpdateScheme value) {
            scheme = value;
            return this;
        }

        /** Sets what is minimised. */
        public Builder loss(Loss value) {
            loss = value;
            return this;
        }

        /** Sets what batch normalisation does. */
        public Builder batchNorm(BatchNormMode value) {
            batchNorm = value;
            return this;
        }

        /** Sets the seed of the samples' order and of dropout. */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /** Sets how samples travel to the device. */
        public Builder sampleFormat(SampleFormat value) {
            sampleFormat = value;
            return this;
        }

        /** Sets whether each epoch takes the samples in a new order. */
        public Builder shuffle(boolean value) {
            shuffle = value;
            return this;
        }

        /** Sets whether the gradient of the input is kept. */
        public Builder inputGradient(boolean value) {
            inputGradient = value;
            return this;
        }

        /** Sets how maps are kept for later. */
        public Builder stash(Stash value) {
            stash = value;
            return this;
        }

        /** Sets whether parameters are updated within the backward pass. */
        public Builder fusedUpdate(boolean value) {
            fusedUpdate = value;
            return this;
        }

        /**
         * Switches a pass. {@link Pass#FREEZE_BATCH_NORM} is another way to say {@link #batchNorm}.
         *
         * @throws InvalidArgumentException for {@link Pass#BATCH_NORM_TO_GROUP_NORM}, which changes the network and so
         *     belongs to {@link Model#withGroupNorm}
         */
        public Builder pass(Pass pass, boolean on) {
            switch (pass) {
                case BATCH_NORM_TO_GROUP_NORM ->
                    throw new InvalidArgumentException("The pass batch-norm-to-group-norm changes the network, not how"
                            + " it is trained; train model.withGroupNorm(groups)");
                case FREEZE_BATCH_NORM -> batchNorm = on ? BatchNormMode.FROZEN : BatchNormMode.TRAINING;
                case FOLD_BATCH_NORM, DEAD_GRADIENTS, CACHE_FEATURES -> {
                    if (on) {
                        passes.add(pass);
                    } else {
                        passes.remove(pass);
                    }
                }
            }
            return this;
        }

        /**
         * Makes the options.
         *
         * @throws InvalidArgumentException if values do not fit together
         */
        public TrainingOptions build() {
            return new TrainingOptions(
                    optimizer,
                    schedule,
                    batchSize,
                    microBatch,
                    epochs,
                    scheme,
                    loss,
                    batchNorm,
                    seed,
                    sampleFormat,
                    shuffle,
                    inputGradient,
                    stash,
                    fusedUpdate,
                    passes);
        }
    }
}
