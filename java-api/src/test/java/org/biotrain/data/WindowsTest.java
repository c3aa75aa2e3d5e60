package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class WindowsTest {
    private static final ClassMap FISTS = ClassMap.ofLabels("T1", "T2").ignoring("T0");
    private static final ClassMap TWO = ClassMap.ofLabels("1", "2").ignoring("0");

    /** 10 Hz; sample i of channel c is 100 c + i. */
    private static Recording ramp(int samples) {
        float[][] signal = new float[2][samples];
        for (int i = 0; i < samples; i++) {
            signal[0][i] = i;
            signal[1][i] = 100 + i;
        }
        return Recording.of(
                new Origin("S1R4", "S1", "R4", ""),
                10,
                List.of(new Channel("C3", "uV"), new Channel("C4", "uV")),
                signal);
    }

    private static int[] labels(String digits) {
        return digits.chars().map(digit -> digit - '0').toArray();
    }

    private static double[] starts(Dataset windows) {
        return IntStream.range(0, windows.size())
                .mapToDouble(i -> windows.info(i).start())
                .toArray();
    }

    private static int[] repetitions(Dataset windows) {
        return IntStream.range(0, windows.size())
                .map(i -> windows.info(i).repetition())
                .toArray();
    }

    @Test
    void annotationsGiveOneWindowEach() {
        Recording recording = ramp(100)
                .withAnnotations(List.of(
                        new Annotation(0, 1, "T0"),
                        new Annotation(1, 1, "T2"),
                        new Annotation(2.04, 1, "T1"),
                        new Annotation(5, 1, "T2")));

        Dataset windows = Windows.byAnnotation(0.5, 0.3, FISTS).cut(recording);

        assertThat(windows.labels()).containsExactly(1, 0, 1);
        assertThat(windows.window(0)).containsExactly(15, 16, 17, 115, 116, 117);
        assertThat(windows.window(1)).containsExactly(25, 26, 27, 125, 126, 127);
        assertThat(windows.info(2)).isEqualTo(new WindowInfo(recording.origin(), 2, 5.5, 0.3));
    }

    @Test
    void noWindowReachesBeyondAnEndOrAcrossAGap() {
        Recording recording = ramp(100)
                .withSegments(List.of(new Segment(0, 50, 0), new Segment(50, 50, 20)))
                .withAnnotations(List.of(
                        new Annotation(-1, 0, "T1"),
                        new Annotation(4, 0, "T1"),
                        new Annotation(4.5, 0, "T1"),
                        new Annotation(12, 0, "T1"),
                        new Annotation(20, 0, "T1"),
                        new Annotation(24.5, 0, "T1")));

        Dataset windows = Windows.byAnnotation(0, 1, FISTS).cut(recording);

        assertThat(starts(windows)).containsExactly(4, 20);
        assertThat(windows.window(1)[0]).isEqualTo(50);
        // The ordinal counts the annotations, not the windows.
        assertThat(repetitions(windows)).containsExactly(2, 5);
    }

    @Test
    void slidingWindowsWithOneLabel() {
        Recording recording = ramp(12).withLabels(labels("111122220011"));

        assertThat(starts(Windows.sliding(0.3, 0.1, 1, TWO).cut(recording))).containsExactly(0, 0.1, 0.4, 0.5);
    }

    @Test
    void slidingWindowsWithAMajority() {
        Recording recording = ramp(12).withLabels(labels("111122220011"));

        Dataset windows = Windows.sliding(0.3, 0.3, 0.6, TWO).cut(recording);

        assertThat(windows.labels()).containsExactly(0, 1, 1, 0);
        assertThat(starts(windows)).containsExactly(0, 0.3, 0.6, 0.9);
    }

    @Test
    void slidingWindowHasOneRepetition() {
        Recording recording = ramp(8).withLabels(labels("11111111")).withRepetitions(labels("33334444"));

        Dataset windows = Windows.sliding(0.3, 0.1, 1, TWO).cut(recording);

        assertThat(repetitions(windows)).containsExactly(3, 3, 4, 4);
    }

    @Test
    void slidingStartsAnewAfterAGap() {
        Recording recording = ramp(10).withLabels(labels("1111111111"))
                .withSegments(List.of(new Segment(0, 5, 0), new Segment(5, 5, 3)));

        assertThat(starts(Windows.sliding(0.2, 0.2, 1, TWO).cut(recording))).containsExactly(0, 0.2, 3, 3.2);
    }

    @Test
    void eventsAreRunsOfOneLabel() {
        Recording recording = ramp(20).withLabels(labels("11000022212220000011"));

        Dataset windows = Windows.aroundEvents(0.4, TWO).cut(recording);

        // The first and the last event lie too close to an end. Centres are samples 7, 9 and 11.
        assertThat(starts(windows)).containsExactly(0.5, 0.7, 0.9);
        assertThat(windows.labels()).containsExactly(1, 0, 1);
        assertThat(repetitions(windows)).containsExactly(1, 2, 2);
    }

    @Test
    void annotationsCanLabelSamples() {
        Recording recording = ramp(10).withAnnotations(
                        List.of(new Annotation(0.2, 0.3, "T1"), new Annotation(0.8, 9, "T2")))
                .withLabelsFromAnnotations(Map.of("T1", 1, "T2", 2), 0);

        assertThat(recording.labels())
                .hasValueSatisfying(labels -> assertThat(labels).isEqualTo(labels("0011100022")));
    }

    @Test
    void unknownLabelIsAnErrorUnlessIgnored() {
        Recording recording = ramp(10).withLabels(labels("1112227222"));

        assertThatThrownBy(() -> Windows.sliding(0.2, 0.2, 1, TWO).cut(recording))
                .isInstanceOf(DataException.class)
                .hasMessage(
                        "Recording S1R4 has the label 7, which is neither one of the classes [1, 2] nor ignored; map it"
                                + " or ignore it");
        assertThat(Windows.sliding(0.2, 0.2, 1, TWO.ignoringOthers())
                        .cut(recording)
                        .size())
                .isEqualTo(3);
    }

    @Test
    void severalLabelsMayMeanOneClass() {
        ClassMap map = ClassMap.of(new java.util.TreeMap<>(Map.of("1", "rest", "2", "move", "3", "move")));
        Recording recording = ramp(6).withLabels(labels("112233"));

        assertThat(Windows.sliding(0.2, 0.2, 1, map).cut(recording).labels()).containsExactly(0, 1, 1);
        assertThat(map.names()).containsExactly("rest", "move");
    }

    @Test
    void recordingWithoutLabelsSaysWhatIsMissing() {
        assertThatThrownBy(() -> Windows.sliding(0.2, 0.2, 1, TWO).cut(ramp(10)))
                .hasMessageContaining("has no labels of its samples; name the label column");
        assertThatThrownBy(() -> Windows.byAnnotation(0, 1, FISTS).cut(ramp(10)))
                .hasMessageContaining("has no annotations to cut windows by");
        Recording rest = ramp(10).withLabels(new int[10]);
        assertThatThrownBy(() -> Windows.aroundEvents(0.2, TWO).cut(List.of(rest)))
                .hasMessageContaining("The 1 recordings give no window of 0.2 s");
    }

    @Test
    void brokenSampleInAWindowIsNamedByChannelAndTime() {
        float[][] signal = new float[2][20];
        signal[1][7] = Float.POSITIVE_INFINITY;
        signal[0][15] = Float.NaN;
        Recording recording = Recording.of(
                        Origin.of("P01"),
                        10,
                        List.of(new Channel("horizontal", ""), new Channel("vertical", "")),
                        signal)
                .withAnnotations(List.of(new Annotation(0, 0, "T1"), new Annotation(0.5, 0, "T2")));

        assertThat(Windows.byAnnotation(0, 0.5, FISTS)
                        .cut(recording.withAnnotations(List.of(new Annotation(0, 0, "T1"))))
                        .size())
                .isEqualTo(1);
        assertThatThrownBy(() -> Windows.byAnnotation(0, 0.5, FISTS).cut(recording))
                .hasMessageContaining("Recording P01 holds Infinity in channel vertical at 0.7 s");
    }

    @Test
    void recordingsOfDifferentChannelsDoNotMix() {
        Recording one = ramp(10).withLabels(new int[10]);
        Recording other = one.select(List.of("C4"));

        assertThatThrownBy(() -> Windows.aroundEvents(0.2, TWO).cut(List.of(one, other)))
                .hasMessageContaining("has the channels [C4] at 10.0 Hz, but Recording S1R4 has [C3, C4]");
    }
}
