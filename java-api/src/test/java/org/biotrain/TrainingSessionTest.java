package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.biotrain.TrainingResult.Outcome;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class TrainingSessionTest {
    private static final Dataset TRAINING = Fixtures.windows(30, 1);
    private static final Dataset HELD_OUT = Fixtures.windows(24, 2);

    private Device device;

    @BeforeEach
    void open() {
        device = Fixtures.device();
    }

    @AfterEach
    void close() {
        device.close();
    }

    private TrainingSession session(TrainingOptions options) {
        TrainingSession session = device.newSession(Fixtures.network(), options);
        session.upload(TRAINING);
        return session;
    }

    @Test
    void trainingMakesTheNetworkBetter() {
        try (TrainingSession session = session(Fixtures.options().epochs(20).build())) {
            Evaluation before = session.evaluate(HELD_OUT);
            TrainingResult result = session.fit();
            Evaluation after = session.evaluate(HELD_OUT);

            assertThat(result.outcome()).isEqualTo(Outcome.COMPLETED);
            assertThat(after.loss()).isLessThan(before.loss());
            assertThat(after.accuracy()).isGreaterThan(0.9);
            assertThat(after.count()).isEqualTo(24);
            assertThat(after.classNames()).isEqualTo(Fixtures.CLASSES);
        }
    }

    @Test
    void listenersSeeEveryStepAndEpoch() {
        Fixtures.Recorder recorder = new Fixtures.Recorder();
        try (TrainingSession session = session(Fixtures.options().epochs(3).build())) {
            TrainingResult result = session.fit(recorder);

            // 30 windows in batches of 4: seven whole ones and a last one of 2.
            assertThat(recorder.begun).isEqualTo(1);
            assertThat(recorder.steps).hasSize(24).extracting(StepEvent::step).isSorted();
            assertThat(recorder.steps).extracting(StepEvent::samples).startsWith(4, 4, 4, 4, 4, 4, 4, 2, 4);
            assertThat(recorder.steps).extracting(StepEvent::totalSteps).containsOnly(24);
            assertThat(recorder.steps)
                    .extracting(StepEvent::epoch)
                    .startsWith(0)
                    .endsWith(2);
            assertThat(recorder.epochs).extracting(EpochEvent::epoch).containsExactly(0, 1, 2);
            assertThat(recorder.results).containsExactly(result);
            float[] losses = result.losses();
            assertThat(recorder.steps)
                    .allSatisfy(step -> assertThat(step.loss()).isEqualTo(losses[step.step()]));
            double mean = 0;
            for (int i = 0; i < 8; i++) {
                mean += recorder.steps.get(i).loss() * recorder.steps.get(i).samples() / 30.0;
            }
            assertThat(recorder.epochs.getFirst().meanLoss()).isCloseTo((float) mean, within(1e-6f));
        }
    }

    @Test
    void theLearningRateFollowsTheScheduleOverAllSteps() {
        Fixtures.Recorder recorder = new Fixtures.Recorder();
        TrainingOptions options = Fixtures.options()
                .epochs(2)
                .schedule(Schedule.cosine(0).warmup(4))
                .build();
        try (TrainingSession session = session(options)) {
            session.fit(recorder);

            float[] rates = new float[16];
            recorder.steps.forEach(step -> rates[step.step()] = step.learningRate());
            float top = options.optimizer().learningRate();
            assertThat(Arrays.copyOf(rates, 5)).isSorted();
            assertThat(rates[0]).isLessThan(top / 2);
            assertThat(rates[15]).isBetween(0f, top / 10);
        }
    }

    @Test
    void windowsThatDoNotMakeAMicroBatchAreLeftOut() {
        Fixtures.Recorder recorder = new Fixtures.Recorder();
        TrainingOptions options =
                Fixtures.options().microBatch(4).batchSize(8).epochs(1).build();
        try (TrainingSession session = session(options)) {
            session.fit(recorder);

            assertThat(recorder.steps).extracting(StepEvent::samples).containsExactly(8, 8, 8);
        }
    }

    @Test
    void withoutShufflingTheOrderIsThatOfTheData() {
        TrainingOptions ordered =
                Fixtures.options().shuffle(false).batchSize(1).epochs(1).build();
        Model plain = Fixtures.network().withoutDropout();
        try (TrainingSession session = device.newSession(plain, ordered)) {
            session.upload(TRAINING);
            float first = session.losses(Samples.of(TRAINING.subset(0)))[0];

            assertThat(session.fit().losses()[0]).isEqualTo(first);
        }
    }

    @Test
    void stopEndsTheTrainingAndFitGoesOn() {
        TrainingOptions options = Fixtures.options().epochs(50).build();
        try (TrainingSession session = session(options)) {
            TrainingResult stopped = session.fit(new TrainingListener() {
                @Override
                public void onStep(StepEvent event) {
                    if (event.step() == 5) {
                        session.stop();
                    }
                }
            });
            assertThat(stopped.outcome()).isEqualTo(Outcome.STOPPED);
            assertThat(stopped.steps()).isBetween(6, 399);
            assertThat(stopped.losses()).hasSize(stopped.steps());

            TrainingResult completed = session.fit();
            assertThat(completed.outcome()).isEqualTo(Outcome.COMPLETED);
            assertThat(completed.steps()).isEqualTo(400);
            assertThat(completed.losses()).startsWith(stopped.losses());
        }
    }

    @Test
    void aListenerMayEvaluateAndSaveAfterAnEpoch() {
        TrainingOptions options = Fixtures.options().epochs(2).build();
        try (TrainingSession session = session(options)) {
            int[] counts = new int[2];
            session.fit(new TrainingListener() {
                @Override
                public void onEpoch(EpochEvent event) {
                    counts[event.epoch()] = session.evaluate(HELD_OUT).count();
                    assertThat(session.checkpoint().step()).isEqualTo(8 * (event.epoch() + 1));
                }
            });
            assertThat(counts).containsExactly(24, 24);
        }
    }

    @Test
    void anEvaluationDoesNotDisturbTheTraining() {
        String quiet;
        try (TrainingSession session = session(Fixtures.options().build())) {
            quiet = session.fit().sha256();
        }
        try (TrainingSession session = session(Fixtures.options().build())) {
            TrainingResult watched = session.fit(new TrainingListener() {
                @Override
                public void onEpoch(EpochEvent event) {
                    session.evaluate(HELD_OUT);
                }
            });
            assertThat(watched.sha256()).isEqualTo(quiet);
        }
    }

    @Test
    void evaluationIsWhatThePredictionsSay() {
        try (TrainingSession session = session(Fixtures.options().build())) {
            session.fit();
            float[][] outputs = session.predict(HELD_OUT);
            Evaluation evaluation = session.evaluate(HELD_OUT);

            Evaluation computed = Evaluation.of(Fixtures.CLASSES, HELD_OUT.labels(), outputs, evaluation.loss());
            assertThat(evaluation.accuracy()).isEqualTo(computed.accuracy());
            assertThat(evaluation.confusionMatrix()).isDeepEqualTo(computed.confusionMatrix());
        }
    }

    @Test
    void anIncompleteMicroBatchIsEvaluatedToo() {
        Dataset five = HELD_OUT.subset(0, 1, 2, 3, 4);
        float[][] oneByOne;
        try (TrainingSession session = session(Fixtures.options().build())) {
            oneByOne = session.predict(five);
        }
        try (TrainingSession session =
                session(Fixtures.options().microBatch(4).batchSize(4).build())) {
            assertThat(session.predict(five)).isDeepEqualTo(oneByOne);
        }
    }

    @Test
    void moreWindowsThanTheDeviceHoldsAreEvaluatedInParts() {
        int channels = 8;
        int samples = 4000;
        Model model = Fixtures.network("wide", channels, samples, 0.25f);
        TrainingOptions options = Fixtures.options()
                .sampleFormat(SampleFormat.FLOAT32)
                .scheme(UpdateScheme.LAST_LAYER)
                .epochs(2)
                .build();
        Dataset few = Fixtures.windows(4, 3, channels, samples);
        int[] many = new int[300];
        Arrays.setAll(many, i -> i % few.size());
        // 300 windows of 128 000 bytes are more than the 32 MB of level 3.
        Dataset large = few.subset(many);
        try (TrainingSession session = device.newSession(model, options)) {
            session.upload(few);
            float[][] outputs = session.predict(few);

            float[][] all = session.predict(large);
            for (int i = 0; i < all.length; i++) {
                assertThat(all[i]).isEqualTo(outputs[i % few.size()]);
            }
            // The training samples had to go; fit brings them back.
            assertThat(session.fit().outcome()).isEqualTo(Outcome.COMPLETED);
        }
    }

    @Test
    void gradientsAndUpdateByHandEqualOneStepOfFit() {
        TrainingOptions options = Fixtures.options()
                .optimizer(Optimizer.sgd(0.1f))
                .schedule(Schedule.constant())
                .batchSize(30)
                .epochs(1)
                .shuffle(false)
                .build();
        Model plain = Fixtures.network().withoutDropout();
        Map<String, Tensor> fitted;
        try (TrainingSession session = device.newSession(plain, options)) {
            session.upload(TRAINING);
            session.fit();
            fitted = session.model().parameters();
        }
        try (TrainingSession session = device.newSession(plain, options)) {
            Gradients gradients = session.accumulate(TRAINING);
            assertThat(gradients.losses()).hasSize(30);
            assertThat(gradients.gradients())
                    .containsOnlyKeys(plain.parameters().keySet());
            session.update(0.1f);

            assertThat(session.model().parameters()).isEqualTo(fitted);
            Tensor bias = plain.parameters().get("fc.bias");
            Tensor gradient = gradients.gradients().get("fc.bias");
            for (int i = 0; i < 3; i++) {
                assertThat(fitted.get("fc.bias").data()[i])
                        .isCloseTo(bias.data()[i] - 0.1f * gradient.data()[i], within(1e-6f));
            }
        }
    }

    @Test
    void aSchemeTrainsWhatItNamesOnly() {
        TrainingOptions options = Fixtures.options()
                .scheme(UpdateScheme.parameters("norm.bias", "fc.bias"))
                .build();
        try (TrainingSession session = session(options)) {
            session.fit();

            Map<String, Tensor> before = Fixtures.network().parameters();
            Map<String, Tensor> after = session.model().parameters();
            assertThat(after.keySet().stream()
                            .filter(name -> !after.get(name).equals(before.get(name)))
                            .toList())
                    .containsExactly("norm.bias", "fc.bias");
            assertThat(session.plan().trainableParameters()).isEqualTo(4 + 3);
        }
    }

    @Test
    void regressionTakesTargets() {
        TrainingOptions options = Fixtures.options()
                .loss(Loss.MSE)
                .sampleFormat(SampleFormat.FLOAT32)
                .inputGradient(true)
                .build();
        try (TrainingSession session = device.newSession(Fixtures.network().withoutDropout(), options)) {
            float[] inputs = CounterRandom.normal(5, 0, 2 * 64);
            float[] targets = {1, 0, -1, 0.5f, 0.5f, 0};
            Samples samples = Samples.withTargets(2, inputs, targets);

            float[][] outputs = session.predict(samples);
            Gradients gradients = session.accumulate(samples);

            for (int i = 0; i < 2; i++) {
                float expected = 0;
                for (int j = 0; j < 3; j++) {
                    float difference = outputs[i][j] - targets[3 * i + j];
                    expected += difference * difference / 3;
                }
                assertThat(gradients.losses()[i]).isCloseTo(expected, within(1e-5f));
            }
            assertThat(gradients.gradients()).containsKey("window");
        }
    }

    @Test
    void tensorsAreReadAndWrittenByName() {
        try (TrainingSession session = session(Fixtures.options().build())) {
            assertThat(session.tensors())
                    .extracting(TensorInfo::name)
                    .contains("conv.weight", "gradient.conv.weight", "momentum.conv.weight");

            Tensor value = Tensor.of(new int[] {3}, 1, 2, 3);
            session.writeTensor("fc.bias", value);

            assertThat(session.readTensor("fc.bias")).isEqualTo(value);
            assertThat(session.model().parameters().get("fc.bias")).isEqualTo(value);
        }
    }

    @Test
    void theCountersCount() {
        try (TrainingSession session = session(Fixtures.options().epochs(1).build())) {
            session.fit();

            Statistics statistics = session.statistics();
            assertThat(statistics.updates()).isEqualTo(8);
            assertThat(statistics.microSteps()).isEqualTo(30);
            assertThat(statistics.bytesToDevice()).isGreaterThan(30 * 64 * 2);
            assertThat(statistics.l2HighWater()).isEqualTo(session.plan().l2PeakBytes());
        }
    }

    @Test
    void namesOfClassesThatTheDataDoNotHaveAreMadeUp() {
        Dataset two = Dataset.of(List.of("rest", "left"), 2, 32, new float[64], new int[] {1});
        try (TrainingSession session = session(Fixtures.options().build())) {
            assertThat(session.evaluate(two).classNames()).containsExactly("rest", "left", "class 2");
        }
    }
}
