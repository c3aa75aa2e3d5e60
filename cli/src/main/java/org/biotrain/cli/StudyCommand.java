package org.biotrain.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import org.biotrain.Device;
import org.biotrain.cli.task.Study;
import org.biotrain.cli.task.Task;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs a task over all its subjects. */
@Command(
        name = "study",
        header = "Train and test one network per subject (or day) of a task, and summarise.",
        description = "A task file says which recordings are read, how windows are cut, what is trained and what is"
                + " tested. The summary is over subjects: mean, standard deviation, and a 95 %% confidence interval.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain study models/tasks/emg-within-day.yaml --data recordings",
            "  biotrain study models/tasks/eog-within-subject.yaml --data recordings --scheme last-layer --json",
            "  biotrain study models/tasks/emg-within-day.yaml --data recordings --only \"u1 day3\""
        })
final class StudyCommand extends ReportingCommand<Study.Report> {
    @Parameters(paramLabel = "TASK", description = "Task file (YAML).")
    private @Nullable Path task;

    @Option(
            names = "--data",
            required = true,
            paramLabel = "DIR",
            description = "Folder that the task's paths start from.")
    private @Nullable Path data;

    @Option(names = "--only", paramLabel = "GROUP", description = "Only this group; may be given several times.")
    private List<String> only = List.of();

    @Mixin
    private DeviceArgument device = new DeviceArgument();

    @Mixin
    private TrainingFlags training = new TrainingFlags();

    @Override
    Study.Report execute() {
        Task settings = Task.read(Arguments.required(task)).withTraining(training.toSection());
        options(settings.pretraining());
        options(settings.training());
        try (Device opened = device.open()) {
            return Study.run(opened, settings, Arguments.required(data), only, this::remark);
        }
    }

    private void remark(Study.Network network) {
        if (TerminalProgress.isTerminal()) {
            err().printf(
                            "%-12s balanced accuracy %.3f (%d windows, %.1f s)%n",
                            network.name(),
                            network.after().balancedAccuracy(),
                            network.trainWindows(),
                            network.seconds());
        }
    }

    @Override
    void print(Study.Report report, PrintWriter out) {
        Table table = new Table("group", "train", "test", "before", "balanced accuracy", "accuracy", "macro F1", "s");
        for (Study.Network network : report.networks()) {
            table.row(
                    network.name(),
                    network.trainWindows(),
                    network.testWindows(),
                    "%.3f".formatted(network.before().balancedAccuracy()),
                    "%.3f".formatted(network.after().balancedAccuracy()),
                    "%.3f".formatted(network.after().accuracy()),
                    "%.3f".formatted(network.after().macroF1()),
                    "%.1f".formatted(network.seconds()));
        }
        table.print(out);
        out.println();
        out.println(report.task() + ": " + report.model() + ", " + report.parameters() + " parameters, "
                + report.networks().size() + " networks of "
                + report.balancedAccuracy().subjects() + " subjects on " + report.device());
        out.println("Balanced accuracy, mean ± deviation over subjects: "
                + report.balancedAccuracy().text()
                + ", worst %.3f, best %.3f, chance %.3f"
                        .formatted(
                                report.balancedAccuracy().minimum(),
                                report.balancedAccuracy().maximum(),
                                report.chance()));
        out.println("Before training on the subject: "
                + report.balancedAccuracyBefore().text());
        out.println("Accuracy: " + report.accuracy().text() + "; macro F1: "
                + report.macroF1().text());
        out.printf("Training on the subjects took %.1f s.%n", report.seconds());
    }
}
