package org.biotrain.cli.verify;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import org.biotrain.Tensor;
import org.biotrain.data.Npz;

/**
 * One case of a manifest with its arrays.
 *
 * @param name its name
 * @param kind what it is a case of
 * @param attributes its settings
 * @param arrays its inputs and reference results
 */
record GoldenCase(String name, String kind, JsonNode attributes, Npz arrays) {
    boolean has(String array) {
        return arrays.has(array);
    }

    float[] floats(String array) {
        return arrays.array(array).toFloats();
    }

    int[] ints(String array) {
        return arrays.array(array).toInts();
    }

    int[] shape(String array) {
        return arrays.array(array).shape();
    }

    Tensor tensor(String array) {
        return Tensor.of(shape(array), floats(array));
    }

    /** Entry {@code index} of the first dimension. */
    Tensor slice(String array, int index) {
        int[] shape = Arrays.copyOfRange(shape(array), 1, shape(array).length);
        int length = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        return Tensor.of(shape, Arrays.copyOfRange(floats(array), index * length, (index + 1) * length));
    }

    private JsonNode required(String attribute) {
        JsonNode value = attributes.get(attribute);
        if (value == null) {
            throw new CaseException("The manifest gives no " + attribute + " for this case");
        }
        return value;
    }

    float number(String attribute) {
        return (float) required(attribute).asDouble();
    }

    int integer(String attribute) {
        return required(attribute).asInt();
    }

    boolean flag(String attribute) {
        return required(attribute).asBoolean();
    }

    String text(String attribute) {
        return required(attribute).asText();
    }

    int integer(String attribute, int index) {
        JsonNode value = required(attribute).get(index);
        if (value == null) {
            throw new CaseException("The manifest gives fewer values of " + attribute + " than " + (index + 1));
        }
        return value.asInt();
    }
}
