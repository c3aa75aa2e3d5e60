package org.biotrain.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DemoCommandTest {
    @ParameterizedTest
    @ValueSource(strings = {"eeg", "eog"})
    void fullFineTuningHelpsClearly(String signal) {
        JsonNode result = Run.of("demo", "--signal", signal, "--json").json();

        JsonNode full = result.path("schemes").path(0);
        assertThat(result.path("generated_signals").asBoolean()).isTrue();
        assertThat(full.path("name").asText()).isEqualTo("full");
        assertThat(full.path("gain").asDouble()).isGreaterThan(0.1);
        assertThat(full.path("accuracy").asDouble())
                .isGreaterThan(2 * result.path("chance").asDouble() - 0.15);
    }

    @Test
    void theSameSeedGivesTheSameBitsOnAnyNumberOfCores() {
        String one = sha256("sim:?target=gap9&cores=1", "1");

        assertThat(sha256("sim:?target=host&cores=2", "1")).isEqualTo(one);
        assertThat(sha256("sim:?target=gap9&cores=1", "2")).isNotEqualTo(one);
    }

    private static String sha256(String device, String seed) {
        return Run.of("demo", "--quick", "--device", device, "--seed", seed, "--json")
                .json()
                .path("sha256")
                .asText();
    }

    @Test
    void theTableSaysThatTheSignalsAreGenerated() {
        assertThat(Run.of("demo", "--quick", "--signal", "eog").out())
                .contains("generated, not recorded", "A quick run", "before calibration", "last layer", "SHA-256");
    }
}
