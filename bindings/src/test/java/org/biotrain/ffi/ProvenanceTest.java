package org.biotrain.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The generated code is what jextract made of the header as it is now. */
class ProvenanceTest {
    private static final String HASH = "sha256.";
    private static final Path SOURCES = Path.of("src/main/java/org/biotrain/ffi");
    private static final Path HEADER = Path.of("../native-runtime/include/biotrain/biotrain.h");

    @Test
    void theHeaderIsTheOneThatTheBindingsWereGeneratedFrom() throws Exception {
        assertThat(sha256(HEADER))
                .as("biotrain.h changed: run bindings/regenerate")
                .isEqualTo(provenance().getProperty(HASH + "biotrain.h"));
    }

    @Test
    void theGeneratedFilesAreUnmodifiedAndComplete() throws Exception {
        Properties provenance = provenance();
        Set<String> generated = new TreeSet<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(SOURCES, "{bt_,biotrain_h}*.java")) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                generated.add(HASH + name);
                assertThat(sha256(file))
                        .as("%s was changed by hand: run bindings/regenerate", name)
                        .isEqualTo(provenance.getProperty(HASH + name));
            }
        }
        Set<String> recorded = new TreeSet<>(provenance.stringPropertyNames());
        recorded.removeIf(name -> !name.endsWith(".java"));
        assertThat(generated).isEqualTo(recorded);
    }

    @Test
    void theToolsAreNamed() throws Exception {
        assertThat(provenance().getProperty("jextract")).matches("[0-9.]+");
        assertThat(provenance().getProperty("libclang")).matches("[0-9.]+");
    }

    private static Properties provenance() throws IOException {
        Properties properties = new Properties();
        try (InputStream stream = NativeLibrary.class.getResourceAsStream("GENERATED.properties")) {
            properties.load(stream);
        }
        return properties;
    }

    private static String sha256(Path file) throws IOException, NoSuchAlgorithmException {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
    }
}
