package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class EvaluationTest {
    @Test
    void figuresOfAnUnbalancedSet() {
        int[] labels = {0, 0, 0, 0, 1, 1};
        float[][] outputs = {{2, 1, 0}, {2, 1, 0}, {2, 1, 0}, {0, 3, 0}, {0, 1, 0}, {1, 0, 0}};

        Evaluation evaluation = Evaluation.of(List.of("a", "b", "c"), labels, outputs, 0.5);

        assertThat(evaluation.confusionMatrix()).isDeepEqualTo(new int[][] {{3, 1, 0}, {1, 1, 0}, {0, 0, 0}});
        assertThat(evaluation.count()).isEqualTo(6);
        assertThat(evaluation.loss()).isEqualTo(0.5);
        assertThat(evaluation.accuracy()).isCloseTo(4 / 6.0, within(1e-12));
        // Class c does not occur, so it does not count.
        assertThat(evaluation.balancedAccuracy()).isCloseTo((3 / 4.0 + 1 / 2.0) / 2, within(1e-12));
        assertThat(evaluation.macroF1()).isCloseTo((6 / 8.0 + 2 / 4.0) / 2, within(1e-12));
    }

    @Test
    void theFirstOfEqualOutputsCounts() {
        Evaluation evaluation = Evaluation.of(List.of("a", "b"), new int[] {0}, new float[][] {{1, 1}}, 0);

        assertThat(evaluation.accuracy()).isEqualTo(1);
    }

    @Test
    void noSamplesHaveNoFigures() {
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> Evaluation.of(List.of("a"), new int[0], new float[0][], 0));
    }
}
