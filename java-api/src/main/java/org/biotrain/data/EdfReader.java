package org.biotrain.data;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads the European Data Format (Kemp et al., 1992), EDF+ (Kemp and Olivan, 2003), and their 24-bit twins BDF and
 * BDF+. A file is a header of ASCII fields and then data records of equal length; a record holds the samples of one
 * signal after the other. In the + formats, signals named "EDF Annotations" hold text: time-stamped annotation lists,
 * of which the first in each record gives the record's start. Only the discontinuous variants may have gaps.
 */
final class EdfReader {
    static final String EDF_VERSION = "0       ";
    static final String BDF_VERSION = "\u00ffBIOSEMI";

    private static final Pattern NUMBER = Pattern.compile("[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?");
    private static final Pattern ONSET = Pattern.compile("[+-]\\d+(\\.\\d*)?");
    private static final Pattern DURATION = Pattern.compile("\\d+(\\.\\d*)?");

    /** Bounds the objects that a crafted file can ask for; a real recording has some thousands. */
    private static final int MAX_ANNOTATIONS = 1_000_000;

    private record Signal(
            String label, String unit, double physicalMin, double gain, int digitalMin, int samplesPerRecord) {
        Channel channel() {
            return new Channel(label, unit);
        }
    }

    private final Path file;
    private final InputStream in;
    private final long fileSize;
    private final String format;
    private final int bytesPerSample;

    private EdfReader(Path file, InputStream in, long fileSize) throws IOException {
        this.file = file;
        this.in = in;
        this.fileSize = fileSize;
        String version = text(8, "the version");
        if (!version.equals(EDF_VERSION) && !version.equals(BDF_VERSION)) {
            throw error("starts with \"" + version
                    + "\", but an EDF file starts with a 0 and a BDF file with BIOSEMI; the file is damaged or of"
                    + " another format");
        }
        boolean bdf = version.equals(BDF_VERSION);
        this.format = bdf ? "BDF" : "EDF";
        this.bytesPerSample = bdf ? 3 : 2;
    }

    static Recording read(Path file, ReadOptions options) throws IOException {
        try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
            return new EdfReader(file, in, Files.size(file)).read(options);
        }
    }

    private Recording read(ReadOptions options) throws IOException {
        text(80 + 80 + 8 + 8, "patient, recording, date and time");
        int headerBytes = integer(8, "the header's length");
        String variant = text(44, "the variant").strip();
        int declaredRecords = integer(8, "the number of data records");
        double recordDuration = number(8, "the duration of a data record");
        int signalCount = integer(4, "the number of signals");
        if (signalCount < 1) {
            throw error("says it has " + signalCount + " signals; at least 1 is needed");
        }
        if (headerBytes != 256 * (signalCount + 1)) {
            throw error("says its header has " + headerBytes + " bytes, but " + signalCount + " signals make "
                    + 256 * (signalCount + 1) + "; the header is damaged");
        }
        if (headerBytes > fileSize) {
            throw truncated("inside its header of " + headerBytes + " bytes");
        }
        List<Signal> signals = readSignals(signalCount);

        long recordBytes = 0;
        for (Signal signal : signals) {
            recordBytes += (long) signal.samplesPerRecord * bytesPerSample;
        }
        int records = recordCount(declaredRecords, headerBytes, recordBytes);
        int[] chosen = chooseSignals(signals, options.signals());
        int perRecord = signals.get(chosen[0]).samplesPerRecord;
        if (records == 0) {
            throw error("holds no data records; record or copy it again");
        }
        if (recordDuration <= 0) {
            throw error("has data records of " + recordDuration + " s; their duration must be above 0");
        }
        double sampleRate = perRecord / recordDuration;
        long samples = (long) records * perRecord;
        if (samples > Integer.MAX_VALUE - 8) {
            throw error("has " + samples + " samples per channel, but at most 2^31 can be read; split the file");
        }
        HeapLimit.require(file, "its signal", 4.0 * samples * chosen.length + 8.0 * records + recordBytes);

        float[][] signal = new float[chosen.length][(int) samples];
        List<Annotation> annotations = new ArrayList<>();
        double[] starts = new double[records];
        readRecords(signals, chosen, signal, starts, annotations, recordDuration);
        annotations.sort(Comparator.comparingDouble(Annotation::onset));

        boolean discontinuous = variant.startsWith(format + "+D");
        List<Channel> channels =
                Arrays.stream(chosen).mapToObj(i -> signals.get(i).channel()).toList();
        List<Segment> segments = discontinuous
                ? segments(starts, perRecord, sampleRate)
                : Recording.oneSegment((int) samples, starts[0]);
        return new Recording(
                Origin.of(Recordings.nameOf(file)), sampleRate, channels, signal, segments, annotations, null, null);
    }

    private List<Signal> readSignals(int count) throws IOException {
        String[] labels = new String[count];
        String[] units = new String[count];
        double[] physicalMin = new double[count];
        double[] physicalMax = new double[count];
        int[] digitalMin = new int[count];
        int[] digitalMax = new int[count];
        for (int i = 0; i < count; i++) {
            labels[i] = text(16, "the label of signal " + i).strip();
        }
        text(80 * count, "the transducers");
        for (int i = 0; i < count; i++) {
            units[i] = text(8, "the unit of " + labels[i]).strip();
        }
        for (int i = 0; i < count; i++) {
            physicalMin[i] = number(8, "the physical minimum of " + labels[i]);
        }
        for (int i = 0; i < count; i++) {
            physicalMax[i] = number(8, "the physical maximum of " + labels[i]);
        }
        for (int i = 0; i < count; i++) {
            digitalMin[i] = integer(8, "the digital minimum of " + labels[i]);
        }
        for (int i = 0; i < count; i++) {
            digitalMax[i] = integer(8, "the digital maximum of " + labels[i]);
        }
        text(80 * count, "the prefilters");
        List<Signal> signals = new ArrayList<>(count);
        int lowest = -(1 << (8 * bytesPerSample - 1));
        for (int i = 0; i < count; i++) {
            int samplesPerRecord = integer(8, "the samples per data record of " + labels[i]);
            if (samplesPerRecord < 1) {
                throw error("says that " + labels[i] + " has " + samplesPerRecord
                        + " samples per data record; at least 1 is needed");
            }
            if (digitalMin[i] >= digitalMax[i] || digitalMin[i] < lowest || digitalMax[i] >= -lowest) {
                throw error("says that " + labels[i] + " has digital values from " + digitalMin[i] + " to "
                        + digitalMax[i] + "; they must ascend and lie within " + lowest + " to " + (-lowest - 1));
            }
            double gain = (physicalMax[i] - physicalMin[i]) / ((double) digitalMax[i] - digitalMin[i]);
            if (!isAnnotation(labels[i]) && gain == 0) {
                throw error("says that " + labels[i] + " has the physical minimum and maximum " + physicalMin[i]
                        + "; they must differ");
            }
            signals.add(new Signal(labels[i], units[i], physicalMin[i], gain, digitalMin[i], samplesPerRecord));
        }
        text(32 * count, "the reserved fields");
        return signals;
    }

    /** Checks the claimed number of data records against the file's size; −1 stands for as many as there are. */
    private int recordCount(int declared, int headerBytes, long recordBytes) {
        long present = (fileSize - headerBytes) / recordBytes;
        long rest = (fileSize - headerBytes) % recordBytes;
        if (declared < -1) {
            throw error("says it has " + declared + " data records; allowed are 0 or more, or -1 for unknown");
        }
        if (declared > present || (declared == -1 && rest != 0)) {
            throw truncated("in data record " + present
                    + (declared == -1 ? "" : " of the " + declared + " that its header names"));
        }
        if (declared != -1 && (declared != present || rest != 0)) {
            throw error("has " + (fileSize - headerBytes - declared * recordBytes) + " bytes more than the " + declared
                    + " data records that its header names; the header or the file is damaged");
        }
        return (int) Math.min(present, Integer.MAX_VALUE);
    }

    private int[] chooseSignals(List<Signal> signals, List<String> names) {
        int[] ordinary = IntStream.range(0, signals.size())
                .filter(i -> !isAnnotation(signals.get(i).label))
                .toArray();
        List<Channel> channels =
                Arrays.stream(ordinary).mapToObj(i -> signals.get(i).channel()).toList();
        List<Integer> chosen = names.isEmpty()
                ? Arrays.stream(ordinary).boxed().toList()
                : names.stream()
                        .map(name -> ordinary[Channel.indexOf(file.toString(), channels, name)])
                        .distinct()
                        .toList();
        if (chosen.isEmpty()) {
            throw error("holds annotations only; a recording needs at least one signal");
        }
        Signal first = signals.get(chosen.getFirst());
        for (int i : chosen) {
            Signal signal = signals.get(i);
            if (signal.samplesPerRecord != first.samplesPerRecord) {
                throw error("has signals of different rates: " + first.samplesPerRecord + " samples per data record in "
                        + first.label + ", " + signal.samplesPerRecord + " in " + signal.label
                        + "; name the signals to read, all of one rate");
            }
        }
        return chosen.stream().mapToInt(Integer::intValue).toArray();
    }

    private boolean isAnnotation(String label) {
        return label.equals(format + " Annotations");
    }

    private void readRecords(
            List<Signal> signals,
            int[] chosen,
            float[][] samples,
            double[] starts,
            List<Annotation> annotations,
            double recordDuration)
            throws IOException {
        float[][] target = new float[signals.size()][];
        for (int i = 0; i < chosen.length; i++) {
            target[chosen[i]] = samples[i];
        }
        byte[] buffer = new byte[3 * (1 << 14)];
        for (int record = 0; record < starts.length; record++) {
            boolean timed = false;
            for (int i = 0; i < signals.size(); i++) {
                Signal signal = signals.get(i);
                if (isAnnotation(signal.label)) {
                    byte[] lists = new byte[signal.samplesPerRecord * bytesPerSample];
                    readFully(lists, lists.length, "data record " + record);
                    double start = parseAnnotations(lists, record, !timed, annotations);
                    if (!timed) {
                        starts[record] = start;
                        timed = true;
                    }
                } else {
                    readSignal(signal, target[i], record, buffer);
                }
            }
            if (!timed) {
                starts[record] = record * recordDuration;
            }
        }
    }

    private void readSignal(Signal signal, float @Nullable [] target, int record, byte[] buffer) throws IOException {
        int offset = record * signal.samplesPerRecord;
        int left = signal.samplesPerRecord;
        while (left > 0) {
            int count = Math.min(left, buffer.length / bytesPerSample);
            readFully(buffer, count * bytesPerSample, "data record " + record);
            if (target != null) {
                for (int i = 0; i < count; i++) {
                    target[offset + i] =
                            (float) ((digital(buffer, i * bytesPerSample) - (long) signal.digitalMin) * signal.gain
                                    + signal.physicalMin);
                }
            }
            offset += count;
            left -= count;
        }
    }

    private int digital(byte[] bytes, int at) {
        int low = bytes[at] & 0xff;
        return bytesPerSample == 2 ? bytes[at + 1] << 8 | low : bytes[at + 2] << 16 | (bytes[at + 1] & 0xff) << 8 | low;
    }

    /**
     * Parses the annotation lists of one signal and record. A list is an onset, optionally 0x15 and a duration, 0x14,
     * texts that end with 0x14 each, and a 0.
     *
     * @param timekeeping whether the first list must give the record's start, with an empty first text
     * @return the record's start in seconds if {@code timekeeping}
     */
    private double parseAnnotations(byte[] bytes, int record, boolean timekeeping, List<Annotation> annotations) {
        double start = Double.NaN;
        int at = 0;
        while (at < bytes.length && bytes[at] != 0) {
            int end = at;
            while (end < bytes.length && bytes[end] != 0) {
                end++;
            }
            String list = new String(bytes, at, end - at, StandardCharsets.UTF_8);
            if (end == bytes.length || !list.endsWith("\u0014")) {
                throw badAnnotation(list, record, "it does not end with the bytes 0x14 and 0");
            }
            String[] parts = list.split("\u0014", -1);
            String[] time = parts[0].split("\u0015", -1);
            if (!ONSET.matcher(time[0]).matches()) {
                throw badAnnotation(list, record, "its onset is not a number with a sign");
            }
            if (time.length > 2
                    || (time.length == 2 && !DURATION.matcher(time[1]).matches())) {
                throw badAnnotation(list, record, "its duration is not a number");
            }
            double onset = finite(Double.parseDouble(time[0]), list, record);
            double duration = time.length == 2 ? finite(Double.parseDouble(time[1]), list, record) : 0;
            if (timekeeping && Double.isNaN(start)) {
                if (!parts[1].isEmpty()) {
                    throw badAnnotation(list, record, "the first one must give the record's start and no text");
                }
                start = onset;
            }
            for (int i = 1; i < parts.length - 1; i++) {
                if (!parts[i].isEmpty()) {
                    annotations.add(new Annotation(onset, duration, parts[i]));
                }
            }
            if (annotations.size() > MAX_ANNOTATIONS) {
                throw error("has more than " + MAX_ANNOTATIONS + " annotations; the file is damaged");
            }
            at = end + 1;
        }
        for (int i = at; i < bytes.length; i++) {
            if (bytes[i] != 0) {
                throw error("has bytes after the last annotation of data record " + record
                        + "; the rest of an annotation signal must be 0");
            }
        }
        if (timekeeping && Double.isNaN(start)) {
            throw error("gives no start for data record " + record
                    + "; the first annotation of each record must be its start");
        }
        return start;
    }

    private double finite(double value, String list, int record) {
        if (!Double.isFinite(value)) {
            throw badAnnotation(list, record, "its time is too large");
        }
        return value;
    }

    private DataException badAnnotation(String list, int record, String why) {
        return error("has a damaged annotation \"" + list.substring(0, Math.min(list.length(), 60))
                + "\" in data record " + record + ": " + why);
    }

    /** Joins data records that follow each other within half a sample. */
    private List<Segment> segments(double[] starts, int perRecord, double sampleRate) {
        List<Segment> segments = new ArrayList<>();
        int firstRecord = 0;
        for (int record = 1; record <= starts.length; record++) {
            double expected = starts[firstRecord] + (record - firstRecord) * (perRecord / sampleRate);
            if (record < starts.length && Math.abs(starts[record] - expected) <= 0.5 / sampleRate) {
                continue;
            }
            if (record < starts.length && starts[record] < expected) {
                throw error("has data record " + record + " at " + starts[record] + " s, before the end of the one"
                        + " before at " + expected + " s; records must follow each other in time");
            }
            segments.add(new Segment(firstRecord * perRecord, (record - firstRecord) * perRecord, starts[firstRecord]));
            firstRecord = record;
        }
        return segments;
    }

    private String text(int length, String what) throws IOException {
        byte[] bytes = in.readNBytes(length);
        if (bytes.length < length) {
            throw truncated("inside its header, in " + what);
        }
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    private double number(int length, String what) throws IOException {
        String field = text(length, what).strip();
        double value = NUMBER.matcher(field).matches() ? Double.parseDouble(field) : Double.NaN;
        if (!Double.isFinite(value)) {
            throw error("has \"" + field + "\" as " + what + "; it must be a number");
        }
        return value;
    }

    private int integer(int length, String what) throws IOException {
        double value = number(length, what);
        if (value != (int) value) {
            throw error("has " + value + " as " + what + "; it must be a whole number");
        }
        return (int) value;
    }

    private void readFully(byte[] bytes, int length, String what) throws IOException {
        if (in.readNBytes(bytes, 0, length) < length) {
            throw truncated("in " + what);
        }
    }

    private DataException truncated(String where) {
        return error("ends after " + fileSize + " bytes, " + where + "; the file is truncated, copy it again");
    }

    private DataException error(String what) {
        return new DataException(file + " " + what);
    }
}
