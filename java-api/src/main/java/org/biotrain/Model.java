package org.biotrain;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.biotrain.internal.NativeModels;
import org.biotrain.onnx.OnnxReader;
import org.biotrain.onnx.OnnxWriter;
import org.jspecify.annotations.Nullable;

/**
 * A network of one input and one output: layers in the order they are computed, and the parameters they read.
 * Immutable and safe to share between threads.
 *
 * <p>All tensors but the parameters have a batch dimension in front, which {@link #inputShape()} leaves out.
 */
public final class Model {
    /** The most dimensions a tensor may have, the batch included. */
    private static final int MAX_RANK = 5;

    private static final int MAX_NAME_BYTES = 255;

    private final String name;
    private final String inputName;
    private final int[] inputShape;
    private final String outputName;
    private final List<Layer> layers;
    private final Map<String, Tensor> parameters;

    private Model(
            String name,
            String inputName,
            int[] inputShape,
            String outputName,
            List<Layer> layers,
            Map<String, Tensor> parameters) {
        this.name = name;
        this.inputName = inputName;
        this.inputShape = inputShape;
        this.outputName = outputName;
        this.layers = List.copyOf(layers);
        this.parameters = Collections.unmodifiableMap(new LinkedHashMap<>(parameters));
    }

    /**
     * Reads an ONNX file as exporters write it, unfused, for training or for inference. Normalisations and activations
     * that an exporter spread over several nodes become one layer again. The file need not be trusted.
     *
     * @throws ModelException if the file can't be read, is damaged, or holds something unsupported; the message then
     *     lists all of it
     */
    public static Model load(Path path) {
        return OnnxReader.read(path);
    }

    /**
     * Starts a network.
     *
     * @param name the network's name
     * @param inputName the name of its input
     * @param inputShape the input's shape without the batch dimension, for example 1, channels, samples
     */
    public static Builder builder(String name, String inputName, int... inputShape) {
        return new Builder(name, inputName, inputShape);
    }

    /** The network's name. */
    public String name() {
        return name;
    }

    /** The name of the input. */
    public String inputName() {
        return inputName;
    }

    /** A copy of the input's shape, without the batch dimension. */
    public int[] inputShape() {
        return inputShape.clone();
    }

    /** The name of the value that the network computes: a layer's output. */
    public String outputName() {
        return outputName;
    }

    /** The layers, in an order in which they can be computed. */
    public List<Layer> layers() {
        return layers;
    }

    /** The parameters by name, batch normalisation's running statistics among them, in the order they were added. */
    public Map<String, Tensor> parameters() {
        return parameters;
    }

    /**
     * This network with other values for some or all of its parameters.
     *
     * @throws ModelException if the network has no such parameter or it has another shape
     */
    public Model withParameters(Map<String, Tensor> values) {
        Map<String, Tensor> changed = new LinkedHashMap<>(parameters);
        values.forEach((parameter, value) -> {
            Tensor old = changed.get(parameter);
            if (old == null) {
                throw new ModelException("The network " + name + " has no parameter " + parameter + "; it has "
                        + String.join(", ", parameters.keySet()));
            }
            if (!Arrays.equals(old.shape(), value.shape())) {
                throw new ModelException("The parameter " + parameter + " of the network " + name + " has the shape "
                        + Arrays.toString(old.shape()) + ", but the new value has "
                        + Arrays.toString(value.shape()));
            }
            changed.put(parameter, value);
        });
        return new Model(name, inputName, inputShape, outputName, layers, changed);
    }

    /** This network without its dropout layers. */
    public Model withoutDropout() {
        Map<String, String> source = new HashMap<>();
        List<Layer> kept = new ArrayList<>();
        for (Layer layer : layers) {
            List<String> inputs = layer.inputs().stream()
                    .map(input -> source.getOrDefault(input, input))
                    .toList();
            if (layer.op() == Op.DROPOUT) {
                source.put(layer.output(), inputs.getFirst());
            } else {
                kept.add(new Layer(layer.op(), layer.name(), inputs, layer.output(), layer.attributes()));
            }
        }
        return new Model(name, inputName, inputShape, source.getOrDefault(outputName, outputName), kept, parameters);
    }

    /**
     * This network with GroupNorm in place of every BatchNorm, so that it can train one sample at a time: the pass
     * {@link Pass#BATCH_NORM_TO_GROUP_NORM}. Scales and biases keep their names and get values with which the network
     * computes the same of a sample whose mean and variance over each group are those of the running statistics; the
     * running statistics are gone.
     *
     * @param groups of each GroupNorm; 1 is always possible
     * @throws InvalidArgumentException if the channels of a BatchNorm do not divide into so many groups
     * @throws UnsupportedException if a BatchNorm's scale or bias is computed, or read by other layers, too
     */
    public Model withGroupNorm(int groups) {
        Checks.atLeast("The number of groups", groups, 1);
        Map<String, Tensor> changed = new LinkedHashMap<>(parameters);
        changed.putAll(NativeModels.groupNormParameters(this, groups));
        List<Layer> converted = layers.stream()
                .map(layer -> layer.op() == Op.BATCH_NORM ? groupNorm(layer, groups) : layer)
                .toList();
        Set<String> statistics = new HashSet<>();
        layers.stream()
                .filter(layer -> layer.op() == Op.BATCH_NORM)
                .forEach(layer -> statistics.addAll(layer.inputs().subList(3, 5)));
        converted.forEach(layer -> layer.inputs().forEach(statistics::remove));
        changed.keySet().removeAll(statistics);
        return new Model(name, inputName, inputShape, outputName, converted, changed);
    }

    private static Layer groupNorm(Layer batchNorm, int groups) {
        return new Layer(
                Op.GROUP_NORM,
                batchNorm.name(),
                batchNorm.inputs().subList(0, 3),
                batchNorm.output(),
                batchNorm.attributes().withGroups(groups));
    }

    /**
     * Writes the network for inference, without dropout, as ONNX (opset 17) with a dynamic batch dimension N. The file
     * appears whole or not at all.
     *
     * @throws ModelException if the file can't be written
     */
    public void save(Path path) {
        OnnxWriter.write(withoutDropout(), path);
    }

    /**
     * Shapes, parameters and multiply-adds per layer.
     *
     * @throws ModelException if shapes do not fit together
     */
    public ModelSummary summary() {
        return NativeModels.summarize(this);
    }

    @Override
    public String toString() {
        return "Model " + name + Arrays.toString(inputShape) + ", " + layers.size() + " layers";
    }

    /** Puts a network together. Not thread-safe. */
    public static final class Builder {
        private final String name;
        private final String inputName;
        private final int[] inputShape;
        private final List<Layer> layers = new ArrayList<>();
        private final Map<String, Tensor> parameters = new LinkedHashMap<>();
        private final Set<String> values = new HashSet<>();

        private Builder(String name, String inputName, int... inputShape) {
            if (inputShape.length == 0 || inputShape.length >= MAX_RANK) {
                throw new ModelException("The input " + inputName + " has " + inputShape.length
                        + " dimensions besides the batch; 1 to " + (MAX_RANK - 1) + " are possible");
            }
            for (int extent : inputShape) {
                if (extent < 1) {
                    throw new ModelException("The input " + inputName + " has the shape " + Arrays.toString(inputShape)
                            + "; every extent must be at least 1");
                }
            }
            this.name = name;
            this.inputName = inputName;
            this.inputShape = inputShape.clone();
            declare(inputName);
        }

        /**
         * Adds a parameter.
         *
         * @return this builder
         * @throws ModelException if the name is taken or is not of 1 to 255 bytes
         */
        public Builder parameter(String parameter, Tensor value) {
            if (value.rank() > MAX_RANK) {
                throw new ModelException("The parameter " + parameter + " has " + value.rank() + " dimensions; at most "
                        + MAX_RANK + " are possible");
            }
            declare(parameter);
            parameters.put(parameter, value);
            return this;
        }

        /**
         * Adds a layer whose output has the layer's name.
         *
         * @param inputs the model's input, parameters or earlier outputs; "" for an absent optional operand
         * @return the name of the output
         * @throws ModelException if an input is unknown, or the operation takes fewer or more
         */
        public String layer(Op op, String layerName, Attributes attributes, String... inputs) {
            return layer(new Layer(op, layerName, List.of(inputs), layerName, attributes));
        }

        /** Adds a layer and returns the name of its output. */
        public String layer(Layer layer) {
            int count = layer.inputs().size();
            if (count < layer.op().leastInputs() || count > layer.op().mostInputs()) {
                throw new ModelException("The layer " + layer.name() + " has " + count + " inputs, but "
                        + layer.op() + " takes " + layer.op().leastInputs() + " to "
                        + layer.op().mostInputs());
            }
            for (int i = 0; i < count; i++) {
                String input = layer.inputs().get(i);
                boolean absent = input.isEmpty() && i >= layer.op().leastInputs();
                if (!absent && !values.contains(input)) {
                    throw new ModelException("The layer " + layer.name() + " reads \"" + input
                            + "\", which is neither the input, a parameter nor an earlier layer's output");
                }
            }
            declare(layer.output());
            layers.add(layer);
            return layer.output();
        }

        /**
         * Finishes the network.
         *
         * @param outputName the layer output that the network computes
         * @throws ModelException if no layer has that output
         */
        public Model build(String outputName) {
            @Nullable
            Layer last = layers.stream()
                    .filter(layer -> layer.output().equals(outputName))
                    .findFirst()
                    .orElse(null);
            if (last == null) {
                throw new ModelException(
                        "No layer of the network " + name + " computes its output \"" + outputName + "\"");
            }
            return new Model(name, inputName, inputShape, outputName, layers, parameters);
        }

        private void declare(String value) {
            int bytes = value.getBytes(StandardCharsets.UTF_8).length;
            if (bytes == 0 || bytes > MAX_NAME_BYTES) {
                throw new ModelException(
                        "The name \"" + value + "\" has " + bytes + " bytes; 1 to " + MAX_NAME_BYTES + " are possible");
            }
            if (!values.add(value)) {
                throw new ModelException("The name " + value + " is used twice; every input, parameter and layer output"
                        + " needs its own");
            }
        }
    }
}
