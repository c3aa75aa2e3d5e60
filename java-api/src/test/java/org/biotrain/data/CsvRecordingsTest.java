package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CsvRecordingsTest {
    private static final String EYES = """
            time_s,horizontal,vertical,label
            0.000,1.5,-1,0
            0.004,2.5,-2,0
            0.008,3.5,-3,2
            """;

    @TempDir
    Path folder;

    private Path csv(String text) throws IOException {
        return Files.writeString(folder.resolve("P01.csv"), text);
    }

    private Path gzip(String text) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write(text.getBytes(StandardCharsets.UTF_8));
        }
        return Files.write(folder.resolve("P01.csv.gz"), bytes.toByteArray());
    }

    @Test
    void columnsAreChannelsAndTheTimeGivesTheRate() throws IOException {
        for (Path file : List.of(csv(EYES), gzip(EYES), csv(EYES.replace(',', ';')), csv(EYES.replace(',', '\t')))) {
            Recording recording = Recordings.read(file, ReadOptions.defaults().withUnit("mV"));

            assertThat(recording.origin().recording()).isEqualTo("P01");
            assertThat(recording.sampleRate()).isEqualTo(250);
            assertThat(recording.channels())
                    .containsExactly(new Channel("horizontal", "mV"), new Channel("vertical", "mV"));
            assertThat(recording.samples(0)).containsExactly(1.5f, 2.5f, 3.5f);
            assertThat(recording.samples(1)).containsExactly(-1, -2, -3);
            assertThat(recording.labels())
                    .hasValueSatisfying(labels -> assertThat(labels).containsExactly(0, 0, 2));
        }
    }

    @Test
    void missingTimeIsAGap() throws IOException {
        Recording recording = Recordings.read(csv("time_s,x\n0,1\n0.1,2\n0.2,3\n5,4\n5.1,5\n"));

        assertThat(recording.sampleRate()).isEqualTo(10);
        assertThat(recording.segments()).containsExactly(new Segment(0, 3, 0), new Segment(3, 2, 5));
    }

    @Test
    void rateIsNotSpoiledByRoundedTimes() throws IOException {
        StringBuilder text = new StringBuilder("time_s,x\n");
        for (int i = 0; i < 5121; i++) {
            text.append(String.format(java.util.Locale.ROOT, "%.3f,%d%n", i / 512.0, i));
        }
        Recording recording = Recordings.read(csv(text.toString()));

        assertThat(recording.sampleRate()).isEqualTo(512);
        assertThat(recording.segments()).hasSize(1);
    }

    @Test
    void chosenColumnsAndAGivenRate() throws IOException {
        Path file = csv("a,b,c,class,trial\n1,2,3,4,1\n5,6,7,8,2\n");
        assertThatThrownBy(() -> Recordings.read(file))
                .hasMessageContaining("does not tell its sampling rate; give the rate in Hz");

        Recording recording = Recordings.read(
                file,
                ReadOptions.defaults()
                        .withSignals(List.of("c", "a"))
                        .withLabel("class")
                        .withRepetition("trial")
                        .withSampleRate(100));

        assertThat(recording.samples(0)).containsExactly(3, 7);
        assertThat(recording.samples(1)).containsExactly(1, 5);
        assertThat(recording.labels())
                .hasValueSatisfying(labels -> assertThat(labels).containsExactly(4, 8));
        assertThat(recording.repetitions())
                .hasValueSatisfying(trials -> assertThat(trials).containsExactly(1, 2));
    }

    @Test
    void emptyCellIsNaN() throws IOException {
        assertThat(Recordings.read(csv("time_s,x\n0,1\n1,\n2,nan\n".replace("nan", "NaN")))
                        .samples(0))
                .containsExactly(1, Float.NaN, Float.NaN);
    }

    @ParameterizedTest(name = "{1}")
    @CsvSource(delimiter = '|', textBlock = """
                    ''                                | is empty; the first line must name the columns
                    'time_s,x/'                       | has a header line, but no samples
                    'time_s,label/0,1/'               | at least one signal is needed
                    'time_s,x/0,1/1,x/'               | has "x" in column x, line 3; it must be a number
                    'time_s,x/0,1/1/'                 | has 1 cells in line 3, but 2 columns
                    'time_s,x/0,1/1,2,3/'             | has 3 cells in line 3, but 2 columns
                    'time_s,x/0,1/0,2/'               | has the time 0.0 in line 3; times must be finite and ascend
                    'time_s,x,label/0,1,1/1,2,1.5/'   | has "1.5" in column label, line 3; it must be a whole number
                    'x,x,label,label/0,1,1,2'         | has more than one column label; its columns are
                    'time_s,x/0,"1/'                  | is no intact CSV file
                    """)
    void wrongFileIsExplained(String text, String message) throws IOException {
        Path file = csv(text.replace('/', '\n'));
        assertThatThrownBy(() -> Recordings.read(file))
                .isInstanceOf(DataException.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContaining(message);
    }

    @Test
    void nameThatIsSetMustExist() throws IOException {
        Path file = csv(EYES);
        assertThatThrownBy(() -> Recordings.read(file, ReadOptions.defaults().withLabel("class")))
                .hasMessage(file + " has no column class; its columns are time_s, horizontal, vertical, label");
    }

    @Test
    void endlessLineInASmallFileIsRefused() throws IOException {
        Path file = gzip("x," + "0".repeat(10_000_000));

        assertThat(Files.size(file)).isLessThan(20_000);
        assertThatThrownBy(() -> Recordings.read(file)).isInstanceOf(DataException.class);
    }

    @Test
    void truncatedGzipIsRefused() throws IOException {
        byte[] bytes = Files.readAllBytes(gzip(EYES));
        for (int length = 2; length < bytes.length; length++) {
            Path file = Files.write(folder.resolve("short.csv.gz"), java.util.Arrays.copyOf(bytes, length));
            assertThatThrownBy(() -> Recordings.read(file)).isInstanceOf(DataException.class);
        }
    }

    @Test
    void otherFilesAreNoRecordings() throws IOException {
        Path file = Files.writeString(folder.resolve("notes.md"), "# Notes");
        assertThatThrownBy(() -> Recordings.read(file))
                .hasMessage(
                        file + " is no recording that can be read; allowed are EDF, BDF, CSV, CSV with gzip, and NPZ"
                                + " files");
        assertThatThrownBy(() -> Recordings.read(folder)).hasMessageContaining("is a folder");
    }
}
