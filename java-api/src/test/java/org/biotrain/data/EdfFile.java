package org.biotrain.data;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** Writes small EDF and BDF files. Records are written as given, so a test can write wrong ones too. */
final class EdfFile {
    private record Signal(
            String label, String unit, String min, String max, String digitalMin, String digitalMax, int perRecord) {}

    private final boolean bdf;
    private final String variant;
    private final String duration;
    private final List<Signal> signals = new ArrayList<>();
    private final List<byte[]> records = new ArrayList<>();
    private int declaredRecords = Integer.MIN_VALUE;

    private EdfFile(boolean bdf, String variant, String duration) {
        this.bdf = bdf;
        this.variant = variant;
        this.duration = duration;
    }

    static EdfFile edf(String variant, String recordSeconds) {
        return new EdfFile(false, variant, recordSeconds);
    }

    static EdfFile bdf(String variant, String recordSeconds) {
        return new EdfFile(true, variant, recordSeconds);
    }

    EdfFile signal(String label, String unit, String min, String max, int perRecord) {
        String digitalMin = bdf ? "-8388608" : "-32768";
        signals.add(new Signal(label, unit, min, max, digitalMin, bdf ? "8388607" : "32767", perRecord));
        return this;
    }

    EdfFile annotations(int samplesPerRecord) {
        return signal(bdf ? "BDF Annotations" : "EDF Annotations", "", "-1", "1", samplesPerRecord);
    }

    /** Adds a record: an {@code int[]} of digital values or the text of an annotation signal per signal. */
    EdfFile record(Object... contents) {
        ByteArrayOutputStream record = new ByteArrayOutputStream();
        int width = bdf ? 3 : 2;
        for (int i = 0; i < contents.length; i++) {
            if (contents[i] instanceof int[] values) {
                for (int value : values) {
                    for (int b = 0; b < width; b++) {
                        record.write(value >> (8 * b));
                    }
                }
            } else {
                byte[] text = contents[i].toString().getBytes(StandardCharsets.UTF_8);
                record.writeBytes(text);
                record.writeBytes(new byte[signals.get(i).perRecord * width - text.length]);
            }
        }
        records.add(record.toByteArray());
        return this;
    }

    EdfFile declaring(int recordCount) {
        declaredRecords = recordCount;
        return this;
    }

    byte[] bytes() {
        StringBuilder header = new StringBuilder();
        field(header, bdf ? "\u00ffBIOSEMI" : "0", 8);
        field(header, "X X X X", 80);
        field(header, "Startdate X X X X", 80);
        field(header, "01.02.26", 8);
        field(header, "12.00.00", 8);
        field(header, Integer.toString(256 * (signals.size() + 1)), 8);
        field(header, variant, 44);
        field(header, Integer.toString(declaredRecords == Integer.MIN_VALUE ? records.size() : declaredRecords), 8);
        field(header, duration, 8);
        field(header, Integer.toString(signals.size()), 4);
        fields(header, 16, Signal::label);
        fields(header, 80, signal -> "");
        fields(header, 8, Signal::unit);
        fields(header, 8, Signal::min);
        fields(header, 8, Signal::max);
        fields(header, 8, Signal::digitalMin);
        fields(header, 8, Signal::digitalMax);
        fields(header, 80, signal -> "");
        fields(header, 8, signal -> Integer.toString(signal.perRecord));
        fields(header, 32, signal -> "");
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.writeBytes(header.toString().getBytes(StandardCharsets.ISO_8859_1));
        records.forEach(file::writeBytes);
        return file.toByteArray();
    }

    Path write(Path file) throws IOException {
        return Files.write(file, bytes());
    }

    private void fields(StringBuilder header, int width, Function<Signal, String> value) {
        signals.forEach(signal -> field(header, value.apply(signal), width));
    }

    private static void field(StringBuilder header, String value, int width) {
        header.append(value).append(" ".repeat(width - value.length()));
    }
}
