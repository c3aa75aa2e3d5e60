package org.biotrain;

import java.util.List;

/**
 * One operation of a network.
 *
 * @param op what it computes
 * @param name its name, for people
 * @param inputs its operands: the model's input, a parameter, or an earlier layer's output; "" is an absent optional
 *     operand
 * @param output the name of its result
 * @param attributes its settings
 */
public record Layer(Op op, String name, List<String> inputs, String output, Attributes attributes) {
    /** Copies the list. */
    public Layer {
        inputs = List.copyOf(inputs);
    }
}
