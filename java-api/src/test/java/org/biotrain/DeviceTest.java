package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class DeviceTest {
    /** The library's module, in which tests run, knows no log implementation. */
    @BeforeAll
    static void readTheLogImplementation() {
        for (String module : List.of("ch.qos.logback.core", "ch.qos.logback.classic")) {
            DeviceTest.class
                    .getModule()
                    .addReads(ModuleLayer.boot().findModule(module).orElseThrow());
        }
    }

    @Test
    void aDeviceSaysWhatItIs() {
        try (Device device = Device.open("sim:?target=gap9&cores=3")) {
            DeviceInfo info = device.info();

            assertThat(info.link()).isEqualTo("sim");
            assertThat(info.target()).isEqualTo("gap9");
            assertThat(info.cores()).isEqualTo(3);
            assertThat(info.l1Bytes()).isBetween(64L << 10, 128L << 10);
            assertThat(info.l2Bytes()).isBetween(512L << 10, 1536L << 10);
            assertThat(info.l3Bytes()).isBetween(16L << 20, 32L << 20);
            assertThat(info.kernels()).isNotEmpty();
            assertThat(device.uri()).isEqualTo("sim:?target=gap9&cores=3");
        }
    }

    @Test
    void theRoundTripIsMeasured() {
        try (Device device = Fixtures.device()) {
            assertThat(device.roundTrip()).isBetween(Duration.ofNanos(1), Duration.ofSeconds(5));
        }
    }

    @Test
    void devicesAreIndependent() {
        try (Device first = Fixtures.device();
                Device second = Fixtures.device();
                TrainingSession one =
                        first.newSession(Fixtures.network(), Fixtures.options().build());
                TrainingSession two =
                        second.newSession(Fixtures.network(), Fixtures.options().build())) {
            one.writeTensor("fc.bias", Tensor.filled(1, 3));

            assertThat(two.readTensor("fc.bias")).isEqualTo(Tensor.filled(0, 3));
        }
    }

    @Test
    void theNativeLogGoesToSlf4j() {
        try (Log log = new Log("org.biotrain.native")) {
            DeviceOptions options = DeviceOptions.defaults().withLogLevel(DeviceOptions.LogLevel.DEBUG);
            try (Device device = Device.open("sim:?target=gap9", options);
                    TrainingSession session = device.newSession(
                            Fixtures.network(), Fixtures.options().build())) {
                assertThat(session.plan().instructions()).isPositive();
            }
            assertThat(log.messages())
                    .isNotEmpty()
                    .allSatisfy(message -> assertThat(message).isNotBlank());
        }
    }

    @Test
    void whatNobodyClosedIsReportedWithThePlaceAndFreed() throws InterruptedException {
        try (Log log = new Log("org.biotrain.leaks")) {
            forgetASession();
            await(() -> log.messages().size() >= 2);

            assertThat(log.messages())
                    .anySatisfy(
                            message -> assertThat(message).startsWith("A training session of small was never closed"))
                    .anySatisfy(
                            message -> assertThat(message).startsWith("The device sim:?target=gap9 was never closed"));
            assertThat(log.events())
                    .allSatisfy(event -> assertThat(event.getThrowableProxy().getStackTraceElementProxyArray())
                            .anySatisfy(element ->
                                    assertThat(element.getSTEAsString()).contains("forgetASession")));
        }
    }

    private static void forgetASession() {
        TrainingSession session = Fixtures.device()
                .newSession(Fixtures.network(), Fixtures.options().build());
        session.upload(Fixtures.windows(8, 1));
    }

    @Test
    void whatWasClosedIsNotReported() throws InterruptedException {
        try (Log log = new Log("org.biotrain.leaks")) {
            Fixtures.device().close();
            // A leak that is reported after it shows that the reports are up to date.
            forgetASession();
            await(() -> log.messages().size() >= 2);

            assertThat(log.messages()).hasSize(2);
        }
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (!condition.getAsBoolean() && System.nanoTime() < deadline) {
            System.gc();
            Thread.sleep(20);
        }
        assertThat(condition.getAsBoolean()).isTrue();
    }

    @Test
    void aTimeoutMustMakeSense() {
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> DeviceOptions.defaults().withTimeout(Duration.ofDays(2)))
                .withMessageContaining("between 0");
    }

    /** Listens to one logger. */
    private static final class Log implements AutoCloseable {
        private final Logger logger;
        private final ListAppender<ILoggingEvent> appender = new ListAppender<>();

        Log(String name) {
            logger = (Logger) LoggerFactory.getLogger(name);
            logger.setLevel(Level.DEBUG);
            logger.setAdditive(false);
            appender.start();
            logger.addAppender(appender);
        }

        synchronized List<ILoggingEvent> events() {
            return List.copyOf(appender.list);
        }

        List<String> messages() {
            return events().stream().map(ILoggingEvent::getFormattedMessage).toList();
        }

        @Override
        public void close() {
            logger.detachAppender(appender);
            logger.setAdditive(true);
            logger.setLevel(null);
        }
    }
}
