package org.biotrain.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.biotrain.cli.task.Scaling;
import org.biotrain.cli.task.Task;

/**
 * What a calibration keeps beside the files of {@link org.biotrain.RunLog}: where it came from, so that it can be
 * resumed, and what the calibrated network needs.
 */
final class RunDirectory {
    private static final String ORIGIN = "calibration.json";
    private static final String SCALING = "scaling.json";
    private static final String START = "model.onnx";
    private static final String NETWORK = "calibrated.onnx";
    private static final String CHECKPOINT = "checkpoints/last.safetensors";

    /** Everything that a run writes; deepest first. */
    private static final List<String> FILES = List.of(
            ORIGIN,
            SCALING,
            START,
            NETWORK,
            CHECKPOINT,
            "checkpoints",
            "config.json",
            "environment.json",
            "evaluations.json",
            "native.log",
            "steps.csv");

    private final Path path;
    private final Origin origin;

    /**
     * What a run was begun with.
     *
     * @param task the task, as YAML
     * @param files the recordings
     * @param group which of the task's groups
     * @param device where it trains
     */
    record Origin(String task, List<String> files, String group, String device) {}

    private RunDirectory(Path path, Origin origin) {
        this.path = path;
        this.origin = origin;
    }

    /** Writes what a new run was begun with into its directory, which exists. */
    static RunDirectory begin(Path path, Origin origin, Path model, Scaling scaling) {
        try {
            Files.copy(model, path.resolve(START));
            write(path.resolve(SCALING), Json.write(scaling));
            // Last: a directory with this file is complete enough to be resumed.
            write(path.resolve(ORIGIN), Json.write(origin));
        } catch (IOException e) {
            throw new CliException("The run directory " + path + " can't be written: " + e.getMessage(), e);
        }
        return new RunDirectory(path, origin);
    }

    /** Opens the directory of a run that was begun. */
    static RunDirectory open(Path path) {
        return new RunDirectory(path, read(path.resolve(ORIGIN), Origin.class));
    }

    /** Removes the files of an earlier run, and nothing else. */
    static void clear(Path path) {
        try {
            for (String file : FILES) {
                Files.deleteIfExists(path.resolve(file));
            }
        } catch (IOException e) {
            throw new CliException("The earlier run in " + path + " can't be removed: " + e.getMessage(), e);
        }
    }

    /** The scaling that belongs to a calibrated network. */
    static Scaling readScaling(Path file) {
        return read(file, Scaling.class);
    }

    private static <T> T read(Path file, Class<T> type) {
        try {
            return Json.read(Files.readString(file), type);
        } catch (NoSuchFileException e) {
            throw new CliException(file + " does not exist; name the directory of a run that calibrate made", e);
        } catch (JsonProcessingException e) {
            throw new CliException(file + " is damaged: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new CliException(file + " can't be read: " + e.getMessage(), e);
        }
    }

    /** Whole or not at all. */
    private static void write(Path file, String text) throws IOException {
        Path temporary = file.resolveSibling(file.getFileName() + ".part");
        try {
            Files.writeString(temporary, text);
            Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            Files.deleteIfExists(temporary);
            throw e;
        }
    }

    Path path() {
        return path;
    }

    Origin origin() {
        return origin;
    }

    Task task() {
        return Task.parse(origin.task());
    }

    /** The network with the weights of the model file. */
    Path startModel() {
        return path.resolve(START);
    }

    /** The calibrated network. */
    Path network() {
        return path.resolve(NETWORK);
    }

    Path scaling() {
        return path.resolve(SCALING);
    }

    /** The latest checkpoint. */
    Path lastCheckpoint() {
        Path file = path.resolve(CHECKPOINT);
        if (!Files.exists(file)) {
            throw new CliException("The run in " + path
                    + " was interrupted before its first checkpoint; begin it again with --overwrite");
        }
        return file;
    }
}
