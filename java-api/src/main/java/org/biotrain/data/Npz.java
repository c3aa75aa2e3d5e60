package org.biotrain.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/** Named arrays from a NumPy {@code .npz} file: a zip file of {@code .npy} files, stored or deflated. Immutable. */
public final class Npz {
    /** Deflate can't expand a byte to more than this, so a claim beyond it is a lie. */
    private static final long MAX_EXPANSION = 1032;

    private final Path file;
    private final Set<String> present;
    private final Map<String, NpyArray> arrays;

    private Npz(Path file, Set<String> present, Map<String, NpyArray> arrays) {
        this.file = file;
        this.present = present;
        this.arrays = arrays;
    }

    /**
     * Reads all arrays.
     *
     * @throws DataException if the file can't be read, is damaged, or is too large for the heap
     */
    public static Npz read(Path file) {
        return read(file, name -> true);
    }

    /** Reads the arrays whose names are wanted. */
    static Npz read(Path file, Predicate<String> wanted) {
        Set<String> present = new LinkedHashSet<>();
        Map<String, NpyArray> arrays = new LinkedHashMap<>();
        try (ZipFile zip = new ZipFile(file.toFile())) {
            double total = 0;
            for (ZipEntry entry : Collections.list(zip.entries())) {
                String name = entry.getName().replaceAll("\\.npy$", "");
                if (entry.isDirectory()) {
                    continue;
                }
                if (!present.add(name)) {
                    throw new DataException(file + " holds two arrays " + name + "; save it again");
                }
                if (!wanted.test(name)) {
                    continue;
                }
                total += entry.getSize();
                HeapLimit.require(file, "the arrays up to " + name, total);
                arrays.put(name, readEntry(zip, entry, file, name));
            }
        } catch (NoSuchFileException e) {
            throw new DataException(file + " does not exist; check the path", e);
        } catch (IOException | IllegalArgumentException e) {
            // ZipFile reports some malformed names as IllegalArgumentException.
            throw new DataException(file + " is no intact NPZ file (" + e.getMessage() + "); copy or save it again", e);
        }
        return new Npz(file, present, Collections.unmodifiableMap(arrays));
    }

    private static NpyArray readEntry(ZipFile zip, ZipEntry entry, Path file, String name) throws IOException {
        String title = "Array " + name + " of " + file;
        long expandable = Math.min(entry.getSize(), entry.getCompressedSize() * MAX_EXPANSION);
        CRC32 crc = new CRC32();
        NpyArray array;
        try (InputStream in = zip.getInputStream(entry)) {
            array = NpyArray.read(new CheckedInputStream(in, crc), file, title, expandable);
        }
        if (crc.getValue() != entry.getCrc()) {
            throw new DataException(title + " does not match its checksum; the file is damaged, copy it again");
        }
        return array;
    }

    /** The arrays' names in the file's order. */
    public Set<String> names() {
        return arrays.keySet();
    }

    /** Tells whether there is an array of that name. */
    public boolean has(String name) {
        return arrays.containsKey(name);
    }

    /**
     * The array of that name.
     *
     * @throws DataException if there is none
     */
    public NpyArray array(String name) {
        NpyArray array = arrays.get(name);
        if (array == null) {
            throw new DataException(
                    file + " holds no array " + name + "; its arrays are " + String.join(", ", present));
        }
        return array;
    }
}
