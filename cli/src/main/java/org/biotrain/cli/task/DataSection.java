package org.biotrain.cli.task;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;
import org.biotrain.cli.CliException;
import org.biotrain.data.Origin;
import org.biotrain.data.ReadOptions;
import org.biotrain.data.Recording;
import org.biotrain.data.Recordings;
import org.jspecify.annotations.Nullable;

/**
 * Which recordings a task is about.
 *
 * @param files glob below the data folder, for example {@code eeg/S*R*.edf}
 * @param recording regular expression over a recording's name (the file name without extensions); its groups named
 *     subject, run and day tell the recordings apart
 * @param signals channels, columns or array to read; all by default
 * @param label column or array with the label of each sample
 * @param repetition column or array with the repetition of each sample
 * @param sampleRate Hz, where the file does not say
 */
public record DataSection(
        String files,
        @Nullable String recording,
        @Nullable List<String> signals,
        @Nullable String label,
        @Nullable String repetition,
        @Nullable Double sampleRate) {
    /** Checks what is required. */
    public DataSection {
        Task.require("data.files", files);
        if (recording != null) {
            try {
                Pattern.compile(recording);
            } catch (PatternSyntaxException e) {
                throw new CliException("the value of data.recording is no regular expression: " + e.getMessage(), e);
            }
        }
    }

    /**
     * The files, sorted by path.
     *
     * @throws CliException if there is none
     */
    public List<Path> find(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new CliException("The data folder " + folder + " does not exist; give it with --data");
        }
        PathMatcher glob = FileSystems.getDefault().getPathMatcher("glob:" + files);
        try (Stream<Path> walk = Files.walk(folder)) {
            List<Path> found = walk.filter(Files::isRegularFile)
                    .filter(file -> glob.matches(folder.relativize(file)))
                    .sorted()
                    .toList();
            if (found.isEmpty()) {
                throw new CliException("The data folder " + folder + " holds no file " + files
                        + "; give the folder that the task's paths start from with --data");
            }
            return found;
        } catch (IOException e) {
            throw new CliException("The data folder " + folder + " can't be read: " + e.getMessage(), e);
        }
    }

    Recording read(Path file) {
        ReadOptions options = ReadOptions.defaults();
        options = signals == null ? options : options.withSignals(signals);
        options = label == null ? options : options.withLabel(label);
        options = repetition == null ? options : options.withRepetition(repetition);
        options = sampleRate == null ? options : options.withSampleRate(sampleRate);
        Recording read = Recordings.read(file, options);
        return recording == null
                ? read
                : read.withOrigin(Origin.parse(read.origin().recording(), Pattern.compile(recording)));
    }
}
