package org.biotrain.cli.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.biotrain.Optimizer;
import org.biotrain.UpdateScheme;
import org.biotrain.cli.CliException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TaskTest {
    private static final String TEXT = """
            name: blinks
            data:
              files: '*.csv'
            windows:
              cut: sliding
              seconds: 0.5
            labels:
              2: saccade
              1: fixation
            protocol:
              kind: chronological
              train-fraction: 0.7
            model: network.onnx
            training:
              optimizer: adam
              scheme: last-layer
            """;

    @ParameterizedTest
    @ValueSource(strings = {"emg-within-day", "eog-within-subject", "eeg-imagined"})
    void shippedTasksAreReadAndNameNetworksThatShip(String name) {
        Task task = Task.read(Path.of("../models/tasks", name + ".yaml"));

        assertThat(task.name()).isEqualTo(name);
        assertThat(Path.of(task.model())).exists();
        assertThat(task.training()).isNotNull();
    }

    @Test
    void classesKeepTheOrderOfTheFile() {
        assertThat(Task.parse(TEXT).labels())
                .containsExactly(java.util.Map.entry("2", "saccade"), java.util.Map.entry("1", "fixation"));
    }

    @Test
    void anUnknownKeyIsRefusedWithThoseThatAreAllowed() {
        assertThatThrownBy(() -> Task.parse(TEXT.replace("seconds:", "second:")))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("windows.second is unknown")
                .hasMessageContaining("cut, offset, seconds, share, step");
    }

    @Test
    void aKeyThatIsGivenTwiceIsRefused() {
        assertThatThrownBy(() -> Task.parse(TEXT + "name: again\n"))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("name");
    }

    @Test
    void aMissingSectionIsNamed() {
        assertThatThrownBy(() -> Task.parse(TEXT.replace("model: network.onnx\n", "")))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("the key model is missing");
    }

    @Test
    void aWordThatIsNotAllowedIsRefusedWithThoseThatAre() {
        assertThatThrownBy(() -> Task.parse(TEXT.replace("chronological", "clairvoyant")))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("repetitions, chronological, stratified, leave-one-subject-out");
    }

    @Test
    void aSettingOfAnotherProtocolIsRefused() {
        assertThatThrownBy(() -> Task.parse(TEXT.replace("train-fraction: 0.7", "train-repetitions: [1, 7]")))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("protocol.train-");
    }

    @Test
    void aTaskSurvivesBeingWrittenAndRead() {
        Task task = Task.parse(TEXT);

        assertThat(Task.parse(task.toYaml())).isEqualTo(task);
    }

    @Test
    void optionsOverrideTheTraining() {
        TrainingSection flags =
                Task.parse(TEXT.replace("optimizer: adam", "epochs: 3")).training();

        Task changed = Task.parse(TEXT).withTraining(flags);

        assertThat(changed.training().toOptions().epochs()).isEqualTo(3);
        assertThat(changed.training().toOptions().optimizer()).isEqualTo(Optimizer.adam(1e-3f));
        assertThat(changed.training().toOptions().scheme()).isEqualTo(UpdateScheme.LAST_LAYER);
    }

    @Test
    void anotherOptimizerStartsFromItsOwnRate() {
        TrainingSection sgd = Task.parse(TEXT.replace("optimizer: adam", "optimizer: sgd\n  learning-rate: 0.1"))
                .training();
        TrainingSection adam = Task.parse(TEXT).training();

        assertThat(sgd.overriddenBy(adam).toOptions().optimizer().learningRate())
                .isEqualTo(1e-3f);
    }

    @Test
    void momentumDoesNotBelongToAdam() {
        TrainingSection section = Task.parse(TEXT + "  momentum: 0.5\n").training();

        assertThatThrownBy(section::toOptions).isInstanceOf(CliException.class).hasMessageContaining("belong to sgd");
    }
}
