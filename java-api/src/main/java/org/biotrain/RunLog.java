package org.biotrain;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.biotrain.internal.NativeLibraryInfo;
import org.jspecify.annotations.Nullable;

/**
 * Keeps a run in a directory:
 *
 * <ul>
 *   <li>{@code config.json}: model, options, device
 *   <li>{@code environment.json}: versions, machine, time
 *   <li>{@code steps.csv}: one line per step
 *   <li>{@code evaluations.json}: what {@link #evaluation} was told
 *   <li>{@code native.log}: what the native library reported
 *   <li>{@code checkpoints/last.safetensors}: after each epoch and at the end; an interrupted run goes on from it
 * </ul>
 *
 * <p>Belongs to one session at a time. If the directory can't be written, training stops with a
 * {@link ListenerException}.
 */
public final class RunLog implements TrainingListener {
    private static final ObjectMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private final Path directory;
    private final ArrayNode evaluations = JSON.createArrayNode();
    private final Consumer<String> nativeLines = this::nativeLine;
    private @Nullable TrainingSession session;
    private @Nullable Writer steps;
    private @Nullable Writer nativeLog;
    private long begin;

    private RunLog(Path directory) {
        this.directory = directory;
    }

    /**
     * Makes the directory of a run.
     *
     * @param directory must not exist yet, or must be empty
     * @throws InvalidArgumentException if it holds something or can't be made
     */
    public static RunLog create(Path directory) {
        try {
            Files.createDirectories(directory);
            try (var content = Files.list(directory)) {
                if (content.findAny().isPresent()) {
                    throw new InvalidArgumentException("The directory " + directory
                            + " is not empty, and a run would overwrite what it holds; name a new one");
                }
            }
            Files.createDirectory(directory.resolve("checkpoints"));
        } catch (FileAlreadyExistsException e) {
            throw new InvalidArgumentException(directory + " is not a directory; name a new one", e);
        } catch (IOException e) {
            throw new InvalidArgumentException("The directory " + directory + " can't be made: " + e.getMessage(), e);
        }
        return new RunLog(directory);
    }

    /**
     * Goes on in the directory of an interrupted run.
     *
     * @param directory made by {@link #create}
     * @param step steps of the checkpoint that the run goes on from; later lines of {@code steps.csv} are removed, since
     *     these steps are done again
     * @throws InvalidArgumentException if the directory does not hold the log of so many steps
     */
    public static RunLog resume(Path directory, int step) {
        RunLog log = new RunLog(directory);
        Path file = directory.resolve("steps.csv");
        try {
            List<String> lines = Files.readAllLines(file);
            if (lines.size() < 1 + step) {
                throw new InvalidArgumentException("The file " + file + " holds " + Math.max(0, lines.size() - 1)
                        + " steps, but the checkpoint was made after " + step
                        + "; resume in the directory that the checkpoint is from");
            }
            Path temporary = directory.resolve("steps.csv.part");
            Files.write(temporary, lines.subList(0, 1 + step));
            Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
            Path evaluated = directory.resolve("evaluations.json");
            if (Files.exists(evaluated) && JSON.readTree(evaluated.toFile()) instanceof ArrayNode earlier) {
                log.evaluations.addAll(earlier);
            }
        } catch (IOException e) {
            throw new InvalidArgumentException(
                    "The run directory " + directory + " can't be read: " + e.getMessage(), e);
        }
        return log;
    }

    /** The directory. */
    public Path directory() {
        return directory;
    }

    /** The file that holds the latest checkpoint. */
    public Path lastCheckpoint() {
        return directory.resolve("checkpoints").resolve("last.safetensors");
    }

    /**
     * Adds a result to {@code evaluations.json}.
     *
     * @param name what was evaluated, for example {@code before}
     */
    public void evaluation(String name, Evaluation evaluation) {
        ObjectNode node = evaluations.addObject();
        node.put("name", name);
        node.put("samples", evaluation.count());
        node.put("loss", evaluation.loss());
        node.put("accuracy", evaluation.accuracy());
        node.put("balanced_accuracy", evaluation.balancedAccuracy());
        node.put("macro_f1", evaluation.macroF1());
        ArrayNode classes = node.putArray("classes");
        evaluation.classNames().forEach(classes::add);
        ArrayNode matrix = node.putArray("confusion_matrix");
        for (int[] row : evaluation.confusionMatrix()) {
            ArrayNode counts = matrix.addArray();
            Arrays.stream(row).forEach(counts::add);
        }
        write("evaluations.json", evaluations);
    }

    @Override
    public void onBegin(TrainingSession begun) {
        session = begun;
        begin = System.nanoTime();
        write("config.json", configuration(begun));
        write("environment.json", environment(begun.device().info()));
        try {
            boolean resumed = Files.exists(directory.resolve("steps.csv"));
            steps = append("steps.csv");
            if (!resumed) {
                steps.write("step,epoch,samples,loss,learning_rate,cycles,elapsed_ms\n");
            }
            nativeLog = append("native.log");
        } catch (IOException e) {
            throw unwritable(e);
        }
        begun.device().nativeDevice().log().add(nativeLines);
    }

    private Writer append(String file) throws IOException {
        return Files.newBufferedWriter(
                directory.resolve(file), StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private static ObjectNode configuration(TrainingSession session) {
        ObjectNode node = JSON.createObjectNode();
        node.put("device", session.device().uri());
        node.put("model", session.modelName());
        TrainingOptions options = session.options();
        node.put("optimizer", options.optimizer().toString());
        node.put("schedule", options.schedule().toString());
        node.put("batch_size", options.batchSize());
        node.put("micro_batch", options.microBatch());
        node.put("epochs", options.epochs());
        node.put("scheme", options.scheme().toString());
        node.put("loss", options.loss().toString());
        node.put("batch_norm", options.batchNorm().toString());
        node.put("stash", options.stash().toString());
        node.put("fused_update", options.fusedUpdate());
        node.put("seed", options.seed());
        node.put("sample_format", options.sampleFormat().toString());
        node.put("shuffle", options.shuffle());
        PlanSummary plan = session.plan();
        ObjectNode planned = node.putObject("plan");
        planned.put("program_bytes", plan.programBytes());
        planned.put("l1_peak_bytes", plan.l1PeakBytes());
        planned.put("l2_peak_bytes", plan.l2PeakBytes());
        planned.put("l3_peak_bytes", plan.l3PeakBytes());
        planned.put("parameters", plan.parameters());
        planned.put("trainable_parameters", plan.trainableParameters());
        planned.put("training_macs", plan.trainingMacs());
        return node;
    }

    private static ObjectNode environment(DeviceInfo info) {
        ObjectNode node = JSON.createObjectNode();
        node.put("time", Instant.now().toString());
        node.put("library", NativeLibraryInfo.version());
        node.put("java", System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version"));
        node.put("os", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        node.put("architecture", System.getProperty("os.arch"));
        node.put("processors", Runtime.getRuntime().availableProcessors());
        ObjectNode device = node.putObject("device");
        device.put("link", info.link());
        device.put("target", info.target());
        device.put("cores", info.cores());
        device.put("l1_bytes", info.l1Bytes());
        device.put("l2_bytes", info.l2Bytes());
        device.put("l3_bytes", info.l3Bytes());
        device.put("kernels", info.kernels());
        device.put("build_id", Integer.toHexString(info.buildId()));
        return node;
    }

    @Override
    public void onStep(StepEvent event) {
        if (steps == null) {
            return;
        }
        try {
            steps.write(event.step() + "," + event.epoch() + "," + event.samples() + "," + event.loss() + ","
                    + event.learningRate() + "," + event.cycles() + ","
                    + (System.nanoTime() - begin) / 1_000_000 + "\n");
        } catch (IOException e) {
            throw unwritable(e);
        }
    }

    @Override
    public void onEpoch(EpochEvent event) {
        flush();
        saveCheckpoint();
    }

    @Override
    public void onEnd(TrainingResult result) {
        TrainingSession ended = session;
        if (ended == null) {
            return;
        }
        ended.device().nativeDevice().log().remove(nativeLines);
        try {
            // After a failure the device may not answer any more; the latest epoch's checkpoint is still there.
            if (result.outcome() != TrainingResult.Outcome.FAILED) {
                saveCheckpoint();
            }
        } finally {
            session = null;
            close(steps);
            steps = null;
            close(nativeLog);
            nativeLog = null;
        }
    }

    private void close(@Nullable Writer writer) {
        try {
            if (writer != null) {
                writer.close();
            }
        } catch (IOException e) {
            throw unwritable(e);
        }
    }

    private void saveCheckpoint() {
        if (session != null) {
            session.checkpoint().save(lastCheckpoint());
        }
    }

    private void flush() {
        try {
            if (steps != null) {
                steps.flush();
            }
            if (nativeLog != null) {
                nativeLog.flush();
            }
        } catch (IOException e) {
            throw unwritable(e);
        }
    }

    private void nativeLine(String line) {
        try {
            if (nativeLog != null) {
                nativeLog.write(line + "\n");
            }
        } catch (IOException e) {
            throw unwritable(e);
        }
    }

    /** Whole or not at all. */
    private void write(String file, Object content) {
        Path target = directory.resolve(file);
        Path temporary = directory.resolve(file + ".part");
        try {
            JSON.writeValue(temporary.toFile(), content);
            Files.move(temporary, target, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            try {
                Files.deleteIfExists(temporary);
            } catch (IOException left) {
                e.addSuppressed(left);
            }
            throw unwritable(e);
        }
    }

    private UncheckedIOException unwritable(IOException e) {
        return new UncheckedIOException("The run directory " + directory + " can't be written: " + e.getMessage(), e);
    }
}
