package org.biotrain.onnx;

import java.util.List;
import org.biotrain.onnx.Value.Signal;
import org.jspecify.annotations.Nullable;

/**
 * What became of a node that computes a signal.
 *
 * @param inputs the node's inputs, null where absent
 * @param drafts the layers it became; none if it can't stand by itself
 * @param problem why it can't stand by itself, or null
 * @param shape the shape of its output without the batch dimension; null if unknown
 */
record Step(
        Node node,
        List<@Nullable Value> inputs,
        List<Draft> drafts,
        @Nullable String problem,
        @Nullable List<Integer> shape) {

    /** The layer that this node alone became, or null. */
    @Nullable
    Draft only() {
        return drafts.size() == 1 ? drafts.getFirst() : null;
    }

    /** Names of the signals that it reads. */
    List<String> reads() {
        List<@Nullable Value> read = drafts.isEmpty()
                ? inputs
                : drafts.stream()
                        .<@Nullable Value>flatMap(d -> d.signals().stream())
                        .toList();
        return read.stream()
                .filter(Signal.class::isInstance)
                .map(value -> ((Signal) value).name())
                .toList();
    }

    String output() {
        return node.output();
    }
}
