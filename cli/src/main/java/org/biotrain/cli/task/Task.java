package org.biotrain.cli.task;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.biotrain.cli.CliException;
import org.jspecify.annotations.Nullable;

/**
 * A task file: recordings, preprocessing, windows, protocol and training. Names in the file are those of the
 * components in kebab-case; a name that is not one of them is an error.
 *
 * @param name short name, for reports
 * @param description what it is about
 * @param data which recordings
 * @param preprocessing what happens to a recording before windows are cut
 * @param windows how windows are cut
 * @param labels class name by label of the recording; classes are numbered in this order
 * @param ignore labels without a class
 * @param ignoreOthers whether every label that is not in {@code labels} has no class
 * @param scaling what happens to the windows' values
 * @param protocol what is trained and what is tested
 * @param model ONNX file of the network, relative to the task file
 * @param pretraining how the network is trained on the other subjects; only for leave-one-subject-out
 * @param training how the network is trained on the subject itself
 */
public record Task(
        String name,
        @Nullable String description,
        DataSection data,
        @Nullable PreprocessingSection preprocessing,
        WindowSection windows,
        Map<String, String> labels,
        @Nullable List<String> ignore,
        @Nullable Boolean ignoreOthers,
        @Nullable ScalingSection scaling,
        ProtocolSection protocol,
        String model,
        @Nullable TrainingSection pretraining,
        @Nullable TrainingSection training) {
    private static final int MAX_BYTES = 1 << 20;
    private static final PropertyNamingStrategies.KebabCaseStrategy KEYS =
            new PropertyNamingStrategies.KebabCaseStrategy();

    /** Checks that the required sections are there. */
    public Task {
        require("name", name);
        require("data", data);
        require("windows", windows);
        require("labels", labels);
        require("protocol", protocol);
        require("model", model);
        labels = new LinkedHashMap<>(labels);
        if ((pretraining != null) != (protocol.kind() == ProtocolSection.Kind.LEAVE_ONE_SUBJECT_OUT)) {
            throw new CliException("The section pretraining belongs to the protocol leave-one-subject-out, "
                    + "but the protocol is " + protocol.kind().text()
                    + (pretraining == null ? " and the section is missing; add it" : "; remove it"));
        }
    }

    /**
     * Reads a task file.
     *
     * @throws CliException if the file can't be read, is no YAML, or says something that is not allowed
     */
    public static Task read(Path file) {
        String text;
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw new CliException("The task file " + file + " is larger than 1 MiB; is it a task file?");
            }
            text = Files.readString(file);
        } catch (NoSuchFileException e) {
            throw new CliException("The task file " + file + " does not exist; check the path", e);
        } catch (IOException e) {
            throw new CliException("The task file " + file + " can't be read: " + e.getMessage(), e);
        }
        try {
            Task task = parse(text);
            return task.withModel(file.resolveSibling(task.model()));
        } catch (CliException e) {
            throw new CliException(file + ": " + e.getMessage(), e);
        }
    }

    /** Reads the text of a task file; the model's path stays as it is written. */
    public static Task parse(String text) {
        try {
            // First the keys: where one is misspelt, this says more than that the right one is missing.
            checkKeys(mapper().readTree(text), Task.class, "");
            return mapper().readValue(text, Task.class);
        } catch (JsonMappingException e) {
            if (e.getCause() instanceof CliException refused) {
                throw new CliException("Line " + line(e) + ": " + refused.getMessage(), e);
            }
            throw new CliException(
                    "Line " + line(e) + ": the value of " + place(e) + " is not understood: " + e.getOriginalMessage(),
                    e);
        } catch (JsonProcessingException e) {
            throw new CliException("Line " + line(e) + ": this is no YAML: " + e.getOriginalMessage(), e);
        }
    }

    /** Checks that all keys of a section, and of those in it, are components of its record. */
    private static void checkKeys(JsonNode section, Class<?> type, String path) {
        Map<String, Class<?>> components = new TreeMap<>();
        for (RecordComponent component : type.getRecordComponents()) {
            components.put(KEYS.translate(component.getName()), component.getType());
        }
        section.properties().forEach(entry -> {
            Class<?> component = components.get(entry.getKey());
            if (component == null) {
                throw new CliException("The key " + path + entry.getKey() + " is unknown; allowed here are "
                        + String.join(", ", components.keySet()));
            }
            if (component.isRecord()) {
                checkKeys(entry.getValue(), component, path + entry.getKey() + ".");
            }
        });
    }

    /** The YAML text of this task. */
    public String toYaml() {
        try {
            return mapper().writeValueAsString(this);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("A task can't be written as YAML", e);
        }
    }

    private static ObjectMapper mapper() {
        return YAMLMapper.builder(YAMLFactory.builder()
                        .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                        .build())
                .propertyNamingStrategy(KEYS)
                .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
                .defaultPropertyInclusion(
                        JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.ALWAYS))
                .build();
    }

    private static int line(JsonProcessingException e) {
        return e.getLocation() == null ? 0 : e.getLocation().getLineNr();
    }

    private static String place(JsonMappingException e) {
        return e.getPath().stream()
                .map(step -> step.getFieldName() == null ? "[" + step.getIndex() + "]" : step.getFieldName())
                .collect(Collectors.joining("."));
    }

    static void require(String key, @Nullable Object value) {
        if (value == null) {
            throw new CliException("the key " + key + " is missing; add it");
        }
    }

    /** This task with another network. */
    public Task withModel(Path file) {
        return new Task(
                name,
                description,
                data,
                preprocessing,
                windows,
                labels,
                ignore,
                ignoreOthers,
                scaling,
                protocol,
                file.toString(),
                pretraining,
                training);
    }

    /** This task with what is set in {@code flags} instead of its training section's values. */
    public Task withTraining(TrainingSection flags) {
        return new Task(
                name,
                description,
                data,
                preprocessing,
                windows,
                labels,
                ignore,
                ignoreOthers,
                scaling,
                protocol,
                model,
                pretraining,
                training == null ? flags : training.overriddenBy(flags));
    }
}
