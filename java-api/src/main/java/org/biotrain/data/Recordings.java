package org.biotrain.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Reads recordings: EDF, EDF+ and BDF, BDF+ (continuous and discontinuous), CSV (plain or gzip), and NPZ. The format
 * is told from the file's first bytes and, where these say nothing, from its name.
 */
public final class Recordings {
    private Recordings() {}

    /**
     * Reads a file with the usual names.
     *
     * @see #read(Path, ReadOptions)
     */
    public static Recording read(Path file) {
        return read(file, ReadOptions.defaults());
    }

    /**
     * Reads a file. The recording is named after it, without extensions.
     *
     * @throws DataException if the file can't be read, is damaged, or holds no recording
     */
    public static Recording read(Path file, ReadOptions options) {
        try {
            return switch (format(file)) {
                case EDF -> EdfReader.read(file, options);
                case CSV -> CsvRecordings.read(file, options);
                case NPZ -> NpzRecordings.read(file, options);
            };
        } catch (NoSuchFileException e) {
            throw new DataException(file + " does not exist; check the path", e);
        } catch (IOException e) {
            throw new DataException(file + " can't be read: " + e.getMessage(), e);
        }
    }

    private enum Format {
        EDF,
        CSV,
        NPZ
    }

    private static Format format(Path file) throws IOException {
        byte[] head;
        if (Files.isDirectory(file)) {
            throw new DataException(file + " is a folder, but a recording is a file; name one of its files");
        }
        try (InputStream in = Files.newInputStream(file)) {
            head = in.readNBytes(8);
        }
        String start = new String(head, StandardCharsets.ISO_8859_1);
        String name = fileName(file).toLowerCase(Locale.ROOT);
        if (start.equals(EdfReader.EDF_VERSION) || start.equals(EdfReader.BDF_VERSION)) {
            return Format.EDF;
        }
        if (start.startsWith("PK\3\4")) {
            return Format.NPZ;
        }
        if (start.startsWith("\37\213")) {
            return Format.CSV;
        }
        if (name.endsWith(".edf") || name.endsWith(".bdf")) {
            return Format.EDF;
        }
        if (name.endsWith(".npz")) {
            return Format.NPZ;
        }
        if (name.matches(".*\\.(csv|tsv|txt)(\\.gz)?")) {
            return Format.CSV;
        }
        throw new DataException(
                file + " is no recording that can be read; allowed are EDF, BDF, CSV, CSV with gzip, and NPZ files");
    }

    /** The file's name up to its first known extension. */
    static String nameOf(Path file) {
        return fileName(file).replaceAll("(?i)(\\.(edf|bdf|csv|tsv|txt|npz))?(\\.gz)?$", "");
    }

    private static String fileName(Path file) {
        Path name = file.getFileName();
        return name == null ? "" : name.toString();
    }
}
