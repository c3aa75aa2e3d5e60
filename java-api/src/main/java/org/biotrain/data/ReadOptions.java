package org.biotrain.data;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * How to understand a file. EDF and BDF files say everything themselves; of these options they use {@code signals}
 * only.
 *
 * <p>A name that is set must exist in the file. A name that is not set stands for the usual name, and is skipped where
 * the file has no such column or array.
 *
 * @param signals channels to read. EDF, BDF: signal labels, all by default. CSV: columns, by default all that are not
 *     time, label or repetition. NPZ: the one array of shape (samples, channels), the one called "signal" by default
 * @param label CSV column or NPZ array with a whole number per sample; usually {@code label}
 * @param repetition CSV column or NPZ array with a whole number per sample; usually {@code repetition}
 * @param time CSV column with seconds; usually {@code time_s}
 * @param rate NPZ array with the sampling rate in Hz; usually {@code fs_hz}
 * @param sampleRate sampling rate in Hz, used instead of what a CSV or NPZ file says
 * @param unit physical unit of CSV and NPZ signals
 */
public record ReadOptions(
        List<String> signals,
        Optional<String> label,
        Optional<String> repetition,
        Optional<String> time,
        Optional<String> rate,
        OptionalDouble sampleRate,
        String unit) {
    private static final ReadOptions DEFAULTS = new ReadOptions(
            List.of(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            OptionalDouble.empty(),
            "");

    /** Copies the list. */
    public ReadOptions {
        signals = List.copyOf(signals);
        if (sampleRate.isPresent() && !(sampleRate.getAsDouble() > 0 && Double.isFinite(sampleRate.getAsDouble()))) {
            throw new IllegalArgumentException(
                    "the sampling rate must be above 0 and finite, but is " + sampleRate.getAsDouble() + " Hz");
        }
    }

    /** All channels, the usual names, and the file's own rate. */
    public static ReadOptions defaults() {
        return DEFAULTS;
    }

    /** These options with other channels. */
    public ReadOptions withSignals(List<String> names) {
        return new ReadOptions(names, label, repetition, time, rate, sampleRate, unit);
    }

    /** These options with another label column or array. */
    public ReadOptions withLabel(String name) {
        return new ReadOptions(signals, Optional.of(name), repetition, time, rate, sampleRate, unit);
    }

    /** These options with another repetition column or array. */
    public ReadOptions withRepetition(String name) {
        return new ReadOptions(signals, label, Optional.of(name), time, rate, sampleRate, unit);
    }

    /** These options with another time column. */
    public ReadOptions withTime(String name) {
        return new ReadOptions(signals, label, repetition, Optional.of(name), rate, sampleRate, unit);
    }

    /** These options with another array for the sampling rate. */
    public ReadOptions withRate(String name) {
        return new ReadOptions(signals, label, repetition, time, Optional.of(name), sampleRate, unit);
    }

    /** These options with a sampling rate in Hz. */
    public ReadOptions withSampleRate(double hertz) {
        return new ReadOptions(signals, label, repetition, time, rate, OptionalDouble.of(hertz), unit);
    }

    /** These options with another unit. */
    public ReadOptions withUnit(String name) {
        return new ReadOptions(signals, label, repetition, time, rate, sampleRate, name);
    }
}
