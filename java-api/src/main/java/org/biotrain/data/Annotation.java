package org.biotrain.data;

/**
 * A labelled stretch of a recording.
 *
 * @param onset seconds on the recording's clock, see {@link Segment#start()}
 * @param duration seconds; 0 where the file gives none
 * @param label the text as the file has it, for example {@code T1}
 */
public record Annotation(double onset, double duration, String label) {}
