package org.biotrain.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import org.biotrain.Device;
import org.biotrain.Evaluation;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingResult;
import org.biotrain.TrainingSession;
import org.biotrain.UpdateScheme;
import org.biotrain.cli.demo.EegGenerator;
import org.biotrain.cli.demo.EogGenerator;
import org.biotrain.cli.demo.SignalGenerator;
import org.biotrain.data.Dataset;
import org.biotrain.data.Split;
import org.biotrain.data.Splits;
import org.biotrain.data.Standardizer;
import org.biotrain.zoo.EpiDeNet;
import org.biotrain.zoo.MiBmiNet;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Shows what calibration does, without any recording. */
@Command(
        name = "demo",
        header = "See a network get better at new subjects; needs no data.",
        description = {
            "The signals are generated: subjects differ in amplitude, spectrum and the mixing of channels, and their"
                    + " sessions drift. A network is pre-trained on some subjects and calibrated to others with the"
                    + " first windows of their session; the rest of the session is the test.",
            "Pre-training runs in this process, calibration on the device.",
            "The same seed gives the same SHA-256 on every machine and device."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain demo",
            "  biotrain demo --signal eog --seed 7",
            "  biotrain demo --device \"sim:?target=gap9&cores=2\" --json"
        })
final class DemoCommand extends ReportingCommand<DemoCommand.Result> {
    private static final int POPULATION = 6;
    private static final int FIRST_NEW_SUBJECT = 1000;
    private static final int NEW_SUBJECTS = 3;
    private static final int CALIBRATION_EPOCHS = 30;
    private static final int QUICK_CALIBRATION_EPOCHS = 3;
    /** Pre-training happens on the host, whatever device is calibrated. */
    private static final String HOST = "sim:?target=host&cores=1";

    private static final double CALIBRATION_PART = 1.0 / 3;

    enum Signal {
        EEG,
        EOG
    }

    @Mixin
    private DeviceArgument device = new DeviceArgument();

    @Option(
            names = "--signal",
            defaultValue = "eeg",
            description = "eeg (imagined hand movements) or eog (eye movements). Default: ${DEFAULT-VALUE}.")
    private Signal signal = Signal.EEG;

    @Option(
            names = "--seed",
            defaultValue = "1",
            description = "Another seed, other people. Default: ${DEFAULT-VALUE}.")
    private long seed;

    @Option(
            names = "--quick",
            description = "One new subject and 3 calibration epochs only: for slow devices, and to see that it runs.")
    private boolean quick;

    /**
     * One update scheme, over the new subjects.
     *
     * @param name the scheme
     * @param accuracy on the rest of the session, mean
     * @param gain accuracy above that before calibration
     * @param trainedParameters elements that the scheme trains
     * @param deviceMemoryBytes arenas of the device that were in use at once, at most
     * @param seconds of one calibration, mean
     */
    record Scheme(
            String name,
            double accuracy,
            double gain,
            long trainedParameters,
            long deviceMemoryBytes,
            double seconds) {}

    record Result(
            boolean generatedSignals,
            boolean quick,
            String signal,
            long seed,
            String device,
            String model,
            long parameters,
            int pretrainingSubjects,
            int newSubjects,
            int calibrationWindows,
            int testWindows,
            double chance,
            double accuracyBefore,
            List<Scheme> schemes,
            double pretrainingSeconds,
            String sha256) {}

    private record NewSubject(Dataset calibration, Dataset test) {}

    @Override
    Result execute() {
        SignalGenerator generator = switch (signal) {
            case EEG -> new EegGenerator(seed);
            case EOG -> new EogGenerator(seed);
        };
        int classes = generator.classNames().size();
        Model network = switch (signal) {
            case EEG ->
                new MiBmiNet(generator.channels(), generator.samples(), classes, 8, 2, 16, 32, 16, true, 0)
                        .model("mibminet-demo", seed);
            case EOG ->
                new EpiDeNet(generator.channels(), generator.samples(), classes, List.of(4, 4, 2), true)
                        .model("epidenet-demo", seed);
        };
        int newSubjects = quick ? 1 : NEW_SUBJECTS;
        int windowsPerClass = 120 / classes;
        Dataset population = Dataset.concat(IntStream.range(0, POPULATION)
                .mapToObj(number -> standardized(generator.session(number, windowsPerClass)))
                .toList());
        List<NewSubject> subjects = IntStream.range(0, newSubjects)
                .mapToObj(number -> newSubject(generator.session(FIRST_NEW_SUBJECT + number, windowsPerClass)))
                .toList();
        Map<String, UpdateScheme> schemes = new LinkedHashMap<>();
        schemes.put("full", UpdateScheme.FULL);
        schemes.put("last layer", UpdateScheme.LAST_LAYER);
        schemes.put("bias only", UpdateScheme.BIAS_ONLY);
        schemes.put("norm only", UpdateScheme.NORM_ONLY);

        List<String> hashes = new ArrayList<>();
        try (Device opened = device.open();
                TerminalProgress progress = new TerminalProgress(err(), 1 + newSubjects * schemes.size())) {
            progress.step("pre-training");
            Model pretrained;
            double pretrainingSeconds;
            TrainingOptions pretraining = TrainingOptions.builder()
                    .optimizer(Optimizer.adamW(3e-3f))
                    .batchSize(16)
                    .epochs(20)
                    .seed(seed)
                    .build();
            try (Device host = Device.open(HOST);
                    TrainingSession session = host.newSession(network, pretraining)) {
                session.upload(population);
                TrainingResult result = session.fit();
                hashes.add(result.sha256());
                pretrainingSeconds = result.duration().toNanos() / 1e9;
                pretrained = session.model();
            }
            double before = 0;
            List<Scheme> results = new ArrayList<>();
            for (Map.Entry<String, UpdateScheme> scheme : schemes.entrySet()) {
                TrainingOptions calibration = TrainingOptions.builder()
                        .optimizer(Optimizer.sgd(2e-3f).momentum(0.9f).weightDecay(1e-3f))
                        .epochs(quick ? QUICK_CALIBRATION_EPOCHS : CALIBRATION_EPOCHS)
                        .scheme(scheme.getValue())
                        .seed(seed)
                        .build();
                double beforeSum = 0;
                double accuracy = 0;
                double seconds = 0;
                long trained = 0;
                long memory = 0;
                for (NewSubject subject : subjects) {
                    progress.step(scheme.getKey());
                    try (TrainingSession session = opened.newSession(pretrained, calibration)) {
                        session.upload(subject.calibration());
                        beforeSum += session.evaluate(subject.test()).accuracy();
                        TrainingResult result = session.fit();
                        Evaluation after = session.evaluate(subject.test());
                        hashes.add(result.sha256());
                        accuracy += after.accuracy();
                        seconds += result.duration().toNanos() / 1e9;
                        trained = session.plan().trainableParameters();
                        memory = session.plan().l1PeakBytes() + session.plan().l2PeakBytes();
                    }
                }
                before = beforeSum / newSubjects;
                results.add(new Scheme(
                        scheme.getKey(),
                        accuracy / newSubjects,
                        accuracy / newSubjects - before,
                        trained,
                        memory,
                        seconds / newSubjects));
            }
            return new Result(
                    true,
                    quick,
                    signal.name().toLowerCase(Locale.ROOT),
                    seed,
                    device.uri(),
                    network.name(),
                    network.summary().parameters(),
                    POPULATION,
                    newSubjects,
                    subjects.getFirst().calibration().size(),
                    subjects.getFirst().test().size(),
                    1.0 / classes,
                    before,
                    results,
                    pretrainingSeconds,
                    sha256(hashes));
        }
    }

    private static Dataset standardized(Dataset windows) {
        return Standardizer.fit(windows).apply(windows);
    }

    private static NewSubject newSubject(Dataset session) {
        Split split = Splits.chronological(session, CALIBRATION_PART);
        Standardizer standardizer = Standardizer.fit(split.train());
        return new NewSubject(standardizer.apply(split.train()), standardizer.apply(split.test()));
    }

    private static String sha256(List<String> hashes) {
        try {
            byte[] text = String.join("\n", hashes).getBytes(StandardCharsets.US_ASCII);
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every JDK has SHA-256", e);
        }
    }

    @Override
    void print(Result result, PrintWriter out) {
        out.println("The signals are generated, not recorded: "
                + (signal == Signal.EEG
                        ? "EEG-like, imagined movements of two hands."
                        : "EOG-like, six eye movements."));
        out.printf(
                "%s, %d parameters, was pre-trained on %d subjects (%.1f s in this process) and is calibrated on %s.%n",
                result.model, result.parameters, result.pretrainingSubjects, result.pretrainingSeconds, result.device);
        out.printf(
                "New subjects: %d, with %d windows each to calibrate with, %d to test with; means over the subjects.%n%n",
                result.newSubjects, result.calibrationWindows, result.testWindows);
        Table table = new Table("update scheme", "accuracy", "gain", "trained parameters", "device memory", "seconds");
        table.row("before calibration", percent(result.accuracyBefore), "", "", "", "");
        for (Scheme scheme : result.schemes) {
            table.row(
                    scheme.name(),
                    percent(scheme.accuracy()),
                    "%+.1f".formatted(100 * scheme.gain()),
                    scheme.trainedParameters(),
                    "%.1f kB".formatted(scheme.deviceMemoryBytes() / 1e3),
                    "%.2f".formatted(scheme.seconds()));
        }
        table.print(out);
        out.println();
        if (result.quick) {
            out.println("A quick run, which shows that it works and little more; leave --quick out to see the gain.");
        }
        out.println(
                "Guessing gives " + percent(result.chance) + ". Seed " + result.seed + ", SHA-256 " + result.sha256);
    }

    private static String percent(double share) {
        return "%.1f %%".formatted(100 * share);
    }
}
