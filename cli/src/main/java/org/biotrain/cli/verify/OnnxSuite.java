package org.biotrain.cli.verify;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.biotrain.BatchNormMode;
import org.biotrain.BioTrainException;
import org.biotrain.Device;
import org.biotrain.Gradients;
import org.biotrain.Loss;
import org.biotrain.Model;
import org.biotrain.SampleFormat;
import org.biotrain.Samples;
import org.biotrain.Tensor;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;
import org.biotrain.cli.CliException;
import org.biotrain.data.Npz;

/**
 * A folder of ONNX files, each with an {@code .npz} of the same name: {@code x}, {@code output}, {@code label} or
 * {@code target}, {@code loss}, {@code gradient.<parameter>} and {@code parameter.<parameter>} under the exporter's
 * names. BatchNorm is frozen and dropout off.
 */
public final class OnnxSuite {
    private static final double LIMIT = 1e-5;
    private static final String GRADIENT = "gradient.";
    private static final String PARAMETER = "parameter.";
    private static final String EXTENSION = ".onnx";

    private OnnxSuite() {}

    /**
     * Runs all files.
     *
     * @param uri the device's name in the report
     * @param done is told each result as it comes
     * @throws CliException if the folder holds no ONNX file; a file that can't be used has failed, and the others still
     *     run
     */
    public static Report run(Device device, String uri, Path folder, Consumer<CaseResult> done) {
        List<CaseResult> results = new ArrayList<>();
        for (Path file : files(folder)) {
            CaseResult result = run(device, file);
            done.accept(result);
            results.add(result);
        }
        return Report.of(uri, results);
    }

    private static List<Path> files(Path folder) {
        try (Stream<Path> list = Files.list(folder)) {
            List<Path> files = list.filter(file -> file.toString().endsWith(EXTENSION))
                    .sorted()
                    .toList();
            if (files.isEmpty()) {
                throw new CliException(folder + " holds no " + EXTENSION + " file; give the folder that does");
            }
            return files;
        } catch (IOException e) {
            throw new CliException(folder + " can't be read; give the folder of the ONNX files", e);
        }
    }

    private static CaseResult run(Device device, Path file) {
        String fileName = String.valueOf(file.getFileName());
        String name = fileName.substring(0, fileName.length() - EXTENSION.length());
        try {
            Npz reference = Npz.read(file.resolveSibling(name + ".npz"));
            return CaseResult.of(name, compare(device, Model.load(file).withoutDropout(), reference));
        } catch (BioTrainException | CaseException e) {
            return CaseResult.failed(name, String.valueOf(e.getMessage()));
        }
    }

    private static List<Comparison> compare(Device device, Model model, Npz reference) {
        boolean classes = reference.has("label");
        int count = reference.array("x").shape()[0];
        float[] x = reference.array("x").toFloats();
        Samples samples = classes
                ? Samples.labelled(x, reference.array("label").toInts())
                : Samples.withTargets(count, x, reference.array("target").toFloats());
        TrainingOptions options = TrainingOptions.builder()
                .loss(classes ? Loss.CROSS_ENTROPY : Loss.MSE)
                .batchNorm(BatchNormMode.FROZEN)
                .batchSize(count)
                .sampleFormat(SampleFormat.FLOAT32)
                .build();
        List<Comparison> comparisons = new ArrayList<>();
        try (TrainingSession session = device.newSession(model, options)) {
            Gradients gradients = session.accumulate(samples);
            compare(comparisons, reference, "output", LayerCases.flatten(session.predict(samples)));
            double sum = 0;
            for (float loss : gradients.losses()) {
                sum += loss;
            }
            compare(comparisons, reference, "loss", (float) (sum / count));
            // An exporter that folds BatchNorm into convolutions leaves no parameter that a gradient could belong to.
            for (String array : reference.names()) {
                if (array.startsWith(PARAMETER)) {
                    String exported = array.substring(PARAMETER.length());
                    String parameter = find(
                            model.parameters(), exported, reference.array(array).toFloats());
                    Tensor gradient = gradients.gradients().get(parameter);
                    if (gradient == null) {
                        throw new CaseException("The device computed no gradient of " + parameter);
                    }
                    compare(comparisons, reference, GRADIENT + exported, gradient.data());
                }
            }
        }
        return comparisons;
    }

    private static void compare(List<Comparison> comparisons, Npz reference, String array, float... actual) {
        comparisons.add(
                Comparison.relative(array, actual, reference.array(array).toFloats(), LIMIT));
    }

    /** The parameter of that name or, since exporters rename some, the one with these values. */
    private static String find(Map<String, Tensor> parameters, String exported, float[] values) {
        Tensor named = parameters.get(exported);
        if (named != null && Arrays.equals(named.data(), values)) {
            return exported;
        }
        return parameters.entrySet().stream()
                .filter(entry -> Arrays.equals(entry.getValue().data(), values))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElseThrow(() -> new CaseException("No imported parameter has the values of " + exported));
    }
}
