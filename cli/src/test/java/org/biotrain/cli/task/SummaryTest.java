package org.biotrain.cli.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class SummaryTest {
    private record Figure(String subject, double value) {}

    @Test
    void aSubjectWithSeveralNetworksCountsOnce() {
        Summary summary = Summary.of(
                List.of(new Figure("a", 0.2), new Figure("a", 0.4), new Figure("b", 0.9)),
                Figure::subject,
                Figure::value);

        assertThat(summary.mean()).isCloseTo(0.6, within(1e-12));
        assertThat(summary.subjects()).isEqualTo(2);
        assertThat(summary.networks()).isEqualTo(3);
        assertThat(summary.minimum()).isEqualTo(0.2);
        assertThat(summary.maximum()).isEqualTo(0.9);
    }

    @Test
    void theConfidenceIntervalIsStudentsT() {
        // Of 1, 2, 3, 4: mean 2.5, deviation 1.29099, t(0.975, 3) 3.182.
        Summary summary = Summary.of(
                List.of(new Figure("a", 1), new Figure("b", 2), new Figure("c", 3), new Figure("d", 4)),
                Figure::subject,
                Figure::value);

        assertThat(summary.deviation()).isCloseTo(1.29099, within(1e-5));
        assertThat(summary.confidence95().getFirst()).isCloseTo(0.446, within(1e-3));
        assertThat(summary.confidence95().getLast()).isCloseTo(4.554, within(1e-3));
    }

    @Test
    void oneSubjectHasNoSpread() {
        Summary summary = Summary.of(List.of(new Figure("a", 0.5)), Figure::subject, Figure::value);

        assertThat(summary.deviation()).isNull();
        assertThat(summary.confidence95()).isNull();
    }
}
