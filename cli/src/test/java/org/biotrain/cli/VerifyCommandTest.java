package org.biotrain.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VerifyCommandTest {
    @TempDir
    private Path folder;

    @Test
    void everyReferenceVectorPasses() {
        Run run = Run.of("verify", "--goldens", Shared.folder("goldens").toString(), "--json");

        assertThat(run.err()).doesNotContain("FAILED");
        assertThat(run.json().path("cases").asInt()).isEqualTo(48);
        assertThat(run.json().path("passed").asInt()).isEqualTo(48);
        assertThat(run.json().path("worst").path("relative_error").asDouble()).isBetween(0.0, 1e-4);
        assertThat(run.code()).isZero();
    }

    @Test
    void everyExportedNetworkPasses() {
        Run run = Run.of("verify", "--onnx", Shared.folder("onnx").toString(), "--json");

        assertThat(run.err()).doesNotContain("FAILED");
        assertThat(run.json().path("passed").asInt()).isEqualTo(6);
        assertThat(run.code()).isZero();
    }

    @Test
    void aRightReferencePasses() throws IOException {
        relu(0f, 2f, 1f, 3f);

        assertThat(Run.of("verify", "--goldens", folder.toString()).code()).isZero();
    }

    @Test
    void aWrongReferenceFails() throws IOException {
        relu(0f, 2.0001f, 1f, 3f);

        Run run = Run.of("verify", "--goldens", folder.toString(), "--json");

        assertThat(run.code()).isEqualTo(1);
        JsonNode report = run.json();
        assertThat(report.path("passed").asInt()).isZero();
        assertThat(report.path("worst").path("array").asText()).isEqualTo("y");
        assertThat(report.path("failures").path(0).path("message").asText()).contains("off by");
    }

    @Test
    void aMissingGradientFails() throws IOException {
        manifest("activation", "\"function\": \"relu\", \"alpha\": 1.0");
        npz(
                "x",
                new float[] {-1, 2, 1, 3},
                "y",
                new float[] {0, 2, 1, 3},
                "dy",
                new float[] {1, 1, 1, 1},
                "d_w",
                new float[] {1, 1, 1, 1});

        assertThat(Run.of("verify", "--goldens", folder.toString()).err()).contains("computed no d_w");
    }

    @Test
    void aKindThatIsUnknownFails() throws IOException {
        manifest("telepathy", "");
        npz("x", new float[] {1, 2, 3, 4});

        Run run = Run.of("verify", "--goldens", folder.toString());

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("telepathy");
    }

    @Test
    void aFolderWithoutManifestIsRefused() {
        assertThat(Run.of("verify", "--goldens", folder.toString()).err()).contains("manifest.json");
    }

    /** One case of two samples of two values, whose reference output is given. */
    private void relu(float... y) throws IOException {
        manifest("activation", "\"function\": \"relu\", \"alpha\": 1.0");
        npz("x", new float[] {-1, 2, 1, 3}, "y", y, "dy", new float[] {1, 5, 7, 9}, "d_x", new float[] {0, 5, 7, 9});
    }

    private void manifest(String kind, String attributes) throws IOException {
        Files.writeString(
                folder.resolve("manifest.json"),
                "{\"cases\": [{\"name\": \"case\", \"kind\": \"" + kind + "\", \"attrs\": {" + attributes + "}}]}");
    }

    private void npz(Object... namesAndValues) throws IOException {
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(folder.resolve("case.npz")))) {
            for (int i = 0; i < namesAndValues.length; i += 2) {
                zip.putNextEntry(new ZipEntry(namesAndValues[i] + ".npy"));
                zip.write(npy((float[]) namesAndValues[i + 1]));
            }
        }
    }

    /** An array of shape (2, n/2) in NumPy's format. */
    private static byte[] npy(float[] values) {
        String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, " + values.length / 2 + "), }";
        byte[] padded = (header + " ".repeat(117 - header.length()) + "\n").getBytes(StandardCharsets.US_ASCII);
        ByteBuffer bytes =
                ByteBuffer.allocate(10 + padded.length + 4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
        bytes.putShort((short) padded.length).put(padded);
        for (float value : values) {
            bytes.putFloat(value);
        }
        return bytes.array();
    }
}
