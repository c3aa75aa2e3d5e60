package org.biotrain.benchmarks;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.biotrain.Device;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** An empty command: from Java through the mailbox to the device and back. */
@State(Scope.Thread)
@SuppressWarnings("NullAway.Init") // JMH sets parameters and calls open before anything else
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class RoundTripBenchmark {
    /** The device's address. */
    @Param({"sim:", "qemu:"})
    public String uri;

    private Device device;

    /** Opens the device. */
    @Setup
    public void open() {
        device = Device.open(uri);
    }

    /** Closes it. */
    @TearDown
    public void close() {
        device.close();
    }

    /** The whole way, to be compared with the time that the native library measures and returns. */
    @Benchmark
    public Duration roundTrip() {
        return device.roundTrip();
    }
}
