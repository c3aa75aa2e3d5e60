package org.biotrain.onnx;

/**
 * An integer of a shape computation: a number, or a multiple of the batch size, which is unknown.
 *
 * @param factor the number, or the factor of the batch size
 * @param batch whether it is a multiple of the batch size
 */
record Size(long factor, boolean batch) {
    static final Size BATCH = new Size(1, true);

    static Size of(long number) {
        return new Size(number, false);
    }

    /** The number; a batch size is refused. */
    long number() {
        if (batch) {
            throw new UnsupportedNodeException("it computes a number from the batch size, which must stay open");
        }
        return factor;
    }

    /** As {@link #number}, for numbers that become extents, axes or indices. */
    int index() {
        long number = number();
        if (number != (int) number) {
            throw new UnsupportedNodeException("the number " + number + " is out of range");
        }
        return (int) number;
    }

    Size times(Size other) {
        if (batch && other.batch) {
            throw new UnsupportedNodeException("it squares the batch size");
        }
        return new Size(Math.multiplyExact(factor, other.factor), batch || other.batch);
    }
}
