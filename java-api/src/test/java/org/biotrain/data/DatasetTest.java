package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ReadOnlyBufferException;
import java.util.List;
import org.junit.jupiter.api.Test;

class DatasetTest {
    private static final List<String> CLASSES = List.of("left", "right");

    private static final Dataset THREE = Dataset.of(
            CLASSES,
            2,
            2,
            new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
            new int[] {0, 1, 1},
            List.of(info("a", 0), info("a", 1), info("b", 0)));

    private static WindowInfo info(String recording, double start) {
        return new WindowInfo(Origin.of(recording), 1, start, 0.5);
    }

    @Test
    void windowsLieOneAfterTheOther() {
        assertThat(THREE.size()).isEqualTo(3);
        assertThat(THREE.window(1)).containsExactly(5, 6, 7, 8);
        assertThat(THREE.data().get(4)).isEqualTo(5);
        assertThat(THREE.classCounts()).containsExactly(1, 2);
        assertThat(THREE).hasToString("3 windows of 2 channels × 2 samples, classes [left, right] with [1, 2] windows");
    }

    @Test
    void subsetAndConcat() {
        Dataset reversed = THREE.subset(2, 0);
        assertThat(reversed.window(0)).containsExactly(9, 10, 11, 12);
        assertThat(reversed.labels()).containsExactly(1, 0);
        assertThat(reversed.info(0)).isEqualTo(info("b", 0));

        Dataset joined = Dataset.concat(List.of(reversed, THREE.where(info -> info.start() == 1)));
        assertThat(joined.labels()).containsExactly(1, 0, 1);
        assertThat(joined.window(2)).containsExactly(5, 6, 7, 8);
        assertThat(THREE.subset().size()).isZero();
    }

    @Test
    void nothingFromOutsideChangesIt() {
        float[] data = {1, 2};
        int[] labels = {0};
        Dataset dataset = Dataset.of(CLASSES, 1, 2, data, labels);
        data[0] = 9;
        labels[0] = 1;
        dataset.labels()[0] = 1;
        dataset.window(0)[0] = 9;

        assertThat(dataset.window(0)).containsExactly(1, 2);
        assertThat(dataset.label(0)).isZero();
        assertThatThrownBy(() -> dataset.data().put(0, 9)).isInstanceOf(ReadOnlyBufferException.class);
    }

    @Test
    void labelOutsideTheClassesIsNamed() {
        for (int label : new int[] {-1, 2}) {
            assertThatThrownBy(() -> Dataset.of(
                            CLASSES, 1, 1, new float[2], new int[] {0, label}, List.of(info("S1", 0), info("S1", 4))))
                    .isInstanceOf(DataException.class)
                    .hasMessage("Window 1 (recording S1, at 4.0 s) has label " + label
                            + ", but the 2 classes are numbered 0 to 1; correct the label map");
        }
    }

    @Test
    void brokenSampleIsNamed() {
        float[] data = new float[12];
        data[11] = Float.NaN;
        assertThatThrownBy(() -> Dataset.of(CLASSES, 2, 3, data, new int[2]))
                .hasMessage("Window 1 holds NaN in channel 1, sample 2; leave this window out or repair the signal");
        data[11] = Float.NEGATIVE_INFINITY;
        assertThatThrownBy(() -> Dataset.of(CLASSES, 2, 3, data, new int[2])).hasMessageContaining("-Infinity");
    }

    @Test
    void wrongNumberOfChannelsIsExplained() {
        assertThatThrownBy(() -> Dataset.of(CLASSES, 3, 2, new float[8], new int[2]))
                .hasMessageContaining("2 windows of 3 channels × 2 samples need 12 values, but there are 8");
        assertThatThrownBy(() -> Dataset.of(CLASSES, 0, 2, new float[0], new int[2]))
                .hasMessageContaining("both must be at least 1");
        assertThatThrownBy(() -> Dataset.of(CLASSES, 1 << 20, 1 << 20, new float[8], new int[2]))
                .hasMessageContaining(
                        "2 windows of 1048576 channels × 1048576 samples are 2199023255552 values, but a data set may hold");
        Dataset oneChannel = Dataset.of(CLASSES, 1, 2, new float[2], new int[1]);
        assertThatThrownBy(() -> Dataset.concat(List.of(THREE, oneChannel)))
                .hasMessageContaining("Windows of 1 channels × 2 samples can't be joined with windows of 2 × 2");
        assertThatThrownBy(() -> Dataset.of(List.of("a", "a"), 1, 1, new float[1], new int[1]))
                .hasMessageContaining("each name once");
    }

    @Test
    void standardizerLearnsFromTheTrainingPartOnly() {
        Dataset training = Dataset.of(CLASSES, 2, 2, new float[] {1, 3, 10, 10, 5, 7, 10, 10}, new int[2]);
        Standardizer standardizer = Standardizer.fit(training);

        assertThat(standardizer.mean()).containsExactly(4.0, 10.0);
        // The second channel is constant and keeps its scale.
        assertThat(standardizer.deviation()).containsExactly(Math.sqrt(5), 1.0);
        assertThat(standardizer.apply(training).window(0))
                .containsExactly((float) (-3 / Math.sqrt(5)), (float) (-1 / Math.sqrt(5)), 0, 0);
        Dataset test = Dataset.of(CLASSES, 2, 1, new float[] {4, 11}, new int[1]);
        assertThat(standardizer.apply(test).window(0)).containsExactly(0, 1);
    }

    @Test
    void standardizerMustFitTheChannels() {
        Standardizer standardizer = new Standardizer(List.of(0.0), List.of(1.0));
        assertThatThrownBy(() -> standardizer.apply(THREE))
                .hasMessageContaining("was fitted on 1 channels, but the data have 2");
        assertThatThrownBy(() -> Standardizer.fit(THREE.subset())).hasMessageContaining("no windows to fit");
        assertThatThrownBy(() -> new Standardizer(List.of(0.0), List.of(0.0)))
                .hasMessageContaining("the deviation above 0");
    }
}
