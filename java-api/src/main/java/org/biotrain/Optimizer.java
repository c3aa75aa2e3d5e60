package org.biotrain;

/** The rule that turns a gradient into an update. Immutable. */
public sealed interface Optimizer {
    /** The rate before the {@link Schedule} scales it. */
    float learningRate();

    /** Stochastic gradient descent without momentum and weight decay; add them with the methods of {@link Sgd}. */
    static Sgd sgd(float learningRate) {
        return new Sgd(learningRate, 0, 0, false);
    }

    /** Adam with β₁ 0.9, β₂ 0.999, ε 1e-8 and no weight decay. */
    static Adam adam(float learningRate) {
        return new Adam(learningRate, 0.9f, 0.999f, 1e-8f, 0);
    }

    /** AdamW with β₁ 0.9, β₂ 0.999, ε 1e-8 and a decoupled weight decay of 0.01. */
    static AdamW adamW(float learningRate) {
        return new AdamW(learningRate, 0.9f, 0.999f, 1e-8f, 1e-2f);
    }

    /**
     * Stochastic gradient descent.
     *
     * @param learningRate above 0
     * @param momentum 0 … 1; 0 keeps no momentum in memory
     * @param weightDecay added to the gradient as {@code weightDecay · weight}
     * @param nesterov whether momentum looks ahead; needs a momentum above 0
     */
    record Sgd(float learningRate, float momentum, float weightDecay, boolean nesterov) implements Optimizer {
        /** Checks the values. */
        public Sgd {
            Checks.positive("The learning rate", learningRate);
            Checks.fraction("The momentum", momentum);
            Checks.notNegative("The weight decay", weightDecay);
            if (nesterov && momentum == 0) {
                throw new InvalidArgumentException(
                        "Nesterov momentum needs a momentum above 0, but it is 0; set momentum(0.9f), say");
            }
        }

        /** The same with this momentum. */
        public Sgd momentum(float value) {
            return new Sgd(learningRate, value, weightDecay, nesterov);
        }

        /** The same with this weight decay. */
        public Sgd weightDecay(float value) {
            return new Sgd(learningRate, momentum, value, nesterov);
        }

        /** The same with or without Nesterov's look-ahead; set the momentum first. */
        public Sgd nesterov(boolean value) {
            return new Sgd(learningRate, momentum, weightDecay, value);
        }
    }

    /**
     * Adam.
     *
     * @param learningRate above 0
     * @param beta1 decay of the first moment, 0 … 1
     * @param beta2 decay of the second moment, 0 … 1
     * @param epsilon above 0
     * @param weightDecay added to the gradient as {@code weightDecay · weight}
     */
    record Adam(float learningRate, float beta1, float beta2, float epsilon, float weightDecay) implements Optimizer {
        /** Checks the values. */
        public Adam {
            Checks.moments(learningRate, beta1, beta2, epsilon, weightDecay);
        }

        /** The same with these decays of the moments. */
        public Adam betas(float first, float second) {
            return new Adam(learningRate, first, second, epsilon, weightDecay);
        }

        /** The same with this ε. */
        public Adam epsilon(float value) {
            return new Adam(learningRate, beta1, beta2, value, weightDecay);
        }

        /** The same with this weight decay. */
        public Adam weightDecay(float value) {
            return new Adam(learningRate, beta1, beta2, epsilon, value);
        }
    }

    /**
     * Adam with decoupled weight decay.
     *
     * @param learningRate above 0
     * @param beta1 decay of the first moment, 0 … 1
     * @param beta2 decay of the second moment, 0 … 1
     * @param epsilon above 0
     * @param weightDecay the weights shrink by {@code rate · weightDecay} per update
     */
    record AdamW(float learningRate, float beta1, float beta2, float epsilon, float weightDecay) implements Optimizer {
        /** Checks the values. */
        public AdamW {
            Checks.moments(learningRate, beta1, beta2, epsilon, weightDecay);
        }

        /** The same with these decays of the moments. */
        public AdamW betas(float first, float second) {
            return new AdamW(learningRate, first, second, epsilon, weightDecay);
        }

        /** The same with this ε. */
        public AdamW epsilon(float value) {
            return new AdamW(learningRate, beta1, beta2, value, weightDecay);
        }

        /** The same with this weight decay. */
        public AdamW weightDecay(float value) {
            return new AdamW(learningRate, beta1, beta2, epsilon, value);
        }
    }
}
