package org.biotrain;

import java.util.List;

/**
 * A tensor of a session that has a name.
 *
 * @param name a parameter's name, {@code gradient.<parameter>}, or optimizer state: {@code momentum.<parameter>},
 *     {@code adam_m.<parameter>}, {@code adam_v.<parameter>}
 * @param shape its dimensions
 * @param bytes that its values take
 * @param level memory level of its home, 1 to 3; 0 for a frozen parameter that a pass compiled into the program
 */
public record TensorInfo(String name, List<Integer> shape, long bytes, int level) {
    /** Copies the list. */
    public TensorInfo {
        shape = List.copyOf(shape);
    }

    int elements() {
        return shape.stream().reduce(1, Math::multiplyExact);
    }
}
