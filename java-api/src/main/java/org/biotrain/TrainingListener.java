package org.biotrain;

/**
 * Watches a training. All methods are called on the session's thread, listeners in the order in which they were given.
 *
 * <p>{@link #onStep} is called while the device is at work: of the session it may call {@link TrainingSession#stop}
 * only. In the other methods every method of the session but {@code fit} and {@code close} may be called, for example
 * {@code evaluate} or {@code checkpoint} after an epoch.
 *
 * <p>A listener that throws stops the training; {@code fit} then throws a {@link ListenerException} with the listener's
 * exception as its cause, and the session stays usable. As with {@link TrainingSession#stop}, a device that is ahead of
 * its link may complete a few steps more, which count.
 */
public interface TrainingListener {
    /** Before the first step of a call of {@link TrainingSession#fit}. */
    default void onBegin(TrainingSession session) {}

    /** After each optimizer step. */
    default void onStep(StepEvent event) {}

    /** After each completed epoch. */
    default void onEpoch(EpochEvent event) {}

    /** After the last step, also when the training was stopped or failed. */
    default void onEnd(TrainingResult result) {}
}
