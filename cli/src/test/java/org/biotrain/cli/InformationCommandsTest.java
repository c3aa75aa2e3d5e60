package org.biotrain.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InformationCommandsTest {
    @TempDir
    private Path folder;

    @Test
    void opsShowsTheTableOfTheNativeLibrary() {
        JsonNode table = Run.of("ops", "--json").json();

        assertThat(table.path("count").asInt())
                .isEqualTo(25)
                .isEqualTo(table.path("ops").size());
        assertThat(table.path("ops").path(0).path("name").asText()).isEqualTo("Conv");
        assertThat(Run.of("ops").out()).contains("GroupNorm", "limits:");
    }

    @Test
    void passesShowsThoseOfTheNativeLibrary() {
        JsonNode table = Run.of("passes", "--json").json();

        assertThat(table.path("count").asInt()).isEqualTo(5);
        assertThat(table.path("passes").findValuesAsText("name"))
                .containsExactly(
                        "batch-norm-to-group-norm",
                        "freeze-batch-norm",
                        "fold-batch-norm",
                        "dead-gradients",
                        "cache-features");
        assertThat(Run.of("passes").out()).contains("dead-gradients (on by default)", "keeps:  every bit");
    }

    @Test
    void doctorIsReadyAndSaysHowToGetWhatIsMissing() {
        Run run = Run.of("doctor", "--json");

        assertThat(run.code()).isZero();
        assertThat(run.json().path("ready").asBoolean()).isTrue();
        for (JsonNode item : run.json().path("items")) {
            assertThat(item.path(item.path("present").asBoolean() ? "found" : "advice")
                            .asText())
                    .isNotBlank();
        }
    }

    @Test
    void modelsWritesNetworksThatInspectReads() {
        assertThat(Run.of("models", folder.resolve("new").toString(), "--json")
                        .json()
                        .path("models"))
                .hasSizeGreaterThanOrEqualTo(8);

        JsonNode network = Run.of(
                        "inspect", folder.resolve("new/mibminet-f8.onnx").toString(), "--json")
                .json();

        assertThat(network.path("parameters").asInt()).isEqualTo(1234);
        assertThat(network.path("input_shape").toString()).isEqualTo("[1,8,1900]");
        assertThat(network.path("layers").findValuesAsText("op")).contains("CONV", "GROUP_NORM", "LINEAR");
    }

    @Test
    void inspectShowsAGroupNormThatAnExporterSpreadOverSeveralNodes() {
        Path exported = Shared.folder("onnx").resolve("eegnet_gn_opset17.onnx");

        JsonNode layers =
                Run.of("inspect", exported.toString(), "--json").json().path("layers");

        assertThat(layers.findValuesAsText("op")).contains("GROUP_NORM").doesNotContain("INSTANCE_NORM", "MUL", "ADD");
    }

    @Test
    void inspectRefusesAFileThatIsNoNetwork() throws Exception {
        Path file = Files.writeString(folder.resolve("letter.onnx"), "Dear reader");

        Run run = Run.of("inspect", file.toString());

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("letter.onnx");
    }

    @Test
    void benchMeasures() {
        Run.of("models", folder.toString());

        Run run = Run.of(
                "bench",
                "--model",
                folder.resolve("emgnet-semg.onnx").toString(),
                "--seconds",
                "0.3",
                "--threads",
                "2",
                "--json");

        assertThat(run.code()).isZero();
        assertThat(run.json().path("samples_per_s").asDouble()).isPositive();
        assertThat(run.json().path("macs_per_sample").asLong())
                .isGreaterThan(run.json().path("forward_macs_per_sample").asLong());
        assertThat(run.json().path("cores").asInt()).isEqualTo(2);
        assertThat(run.json().path("memory").path("l2_high_water").asLong())
                .isEqualTo(run.json().path("memory").path("l2_planned").asLong());
    }
}
