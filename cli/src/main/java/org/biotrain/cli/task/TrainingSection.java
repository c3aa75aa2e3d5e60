package org.biotrain.cli.task;

import java.util.List;
import java.util.Objects;
import org.biotrain.BatchNormMode;
import org.biotrain.Optimizer;
import org.biotrain.SampleFormat;
import org.biotrain.Schedule;
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
                null, null, null);
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
        if (sampleFormat != null) {
            builder.sampleFormat(Kebab.parse("sample-format", SampleFormat.class, sampleFormat));
        }
        if (seed != null) {
            builder.seed(seed);
        }
        return builder.build();
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
