package org.biotrain.onnx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** Computing with shapes. */
final class Shapes {
    private Shapes() {}

    static List<Integer> list(int... shape) {
        return Arrays.stream(shape).boxed().toList();
    }

    static int[] array(List<Integer> shape) {
        return shape.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Product of the extents. */
    static long elements(List<Integer> shape) {
        return shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact);
    }

    /** An axis of a tensor of some rank, counted from the front. */
    static int axis(long axis, int rank) {
        if (axis < -rank || axis >= rank) {
            throw new UnsupportedNodeException("its axis " + axis + " does not exist in " + rank + " dimensions");
        }
        return (int) (axis < 0 ? axis + rank : axis);
    }

    /** NumPy's broadcasting of two shapes. */
    static List<Integer> broadcast(List<Integer> a, List<Integer> b) {
        List<Integer> result = new ArrayList<>();
        for (int i = 0; i < Math.max(a.size(), b.size()); i++) {
            int x = i < a.size() ? a.get(a.size() - 1 - i) : 1;
            int y = i < b.size() ? b.get(b.size() - 1 - i) : 1;
            if (x != y && x != 1 && y != 1) {
                throw new UnsupportedNodeException("the shapes " + a + " and " + b + " do not broadcast");
            }
            result.add(Math.max(x, y));
        }
        Collections.reverse(result);
        return result;
    }

    /** Inserts extents of 1 so that they stand at the given places of the result. */
    static List<Integer> unsqueeze(List<Integer> shape, int... axes) {
        int rank = shape.size() + axes.length;
        boolean[] inserted = new boolean[rank];
        for (int axis : axes) {
            inserted[axis(axis, rank)] = true;
        }
        List<Integer> result = new ArrayList<>();
        int next = 0;
        for (boolean one : inserted) {
            if (!one && next == shape.size()) {
                throw new UnsupportedNodeException("its axes " + Arrays.toString(axes) + " repeat");
            }
            result.add(one ? 1 : shape.get(next++));
        }
        return result;
    }

    /** Removes extents of 1: the given ones, or all if none are given. */
    static List<Integer> squeeze(List<Integer> shape, int... axes) {
        boolean[] removed = new boolean[shape.size()];
        for (int axis : axes) {
            removed[axis(axis, shape.size())] = true;
        }
        List<Integer> result = new ArrayList<>();
        for (int i = 0; i < shape.size(); i++) {
            boolean remove = axes.length == 0 ? shape.get(i) == 1 : removed[i];
            if (remove && shape.get(i) != 1) {
                throw new UnsupportedNodeException("it squeezes axis " + i + " of the shape " + shape);
            }
            if (!remove) {
                result.add(shape.get(i));
            }
        }
        return result;
    }

    /** The shape of a permuted tensor. */
    static List<Integer> permute(List<Integer> shape, int... permutation) {
        int[] sorted = permutation.clone();
        Arrays.sort(sorted);
        for (int i = 0; i < sorted.length; i++) {
            if (sorted.length != shape.size() || sorted[i] != i) {
                throw new UnsupportedNodeException("its permutation " + Arrays.toString(permutation)
                        + " does not permute " + shape.size() + " dimensions");
            }
        }
        return Arrays.stream(permutation).mapToObj(shape::get).toList();
    }

    /** For each element of a permuted tensor, its place in the original. */
    static int[] permutedPlaces(List<Integer> shape, int... permutation) {
        List<Integer> result = permute(shape, permutation);
        int[] strides = new int[shape.size()];
        int stride = 1;
        for (int i = shape.size() - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= shape.get(i);
        }
        int[] places = new int[stride];
        for (int element = 0; element < places.length; element++) {
            int rest = element;
            for (int i = result.size() - 1; i >= 0; i--) {
                places[element] += rest % result.get(i) * strides[permutation[i]];
                rest /= result.get(i);
            }
        }
        return places;
    }

    /**
     * The shape that a Reshape's target describes.
     *
     * @param shape the tensor's shape
     * @param target 0 keeps the extent at the same place, one −1 is inferred
     */
    static List<Integer> reshape(List<Integer> shape, List<Integer> target) {
        List<Integer> result = new ArrayList<>();
        long known = 1;
        int inferred = -1;
        for (int i = 0; i < target.size(); i++) {
            int extent = target.get(i);
            if (extent == 0 && i < shape.size()) {
                extent = shape.get(i);
            }
            if (extent == -1 && inferred < 0) {
                inferred = i;
            } else if (extent < 1) {
                throw new UnsupportedNodeException("the target shape " + target + " is not possible");
            } else {
                known = Math.multiplyExact(known, extent);
            }
            result.add(extent);
        }
        long elements = elements(shape);
        if (inferred >= 0 && elements % known == 0) {
            result.set(inferred, Math.toIntExact(elements / known));
            known = elements;
        }
        if (known != elements) {
            throw new UnsupportedNodeException("the shape " + shape + " can't become " + target);
        }
        return result;
    }
}
