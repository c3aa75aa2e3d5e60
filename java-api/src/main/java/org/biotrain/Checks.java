package org.biotrain;

/** Refusals of option values that do not depend on each other. */
final class Checks {
    private Checks() {}

    static void positive(String what, float value) {
        if (!(value > 0 && Float.isFinite(value))) {
            throw new InvalidArgumentException(what + " is " + value + ", but must be a finite number above 0");
        }
    }

    static void notNegative(String what, float value) {
        if (!(value >= 0 && Float.isFinite(value))) {
            throw new InvalidArgumentException(what + " is " + value + ", but must be a finite number from 0 on");
        }
    }

    static void fraction(String what, float value) {
        if (!(value >= 0 && value < 1)) {
            throw new InvalidArgumentException(what + " is " + value + ", but must be at least 0 and below 1");
        }
    }

    static void atLeast(String what, int value, int minimum) {
        if (value < minimum) {
            throw new InvalidArgumentException(what + " is " + value + ", but must be at least " + minimum);
        }
    }

    static void moments(float learningRate, float beta1, float beta2, float epsilon, float weightDecay) {
        positive("The learning rate", learningRate);
        fraction("Beta1", beta1);
        fraction("Beta2", beta2);
        positive("Epsilon", epsilon);
        notNegative("The weight decay", weightDecay);
    }
}
