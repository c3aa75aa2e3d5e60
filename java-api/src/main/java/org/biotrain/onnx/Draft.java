package org.biotrain.onnx;

import java.util.Arrays;
import java.util.List;
import org.biotrain.Attributes;
import org.biotrain.Op;
import org.biotrain.onnx.Value.Floats;
import org.biotrain.onnx.Value.Signal;
import org.jspecify.annotations.Nullable;

/**
 * A layer before its parameters have been added to the network.
 *
 * @param operands signals, constants that become parameters, or null where an optional operand is absent
 */
record Draft(Op op, String name, Attributes attributes, List<@Nullable Value> operands, String output) {

    static Draft of(Op op, String name, Attributes attributes, String output, @Nullable Value... operands) {
        return new Draft(op, name, attributes, Arrays.asList(operands), output);
    }

    List<Signal> signals() {
        return operands.stream()
                .filter(Signal.class::isInstance)
                .map(Signal.class::cast)
                .toList();
    }

    /** The parameter at a place, or null if it is absent. */
    @Nullable
    Floats parameter(int index) {
        return index < operands.size() && operands.get(index) instanceof Floats floats ? floats : null;
    }
}
