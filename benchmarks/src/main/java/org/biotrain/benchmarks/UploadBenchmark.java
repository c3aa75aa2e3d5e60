package org.biotrain.benchmarks;

import java.util.concurrent.TimeUnit;
import org.biotrain.CounterRandom;
import org.biotrain.Device;
import org.biotrain.Model;
import org.biotrain.SampleFormat;
import org.biotrain.Samples;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.zoo.MiBmiNet;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Sixty EEG windows of 8 channels × 1900 samples go up to the device: conversion, transfer, checksums, device's copy. */
@State(Scope.Thread)
@SuppressWarnings("NullAway.Init") // JMH sets parameters and calls open before anything else
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 5)
@Measurement(iterations = 15)
public class UploadBenchmark {
    private static final int WINDOWS = 60;
    private static final int CHANNELS = 8;
    private static final int LENGTH = 1900;

    /** The device's address. */
    @Param({"sim:", "qemu:"})
    public String uri;

    /** How the windows travel. */
    @Param
    public SampleFormat format;

    private Device device;
    private TrainingSession session;
    private Samples samples;

    /** A new session, since a session does not send the same samples twice. */
    @Setup(Level.Iteration)
    public void open() {
        Model model = MiBmiNet.f8(CHANNELS, LENGTH, 2).model("mibminet", 1);
        samples = Samples.labelled(CounterRandom.normal(1, 0, WINDOWS * CHANNELS * LENGTH), new int[WINDOWS]);
        device = Device.open(uri);
        session = device.newSession(
                model, TrainingOptions.builder().sampleFormat(format).build());
    }

    /** Closes it. */
    @TearDown(Level.Iteration)
    public void close() {
        session.close();
        device.close();
    }

    /** The whole upload. */
    @Benchmark
    public void upload() {
        session.upload(samples);
    }
}
