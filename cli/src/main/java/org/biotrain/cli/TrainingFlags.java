package org.biotrain.cli;

import java.util.ArrayList;
import java.util.List;
import org.biotrain.cli.task.TrainingSection;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that say how a network is trained. Those of a task file are used where an option is not given. */
final class TrainingFlags {
    @Option(
            names = "--scheme",
            paramLabel = "SCHEME",
            description = "What trains: full, last-layer, bias-only, norm-only, or names of parameters with commas"
                    + " between them. Default: full.")
    private @Nullable String scheme;

    @Option(names = "--epochs", paramLabel = "N", description = "Passes over the windows. Default: 30.")
    private @Nullable Integer epochs;

    @Option(names = "--batch", paramLabel = "N", description = "Windows of one optimizer step. Default: 8.")
    private @Nullable Integer batch;

    @Option(
            names = "--micro-batch",
            paramLabel = "N",
            description = "Windows computed at once; gradients accumulate to the batch. Default: 1.")
    private @Nullable Integer microBatch;

    @Option(
            names = "--optimizer",
            paramLabel = "NAME",
            description = "sgd (or sgd-momentum), adam or adamw. Default: sgd.")
    private @Nullable String optimizer;

    @Option(
            names = {"--lr", "--learning-rate"},
            paramLabel = "RATE",
            description = "Learning rate. Default: 0.005 for sgd, 0.001 for adam and adamw.")
    private @Nullable Float learningRate;

    @Option(names = "--momentum", paramLabel = "M", description = "Momentum of sgd. Default: 0.9.")
    private @Nullable Float momentum;

    @Option(names = "--nesterov", description = "Nesterov momentum for sgd.")
    private @Nullable Boolean nesterov;

    @Option(
            names = "--weight-decay",
            paramLabel = "D",
            description = "Weight decay. Default: 0.001 for sgd, 0 for adam, 0.01 for adamw.")
    private @Nullable Float weightDecay;

    @Option(names = "--schedule", paramLabel = "NAME", description = "constant, cosine or step. Default: cosine.")
    private @Nullable String schedule;

    @Option(names = "--minimum-rate", paramLabel = "RATE", description = "Where the cosine ends. Default: 0.")
    private @Nullable Float minimumRate;

    @Option(names = "--decay", paramLabel = "F", description = "Factor of the step schedule.")
    private @Nullable Float decay;

    @Option(names = "--decay-steps", paramLabel = "N", description = "Steps between two factors of the step schedule.")
    private @Nullable Integer decaySteps;

    @Option(names = "--warmup-steps", paramLabel = "N", description = "Steps of linear warm-up. Default: 0.")
    private @Nullable Integer warmupSteps;

    @Option(
            names = "--batch-norm",
            paramLabel = "MODE",
            description = "frozen or training (needs a micro-batch of at least 2). Default: frozen.")
    private @Nullable String batchNorm;

    @Option(
            names = "--fp16-stash",
            description = "Keep maps that are needed later in half precision: less memory, a loss that is a little off"
                    + " (biotrain bench --fp16-stash says how much).")
    private @Nullable Boolean fp16Stash;

    @Option(
            names = "--fused-update",
            description =
                    "Update each parameter within the backward pass and keep no gradient: less memory and the same"
                            + " bits, if --batch and --micro-batch are the same.")
    private @Nullable Boolean fusedUpdate;

    @Option(
            names = "--pass",
            paramLabel = "NAME",
            description = "Switch a pass on; biotrain passes lists them. May be repeated.")
    private @Nullable List<String> pass;

    @Option(names = "--no-pass", paramLabel = "NAME", description = "Switch a pass off. May be repeated.")
    private @Nullable List<String> noPass;

    @Option(
            names = "--groups",
            paramLabel = "N",
            description = "Groups of each GroupNorm that the pass batch-norm-to-group-norm makes. Default: 1.")
    private @Nullable Integer groups;

    @Option(
            names = "--sample-format",
            paramLabel = "FORMAT",
            description = "How windows travel to the device: int16 (with a scale per channel) or float32."
                    + " Default: int16.")
    private @Nullable String sampleFormat;

    @Option(names = "--balance", description = "Repeat windows of rarer classes until all are about as frequent.")
    private @Nullable Boolean balance;

    @Option(
            names = "--mirror",
            split = ",",
            paramLabel = "CHANNEL",
            description = "Channels (from 0) whose sign means no class: train on each window mirrored there, too.")
    private @Nullable List<Integer> mirror;

    @Option(
            names = "--shift",
            paramLabel = "SAMPLES",
            description = "Train on each window moved so far to either side, too.")
    private @Nullable Integer shift;

    @Option(
            names = "--seed",
            paramLabel = "SEED",
            description = "Of the windows' order and of dropout: the same seed gives the same bits. Default: 0.")
    private @Nullable Long seed;

    private @Nullable List<String> passes() {
        if (pass == null && noPass == null) {
            return null;
        }
        List<String> passes = new ArrayList<>(pass == null ? List.of() : pass);
        if (noPass != null) {
            noPass.forEach(name -> passes.add(TrainingSection.OFF + name));
        }
        return passes;
    }

    TrainingSection toSection() {
        return new TrainingSection(
                optimizer,
                learningRate,
                momentum,
                nesterov,
                weightDecay,
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
                passes(),
                groups,
                sampleFormat,
                balance,
                mirror,
                shift,
                seed);
    }
}
