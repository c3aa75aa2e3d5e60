package org.biotrain.data;

/** What windows can be grouped by. */
public enum Group {
    /** The recording that a window was cut from. */
    RECORDING,
    /** The subject. */
    SUBJECT,
    /** The run of a session; runs of different subjects with the same name are one group. */
    RUN,
    /** The day or session; days of different subjects with the same name are one group. */
    DAY,
    /** The repetition of a class. */
    REPETITION;

    /** The group that a window belongs to; empty or 0 where unknown. */
    public String of(WindowInfo info) {
        return switch (this) {
            case RECORDING -> info.origin().recording();
            case SUBJECT -> info.origin().subject();
            case RUN -> info.origin().run();
            case DAY -> info.origin().day();
            case REPETITION -> Integer.toString(info.repetition());
        };
    }
}
