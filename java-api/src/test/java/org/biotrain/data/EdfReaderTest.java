package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EdfReaderTest {
    @TempDir
    Path folder;

    /** Two signals and an annotation signal of 30 bytes, in records of 0.5 s. */
    private static EdfFile twoSignals(String variant) {
        return EdfFile.edf(variant, "0.5")
                .signal("C3", "uV", "-32768", "32767", 4)
                .signal("C4", "mV", "-3.2768", "3.2767", 4)
                .annotations(15);
    }

    private static int[] values(int... values) {
        return values;
    }

    @Test
    void plainEdfGivesPhysicalValuesAndUnits() throws IOException {
        Path file = EdfFile.edf("", "1")
                .signal("Fp1", "uV", "-32768", "32767", 3)
                .signal("Fp2", "mV", "3.2768", "-3.2767", 3)
                .record(values(-32768, 0, 32767), values(-32768, 0, 32767))
                .record(values(1, 2, 3), values(1, 2, 3))
                .write(folder.resolve("night 1.edf"));

        Recording recording = Recordings.read(file);

        assertThat(recording.origin().recording()).isEqualTo("night 1");
        assertThat(recording.sampleRate()).isEqualTo(3);
        assertThat(recording.channels()).containsExactly(new Channel("Fp1", "uV"), new Channel("Fp2", "mV"));
        assertThat(recording.samples(0)).containsExactly(-32768, 0, 32767, 1, 2, 3);
        // The second signal's gain is negative, which the format allows.
        assertThat(recording.samples(1))
                .containsExactly(new float[] {3.2768f, 0, -3.2767f, -0.0001f, -0.0002f, -0.0003f}, within(1e-9f));
        assertThat(recording.segments()).containsExactly(new Segment(0, 6, 0));
        assertThat(recording.annotations()).isEmpty();
        assertThat(recording.labels()).isEmpty();
    }

    @Test
    void bdfSamplesHave24Bits() throws IOException {
        Path file = EdfFile.bdf("24BIT", "1")
                .signal("A1", "uV", "-8388608", "8388607", 5)
                .record(values(-8388608, -1, 0, 1, 8388607))
                .write(folder.resolve("a.bdf"));

        assertThat(Recordings.read(file).samples(0)).containsExactly(-8388608, -1, 0, 1, 8388607);
    }

    @Test
    void annotationsOfAllAnnotationSignalsAreSortedByOnset() throws IOException {
        Path file = EdfFile.bdf("BDF+C", "2")
                .annotations(12)
                .signal("A1", "uV", "-8388608", "8388607", 2)
                .annotations(20)
                .record("+0\24\24\0+3.5\02551.25\24T2\24\0", values(1, 2), "+0.5\24T1\24a b\24\0")
                .record("+2\24\24\0", values(3, 4), "+1\02510\24µV ✓\24\0-1\24before\24\0")
                .write(folder.resolve("a.bdf"));

        assertThat(Recordings.read(file).annotations())
                .containsExactly(
                        new Annotation(-1, 0, "before"),
                        new Annotation(0.5, 0, "T1"),
                        new Annotation(0.5, 0, "a b"),
                        new Annotation(1, 10, "µV ✓"),
                        new Annotation(3.5, 51.25, "T2"));
    }

    @Test
    void continuousRecordingStartsAtItsFirstRecordsTime() throws IOException {
        Path file = twoSignals("EDF+C")
                .record(values(1, 2, 3, 4), values(0, 0, 0, 0), "+0.25\24\24\0")
                .record(values(5, 6, 7, 8), values(0, 0, 0, 0), "+0.75\24\24\0")
                .write(folder.resolve("a.edf"));

        Recording recording = Recordings.read(file);

        assertThat(recording.sampleRate()).isEqualTo(8);
        assertThat(recording.segments()).containsExactly(new Segment(0, 8, 0.25));
        assertThat(recording.timeOf(7)).isEqualTo(0.25 + 7 / 8.0);
    }

    @Test
    void discontinuousRecordingHasASegmentPerStretch() throws IOException {
        int[] zeros = values(0, 0, 0, 0);
        Path file = twoSignals("EDF+D")
                .record(values(1, 2, 3, 4), zeros, "+0\24\24\0")
                .record(values(5, 6, 7, 8), zeros, "+0.5\24\24\0")
                .record(values(9, 10, 11, 12), zeros, "+7.5\24\24\0+7.6\24T1\24\0")
                .record(values(13, 14, 15, 16), zeros, "+8.04\24\24\0")
                .write(folder.resolve("a.edf"));

        Recording recording = Recordings.read(file);

        // 8.04 s is within half a sample (1/16 s) of where the third record ends.
        assertThat(recording.segments()).containsExactly(new Segment(0, 8, 0), new Segment(8, 8, 7.5));
        assertThat(recording.timeOf(9)).isEqualTo(7.625);
        assertThat(recording.samples(0)).containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    }

    @Test
    void recordsThatGoBackInTimeAreRefused() throws IOException {
        int[] zeros = values(0, 0, 0, 0);
        Path file = twoSignals("EDF+D")
                .record(zeros, zeros, "+5\24\24\0")
                .record(zeros, zeros, "+5.3\24\24\0")
                .write(folder.resolve("a.edf"));

        assertThatThrownBy(() -> Recordings.read(file))
                .isInstanceOf(DataException.class)
                .hasMessageContaining("data record 1 at 5.3 s, before the end of the one before at 5.5 s");
    }

    @Test
    void rateMayBeAFraction() throws IOException {
        Path file = EdfFile.edf("", "0.3")
                .signal("A", "", "0", "1", 10)
                .record((Object) new int[10])
                .write(folder.resolve("a.edf"));

        assertThat(Recordings.read(file).sampleRate()).isCloseTo(100 / 3.0, within(1e-12));
    }

    @Test
    void unknownNumberOfRecordsIsTakenFromTheFilesSize() throws IOException {
        Path file = EdfFile.edf("", "1")
                .signal("A", "", "-32768", "32767", 2)
                .record(values(1, 2))
                .record(values(3, 4))
                .declaring(-1)
                .write(folder.resolve("a.edf"));

        assertThat(Recordings.read(file).samples(0)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void signalsOfDifferentRatesAreReadByName() throws IOException {
        Path file = EdfFile.edf("", "1")
                .signal("EEG", "uV", "-32768", "32767", 4)
                .signal("Temp", "C", "-32768", "32767", 1)
                .record(values(1, 2, 3, 4), values(37))
                .write(folder.resolve("a.edf"));

        assertThatThrownBy(() -> Recordings.read(file))
                .hasMessageContaining("4 samples per data record in EEG, 1 in Temp; name the signals to read");
        Recording eeg = Recordings.read(file, ReadOptions.defaults().withSignals(List.of("EEG")));
        assertThat(eeg.samples(0)).containsExactly(1, 2, 3, 4);
        Recording temperature = Recordings.read(file, ReadOptions.defaults().withSignals(List.of("Temp")));
        assertThat(temperature.sampleRate()).isEqualTo(1);
        assertThat(temperature.samples(0)).containsExactly(37);
        assertThatThrownBy(() -> Recordings.read(file, ReadOptions.defaults().withSignals(List.of("ECG"))))
                .hasMessageContaining("has no channel ECG; its channels are EEG, Temp");
    }

    /** Byte offsets of the fields: the main header, and the blocks of the three signals. */
    @ParameterizedTest(name = "{2}")
    @CsvSource(delimiter = '|', textBlock = """
                    0   | '1       ' | starts with "1       "
                    184 | '512     ' | says its header has 512 bytes, but 3 signals make 1024
                    184 | 'abc     ' | has "abc" as the header's length; it must be a number
                    236 | '-2      ' | says it has -2 data records
                    236 | '0       ' | has 92 bytes more than the 0 data records
                    236 | '1       ' | has 46 bytes more than the 1 data records
                    236 | '3       ' | in data record 2 of the 3 that its header names; the file is truncated
                    236 | '99999999' | in data record 2 of the 99999999
                    236 | '1.5     ' | has 1.5 as the number of data records; it must be a whole number
                    244 | '0       ' | has data records of 0.0 s; their duration must be above 0
                    244 | '1e999   ' | has "1e999" as the duration of a data record
                    252 | '0   '     | says it has 0 signals
                    252 | '9999'     | says its header has 1024 bytes, but 9999 signals make 2560000
                    568 | '32767   ' | says that C3 has the physical minimum and maximum 32767.0; they must differ
                    568 | '0x10    ' | has "0x10" as the physical minimum of C3; it must be a number
                    616 | '40000   ' | says that C3 has digital values from 40000 to 32767
                    640 | '32768   ' | says that C3 has digital values from -32768 to 32768; they must ascend
                    904 | '0       ' | says that C3 has 0 samples per data record; at least 1 is needed
                    904 | '99999999' | in data record 0 of the 2
                    """)
    void wrongHeaderFieldIsNamed(int offset, String field, String message) throws IOException {
        byte[] bytes = twoSignals("EDF+C")
                .record(values(1, 2, 3, 4), values(0, 0, 0, 0), "+0\24\24\0")
                .record(values(5, 6, 7, 8), values(0, 0, 0, 0), "+0.5\24\24\0")
                .bytes();
        byte[] wrong = field.getBytes(StandardCharsets.ISO_8859_1);
        System.arraycopy(wrong, 0, bytes, offset, wrong.length);
        Path file = Files.write(folder.resolve("a.edf"), bytes);

        assertThatThrownBy(() -> Recordings.read(file))
                .isInstanceOf(DataException.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContaining(message);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
                    +0~T0~.            | the first one must give the record's start and no text
                    0~~.               | its onset is not a number with a sign
                    +0^x~~.            | its duration is not a number
                    +0^1^2~~.          | its duration is not a number
                    +0~~.+1            | it does not end with the bytes 0x14 and 0
                    +0~~..x            | has bytes after the last annotation of data record 0
                    .                  | gives no start for data record 0
                    """)
    void wrongAnnotationIsNamed(String list, String message) throws IOException {
        String text = list.replace('~', '\24').replace('^', '\25').replace('.', '\0');
        Path file = twoSignals("EDF+C")
                .record(values(1, 2, 3, 4), values(0, 0, 0, 0), text)
                .write(folder.resolve("a.edf"));

        assertThatThrownBy(() -> Recordings.read(file))
                .isInstanceOf(DataException.class)
                .hasMessageContaining(message);
    }

    @Test
    void fileThatEndsAnywhereTooEarlyIsTruncated() throws IOException {
        byte[] bytes = twoSignals("EDF+C")
                .record(values(1, 2, 3, 4), values(0, 0, 0, 0), "+0\24\24\0")
                .record(values(5, 6, 7, 8), values(0, 0, 0, 0), "+0.5\24\24\0")
                .bytes();
        Path file = folder.resolve("a.edf");
        for (int length = 0; length < bytes.length; length++) {
            Files.write(file, Arrays.copyOf(bytes, length));
            assertThatThrownBy(() -> Recordings.read(file))
                    .isInstanceOf(DataException.class)
                    .hasMessageContaining("ends after " + length + " bytes, in")
                    .hasMessageContaining("the file is truncated");
        }
    }

    @Test
    void fileWithAnnotationsOnlyIsNoRecording() throws IOException {
        Path file =
                EdfFile.edf("EDF+C", "1").annotations(8).record("+0\24\24\0").write(folder.resolve("a.edf"));

        assertThatThrownBy(() -> Recordings.read(file)).hasMessageContaining("holds annotations only");
    }

    @Test
    void missingFileIsNamed() {
        Path file = folder.resolve("none.edf");
        assertThatThrownBy(() -> Recordings.read(file))
                .isInstanceOf(DataException.class)
                .hasMessage(file + " does not exist; check the path");
    }
}
