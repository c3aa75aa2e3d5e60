package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.biotrain.Plan.Kind;
import org.biotrain.Plan.Level;
import org.biotrain.Plan.PlannedTensor;
import org.biotrain.Plan.Policy;
import org.biotrain.Plan.Sequence;
import org.biotrain.zoo.Networks;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlanTest {
    private static final Model MODEL = Fixtures.network();
    private static final TrainingOptions OPTIONS =
            Fixtures.options().batchSize(4).build();

    @TempDir
    private Path folder;

    @Test
    void aPlanIsWhatASessionRuns() {
        Plan plan = Plan.of(MODEL, OPTIONS, "gap9", Policy.COMPILE);

        try (Device device = Fixtures.device();
                TrainingSession session = device.newSession(MODEL, OPTIONS)) {
            PlanSummary summary = session.plan();
            assertThat(plan.levels().stream().map(Level::peakBytes))
                    .containsExactly(summary.l1PeakBytes(), summary.l2PeakBytes(), summary.l3PeakBytes());
            assertThat(plan.programBytes()).isEqualTo(summary.programBytes());
            assertThat(plan.parameters()).isEqualTo(summary.parameters());
            assertThat(plan.instructions().values().stream()
                            .mapToInt(List::size)
                            .sum())
                    .isEqualTo(summary.instructions());
        }
        assertThat(plan.fits()).isTrue();
        assertThat(plan.advice()).isEmpty();
    }

    @Test
    void tensorsHaveNamesKindsAndAddresses() {
        Plan plan = Plan.of(MODEL, OPTIONS, "gap9", Policy.COMPILE);

        assertThat(plan.tensors())
                .extracting(PlannedTensor::name, PlannedTensor::kind, PlannedTensor::persistent)
                .contains(
                        tuple("fc.weight", Kind.WEIGHT, true),
                        tuple("gradient.fc.weight", Kind.GRADIENT, true),
                        tuple("momentum.fc.weight", Kind.OPTIMIZER, true));
        for (PlannedTensor tensor : plan.tensors()) {
            assertThat(tensor.offset() + tensor.bytes())
                    .isLessThanOrEqualTo(plan.levels().get(tensor.level() - 1).peakBytes());
        }
        assertThat(plan.tensors()).extracting(PlannedTensor::kind).contains(Kind.INPUT);
        assertThat(plan.instructions(Sequence.TRAIN).getFirst().layer()).isEqualTo("conv");
        assertThat(plan.instructions(Sequence.TRAIN).get(plan.backward()).layer())
                .isEqualTo("fc");
    }

    @Test
    void theConventionalPlanIsThatOfThePaper() {
        // Published: 5.36 MB for EEG, 2.24 MB for EOG, batch 8 with BatchNorm.
        assertThat(conventionalBytes(network("mibminet-f8"))).isBetween(4_800_000L, 6_500_000L);
        assertThat(conventionalBytes(network("epidenet-eog"))).isBetween(2_000_000L, 2_700_000L);
    }

    @Test
    void everyShippedNetworkNeedsLessThanItsConventionalPlan() {
        for (Model model : Networks.shipped()) {
            Plan plan = Plan.of(model, TrainingOptions.defaults(), "gap9", Policy.COMPILE);
            long bytes = plan.levels().stream().mapToLong(Level::peakBytes).sum();

            assertThat(plan.fits()).as(model.name()).isTrue();
            assertThat(bytes).as(model.name()).isLessThan(conventionalBytes(model));
        }
    }

    private static Model network(String name) {
        return Networks.shipped().stream()
                .filter(model -> model.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static long conventionalBytes(Model model) {
        return Plan.of(model, TrainingOptions.defaults(), "gap9", Policy.CONVENTIONAL)
                .levels()
                .get(1)
                .peakBytes();
    }

    @Test
    void aPlanThatDoesNotFitSaysWhatToChange() throws Exception {
        Path target = Files.writeString(folder.resolve("tiny.target"), """
                name = tiny
                cores = 1
                l1_bytes = 0
                l2_bytes = 8192
                l3_bytes = 0
                macs_per_cycle = 1
                l2_bytes_per_cycle = 1
                l3_bytes_per_cycle = 1
                l2_load_cycles = 1
                dispatch_cycles = 1
                """);
        Model network = network("epidenet-eog");

        Plan plan = Plan.of(network, OPTIONS, target.toString(), Policy.COMPILE);

        assertThat(plan.fits()).isFalse();
        assertThat(plan.target()).isEqualTo("tiny");
        assertThat(plan.advice()).contains("the target tiny has 8192", "are missing");
    }

    @Test
    void aTargetThatIsWrongIsToldWithItsLine() throws Exception {
        Path target = Files.writeString(folder.resolve("bad.target"), "name = bad\ncores = 0\n");

        assertThatThrownBy(() -> Plan.of(MODEL, OPTIONS, target.toString(), Policy.COMPILE))
                .isInstanceOf(InvalidArgumentException.class)
                .hasMessageContaining("bad.target, line 2: cores is \"0\"");
        assertThatThrownBy(() -> Plan.of(MODEL, OPTIONS, "gap8", Policy.COMPILE))
                .isInstanceOf(InvalidArgumentException.class)
                .hasMessageContaining("gap9");
    }
}
