package org.biotrain;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * The topology passes: changes of a network, or of what is computed of it. {@link PassInfo} says what each does and what
 * stays equal; {@link TrainingOptions.Builder#pass} switches all but the first.
 */
public enum Pass {
    /** GroupNorm in place of BatchNorm; changes the network: {@link Model#withGroupNorm}. */
    BATCH_NORM_TO_GROUP_NORM(1),
    /** BatchNorm with its running statistics; the same as {@link BatchNormMode#FROZEN}. */
    FREEZE_BATCH_NORM(2),
    /** BatchNorm within the layer before it, where nothing trains. */
    FOLD_BATCH_NORM(3),
    /** No gradient that no update needs. */
    DEAD_GRADIENTS(4),
    /** The first, frozen part runs once per sample. */
    CACHE_FEATURES(5);

    private final int number;

    Pass(int number) {
        this.number = number;
    }

    /** The pass's number in the native library ({@code bt_pass}). */
    public int number() {
        return number;
    }

    /** The name that people write, for example {@code fold-batch-norm}. */
    public String passName() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * The pass of this name.
     *
     * @throws InvalidArgumentException if there is none
     */
    public static Pass of(String name) {
        for (Pass pass : values()) {
            if (pass.passName().equals(name)) {
                return pass;
            }
        }
        throw new InvalidArgumentException("There is no pass " + name + "; the passes are "
                + Arrays.stream(values()).map(Pass::passName).collect(Collectors.joining(", ")));
    }
}
