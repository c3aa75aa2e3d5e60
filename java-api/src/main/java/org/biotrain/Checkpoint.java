package org.biotrain;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.biotrain.internal.Safetensors;

/**
 * All that a training needs to go on, bit by bit as if it had never stopped: parameters, optimizer state, counters and
 * the position in the samples. Immutable.
 *
 * <p>The file is a safetensors file: {@code parameter/<name>}, {@code optimizer/<name>}, {@code training/loss} with the
 * loss of every step so far, and the counters as metadata.
 */
public final class Checkpoint {
    private static final String FORMAT = "biotrain-checkpoint-1";
    private static final String PARAMETER = "parameter/";
    private static final String OPTIMIZER = "optimizer/";
    private static final String LOSS = "training/loss";

    private final String modelName;
    private final String options;
    private final Progress progress;
    private final Map<String, Tensor> parameters;
    private final Map<String, Tensor> optimizerState;
    private final float[] losses;

    /**
     * Counters of a training.
     *
     * @param step optimizer steps done
     * @param microSteps micro-batches done, on which dropout depends
     * @param updates optimizer updates done, on which Adam depends
     * @param samples number of training samples; 0 if none were uploaded
     * @param samplesCrc checksum of these samples
     */
    record Progress(int step, long microSteps, long updates, int samples, int samplesCrc) {}

    Checkpoint(
            String modelName,
            String options,
            Progress progress,
            Map<String, Tensor> parameters,
            Map<String, Tensor> optimizerState,
            float[] losses) {
        this.modelName = modelName;
        this.options = options;
        this.progress = progress;
        this.parameters = Collections.unmodifiableMap(new LinkedHashMap<>(parameters));
        this.optimizerState = Collections.unmodifiableMap(new LinkedHashMap<>(optimizerState));
        this.losses = losses;
    }

    /**
     * Reads a checkpoint. The file need not be trusted.
     *
     * @throws CheckpointException if the file can't be read, is damaged, or is no checkpoint
     */
    public static Checkpoint load(Path path) {
        Safetensors file = Safetensors.read(path);
        if (!is(file)) {
            throw new CheckpointException("The file " + path
                    + " is no checkpoint but only tensors; load it with Weights.load and start a new training");
        }
        return of(path, file);
    }

    static boolean is(Safetensors file) {
        return FORMAT.equals(file.metadata().get("format"));
    }

    static Checkpoint of(Path path, Safetensors file) {
        Map<String, Tensor> parameters = new LinkedHashMap<>();
        Map<String, Tensor> optimizerState = new LinkedHashMap<>();
        float[] losses = {};
        for (Map.Entry<String, Tensor> entry : file.tensors().entrySet()) {
            String name = entry.getKey();
            if (name.startsWith(PARAMETER)) {
                parameters.put(name.substring(PARAMETER.length()), entry.getValue());
            } else if (name.startsWith(OPTIMIZER)) {
                optimizerState.put(name.substring(OPTIMIZER.length()), entry.getValue());
            } else if (name.equals(LOSS)) {
                losses = entry.getValue().data();
            } else {
                throw new CheckpointException(
                        "The checkpoint " + path + " is damaged: it holds an unknown tensor \"" + name + "\"");
            }
        }
        Progress progress = new Progress(
                (int) number(path, file, "step", Integer.MAX_VALUE),
                number(path, file, "micro_steps", Long.MAX_VALUE),
                number(path, file, "updates", Long.MAX_VALUE),
                (int) number(path, file, "samples", Integer.MAX_VALUE),
                (int) number(path, file, "samples_crc32c", 0xFFFF_FFFFL));
        Checkpoint checkpoint = new Checkpoint(
                text(path, file, "model"), text(path, file, "options"), progress, parameters, optimizerState, losses);
        if (losses.length != progress.step || checkpoint.crc() != (int) number(path, file, "crc32c", 0xFFFF_FFFFL)) {
            throw new CheckpointException("The checkpoint " + path
                    + " is damaged: its content does not have the checksum that it names; use an older checkpoint");
        }
        return checkpoint;
    }

    private static String text(Path path, Safetensors file, String key) {
        String value = file.metadata().get(key);
        if (value == null) {
            throw new CheckpointException("The checkpoint " + path + " is damaged: it does not say its " + key);
        }
        return value;
    }

    private static long number(Path path, Safetensors file, String key, long maximum) {
        String text = text(path, file, key);
        try {
            long value = Long.parseLong(text);
            if (value >= 0 && value <= maximum) {
                return value;
            }
        } catch (NumberFormatException _) {
            // Falls through to the same sentence.
        }
        throw new CheckpointException("The checkpoint " + path + " is damaged: its " + key + " is \"" + text
                + "\", but must be a number from 0 to " + maximum);
    }

    /**
     * Writes the checkpoint. The file appears whole or not at all; an older file of that name stays if writing fails.
     *
     * @throws CheckpointException if the file can't be written
     */
    public void save(Path path) {
        new Safetensors(tensors(), metadata()).write(path);
    }

    private Map<String, Tensor> tensors() {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        parameters.forEach((name, tensor) -> tensors.put(PARAMETER + name, tensor));
        optimizerState.forEach((name, tensor) -> tensors.put(OPTIMIZER + name, tensor));
        if (losses.length > 0) {
            tensors.put(LOSS, Tensor.of(new int[] {losses.length}, losses));
        }
        return tensors;
    }

    private Map<String, String> metadata() {
        Map<String, String> metadata = counters();
        metadata.put("crc32c", Long.toString(Integer.toUnsignedLong(crc())));
        return metadata;
    }

    private Map<String, String> counters() {
        Map<String, String> counters = new TreeMap<>();
        counters.put("format", FORMAT);
        counters.put("model", modelName);
        counters.put("options", options);
        counters.put("step", Integer.toString(progress.step));
        counters.put("micro_steps", Long.toString(progress.microSteps));
        counters.put("updates", Long.toString(progress.updates));
        counters.put("samples", Integer.toString(progress.samples));
        counters.put("samples_crc32c", Long.toString(Integer.toUnsignedLong(progress.samplesCrc)));
        return counters;
    }

    /** Over everything else that the file holds, so that no changed bit passes for a training. */
    private int crc() {
        CRC32C crc = new CRC32C();
        crc.update(counters().toString().getBytes(StandardCharsets.UTF_8));
        new TreeMap<>(tensors()).forEach((name, tensor) -> {
            crc.update((name + Arrays.toString(tensor.shape())).getBytes(StandardCharsets.UTF_8));
            crc.update(Safetensors.bytes(tensor.data()));
        });
        return (int) crc.getValue();
    }

    /** The name of the model that was trained. */
    public String modelName() {
        return modelName;
    }

    /** The options of the training, as text. */
    public String options() {
        return options;
    }

    /** Optimizer steps done. */
    public int step() {
        return progress.step;
    }

    /** The parameters, for {@link Model#withParameters}. */
    public Map<String, Tensor> parameters() {
        return parameters;
    }

    /** The mean loss of every step so far. */
    public float[] losses() {
        return losses.clone();
    }

    Map<String, Tensor> optimizerState() {
        return optimizerState;
    }

    Progress progress() {
        return progress;
    }

    @Override
    public String toString() {
        return "Checkpoint of " + modelName + " after step " + progress.step;
    }
}
