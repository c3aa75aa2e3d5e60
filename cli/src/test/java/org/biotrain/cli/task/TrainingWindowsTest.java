package org.biotrain.cli.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.biotrain.cli.CliException;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.Test;

class TrainingWindowsTest {
    private static final Dataset WINDOWS = Dataset.of(
            List.of("a", "b"),
            2,
            3,
            new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18},
            new int[] {0, 0, 1});

    @Test
    void withoutSettingsTheWindowsStayAsTheyAre() {
        assertThat(TrainingWindows.of(TrainingSection.defaults(), WINDOWS)).isSameAs(WINDOWS);
    }

    @Test
    void mirroringAddsEachWindowWithTheChannelNegated() {
        Dataset mirrored = TrainingWindows.of(section("mirror: [1]"), WINDOWS);

        assertThat(mirrored.size()).isEqualTo(6);
        assertThat(mirrored.window(0)).containsExactly(1, 2, 3, 4, 5, 6);
        assertThat(mirrored.window(3)).containsExactly(1, 2, 3, -4, -5, -6);
        assertThat(mirrored.labels()).containsExactly(0, 0, 1, 0, 0, 1);
    }

    @Test
    void shiftingAddsEachWindowMovedToEitherSideWithItsEdgesHeld() {
        Dataset shifted = TrainingWindows.of(section("shift: 1"), WINDOWS);

        assertThat(shifted.size()).isEqualTo(9);
        assertThat(shifted.window(3)).containsExactly(2, 3, 3, 5, 6, 6);
        assertThat(shifted.window(6)).containsExactly(1, 1, 2, 4, 4, 5);
    }

    @Test
    void balancingRepeatsTheRarerClass() {
        assertThat(TrainingWindows.of(section("balance: true"), WINDOWS).classCounts())
                .containsExactly(2, 2);
    }

    @Test
    void aChannelThatIsNotThereIsRefused() {
        assertThatThrownBy(() -> TrainingWindows.of(section("mirror: [2]"), WINDOWS))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("channels 0 to 1");
    }

    private static TrainingSection section(String line) {
        return Task.parse("""
                        name: t
                        data: {files: '*'}
                        windows: {cut: around-events, seconds: 1}
                        labels: {1: a}
                        protocol: {kind: stratified, train-fraction: 0.5}
                        model: m.onnx
                        training: {%s}
                        """.formatted(line)).training();
    }
}
