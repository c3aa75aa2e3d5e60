package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.OptionalDouble;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class RecordingTest {
    private static final Recording THREE = Recording.of(
            Origin.of("S001R04"),
            100,
            List.of(new Channel("Fc3.", "uV"), new Channel("C3", "uV"), new Channel("c3..", "uV")),
            new float[][] {{1, 2}, {3, 5}, {5, 11}});

    @Test
    void channelsAreSelectedByLabelInTheGivenOrder() {
        assertThat(THREE.select(List.of("C3", "FC3")).channels())
                .containsExactly(new Channel("C3", "uV"), new Channel("Fc3.", "uV"));
        assertThat(THREE.select(List.of("c3..")).samples(0)).containsExactly(5, 11);
        assertThatThrownBy(() -> THREE.select(List.of("Oz")))
                .hasMessage("Recording S001R04 has no channel Oz; its channels are Fc3., C3, c3..");
        assertThatThrownBy(() -> THREE.select(List.of("c3."))).hasMessageContaining("has more than one channel c3.;");
    }

    @Test
    void commonAverageIsSubtractedFromTheSelectedChannels() {
        Recording referenced =
                new Preprocessing(List.of("Fc3.", "C3"), true, List.of(), OptionalDouble.empty()).apply(THREE);

        assertThat(referenced.samples(0)).containsExactly(-1, -1.5f);
        assertThat(referenced.samples(1)).containsExactly(1, 1.5f);
    }

    @Test
    void arraysAreCopiedInAndOut() {
        float[][] signal = {{1, 2, 3}};
        Recording recording = Recording.of(Origin.of("a"), 1, List.of(new Channel("x", "")), signal);
        signal[0][0] = 9;
        recording.samples(0)[1] = 9;

        assertThat(recording.samples(0)).containsExactly(1, 2, 3);
    }

    @Test
    void partsMustFitEachOther() {
        assertThatThrownBy(() -> THREE.withLabels(new int[3]))
                .hasMessage(
                        "Recording S001R04 has 3 samples in the labels, but 2 in Fc3.; all must have the same number");
        assertThatThrownBy(() -> THREE.withSegments(List.of(new Segment(0, 1, 0))))
                .hasMessageContaining("its segments cover 1");
        assertThatThrownBy(() -> THREE.withSegments(List.of(new Segment(0, 1, 5), new Segment(1, 1, 0))))
                .hasMessageContaining("segments must cover all samples in order");
        assertThatThrownBy(() -> Recording.of(Origin.of("a"), 0, List.of(), new float[0][]))
                .hasMessageContaining("has a sampling rate of 0.0 Hz");
        assertThatThrownBy(() -> Recording.of(Origin.of("a"), 1, List.of(), new float[1][5]))
                .hasMessageContaining("has 1 signals and 0 channel labels");
    }

    @Test
    void nameTellsSubjectRunAndDay() {
        Pattern pattern = Pattern.compile("(?<subject>u\\d)_(?<day>day\\d)");
        assertThat(Origin.parse("u3_day8", pattern)).isEqualTo(new Origin("u3_day8", "u3", "", "day8"));
        assertThatThrownBy(() -> Origin.parse("notes", pattern))
                .isInstanceOf(DataException.class)
                .hasMessageContaining("The name of recording notes does not match");
    }
}
