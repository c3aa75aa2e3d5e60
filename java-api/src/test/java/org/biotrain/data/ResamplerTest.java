package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResamplerTest {
    private static float[] sine(double frequency, double rate, int length) {
        float[] sine = new float[length];
        for (int i = 0; i < length; i++) {
            sine[i] = (float) Math.sin(2 * Math.PI * frequency * i / rate + 0.3);
        }
        return sine;
    }

    private static float[] resample(float[] samples, double from, double to) {
        Recording recording =
                Recording.of(Origin.of("a"), from, List.of(new Channel("C3", "uV")), new float[][] {samples});
        return Resampler.resample(recording, to).samples(0);
    }

    @ParameterizedTest(name = "{0} Hz to {1} Hz")
    @CsvSource({"160, 128", "250, 200", "500, 160", "100, 250", "128, 160", "2048, 256", "360, 250"})
    void sineStaysThatSineAtTheSameTimes(double from, double to) {
        double frequency = 0.4 * Math.min(from, to);
        int length = (int) (4 * from);
        float[] resampled = resample(sine(frequency, from, length), from, to);

        assertThat(resampled).hasSize((int) Math.floor((length - 1) * to / from) + 1);
        float[] expected = sine(frequency, to, resampled.length);
        int edge = (int) Math.ceil(32 * to / Math.min(from, to)) + 1;
        for (int i = edge; i < resampled.length - edge; i++) {
            assertThat((double) resampled[i]).isCloseTo(expected[i], within(5e-4));
        }
    }

    @Test
    void whatTheLowerRateCanNotHoldIsRemoved() {
        float[] resampled = resample(sine(66, 160, 1600), 160, 128);
        for (int i = 40; i < resampled.length - 40; i++) {
            assertThat(resampled[i]).isCloseTo(0f, within(2e-4f));
        }
    }

    @Test
    void constantStaysConstantUpToTheEnds() {
        float[] samples = new float[300];
        Arrays.fill(samples, -1234.5f);
        assertThat(resample(samples, 250, 160)).containsOnly(-1234.5f);
    }

    @Test
    void chunksGiveTheSameBitsAsTheWhole() {
        float[] samples = sine(11, 160, 1000);
        float[] whole = resample(samples, 160, 128);

        Resampler resampler = new Resampler(160, 128, 1);
        float[] streamed = new float[0];
        int at = 0;
        for (int length : new int[] {1, 0, 3, 96, 400, 500}) {
            streamed = join(streamed, resampler.process(new float[][] {Arrays.copyOfRange(samples, at, at + length)}));
            at += length;
            // All outputs whose look-ahead has arrived are out.
            double complete = (at - 1) / 160.0 - resampler.lookAhead();
            assertThat(streamed).hasSize(Math.max(0, (int) Math.floor(complete * 128 + 1e-9) + 1));
        }
        assertThat(join(streamed, resampler.finish())).isEqualTo(whole);
        assertThat(resampler.lookAhead()).isEqualTo(0.25);
    }

    private static float[] join(float[] samples, float[][] more) {
        float[] joined = Arrays.copyOf(samples, samples.length + more[0].length);
        System.arraycopy(more[0], 0, joined, samples.length, more[0].length);
        return joined;
    }

    @Test
    void labelsFollowAndGapsStay() {
        Recording recording = Recording.of(Origin.of("a"), 100, List.of(new Channel("1", "mV")), new float[1][200])
                .withLabels(labels(200))
                .withSegments(List.of(new Segment(0, 100, 0), new Segment(100, 100, 9)));

        Recording half = Resampler.resample(recording, 50);

        assertThat(half.sampleRate()).isEqualTo(50);
        assertThat(half.segments()).containsExactly(new Segment(0, 50, 0), new Segment(50, 50, 9));
        assertThat(half.labels()).hasValueSatisfying(labels -> {
            assertThat(labels[0]).isEqualTo(0);
            assertThat(labels[49]).isEqualTo(98);
            assertThat(labels[50]).isEqualTo(100);
        });
    }

    private static int[] labels(int count) {
        int[] labels = new int[count];
        Arrays.setAll(labels, i -> i);
        return labels;
    }

    @Test
    void ratesWithoutACommonMeasureAreRefused() {
        assertThatThrownBy(() -> resample(new float[10], 160, 100 * Math.PI))
                .isInstanceOf(DataException.class)
                .hasMessageContaining("are no ratio of whole numbers up to 1000");
        assertThatThrownBy(() -> resample(new float[10], 160, -1)).isInstanceOf(DataException.class);
    }
}
