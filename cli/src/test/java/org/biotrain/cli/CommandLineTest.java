package org.biotrain.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CommandLineTest {
    @ParameterizedTest
    @ValueSource(
            strings = {"demo", "calibrate", "evaluate", "study", "inspect", "models", "ops", "verify", "bench", "doctor"
            })
    void everyCommandHasHelpWithExamples(String command) {
        Run run = Run.of(command, "--help");

        assertThat(run.code()).isZero();
        assertThat(run.out()).contains("Examples:", "biotrain " + command, "--json", "--verbose");
    }

    @Test
    void helpListsTheCommandsAndTheExitCodes() {
        Run run = Run.of("--help");

        assertThat(run.code()).isZero();
        assertThat(run.out()).contains("calibrate", "verify", "Exit codes:", "biotrain demo");
    }

    @Test
    void anUnknownOptionIsWrongUsage() {
        Run run = Run.of("demo", "--colour");

        assertThat(run.code()).isEqualTo(2);
        assertThat(run.out()).isEmpty();
        assertThat(run.err()).contains("--colour");
    }

    @Test
    void wrongUsageWithJsonIsOneObjectWithTheSentence() {
        Run run = Run.of("verify", "--json");

        assertThat(run.code()).isEqualTo(2);
        assertThat(run.json().path("error").asText()).contains("--goldens");
    }

    @Test
    void aFailureIsOneSentenceWithoutStackTrace() {
        Run run = Run.of("inspect", "no-such.onnx", "--json");

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.json().path("error").asText()).contains("no-such.onnx");
        assertThat(run.err().strip().lines()).hasSize(1);
    }

    @Test
    void verboseAddsTheStackTrace() {
        assertThat(Run.of("inspect", "no-such.onnx", "--verbose").err()).contains("\tat ");
    }

    @Test
    void anUnknownDeviceIsRefused() {
        Run run = Run.of("demo", "--device", "carrier-pigeon:");

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("carrier-pigeon");
    }
}
