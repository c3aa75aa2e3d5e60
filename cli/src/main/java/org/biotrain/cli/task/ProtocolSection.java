package org.biotrain.cli.task;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.List;
import org.biotrain.cli.CliException;
import org.biotrain.data.Group;
import org.jspecify.annotations.Nullable;

/**
 * What is trained and what is tested.
 *
 * @param kind the way of dividing
 * @param per what gets a network of its own: subject, day, run, recording; several make one group together
 * @param trainRepetitions repetitions: first and last to train on; later ones are tested
 * @param trainFraction chronological and stratified: part of the windows to train on
 * @param calibrationRuns leave-one-subject-out: runs of the left-out subject to calibrate on
 * @param testRuns leave-one-subject-out: runs of the left-out subject to test on
 */
public record ProtocolSection(
        Kind kind,
        @Nullable List<Group> per,
        @Nullable List<Integer> trainRepetitions,
        @Nullable Double trainFraction,
        @Nullable List<String> calibrationRuns,
        @Nullable List<String> testRuns) {
    /** Ways of dividing. */
    public enum Kind {
        /** By repetition, within each group. */
        REPETITIONS,
        /** The first part in time for training, within each group. */
        CHRONOLOGICAL,
        /** A part of each class drawn at random, within each group. */
        STRATIFIED,
        /** Pre-training on all other subjects, then calibration and test on different runs of the subject. */
        LEAVE_ONE_SUBJECT_OUT;

        /** The constant of a task file's word. */
        @JsonCreator
        public static Kind parse(String text) {
            return Kebab.parse("protocol.kind", Kind.class, text);
        }

        /** The word in a task file. */
        @JsonValue
        public String text() {
            return Kebab.text(this);
        }
    }

    /** Checks that what the kind needs is there, and nothing else. */
    public ProtocolSection {
        Task.require("protocol.kind", kind);
        belongs("train-repetitions", trainRepetitions, kind == Kind.REPETITIONS, kind);
        belongs("train-fraction", trainFraction, kind == Kind.CHRONOLOGICAL || kind == Kind.STRATIFIED, kind);
        belongs("calibration-runs", calibrationRuns, kind == Kind.LEAVE_ONE_SUBJECT_OUT, kind);
        belongs("test-runs", testRuns, kind == Kind.LEAVE_ONE_SUBJECT_OUT, kind);
        if (kind == Kind.LEAVE_ONE_SUBJECT_OUT && per != null) {
            throw new CliException("protocol.per does not belong to leave-one-subject-out; remove it");
        }
        if (trainRepetitions != null && trainRepetitions.size() != 2) {
            throw new CliException("protocol.train-repetitions has " + trainRepetitions.size()
                    + " values; give the first and the last repetition to train on, [1, 7] say");
        }
        if (trainFraction != null && !(trainFraction > 0 && trainFraction < 1)) {
            throw new CliException("protocol.train-fraction is " + trainFraction + "; it must lie between 0 and 1");
        }
    }

    private static void belongs(String key, @Nullable Object value, boolean belongs, Kind kind) {
        if (belongs != (value != null)) {
            throw new CliException("the key protocol." + key
                    + (belongs
                            ? " is missing; the protocol " + kind.text() + " needs it"
                            : " does not belong to the protocol " + kind.text() + "; remove it"));
        }
    }
}
