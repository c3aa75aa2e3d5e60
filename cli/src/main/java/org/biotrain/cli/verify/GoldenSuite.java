package org.biotrain.cli.verify;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.biotrain.BioTrainException;
import org.biotrain.Device;
import org.biotrain.cli.CliException;
import org.biotrain.data.Npz;

/** A folder of reference vectors with its {@code manifest.json}. */
public final class GoldenSuite {
    private GoldenSuite() {}

    /**
     * Runs all cases.
     *
     * @param uri the device's name in the report
     * @param done is told each result as it comes
     * @throws CliException if there is no manifest or it is damaged; a case that can't run has failed, and the others
     *     still run
     */
    public static Report run(Device device, String uri, Path folder, Consumer<CaseResult> done) {
        List<CaseResult> results = new ArrayList<>();
        for (JsonNode entry : manifest(folder)) {
            CaseResult result = run(device, folder, entry);
            done.accept(result);
            results.add(result);
        }
        return Report.of(uri, results);
    }

    private static JsonNode manifest(Path folder) {
        Path file = folder.resolve("manifest.json");
        try {
            JsonNode cases = JsonMapper.builder()
                    .build()
                    .readTree(Files.readString(file))
                    .path("cases");
            if (!cases.isArray() || cases.isEmpty()) {
                throw new CliException(file + " lists no cases; is it a manifest of reference vectors?");
            }
            return cases;
        } catch (JsonProcessingException e) {
            throw new CliException(file + " is no intact JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new CliException(file + " can't be read; give the folder of the reference vectors", e);
        }
    }

    private static CaseResult run(Device device, Path folder, JsonNode entry) {
        String name = entry.path("name").asText();
        try {
            GoldenCase golden = new GoldenCase(
                    name, entry.path("kind").asText(), entry.path("attrs"), Npz.read(folder.resolve(name + ".npz")));
            return CaseResult.of(
                    name,
                    switch (golden.kind()) {
                        case "cross_entropy", "mse" -> LayerCases.runLoss(device, golden);
                        case "optimizer" -> OptimizerCases.run(device, golden);
                        case "training_run" -> TrainingRunCases.run(device, golden);
                        default -> LayerCases.runLayer(device, golden);
                    });
        } catch (BioTrainException | CaseException e) {
            return CaseResult.failed(name, String.valueOf(e.getMessage()));
        }
    }
}
