package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** One answer, whatever the number of workers. */
class ReproducibilityTest {
    private static final Dataset TRAINING = Fixtures.windows(30, 1);

    private static String run(String uri, TrainingOptions options) {
        try (Device device = Device.open(uri);
                TrainingSession session = device.newSession(Fixtures.network(), options)) {
            session.upload(TRAINING);
            return session.fit().sha256();
        }
    }

    private static String run(TrainingOptions options) {
        return run("sim:?target=gap9", options);
    }

    @Test
    void theSameRunTwiceGivesTheSameBits() {
        TrainingOptions options = Fixtures.options().build();

        assertThat(run(options)).hasSize(64).isEqualTo(run(options));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 8})
    void theNumberOfWorkersDoesNotMatter(int workers) {
        TrainingOptions options =
                Fixtures.options().optimizer(Optimizer.adam(0.01f)).build();

        assertThat(run("sim:?target=gap9&cores=" + workers, options))
                .isEqualTo(run("sim:?target=gap9&cores=4", options));
    }

    @Test
    void everythingThatShouldMatterDoes() {
        TrainingOptions options = Fixtures.options().build();
        List<String> runs = new ArrayList<>();
        runs.add(run(options));
        runs.add(run(options.toBuilder().seed(12).build()));
        runs.add(run(options.toBuilder().shuffle(false).build()));
        runs.add(run(options.toBuilder().epochs(6).build()));
        runs.add(run(options.toBuilder().optimizer(Optimizer.adamW(0.01f)).build()));
        runs.add(run(options.toBuilder().scheme(UpdateScheme.BIAS_ONLY).build()));
        runs.add(run(options.toBuilder().sampleFormat(SampleFormat.FLOAT32).build()));

        assertThat(runs).doesNotHaveDuplicates();
    }
}
