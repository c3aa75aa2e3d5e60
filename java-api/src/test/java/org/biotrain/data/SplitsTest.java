package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SplitsTest {
    /** Subjects s0 … s2 with 20 windows each: 1 s long, 0.5 s apart, every fourth of class 1, repetitions 1 … 10. */
    private static final Dataset DATA = data();

    private static Dataset data() {
        List<WindowInfo> infos = new ArrayList<>();
        int[] labels = new int[60];
        for (int i = 0; i < 60; i++) {
            String subject = "s" + i / 20;
            infos.add(new WindowInfo(new Origin(subject, subject, "", ""), i % 20 / 2 + 1, i % 20 * 0.5, 1));
            labels[i] = i % 4 == 3 ? 1 : 0;
        }
        return Dataset.of(List.of("rest", "move"), 1, 1, new float[60], labels, infos);
    }

    private static void assertPartition(Split split) {
        assertThat(IntStream.concat(IntStream.of(split.trainIndices()), IntStream.of(split.testIndices())))
                .containsExactlyInAnyOrderElementsOf(
                        IntStream.range(0, 60).boxed().toList());
    }

    @Test
    void generatorGivesThePublishedSequence() {
        SplitMix64 random = new SplitMix64(1234567);
        assertThat(random.nextLong()).isEqualTo(6457827717110365317L);
        assertThat(random.nextLong()).isEqualTo(3203168211198807973L);
        assertThat(random.nextLong()).isEqualTo(Long.parseUnsignedLong("9817491932198370423"));
    }

    @Test
    void shuffleReachesEveryOrderEquallyOften() {
        SplitMix64 random = new SplitMix64(3);
        int[] counts = new int[6];
        for (int i = 0; i < 60_000; i++) {
            int[] order = {0, 1, 2};
            random.shuffle(order);
            counts[order[0] * 2 + (order[1] > order[2] ? 1 : 0)]++;
        }
        assertThat(counts).satisfies(all -> assertThat(IntStream.of(all)).allMatch(n -> n > 9_600 && n < 10_400));
    }

    @Test
    void stratifiedTakesThePartOfEachClass() {
        Split split = Splits.stratified(DATA, 0.8, 1);

        assertPartition(split);
        assertThat(split.train().classCounts()).containsExactly(36, 12);
        assertThat(split.test().classCounts()).containsExactly(9, 3);
        assertThat(Splits.stratified(DATA, 0.8, 1).testIndices()).isEqualTo(split.testIndices());
        assertThat(Splits.stratified(DATA, 0.8, 2).testIndices()).isNotEqualTo(split.testIndices());
    }

    @Test
    void seedsSplitIsTheSameForEver() {
        assertThat(Splits.stratified(DATA, 0.9, 7).testIndices()).containsExactly(SEED_7);
    }

    private static final int[] SEED_7 = {1, 27, 29, 37, 44};

    @Test
    void rareClassIsOnBothSides() {
        Dataset rare = DATA.subset(0, 1, 2, 3, 4, 5, 6, 7);
        assertThat(Splits.stratified(rare, 0.9, 1).test().classCounts()).containsExactly(1, 1);
    }

    @Test
    void chronologicalTakesTheFirstPartOfEachRecording() {
        Split split = Splits.chronological(DATA, 0.7);

        assertPartition(split);
        for (int subject = 0; subject < 3; subject++) {
            assertThat(split.trainIndices())
                    .contains(IntStream.range(20 * subject, 20 * subject + 14).toArray());
        }
        // Windows overlap by half, so the last training window of each recording touches the first test window.
        assertThat(split.withoutOverlap().trainIndices()).hasSize(39).doesNotContain(13, 33, 53);
    }

    @Test
    void chronologicalGoesByTimeAndNotByPosition() {
        int[] backwards = IntStream.range(0, 20).map(i -> 19 - i).toArray();
        Split split = Splits.chronological(DATA.subset(backwards), 0.7);

        assertThat(split.testIndices()).containsExactly(0, 1, 2, 3, 4, 5);
    }

    @Test
    void chronologicalPerClassHasEachClassOnBothSides() {
        Split split =
                Splits.chronologicalPerClass(DATA.subset(IntStream.range(0, 20).toArray()), 0.6);

        assertThat(split.train().classCounts()).containsExactly(9, 3);
        assertThat(split.test().classCounts()).containsExactly(6, 2);
        assertThat(split.testIndices()).containsExactly(12, 13, 14, 15, 16, 17, 18, 19);
    }

    @Test
    void repetitionsDivideTrainingAndTest() {
        Split split = Splits.byRepetition(DATA, 2, 7);

        assertThat(split.train().size()).isEqualTo(36);
        assertThat(split.test().size()).isEqualTo(18);
        assertThat(split.trainIndices()).doesNotContain(0, 1, 20, 21, 40, 41);
    }

    @Test
    void groupIsLeftOutAsAWhole() {
        Map<String, Split> splits = Splits.leaveOneOut(DATA, Group.SUBJECT);

        assertThat(splits.keySet()).containsExactly("s0", "s1", "s2");
        splits.values().forEach(SplitsTest::assertPartition);
        assertThat(splits.get("s1").testIndices())
                .isEqualTo(IntStream.range(20, 40).toArray());
        assertThatThrownBy(() -> Splits.leaveOneOut(DATA, Group.DAY))
                .isInstanceOf(DataException.class)
                .hasMessageContaining("Leaving one DAY out needs at least two of them, but the data hold []");
    }

    @Test
    void eachWindowIsTestedInOneFold() {
        List<Split> folds = Splits.kFold(DATA, 4, 1);

        folds.forEach(SplitsTest::assertPartition);
        assertThat(folds.stream().flatMapToInt(fold -> IntStream.of(fold.testIndices())))
                .containsExactlyInAnyOrderElementsOf(
                        IntStream.range(0, 60).boxed().toList());
        assertThat(folds).allSatisfy(fold -> assertThat(fold.testIndices()).hasSize(15));
        assertThat(folds)
                .allSatisfy(fold -> assertThat(fold.test().classCounts()[1]).isBetween(3, 4));
        assertThatThrownBy(() -> Splits.kFold(DATA, 16, 1))
                .hasMessageContaining("Class move has 15 windows, too few for 16 folds");
    }

    @Test
    void windowIsNotInBothParts() {
        assertThatThrownBy(() -> Splits.where(DATA, info -> true, info -> info.repetition() == 10))
                .isInstanceOf(DataException.class)
                .hasMessageContaining("6 windows are chosen for training and for test");
        assertThatThrownBy(() -> Splits.stratified(DATA, 1, 1)).isInstanceOf(IllegalArgumentException.class);
    }
}
