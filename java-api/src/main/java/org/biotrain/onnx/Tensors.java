package org.biotrain.onnx;

import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataLocation;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.biotrain.Tensor;

/** ONNX tensors, which a file may hold in several forms. */
final class Tensors {
    private Tensors() {}

    /** Decodes an initializer or constant: float32 to {@link Value.Floats}, integers to {@link Value.Integers}. */
    static Value decode(String name, TensorProto proto) {
        if (proto.getDataLocation() == DataLocation.EXTERNAL || proto.getExternalDataCount() > 0) {
            throw new UnsupportedNodeException("the data of \"" + name
                    + "\" are in another file; save the network as one file, with its weights inside");
        }
        List<Integer> shape = new ArrayList<>();
        for (long extent : proto.getDimsList()) {
            if (extent < 0 || extent > Integer.MAX_VALUE) {
                throw new UnsupportedNodeException(
                        "\"" + name + "\" has the shape " + proto.getDimsList() + ", which is not possible");
            }
            shape.add((int) extent);
        }
        long elements = Shapes.elements(shape);
        return switch (proto.getDataType()) {
            case DataType.FLOAT_VALUE ->
                new Value.Floats(name, new Tensor(Shapes.array(shape), floats(name, proto, elements)));
            case DataType.INT64_VALUE -> {
                ByteBuffer raw = raw(name, proto, elements, Long.BYTES, proto.getInt64DataCount());
                yield integers(shape, elements, i -> raw.hasRemaining() ? raw.getLong() : proto.getInt64Data(i));
            }
            case DataType.INT32_VALUE -> {
                ByteBuffer raw = raw(name, proto, elements, Integer.BYTES, proto.getInt32DataCount());
                yield integers(shape, elements, i -> raw.hasRemaining() ? raw.getInt() : proto.getInt32Data(i));
            }
            case DataType.BOOL_VALUE -> {
                ByteBuffer raw = raw(name, proto, elements, Byte.BYTES, proto.getInt32DataCount());
                yield integers(shape, elements, i -> raw.hasRemaining() ? raw.get() : proto.getInt32Data(i));
            }
            default ->
                throw new UnsupportedNodeException("\"" + name + "\" is of the type " + typeName(proto.getDataType())
                        + "; parameters must be float32");
        };
    }

    static TensorProto encode(String name, Tensor tensor) {
        TensorProto.Builder proto = TensorProto.newBuilder().setName(name).setDataType(DataType.FLOAT_VALUE);
        for (int extent : tensor.shape()) {
            proto.addDims(extent);
        }
        ByteBuffer raw = ByteBuffer.allocate(tensor.elements() * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        raw.asFloatBuffer().put(tensor.data());
        return proto.setRawData(ByteString.copyFrom(raw)).build();
    }

    static TensorProto encode(String name, long... vector) {
        ByteBuffer raw = ByteBuffer.allocate(vector.length * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        raw.asLongBuffer().put(vector);
        return TensorProto.newBuilder()
                .setName(name)
                .setDataType(DataType.INT64_VALUE)
                .addDims(vector.length)
                .setRawData(ByteString.copyFrom(raw))
                .build();
    }

    static String typeName(int number) {
        DataType type = DataType.forNumber(number);
        return type == null ? "number " + number : type.name().toLowerCase(Locale.ROOT);
    }

    private static float[] floats(String name, TensorProto proto, long elements) {
        if (elements == 0) {
            throw new UnsupportedNodeException("\"" + name + "\" holds nothing");
        }
        ByteBuffer raw = raw(name, proto, elements, Float.BYTES, proto.getFloatDataCount());
        float[] data = new float[(int) elements];
        for (int i = 0; i < data.length; i++) {
            data[i] = raw.hasRemaining() ? raw.getFloat() : proto.getFloatData(i);
            if (!Float.isFinite(data[i])) {
                throw new UnsupportedNodeException("\"" + name + "\" holds " + data[i] + " at element " + i);
            }
        }
        return data;
    }

    private static Value.Integers integers(List<Integer> shape, long elements, ElementReader reader) {
        List<Size> sizes = new ArrayList<>();
        for (int i = 0; i < elements; i++) {
            sizes.add(Size.of(reader.read(i)));
        }
        return new Value.Integers(shape, sizes);
    }

    /** The raw data, empty if the elements are in a typed list; both are checked to hold as many as the shape says. */
    private static ByteBuffer raw(String name, TensorProto proto, long elements, int bytes, int listed) {
        ByteString raw = proto.getRawData();
        long present = raw.isEmpty() ? listed : raw.size() / bytes;
        if (present != elements || raw.size() % bytes != 0) {
            throw new UnsupportedNodeException(
                    "\"" + name + "\" has the shape " + proto.getDimsList() + " but data for " + present + " elements");
        }
        return raw.asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }

    @FunctionalInterface
    private interface ElementReader {
        long read(int index);
    }
}
