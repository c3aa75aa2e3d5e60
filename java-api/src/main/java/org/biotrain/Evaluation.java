package org.biotrain;

import java.util.Arrays;
import java.util.List;

/**
 * How well a classifier did.
 *
 * @param count samples
 * @param loss mean over the samples
 * @param accuracy share of samples whose largest output is that of their class; the first of equal outputs counts
 * @param balancedAccuracy mean over the classes that occur of the share that was found
 * @param macroF1 mean over the classes that occur of the harmonic mean of precision and recall
 * @param confusionMatrix {@code [class][predicted class]}, counts
 * @param classNames the classes' names
 */
@SuppressWarnings("ArrayRecordComponent") // copied in and out
public record Evaluation(
        int count,
        double loss,
        double accuracy,
        double balancedAccuracy,
        double macroF1,
        int[][] confusionMatrix,
        List<String> classNames) {

    /** Copies matrix and names. */
    public Evaluation {
        confusionMatrix = copy(confusionMatrix);
        classNames = List.copyOf(classNames);
    }

    /** A copy of the confusion matrix. */
    @Override
    public int[][] confusionMatrix() {
        return copy(confusionMatrix);
    }

    private static int[][] copy(int[][] matrix) {
        return Arrays.stream(matrix).map(int[]::clone).toArray(int[][]::new);
    }

    /**
     * The evaluation of so many predictions.
     *
     * @param classNames the classes' names
     * @param labels class of each sample
     * @param outputs output of the network for each sample, one value per class
     * @param loss mean over the samples
     * @throws InvalidArgumentException if there is no sample
     */
    public static Evaluation of(List<String> classNames, int[] labels, float[][] outputs, double loss) {
        if (labels.length == 0) {
            throw new InvalidArgumentException("There is no sample to evaluate; give at least one");
        }
        int classes = classNames.size();
        int[][] confusion = new int[classes][classes];
        for (int i = 0; i < labels.length; i++) {
            confusion[labels[i]][firstMaximum(outputs[i])]++;
        }
        int correct = 0;
        int occurring = 0;
        double recalls = 0;
        double f1s = 0;
        for (int c = 0; c < classes; c++) {
            int actual = 0;
            int predicted = 0;
            for (int other = 0; other < classes; other++) {
                actual += confusion[c][other];
                predicted += confusion[other][c];
            }
            int hits = confusion[c][c];
            correct += hits;
            if (actual > 0) {
                occurring++;
                recalls += (double) hits / actual;
                f1s += 2.0 * hits / (actual + predicted);
            }
        }
        return new Evaluation(
                labels.length,
                loss,
                (double) correct / labels.length,
                recalls / occurring,
                f1s / occurring,
                confusion,
                classNames);
    }

    private static int firstMaximum(float[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            if (values[i] > values[best]) {
                best = i;
            }
        }
        return best;
    }
}
