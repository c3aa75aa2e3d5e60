package org.biotrain.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.biotrain.Device;
import org.biotrain.Evaluation;
import org.biotrain.Model;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.Weights;
import org.biotrain.cli.task.Fold;
import org.biotrain.cli.task.Folds;
import org.biotrain.cli.task.Scaling;
import org.biotrain.cli.task.Study;
import org.biotrain.cli.task.Task;
import org.biotrain.data.Dataset;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Tests a network on recordings. */
@Command(
        name = "evaluate",
        header = "Test a network on recordings: accuracy, balanced accuracy, F1 and confusion matrix.",
        description = {
            "With --run: the network and scaling of a calibration, on its test windows, or on all windows of other"
                    + " recordings given with --data.",
            "With --task: the task's network (or --model), on the test windows of each group, scaled as its training"
                    + " windows are.",
            "Otherwise: --model on all windows of --data, scaled by --scaling, or not at all with --no-standardize."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain evaluate --run run1",
            "  biotrain evaluate --run run1 --data S001R12.edf",
            "  biotrain evaluate --model run1/calibrated.onnx --task models/tasks/emg-within-day.yaml \\",
            "      --data recordings --group \"u1 day2\" --json"
        })
final class EvaluateCommand extends ReportingCommand<EvaluateCommand.Result> {
    @Option(names = "--run", paramLabel = "DIR", description = "Run directory of a calibration.")
    private @Nullable Path run;

    @Mixin
    private DataFlags data = new DataFlags();

    @Option(names = "--weights", paramLabel = "FILE", description = "Other weights for the network (safetensors).")
    private @Nullable Path weights;

    @Option(names = "--scaling", paramLabel = "FILE", description = "scaling.json of a calibration.")
    private @Nullable Path scaling;

    @Mixin
    private DeviceArgument device = new DeviceArgument();

    record Item(String group, Evaluation evaluation) {}

    record Result(String model, String device, List<Item> evaluations) {}

    private record Part(String name, Dataset windows) {}

    @Override
    Result execute() {
        if (run != null && data.hasTask()) {
            throw usage("A run knows its task; leave --task out, or leave --run out");
        }
        Model model;
        List<Part> parts;
        if (run != null) {
            RunDirectory directory = RunDirectory.open(run);
            model = Model.load(directory.network());
            parts = parts(directory);
        } else {
            Task task = data.toTask(this);
            List<Path> files = data.files(task, this);
            model = Model.load(Path.of(task.model()));
            parts = data.hasTask() ? parts(task, files, data.group()) : List.of(all(task, files));
        }
        if (weights != null) {
            model = model.withParameters(Weights.load(weights));
        }
        for (Part part : parts) {
            Study.check(model, part.windows());
        }
        List<Item> items = new ArrayList<>();
        try (Device opened = device.open();
                TrainingSession session = opened.newSession(model, TrainingOptions.defaults())) {
            for (Part part : parts) {
                items.add(new Item(part.name(), session.evaluate(part.windows())));
            }
        }
        return new Result(model.name(), device.uri(), items);
    }

    private List<Part> parts(RunDirectory directory) {
        Task task = directory.task();
        if (data.isEmpty()) {
            List<Path> files = directory.origin().files().stream().map(Path::of).toList();
            return parts(task, files, directory.origin().group());
        }
        List<Path> files = data.recordings();
        Scaling fitted = RunDirectory.readScaling(directory.scaling());
        return List.of(new Part("all", fitted.apply(Folds.windows(task, files))));
    }

    private List<Part> parts(Task task, List<Path> files, @Nullable String group) {
        List<Fold> folds = Study.select(Folds.of(task, files), group == null ? List.of() : List.of(group));
        return folds.stream().map(fold -> new Part(fold.name(), fold.test())).toList();
    }

    private Part all(Task task, List<Path> files) {
        if (scaling == null && !data.isRaw()) {
            throw usage("The scaling is unknown; give the scaling.json of a calibration with --scaling, or say"
                    + " --no-standardize");
        }
        Dataset windows = Folds.windows(task, files);
        Scaling chosen = scaling == null ? Scaling.unfitted(task.scaling()) : RunDirectory.readScaling(scaling);
        return new Part("all", chosen.apply(windows));
    }

    @Override
    void print(Result result, PrintWriter out) {
        for (Item item : result.evaluations) {
            Evaluation evaluation = item.evaluation();
            out.printf(
                    "%s, %s: %d windows, balanced accuracy %.3f, accuracy %.3f, macro F1 %.3f, loss %.3f%n",
                    result.model,
                    item.group(),
                    evaluation.count(),
                    evaluation.balancedAccuracy(),
                    evaluation.accuracy(),
                    evaluation.macroF1(),
                    evaluation.loss());
            List<String> header = new ArrayList<>(List.of("actual \\ predicted"));
            header.addAll(evaluation.classNames());
            Table table = new Table(header.toArray(String[]::new));
            for (int row = 0; row < evaluation.confusionMatrix().length; row++) {
                List<Object> cells =
                        new ArrayList<>(List.of(evaluation.classNames().get(row)));
                Arrays.stream(evaluation.confusionMatrix()[row]).forEach(cells::add);
                table.row(cells.toArray());
            }
            table.print(out);
        }
    }
}
