package org.biotrain.cli.verify;

import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one case came to.
 *
 * @param name the case's name
 * @param passed whether every array is within its limit
 * @param array the array that comes nearest to its limit, or goes farthest beyond it; null if the case did not run
 * @param relativeError error of this array; null if the case did not run or the error is infinite
 * @param limit largest error allowed for this array
 * @param message why the case failed; null if it passed
 */
public record CaseResult(
        String name,
        boolean passed,
        @Nullable String array,
        @Nullable Double relativeError,
        @Nullable Double limit,
        @Nullable String message) {
    static CaseResult of(String name, List<Comparison> comparisons) {
        Comparison worst = comparisons.stream()
                .max(Comparator.comparingDouble(Comparison::share))
                .orElseThrow();
        boolean passed = worst.share() <= 1;
        String message = passed
                ? null
                : "The array " + worst.array() + " is off by " + worst.error() + "; at most " + worst.limit()
                        + " is allowed";
        Double error = Double.isFinite(worst.error()) ? worst.error() : null;
        return new CaseResult(name, passed, worst.array(), error, worst.limit(), message);
    }

    static CaseResult failed(String name, String message) {
        return new CaseResult(name, false, null, null, null, message);
    }

    /** How much of the limit is used up. */
    double share() {
        return relativeError == null || limit == null ? Double.POSITIVE_INFINITY : relativeError / limit;
    }
}
