package org.biotrain;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.biotrain.internal.Safetensors;

/** Parameters by themselves, as safetensors files: float32, under the parameters' names. */
public final class Weights {
    private Weights() {}

    /**
     * Reads parameters, for {@link Model#withParameters}: from a file of weights, or from a {@link Checkpoint}, of which
     * it takes the parameters only. The file need not be trusted.
     *
     * @throws CheckpointException if the file can't be read, is damaged, or holds other types than float32
     */
    public static Map<String, Tensor> load(Path path) {
        Safetensors file = Safetensors.read(path);
        return Checkpoint.is(file) ? Checkpoint.of(path, file).parameters() : file.tensors();
    }

    /**
     * Writes parameters. The file appears whole or not at all.
     *
     * @throws CheckpointException if the file can't be written
     */
    public static void save(Map<String, Tensor> parameters, Path path) {
        new Safetensors(new LinkedHashMap<>(parameters), Map.of()).write(path);
    }
}
