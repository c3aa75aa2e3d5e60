package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a flight recording shows of a training. */
class FlightRecorderTest {
    @Test
    void stepsEvaluationsAndUploadsAreRecorded(@TempDir Path directory) throws IOException {
        Dataset training = Fixtures.windows(30, 1);
        Path file = directory.resolve("training.jfr");
        TrainingResult result;
        try (Recording recording = new Recording();
                Device device = Fixtures.device();
                TrainingSession session =
                        device.newSession(Fixtures.network(), Fixtures.options().build())) {
            recording.start();
            session.upload(training);
            result = session.fit();
            session.evaluate(Fixtures.windows(12, 2));
            recording.stop();
            recording.dump(file);
        }

        List<RecordedEvent> events = RecordingFile.readAllEvents(file);
        List<RecordedEvent> steps = named(events, "org.biotrain.Step");
        assertThat(steps).hasSize(result.steps());
        assertThat(steps)
                .allSatisfy(step -> assertThat(step.getFloat("loss")).isEqualTo(result.losses()[step.getInt("step")]));
        assertThat(named(events, "org.biotrain.Upload"))
                .extracting(event -> event.getInt("samples"))
                .containsExactly(30, 12);
        assertThat(named(events, "org.biotrain.Evaluation"))
                .singleElement()
                .satisfies(event -> assertThat(event.getInt("samples")).isEqualTo(12));
    }

    private static List<RecordedEvent> named(List<RecordedEvent> events, String name) {
        return events.stream()
                .filter(event -> event.getEventType().getName().equals(name))
                .toList();
    }
}
