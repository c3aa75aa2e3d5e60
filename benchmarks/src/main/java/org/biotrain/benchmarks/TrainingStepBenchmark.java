package org.biotrain.benchmarks;

import java.util.concurrent.TimeUnit;
import org.biotrain.CounterRandom;
import org.biotrain.Device;
import org.biotrain.Gradients;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.Samples;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.zoo.EpiDeNet;
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

/** One training step of EpiDeNet, eight windows, on the in-process device: gradients and update, called from Java. */
@State(Scope.Thread)
@SuppressWarnings("NullAway.Init") // JMH sets parameters and calls open before anything else
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class TrainingStepBenchmark {
    private static final int BATCH = 8;
    private static final float RATE = 1e-6f;

    /** The device's cores, which are threads here. */
    @Param({"1", "2"})
    public int cores;

    private Device device;
    private TrainingSession session;
    private Samples samples;

    /** Opens the session. */
    @Setup
    public void open() {
        Model model = EpiDeNet.published(2, 1000, 11).model("epidenet", 1);
        int[] labels = {0, 1, 2, 3, 4, 5, 6, 7};
        samples = Samples.labelled(CounterRandom.normal(1, 0, BATCH * 2 * 1000), labels);
        device = Device.open("sim:?target=gap9&cores=" + cores);
        session = device.newSession(
                model,
                TrainingOptions.builder()
                        .optimizer(Optimizer.sgd(RATE).momentum(0.9f))
                        .batchSize(BATCH)
                        .build());
    }

    /** Closes it. */
    @TearDown
    public void close() {
        session.close();
        device.close();
    }

    /** Gradients over eight windows, read back to Java, and one update. */
    @Benchmark
    public Gradients step() {
        Gradients gradients = session.accumulate(samples);
        session.update(RATE);
        return gradients;
    }
}
