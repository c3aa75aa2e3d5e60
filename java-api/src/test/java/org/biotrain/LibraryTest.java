package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What the native library knows without a device. */
class LibraryTest {
    @Test
    void theOpTableHasARowForEveryOperation() {
        List<OpInfo> table = OpInfo.table();

        assertThat(table).extracting(OpInfo::op).containsExactlyInAnyOrder(Op.values());
        assertThat(table).allSatisfy(row -> {
            assertThat(row.name()).isNotBlank();
            assertThat(row.onnx())
                    .isNotEmpty()
                    .allSatisfy(name -> assertThat(name).isNotBlank());
            assertThat(row.limits()).isNotBlank();
            assertThat(row.tolerance()).isBetween(0f, 1e-3f);
        });
        assertThat(table)
                .filteredOn(row -> row.op() == Op.CONV)
                .singleElement()
                .satisfies(row -> assertThat(row.onnx()).containsExactly("Conv"));
    }

    @Test
    void randomNumbersAreAFunctionOfSeedAndStream() {
        float[] numbers = CounterRandom.normal(1, 2, 1000);

        assertThat(CounterRandom.normal(1, 2, 1000)).isEqualTo(numbers);
        assertThat(CounterRandom.normal(1, 2, 10)).isEqualTo(Arrays.copyOf(numbers, 10));
        assertThat(CounterRandom.normal(1, 3, 1000)).isNotEqualTo(numbers);
        assertThat(CounterRandom.normal(2, 2, 1000)).isNotEqualTo(numbers);
        double mean =
                IntStream.range(0, 1000).mapToDouble(i -> numbers[i]).average().orElseThrow();
        assertThat(mean).isCloseTo(0, within(0.1));
    }

    @Test
    void uniformNumbersLieBelowOne() {
        float[] numbers = CounterRandom.uniform(1, 0, 1000);

        assertThat(numbers).hasSize(1000);
        for (float number : numbers) {
            assertThat(number).isBetween(0f, Math.nextDown(1f));
        }
    }

    @Test
    void aPermutationHoldsEachIndexOnce() {
        int[] permutation = CounterRandom.permutation(5, 1, 100);

        assertThat(permutation)
                .containsExactlyInAnyOrder(IntStream.range(0, 100).toArray());
        assertThat(permutation).isNotEqualTo(CounterRandom.permutation(5, 2, 100));
    }

    @Test
    void noRandomNumbersAreRefused() {
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> CounterRandom.normal(1, 1, 0))
                .withMessageContaining("at least 1");
    }

    @Test
    void aModelIsSummedUp() {
        ModelSummary summary = Fixtures.network().summary();

        assertThat(summary.layers())
                .extracting(ModelSummary.LayerSummary::op)
                .containsExactly(Op.CONV, Op.GROUP_NORM, Op.RELU, Op.DROPOUT, Op.AVERAGE_POOL, Op.RESHAPE, Op.LINEAR);
        assertThat(summary.layers().getFirst().outputShape()).containsExactly(1, 4, 1, 32);
        assertThat(summary.layers().getFirst().macs()).isEqualTo(4 * 32 * 2 * 5);
        assertThat(summary.parameters()).isEqualTo(4 * 2 * 5 + 4 + 4 + 4 + 3 * 32 + 3);
        assertThat(summary.macs()).isEqualTo(4 * 32 * 2 * 5 + 3 * 32);
    }

    @Test
    void layersThatDoNotFitTogetherAreNamed() {
        Model.Builder builder = Model.builder("bad", "x", 1, 2, 32).parameter("w", Tensor.filled(1, 3, 63));
        String flat = builder.layer(Op.RESHAPE, "flatten", Attributes.defaults().withDims(0, -1), "x");
        Model bad = builder.build(builder.layer(Op.LINEAR, "classifier", Attributes.defaults(), flat, "w"));

        assertThatExceptionOfType(ModelException.class)
                .isThrownBy(bad::summary)
                .withMessageContaining("classifier")
                .withMessageContaining("63");
    }
}
