package org.biotrain.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An array from a NumPy file: versions 1 to 3, C and Fortran order, either byte order, booleans, signed and unsigned
 * integers of 1 to 8 bytes, and floats of 2 to 8 bytes. Immutable. Values come out in C order (last index fastest),
 * whatever order the file has.
 */
public final class NpyArray {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final Pattern DTYPE = Pattern.compile("'descr'\\s*:\\s*'([^']*)'");
    private static final Pattern ORDER = Pattern.compile("'fortran_order'\\s*:\\s*(True|False)");
    private static final Pattern SHAPE = Pattern.compile("'shape'\\s*:\\s*\\(([\\dL,\\s]*)\\)");
    private static final int MAX_HEADER = 1 << 16;
    private static final int MAX_DIMENSIONS = 64;

    private enum Kind {
        BOOL,
        SIGNED,
        UNSIGNED,
        FLOAT
    }

    private final String name;
    private final Kind kind;
    private final int itemSize;
    private final int[] shape;
    private final boolean fortranOrder;
    private final ByteBuffer bytes;

    private NpyArray(String name, Kind kind, int itemSize, int[] shape, boolean fortranOrder, ByteBuffer bytes) {
        this.name = name;
        this.kind = kind;
        this.itemSize = itemSize;
        this.shape = shape;
        this.fortranOrder = fortranOrder;
        this.bytes = bytes;
    }

    /**
     * Reads a {@code .npy} file.
     *
     * @throws DataException if the file can't be read or is not such a file
     */
    public static NpyArray read(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return read(in, file, file.toString(), Files.size(file));
        } catch (IOException e) {
            throw new DataException(file + " can't be read: " + e.getMessage(), e);
        }
    }

    /**
     * Reads one array and checks that nothing follows it.
     *
     * @param name names the array in messages
     * @param available bytes that the stream can give at most
     */
    static NpyArray read(InputStream in, Path file, String name, long available) throws IOException {
        byte[] start = in.readNBytes(8);
        if (start.length < 8 || !Arrays.equals(start, 0, 6, MAGIC, 0, 6)) {
            throw new DataException(name + " is no NumPy array; it does not start with \\x93NUMPY");
        }
        int version = start[6];
        if (version < 1 || version > 3) {
            throw new DataException(name + " has NumPy format version " + version + "; allowed are 1, 2 and 3");
        }
        byte[] lengthField = in.readNBytes(version == 1 ? 2 : 4);
        long headerLength = 0;
        for (int i = lengthField.length - 1; i >= 0; i--) {
            headerLength = (headerLength << 8) | (lengthField[i] & 0xff);
        }
        if (headerLength > MAX_HEADER) {
            throw new DataException(name + " says its header has " + headerLength + " bytes; at most " + MAX_HEADER
                    + " are allowed, the file is damaged");
        }
        byte[] headerBytes = in.readNBytes((int) headerLength);
        if (headerBytes.length < headerLength || headerLength == 0) {
            throw new DataException(name + " ends inside its header; the file is truncated, copy it again");
        }
        String header = new String(headerBytes, StandardCharsets.UTF_8);

        String dtype = field(DTYPE, header, name, "descr (one plain type)");
        Kind kind = kind(dtype, name);
        int itemSize = dtype.charAt(2) - '0';
        boolean fortranOrder = field(ORDER, header, name, "fortran_order").equals("True");
        int[] shape = shape(field(SHAPE, header, name, "shape"), name);
        long count = 1;
        for (int size : shape) {
            count *= size;
            if (count > Integer.MAX_VALUE / itemSize) {
                throw new DataException(name + " has the shape " + Arrays.toString(shape)
                        + ", more than the 2 GB that one array may take; split it");
            }
        }
        int length = (int) count * itemSize;
        if (length > available) {
            throw new DataException(name + " has the shape " + Arrays.toString(shape) + " of " + length
                    + " bytes, but holds at most " + available + "; the file is truncated or damaged");
        }
        // Small types grow to four bytes when they are taken out.
        HeapLimit.require(file, "array " + name, (double) count * Math.max(itemSize, 4));
        byte[] values = in.readNBytes(length);
        if (values.length < length || in.read() >= 0) {
            throw new DataException(name + " holds " + (values.length < length ? "only " + values.length : "more than")
                    + " of the " + length + " bytes of its shape " + Arrays.toString(shape)
                    + "; the file is truncated or damaged");
        }
        ByteOrder order = dtype.charAt(0) == '>' ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
        return new NpyArray(
                name,
                kind,
                itemSize,
                shape,
                fortranOrder,
                ByteBuffer.wrap(values).order(order));
    }

    private static String field(Pattern pattern, String header, String name, String what) {
        Matcher matcher = pattern.matcher(header);
        if (!matcher.find()) {
            throw new DataException(name + " names no " + what + " in its header; save a plain numeric array");
        }
        return matcher.group(1);
    }

    private static Kind kind(String dtype, String name) {
        if (dtype.matches("[<>|](b1|[iu][1248]|f[248])")) {
            return switch (dtype.charAt(1)) {
                case 'b' -> Kind.BOOL;
                case 'i' -> Kind.SIGNED;
                case 'u' -> Kind.UNSIGNED;
                default -> Kind.FLOAT;
            };
        }
        throw new DataException(name + " has values of type " + dtype
                + "; allowed are booleans, integers of 1, 2, 4 or 8 bytes, and floats of 2, 4 or 8 bytes");
    }

    private static int[] shape(String text, String name) {
        List<String> sizes = Pattern.compile(",")
                .splitAsStream(text)
                .map(size -> size.replace("L", "").strip())
                .filter(size -> !size.isEmpty())
                .toList();
        try {
            if (sizes.size() > MAX_DIMENSIONS) {
                throw new NumberFormatException();
            }
            return sizes.stream().mapToInt(Integer::parseInt).toArray();
        } catch (NumberFormatException e) {
            throw new DataException(
                    name + " has the shape (" + text + "); allowed are up to " + MAX_DIMENSIONS
                            + " dimensions, each at most 2^31 − 1",
                    e);
        }
    }

    /** The size of each dimension; empty for a single value. */
    public int[] shape() {
        return shape.clone();
    }

    /** Number of values. */
    public int size() {
        return bytes.limit() / itemSize;
    }

    /** The values in C order, rounded to floats. */
    public float[] toFloats() {
        float[] values = new float[size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) value(position(i));
        }
        return values;
    }

    /** The values in C order, rounded to doubles where 8-byte integers are larger than 2^53. */
    public double[] toDoubles() {
        double[] values = new double[size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = value(position(i));
        }
        return values;
    }

    /**
     * The values in C order as integers; booleans are 0 and 1.
     *
     * @throws DataException if a value is not whole or does not fit into an {@code int}
     */
    public int[] toInts() {
        int[] values = new int[size()];
        for (int i = 0; i < values.length; i++) {
            double value = value(position(i));
            values[i] = (int) value;
            if (values[i] != value) {
                throw new DataException(name + " holds " + value + " at index " + i
                        + "; only whole numbers from -2^31 to 2^31 − 1 are allowed here");
            }
        }
        return values;
    }

    /** Where the file has the value of an index in C order. */
    private int position(int index) {
        if (!fortranOrder) {
            return index;
        }
        int position = 0;
        int stride = size();
        int rest = index;
        for (int dimension = shape.length - 1; dimension >= 0; dimension--) {
            stride /= shape[dimension];
            position += rest % shape[dimension] * stride;
            rest /= shape[dimension];
        }
        return position;
    }

    private double value(int position) {
        int at = position * itemSize;
        return switch (kind) {
            case BOOL -> bytes.get(at) == 0 ? 0 : 1;
            case SIGNED -> signed(at);
            case UNSIGNED -> unsigned(at);
            case FLOAT ->
                switch (itemSize) {
                    case 2 -> Float.float16ToFloat(bytes.getShort(at));
                    case 4 -> bytes.getFloat(at);
                    default -> bytes.getDouble(at);
                };
        };
    }

    private long signed(int at) {
        return switch (itemSize) {
            case 1 -> bytes.get(at);
            case 2 -> bytes.getShort(at);
            case 4 -> bytes.getInt(at);
            default -> bytes.getLong(at);
        };
    }

    private double unsigned(int at) {
        long value = signed(at);
        if (itemSize < 8) {
            return value & ((1L << (8 * itemSize)) - 1);
        }
        // Halve with a sticky last bit, so that doubling rounds as the whole value would.
        return value >= 0 ? value : ((value >>> 1) | (value & 1)) * 2.0;
    }
}
