package org.biotrain.cli.task;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.biotrain.BatchNormMode;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.Pass;
import org.biotrain.SampleFormat;
import org.biotrain.Schedule;
import org.biotrain.Stash;
import org.biotrain.TrainingOptions;
import org.biotrain.UpdateScheme;
import org.biotrain.cli.CliException;
import org.jspecify.annotations.Nullable;

/**
 * How a network is trained. What is not set is the library's default: SGD with rate 5e-3, momentum 0.9 and weight
 * decay 1e-3, a cosine to 0, batch 8 of micro-batches of 1, 30 epochs, all parameters.
 *
 * @param optimizer sgd, adam or adamw
 * @param learningRate of the optimizer; 1e-3 by default for Adam and AdamW
 * @param momentum of SGD
 * @param nesterov whether SGD's momentum looks ahead
 * @param weightDecay of the optimizer
 * @param schedule constant, cosine or step
 * @param minimumRate where the cosine ends
 * @param decay factor of the step schedule
 * @param decaySteps steps from one factor to the next
 * @param warmupSteps steps of linear warm-up
 * @param batch samples of one optimizer step
 * @param microBatch samples computed at once
 * @param epochs passes over the samples
 * @param scheme full, last-layer, bias-only, norm-only, or names of parameters with commas between them
 * @param batchNorm frozen or training
 * @param fp16Stash whether maps that are kept for later are kept in half precision
 * @param fusedUpdate whether parameters are updated within the backward pass; batch and microBatch are then the same
 * @param passes names of passes to switch on, or, behind "no-", to switch off; see {@code biotrain passes}
 * @param groups of the GroupNorms that the pass batch-norm-to-group-norm makes; 1 by default
 * @param sampleFormat int16 or float32
 * @param balance whether windows of rarer classes are repeated until all classes are about as frequent
 * @param mirror channels (from 0) whose sign means no class: each window is trained on mirrored there, too
 * @param shift samples: each window is trained on moved so far to either side, too
 * @param seed of the samples' order and of dropout
 */
public record TrainingSection(
        @Nullable String optimizer,
        @Nullable Float learningRate,
        @Nullable Float momentum,
        @Nullable Boolean nesterov,
        @Nullable Float weightDecay,
        @Nullable String schedule,
        @Nullable Float minimumRate,
        @Nullable Float decay,
        @Nullable Integer decaySteps,
        @Nullable Integer warmupSteps,
        @Nullable Integer batch,
        @Nullable Integer microBatch,
        @Nullable Integer epochs,
        @Nullable String scheme,
        @Nullable String batchNorm,
        @Nullable Boolean fp16Stash,
        @Nullable Boolean fusedUpdate,
        @Nullable List<String> passes,
        @Nullable Integer groups,
        @Nullable String sampleFormat,
        @Nullable Boolean balance,
        @Nullable List<Integer> mirror,
        @Nullable Integer shift,
        @Nullable Long seed) {
    /** Checks what the library does not know of. */
    public TrainingSection {
        if (shift != null && shift < 1) {
            throw new CliException("shift is " + shift + " samples; it must be at least 1");
        }
    }

    /** Begins the name of a pass that is switched off. */
    public static final String OFF = "no-";

    private enum Rule {
        SGD,
        /** Another name of SGD, which has momentum unless told otherwise. */
        SGD_MOMENTUM,
        ADAM,
        ADAMW
    }

    private enum Course {
        CONSTANT,
        COSINE,
        STEP
    }

    /** Nothing set. */
    public static TrainingSection defaults() {
        return new TrainingSection(
                null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
                null, null, null, null, null, null, null);
    }

    /** These settings, but those of {@code other} where it has any. */
    TrainingSection overriddenBy(TrainingSection other) {
        // Another optimizer starts from its own defaults: a rate for SGD means nothing to Adam.
        TrainingSection base = other.optimizer == null || other.optimizer.equals(optimizer) ? this : withoutRule();
        return new TrainingSection(
                either(other.optimizer, base.optimizer),
                either(other.learningRate, base.learningRate),
                either(other.momentum, base.momentum),
                either(other.nesterov, base.nesterov),
                either(other.weightDecay, base.weightDecay),
                either(other.schedule, base.schedule),
                either(other.minimumRate, base.minimumRate),
                either(other.decay, base.decay),
                either(other.decaySteps, base.decaySteps),
                either(other.warmupSteps, base.warmupSteps),
                either(other.batch, base.batch),
                either(other.microBatch, base.microBatch),
                either(other.epochs, base.epochs),
                either(other.scheme, base.scheme),
                either(other.batchNorm, base.batchNorm),
                either(other.fp16Stash, base.fp16Stash),
                either(other.fusedUpdate, base.fusedUpdate),
                either(other.passes, base.passes),
                either(other.groups, base.groups),
                either(other.sampleFormat, base.sampleFormat),
                either(other.balance, base.balance),
                either(other.mirror, base.mirror),
                either(other.shift, base.shift),
                either(other.seed, base.seed));
    }

    private TrainingSection withoutRule() {
        return new TrainingSection(
                null,
                null,
                null,
                null,
                null,
                schedule,
                minimumRate,
                decay,
                decaySteps,
                warmupSteps,
                batch,
                microBatch,
                epochs,
                scheme,
                batchNorm,
                fp16Stash,
                fusedUpdate,
                passes,
                groups,
                sampleFormat,
                balance,
                mirror,
                shift,
                seed);
    }

    private static <T> @Nullable T either(@Nullable T first, @Nullable T second) {
        return first == null ? second : first;
    }

    /**
     * The library's options.
     *
     * @throws CliException if a word is none of those allowed, or a setting does not belong to the optimizer
     * @throws org.biotrain.InvalidArgumentException if a number is not allowed
     */
    public TrainingOptions toOptions() {
        TrainingOptions.Builder builder =
                TrainingOptions.builder().optimizer(rule()).schedule(course());
        if (batch != null) {
            builder.batchSize(batch);
        }
        if (microBatch != null) {
            builder.microBatch(microBatch);
        }
        if (epochs != null) {
            builder.epochs(epochs);
        }
        if (scheme != null) {
            builder.scheme(updateScheme(scheme));
        }
        if (batchNorm != null) {
            builder.batchNorm(Kebab.parse("batch-norm", BatchNormMode.class, batchNorm));
        }
        if (fp16Stash != null) {
            builder.stash(fp16Stash ? Stash.FLOAT16 : Stash.FLOAT32);
        }
        if (fusedUpdate != null) {
            builder.fusedUpdate(fusedUpdate);
        }
        switches().forEach((pass, on) -> {
            if (pass != Pass.BATCH_NORM_TO_GROUP_NORM) {
                builder.pass(pass, on);
            }
        });
        if (sampleFormat != null) {
            builder.sampleFormat(Kebab.parse("sample-format", SampleFormat.class, sampleFormat));
        }
        if (seed != null) {
            builder.seed(seed);
        }
        return builder.build();
    }

    /**
     * The network to train: with GroupNorm in place of BatchNorm if the pass batch-norm-to-group-norm is on.
     */
    public Model prepare(Model model) {
        if (switches().getOrDefault(Pass.BATCH_NORM_TO_GROUP_NORM, false)) {
            return model.withGroupNorm(groups == null ? 1 : groups);
        }
        return model;
    }

    private Map<Pass, Boolean> switches() {
        Map<Pass, Boolean> switches = new EnumMap<>(Pass.class);
        for (String name : passes == null ? List.<String>of() : passes) {
            boolean on = !name.startsWith(OFF);
            Boolean before = switches.put(Pass.of(on ? name : name.substring(OFF.length())), on);
            if (before != null && before != on) {
                throw new CliException("the pass " + name + " is switched both on and off; choose one");
            }
        }
        if (groups != null && !switches.getOrDefault(Pass.BATCH_NORM_TO_GROUP_NORM, false)) {
            throw new CliException("groups is " + groups + ", but only the pass batch-norm-to-group-norm makes groups;"
                    + " switch it on, or remove groups");
        }
        if (batchNorm != null && switches.containsKey(Pass.FREEZE_BATCH_NORM)) {
            throw new CliException("batch-norm and the pass freeze-batch-norm say the same; give one of them");
        }
        return switches;
    }

    private Optimizer rule() {
        Rule rule = optimizer == null ? Rule.SGD : Kebab.parse("optimizer", Rule.class, optimizer);
        if (rule != Rule.SGD && rule != Rule.SGD_MOMENTUM && (momentum != null || nesterov != null)) {
            throw new CliException(
                    "momentum and nesterov belong to sgd, but the optimizer is " + Kebab.text(rule) + "; remove them");
        }
        return switch (rule) {
            case SGD, SGD_MOMENTUM ->
                new Optimizer.Sgd(
                        Objects.requireNonNullElse(learningRate, 5e-3f),
                        Objects.requireNonNullElse(momentum, 0.9f),
                        Objects.requireNonNullElse(weightDecay, 1e-3f),
                        nesterov != null && nesterov);
            case ADAM -> {
                Optimizer.Adam adam = Optimizer.adam(Objects.requireNonNullElse(learningRate, 1e-3f));
                yield weightDecay == null ? adam : adam.weightDecay(weightDecay);
            }
            case ADAMW -> {
                Optimizer.AdamW adamW = Optimizer.adamW(Objects.requireNonNullElse(learningRate, 1e-3f));
                yield weightDecay == null ? adamW : adamW.weightDecay(weightDecay);
            }
        };
    }

    private Schedule course() {
        Course course = schedule == null ? Course.COSINE : Kebab.parse("schedule", Course.class, schedule);
        if (course != Course.STEP && (decay != null || decaySteps != null)) {
            throw new CliException("decay and decay-steps belong to the schedule step, but it is " + Kebab.text(course)
                    + "; remove them");
        }
        if (course != Course.COSINE && minimumRate != null) {
            throw new CliException(
                    "minimum-rate belongs to the schedule cosine, but it is " + Kebab.text(course) + "; remove it");
        }
        Schedule plain = switch (course) {
            case CONSTANT -> Schedule.constant();
            case COSINE -> Schedule.cosine(Objects.requireNonNullElse(minimumRate, 0f));
            case STEP -> {
                if (decay == null || decaySteps == null) {
                    throw new CliException("the schedule step needs decay and decay-steps; give both");
                }
                yield Schedule.step(decaySteps, decay);
            }
        };
        return plain.warmup(Objects.requireNonNullElse(warmupSteps, 0));
    }

    private static UpdateScheme updateScheme(String text) {
        for (UpdateScheme.Preset preset : UpdateScheme.Preset.values()) {
            if (Kebab.text(preset).equals(text)) {
                return preset;
            }
        }
        return UpdateScheme.parameters(text.split("\\s*,\\s*"));
    }
}
