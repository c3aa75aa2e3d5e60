package org.biotrain.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlanCommandTest {
    @TempDir
    private Path folder;

    private String network;

    @BeforeEach
    void writeNetworks() {
        Run.of("models", folder.toString());
        network = folder.resolve("epidenet-eog.onnx").toString();
    }

    @Test
    void jsonHasEveryFigure() {
        Run run = Run.of(
                "plan",
                "--model",
                network,
                "--batch",
                "8",
                "--micro-batch",
                "1",
                "--scheme",
                "full",
                "--optimizer",
                "sgd-momentum",
                "--target",
                "gap9-l2-only",
                "--json");

        assertThat(run.code()).as(run.err()).isZero();
        JsonNode plan = run.json();
        assertThat(plan.path("l2_peak_bytes").asLong()).isLessThanOrEqualTo((long)
                (1.02 * plan.path("l2_lower_bound_bytes").asLong()));
        assertThat(plan.path("l1_peak_bytes").asLong()).isBetween(1L, 114_688L);
        assertThat(plan.path("l3_peak_bytes").asLong()).isZero();
        assertThat(plan.path("parameters").asInt()).isEqualTo(4179);
        assertThat(plan.path("macs_per_sample").asLong()).isEqualTo(991_312);
        assertThat(plan.path("planned_macs_per_sample").asLong())
                .isGreaterThanOrEqualTo(plan.path("macs_per_sample").asLong());
        assertThat(plan.path("estimated_cycles").asLong()).isPositive();
        assertThat(plan.path("conventional").path("ratio_of_all").asDouble()).isGreaterThan(8);
        assertThat(plan.path("decisions")).isNotEmpty();
        assertThat(plan.path("tensors").findValuesAsText("kind")).contains("WEIGHT", "GRADIENT", "OPTIMIZER", "STASH");
        JsonNode train = plan.path("sequences").path(1);
        assertThat(train.path("name").asText()).isEqualTo("TRAIN");
        assertThat(train.path("instructions")
                        .path(train.path("backward").asInt() - 1)
                        .path("name")
                        .asText())
                .isEqualTo("cross_entropy");
    }

    @Test
    void theConventionalPolicyComputesTheWholeBatchAtOnce() {
        JsonNode plan = Run.of("plan", "--model", network, "--policy", "conventional", "--json")
                .json();

        assertThat(plan.path("micro_batch").asInt()).isEqualTo(8);
        assertThat(plan.path("l2_peak_bytes").asLong()).isBetween(2_000_000L, 2_700_000L);
        assertThat(plan.path("program_bytes").asInt()).isZero();
        assertThat(plan.path("fits").asBoolean()).isFalse();
    }

    @Test
    void aBatchOfOneIsCompared() {
        JsonNode plan = Run.of("plan", "--model", network, "--batch", "1", "--fused-update", "--json")
                .json();

        assertThat(plan.path("fits").asBoolean()).isTrue();
    }

    @Test
    void thePictureAndThePageStandAlone() throws Exception {
        Path svg = folder.resolve("plan.svg");
        Path html = folder.resolve("plan.html");

        Run run = Run.of("plan", "--model", network, "--svg", svg.toString(), "--html", html.toString());

        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("L2", "conventional plan:", "homes:");
        String picture = Files.readString(svg);
        assertThat(picture).startsWith("<svg xmlns=").endsWith("</svg>\n");
        assertThat(picture.split("<g>", -1))
                .hasSameSizeAs(picture.split("</g>", -1))
                .hasSizeGreaterThan(50);
        assertThat(picture)
                .contains("forward", "backward", "momentum.conv3.weight", "activation kept for the backward pass");
        assertThat(Files.readString(html))
                .contains("Against the conventional plan", "times less", "<svg", "cross_entropy")
                .doesNotContain("<script", "src=", "href=", "url(");
    }

    @Test
    void aNetworkThatDoesNotFitSaysWhatWouldHelp() throws Exception {
        Path target = Files.writeString(folder.resolve("small.target"), """
                # Too small for all parameters at once.
                name = small
                cores = 8
                l1_bytes = 0
                l2_bytes = 60000
                l3_bytes = 0
                macs_per_cycle = 1
                l2_bytes_per_cycle = 7.6
                l3_bytes_per_cycle = 0.5
                l2_load_cycles = 15
                dispatch_cycles = 300
                """);

        JsonNode plan = Run.of("plan", "--model", network, "--target", target.toString(), "--json")
                .json();

        assertThat(plan.path("fits").asBoolean()).isFalse();
        assertThat(plan.path("advice").asText())
                .contains("the target small has 60000", "are missing; it fits with", "last-layer");
    }

    @Test
    void mistakesAreToldInOneSentence() {
        assertThat(Run.of("plan", "--model", network, "--target", "gap8").err())
                .contains("There is no target 'gap8'", "pulp-open");
        Run unwritable = Run.of(
                "plan",
                "--model",
                network,
                "--svg",
                folder.resolve("none/plan.svg").toString());
        assertThat(unwritable.code()).isEqualTo(1);
        assertThat(unwritable.err()).contains("plan.svg", "name a file in a folder that exists");
        assertThat(Run.of("plan", "--model", network, "--micro-batch", "3").code())
                .isEqualTo(2);
    }

    @Test
    void fusedUpdatesKeepNoGradients() {
        Run run = Run.of("plan", "--model", network, "--batch", "2", "--micro-batch", "2", "--fused-update", "--json");

        assertThat(run.code()).as(run.err()).isZero();
        for (JsonNode tensor : run.json().path("tensors")) {
            if (tensor.path("kind").asText().equals("GRADIENT")) {
                assertThat(tensor.path("persistent").asBoolean(true)).isFalse();
            }
        }
        assertThat(run.json().path("tensors").findValuesAsText("kind")).contains("GRADIENT");
        Run refused = Run.of("plan", "--model", network, "--batch", "8", "--fused-update");
        assertThat(refused.code()).isNotZero();
        assertThat(refused.err()).contains("the batch size is 8 and the micro-batch 1");
    }
}
