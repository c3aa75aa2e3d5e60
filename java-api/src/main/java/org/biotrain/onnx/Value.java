package org.biotrain.onnx;

import java.util.List;
import org.biotrain.Tensor;
import org.jspecify.annotations.Nullable;

/** What is known about a value of the graph. */
sealed interface Value {
    /**
     * Computed from the network's input; its first dimension is the batch.
     *
     * @param name the name under which it is computed; another one after an Identity
     * @param shape without the batch dimension
     */
    record Signal(String name, List<Integer> shape) implements Value {}

    /**
     * A constant that may become a parameter.
     *
     * @param origin name of the initializer or constant whose elements these are, perhaps under another shape
     * @param tensor the elements
     * @param untransposed what this is the transpose of, if it is the transpose of a matrix
     */
    record Floats(String origin, Tensor tensor, @Nullable Floats untransposed) implements Value {
        Floats(String origin, Tensor tensor) {
            this(origin, tensor, null);
        }

        List<Integer> shape() {
            return Shapes.list(tensor.shape());
        }

        Floats reshape(List<Integer> shape) {
            return new Floats(origin, tensor.reshape(Shapes.array(shape)));
        }
    }

    /**
     * Integers or truth values (1 and 0) known at import, of shape computations or as settings.
     *
     * @param shape the extents; empty for a scalar
     * @param elements in row-major order
     */
    record Integers(List<Integer> shape, List<Size> elements) implements Value {
        public Integers {
            shape = List.copyOf(shape);
            elements = List.copyOf(elements);
        }

        static Integers vector(List<Size> elements) {
            return new Integers(List.of(elements.size()), elements);
        }

        int[] indices() {
            return elements.stream().mapToInt(Size::index).toArray();
        }
    }

    /** The result of a node that can't be converted; nothing is known about it. */
    record Unknown() implements Value {}
}
