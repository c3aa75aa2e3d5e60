package org.biotrain;

/**
 * How the learning rate changes over the steps of a training. Immutable. With a warm-up the rate rises linearly from 0
 * during the first steps; the schedule follows after it.
 */
public sealed interface Schedule {
    /** Steps of linear warm-up; 0 for none. */
    int warmupSteps();

    /** The same with a linear warm-up over so many steps. */
    Schedule warmup(int steps);

    /** The optimizer's rate throughout. */
    static Schedule constant() {
        return new Constant(0);
    }

    /** Half a cosine from the optimizer's rate down to {@code minimumRate} over all steps. */
    static Schedule cosine(float minimumRate) {
        return new Cosine(minimumRate, 0);
    }

    /** The rate times {@code decay} every {@code everySteps} steps. */
    static Schedule step(int everySteps, float decay) {
        return new Step(everySteps, decay, 0);
    }

    /** See {@link Schedule#constant}. */
    record Constant(int warmupSteps) implements Schedule {
        /** Checks the value. */
        public Constant {
            Checks.atLeast("The warm-up", warmupSteps, 0);
        }

        @Override
        public Constant warmup(int steps) {
            return new Constant(steps);
        }
    }

    /** See {@link Schedule#cosine}. */
    record Cosine(float minimumRate, int warmupSteps) implements Schedule {
        /** Checks the values. */
        public Cosine {
            Checks.notNegative("The cosine schedule's minimum rate", minimumRate);
            Checks.atLeast("The warm-up", warmupSteps, 0);
        }

        @Override
        public Cosine warmup(int steps) {
            return new Cosine(minimumRate, steps);
        }
    }

    /** See {@link Schedule#step}. */
    record Step(int everySteps, float decay, int warmupSteps) implements Schedule {
        /** Checks the values. */
        public Step {
            Checks.atLeast("The step schedule's interval", everySteps, 1);
            Checks.positive("The step schedule's decay", decay);
            Checks.atLeast("The warm-up", warmupSteps, 0);
        }

        @Override
        public Step warmup(int steps) {
            return new Step(everySteps, decay, steps);
        }
    }
}
