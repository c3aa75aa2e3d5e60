package org.biotrain.cli;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.biotrain.Checkpoint;
import org.biotrain.Device;
import org.biotrain.Evaluation;
import org.biotrain.Model;
import org.biotrain.ProgressBar;
import org.biotrain.RunLog;
import org.biotrain.Statistics;
import org.biotrain.TrainingListener;
import org.biotrain.TrainingResult;
import org.biotrain.TrainingSession;
import org.biotrain.Weights;
import org.biotrain.cli.task.Fold;
import org.biotrain.cli.task.Folds;
import org.biotrain.cli.task.Study;
import org.biotrain.cli.task.Task;
import org.biotrain.cli.task.Trainer;
import org.biotrain.cli.task.TrainingSection;
import org.biotrain.cli.task.TrainingWindows;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Recordings in, calibrated network out. */
@Command(
        name = "calibrate",
        header = "Fine-tune a network on recordings; write the calibrated network and a log of the run.",
        description = {
            "Recordings, windows and network come from a task file, or from the options below. The first part of each"
                    + " recording is trained on, the rest is the test (a task file may divide otherwise).",
            "The run directory holds calibrated.onnx, scaling.json (which evaluate needs), config.json,"
                    + " environment.json, steps.csv, evaluations.json, native.log and checkpoints/."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain calibrate --task models/tasks/emg-within-day.yaml --data recordings --group \"u1 day1\" --out run1",
            "  biotrain calibrate --model models/eegnet-mi8.onnx --data S001R04.edf S001R08.edf --window 3 \\",
            "      --labels T1=left,T2=right --ignore T0 --band-pass 4,40 --scheme last-layer --out run2",
            "  biotrain calibrate --resume run2     goes on after an interruption, bit by bit as without it"
        })
final class CalibrateCommand extends ReportingCommand<CalibrateCommand.Result> {
    private static final long STOP_SECONDS = 30;

    @Mixin
    private DataFlags data = new DataFlags();

    @Option(
            names = "--weights",
            paramLabel = "FILE",
            description = "Weights to begin with (safetensors: weights or a checkpoint). Default: the model's.")
    private @Nullable Path weights;

    @Mixin
    private DeviceArgument device = new DeviceArgument();

    @Mixin
    private TrainingFlags training = new TrainingFlags();

    @ArgGroup(multiplicity = "1")
    private @Nullable Target target;

    @Option(names = "--overwrite", description = "Replace an earlier run in the directory.")
    private boolean overwrite;

    private static final class Target {
        @Option(names = "--out", paramLabel = "DIR", description = "Run directory; new or empty.")
        private @Nullable Path out;

        @Option(
                names = "--resume",
                paramLabel = "DIR",
                description = "Go on with an interrupted run; all other options are those that it was begun with.")
        private @Nullable Path resume;
    }

    /**
     * What a calibration came to.
     *
     * @param directory the run directory
     * @param network the calibrated network
     * @param before on the test windows, before training; null in a resumed run
     * @param after on the test windows, after training; null if training was stopped
     * @param cyclesPerSample the chip's cycles per training sample; null where the device is no chip
     */
    record Result(
            String directory,
            @Nullable String network,
            String task,
            String group,
            String outcome,
            int steps,
            int totalSteps,
            int trainWindows,
            int testWindows,
            long trainedParameters,
            long deviceMemoryBytes,
            @Nullable Evaluation before,
            @Nullable Evaluation after,
            double seconds,
            @Nullable Double cyclesPerSample,
            String sha256) {}

    @Override
    Result execute() {
        Target chosen = Arguments.required(target);
        if (chosen.resume != null) {
            if (!data.isEmpty() || weights != null) {
                throw usage("A resumed run knows its recordings and weights; leave --task, --data and --weights out");
            }
            return resume(RunDirectory.open(chosen.resume));
        }
        Task task = data.toTask(this).withTraining(training.toSection());
        List<Path> files = data.files(task, this);
        options(task.training());
        Model model = Model.load(Path.of(task.model()));
        Fold fold = onlyFold(Folds.of(task, files), data.group());
        Study.check(model, fold.train());
        Path out = Arguments.required(chosen.out);
        if (overwrite) {
            RunDirectory.clear(out);
        }
        try (Device opened = device.open()) {
            Model start = start(opened, task, model, fold);
            RunLog log = RunLog.create(out);
            RunDirectory directory = RunDirectory.begin(
                    out,
                    new RunDirectory.Origin(
                            task.toYaml(),
                            files.stream()
                                    .map(file -> file.toAbsolutePath().toString())
                                    .toList(),
                            fold.name(),
                            device.uri()),
                    Path.of(task.model()),
                    fold.scaling());
            return run(opened, directory, task, fold, start, log, null);
        }
    }

    private Model start(Device opened, Task task, Model model, Fold fold) {
        if (weights != null) {
            return model.withParameters(Weights.load(weights));
        }
        return fold.others().isEmpty() ? model : new Trainer(opened).pretrain(task, model, fold);
    }

    private Result resume(RunDirectory directory) {
        if (Files.exists(directory.network())) {
            throw new CliException("The run in " + directory.path() + " is complete; its network is "
                    + directory.network() + ", begin another one with --out");
        }
        RunDirectory.Origin origin = directory.origin();
        Task task = directory.task();
        Fold fold =
                onlyFold(Folds.of(task, origin.files().stream().map(Path::of).toList()), origin.group());
        Checkpoint checkpoint = Checkpoint.load(directory.lastCheckpoint());
        Model model = Model.load(directory.startModel());
        try (Device opened = Device.open(origin.device())) {
            RunLog log = RunLog.resume(directory.path(), checkpoint.step());
            return run(opened, directory, task, fold, model, log, checkpoint);
        }
    }

    private Result run(
            Device opened,
            RunDirectory directory,
            Task task,
            Fold fold,
            Model start,
            RunLog log,
            @Nullable Checkpoint checkpoint) {
        TrainingSection section = Objects.requireNonNullElseGet(task.training(), TrainingSection::defaults);
        try (TrainingSession session = opened.newSession(section.prepare(start), section.toOptions())) {
            session.upload(TrainingWindows.of(section, fold.train()));
            Evaluation before = null;
            if (checkpoint == null) {
                before = session.evaluate(fold.test());
                log.evaluation("before", before);
            } else {
                session.restore(checkpoint);
            }
            Statistics begin = session.statistics();
            TrainingResult training = fit(session, log);
            Double cyclesPerSample =
                    DeviceClock.cyclesPerSample(opened, session.plan().microBatch(), begin, session.statistics());
            Evaluation after = null;
            if (training.outcome() == TrainingResult.Outcome.COMPLETED) {
                after = session.evaluate(fold.test());
                log.evaluation("after", after);
                session.model().save(directory.network());
            }
            return new Result(
                    directory.path().toString(),
                    after == null ? null : directory.network().toString(),
                    task.name(),
                    fold.name(),
                    training.outcome().name().toLowerCase(Locale.ROOT),
                    training.steps(),
                    training.totalSteps(),
                    fold.train().size(),
                    fold.test().size(),
                    session.plan().trainableParameters(),
                    session.plan().l1PeakBytes() + session.plan().l2PeakBytes(),
                    before,
                    after,
                    training.duration().toNanos() / 1e9,
                    cyclesPerSample,
                    training.sha256());
        }
    }

    /** Trains; an interrupt from the terminal stops after the step in progress, with a checkpoint. */
    private static TrainingResult fit(TrainingSession session, RunLog log) {
        CountDownLatch done = new CountDownLatch(1);
        Thread hook = new Thread(() -> {
            session.stop();
            try {
                done.await(STOP_SECONDS, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        Runtime.getRuntime().addShutdownHook(hook);
        try {
            List<TrainingListener> listeners = new ArrayList<>(List.of(log));
            if (TerminalProgress.isTerminal()) {
                listeners.add(new ProgressBar());
            }
            return session.fit(listeners.toArray(TrainingListener[]::new));
        } finally {
            done.countDown();
            removeHook(hook);
        }
    }

    private static void removeHook(Thread hook) {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException _) {
            // The process is ending already: the hook has done its work.
        }
    }

    private Fold onlyFold(List<Fold> folds, @Nullable String group) {
        if (group != null) {
            return Study.select(folds, List.of(group)).getFirst();
        }
        if (folds.size() > 1) {
            throw usage("The task has " + folds.size() + " groups; choose one with --group: "
                    + String.join(", ", folds.stream().map(Fold::name).toList()) + " (or run study)");
        }
        return folds.getFirst();
    }

    @Override
    void print(Result result, PrintWriter out) {
        out.printf(
                "%s, %s: %d windows to train on, %d to test on; %d parameters trained, %.1f kB of device memory%n",
                result.task,
                result.group,
                result.trainWindows,
                result.testWindows,
                result.trainedParameters,
                result.deviceMemoryBytes / 1e3);
        if (result.before != null) {
            out.printf(
                    "before  balanced accuracy %.3f, loss %.3f%n",
                    result.before.balancedAccuracy(), result.before.loss());
        }
        if (result.after == null) {
            out.println("Stopped after step " + result.steps + " of " + result.totalSteps
                    + "; go on with biotrain calibrate --resume " + result.directory);
            return;
        }
        out.printf("after   balanced accuracy %.3f, loss %.3f%n", result.after.balancedAccuracy(), result.after.loss());
        out.printf("%d steps in %.1f s, SHA-256 %s%n", result.steps, result.seconds, result.sha256);
        if (result.cyclesPerSample != null) {
            out.printf("%.0f cycles per sample%n", result.cyclesPerSample);
        }
        out.println("Calibrated network: " + result.network);
    }

    @Override
    boolean succeeded(Result result) {
        return result.after != null;
    }
}
