package org.biotrain.benchmarks;

import java.util.List;
import org.biotrain.Device;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.Plan;
import org.biotrain.Plan.Level;
import org.biotrain.Plan.Policy;
import org.biotrain.Statistics;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.UpdateScheme;
import org.biotrain.zoo.Networks;

/**
 * Prints, as a Markdown table, what every network that ships needs of each memory: as planned, as measured on
 * {@code sim:}, and as planned conventionally.
 */
public final class MemoryTable {
    private static final int BATCH = 8;
    private static final int L1 = 0;
    private static final int L2 = 1;

    private MemoryTable() {}

    /** The argument names the target; gap9-l2-only unless given. */
    public static void main(String[] arguments) {
        String target = arguments.length > 0 ? arguments[0] : "gap9-l2-only";
        System.out.println(
                "| network | update | L2 | bound of L2 | L1 | L2, L1 measured | conventional | times less | planned in |");
        System.out.println("|---|---|--:|--:|--:|--:|--:|--:|--:|");
        for (UpdateScheme scheme : List.of(UpdateScheme.FULL, UpdateScheme.LAST_LAYER)) {
            for (Model model : Networks.shipped()) {
                row(model, scheme, target);
            }
        }
    }

    private static void row(Model model, UpdateScheme scheme, String target) {
        TrainingOptions options = TrainingOptions.builder()
                .optimizer(Optimizer.sgd(1e-6f).momentum(0.9f))
                .batchSize(BATCH)
                .epochs(1)
                .scheme(scheme)
                .build();
        long start = System.nanoTime();
        Plan plan = Plan.of(model, options, target, Policy.COMPILE);
        long nanos = System.nanoTime() - start;
        long conventional = peak(Plan.of(model, options, target, Policy.CONVENTIONAL), L2);
        long all = plan.levels().stream().mapToLong(Level::peakBytes).sum();
        System.out.printf(
                "| %s | %s | %d | %d | %d | %s | %d | %.1f | %.0f ms |%n",
                model.name(),
                scheme.equals(UpdateScheme.FULL) ? "full" : "last layer",
                peak(plan, L2),
                plan.levels().get(L2).lowerBoundBytes(),
                peak(plan, L1),
                measure(model, options, target),
                conventional,
                (double) conventional / all,
                nanos / 1e6);
    }

    private static long peak(Plan plan, int level) {
        return plan.levels().get(level).peakBytes();
    }

    /** Trains one batch, whose samples need room in L3. */
    private static String measure(Model model, TrainingOptions options, String target) {
        try (Device device = Device.open("sim:?cores=1&target=" + target);
                TrainingSession session = device.newSession(model, options)) {
            session.upload(InstructionCounts.samples(model, session.plan().outputElements()));
            session.fit();
            Statistics statistics = session.statistics();
            return statistics.l2HighWater() + ", " + statistics.l1HighWater();
        }
    }
}
