package org.biotrain.cli;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import org.biotrain.Device;
import org.biotrain.DeviceInfo;
import org.biotrain.InvalidArgumentException;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.PlanSummary;
import org.biotrain.Samples;
import org.biotrain.Schedule;
import org.biotrain.Stash;
import org.biotrain.Statistics;
import org.biotrain.StepEvent;
import org.biotrain.TrainingListener;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Measures how fast a device trains a network. */
@Command(
        name = "bench",
        header = "Measure training speed, link time and memory of a network on a device.",
        description = {
            "Trains on random windows with SGD and momentum, all parameters, for some time after a warm-up. The time is"
                    + " divided into stretches; samples_per_s is the median over them.",
            "macs_per_sample counts the multiply-adds of the forward and the backward pass of one window.",
            "With --fp16-stash, some steps are first trained both in half and in single precision, to compare the"
                    + " losses.",
            "A device that counts instructions (qemu:?icount=on) runs one optimizer step more, for instructions per"
                    + " sample: of all cores together, and of the slowest core between two barriers (critical)."
                    + " With gvsoc: the latter are cycles."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain bench --model models/mibminet-f8.onnx",
            "  biotrain bench --model models/epidenet-eog.onnx --device sim:?target=host --threads 2 --json"
        })
final class BenchCommand extends ReportingCommand<BenchCommand.Result> {
    private static final String COUNTING = "icount=on";
    private static final int STRETCHES = 10;
    private static final double WARM_UP_PART = 0.2;
    private static final int WINDOWS = 64;
    private static final float NEGLIGIBLE_RATE = 1e-6f;
    private static final float USUAL_RATE = 5e-3f;
    private static final int EPOCHS_TO_COMPARE = 4;

    @Option(names = "--model", required = true, paramLabel = "FILE", description = "ONNX file of the network.")
    private @Nullable Path model;

    @Option(
            names = "--device",
            paramLabel = "URI",
            defaultValue = "sim:?target=gap9",
            description = "Default: ${DEFAULT-VALUE}.")
    private String device = "sim:?target=gap9";

    @Option(names = "--batch", defaultValue = "8", paramLabel = "N", description = "Default: ${DEFAULT-VALUE}.")
    private int batch;

    @Option(
            names = "--micro-batch",
            defaultValue = "1",
            paramLabel = "N",
            description = "Windows computed at once. Default: ${DEFAULT-VALUE}.")
    private int microBatch;

    @Option(
            names = "--fp16-stash",
            description = "Keep maps that are needed later in half precision, and say how much the loss is off.")
    private boolean fp16Stash;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Worker threads that act as the device's cores (sim: only). Default: 1.")
    private @Nullable Integer threads;

    @Option(names = "--seconds", defaultValue = "5", paramLabel = "S", description = "Default: ${DEFAULT-VALUE}.")
    private double seconds;

    /**
     * What was measured.
     *
     * @param samplesPerS windows trained per second, median over the stretches
     * @param samplesPerSLow slowest stretch
     * @param samplesPerSHigh fastest stretch
     * @param macsPerSample multiply-adds of forward and backward pass of one window
     * @param forwardMacsPerSample of the forward pass alone
     * @param macsPerS samplesPerS times macsPerSample
     * @param roundTripUs an empty command there and back, median, microseconds
     * @param linkMsPerStep transfers per optimizer step, milliseconds
     * @param uploadBytesPerS of windows to the device
     * @param stashDeviation what keeping maps in half precision does to the loss; null without --fp16-stash
     * @param cyclesPerSample the chip's cycles per training sample; null where the device is no chip
     * @param instructionsPerSample machine instructions of all cores; null where the device does not count
     * @param criticalInstructionsPerSample of the slowest core between two barriers; cycles with gvsoc:
     * @param instructionsPerMac instructionsPerSample by macsPerSample
     * @param opcodes the same by program instruction
     */
    record Result(
            String model,
            String device,
            String target,
            String kernels,
            int cores,
            int batch,
            int microBatch,
            int steps,
            double samplesPerS,
            @JsonProperty("samples_per_s_low") double samplesPerSLow,
            @JsonProperty("samples_per_s_high") double samplesPerSHigh,
            long macsPerSample,
            long forwardMacsPerSample,
            double macsPerS,
            double roundTripUs,
            double linkMsPerStep,
            double uploadBytesPerS,
            Memory memory,
            @Nullable StashDeviation stashDeviation,
            @Nullable Double cyclesPerSample,
            @Nullable Double instructionsPerSample,
            @Nullable Double criticalInstructionsPerSample,
            @Nullable Double instructionsPerMac,
            @Nullable List<Opcode> opcodes) {}

    /** Machine instructions per sample of one kind of program instruction. */
    record Opcode(String name, double instructionsPerSample, double criticalInstructionsPerSample) {}

    /** Bytes: what the plan says and what was ever written. */
    record Memory(
            long l1Planned,
            long l1HighWater,
            long l2Planned,
            long l2HighWater,
            long l3Planned,
            long l3HighWater,
            long persistent,
            long program) {}

    /** Takes the time of every step and stops the training when there is no time left. */
    private static final class Stopwatch implements TrainingListener {
        private final long limitNanos;
        private final List<Long> times = new ArrayList<>();
        private @Nullable TrainingSession session;

        Stopwatch(double seconds) {
            limitNanos = (long) (seconds * 1e9);
        }

        @Override
        public void onBegin(TrainingSession begun) {
            session = begun;
            times.add(System.nanoTime());
        }

        @Override
        public void onStep(StepEvent event) {
            times.add(System.nanoTime());
            if (session != null && times.getLast() - times.getFirst() > limitNanos) {
                session.stop();
            }
        }
    }

    @Override
    Result execute() {
        if (!(seconds > 0) || seconds > 3600) {
            throw usage("--seconds is " + seconds + "; it must be above 0 and at most 3600");
        }
        Model network = Model.load(Arguments.required(model));
        String uri = withThreads();
        TrainingOptions options;
        try {
            options = TrainingOptions.builder()
                    .optimizer(Optimizer.sgd(NEGLIGIBLE_RATE).momentum(0.9f))
                    .schedule(Schedule.constant())
                    .batchSize(batch)
                    .microBatch(microBatch)
                    .stash(fp16Stash ? Stash.FLOAT16 : Stash.FLOAT32)
                    .epochs(1_000_000)
                    .build();
        } catch (InvalidArgumentException e) {
            throw usage(String.valueOf(e.getMessage()));
        }
        try (Device opened = Device.open(uri)) {
            StashDeviation deviation = null;
            if (fp16Stash) {
                TrainingOptions measured = options.toBuilder()
                        .optimizer(Optimizer.sgd(USUAL_RATE).momentum(0.9f))
                        .epochs(EPOCHS_TO_COMPARE)
                        .build();
                deviation = StashDeviation.measure(opened, network, measured, this::samples);
            }
            return measure(opened, network, options, deviation);
        }
    }

    private Result measure(Device opened, Model network, TrainingOptions options, @Nullable StashDeviation deviation) {
        try (TrainingSession session = opened.newSession(network, options)) {
            Statistics empty = session.statistics();
            session.upload(samples(network, session.plan().outputElements()));
            double uploadRate = rate(empty, session.statistics());
            // Before any timed step: how many of those there are depends on the machine, and counts on the weights.
            List<Opcode> opcodes = device.contains(COUNTING) || device.startsWith("gvsoc:") ? count(session) : null;
            session.fit(new Stopwatch(WARM_UP_PART * seconds));
            Statistics before = session.statistics();
            Stopwatch stopwatch = new Stopwatch(seconds);
            session.fit(stopwatch);
            Statistics after = session.statistics();
            return result(network, opened, session, before, after, uploadRate, stopwatch.times, deviation, opcodes);
        }
    }

    private static double rate(Statistics before, Statistics after) {
        long nanos = after.linkTime().toNanos() - before.linkTime().toNanos();
        return (after.bytesToDevice() - before.bytesToDevice()) * 1e9 / Math.max(1, nanos);
    }

    /** Instructions of the first optimizer step. */
    private List<Opcode> count(TrainingSession session) {
        session.startProfile();
        session.fit(new TrainingListener() {
            @Override
            public void onStep(StepEvent event) {
                session.stop();
            }
        });
        return session.endProfile().stream()
                .map(entry -> new Opcode(
                        entry.name(),
                        entry.instructions() / (double) batch,
                        entry.criticalInstructions() / (double) batch))
                .sorted(Comparator.comparingDouble(Opcode::instructionsPerSample)
                        .reversed())
                .toList();
    }

    private String withThreads() {
        if (threads == null) {
            return device.startsWith("sim:") && !device.contains("cores=") ? withCores(1) : device;
        }
        if (!device.startsWith("sim:")) {
            throw usage("--threads is for sim: devices, but the device is " + device + "; leave it out");
        }
        if (device.contains("cores=")) {
            throw usage("The device " + device + " names its cores already; leave --threads out");
        }
        return withCores(threads);
    }

    private String withCores(int cores) {
        return device + (device.contains("?") ? "&" : "?") + "cores=" + cores;
    }

    private Samples samples(Model network, int classes) {
        // A simulated chip holds and trains few.
        int count = DeviceClock.isThatOfAChip(device) ? batch : Math.ceilDiv(WINDOWS, batch) * batch;
        int length = Arrays.stream(network.inputShape()).reduce(1, Math::multiplyExact);
        Random random = new Random(1);
        float[] inputs = new float[Math.multiplyExact(count, length)];
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = (float) random.nextGaussian();
        }
        int[] labels = new int[count];
        Arrays.setAll(labels, i -> i % classes);
        return Samples.labelled(inputs, labels);
    }

    private Result result(
            Model network,
            Device opened,
            TrainingSession session,
            Statistics before,
            Statistics after,
            double uploadRate,
            List<Long> times,
            @Nullable StashDeviation deviation,
            @Nullable List<Opcode> opcodes) {
        int steps = times.size() - 1;
        int stretches = Math.min(STRETCHES, steps);
        double[] rates = new double[stretches];
        for (int i = 0; i < stretches; i++) {
            int from = (int) ((long) i * steps / stretches);
            int to = (int) ((long) (i + 1) * steps / stretches);
            rates[i] = (to - from) * (double) batch * 1e9 / (times.get(to) - times.get(from));
        }
        Arrays.sort(rates);
        double median = rates[stretches / 2];
        PlanSummary plan = session.plan();
        DeviceInfo info = opened.info();
        double linkMs = (after.linkTime().toNanos() - before.linkTime().toNanos()) / 1e6;
        return new Result(
                network.name(),
                opened.uri(),
                info.target(),
                info.kernels(),
                info.cores(),
                batch,
                microBatch,
                steps,
                median,
                rates[0],
                rates[stretches - 1],
                plan.trainingMacs(),
                plan.forwardMacs(),
                median * plan.trainingMacs(),
                roundTrip(opened),
                linkMs / steps,
                uploadRate,
                new Memory(
                        plan.l1PeakBytes(),
                        after.l1HighWater(),
                        plan.l2PeakBytes(),
                        after.l2HighWater(),
                        plan.l3PeakBytes(),
                        after.l3HighWater(),
                        plan.persistentBytes(),
                        plan.programBytes()),
                deviation,
                DeviceClock.cyclesPerSample(opened, microBatch, before, after),
                sum(opcodes, Opcode::instructionsPerSample, 1),
                sum(opcodes, Opcode::criticalInstructionsPerSample, 1),
                sum(opcodes, Opcode::instructionsPerSample, plan.trainingMacs()),
                opcodes);
    }

    private static @Nullable Double sum(@Nullable List<Opcode> opcodes, ToDoubleFunction<Opcode> figure, long divisor) {
        return opcodes == null ? null : opcodes.stream().mapToDouble(figure).sum() / divisor;
    }

    private static double roundTrip(Device opened) {
        long[] nanos = new long[21];
        Arrays.setAll(nanos, _ -> opened.roundTrip().toNanos());
        Arrays.sort(nanos);
        return nanos[nanos.length / 2] / 1e3;
    }

    @Override
    void print(Result result, PrintWriter out) {
        out.printf("%s on %s (%s, %d cores)%n", result.model, result.device, result.kernels, result.cores);
        out.printf(
                "training    %.1f samples/s (%.1f to %.1f), batch %d of micro-batches of %d%n",
                result.samplesPerS, result.samplesPerSLow, result.samplesPerSHigh, result.batch, result.microBatch);
        out.printf(
                "work        %.3f MMAC per sample (%.3f forward), %.1f MMAC/s%n",
                result.macsPerSample / 1e6, result.forwardMacsPerSample / 1e6, result.macsPerS / 1e6);
        out.printf(
                "link        round trip %.1f µs, transfers %.3f ms per step, upload %.1f MB/s%n",
                result.roundTripUs, result.linkMsPerStep, result.uploadBytesPerS / 1e6);
        out.printf(
                "memory      L1 %d, L2 %d, L3 %d bytes planned; %d, %d, %d bytes written%n",
                result.memory.l1Planned(),
                result.memory.l2Planned(),
                result.memory.l3Planned(),
                result.memory.l1HighWater(),
                result.memory.l2HighWater(),
                result.memory.l3HighWater());
        if (result.stashDeviation != null) {
            out.printf(
                    "fp16 stash  loss off by %.2g on average, %.2g at most, of %.3g to %.3g; %d steps%n",
                    result.stashDeviation.mean(),
                    result.stashDeviation.largest(),
                    result.stashDeviation.leastLoss(),
                    result.stashDeviation.greatestLoss(),
                    result.stashDeviation.steps());
        }
        if (result.cyclesPerSample != null) {
            out.printf("cycles      %.0f per sample%n", result.cyclesPerSample);
        }
        if (result.opcodes != null) {
            out.printf(
                    "instructions per sample %.0f, critical %.0f, per MAC %.2f%n",
                    result.instructionsPerSample, result.criticalInstructionsPerSample, result.instructionsPerMac);
            Table table =
                    new Table("instruction", "per sample", result.cyclesPerSample == null ? "critical" : "cycles");
            result.opcodes.forEach(opcode -> table.row(
                    opcode.name(),
                    "%.0f".formatted(opcode.instructionsPerSample()),
                    "%.0f".formatted(opcode.criticalInstructionsPerSample())));
            table.print(out);
        }
    }
}
