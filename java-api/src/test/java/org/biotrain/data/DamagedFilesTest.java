package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever bytes a file holds: it is read, or it is refused with a sentence. */
class DamagedFilesTest {
    private static final int MUTATIONS = 4000;

    @TempDir
    Path folder;

    static List<Arguments> samples() throws IOException {
        byte[] edf = EdfFile.edf("EDF+D", "0.5")
                .signal("C3", "uV", "-32768", "32767", 4)
                .annotations(15)
                .record(new int[4], "+0\24\24\0")
                .record(new int[4], "+0.5\24\24\0+0.6\0251\24T1\24\0")
                .record(new int[4], "+7\24\24\0")
                .bytes();
        byte[] bdf = EdfFile.bdf("BDF+C", "1")
                .annotations(10)
                .signal("A1", "uV", "-8388608", "8388607", 5)
                .record("+0\24\24\0", new int[5])
                .record("+1\24\24\0+1.5\24T2\24\0", new int[5])
                .bytes();
        StringBuilder csv = new StringBuilder("time_s,x,y,label,repetition\n");
        for (int i = 0; i < 20; i++) {
            csv.append(i / 10.0).append(",").append(i).append(",-1.5e3,1,2\n");
        }
        byte[] text = csv.toString().getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream gzip = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(gzip)) {
            out.write(text);
        }
        byte[] npz = new NpzFile()
                .array("signal", "<f4", "(6, 2)", NpzFile.floats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))
                .array("label", "|u1", "(6,)", NpzFile.bytes(0, 1, 1, 2, 2, 2))
                .array("fs_hz", "<f4", "()", NpzFile.floats(100))
                .bytes();
        return List.of(
                Arguments.of("a.edf", edf),
                Arguments.of("a.bdf", bdf),
                Arguments.of("a.csv", text),
                Arguments.of("a.csv.gz", gzip.toByteArray()),
                Arguments.of("a.npz", npz));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("samples")
    @Timeout(60)
    void mutatedFileIsReadOrRefused(String name, byte[] intact) throws IOException {
        SplitMix64 random = new SplitMix64(1);
        Path file = Files.write(folder.resolve(name), intact);
        Recordings.read(file); // the file is intact before it is mutated
        int refused = 0;
        for (int i = 0; i < MUTATIONS; i++) {
            Files.write(file, mutate(intact, random));
            try {
                Recordings.read(file);
            } catch (DataException e) {
                assertThat(e.getMessage()).isNotBlank().hasSizeLessThan(2000).doesNotContain("\n");
                refused++;
            }
        }
        assertThat(refused).isBetween(MUTATIONS / 20, MUTATIONS);
    }

    /** Changes bits, bytes or digits, cuts, doubles or removes stretches; once to four times. */
    private static byte[] mutate(byte[] original, SplitMix64 random) {
        List<Byte> bytes = new ArrayList<>();
        for (byte b : original) {
            bytes.add(b);
        }
        for (int i = random.nextInt(4); i >= 0 && !bytes.isEmpty(); i--) {
            int at = random.nextInt(bytes.size());
            int length = Math.min(1 + random.nextInt(16), bytes.size() - at);
            switch (random.nextInt(6)) {
                case 0 -> bytes.set(at, (byte) (bytes.get(at) ^ 1 << random.nextInt(8)));
                case 1 -> bytes.set(at, (byte) random.nextInt(256));
                case 2 -> bytes.set(at, (byte) "0123456789-+.eE \"\n,".charAt(random.nextInt(19)));
                case 3 -> bytes.subList(at, bytes.size()).clear();
                case 4 -> bytes.addAll(at, List.copyOf(bytes.subList(at, at + length)));
                default -> bytes.subList(at, at + length).clear();
            }
        }
        byte[] mutated = new byte[bytes.size()];
        for (int i = 0; i < mutated.length; i++) {
            mutated[i] = bytes.get(i);
        }
        return mutated;
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("samples")
    void emptyFileIsRefused(String name, byte[] intact) throws IOException {
        Path file = Files.write(folder.resolve(name), new byte[0]);
        assertThatThrownBy(() -> Recordings.read(file)).isInstanceOf(DataException.class);
    }
}
