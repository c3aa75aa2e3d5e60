package org.biotrain;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.biotrain.TrainingResult.Outcome;
import org.biotrain.data.Dataset;
import org.biotrain.internal.EvaluationEvent;
import org.biotrain.internal.Leaks;
import org.biotrain.internal.NativeSession;
import org.biotrain.internal.Safetensors;
import org.biotrain.internal.SampleStore;
import org.jspecify.annotations.Nullable;

/**
 * A model in training on a device. Made by {@link Device#newSession}.
 *
 * <p>A session belongs to the thread of its device: a call from another thread is a {@link WrongThreadException}, a call
 * after {@link #close} an {@link IllegalStateException}. {@link #stop} alone may be called from any thread.
 *
 * <p>The same model, samples, options and seed give the same losses and weights, bit by bit, on every device and with
 * any number of cores.
 */
public final class TrainingSession implements AutoCloseable {
    private static final List<String> OPTIMIZER_STATE = List.of("momentum.", "adam_m.", "adam_v.");
    private static final String GRADIENT = "gradient.";

    private final Device device;
    private final Model model;
    private final TrainingOptions options;
    private final NativeSession session;
    private final Leaks.Guard guard;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    private final PlanSummary plan;
    private final SampleStore store;
    private final TrainingHistory history = new TrainingHistory();

    private @Nullable Object trainingIdentity;
    private @Nullable Samples trainingSamples;
    /** The samples that a restored checkpoint was trained with. */
    private Checkpoint.@Nullable Progress restored;

    private boolean fitting;
    private volatile boolean stopRequested;

    TrainingSession(Device device, Model model, TrainingOptions options, NativeSession session) {
        this.device = device;
        this.model = model;
        this.options = options;
        this.session = session;
        this.guard = Leaks.guard(this, "A training session of " + model.name(), session::close);
        session.tensors().forEach(info -> tensors.put(info.name(), info));
        this.plan = session.plan();
        this.store = new SampleStore(session, rows(model.inputShape()));
    }

    /** Rows of an input that share a scale when samples travel as 16 bits: the channels of a window. */
    private static int rows(int[] shape) {
        return Arrays.stream(shape, 0, shape.length - 1).reduce(1, Math::multiplyExact);
    }

    /** The device that this session runs on. */
    public Device device() {
        return device;
    }

    /** The options that it was made with. */
    public TrainingOptions options() {
        return options;
    }

    /** What the planner decided. */
    public PlanSummary plan() {
        return plan;
    }

    /**
     * Uploads the windows to train on.
     *
     * @throws InvalidArgumentException if they do not have the shape of the model's input, or a label is none of its
     *     classes
     * @throws CapacityException if they do not fit the device
     */
    public void upload(Dataset dataset) {
        enter("upload");
        upload(dataset, checked(dataset));
    }

    /** Uploads the samples to train on; see {@link #upload(Dataset)}. */
    public void upload(Samples samples) {
        enter("upload");
        upload(samples, checked(samples));
    }

    private void upload(Object identity, Samples samples) {
        if (samples.size() == 0) {
            throw new InvalidArgumentException("There are no samples to train on; give at least one");
        }
        if (trainingSamples != null && history.steps() > 0) {
            throw new IllegalStateException("Training has begun, so its samples can't be replaced; open a session with"
                    + " session.model() to train on other samples");
        }
        requireRestoredSamples(samples);
        store.hold(identity, samples);
        trainingIdentity = identity;
        trainingSamples = samples;
    }

    private void requireRestoredSamples(Samples samples) {
        if (restored != null
                && restored.samples() > 0
                && (restored.samples() != samples.size() || restored.samplesCrc() != crc(samples))) {
            throw new InvalidArgumentException("The checkpoint was trained on " + restored.samples()
                    + " other samples than these " + samples.size() + ", so it could not go on bit by bit; upload the"
                    + " samples of then, or start a new training from checkpoint.parameters()");
        }
    }

    /**
     * Trains until all epochs are done or {@link #stop} is called. A further call goes on where the last one stopped, as
     * does a call after {@link #restore}, also in the middle of an epoch.
     *
     * <p>Each epoch takes the samples in a new order, which depends on the seed and the epoch only. The last step of an
     * epoch takes what is left, and averages over that, if it is a multiple of the micro-batch; otherwise these samples
     * are left out of the epoch.
     *
     * <p>After {@link #restore} of a checkpoint that was made when all epochs were done, it has the result at once.
     *
     * @param listeners told what happens, in this order
     * @throws IllegalStateException if no samples are uploaded, or all epochs are done
     * @throws NumericException if a loss is not finite; the weights are those before that step, but with
     *     {@link TrainingOptions#fusedUpdate} those after it: restore a checkpoint
     * @throws ListenerException if a listener threw an exception
     */
    public TrainingResult fit(TrainingListener... listeners) {
        enter("fit");
        if (trainingSamples == null || trainingIdentity == null) {
            throw new IllegalStateException("There are no samples to train on; call upload(dataset) before fit");
        }
        StepPlan steps = StepPlan.of(trainingSamples.size(), options);
        if (history.steps() >= steps.total() && (restored == null || restored.step() < steps.total())) {
            throw new IllegalStateException(
                    "All " + options.epochs() + " epochs are done; open a session with session.model() to train on");
        }
        stopRequested = false;
        fitting = true;
        try {
            int first = store.hold(trainingIdentity, trainingSamples);
            return new TrainingRun(this, steps, first, List.of(listeners)).run();
        } finally {
            fitting = false;
        }
    }

    /**
     * Ends the running {@link #fit} after the step in progress, or a few steps later where the device is ahead of its
     * link; all of them count. May be called from any thread and from listeners.
     */
    public void stop() {
        stopRequested = true;
    }

    /**
     * Evaluates the network, as it is now, on labelled windows. They are uploaded beside the training samples and stay
     * there for the next time, as far as there is room.
     *
     * @throws InvalidArgumentException if the windows do not have the shape of the model's input, a label is none of its
     *     classes, there is no window, or the session's loss is not cross-entropy
     */
    public Evaluation evaluate(Dataset dataset) {
        enter("evaluate");
        Samples samples = checked(dataset);
        if (options.loss() != Loss.CROSS_ENTROPY) {
            throw new InvalidArgumentException("An evaluation compares classes, but this session's loss is "
                    + options.loss() + "; open it with Loss.CROSS_ENTROPY, or use predict");
        }
        EvaluationEvent event = new EvaluationEvent();
        event.begin();
        Inference inference = infer(dataset, samples);
        double sum = 0;
        for (float loss : inference.losses) {
            sum += loss;
        }
        Evaluation evaluation = Evaluation.of(
                classNames(dataset),
                dataset.labels(),
                inference.outputs,
                samples.size() == 0 ? 0 : sum / samples.size());
        event.samples = evaluation.count();
        event.accuracy = evaluation.accuracy();
        event.loss = evaluation.loss();
        event.commit();
        return evaluation;
    }

    /** A network may have more classes than the data set names. */
    private List<String> classNames(Dataset dataset) {
        String[] names = new String[plan.outputElements()];
        Arrays.setAll(
                names,
                c -> c < dataset.classNames().size() ? dataset.classNames().get(c) : "class " + c);
        return List.of(names);
    }

    /**
     * The network's outputs, one array per window.
     *
     * @throws InvalidArgumentException if the windows do not have the shape of the model's input
     */
    public float[][] predict(Dataset dataset) {
        enter("predict");
        return infer(dataset, checked(dataset)).outputs;
    }

    /** The network's outputs, one array per sample. */
    public float[][] predict(Samples samples) {
        enter("predict");
        return infer(samples, checked(samples)).outputs;
    }

    /** The loss of each sample, without training. */
    public float[] losses(Samples samples) {
        enter("losses");
        return infer(samples, checked(samples)).losses;
    }

    @SuppressWarnings("ArrayRecordComponent") // filled in place
    private record Inference(float[][] outputs, float[] losses) {}

    private Inference infer(Object identity, Samples samples) {
        Inference inference = new Inference(new float[samples.size()][], new float[samples.size()]);
        if (samples.size() == 0) {
            return inference;
        }
        int room = store.room(identity, samples);
        if (room == samples.size()) {
            infer(store.hold(identity, samples), 0, samples.size(), inference);
        } else if (room == 0) {
            throw new CapacityException("Not a single sample of " + plan.inputElements()
                    + " values fits the device's store; use shorter windows, or 16-bit samples");
        } else {
            for (int from = 0; from < samples.size(); from += room) {
                int to = Math.min(samples.size(), from + room);
                infer(store.replace(samples, from, to), from, to, inference);
            }
        }
        return inference;
    }

    private void infer(int first, int from, int to, Inference inference) {
        // The device computes whole micro-batches; the last one repeats the last sample, and the copies are dropped.
        int micro = options.microBatch();
        int[] indices = new int[(to - from + micro - 1) / micro * micro];
        Arrays.setAll(indices, i -> first + Math.min(i, to - from - 1));
        float[] outputs = new float[Math.multiplyExact(indices.length, plan.outputElements())];
        float[] losses = new float[indices.length];
        session.evaluate(indices, outputs, losses);
        for (int i = 0; i < to - from; i++) {
            inference.outputs[from + i] =
                    Arrays.copyOfRange(outputs, i * plan.outputElements(), (i + 1) * plan.outputElements());
            inference.losses[from + i] = losses[i];
        }
    }

    /**
     * Computes the gradients of the mean loss over all these windows and leaves them on the device, for {@link #update}.
     *
     * @throws InvalidArgumentException if the windows do not have the shape of the model's input, or their number is not
     *     a multiple of the micro-batch
     * @throws IllegalStateException with {@link TrainingOptions#fusedUpdate}, which keeps no gradients
     */
    public Gradients accumulate(Dataset dataset) {
        enter("accumulate");
        return accumulate(dataset, checked(dataset));
    }

    /** Computes the gradients of the mean loss over all these samples; see {@link #accumulate(Dataset)}. */
    public Gradients accumulate(Samples samples) {
        enter("accumulate");
        return accumulate(samples, checked(samples));
    }

    private Gradients accumulate(Object identity, Samples samples) {
        if (samples.size() == 0 || samples.size() % options.microBatch() != 0) {
            throw new InvalidArgumentException(samples.size() + " samples are not a multiple of the micro-batch "
                    + options.microBatch() + "; give at least one whole micro-batch");
        }
        int first = store.hold(identity, samples);
        int[] indices = new int[samples.size()];
        Arrays.setAll(indices, i -> first + i);
        float[] losses = session.accumulate(indices);
        Map<String, Tensor> gradients = new LinkedHashMap<>();
        for (TensorInfo info : tensors.values()) {
            if (info.name().startsWith(GRADIENT)) {
                gradients.put(info.name().substring(GRADIENT.length()), read(info));
            }
        }
        return new Gradients(losses, gradients);
    }

    /** One optimizer update from the gradients that {@link #accumulate} left on the device. */
    public void update(float learningRate) {
        enter("update");
        Checks.notNegative("The learning rate", learningRate);
        session.update(learningRate);
    }

    /** The tensors that can be read and written by name. */
    public List<TensorInfo> tensors() {
        enter("tensors");
        return List.copyOf(tensors.values());
    }

    /**
     * Reads a tensor.
     *
     * @param name one of {@link #tensors}
     * @throws InvalidArgumentException if there is no tensor of that name
     */
    public Tensor readTensor(String name) {
        enter("readTensor");
        return read(info(name));
    }

    /**
     * Writes a tensor.
     *
     * @throws InvalidArgumentException if there is no tensor of that name or it has another number of elements
     */
    public void writeTensor(String name, Tensor tensor) {
        enter("writeTensor");
        write(info(name), tensor);
    }

    private TensorInfo info(String name) {
        TensorInfo info = tensors.get(name);
        if (info == null) {
            throw new InvalidArgumentException(
                    "The session has no tensor \"" + name + "\"; it has " + String.join(", ", tensors.keySet()));
        }
        return info;
    }

    private Tensor read(TensorInfo info) {
        int[] shape = info.shape().stream().mapToInt(Integer::intValue).toArray();
        return Tensor.of(shape, session.read(info.name(), info.elements()));
    }

    private void write(TensorInfo info, Tensor tensor) {
        if (tensor.elements() != info.elements()) {
            throw new InvalidArgumentException("The tensor \"" + info.name() + "\" has the shape " + info.shape()
                    + ", but the new value has " + Arrays.toString(tensor.shape()));
        }
        session.write(info.name(), tensor.data());
    }

    /** The model with its weights as they are now. */
    public Model model() {
        enter("model");
        return model.withParameters(parameters());
    }

    private Map<String, Tensor> parameters() {
        Map<String, Tensor> parameters = new LinkedHashMap<>();
        model.parameters().forEach((name, initial) -> {
            // A parameter that no layer reads is not on the device.
            TensorInfo info = tensors.get(name);
            parameters.put(name, info == null ? initial : read(info).reshape(initial.shape()));
        });
        return parameters;
    }

    /** Counters of memory, steps and transfers. */
    public Statistics statistics() {
        enter("statistics");
        return session.statistics();
    }

    /**
     * Counts the machine instructions of training and evaluation from now on, until {@link #endProfile}. The device then
     * lets one core work at a time, so that counts are exact.
     *
     * @throws UnsupportedException if the device can't count; {@code qemu:?icount=on} can
     */
    public void startProfile() {
        enter("startProfile");
        session.startProfile();
    }

    /** Ends counting: one entry for each kind of program instruction that was executed since {@link #startProfile}. */
    public List<ProfileEntry> endProfile() {
        enter("endProfile");
        return session.endProfile();
    }

    /** All that is needed to go on later, bit by bit, in another session. */
    public Checkpoint checkpoint() {
        enter("checkpoint");
        Statistics statistics = session.statistics();
        Map<String, Tensor> state = new LinkedHashMap<>();
        optimizerState().forEach(info -> state.put(info.name(), read(info)));
        int samples = 0;
        int crc = 0;
        if (trainingSamples != null) {
            samples = trainingSamples.size();
            crc = crc(trainingSamples);
        } else if (restored != null) {
            samples = restored.samples();
            crc = restored.samplesCrc();
        }
        return new Checkpoint(
                model.name(),
                options.toString(),
                new Checkpoint.Progress(history.steps(), statistics.microSteps(), statistics.updates(), samples, crc),
                parameters(),
                state,
                history.losses());
    }

    private List<TensorInfo> optimizerState() {
        return tensors.values().stream()
                .filter(info -> OPTIMIZER_STATE.stream()
                        .anyMatch(prefix -> info.name().startsWith(prefix)
                                && model.parameters().containsKey(info.name().substring(prefix.length()))))
                .toList();
    }

    /**
     * Goes back, or on, to a checkpoint of a session with the same model and options. The samples are not part of it:
     * {@link #upload} the same ones, before or after.
     *
     * @throws CheckpointException if the checkpoint is of another model or of other options
     * @throws InvalidArgumentException if the uploaded samples are not those of the checkpoint
     */
    public void restore(Checkpoint checkpoint) {
        enter("restore");
        if (fitting) {
            throw new IllegalStateException("restore can't be called by a listener; call it before or after fit");
        }
        requireSame(checkpoint);
        Checkpoint.Progress before = restored;
        restored = checkpoint.progress();
        try {
            if (trainingSamples != null) {
                requireRestoredSamples(trainingSamples);
            }
        } catch (InvalidArgumentException e) {
            restored = before;
            throw e;
        }
        checkpoint.parameters().forEach((name, tensor) -> {
            TensorInfo info = tensors.get(name);
            if (info != null) {
                write(info, tensor);
            }
        });
        checkpoint.optimizerState().forEach((name, tensor) -> write(info(name), tensor));
        session.setProgress(
                checkpoint.progress().microSteps(), checkpoint.progress().updates());
        history.replace(checkpoint.losses());
    }

    private void requireSame(Checkpoint checkpoint) {
        if (!checkpoint.options().equals(options.toString())) {
            throw new CheckpointException("The checkpoint was made with other options, so training could not go on bit"
                    + " by bit; it has " + checkpoint.options() + ", but this session has " + options
                    + "; use the same, or start a new training from checkpoint.parameters()");
        }
        requireShapes("parameters", shapes(model.parameters()), shapes(checkpoint.parameters()));
        checkpoint.parameters().forEach(this::requireSameIfFrozen);
        Map<String, List<Integer>> state = new TreeMap<>();
        optimizerState().forEach(info -> state.put(info.name(), info.shape()));
        requireShapes("optimizer state", state, shapes(checkpoint.optimizerState()));
    }

    /** A parameter that a pass compiled into the program can't get another value. */
    private void requireSameIfFrozen(String name, Tensor value) {
        TensorInfo info = tensors.get(name);
        if (info != null && info.level() == 0 && !Arrays.equals(read(info).data(), value.data())) {
            throw new CheckpointException("The checkpoint has another value of the frozen parameter " + name
                    + ", which a pass compiled into this session's program; open a session with the network of the"
                    + " checkpoint, or without the passes " + options.passes());
        }
    }

    private void requireShapes(String what, Map<String, List<Integer>> expected, Map<String, List<Integer>> found) {
        if (!expected.equals(found)) {
            Map<String, List<Integer>> missing = new TreeMap<>(expected);
            missing.entrySet().removeAll(found.entrySet());
            Map<String, List<Integer>> surplus = new TreeMap<>(found);
            surplus.entrySet().removeAll(expected.entrySet());
            throw new CheckpointException("The checkpoint does not belong to the model " + model.name() + ": of the "
                    + what + " it lacks " + missing + " and has instead " + surplus);
        }
    }

    private static Map<String, List<Integer>> shapes(Map<String, Tensor> tensors) {
        Map<String, List<Integer>> shapes = new TreeMap<>();
        tensors.forEach((name, tensor) ->
                shapes.put(name, Arrays.stream(tensor.shape()).boxed().toList()));
        return shapes;
    }

    /** Closes the session and frees what it has on the device. A second call does nothing. */
    @Override
    public void close() {
        device.checkThread();
        device.nativeDevice().refuseDuringCallback();
        if (fitting) {
            throw new IllegalStateException("close can't be called by a listener; call session.stop() instead");
        }
        guard.close();
    }

    private Samples checked(Dataset dataset) {
        int[] shape = model.inputShape();
        boolean window = shape.length == 2 || (shape.length == 3 && shape[0] == 1);
        int channels = shape.length < 2 ? 0 : shape[shape.length - 2];
        int length = shape[shape.length - 1];
        if (!window) {
            throw new InvalidArgumentException("The model " + model.name() + " takes inputs of shape "
                    + Arrays.toString(shape) + ", which are not windows of channels × samples; use Samples");
        }
        if (dataset.channels() != channels || dataset.samples() != length) {
            throw new InvalidArgumentException("The windows have " + dataset.channels() + " channels × "
                    + dataset.samples() + " samples, but the model " + model.name() + " takes " + channels + " × "
                    + length + "; select its channels, and cut windows of its length");
        }
        return checked(Samples.of(dataset));
    }

    private Samples checked(Samples samples) {
        int elements = plan.inputElements();
        if (samples.inputs().remaining() != (long) samples.size() * elements) {
            throw new InvalidArgumentException("Each sample has "
                    + samples.inputs().remaining() / samples.size() + " values, but the model " + model.name()
                    + " takes " + elements + " of shape " + Arrays.toString(model.inputShape()));
        }
        int[] labels = samples.labels();
        float[] targets = samples.targets();
        if (options.loss() == Loss.CROSS_ENTROPY) {
            requireLabels(labels);
        } else if (targets == null || targets.length != (long) samples.size() * plan.outputElements()) {
            throw new InvalidArgumentException("The loss " + options.loss() + " needs a target of "
                    + plan.outputElements() + " values per sample; use Samples.withTargets");
        }
        return samples;
    }

    private void requireLabels(int @Nullable [] labels) {
        if (labels == null) {
            throw new InvalidArgumentException("The loss cross-entropy needs a class label per sample, but these have"
                    + " targets; use Samples.labelled, or another loss");
        }
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] < 0 || labels[i] >= plan.outputElements()) {
                throw new InvalidArgumentException("Sample " + i + " has label " + labels[i] + ", but the model "
                        + model.name() + " has the classes 0 to " + (plan.outputElements() - 1)
                        + "; correct the label map, or use a model with more classes");
            }
        }
    }

    private void enter(String method) {
        device.checkThread();
        device.nativeDevice().refuseDuringCallback();
        if (fitting && (method.equals("fit") || method.equals("upload"))) {
            throw new IllegalStateException(method + " can't be called by a listener; call it before or after fit");
        }
        session.requireOpen();
    }

    String modelName() {
        return model.name();
    }

    NativeSession nativeSession() {
        return session;
    }

    TrainingHistory history() {
        return history;
    }

    boolean stopRequested() {
        return stopRequested;
    }

    /** See {@link TrainingResult#sha256}. */
    String sha256() {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
        digest.update(Safetensors.bytes(history.losses()));
        new TreeMap<>(parameters()).values().forEach(tensor -> digest.update(Safetensors.bytes(tensor.data())));
        return HexFormat.of().formatHex(digest.digest());
    }

    TrainingResult result(Outcome outcome, StepPlan steps, Duration duration) {
        return new TrainingResult(
                outcome,
                history.steps(),
                steps.total(),
                history.losses(),
                duration,
                outcome == Outcome.FAILED ? "" : sha256());
    }

    private static int crc(Samples samples) {
        CRC32C crc = new CRC32C();
        FloatBuffer inputs = samples.inputs();
        ByteBuffer bytes = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
        while (inputs.hasRemaining()) {
            int count = Math.min(inputs.remaining(), bytes.capacity() / Float.BYTES);
            bytes.clear();
            bytes.asFloatBuffer().put(inputs.slice(inputs.position(), count));
            inputs.position(inputs.position() + count);
            crc.update(bytes.limit(count * Float.BYTES));
        }
        int[] labels = samples.labels();
        if (labels != null) {
            ByteBuffer labelBytes =
                    ByteBuffer.allocate(labels.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            labelBytes.asIntBuffer().put(labels);
            crc.update(labelBytes);
        }
        float[] targets = samples.targets();
        if (targets != null) {
            crc.update(Safetensors.bytes(targets));
        }
        return (int) crc.getValue();
    }
}
