package org.biotrain.onnx;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;
import org.biotrain.Device;
import org.biotrain.Gradients;
import org.biotrain.Model;
import org.biotrain.SampleFormat;
import org.biotrain.Samples;
import org.biotrain.Tensor;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.data.Npz;
import org.biotrain.data.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The exported networks compute what PyTorch computed in float64: outputs, losses and every gradient. */
class OnnxReferenceTest {
    private static final double TOLERANCE = 1e-5;

    @TempDir
    private Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "epidenet_gn_opset17",
                "mibminet_f8_gn_opset17",
                "eegnet_bn_training_opset13",
                "eegnet_gn_opset17",
                "emgnet_gn_opset12_dynamic"
            })
    void outputsLossesAndGradients(String name) {
        Model model = load(name);
        Npz reference = Npz.read(SharedData.folder("onnx").resolve(name + ".npz"));

        Gradients gradients = check(model, reference);

        int compared = 0;
        for (Map.Entry<String, Tensor> gradient : gradients.gradients().entrySet()) {
            String array = "gradient." + gradient.getKey();
            assertClose(
                    array, gradient.getValue().data(), reference.array(array).toFloats());
            compared++;
        }
        assertThat(compared)
                .isEqualTo(reference.names().stream()
                        .filter(array -> array.startsWith("gradient."))
                        .count());

        // What we write and read again computes the same, bit for bit.
        Path file = folder.resolve("again.onnx");
        model.save(file);
        Gradients again = check(Model.load(file), reference);
        assertThat(again.losses()).isEqualTo(gradients.losses());
        assertThat(again.gradients()).isEqualTo(gradients.gradients());
    }

    /** Its parameters were folded into others, so only the outputs compare. */
    @Test
    void outputsOfTheFoldedNetwork() {
        Npz reference = Npz.read(SharedData.folder("onnx").resolve("eegnet_bn_folded_opset13.npz"));

        check(load("eegnet_bn_folded_opset13"), reference);
    }

    private static Gradients check(Model model, Npz reference) {
        Samples samples = Samples.labelled(
                reference.array("x").toFloats(), reference.array("label").toInts());
        TrainingOptions options =
                TrainingOptions.builder().sampleFormat(SampleFormat.FLOAT32).build();
        try (Device device = Device.open("sim:?target=host");
                TrainingSession session = device.newSession(model.withoutDropout(), options)) {
            int outputs = reference.array("output").size() / samples.size();
            float[] expected = reference.array("output").toFloats();
            float[][] actual = session.predict(samples);
            float[] flat = new float[expected.length];
            for (int i = 0; i < actual.length; i++) {
                System.arraycopy(actual[i], 0, flat, i * outputs, outputs);
            }
            assertClose("output", flat, expected);

            Gradients gradients = session.accumulate(samples);
            double sum = 0;
            for (float loss : gradients.losses()) {
                sum += loss;
            }
            float[] mean = {(float) (sum / samples.size())};
            assertClose("loss", mean, reference.array("loss").toFloats());
            return gradients;
        }
    }

    private static Model load(String name) {
        return Model.load(SharedData.folder("onnx").resolve(name + ".onnx"));
    }

    /** Largest difference, relative to the largest reference value. */
    private static void assertClose(String name, float[] actual, float[] expected) {
        assertThat(actual).as(name).hasSameSizeAs(expected);
        double difference = 0;
        double largest = 0;
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).as(name).isFinite();
            difference = Math.max(difference, Math.abs((double) actual[i] - expected[i]));
            largest = Math.max(largest, Math.abs(expected[i]));
        }
        assertThat(difference / largest).as(name).isLessThanOrEqualTo(TOLERANCE);
    }
}
