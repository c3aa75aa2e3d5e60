package org.biotrain.cli.task;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Objects;
import org.biotrain.cli.CliException;
import org.biotrain.data.ClassMap;
import org.biotrain.data.Windows;
import org.jspecify.annotations.Nullable;

/**
 * How windows are cut.
 *
 * @param cut by annotation, sliding, or around events
 * @param seconds length of a window
 * @param offset seconds from an annotation's onset to its window's start; 0 by default
 * @param step seconds from one sliding window to the next; the length by default
 * @param share part of a sliding window's samples that must have one label; 1 by default
 */
public record WindowSection(
        Cut cut,
        @Nullable Double seconds,
        @Nullable Double offset,
        @Nullable Double step,
        @Nullable Double share) {
    /** Ways to cut. */
    public enum Cut {
        /** One window per annotation. */
        BY_ANNOTATION,
        /** Windows at a fixed step, labelled by their samples. */
        SLIDING,
        /** One window around the centre of each run of samples with one label. */
        AROUND_EVENTS;

        /** The constant of a task file's word. */
        @JsonCreator
        public static Cut parse(String text) {
            return Kebab.parse("windows.cut", Cut.class, text);
        }

        /** The word in a task file. */
        @JsonValue
        public String text() {
            return Kebab.text(this);
        }
    }

    /** Checks that each setting belongs to the way of cutting. */
    public WindowSection {
        Task.require("windows.cut", cut);
        Task.require("windows.seconds", seconds);
        if (offset != null && cut != Cut.BY_ANNOTATION) {
            throw new CliException("windows.offset belongs to windows cut by-annotation, but they are cut " + cut.text()
                    + "; remove it");
        }
        if ((step != null || share != null) && cut != Cut.SLIDING) {
            throw new CliException("windows.step and windows.share belong to windows cut sliding, but they are cut "
                    + cut.text() + "; remove them");
        }
    }

    Windows toWindows(ClassMap classes) {
        double length = Objects.requireNonNull(seconds);
        try {
            return switch (cut) {
                case BY_ANNOTATION -> Windows.byAnnotation(Objects.requireNonNullElse(offset, 0.0), length, classes);
                case SLIDING ->
                    Windows.sliding(
                            length,
                            Objects.requireNonNullElse(step, length),
                            Objects.requireNonNullElse(share, 1.0),
                            classes);
                case AROUND_EVENTS -> Windows.aroundEvents(length, classes);
            };
        } catch (IllegalArgumentException e) {
            throw new CliException("The section windows can't be used: " + e.getMessage(), e);
        }
    }
}
