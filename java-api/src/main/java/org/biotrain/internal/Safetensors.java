package org.biotrain.internal;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.biotrain.CheckpointException;
import org.biotrain.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A safetensors file: the length of a JSON header (8 bytes, little-endian), the header, then the tensors' bytes. Files
 * are not trusted: every size is checked against the file before it is used.
 *
 * @param tensors float32 tensors by name
 * @param metadata the header's free texts
 */
public record Safetensors(Map<String, Tensor> tensors, Map<String, String> metadata) {
    private static final String METADATA = "__metadata__";
    /** Room for some 100 000 tensors; a larger header is no network of ours. */
    private static final int MAX_HEADER_BYTES = 16 << 20;

    private static final int ALIGNMENT = 8;
    private static final ObjectMapper JSON = JsonMapper.builder(JsonFactory.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(8)
                            .maxNumberLength(20)
                            .build())
                    .build())
            .build();

    /** Copies the maps, keeping their order. */
    public Safetensors {
        tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
        metadata = Collections.unmodifiableMap(new TreeMap<>(metadata));
    }

    /**
     * Reads a file.
     *
     * @throws CheckpointException if it can't be read or is damaged
     */
    public static Safetensors read(Path path) {
        byte[] bytes;
        try {
            if (Files.size(path) > Integer.MAX_VALUE - ALIGNMENT) {
                throw damaged(path, "has " + Files.size(path) + " bytes, more than the 2 GiB that are supported");
            }
            bytes = Files.readAllBytes(path);
        } catch (IOException e) {
            throw new CheckpointException("The file " + path + " can't be read: " + IoReason.of(e), e);
        }
        if (bytes.length < Long.BYTES) {
            throw damaged(path, "has " + bytes.length + " bytes, too few for a safetensors file");
        }
        ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        long headerBytes = file.getLong();
        if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES || headerBytes > file.remaining()) {
            throw damaged(
                    path,
                    "claims a header of " + Long.toUnsignedString(headerBytes) + " bytes, but only " + file.remaining()
                            + " follow, and at most " + MAX_HEADER_BYTES + " are allowed");
        }
        JsonNode header;
        try {
            header = JSON.readTree(bytes, Long.BYTES, (int) headerBytes);
        } catch (IOException e) {
            throw new CheckpointException(
                    "The file " + path + " is damaged: its header is not valid JSON (" + jsonReason(e) + ")", e);
        }
        if (!(header instanceof ObjectNode)) {
            throw damaged(path, "has a header that is not a JSON object");
        }
        ByteBuffer data = file.slice(Long.BYTES + (int) headerBytes, file.limit() - Long.BYTES - (int) headerBytes)
                .order(ByteOrder.LITTLE_ENDIAN);
        return new Safetensors(tensors(path, header, data), metadata(path, header.get(METADATA)));
    }

    private static Map<String, String> metadata(Path path, @Nullable JsonNode node) {
        Map<String, String> metadata = new TreeMap<>();
        if (node == null) {
            return metadata;
        }
        if (!(node instanceof ObjectNode)) {
            throw damaged(path, "has metadata that is not a JSON object");
        }
        node.properties().forEach(entry -> {
            if (!entry.getValue().isTextual()) {
                throw damaged(path, "has metadata \"" + entry.getKey() + "\" that is not a text");
            }
            metadata.put(entry.getKey(), entry.getValue().textValue());
        });
        return metadata;
    }

    @SuppressWarnings("ArrayRecordComponent") // does not leave this class
    private record Extent(String name, int[] shape, int begin, int end) {}

    private static Map<String, Tensor> tensors(Path path, JsonNode header, ByteBuffer data) {
        List<Extent> extents = new ArrayList<>();
        header.properties().forEach(entry -> {
            if (!entry.getKey().equals(METADATA)) {
                extents.add(extent(path, entry.getKey(), entry.getValue(), data.limit()));
            }
        });
        extents.sort(Comparator.comparingInt(Extent::begin).thenComparingInt(Extent::end));
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        int covered = 0;
        for (Extent extent : extents) {
            if (extent.begin != covered) {
                throw damaged(
                        path,
                        "has tensor \"" + extent.name + "\" at byte " + extent.begin + " where byte " + covered
                                + " comes next: tensors overlap or leave a gap");
            }
            covered = extent.end;
            float[] values = new float[(extent.end - extent.begin) / Float.BYTES];
            data.slice(extent.begin, extent.end - extent.begin)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .asFloatBuffer()
                    .get(values);
            tensors.put(extent.name, Tensor.of(extent.shape, values));
        }
        if (covered != data.limit()) {
            throw damaged(path, "has " + (data.limit() - covered) + " bytes behind the last tensor");
        }
        return tensors;
    }

    private static Extent extent(Path path, String name, JsonNode node, int available) {
        JsonNode dtype = node.get("dtype");
        if (dtype == null || !dtype.isTextual() || !(node.get("shape") instanceof ArrayNode shape)) {
            throw damaged(path, "says no dtype and shape for the tensor \"" + name + "\"");
        }
        if (!dtype.textValue().equals("F32")) {
            throw new CheckpointException("The tensor \"" + name + "\" in " + path + " has the type "
                    + dtype.textValue() + ", but only F32 is supported; convert it to float32");
        }
        int[] extents = new int[shape.size()];
        long bytes = Float.BYTES;
        for (int i = 0; i < extents.length; i++) {
            extents[i] = integer(path, name, shape.get(i));
            if (extents[i] < 1) {
                throw damaged(path, "gives the tensor \"" + name + "\" the extent " + extents[i]);
            }
            bytes *= extents[i];
            if (bytes > available) {
                throw damaged(path, "gives the tensor \"" + name + "\" more elements than the file holds");
            }
        }
        if (!(node.get("data_offsets") instanceof ArrayNode offsets) || offsets.size() != 2) {
            throw damaged(path, "does not say where the tensor \"" + name + "\" begins and ends");
        }
        int begin = integer(path, name, offsets.get(0));
        int end = integer(path, name, offsets.get(1));
        if (begin < 0 || end > available || (long) end - begin != bytes) {
            throw damaged(
                    path,
                    "puts the tensor \"" + name + "\" of " + bytes + " bytes at " + begin + " to " + end + " of "
                            + available + " bytes");
        }
        return new Extent(name, extents, begin, end);
    }

    private static int integer(Path path, String name, JsonNode node) {
        if (!node.isIntegralNumber() || !node.canConvertToInt()) {
            throw damaged(path, "has \"" + node + "\" for a size of the tensor \"" + name + "\"");
        }
        return node.intValue();
    }

    /**
     * Writes a file, whole or not at all: to a temporary file beside it first.
     *
     * @throws CheckpointException if it can't be written; an older file of that name is then still there
     */
    public void write(Path path) {
        ObjectNode header = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode texts = header.putObject(METADATA);
            metadata.forEach(texts::put);
        }
        long offset = 0;
        for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
            ObjectNode tensor = header.putObject(entry.getKey());
            tensor.put("dtype", "F32");
            ArrayNode shape = tensor.putArray("shape");
            Arrays.stream(entry.getValue().shape()).forEach(shape::add);
            ArrayNode offsets = tensor.putArray("data_offsets");
            offsets.add(offset);
            offset += (long) Float.BYTES * entry.getValue().elements();
            offsets.add(offset);
        }
        String text = header.toString();
        int padding = -text.getBytes(StandardCharsets.UTF_8).length & (ALIGNMENT - 1);
        byte[] headerBytes = (text + " ".repeat(padding)).getBytes(StandardCharsets.UTF_8);
        writeAtomically(path, channel -> {
            put(
                    channel,
                    ByteBuffer.allocate(Long.BYTES)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(headerBytes.length)
                            .flip());
            put(channel, ByteBuffer.wrap(headerBytes));
            for (Tensor tensor : tensors.values()) {
                put(channel, bytes(tensor.data()));
            }
        });
    }

    /** Little-endian bytes of some floats. */
    public static ByteBuffer bytes(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(Math.multiplyExact(Float.BYTES, values.length))
                .order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return bytes;
    }

    private static void put(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private interface Content {
        void writeTo(FileChannel channel) throws IOException;
    }

    private static void writeAtomically(Path path, Content content) {
        Path target = path.toAbsolutePath();
        Path temporary = null;
        try {
            Path directory = target.getParent();
            if (directory == null || target.getFileName() == null) {
                throw new IOException("it names no file");
            }
            Files.createDirectories(directory);
            temporary = Files.createTempFile(directory, "." + target.getFileName(), ".part");
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                content.writeTo(channel);
                channel.force(true);
            }
            try {
                Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(temporary, target, StandardCopyOption.REPLACE_EXISTING);
            }
        } catch (IOException e) {
            CheckpointException failure =
                    new CheckpointException("The file " + path + " can't be written: " + IoReason.of(e), e);
            if (temporary != null) {
                try {
                    Files.deleteIfExists(temporary);
                } catch (IOException left) {
                    failure.addSuppressed(left);
                }
            }
            throw failure;
        }
    }

    private static CheckpointException damaged(Path path, String what) {
        return new CheckpointException("The file " + path + " is damaged: it " + what);
    }

    private static String jsonReason(IOException e) {
        return e instanceof JsonProcessingException json ? json.getOriginalMessage() : IoReason.of(e);
    }
}
