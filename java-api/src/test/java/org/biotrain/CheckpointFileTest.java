package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files of weights and checkpoints: what is written is read again, and nothing else passes. */
class CheckpointFileTest {
    @TempDir
    Path directory;

    private static Map<String, Tensor> weights() {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        weights.put("größe", Tensor.of(new int[] {2, 1, 2}, 1, -0f, Float.MIN_VALUE, Float.MAX_VALUE));
        weights.put("scalar", Tensor.of(new int[] {}, 3));
        weights.put("a \"quoted\" name", Tensor.of(new int[] {1}, -1));
        return weights;
    }

    private static Checkpoint checkpoint() {
        return new Checkpoint(
                "small",
                "no options",
                new Checkpoint.Progress(3, 12, 3, 30, 0xDEADBEEF),
                weights(),
                Map.of("momentum.scalar", Tensor.of(new int[] {}, 0.5f)),
                new float[] {3, 2, 1});
    }

    @Test
    void weightsAreReadAsTheyWereWritten() {
        Path file = directory.resolve("weights.safetensors");
        Weights.save(weights(), file);

        assertThat(Weights.load(file)).isEqualTo(weights());
    }

    @Test
    void aCheckpointIsReadAsItWasWritten() {
        Path file = directory.resolve("checkpoint.safetensors");
        checkpoint().save(file);

        Checkpoint read = Checkpoint.load(file);
        assertThat(read.parameters()).isEqualTo(weights());
        assertThat(read.optimizerState()).containsOnlyKeys("momentum.scalar");
        assertThat(read.losses()).containsExactly(3, 2, 1);
        assertThat(read.progress()).isEqualTo(checkpoint().progress());
        assertThat(read.options()).isEqualTo("no options");
    }

    @Test
    void theFileIsASafetensorsFile() throws IOException {
        Path file = directory.resolve("weights.safetensors");
        Weights.save(Map.of("w", Tensor.of(new int[] {2}, 1, 2)), file);

        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        int headerBytes = (int) bytes.getLong();
        byte[] header = new byte[headerBytes];
        bytes.get(header);
        assertThat(new String(header, StandardCharsets.UTF_8).strip())
                .isEqualTo("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
        assertThat(headerBytes % 8).isZero();
        assertThat(bytes.getFloat()).isEqualTo(1);
        assertThat(bytes.getFloat()).isEqualTo(2);
        assertThat(bytes.hasRemaining()).isFalse();
    }

    @Test
    void weightsAreNoCheckpoint() {
        Path file = directory.resolve("weights.safetensors");
        Weights.save(weights(), file);

        assertThatExceptionOfType(CheckpointException.class)
                .isThrownBy(() -> Checkpoint.load(file))
                .withMessageContaining("no checkpoint")
                .withMessageContaining("Weights.load");
    }

    @Test
    void aMissingFileIsNamed() {
        Path file = directory.resolve("nowhere.safetensors");

        assertThatExceptionOfType(CheckpointException.class)
                .isThrownBy(() -> Checkpoint.load(file))
                .withMessageContaining(file.toString())
                .withMessageContaining("no such file");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\0', textBlock = """
            {"w":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}                            | only F32
            {"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}                            | at 0 to 4 of 8 bytes
            {"w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}                           | at 8 to 16 of 8 bytes
            {"w":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}                           | at -8 to 0
            {"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}                            | 4 bytes behind
            {"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}                            | leave a gap
            {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}} | overlap
            {"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} | not valid JSON
            {"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}                           | the extent -2
            {"w":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}                          | for a size
            {"w":{"dtype":"F32","shape":[65536,65536,65536],"data_offsets":[0,8]}}            | more elements than
            {"w":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,8]}}                  | for a size
            {"w":{"shape":[2],"data_offsets":[0,8]}}                                          | no dtype
            {"w":{"dtype":"F32","shape":[2]}}                                                 | begins and ends
            {"w":7}                                                                           | no dtype
            [1]                                                                               | not a JSON object
            {"__metadata__":{"a":1},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}     | not a text
            {"w":                                                                             | not valid JSON
            [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]                                          | not valid JSON
            """)
    void aDamagedHeaderIsRefused(String header, String reason) throws IOException {
        byte[] text = header.strip().getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = ByteBuffer.allocate(8 + text.length + 8).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(text.length).put(text).putFloat(1).putFloat(2);
        Path file = Files.write(directory.resolve("damaged.safetensors"), bytes.array());

        assertThatExceptionOfType(CheckpointException.class)
                .isThrownBy(() -> Weights.load(file))
                .withMessageContaining(file.toString())
                .withMessageContaining(reason);
    }

    @ParameterizedTest
    @CsvSource({"-1", "0", "1", "17", "16777217", "9223372036854775807", "-9223372036854775808"})
    void aDamagedHeaderLengthIsRefused(long length) throws IOException {
        ByteBuffer bytes =
                ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
        Path file = Files.write(directory.resolve("damaged.safetensors"), bytes.array());

        assertThatExceptionOfType(CheckpointException.class)
                .isThrownBy(() -> Weights.load(file))
                .withMessageContaining("header of " + Long.toUnsignedString(length) + " bytes");
    }

    /** Whatever happens to a file: either it is refused, or it was not touched where it matters. */
    @Test
    void noDamageGetsThrough() throws IOException {
        Path good = directory.resolve("good.safetensors");
        checkpoint().save(good);
        byte[] original = Files.readAllBytes(good);
        Path file = directory.resolve("mutant.safetensors");
        Random random = new Random(1);
        int refused = 0;
        for (int round = 0; round < 4000; round++) {
            Files.write(file, mutate(original, random));
            try {
                Checkpoint loaded = Checkpoint.load(file);
                assertThat(loaded.parameters()).isEqualTo(weights());
                assertThat(loaded.losses()).containsExactly(3, 2, 1);
                assertThat(loaded.progress()).isEqualTo(checkpoint().progress());
            } catch (BioTrainException e) {
                refused++;
                assertThat(e.getMessage()).contains(file.toString());
            }
        }
        assertThat(refused).isGreaterThan(3500);
    }

    private static byte[] mutate(byte[] original, Random random) {
        byte[] bytes = original.clone();
        switch (random.nextInt(4)) {
            case 0 -> bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
            case 1 -> bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
            case 2 -> {
                int from = random.nextInt(bytes.length);
                int length = Math.min(1 + random.nextInt(16), bytes.length - from);
                System.arraycopy(original, random.nextInt(bytes.length - length + 1), bytes, from, length);
                bytes[from] ^= 1;
            }
            default -> {
                // A digit of the header: sizes and offsets that still look like some.
                int at = 8 + random.nextInt(bytes.length - 8);
                while (at < bytes.length && (bytes[at] < '0' || bytes[at] > '9')) {
                    at++;
                }
                if (at < bytes.length) {
                    bytes[at] = (byte) ('0' + (bytes[at] - '0' + 1 + random.nextInt(9)) % 10);
                } else {
                    bytes[0] ^= 1;
                }
            }
        }
        return bytes;
    }

    @Test
    void aDirectoryInTheWayIsNamed() throws IOException {
        Path taken = Files.createDirectories(directory.resolve("taken/inside")).getParent();

        assertThatExceptionOfType(CheckpointException.class)
                .isThrownBy(() -> checkpoint().save(taken))
                .withMessageContaining(taken.toString())
                .withMessageContaining("can't be written");
        try (Stream<Path> files = Files.list(directory)) {
            assertThat(files).containsExactly(taken);
        }
    }

    @Test
    void aFullDiskLeavesTheOlderFile() throws Exception {
        Path disk = Files.createDirectory(directory.resolve("disk"));
        if (run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk.toString()) != 0) {
            String reason = "A disk that fills up can't be had here: mounting a tmpfs is not allowed.";
            System.out.println("Skipped aFullDiskLeavesTheOlderFile: " + reason);
            abort(reason);
        }
        try {
            Path file = disk.resolve("weights.safetensors");
            Weights.save(weights(), file);
            Map<String, Tensor> large = Map.of("large", Tensor.filled(1, 100_000));

            assertThatExceptionOfType(CheckpointException.class)
                    .isThrownBy(() -> Weights.save(large, file))
                    .withMessageContaining(file.toString())
                    .withMessageContaining("No space left on device");

            assertThat(Weights.load(file)).isEqualTo(weights());
            try (Stream<Path> files = Files.list(disk)) {
                assertThat(files).containsExactly(file);
            }
        } finally {
            run("umount", disk.toString());
        }
    }

    private static int run(String... command) throws IOException, InterruptedException {
        Process process;
        try {
            process = new ProcessBuilder(command)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException e) {
            return -1;
        }
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
        return process.exitValue();
    }
}
