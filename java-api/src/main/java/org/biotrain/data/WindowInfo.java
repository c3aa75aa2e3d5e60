package org.biotrain.data;

/**
 * What is known about one window besides its samples and its label.
 *
 * @param origin recording, subject, run and day that the window was cut from
 * @param repetition which repetition of its class, from 1; 0 where unknown
 * @param start time of its first sample in seconds on the recording's clock
 * @param duration seconds; 0 where unknown
 */
public record WindowInfo(Origin origin, int repetition, double start, double duration) {
    /** The information of a window of which nothing is known. */
    public static final WindowInfo UNKNOWN = new WindowInfo(Origin.of(""), 0, 0, 0);

    /** Tells whether both windows share time of the same recording. */
    public boolean overlaps(WindowInfo other) {
        return origin.equals(other.origin) && start < other.start + other.duration && other.start < start + duration;
    }
}
