package org.biotrain.onnx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.biotrain.Attributes;
import org.jspecify.annotations.Nullable;

/**
 * The window of a convolution or pooling over one or two spatial dimensions. All arrays have an entry per dimension.
 *
 * @param begins zeros before
 * @param ends zeros after
 */
record Window(
        List<Integer> kernel,
        List<Integer> strides,
        List<Integer> dilations,
        List<Integer> begins,
        List<Integer> ends) {

    /** No window, stride or padding of a real network is near this. */
    private static final int MAX_SETTING = 1 << 20;

    /**
     * Reads a node's attributes.
     *
     * @param spatial the input's spatial extents
     */
    static Window of(Node node, List<Integer> kernel, List<Integer> spatial) {
        int dimensions = spatial.size();
        if (dimensions < 1 || dimensions > 2) {
            throw new UnsupportedNodeException(
                    "its input has " + dimensions + " spatial dimensions; supported are 1 (N,C,L) and 2 (N,C,H,W)");
        }
        if (kernel.size() != dimensions) {
            throw new UnsupportedNodeException("its window " + kernel + " does not fit the spatial shape " + spatial);
        }
        List<Integer> strides = setting(node, "strides", dimensions, 1, 1);
        List<Integer> dilations = setting(node, "dilations", dimensions, 1, 1);
        List<Integer> begins = new ArrayList<>();
        List<Integer> ends = new ArrayList<>();
        String automatic = node.text("auto_pad", "NOTSET");
        switch (automatic) {
            case "NOTSET" -> {
                List<Integer> pads = setting(node, "pads", 2 * dimensions, 0, 0);
                begins.addAll(pads.subList(0, dimensions));
                ends.addAll(pads.subList(dimensions, 2 * dimensions));
            }
            case "VALID", "SAME_UPPER", "SAME_LOWER" -> {
                for (int i = 0; i < dimensions; i++) {
                    int outputs = Math.ceilDiv(spatial.get(i), strides.get(i));
                    int reach = (kernel.get(i) - 1) * dilations.get(i) + 1;
                    int total = automatic.equals("VALID")
                            ? 0
                            : Math.max(0, (outputs - 1) * strides.get(i) + reach - spatial.get(i));
                    int begin = automatic.equals("SAME_LOWER") ? total - total / 2 : total / 2;
                    begins.add(begin);
                    ends.add(total - begin);
                }
            }
            default -> throw new UnsupportedNodeException("its auto_pad " + automatic + " is unknown");
        }
        return new Window(kernel, strides, dilations, begins, ends);
    }

    /** This window over an input to which zeros were added before and after, as one window over the input itself. */
    Window padded(List<Integer> before, List<Integer> after) {
        return new Window(kernel, strides, dilations, sum(begins, before), sum(ends, after));
    }

    boolean hasPads() {
        return begins.stream().anyMatch(pad -> pad > 0) || ends.stream().anyMatch(pad -> pad > 0);
    }

    boolean isDilated() {
        return dilations.stream().anyMatch(dilation -> dilation != 1);
    }

    /** The spatial shape of the result. */
    List<Integer> outputs(List<Integer> spatial) {
        List<Integer> result = new ArrayList<>();
        for (int i = 0; i < spatial.size(); i++) {
            int room = room(spatial, i);
            if (room < 0) {
                throw new UnsupportedNodeException(
                        "its window " + kernel + " is larger than the padded input " + spatial);
            }
            result.add(room / strides.get(i) + 1);
        }
        return result;
    }

    /** Whether rounding the result's shape up would change it. */
    boolean roundsUp(List<Integer> spatial) {
        for (int i = 0; i < spatial.size(); i++) {
            if (room(spatial, i) % strides.get(i) != 0) {
                return true;
            }
        }
        return false;
    }

    /** By how far the window can move along a dimension. */
    private int room(List<Integer> spatial, int i) {
        return spatial.get(i) + begins.get(i) + ends.get(i) - ((kernel.get(i) - 1) * dilations.get(i) + 1);
    }

    /** The attributes of a convolution. */
    Attributes attributes() {
        return Attributes.defaults()
                .withStrides(height(strides, 1), width(strides))
                .withDilations(height(dilations, 1), width(dilations))
                .withPads(height(begins, 0), width(begins), height(ends, 0), width(ends));
    }

    /** The attributes of a pooling. */
    Attributes poolAttributes() {
        return attributes().withKernel(height(kernel, 1), width(kernel));
    }

    private static int height(List<Integer> values, int otherwise) {
        return values.size() == 2 ? values.getFirst() : otherwise;
    }

    private static int width(List<Integer> values) {
        return values.getLast();
    }

    /** An attribute's entries, checked. */
    static List<Integer> setting(Node node, String name, int count, int least, int otherwise) {
        int @Nullable [] values = node.integers(name);
        if (values == null) {
            values = new int[count];
            Arrays.fill(values, otherwise);
        }
        for (int value : values) {
            if (values.length != count || value < least || value > MAX_SETTING) {
                throw new UnsupportedNodeException("its " + name + " " + Arrays.toString(values) + " are not " + count
                        + " numbers from " + least + " on");
            }
        }
        return Shapes.list(values);
    }

    private static List<Integer> sum(List<Integer> a, List<Integer> b) {
        List<Integer> result = new ArrayList<>();
        for (int i = 0; i < a.size(); i++) {
            result.add(a.get(i) + b.get(i));
        }
        return result;
    }
}
