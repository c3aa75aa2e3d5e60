package org.biotrain.data;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import java.io.BufferedInputStream;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads CSV files, plain or gzip: a header line with the columns' names, then one line per sample, separated by comma,
 * semicolon or tab. A time column gives the sampling rate, and a gap wherever a step is longer than 1.5 periods. An
 * empty cell of a signal is NaN.
 */
final class CsvRecordings {
    /** Times are printed with few digits; a derived rate this close to a whole number is taken to be that number. */
    private static final double RATE_TOLERANCE = 1e-5;

    /** A longer step than this many periods is a gap. */
    private static final double GAP_PERIODS = 1.5;

    /** Characters of a line; bounds the memory for a file that is one endless line. */
    private static final int MAX_LINE = 1 << 20;

    private static final int INITIAL_SAMPLES = 1 << 12;
    private static final int ABSENT = -1;

    private final Path file;
    private final ReadOptions options;

    private CsvRecordings(Path file, ReadOptions options) {
        this.file = file;
        this.options = options;
    }

    static Recording read(Path file, ReadOptions options) throws IOException {
        return new CsvRecordings(file, options).read();
    }

    private Recording read() throws IOException {
        try (InputStream raw = new BufferedInputStream(Files.newInputStream(file));
                InputStream in = gunzip(raw);
                BufferedReader text = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
            return parse(text);
        } catch (CsvParseException | UncheckedIOException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            throw new DataException(
                    file + " is no intact CSV file (" + cause.getMessage() + "); copy or save it again", e);
        }
    }

    private static InputStream gunzip(InputStream in) throws IOException {
        in.mark(2);
        boolean gzip = in.read() == 0x1f && in.read() == 0x8b;
        in.reset();
        return gzip ? new GZIPInputStream(in, 1 << 16) : in;
    }

    private Recording parse(BufferedReader text) throws IOException {
        CsvReader<CsvRecord> reader = CsvReader.builder()
                .fieldSeparator(separator(text))
                .skipEmptyLines(true)
                .extraFieldStrategy(FieldMismatchStrategy.IGNORE)
                .missingFieldStrategy(FieldMismatchStrategy.IGNORE)
                .allowUnclosedQuote(false)
                .maxBufferSize(MAX_LINE)
                .ofCsvRecord(text);
        Iterator<CsvRecord> lines = reader.iterator();
        if (!lines.hasNext()) {
            throw error("is empty; the first line must name the columns");
        }
        List<String> columns =
                lines.next().getFields().stream().map(String::strip).toList();
        int time = column(columns, options.time(), "time_s");
        int label = column(columns, options.label(), "label");
        int repetition = column(columns, options.repetition(), "repetition");
        int[] signals = options.signals().isEmpty()
                ? IntStream.range(0, columns.size())
                        .filter(i -> i != time && i != label && i != repetition)
                        .toArray()
                : options.signals().stream()
                        .mapToInt(name -> column(columns, Optional.of(name), name))
                        .toArray();
        if (signals.length == 0) {
            throw error("has only the columns " + columns + "; at least one signal is needed");
        }

        float[][] signal = new float[signals.length][INITIAL_SAMPLES];
        int[] labels = new int[label == ABSENT ? 0 : INITIAL_SAMPLES];
        int[] repetitions = new int[repetition == ABSENT ? 0 : INITIAL_SAMPLES];
        double[] times = new double[time == ABSENT ? 0 : INITIAL_SAMPLES];
        int samples = 0;
        while (lines.hasNext()) {
            CsvRecord line = lines.next();
            if (line.getFieldCount() != columns.size()) {
                throw error("has " + line.getFieldCount() + " cells in line " + line.getStartingLineNumber() + ", but "
                        + columns.size() + " columns; the file is truncated or damaged");
            }
            if (samples == signal[0].length) {
                int capacity = 2 * samples;
                HeapLimit.require(
                        file,
                        "the samples up to line " + line.getStartingLineNumber(),
                        4.0 * capacity * columns.size());
                for (int channel = 0; channel < signal.length; channel++) {
                    signal[channel] = Arrays.copyOf(signal[channel], capacity);
                }
                labels = label == ABSENT ? labels : Arrays.copyOf(labels, capacity);
                repetitions = repetition == ABSENT ? repetitions : Arrays.copyOf(repetitions, capacity);
                times = time == ABSENT ? times : Arrays.copyOf(times, capacity);
            }
            for (int channel = 0; channel < signals.length; channel++) {
                String cell = line.getField(signals[channel]);
                signal[channel][samples] = cell.isBlank() ? Float.NaN : (float) number(line, columns, signals[channel]);
            }
            if (label != ABSENT) {
                labels[samples] = wholeNumber(line, columns, label);
            }
            if (repetition != ABSENT) {
                repetitions[samples] = wholeNumber(line, columns, repetition);
            }
            if (time != ABSENT) {
                times[samples] = number(line, columns, time);
                if (!Double.isFinite(times[samples]) || (samples > 0 && times[samples] <= times[samples - 1])) {
                    throw error("has the time " + times[samples] + " in line " + line.getStartingLineNumber()
                            + "; times must be finite and ascend");
                }
            }
            samples++;
        }
        if (samples == 0) {
            throw error("has a header line, but no samples");
        }
        for (int channel = 0; channel < signal.length; channel++) {
            signal[channel] = Arrays.copyOf(signal[channel], samples);
        }
        double rate = sampleRate(Arrays.copyOf(times, time == ABSENT ? 0 : samples));
        return new Recording(
                Origin.of(Recordings.nameOf(file)),
                rate,
                Arrays.stream(signals)
                        .mapToObj(i -> new Channel(columns.get(i), options.unit()))
                        .toList(),
                signal,
                time == ABSENT ? Recording.oneSegment(samples, 0) : segments(times, samples, 1 / rate),
                List.of(),
                label == ABSENT ? null : Arrays.copyOf(labels, samples),
                repetition == ABSENT ? null : Arrays.copyOf(repetitions, samples));
    }

    /** Looks ahead into the header line. */
    private static char separator(BufferedReader text) throws IOException {
        text.mark(MAX_LINE);
        char separator = ',';
        for (int i = 0; i < MAX_LINE; i++) {
            int c = text.read();
            if (c == ';' || c == '\t') {
                separator = (char) c;
            }
            if (c == ',' || c == ';' || c == '\t' || c == '\n' || c < 0) {
                break;
            }
        }
        text.reset();
        return separator;
    }

    private int column(List<String> columns, Optional<String> asked, String usual) {
        int index = columns.indexOf(asked.orElse(usual));
        if (index != columns.lastIndexOf(asked.orElse(usual)) || (index < 0 && asked.isPresent())) {
            throw error("has " + (index < 0 ? "no column " : "more than one column ") + asked.orElse(usual)
                    + "; its columns are " + String.join(", ", columns));
        }
        return index;
    }

    private double number(CsvRecord line, List<String> columns, int column) {
        try {
            return Double.parseDouble(line.getField(column));
        } catch (NumberFormatException e) {
            throw badCell(line, columns, column, "a number with a decimal point", e);
        }
    }

    private int wholeNumber(CsvRecord line, List<String> columns, int column) {
        double value = number(line, columns, column);
        if (value != (int) value) {
            throw badCell(line, columns, column, "a whole number", null);
        }
        return (int) value;
    }

    private DataException badCell(
            CsvRecord line, List<String> columns, int column, String allowed, @Nullable Exception cause) {
        String cell = line.getField(column);
        String message = file + " has \"" + cell.substring(0, Math.min(cell.length(), 40)) + "\" in column "
                + columns.get(column) + ", line " + line.getStartingLineNumber() + "; it must be " + allowed;
        return cause == null ? new DataException(message) : new DataException(message, cause);
    }

    private double sampleRate(double[] times) {
        if (options.sampleRate().isPresent()) {
            return options.sampleRate().getAsDouble();
        }
        if (times.length < 2) {
            throw error("does not tell its sampling rate; give the rate in Hz or the name of a time column in seconds");
        }
        double[] steps = new double[times.length - 1];
        Arrays.setAll(steps, i -> times[i + 1] - times[i]);
        double[] sorted = steps.clone();
        Arrays.sort(sorted);
        double usual = sorted[sorted.length / 2];
        // The usual step may be rounded; the mean over all steps that are no gaps is not.
        double rate = 1
                / Arrays.stream(steps)
                        .filter(step -> step <= GAP_PERIODS * usual)
                        .average()
                        .orElse(usual);
        double whole = Math.rint(rate);
        return Math.abs(rate - whole) <= RATE_TOLERANCE * rate ? whole : rate;
    }

    private static List<Segment> segments(double[] times, int samples, double period) {
        List<Segment> segments = new ArrayList<>();
        int first = 0;
        for (int i = 1; i <= samples; i++) {
            if (i == samples || times[i] - times[i - 1] > GAP_PERIODS * period) {
                segments.add(new Segment(first, i - first, times[first]));
                first = i;
            }
        }
        return segments;
    }

    private DataException error(String what) {
        return new DataException(file + " " + what);
    }
}
