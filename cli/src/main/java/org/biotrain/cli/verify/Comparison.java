package org.biotrain.cli.verify;

/**
 * How far one array is from its reference.
 *
 * @param array the array's name
 * @param error relative: ‖out − ref‖∞ / ‖ref‖∞, or ‖out‖∞ where the reference is zero; or absolute: ‖out − ref‖∞
 * @param limit the largest error allowed
 */
record Comparison(String array, double error, double limit) {
    static Comparison relative(String array, float[] actual, float[] reference, double limit) {
        double scale = 0;
        for (float value : reference) {
            scale = Math.max(scale, Math.abs(value));
        }
        return new Comparison(array, distance(array, actual, reference) / (scale == 0 ? 1 : scale), limit);
    }

    static Comparison absolute(String array, float[] actual, float[] reference, double limit) {
        return new Comparison(array, distance(array, actual, reference), limit);
    }

    /** The largest difference; infinite if a value is NaN. */
    private static double distance(String array, float[] actual, float[] reference) {
        if (actual.length != reference.length) {
            throw new CaseException("The array " + array + " has " + actual.length + " values, but the reference has "
                    + reference.length);
        }
        double largest = 0;
        for (int i = 0; i < actual.length; i++) {
            double difference = Math.abs((double) actual[i] - reference[i]);
            if (!(difference < Double.POSITIVE_INFINITY)) {
                return Double.POSITIVE_INFINITY;
            }
            largest = Math.max(largest, difference);
        }
        return largest;
    }

    /** How much of the limit is used up; above 1 is too much. */
    double share() {
        return error / limit;
    }
}
