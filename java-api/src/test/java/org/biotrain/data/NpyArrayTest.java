package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.biotrain.data.NpzFile.bytes;
import static org.biotrain.data.NpzFile.floats;
import static org.biotrain.data.NpzFile.npy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NpyArrayTest {
    @TempDir
    Path folder;

    private NpyArray read(byte[] npy) throws IOException {
        return NpyArray.read(Files.write(folder.resolve("a.npy"), npy));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void versionsDifferInTheHeadersLengthOnly(int version) throws IOException {
        NpyArray array = read(npy(version, "<f4", false, "(2, 3)", floats(1, 2, 3, 4, 5, 6)));

        assertThat(array.shape()).containsExactly(2, 3);
        assertThat(array.toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
    }

    @Test
    void fortranOrderComesOutInCOrder() throws IOException {
        NpyArray array = read(npy(1, "|u1", true, "(2, 3, 2)", bytes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)));

        // Element (i, j, k) is at i + 2 j + 6 k.
        assertThat(array.toInts()).containsExactly(0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "|b1, 01, 1",
        "|i1, ff, -1",
        "|u1, ff, 255",
        "<i2, feff, -2",
        ">i2, fffe, -2",
        "<u2, feff, 65534",
        "<i4, feffffff, -2",
        ">u4, fffffffe, 4294967294",
        "<i8, 0000000001000000, 4294967296",
        "<u8, ffffffffffffffff, 18446744073709551615",
        "<f2, 003e, 1.5",
        ">f4, 3fc00000, 1.5",
        "<f4, 0000c03f, 1.5",
        "<f8, 000000000000f83f, 1.5",
        ">f8, 3ff8000000000000, 1.5"
    })
    void everyNumericTypeIsRead(String dtype, String hex, double value) throws IOException {
        NpyArray array =
                read(npy(1, dtype, false, "()", java.util.HexFormat.of().parseHex(hex)));

        assertThat(array.shape()).isEmpty();
        assertThat(array.toDoubles()).containsExactly(value);
        assertThat(array.toFloats()).containsExactly((float) value);
    }

    @Test
    void onlyWholeNumbersBecomeInts() throws IOException {
        assertThat(read(npy(1, "<f4", false, "(2,)", floats(3, -7))).toInts()).containsExactly(3, -7);
        NpyArray fraction = read(npy(1, "<f4", false, "(2,)", floats(3, 0.5f)));
        assertThatThrownBy(fraction::toInts).hasMessageContaining("holds 0.5 at index 1; only whole numbers");
        NpyArray large = read(npy(
                1,
                ">i8",
                false,
                "(1,)",
                ByteBuffer.allocate(8).putLong(1L << 31).array()));
        assertThatThrownBy(large::toInts).isInstanceOf(DataException.class).hasMessageContaining("2.147483648E9");
    }

    @Test
    void emptyArrayHasNoValues() throws IOException {
        NpyArray array = read(npy(1, "<f4", true, "(0, 5)", new byte[0]));

        assertThat(array.size()).isZero();
        assertThat(array.toFloats()).isEmpty();
    }

    @ParameterizedTest(name = "{0} {1}")
    @CsvSource(delimiter = ';', textBlock = """
                    <f4 ; (3,) ; holds only 8 of the 12 bytes of its shape [3]
                    <f4 ; (1,) ; holds more than of the 4 bytes
                    <f4 ; (1073741824, 1073741824) ; more than the 2 GB
                    <f4 ; (536870911,) ; of 2147483644 bytes, but holds at most
                    <f4 ; (99999999999,) ; each at most 2^31
                    <f4 ; (-2,) ; names no shape
                    <U5 ; (2,) ; has values of type <U5
                    |O  ; (2,) ; has values of type |O
                    """, quoteCharacter = '"')
    void wrongHeaderIsNamed(String dtype, String shape, String message) {
        byte[] npy = npy(1, dtype, false, shape, new byte[8]);
        assertThatThrownBy(() -> read(npy)).isInstanceOf(DataException.class).hasMessageContaining(message);
    }

    @Test
    void truncatedArrayIsRefused() throws IOException {
        byte[] npy = npy(2, "<f4", false, "(2, 3)", floats(1, 2, 3, 4, 5, 6));
        for (int length = 0; length < npy.length; length++) {
            byte[] part = Arrays.copyOf(npy, length);
            assertThatThrownBy(() -> read(part)).isInstanceOf(DataException.class);
        }
    }

    @Test
    void npzHoldsArraysByName() throws IOException {
        Path file = new NpzFile()
                .array("layer.weight", "<f4", "(2,)", floats(1, 2))
                .array("step", "|i1", "()", bytes(9))
                .write(folder.resolve("a.npz"));

        Npz npz = Npz.read(file);

        assertThat(npz.names()).containsExactly("layer.weight", "step");
        assertThat(npz.array("layer.weight").toFloats()).containsExactly(1, 2);
        assertThat(npz.array("step").toInts()).containsExactly(9);
        assertThat(npz.has("bias")).isFalse();
        assertThatThrownBy(() -> npz.array("bias"))
                .hasMessage(file + " holds no array bias; its arrays are layer.weight, step");
    }

    @Test
    void npzRecordingNeedsItsRate() throws IOException {
        Path file = new NpzFile()
                .array("signal", "<f4", "(3, 2)", floats(1, 10, 2, 20, 3, 30))
                .array("label", "|u1", "(3,)", bytes(0, 1, 1))
                .array("rate", "<f4", "()", floats(50))
                .write(folder.resolve("u1.npz"));

        assertThatThrownBy(() -> Recordings.read(file))
                .hasMessage(file
                        + " holds no array fs_hz with the sampling rate in Hz; give the sampling rate or that array's"
                        + " name");
        Recording recording =
                Recordings.read(file, ReadOptions.defaults().withRate("rate").withUnit("mV"));
        assertThat(recording.sampleRate()).isEqualTo(50);
        assertThat(recording.channels()).containsExactly(new Channel("0", "mV"), new Channel("1", "mV"));
        assertThat(recording.samples(1)).containsExactly(10, 20, 30);
        assertThat(recording.labels())
                .hasValueSatisfying(labels -> assertThat(labels).containsExactly(0, 1, 1));
        assertThat(recording.repetitions()).isEmpty();
        assertThatThrownBy(() -> Recordings.read(
                        file, ReadOptions.defaults().withSampleRate(50).withRepetition("trial")))
                .hasMessageContaining("holds no array trial; its arrays are signal, label, rate");
    }

    @Test
    void damagedNpzIsRefusedThoughItsZipLooksIntact() throws IOException {
        byte[] bytes = new NpzFile()
                .array("signal", "<f4", "(64,)", new byte[256])
                .array("fs_hz", "<f4", "()", floats(50))
                .bytes();
        // The claimed size in the central directory, which the lengths below must not trust.
        int directory = indexOf(bytes, new byte[] {'P', 'K', 1, 2});
        bytes[directory + 27] = 0x7f;
        Path file = Files.write(folder.resolve("a.npz"), bytes);

        assertThatThrownBy(() -> Recordings.read(file)).isInstanceOf(DataException.class);
    }

    @Test
    void samplesThatDoNotMatchTheChecksumAreRefused() throws IOException {
        byte[] bytes = new NpzFile()
                .array("fs_hz", "<f4", "()", floats(50))
                .array("signal", "<f4", "(2, 1)", floats(1, 2))
                .bytes();
        int directory = indexOf(bytes, new byte[] {'P', 'K', 1, 2});
        bytes[directory + 16] ^= 1;
        Path file = Files.write(folder.resolve("a.npz"), bytes);

        assertThatThrownBy(() -> Recordings.read(file))
                .hasMessageContaining("Array fs_hz of " + file + " does not match its checksum");
    }

    private static int indexOf(byte[] bytes, byte[] wanted) {
        for (int i = 0; i + wanted.length <= bytes.length; i++) {
            if (Arrays.equals(bytes, i, i + wanted.length, wanted, 0, wanted.length)) {
                return i;
            }
        }
        throw new AssertionError("not found");
    }
}
