package org.biotrain.cli.task;

import java.util.List;
import org.biotrain.data.Dataset;

/**
 * One network of a study: what it is trained and tested on. All windows are scaled.
 *
 * @param name the group's name, for example {@code u1 day3}
 * @param subject the subject's name; the group's where the recordings tell no subject
 * @param scaling the scaling that was fitted on the training windows
 * @param train windows to train on
 * @param test windows to test on
 * @param others windows of the other subjects, one data set each, to pre-train on; empty without pre-training
 */
public record Fold(String name, String subject, Scaling scaling, Dataset train, Dataset test, List<Dataset> others) {
    /** Copies the list. */
    public Fold {
        others = List.copyOf(others);
    }
}
