package org.biotrain.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.biotrain.cli.task.DataSection;
import org.biotrain.cli.task.PreprocessingSection;
import org.biotrain.cli.task.ProtocolSection;
import org.biotrain.cli.task.ScalingSection;
import org.biotrain.cli.task.Task;
import org.biotrain.cli.task.WindowSection;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that say which recordings are read and how they become windows, where no task file does. */
final class DataFlags {
    private static final double DEFAULT_TRAIN_FRACTION = 0.8;

    @Option(names = "--task", paramLabel = "FILE", description = "Task file (YAML) instead of the options below.")
    private @Nullable Path task;

    @Option(
            names = "--data",
            paramLabel = "PATH",
            arity = "1..*",
            description = "Recordings (EDF, BDF, CSV, CSV with gzip, NPZ). With --task: the folder that its paths start"
                    + " from.")
    private List<Path> data = List.of();

    @Option(names = "--model", paramLabel = "FILE", description = "ONNX file of the network. Default: the task's.")
    private @Nullable Path model;

    @Option(
            names = "--group",
            paramLabel = "NAME",
            description = "Which of the task's subjects (or days), by the name that study shows.")
    private @Nullable String group;

    @Option(names = "--channels", split = ",", paramLabel = "NAME", description = "Channels to keep, in this order.")
    private @Nullable List<String> channels;

    @Option(names = "--common-average", description = "Subtract the mean over the channels.")
    private @Nullable Boolean commonAverage;

    @Option(names = "--notch", paramLabel = "HZ", description = "Remove the mains frequency.")
    private @Nullable Double notch;

    @Option(names = "--high-pass", paramLabel = "HZ", description = "Butterworth filter, causal.")
    private @Nullable Double highPass;

    @Option(names = "--low-pass", paramLabel = "HZ", description = "Butterworth filter, causal.")
    private @Nullable Double lowPass;

    @Option(names = "--band-pass", split = ",", paramLabel = "HZ", description = "Two cut-offs, as in 0.5,40.")
    private @Nullable List<Double> bandPass;

    @Option(names = "--filter-order", paramLabel = "N", description = "Order of these filters. Default: 4.")
    private @Nullable Integer order;

    @Option(names = "--resample", paramLabel = "HZ", description = "New sampling rate.")
    private @Nullable Double resample;

    @Option(
            names = "--cut",
            paramLabel = "WAY",
            description = "by-annotation: one window per annotation; sliding: at a fixed step, labelled by samples;"
                    + " around-events: around each run of samples with one label. Default: by-annotation.")
    private @Nullable String cut;

    @Option(names = "--window", paramLabel = "SECONDS", description = "Length of a window.")
    private @Nullable Double window;

    @Option(names = "--offset", paramLabel = "SECONDS", description = "From an annotation to its window's start.")
    private @Nullable Double offset;

    @Option(names = "--step", paramLabel = "SECONDS", description = "From one sliding window to the next.")
    private @Nullable Double step;

    @Option(
            names = "--share",
            paramLabel = "PART",
            description = "Part of a sliding window's samples that must have one label. Default: 1.")
    private @Nullable Double share;

    @Option(
            names = "--labels",
            split = ",",
            paramLabel = "LABEL=CLASS",
            description = "Classes, as in T1=left,T2=right; they are numbered in this order.")
    private Map<String, String> labels = new LinkedHashMap<>();

    @Option(names = "--ignore", split = ",", paramLabel = "LABEL", description = "Labels without a class.")
    private @Nullable List<String> ignore;

    @Option(names = "--ignore-others", description = "All other labels have no class.")
    private @Nullable Boolean ignoreOthers;

    @Option(names = "--compress", paramLabel = "HOW", description = "sqrt or log, for amplitudes.")
    private @Nullable String compress;

    @Option(names = "--centre", description = "Subtract each window's mean, channel by channel.")
    private @Nullable Boolean centre;

    @Option(
            names = "--no-standardize",
            description = "Do not scale channels to mean 0 and deviation 1 (fitted on the windows to train on).")
    private boolean raw;

    @Option(
            names = "--train-fraction",
            paramLabel = "PART",
            description = "First part of each recording to train on; the rest is the test. Default: 0.8.")
    private @Nullable Double trainFraction;

    boolean hasTask() {
        return task != null;
    }

    @Nullable
    String group() {
        return group;
    }

    /** Whether windows are not to be scaled. */
    boolean isRaw() {
        return raw;
    }

    /** Whether any recording or task was named. */
    boolean isEmpty() {
        return task == null && data.isEmpty();
    }

    /** The task, read from its file or made of the options. */
    Task toTask(ReportingCommand<?> command) {
        if (task != null) {
            refuseWithTask(command);
            Task read = Task.read(task);
            return model == null ? read : read.withModel(model);
        }
        if (model == null) {
            throw command.usage("There is no network; name its ONNX file with --model, or a task with --task");
        }
        if (window == null) {
            throw command.usage("There is no window length; give --window SECONDS, or a task with --task");
        }
        if (labels.isEmpty()) {
            throw command.usage("There are no classes; give --labels LABEL=CLASS,…, or a task with --task");
        }
        try {
            return new Task(
                    "command line",
                    null,
                    new DataSection("*", null, null, null, null, null),
                    new PreprocessingSection(
                            channels, commonAverage, highPass, lowPass, bandPass, order, notch, resample),
                    new WindowSection(
                            cut == null ? WindowSection.Cut.BY_ANNOTATION : WindowSection.Cut.parse(cut),
                            window,
                            offset,
                            step,
                            share),
                    labels,
                    ignore,
                    ignoreOthers,
                    new ScalingSection(
                            compress == null ? null : ScalingSection.Compression.parse(compress), centre, !raw),
                    new ProtocolSection(
                            ProtocolSection.Kind.CHRONOLOGICAL,
                            null,
                            null,
                            Objects.requireNonNullElse(trainFraction, DEFAULT_TRAIN_FRACTION),
                            null,
                            null),
                    model.toString(),
                    null,
                    null);
        } catch (CliException e) {
            throw command.usage(String.valueOf(e.getMessage()));
        }
    }

    private void refuseWithTask(ReportingCommand<?> command) {
        List<String> given = new ArrayList<>();
        Map<String, @Nullable Object> options = new LinkedHashMap<>();
        options.put("--channels", channels);
        options.put("--common-average", commonAverage);
        options.put("--notch", notch);
        options.put("--high-pass", highPass);
        options.put("--low-pass", lowPass);
        options.put("--band-pass", bandPass);
        options.put("--filter-order", order);
        options.put("--resample", resample);
        options.put("--cut", cut);
        options.put("--window", window);
        options.put("--offset", offset);
        options.put("--step", step);
        options.put("--share", share);
        options.put("--labels", labels.isEmpty() ? null : labels);
        options.put("--ignore", ignore);
        options.put("--ignore-others", ignoreOthers);
        options.put("--compress", compress);
        options.put("--centre", centre);
        options.put("--no-standardize", raw ? true : null);
        options.put("--train-fraction", trainFraction);
        options.forEach((name, value) -> {
            if (value != null) {
                given.add(name);
            }
        });
        if (!given.isEmpty()) {
            throw command.usage("The task file says how windows are made, so " + String.join(", ", given)
                    + " can't be given beside --task; change the file");
        }
    }

    /** The recordings to read. */
    List<Path> files(Task settings, ReportingCommand<?> command) {
        if (data.isEmpty()) {
            throw command.usage("There are no recordings; name them with --data"
                    + (task == null ? "" : ": the folder that the task's paths start from"));
        }
        if (task != null) {
            if (data.size() > 1) {
                throw command.usage("With --task, --data is one folder, but " + data.size() + " paths are given");
            }
            return settings.data().find(data.getFirst());
        }
        return recordings();
    }

    /** The recordings that are named one by one. */
    List<Path> recordings() {
        for (Path file : data) {
            if (!Files.exists(file)) {
                throw new CliException("The recording " + file + " does not exist; check the path");
            }
        }
        return data;
    }
}
