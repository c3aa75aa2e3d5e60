package org.biotrain.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.biotrain.Attributes;
import org.biotrain.InternalException;
import org.biotrain.Layer;
import org.biotrain.Model;
import org.biotrain.ModelSummary;
import org.biotrain.ModelSummary.LayerSummary;
import org.biotrain.Op;
import org.biotrain.Tensor;
import org.biotrain.ffi.biotrain_h;
import org.biotrain.ffi.bt_attributes;
import org.biotrain.ffi.bt_node_info;

/** Builds the native counterpart of a {@link Model}. */
public final class NativeModels {
    private NativeModels() {}

    /** Shapes, parameters and multiply-adds per layer, as the native library counts them. */
    public static ModelSummary summarize(Model model) {
        Native.load();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = build(model, arena);
            try {
                return summarize(handle, arena);
            } finally {
                biotrain_h.bt_model_free(handle);
            }
        }
    }

    private static ModelSummary summarize(MemorySegment handle, Arena arena) {
        MemorySegment info = bt_node_info.allocate(arena);
        List<LayerSummary> layers = new ArrayList<>();
        long parameters = 0;
        long macs = 0;
        int nodes = biotrain_h.bt_model_node_count(handle);
        for (int i = 0; i < nodes; i++) {
            bt_node_info.struct_size(info, (int) bt_node_info.sizeof());
            Native.check(biotrain_h.bt_model_node_info(handle, i, info));
            List<Integer> shape = new ArrayList<>();
            for (int d = 0; d < bt_node_info.rank(info); d++) {
                shape.add(bt_node_info.dims(info, d));
            }
            layers.add(new LayerSummary(
                    op(bt_node_info.op(info)),
                    Native.string(bt_node_info.name(info)),
                    shape,
                    bt_node_info.parameters(info),
                    bt_node_info.macs(info)));
            parameters += bt_node_info.parameters(info);
            macs += bt_node_info.macs(info);
        }
        return new ModelSummary(layers, parameters, macs);
    }

    /** Scales and biases with which GroupNorm computes what the network's BatchNorms do; see bt_model_group_norm. */
    public static Map<String, Tensor> groupNormParameters(Model model, int groups) {
        Native.load();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = build(model, arena);
            try {
                MemorySegment out = arena.allocate(biotrain_h.C_POINTER);
                Native.check(biotrain_h.bt_model_group_norm(handle, groups, out));
                MemorySegment converted = out.get(biotrain_h.C_POINTER, 0);
                try {
                    return groupNormParameters(model, converted, arena);
                } finally {
                    biotrain_h.bt_model_free(converted);
                }
            } finally {
                biotrain_h.bt_model_free(handle);
            }
        }
    }

    private static Map<String, Tensor> groupNormParameters(Model model, MemorySegment converted, Arena arena) {
        Map<String, Tensor> parameters = new LinkedHashMap<>();
        for (Layer layer : model.layers()) {
            for (int i = 1; layer.op() == Op.BATCH_NORM && i <= 2; i++) {
                String name = layer.inputs().get(i);
                Tensor old = Objects.requireNonNull(model.parameters().get(name));
                MemorySegment data = arena.allocate(ValueLayout.JAVA_FLOAT, old.elements());
                Native.check(
                        biotrain_h.bt_model_parameter_get(converted, Native.string(arena, name), data, old.elements()));
                parameters.put(name, Tensor.of(old.shape(), data.toArray(ValueLayout.JAVA_FLOAT)));
            }
        }
        return parameters;
    }

    static Op op(int number) {
        for (Op op : Op.values()) {
            if (op.number() == number) {
                return op;
            }
        }
        throw new InternalException("The native library knows an operation number " + number
                + " that this version of the Java library does not");
    }

    /** The native model; the caller frees it. */
    static MemorySegment build(Model model, Arena arena) {
        MemorySegment out = arena.allocate(biotrain_h.C_POINTER);
        Native.check(biotrain_h.bt_model_create(out));
        MemorySegment handle = out.get(biotrain_h.C_POINTER, 0);
        boolean complete = false;
        try {
            fill(handle, model);
            complete = true;
            return handle;
        } finally {
            if (!complete) {
                biotrain_h.bt_model_free(handle);
            }
        }
    }

    private static void fill(MemorySegment handle, Model model) {
        Map<String, Integer> values = new HashMap<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(biotrain_h.C_INT);
            int[] shape = model.inputShape();
            int[] withBatch = new int[shape.length + 1];
            withBatch[0] = 1;
            System.arraycopy(shape, 0, withBatch, 1, shape.length);
            Native.check(biotrain_h.bt_model_add_input(
                    handle, Native.string(arena, model.inputName()), withBatch.length, ints(arena, withBatch), value));
            values.put(model.inputName(), value.get(biotrain_h.C_INT, 0));
            model.parameters().forEach((name, tensor) -> {
                // Of their own, so that a large network is not in memory a third time.
                try (Arena copy = Arena.ofConfined()) {
                    Native.check(biotrain_h.bt_model_add_parameter(
                            handle,
                            Native.string(copy, name),
                            tensor.rank(),
                            ints(copy, tensor.shape()),
                            copy.allocateFrom(ValueLayout.JAVA_FLOAT, tensor.data()),
                            value));
                }
                values.put(name, value.get(biotrain_h.C_INT, 0));
            });
            for (Layer layer : model.layers()) {
                Native.check(biotrain_h.bt_model_add_node(
                        handle,
                        layer.op().number(),
                        Native.string(arena, layer.name()),
                        operands(arena, layer, values),
                        layer.inputs().size(),
                        attributes(arena, layer.attributes()),
                        value));
                values.put(layer.output(), value.get(biotrain_h.C_INT, 0));
            }
            Native.check(biotrain_h.bt_model_set_output(handle, known(values, model.outputName())));
        }
    }

    private static MemorySegment operands(Arena arena, Layer layer, Map<String, Integer> values) {
        int[] operands = new int[layer.inputs().size()];
        for (int i = 0; i < operands.length; i++) {
            String input = layer.inputs().get(i);
            operands[i] = input.isEmpty() ? biotrain_h.BT_NO_VALUE() : known(values, input);
        }
        return ints(arena, operands);
    }

    private static int known(Map<String, Integer> values, String name) {
        Integer value = values.get(name);
        if (value == null) {
            throw new InternalException("The model refers to \"" + name + "\" before anything defines it");
        }
        return value;
    }

    private static MemorySegment attributes(Arena arena, Attributes attributes) {
        MemorySegment out = bt_attributes.allocate(arena);
        Native.check(biotrain_h.bt_attributes_default(out));
        int flags = (attributes.countIncludePad() ? biotrain_h.BT_ATTRIBUTE_COUNT_INCLUDE_PAD() : 0)
                | (attributes.transposedWeight() ? biotrain_h.BT_ATTRIBUTE_TRANSPOSED_WEIGHT() : 0)
                | (attributes.tanhApproximation() ? biotrain_h.BT_ATTRIBUTE_TANH_APPROXIMATION() : 0);
        bt_attributes.flags(out, flags);
        put(bt_attributes.kernel(out), attributes.kernel());
        put(bt_attributes.strides(out), attributes.strides());
        put(bt_attributes.pads(out), attributes.pads());
        put(bt_attributes.dilations(out), attributes.dilations());
        bt_attributes.groups(out, attributes.groups());
        bt_attributes.axis(out, attributes.axis());
        bt_attributes.alpha(out, attributes.alpha());
        bt_attributes.epsilon(out, attributes.epsilon());
        bt_attributes.momentum(out, attributes.momentum());
        bt_attributes.ratio(out, attributes.ratio());
        bt_attributes.rank(out, attributes.dims().size());
        put(
                bt_attributes.dims(out),
                attributes.dims().subList(0, Math.min(attributes.dims().size(), biotrain_h.BT_MAX_RANK())));
        return out;
    }

    private static void put(MemorySegment array, List<Integer> values) {
        for (int i = 0; i < values.size(); i++) {
            array.setAtIndex(ValueLayout.JAVA_INT, i, values.get(i));
        }
    }

    private static MemorySegment ints(Arena arena, int[] values) {
        // Never of length 0: the library refuses NULL, and a scalar has no dimensions.
        MemorySegment out = arena.allocate(ValueLayout.JAVA_INT, Math.max(1, values.length));
        MemorySegment.copy(values, 0, out, ValueLayout.JAVA_INT, 0, values.length);
        return out;
    }
}
