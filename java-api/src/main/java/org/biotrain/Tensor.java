package org.biotrain;

import java.util.Arrays;

/**
 * A dense float32 array in row-major order. Immutable: arrays are copied in and out. Two tensors are equal if their
 * shapes and the bits of their elements are.
 *
 * @param shape the extent of each dimension, at least 1; empty for a scalar
 * @param data the elements, as many as the product of the extents
 */
@SuppressWarnings("ArrayRecordComponent") // copied in and out; equals, hashCode and toString look into the arrays
public record Tensor(int[] shape, float[] data) {

    /**
     * Copies the arrays.
     *
     * @throws IllegalArgumentException if an extent is below 1 or the number of elements does not fit the shape
     */
    public Tensor {
        shape = shape.clone();
        data = data.clone();
        long elements = 1;
        for (int extent : shape) {
            if (extent < 1) {
                throw new IllegalArgumentException("The shape " + Arrays.toString(shape)
                        + " has an extent below 1; every extent must be positive");
            }
            elements = Math.multiplyExact(elements, extent);
        }
        if (elements != data.length) {
            throw new IllegalArgumentException("A tensor of shape " + Arrays.toString(shape) + " has " + elements
                    + " elements, but " + data.length + " were given");
        }
    }

    /** A tensor of a shape with these elements. */
    public static Tensor of(int[] shape, float... data) {
        return new Tensor(shape, data);
    }

    /** A tensor of a shape with all elements equal. */
    public static Tensor filled(float value, int... shape) {
        float[] data =
                new float[Math.toIntExact(Arrays.stream(shape).asLongStream().reduce(1, Math::multiplyExact))];
        Arrays.fill(data, value);
        return new Tensor(shape, data);
    }

    /** A copy of the shape. */
    @Override
    public int[] shape() {
        return shape.clone();
    }

    /** A copy of the elements. */
    @Override
    public float[] data() {
        return data.clone();
    }

    /** Number of dimensions. */
    public int rank() {
        return shape.length;
    }

    /** Number of elements. */
    public int elements() {
        return data.length;
    }

    /** The same elements under another shape of equally many. */
    public Tensor reshape(int... newShape) {
        return new Tensor(newShape, data);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Tensor(int[] otherShape, float[] otherData)
                && Arrays.equals(shape, otherShape)
                && Arrays.equals(data, otherData);
    }

    @Override
    public int hashCode() {
        return 31 * Arrays.hashCode(shape) + Arrays.hashCode(data);
    }

    /** The shape; elements may be many. */
    @Override
    public String toString() {
        return "Tensor" + Arrays.toString(shape);
    }
}
