package org.biotrain.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.biotrain.Model;
import org.biotrain.Plan;
import org.biotrain.Plan.Decision;
import org.biotrain.Plan.PlannedInstruction;
import org.biotrain.Plan.PlannedTensor;
import org.biotrain.Plan.Policy;
import org.biotrain.Plan.Sequence;
import org.biotrain.TrainingOptions;
import org.biotrain.cli.plan.Page;
import org.biotrain.cli.plan.Picture;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Shows where everything would lie during a training, without running it. */
@Command(
        name = "plan",
        header = "Show a training's memory, decisions and costs before anything runs.",
        description = {
            "Peaks count everything that lives in a memory while one batch trains: weights, gradients, optimizer state,"
                    + " activations, input and tables. Cycles are estimates from the costs of the target.",
            "The policy conventional is what is compared with: the whole batch at once, BatchNorm, every activation and"
                    + " every gradient kept."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain plan --model models/mibminet-f8.onnx",
            "  biotrain plan --model models/epidenet-eog.onnx --scheme last-layer --target pulp-open --json",
            "  biotrain plan --model models/mibminet-f32.onnx --html plan.html"
        })
final class PlanCommand extends ReportingCommand<PlanCommand.Result> {
    @Option(names = "--model", required = true, paramLabel = "FILE", description = "The network, an ONNX file.")
    private @Nullable Path model;

    @Option(
            names = "--target",
            paramLabel = "NAME",
            defaultValue = "gap9",
            description = "gap9, gap9-l2-only, pulp-open, host, or a target file. Default: ${DEFAULT-VALUE}.")
    private String target = "gap9";

    @Option(
            names = "--policy",
            paramLabel = "POLICY",
            defaultValue = "compile",
            description = "compile: as sessions do. conventional: the baseline. Default: ${DEFAULT-VALUE}.")
    private Policy policy = Policy.COMPILE;

    @Option(names = "--svg", paramLabel = "FILE", description = "Write the picture of addresses over time.")
    private @Nullable Path svg;

    @Option(names = "--html", paramLabel = "FILE", description = "Write a page: the picture, figures, all tables.")
    private @Nullable Path html;

    @Mixin
    private TrainingFlags training = new TrainingFlags();

    /** The memories of one training step; traffic and cycles are those of a micro-batch. */
    record Result(
            String model,
            String target,
            Policy policy,
            int batch,
            int microBatch,
            boolean fits,
            String advice,
            long l1PeakBytes,
            long l2PeakBytes,
            long l3PeakBytes,
            long l1LowerBoundBytes,
            long l2LowerBoundBytes,
            long l3LowerBoundBytes,
            long persistentBytes,
            long programBytes,
            long parameters,
            long macsPerSample,
            long plannedMacsPerSample,
            long forwardMacsPerSample,
            long estimatedCycles,
            List<LevelResult> levels,
            Baseline conventional,
            List<Decision> decisions,
            List<PlannedTensor> tensors,
            List<SequenceResult> sequences) {}

    /** One memory. */
    record LevelResult(String name, long peakBytes, long lowerBoundBytes, long capacityBytes, long trafficBytes) {}

    /** What the conventional policy needs: how many times as much as this plan of L2, if it needs any, and of all. */
    record Baseline(long l2PeakBytes, @Nullable Double ratio, double ratioOfAll) {}

    /** Instructions in their order; {@code backward} is the number of the first one behind the loss. */
    record SequenceResult(Sequence name, @Nullable Integer backward, List<PlannedInstruction> instructions) {}

    @Override
    Result execute() {
        Model network = Model.load(Arguments.required(model));
        TrainingOptions options = options(training.toSection());
        Plan plan = Plan.of(network, options, target, policy);
        Plan baseline = policy == Policy.CONVENTIONAL ? plan : Plan.of(network, options, target, Policy.CONVENTIONAL);
        if (svg != null) {
            write(svg, Picture.of(plan, title(network, options, plan)));
        }
        if (html != null) {
            write(html, Page.of(plan, baseline, title(network, options, plan)));
        }
        return result(network, options, plan, baseline);
    }

    private static void write(Path file, String text) {
        try {
            Files.writeString(file, text);
        } catch (IOException e) {
            throw new CliException("Can't write " + file + ": " + e + "; name a file in a folder that exists", e);
        }
    }

    private static String title(Model network, TrainingOptions options, Plan plan) {
        return "%s on %s, batch %d%s"
                .formatted(
                        network.name(),
                        plan.target(),
                        options.batchSize(),
                        plan.policy() == Policy.CONVENTIONAL
                                ? ", conventional"
                                : " in micro-batches of " + plan.microBatch());
    }

    private static Result result(Model network, TrainingOptions options, Plan plan, Plan baseline) {
        List<LevelResult> levels = new ArrayList<>();
        for (int i = 0; i < plan.levels().size(); i++) {
            Plan.Level level = plan.levels().get(i);
            int index = i;
            long traffic = plan.instructions(Sequence.TRAIN).stream()
                    .mapToLong(instruction -> instruction.trafficBytes().get(index))
                    .sum();
            levels.add(new LevelResult(
                    level.name(), level.peakBytes(), level.lowerBoundBytes(), level.capacityBytes(), traffic));
        }
        long l2 = plan.levels().get(1).peakBytes();
        long conventional = baseline.levels().get(1).peakBytes();
        return new Result(
                network.name(),
                plan.target(),
                plan.policy(),
                options.batchSize(),
                plan.microBatch(),
                plan.fits(),
                plan.advice(),
                levels.get(0).peakBytes,
                l2,
                levels.get(2).peakBytes,
                levels.get(0).lowerBoundBytes,
                levels.get(1).lowerBoundBytes,
                levels.get(2).lowerBoundBytes,
                plan.persistentBytes(),
                plan.programBytes(),
                plan.parameters(),
                plan.trainingMacs(),
                plan.plannedMacs(),
                plan.forwardMacs(),
                plan.instructions(Sequence.TRAIN).stream()
                        .mapToLong(PlannedInstruction::cycles)
                        .sum(),
                levels,
                new Baseline(
                        conventional,
                        l2 == 0 ? null : (double) conventional / l2,
                        (double) conventional
                                / levels.stream()
                                        .mapToLong(LevelResult::peakBytes)
                                        .sum()),
                plan.decisions(),
                plan.tensors(),
                sequences(plan));
    }

    private static List<SequenceResult> sequences(Plan plan) {
        return Arrays.stream(Sequence.values())
                .map(sequence -> new SequenceResult(
                        sequence, sequence == Sequence.TRAIN ? plan.backward() : null, plan.instructions(sequence)))
                .toList();
    }

    @Override
    void print(Result result, PrintWriter out) {
        out.printf(
                "%s on %s, batch %d in micro-batches of %d%n%n",
                result.model, result.target, result.batch, result.microBatch);
        Table memories = new Table("memory", "peak", "lower bound", "target has", "traffic");
        for (LevelResult level : result.levels) {
            memories.row(level.name, level.peakBytes, level.lowerBoundBytes, level.capacityBytes, level.trafficBytes);
        }
        memories.print(out);
        out.printf(
                "%n%d parameters; %d bytes stay (weights, gradients, optimizer state); program of %d bytes%n",
                result.parameters, result.persistentBytes, result.programBytes);
        out.printf(
                "per sample %d multiply-adds, %d as planned; about %d cycles per micro-batch%n",
                result.macsPerSample, result.plannedMacsPerSample, result.estimatedCycles);
        if (result.policy != Policy.CONVENTIONAL) {
            out.printf(
                    "conventional plan: %d bytes, %.1f times as much as all memories together%n",
                    result.conventional.l2PeakBytes, result.conventional.ratioOfAll);
        }
        if (!result.advice.isEmpty()) {
            out.printf("%n%s%n", result.advice);
        }
        if (!result.decisions.isEmpty()) {
            out.println();
            Table decisions = new Table("decision", "saves", "multiply-adds");
            for (Decision decision : result.decisions) {
                decisions.row(decision.pass() + ": " + decision.text(), decision.savedBytes(), decision.macs());
            }
            decisions.print(out);
        }
    }
}
