package org.biotrain.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.biotrain.InternalException;
import org.biotrain.PlanSummary;
import org.biotrain.ProfileEntry;
import org.biotrain.Statistics;
import org.biotrain.TensorInfo;
import org.biotrain.TrainingOptions;
import org.biotrain.ffi.biotrain_h;
import org.biotrain.ffi.bt_profile_entry;
import org.biotrain.ffi.bt_program_info;
import org.biotrain.ffi.bt_samples;
import org.biotrain.ffi.bt_statistics;
import org.biotrain.ffi.bt_step;
import org.biotrain.ffi.bt_step_fn;
import org.biotrain.ffi.bt_step_record;
import org.biotrain.ffi.bt_tensor_info;
import org.jspecify.annotations.Nullable;

/** A native session with its program. Arguments are checked by the callers; see {@link NativeDevice} for the locking. */
public final class NativeSession implements bt_step_fn.Function {
    /** Is told each step while native code trains; must not throw exceptions. */
    public interface StepHandler {
        /**
         * After one step.
         *
         * @return whether to go on; the device may be ahead, and then the steps that it has done follow all the same
         */
        boolean step(float loss, float learningRate, long cycles);
    }

    /** More kinds of instruction than a program can hold: opcodes are bytes. */
    private static final int MAX_PROFILE = 256;

    private final NativeDevice device;
    private final MemorySegment handle;
    private final MemorySegment program;
    private final TrainingOptions options;
    private final MemorySegment stepStub;
    private boolean freed;
    private @Nullable StepHandler handler;
    private @Nullable Throwable handlerFailure;

    NativeSession(NativeDevice device, MemorySegment handle, MemorySegment program, TrainingOptions options) {
        this.device = device;
        this.handle = handle;
        this.program = program;
        this.options = options;
        this.stepStub = bt_step_fn.allocate(this, Arena.ofAuto());
    }

    /** Frees the session, and tells whether it was open; see {@link Leaks.Resources}. */
    public boolean close(boolean leaked) {
        return device.close(this);
    }

    /** By the device, which holds the lock. */
    void free() {
        freed = true;
        biotrain_h.bt_session_close(handle);
        biotrain_h.bt_program_free(program);
    }

    private void enter() {
        device.enter();
        if (freed) {
            device.exit();
            throw new IllegalStateException(
                    "The session is closed; open another with device.newSession, from a checkpoint if it has to go on");
        }
    }

    /** Throws an exception if the session is closed. */
    public void requireOpen() {
        enter();
        exit();
    }

    private void exit() {
        device.exit();
    }

    /** What the planner decided. */
    public PlanSummary plan() {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = bt_program_info.allocate(arena);
            bt_program_info.struct_size(info, (int) bt_program_info.sizeof());
            Native.check(biotrain_h.bt_program_info_get(program, info));
            return new PlanSummary(
                    Integer.toUnsignedLong(bt_program_info.bytes(info)),
                    bt_program_info.instructions(info),
                    Integer.toUnsignedLong(bt_program_info.l1_peak_bytes(info)),
                    Integer.toUnsignedLong(bt_program_info.l2_peak_bytes(info)),
                    Integer.toUnsignedLong(bt_program_info.l3_peak_bytes(info)),
                    Integer.toUnsignedLong(bt_program_info.l2_lower_bound_bytes(info)),
                    Integer.toUnsignedLong(bt_program_info.persistent_bytes(info)),
                    bt_program_info.micro_batch(info),
                    bt_program_info.input_elements(info),
                    bt_program_info.output_elements(info),
                    Integer.toUnsignedLong(bt_program_info.trainable_parameters(info)),
                    bt_program_info.parameters(info),
                    bt_program_info.forward_macs(info),
                    bt_program_info.training_macs(info));
        } finally {
            exit();
        }
    }

    /**
     * Appends samples to the device's store.
     *
     * @param channels rows of a sample that share a scale
     * @param inputs sample after sample
     * @param labels one per sample, or null
     * @param targets one vector per sample, or null
     * @return the index of the first of them
     */
    public int upload(
            int count, int channels, FloatBuffer inputs, int @Nullable [] labels, float @Nullable [] targets) {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment samples = bt_samples.allocate(arena);
            bt_samples.struct_size(samples, (int) bt_samples.sizeof());
            bt_samples.count(samples, count);
            bt_samples.format(samples, NativeOptions.format(options.sampleFormat()));
            bt_samples.channels(samples, channels);
            bt_samples.inputs(
                    samples,
                    arena.allocateFrom(
                            ValueLayout.JAVA_FLOAT,
                            MemorySegment.ofBuffer(inputs),
                            ValueLayout.JAVA_FLOAT,
                            0,
                            inputs.remaining()));
            bt_samples.labels(
                    samples, labels == null ? MemorySegment.NULL : arena.allocateFrom(ValueLayout.JAVA_INT, labels));
            bt_samples.targets(
                    samples,
                    targets == null ? MemorySegment.NULL : arena.allocateFrom(ValueLayout.JAVA_FLOAT, targets));
            MemorySegment first = arena.allocate(biotrain_h.C_INT);
            Native.check(biotrain_h.bt_session_upload(handle, samples, first));
            return first.get(biotrain_h.C_INT, 0);
        } finally {
            exit();
        }
    }

    /** Empties the device's store. */
    public void clearSamples() {
        enter();
        try {
            Native.check(biotrain_h.bt_session_clear_samples(handle));
        } finally {
            exit();
        }
    }

    /** How many more samples the store takes. */
    public long capacity() {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(biotrain_h.C_INT);
            Native.check(biotrain_h.bt_session_capacity(handle, NativeOptions.format(options.sampleFormat()), out));
            return Integer.toUnsignedLong(out.get(biotrain_h.C_INT, 0));
        } finally {
            exit();
        }
    }

    /** Learning rates of the steps {@code first … first + count − 1} out of {@code total}. */
    public float[] learningRates(int first, int count, int total) {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nativeOptions = NativeOptions.of(options, arena);
            MemorySegment out = arena.allocate(biotrain_h.C_FLOAT);
            float[] rates = new float[count];
            for (int i = 0; i < count; i++) {
                Native.check(biotrain_h.bt_learning_rate(nativeOptions, (long) first + i, total, out));
                rates[i] = out.get(biotrain_h.C_FLOAT, 0);
            }
            return rates;
        } finally {
            exit();
        }
    }

    /**
     * Trains some steps.
     *
     * @param samples of each step
     * @param learningRates of each step
     * @param indices of the samples of all steps
     * @param stepHandler told each step; it may end the training
     */
    public void train(int[] samples, float[] learningRates, int[] indices, StepHandler stepHandler) {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment steps = bt_step.allocateArray(samples.length, arena);
            for (int i = 0; i < samples.length; i++) {
                MemorySegment step = bt_step.asSlice(steps, i);
                bt_step.samples(step, samples[i]);
                bt_step.learning_rate(step, learningRates[i]);
            }
            MemorySegment nativeIndices = arena.allocateFrom(ValueLayout.JAVA_INT, indices);
            handler = stepHandler;
            handlerFailure = null;
            device.calling(true);
            int status;
            try {
                status = biotrain_h.bt_session_train(
                        handle, steps, samples.length, nativeIndices, stepStub, MemorySegment.NULL);
            } finally {
                device.calling(false);
                handler = null;
            }
            if (handlerFailure != null) {
                throw new InternalException("The handler of training steps failed", handlerFailure);
            }
            if (status != biotrain_h.BT_ERROR_ABORTED()) {
                Native.check(status);
            }
        } finally {
            exit();
        }
    }

    @Override
    public int apply(MemorySegment user, MemorySegment record) {
        // Called by native code: an exception that left this method would end the JVM.
        try {
            StepHandler current = handler;
            if (current == null) {
                return 1;
            }
            return current.step(
                            bt_step_record.loss(record),
                            bt_step_record.learning_rate(record),
                            bt_step_record.cycles(record))
                    ? 0
                    : 1;
        } catch (Throwable e) {
            handlerFailure = e;
            return 1;
        }
    }

    /** Leaves the gradients of the mean loss on the device; returns the losses. */
    public float[] accumulate(int[] indices) {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment losses = arena.allocate(ValueLayout.JAVA_FLOAT, indices.length);
            Native.check(biotrain_h.bt_session_accumulate(
                    handle, arena.allocateFrom(ValueLayout.JAVA_INT, indices), indices.length, losses));
            return losses.toArray(ValueLayout.JAVA_FLOAT);
        } finally {
            exit();
        }
    }

    /** One optimizer update from the gradients on the device. */
    public void update(float learningRate) {
        enter();
        try {
            Native.check(biotrain_h.bt_session_update(handle, learningRate));
        } finally {
            exit();
        }
    }

    /**
     * Inference.
     *
     * @param outputs takes {@code indices.length} × output elements
     * @param losses takes {@code indices.length}
     */
    public void evaluate(int[] indices, float[] outputs, float[] losses) {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nativeOutputs = arena.allocate(ValueLayout.JAVA_FLOAT, outputs.length);
            MemorySegment nativeLosses = arena.allocate(ValueLayout.JAVA_FLOAT, losses.length);
            Native.check(biotrain_h.bt_session_evaluate(
                    handle,
                    arena.allocateFrom(ValueLayout.JAVA_INT, indices),
                    indices.length,
                    nativeOutputs,
                    nativeLosses));
            MemorySegment.copy(nativeOutputs, ValueLayout.JAVA_FLOAT, 0, outputs, 0, outputs.length);
            MemorySegment.copy(nativeLosses, ValueLayout.JAVA_FLOAT, 0, losses, 0, losses.length);
        } finally {
            exit();
        }
    }

    /** All tensors with a name. */
    public List<TensorInfo> tensors() {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = bt_tensor_info.allocate(arena);
            List<TensorInfo> tensors = new ArrayList<>();
            int count = biotrain_h.bt_session_tensor_count(handle);
            for (int i = 0; i < count; i++) {
                bt_tensor_info.struct_size(info, (int) bt_tensor_info.sizeof());
                Native.check(biotrain_h.bt_session_tensor_info(handle, i, info));
                List<Integer> shape = new ArrayList<>();
                for (int d = 0; d < bt_tensor_info.rank(info); d++) {
                    shape.add(bt_tensor_info.dims(info, d));
                }
                tensors.add(new TensorInfo(
                        Native.string(bt_tensor_info.name(info)),
                        shape,
                        Integer.toUnsignedLong(bt_tensor_info.bytes(info)),
                        bt_tensor_info.level(info)));
            }
            return List.copyOf(tensors);
        } finally {
            exit();
        }
    }

    /** Reads a tensor of so many elements. */
    public float[] read(String name, int elements) {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(ValueLayout.JAVA_FLOAT, elements);
            Native.check(biotrain_h.bt_session_read(handle, Native.string(arena, name), data, elements));
            return data.toArray(ValueLayout.JAVA_FLOAT);
        } finally {
            exit();
        }
    }

    /** Writes a tensor. */
    public void write(String name, float[] data) {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            Native.check(biotrain_h.bt_session_write(
                    handle, Native.string(arena, name), arena.allocateFrom(ValueLayout.JAVA_FLOAT, data), data.length));
        } finally {
            exit();
        }
    }

    /** Sets the counters of a resumed training. */
    public void setProgress(long microSteps, long updates) {
        enter();
        try {
            Native.check(biotrain_h.bt_session_set_progress(handle, microSteps, updates));
        } finally {
            exit();
        }
    }

    /** Starts counting instructions. */
    public void startProfile() {
        enter();
        try {
            Native.check(biotrain_h.bt_session_profile_begin(handle));
        } finally {
            exit();
        }
    }

    /** Ends counting. */
    public List<ProfileEntry> endProfile() {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment entries = bt_profile_entry.allocateArray(MAX_PROFILE, arena);
            MemorySegment count = arena.allocate(biotrain_h.C_INT);
            Native.check(biotrain_h.bt_session_profile_end(handle, entries, MAX_PROFILE, count));
            List<ProfileEntry> profile = new ArrayList<>();
            for (int i = 0; i < Math.min(MAX_PROFILE, count.get(biotrain_h.C_INT, 0)); i++) {
                MemorySegment entry = bt_profile_entry.asSlice(entries, i);
                profile.add(new ProfileEntry(
                        Native.string(bt_profile_entry.name(entry)),
                        bt_profile_entry.instructions(entry),
                        bt_profile_entry.critical(entry)));
            }
            return List.copyOf(profile);
        } finally {
            exit();
        }
    }

    /** Counters. */
    public Statistics statistics() {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = bt_statistics.allocate(arena);
            bt_statistics.struct_size(out, (int) bt_statistics.sizeof());
            Native.check(biotrain_h.bt_session_statistics(handle, out));
            return new Statistics(
                    Integer.toUnsignedLong(bt_statistics.l1_high_water(out)),
                    Integer.toUnsignedLong(bt_statistics.l2_high_water(out)),
                    Integer.toUnsignedLong(bt_statistics.l3_high_water(out)),
                    bt_statistics.micro_steps(out),
                    bt_statistics.updates(out),
                    bt_statistics.cycles(out),
                    bt_statistics.bytes_to_device(out),
                    bt_statistics.bytes_from_device(out),
                    Duration.ofNanos(bt_statistics.link_nanoseconds(out)));
        } finally {
            exit();
        }
    }
}
