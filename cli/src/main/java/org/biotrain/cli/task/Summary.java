package org.biotrain.cli.task;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * One figure over the subjects of a study. A subject with several networks counts once, with their mean.
 *
 * @param subjects number of subjects
 * @param networks number of networks
 * @param mean over the subjects
 * @param deviation standard deviation between the subjects; null with one subject
 * @param minimum the worst network
 * @param maximum the best network
 * @param confidence95 95 % confidence interval of the mean (Student's t, over the subjects); null with one subject
 */
public record Summary(
        int subjects,
        int networks,
        double mean,
        @Nullable Double deviation,
        double minimum,
        double maximum,
        @Nullable List<Double> confidence95) {
    /** 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond, the last one errs on the safe side. */
    private static final double[] T = {
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042
    };

    /** Summarises a figure of each fold. */
    static <F> Summary of(Collection<F> folds, Function<F, String> subject, ToDoubleFunction<F> figure) {
        Map<String, List<Double>> bySubject = new LinkedHashMap<>();
        double minimum = Double.POSITIVE_INFINITY;
        double maximum = Double.NEGATIVE_INFINITY;
        for (F fold : folds) {
            double value = figure.applyAsDouble(fold);
            minimum = Math.min(minimum, value);
            maximum = Math.max(maximum, value);
            bySubject
                    .computeIfAbsent(subject.apply(fold), _ -> new ArrayList<>())
                    .add(value);
        }
        double[] means = bySubject.values().stream()
                .mapToDouble(values -> values.stream()
                        .mapToDouble(Double::doubleValue)
                        .average()
                        .orElseThrow())
                .toArray();
        int n = means.length;
        double mean = 0;
        for (double value : means) {
            mean += value / n;
        }
        if (n < 2) {
            return new Summary(n, folds.size(), mean, null, minimum, maximum, null);
        }
        double squares = 0;
        for (double value : means) {
            squares += (value - mean) * (value - mean);
        }
        double deviation = Math.sqrt(squares / (n - 1));
        double half = T[Math.min(n - 1, T.length) - 1] * deviation / Math.sqrt(n);
        return new Summary(n, folds.size(), mean, deviation, minimum, maximum, List.of(mean - half, mean + half));
    }

    /** For people: {@code 0.871 ± 0.042 (95 % CI 0.851 to 0.891)}. */
    public String text() {
        if (deviation == null) {
            return "%.3f".formatted(mean);
        }
        List<Double> interval = Objects.requireNonNull(confidence95);
        return "%.3f ± %.3f (95 %% CI %.3f to %.3f)"
                .formatted(mean, deviation, interval.getFirst(), interval.getLast());
    }
}
