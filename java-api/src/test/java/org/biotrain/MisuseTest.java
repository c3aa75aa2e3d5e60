package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatNoException;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.biotrain.TrainingResult.Outcome;
import org.biotrain.data.DataException;
import org.biotrain.data.Dataset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Wrong programs and wrong input get an exception that says what to do, and everything stays usable. */
class MisuseTest {
    private static final Dataset TRAINING = Fixtures.windows(30, 1);

    private Device device;
    private TrainingSession session;

    @BeforeEach
    void open() {
        device = Fixtures.device();
        session = device.newSession(Fixtures.network(), Fixtures.options().build());
    }

    @AfterEach
    void close() {
        device.close();
    }

    @Test
    void aClosedSessionSaysSo() {
        session.close();

        assertThatIllegalStateException().isThrownBy(() -> session.fit()).withMessageContaining("session is closed");
        assertThatIllegalStateException()
                .isThrownBy(() -> session.upload(TRAINING))
                .withMessageContaining("session is closed");
        assertThatIllegalStateException()
                .isThrownBy(() -> session.readTensor("fc.bias"))
                .withMessageContaining("session is closed");
        assertThatNoException().isThrownBy(session::close);
        assertThatNoException().isThrownBy(session::stop);
    }

    @Test
    void aClosedDeviceSaysSoAndTakesItsSessionAlong() {
        device.close();

        assertThatIllegalStateException()
                .isThrownBy(() -> device.info())
                .withMessageContaining("is closed")
                .withMessageContaining("sim:");
        assertThatIllegalStateException()
                .isThrownBy(() -> session.evaluate(TRAINING))
                .withMessageContaining("closed");
        assertThatNoException().isThrownBy(session::close);
        assertThatNoException().isThrownBy(device::close);
    }

    @Test
    void anotherThreadIsRefused() throws InterruptedException {
        List<Throwable> failures = new ArrayList<>();
        Thread other = new Thread(
                () -> {
                    failures.add(catchThrowable(() -> session.upload(TRAINING)));
                    failures.add(catchThrowable(() -> session.close()));
                    failures.add(catchThrowable(() -> device.info()));
                    failures.add(catchThrowable(() -> device.close()));
                },
                "other");
        other.start();
        other.join();

        assertThat(failures)
                .hasSize(4)
                .allSatisfy(failure -> assertThat(failure)
                        .isInstanceOf(WrongThreadException.class)
                        .hasMessageContaining("\"other\"")
                        .hasMessageContaining("open a device of its own"));
        assertThatNoException().isThrownBy(() -> session.upload(TRAINING));
    }

    @Test
    void stopIsForAnyThread() throws InterruptedException {
        Thread other = Thread.ofPlatform().start(session::stop);
        other.join();

        // It ends a running fit; there was none, so the next one is complete.
        session.upload(TRAINING);
        assertThat(session.fit().outcome()).isEqualTo(Outcome.COMPLETED);
    }

    @Test
    void aListenerThatThrowsStopsTheTrainingAndTheSessionGoesOn() {
        session.upload(TRAINING);
        Fixtures.Recorder after = new Fixtures.Recorder();
        RuntimeException mistake = new IllegalArgumentException("a bug in the listener");
        assertThatExceptionOfType(ListenerException.class)
                .isThrownBy(() -> session.fit(
                        new TrainingListener() {
                            @Override
                            public void onStep(StepEvent event) {
                                if (event.step() == 3) {
                                    throw mistake;
                                }
                            }
                        },
                        after))
                .withMessageContaining("onStep")
                .withMessageContaining("a bug in the listener")
                .withCause(mistake);
        assertThat(after.steps).hasSize(3);
        assertThat(after.results).extracting(TrainingResult::outcome).containsExactly(Outcome.FAILED);

        TrainingResult result = session.fit();
        assertThat(result.outcome()).isEqualTo(Outcome.COMPLETED);
        assertThat(result.losses()).hasSize(40);
    }

    @Test
    void anErrorInAListenerIsPassedOn() {
        session.upload(TRAINING);

        assertThatExceptionOfType(StackOverflowError.class)
                .isThrownBy(() -> session.fit(new TrainingListener() {
                    @Override
                    public void onStep(StepEvent event) {
                        throw new StackOverflowError("deep");
                    }
                }));
        assertThat(session.fit().outcome()).isEqualTo(Outcome.COMPLETED);
    }

    @Test
    void duringAStepAListenerCannotCallTheSession() {
        session.upload(TRAINING);
        AtomicReference<Throwable> evaluated = new AtomicReference<>();
        AtomicReference<Throwable> closed = new AtomicReference<>();
        AtomicReference<Throwable> closedDevice = new AtomicReference<>();
        session.fit(new TrainingListener() {
            @Override
            public void onStep(StepEvent event) {
                evaluated.set(catchThrowable(() -> session.evaluate(TRAINING)));
                closed.set(catchThrowable(() -> session.close()));
                closedDevice.set(catchThrowable(() -> device.close()));
            }
        });

        assertThat(List.of(evaluated.get(), closed.get(), closedDevice.get()))
                .allSatisfy(failure -> assertThat(failure)
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessageContaining("session.stop() only"));
    }

    @Test
    void aListenerCannotFitOrClose() {
        session.upload(TRAINING);
        assertThatExceptionOfType(ListenerException.class)
                .isThrownBy(() -> session.fit(new TrainingListener() {
                    @Override
                    public void onEpoch(EpochEvent event) {
                        session.close();
                    }
                }))
                .withMessageContaining("close can't be called by a listener");
        assertThatExceptionOfType(ListenerException.class)
                .isThrownBy(() -> session.fit(new TrainingListener() {
                    @Override
                    public void onBegin(TrainingSession begun) {
                        begun.fit();
                    }
                }))
                .withMessageContaining("fit can't be called by a listener");
    }

    @Test
    void closingTheDeviceInTheMiddleEndsTheTraining() {
        session.upload(TRAINING);

        assertThatIllegalStateException()
                .isThrownBy(() -> session.fit(new TrainingListener() {
                    @Override
                    public void onEpoch(EpochEvent event) {
                        device.close();
                    }
                }))
                .withMessageContaining("closed");
    }

    @Test
    void aDeviceRunsOneSession() {
        assertThatIllegalStateException()
                .isThrownBy(() ->
                        device.newSession(Fixtures.network(), Fixtures.options().build()))
                .withMessageContaining("close that session first");

        session.close();
        device.newSession(Fixtures.network(), Fixtures.options().build()).close();
    }

    @Test
    void fitNeedsSamplesAndEndsOnce() {
        assertThatIllegalStateException().isThrownBy(() -> session.fit()).withMessageContaining("call upload");

        session.upload(TRAINING);
        session.fit();
        assertThatIllegalStateException()
                .isThrownBy(() -> session.fit())
                .withMessageContaining("All 5 epochs are done");
        assertThatIllegalStateException()
                .isThrownBy(() -> session.upload(Fixtures.windows(8, 3)))
                .withMessageContaining("Training has begun");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "sim", "teleport:", "sim:?target=nobody", "sim:?cores=none", "sim:?colour=red"})
    void anAddressThatIsNotUnderstoodIsNamed(String uri) {
        assertThatExceptionOfType(BioTrainException.class)
                .isThrownBy(() -> Device.open(uri).close())
                .satisfies(failure -> assertThat(failure.getMessage()).hasSizeGreaterThan(20));
    }

    @Test
    void aTextWithNulIsRefused() {
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> Device.open("sim:\0?target=gap9"))
                .withMessageContaining("NUL");
    }

    @Test
    void samplesThatAreNotANumberAreRefused() {
        float[] data = new float[64];
        data[40] = Float.NaN;
        assertThatExceptionOfType(DataException.class)
                .isThrownBy(() -> Dataset.of(Fixtures.CLASSES, 2, 32, data, new int[] {0}))
                .withMessageContaining("NaN");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> Samples.labelled(data, new int[] {0}))
                .withMessageContaining("Value 40 of sample 0 is NaN");
    }

    @Test
    void windowsOfAnotherShapeAreRefused() {
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> session.upload(Fixtures.windows(3, 1, 3, 32)))
                .withMessageContaining("3 channels × 32 samples")
                .withMessageContaining("takes 2 × 32");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> session.evaluate(Fixtures.windows(3, 1, 2, 31)))
                .withMessageContaining("2 channels × 31 samples");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> session.predict(Samples.labelled(new float[10], new int[] {0})))
                .withMessageContaining("10 values")
                .withMessageContaining("takes 64");
    }

    @Test
    void labelsOutsideTheClassesAreRefused() {
        Dataset four = Dataset.of(List.of("a", "b", "c", "d"), 2, 32, new float[64], new int[] {3});
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> session.upload(four))
                .withMessageContaining("label 3")
                .withMessageContaining("classes 0 to 2");
    }

    @Test
    void noSamplesAreRefused() {
        Dataset none = TRAINING.subset();
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> session.upload(none))
                .withMessageContaining("at least one");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> session.evaluate(none))
                .withMessageContaining("no sample to evaluate");
        assertThat(session.predict(none)).isEmpty();
    }

    @Test
    void moreSamplesThanTheDeviceHoldsAreRefused() {
        session.close();
        Model wide = Fixtures.network("wide", 8, 4000, 0);
        TrainingOptions options = Fixtures.options()
                .sampleFormat(SampleFormat.FLOAT32)
                .scheme(UpdateScheme.LAST_LAYER)
                .build();
        try (TrainingSession wideSession = device.newSession(wide, options)) {
            assertThatExceptionOfType(CapacityException.class)
                    .isThrownBy(() -> wideSession.upload(Fixtures.windows(300, 1, 8, 4000)))
                    .withMessageContaining("300 samples do not fit")
                    .withMessageContaining("has room for");
        }
    }

    @Test
    void anUnknownTensorIsNamed() {
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> session.readTensor("conv.waight"))
                .withMessageContaining("conv.waight")
                .withMessageContaining("conv.weight");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> session.writeTensor("fc.bias", Tensor.filled(0, 4)))
                .withMessageContaining("fc.bias");
    }

    @Test
    void aDeviceThatCannotCountInstructionsSaysSo() {
        assertThatExceptionOfType(UnsupportedException.class)
                .isThrownBy(() -> session.startProfile())
                .withMessageContaining("qemu:?icount=on");
    }

    @Test
    void anUnknownParameterInTheSchemeIsNamed() {
        session.close();
        assertThatExceptionOfType(BioTrainException.class)
                .isThrownBy(() -> device.newSession(
                        Fixtures.network(),
                        Fixtures.options()
                                .scheme(UpdateScheme.parameters("nobody"))
                                .build()))
                .withMessageContaining("nobody");
    }

    @Test
    void optionsThatDoNotFitTogetherAreRefused() {
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> Fixtures.options().microBatch(3).build())
                .withMessageContaining("multiple of the micro-batch");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() ->
                        Fixtures.options().batchNorm(BatchNormMode.TRAINING).build())
                .withMessageContaining("micro-batch of at least 2");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> Optimizer.sgd(Float.NaN))
                .withMessageContaining("learning rate is NaN");
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> Optimizer.sgd(0.1f).nesterov(true))
                .withMessageContaining("momentum above 0");
    }

    @Test
    void aLossThatIsNotFiniteKeepsTheWeightsBeforeThatStep() {
        session.close();
        TrainingOptions steep = Fixtures.options()
                .optimizer(Optimizer.sgd(1e30f))
                .schedule(Schedule.constant())
                .build();
        try (TrainingSession diverging = device.newSession(Fixtures.network(), steep)) {
            diverging.upload(TRAINING);
            Fixtures.Recorder recorder = new Fixtures.Recorder();

            assertThatExceptionOfType(NumericException.class).isThrownBy(() -> diverging.fit(recorder));

            assertThat(recorder.steps)
                    .allSatisfy(step -> assertThat(step.loss()).isFinite());
            assertThat(recorder.results).extracting(TrainingResult::outcome).containsExactly(Outcome.FAILED);
            assertThat(diverging.statistics().updates()).isEqualTo(recorder.steps.size());
        }
    }
}
