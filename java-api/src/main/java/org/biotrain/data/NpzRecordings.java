package org.biotrain.data;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Makes a recording of the arrays in an NPZ file. */
final class NpzRecordings {
    private NpzRecordings() {}

    static Recording read(Path file, ReadOptions options) {
        if (options.signals().size() > 1) {
            throw new DataException(
                    file + " can't be read with " + options.signals().size()
                            + " signal names; an NPZ file has one array of shape (samples, channels), name that one");
        }
        String signalName =
                options.signals().isEmpty() ? "signal" : options.signals().getFirst();
        String labelName = options.label().orElse("label");
        String repetitionName = options.repetition().orElse("repetition");
        String rateName = options.rate().orElse("fs_hz");
        Npz npz = Npz.read(file, Set.of(signalName, labelName, repetitionName, rateName)::contains);

        NpyArray array = npz.array(signalName);
        int[] shape = array.shape();
        if (shape.length < 1 || shape.length > 2 || array.size() == 0) {
            throw new DataException(file + " has a signal of shape " + Arrays.toString(shape)
                    + "; it must have samples and channels, in this order");
        }
        int samples = shape[0];
        int channels = shape.length == 1 ? 1 : shape[1];
        if (channels > samples) {
            throw new DataException(file + " has a signal of shape " + Arrays.toString(shape)
                    + ", more channels than samples; transpose it to (samples, channels)");
        }
        float[] interleaved = array.toFloats();
        float[][] signal = new float[channels][samples];
        for (int i = 0; i < interleaved.length; i++) {
            signal[i % channels][i / channels] = interleaved[i];
        }
        double rate = options.sampleRate().isPresent() ? options.sampleRate().getAsDouble() : rate(file, npz, rateName);
        List<Channel> names = IntStream.range(0, channels)
                .mapToObj(channel -> new Channel(Integer.toString(channel), options.unit()))
                .toList();
        return new Recording(
                Origin.of(Recordings.nameOf(file)),
                rate,
                names,
                signal,
                Recording.oneSegment(samples, 0),
                List.of(),
                perSample(npz, options.label(), labelName),
                perSample(npz, options.repetition(), repetitionName));
    }

    private static double rate(Path file, Npz npz, String name) {
        if (!npz.has(name)) {
            throw new DataException(file + " holds no array " + name
                    + " with the sampling rate in Hz; give the sampling rate or that array's name");
        }
        NpyArray rate = npz.array(name);
        if (rate.size() != 1) {
            throw new DataException(file + " holds " + rate.size() + " values in " + name
                    + "; the sampling rate must be one value in Hz");
        }
        return rate.toDoubles()[0];
    }

    private static int @Nullable [] perSample(Npz npz, Optional<String> asked, String name) {
        if (asked.isEmpty() && !npz.has(name)) {
            return null;
        }
        return npz.array(name).toInts();
    }
}
