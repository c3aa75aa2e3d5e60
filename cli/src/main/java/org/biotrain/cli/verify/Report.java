package org.biotrain.cli.verify;

import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The outcome of all cases.
 *
 * @param cases number of cases
 * @param passed number of those within their limits
 * @param worst the case that comes nearest to its limit, or goes farthest beyond it
 * @param device where they ran
 * @param failures the cases that failed
 */
public record Report(int cases, int passed, @Nullable CaseResult worst, String device, List<CaseResult> failures) {
    static Report of(String device, List<CaseResult> results) {
        List<CaseResult> failures =
                results.stream().filter(result -> !result.passed()).toList();
        return new Report(
                results.size(),
                results.size() - failures.size(),
                results.stream()
                        .max(Comparator.comparingDouble(CaseResult::share))
                        .orElse(null),
                device,
                failures);
    }
}
