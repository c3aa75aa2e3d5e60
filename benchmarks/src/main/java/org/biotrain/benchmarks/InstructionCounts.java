package org.biotrain.benchmarks;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.biotrain.CounterRandom;
import org.biotrain.Device;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.ProfileEntry;
import org.biotrain.Samples;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.zoo.Networks;

/**
 * Prints the machine instructions per training sample of every network that ships, counted over the first step of a
 * training. What a step computes depends on the weights, and so do a few of its branches; the first step has always the
 * same, so that two runs print the same.
 */
public final class InstructionCounts {
    private static final int BATCH = 8;

    private InstructionCounts() {}

    /** Needs QEMU; takes no arguments. */
    public static void main(String[] arguments) {
        for (Model model : Networks.shipped()) {
            try (Device device = Device.open("qemu:?icount=on");
                    TrainingSession session = device.newSession(model, options())) {
                session.upload(samples(model, session.plan().outputElements()));
                session.startProfile();
                session.fit();
                print(model, session.plan().trainingMacs(), session.endProfile());
            }
        }
    }

    private static TrainingOptions options() {
        return TrainingOptions.builder()
                .optimizer(Optimizer.sgd(1e-6f).momentum(0.9f))
                .batchSize(BATCH)
                .epochs(1)
                .build();
    }

    static Samples samples(Model model, int classes) {
        int[] labels = new int[BATCH];
        Arrays.setAll(labels, i -> i % classes);
        int elements = Arrays.stream(model.inputShape()).reduce(1, Math::multiplyExact);
        return Samples.labelled(CounterRandom.normal(1, 0, BATCH * elements), labels);
    }

    private static void print(Model model, long macs, List<ProfileEntry> entries) {
        long all = entries.stream().mapToLong(ProfileEntry::instructions).sum();
        long critical =
                entries.stream().mapToLong(ProfileEntry::criticalInstructions).sum();
        System.out.printf(
                "%s: %d multiply-adds, %d instructions of all cores (%.2f each), %d on the critical path (%.2f each)%n",
                model.name(),
                macs,
                all / BATCH,
                (double) all / BATCH / macs,
                critical / BATCH,
                (double) critical / BATCH / macs);
        entries.stream()
                .sorted(Comparator.comparingLong(ProfileEntry::instructions).reversed())
                .forEach(entry -> System.out.printf(
                        "    %-28s %12d %12d%n",
                        entry.name(), entry.instructions() / BATCH, entry.criticalInstructions() / BATCH));
    }
}
