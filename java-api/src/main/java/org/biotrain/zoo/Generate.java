package org.biotrain.zoo;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.biotrain.Model;
import org.biotrain.ModelSummary;
import org.biotrain.ModelSummary.LayerSummary;
import org.biotrain.onnx.OnnxWriter;
import org.biotrain.zoo.Networks.Described;

/**
 * Writes {@link Networks#shipped} as ONNX files, dropout included so that they can be trained, and a README with a
 * table of each one's layers.
 */
public final class Generate {
    private Generate() {}

    /** Writes the files into a folder that exists; others of the same names are replaced. */
    public static void into(Path folder) {
        List<Described> networks = Networks.described();
        StringBuilder readme = new StringBuilder("""
                # Networks

                ONNX files for training: opset 17, an open batch dimension, input `input`, output `output` (logits). Weights
                are fresh (Xavier-uniform, seed 1), not trained. `biotrain models DIR` writes the files and this page; the
                generator is `org.biotrain.zoo`, which makes the same networks for other numbers of channels, samples and
                classes.

                | file | parameters | MACs per sample |
                |---|---:|---:|
                """);
        for (Described network : networks) {
            ModelSummary summary = network.model().summary();
            readme.append(String.format(
                    Locale.ROOT,
                    "| [`%s.onnx`](#%s) | %,d | %,d |\n",
                    network.model().name(),
                    network.model().name(),
                    summary.parameters(),
                    summary.macs()));
        }
        for (Described network : networks) {
            OnnxWriter.write(network.model(), folder.resolve(network.model().name() + ".onnx"));
            readme.append(section(network));
        }
        try {
            Files.writeString(folder.resolve("README.md"), readme);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String section(Described network) {
        Model model = network.model();
        ModelSummary summary = model.summary();
        StringBuilder text = new StringBuilder(String.format(
                Locale.ROOT,
                "\n## %s\n\n%s\n\n| layer | operation | output | parameters | MACs |\n|---|---|---|---:|---:|\n",
                model.name(),
                network.purpose()));
        for (LayerSummary layer : summary.layers()) {
            text.append(String.format(
                    Locale.ROOT,
                    "| %s | %s | %s | %,d | %,d |\n",
                    layer.name(),
                    layer.op().name().toLowerCase(Locale.ROOT).replace('_', ' '),
                    String.join(
                            " × ",
                            layer.outputShape().stream()
                                    .skip(1)
                                    .map(String::valueOf)
                                    .toList()),
                    layer.parameters(),
                    layer.macs()));
        }
        return text.append(
                        String.format(Locale.ROOT, "| total | | | %,d | %,d |\n", summary.parameters(), summary.macs()))
                .toString();
    }

    /** {@code DIR}: the folder. */
    public static void main(String[] arguments) {
        if (arguments.length != 1) {
            throw new IllegalArgumentException("Give the folder for the files as the only argument");
        }
        into(Path.of(arguments[0]));
    }
}
