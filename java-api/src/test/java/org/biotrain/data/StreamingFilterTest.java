package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class StreamingFilterTest {
    private static final double RATE = 160;

    private static float[] run(Filter filter, float... samples) {
        float[][] signal = {samples.clone()};
        new StreamingFilter(List.of(filter), RATE, 1).process(signal);
        return signal[0];
    }

    private static float[] sine(double frequency, int length) {
        float[] sine = new float[length];
        for (int i = 0; i < length; i++) {
            sine[i] = (float) Math.sin(2 * Math.PI * frequency * i / RATE);
        }
        return sine;
    }

    /** Gain for a sine, from the power of its steady state over a whole number of periods. */
    private static double gain(Filter filter, double frequency) {
        float[] filtered = run(filter, sine(frequency, 6400));
        double power = 0;
        for (int i = 3200; i < 6400; i++) {
            power += filtered[i] * filtered[i];
        }
        return Math.sqrt(2 * power / 3200);
    }

    /** Cut-offs by definition; the others from SciPy's frequency responses of the same filters. */
    static Stream<Arguments> gains() {
        double half = Math.sqrt(0.5);
        Filter band = new Filter.BandPass(4, 8, 30);
        return Stream.of(
                Arguments.of(band, 8, half, 1e-3),
                Arguments.of(band, 30, half, 1e-3),
                Arguments.of(band, 16, 1, 1e-3),
                Arguments.of(band, 2, 0.001361, 1e-6),
                Arguments.of(band, 70, 0, 1e-3),
                Arguments.of(new Filter.HighPass(2, 4), 4, half, 1e-3),
                Arguments.of(new Filter.HighPass(2, 4), 40, 1, 1e-3),
                Arguments.of(new Filter.LowPass(5, 20), 20, half, 1e-3),
                Arguments.of(new Filter.LowPass(5, 20), 2, 1, 1e-3),
                Arguments.of(new Filter.Notch(50, 30), 50, 0, 1e-6),
                Arguments.of(new Filter.Notch(50, 30), 45, 1, 2e-2),
                Arguments.of(new Filter.Notch(50, 5), 45, 0.693121, 1e-6),
                Arguments.of(new Filter.Notch(50, 5), 55, 0.722601, 1e-6));
    }

    @ParameterizedTest
    @MethodSource("gains")
    void gainAtAFrequency(Filter filter, double frequency, double expected, double tolerance) {
        assertThat(gain(filter, frequency)).isCloseTo(expected, within(tolerance));
    }

    /** Samples 0, 1, 7, 50 and 199 as SciPy's {@code sosfilt} gives them with {@code sosfilt_zi} times the first. */
    static Stream<Arguments> referenceOutputs() {
        return Stream.of(
                Arguments.of(new Filter.BandPass(4, 8, 30), new double[] {
                    0, 0.5171647468571442, -17.5268458951777, -5.154744108231956, 16.251091326434395
                }),
                Arguments.of(new Filter.LowPass(3, 20), new double[] {
                    1000, 1001.17250572244, 1052.4292447790856, 1058.4712767000606, 1045.1497689020348
                }),
                Arguments.of(
                        new Filter.HighPass(5, 2),
                        new double[] {0, 32.58321984199967, 7.124096143246604, -13.633762129350426, 37.30649861414565}),
                Arguments.of(new Filter.Notch(50, 30), new double[] {
                    1000, 1035.8271408478531, 1059.2160948668666, 1034.993203595156, 1088.1325570353733
                }));
    }

    @ParameterizedTest
    @MethodSource("referenceOutputs")
    void outputEqualsAnIndependentImplementation(Filter filter, double[] expected) {
        float[] samples = new float[200];
        for (int i = 0; i < samples.length; i++) {
            samples[i] = 1000 + i * 37 % 101;
        }
        float[] filtered = run(filter, samples);
        int[] at = {0, 1, 7, 50, 199};
        for (int i = 0; i < at.length; i++) {
            assertThat((double) filtered[at[i]]).isCloseTo(expected[i], within(1e-4));
        }
    }

    @ParameterizedTest
    @MethodSource("referenceOutputs")
    void nothingHappensBeforeItsCause(Filter filter, double[] ignored) {
        float[] samples = new float[200];
        samples[100] = 1;
        float[] filtered = run(filter, samples);

        assertThat(Arrays.copyOf(filtered, 100)).containsOnly(0);
        assertThat(filtered[100]).isNotZero();
    }

    @ParameterizedTest
    @MethodSource("referenceOutputs")
    void constantSignalHasNoTransient(Filter filter, double[] expected) {
        float[] samples = new float[100];
        Arrays.fill(samples, 20_000);

        assertThat(run(filter, samples)).containsOnly((float) (expected[0] == 0 ? 0 : 20_000));
    }

    @Test
    void chunksGiveTheSameBitsAsTheWhole() {
        List<Filter> filters = List.of(new Filter.Notch(50, 30), new Filter.BandPass(4, 8, 30));
        float[][] signal = {sine(11, 1000), sine(3, 1000)};
        float[][] whole = {signal[0].clone(), signal[1].clone()};
        new StreamingFilter(filters, RATE, 2).process(whole);

        StreamingFilter streaming = new StreamingFilter(filters, RATE, 2);
        int at = 0;
        for (int length : new int[] {0, 1, 2, 97, 400, 0, 500}) {
            float[][] chunk = {
                Arrays.copyOfRange(signal[0], at, at + length), Arrays.copyOfRange(signal[1], at, at + length)
            };
            streaming.process(chunk);
            for (int channel = 0; channel < 2; channel++) {
                assertThat(chunk[channel]).isEqualTo(Arrays.copyOfRange(whole[channel], at, at + length));
            }
            at += length;
        }
        assertThat(at).isEqualTo(1000);
    }

    @Test
    void filtersRestartAfterAGap() {
        float[] samples = new float[200];
        Arrays.fill(samples, 0, 100, 5);
        Arrays.fill(samples, 100, 200, -5);
        Recording recording = Recording.of(
                        Origin.of("a"), RATE, List.of(new Channel("C3", "uV")), new float[][] {samples})
                .withSegments(List.of(new Segment(0, 100, 0), new Segment(100, 100, 60)));

        Recording filtered = Preprocessing.filters(new Filter.HighPass(2, 4)).apply(recording);

        assertThat(filtered.samples(0)).containsOnly(0);
    }

    @Test
    void sampleThatAFilterCanNotForgetIsNamed() {
        Recording recording = Recording.of(
                Origin.of("S001R04"), RATE, List.of(new Channel("C3", "uV"), new Channel("C4", "uV")), new float[][] {
                    {1, 2, 3, 4}, {1, 2, Float.NaN, 4}
                });

        assertThatThrownBy(
                        () -> Preprocessing.filters(new Filter.HighPass(2, 4)).apply(recording))
                .isInstanceOf(DataException.class)
                .hasMessageContaining("Recording S001R04 holds NaN in channel C4 at 0.0125 s");
    }

    @Test
    void filterMustFitTheRate() {
        assertThatThrownBy(() -> run(new Filter.LowPass(2, 80)))
                .hasMessageContaining(
                        "does not fit a sampling rate of 160.0 Hz; frequencies must be above 0 and below" + " 80.0 Hz");
        assertThatThrownBy(() -> run(new Filter.HighPass(2, 0))).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> run(new Filter.HighPass(13, 1))).hasMessageContaining("order 13; allowed are 1 to 12");
        assertThatThrownBy(() -> run(new Filter.BandPass(2, 30, 8))).hasMessageContaining("passes nothing");
        assertThatThrownBy(() -> run(new Filter.Notch(50, 0))).hasMessageContaining("quality of 0.0");
    }
}
