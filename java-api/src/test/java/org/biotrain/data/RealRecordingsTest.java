package org.biotrain.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * The shared recordings of real subjects, and how many windows the tasks make of them. The numbers were counted by an
 * independent program.
 */
class RealRecordingsTest {
    private static final Pattern EEG_NAME = Pattern.compile("(?<subject>S\\d+)(?<run>R\\d+)");
    private static final Pattern EOG_NAME = Pattern.compile("(?<subject>P\\d+)");
    private static final Pattern EMG_NAME = Pattern.compile("(?<subject>u\\d)_(?<day>day\\d)");

    private static final ClassMap FISTS =
            ClassMap.of(ordered("T1", "left", "T2", "right")).ignoring("T0");
    private static final ClassMap EYES =
            ClassMap.of(ordered("1", "fixation", "2", "saccade", "3", "blink")).ignoring("0");
    private static final ClassMap GRASPS = ClassMap.ofLabels("1", "2", "3", "4", "5", "6");

    private static Map<String, String> ordered(String... labelsAndNames) {
        Map<String, String> map = new LinkedHashMap<>();
        for (int i = 0; i < labelsAndNames.length; i += 2) {
            map.put(labelsAndNames[i], labelsAndNames[i + 1]);
        }
        return map;
    }

    private static List<Recording> read(String folder, String namePattern, Pattern origin) throws IOException {
        List<Recording> recordings = new ArrayList<>();
        for (Path file : SharedData.files(folder, namePattern)) {
            Recording recording = Recordings.read(file);
            recordings.add(recording.withOrigin(Origin.parse(recording.origin().recording(), origin)));
        }
        return recordings;
    }

    @Test
    void imaginedFistsAre45TrialsOfEachSubject() throws IOException {
        List<Recording> runs = read("data/eegmmidb", "S\\d+R(04|08|12)\\.edf", EEG_NAME);
        assertThat(runs).hasSize(45).allSatisfy(run -> {
            assertThat(run.sampleRate()).isEqualTo(160);
            assertThat(run.channels().stream().map(Channel::label))
                    .containsExactly("FC3", "FC4", "C3", "Cz", "C4", "CP3", "CPz", "CP4");
            assertThat(run.channels()).allMatch(channel -> channel.unit().equals("uV"));
            assertThat(run.segments()).hasSize(1);
        });

        Dataset trials = Windows.byAnnotation(0, 4, FISTS).cut(runs);

        assertThat(trials.size()).isEqualTo(675);
        assertThat(trials.channels()).isEqualTo(8);
        assertThat(trials.samples()).isEqualTo(640);
        assertThat(trials.classCounts()).containsExactly(342, 333);
        Map<String, Split> subjects = Splits.leaveOneOut(trials, Group.SUBJECT);
        assertThat(subjects).hasSize(15);
        assertThat(subjects.values()).allSatisfy(split -> {
            assertThat(split.testIndices()).hasSize(45);
            assertThat(split.trainIndices()).hasSize(630);
        });
    }

    @Test
    void publishedFilesHoldTheReducedOnes() throws IOException {
        List<String> labels = List.of("FC3", "FC4", "C3", "Cz", "C4", "CP3", "CPz", "CP4");
        List<Recording> published = read("data/eegmmidb-raw", "S\\d+R\\d+\\.edf", EEG_NAME);
        assertThat(published).hasSize(9).allSatisfy(whole -> {
            assertThat(whole.channels()).hasSize(64);
            Recording reduced = Recordings.read(
                    SharedData.folder("data/eegmmidb").resolve(whole.origin().recording() + ".edf"));
            Recording selected = whole.select(labels);
            assertThat(selected.annotations()).isEqualTo(reduced.annotations());
            for (int channel = 0; channel < labels.size(); channel++) {
                assertThat(selected.samples(channel)).isEqualTo(reduced.samples(channel));
            }
        });
    }

    @Test
    void executedFistsAreReadToo() throws IOException {
        List<Recording> runs = read("data/eegmmidb", "S\\d+R(03|07|11)\\.edf", EEG_NAME);
        assertThat(Windows.byAnnotation(0, 4, FISTS).cut(runs).size()).isEqualTo(675);
    }

    @Test
    void eyeMovementsAreEventsInWindowsOf400Milliseconds() throws IOException {
        List<Recording> recordings = read("data/eog-lnt", "P\\d+\\.csv\\.gz", EOG_NAME);
        assertThat(recordings).hasSize(20).allSatisfy(recording -> {
            assertThat(recording.sampleRate()).isEqualTo(250);
            assertThat(recording.channels().stream().map(Channel::label)).containsExactly("horizontal", "vertical");
            assertThat(recording.segments()).hasSize(1);
            assertThat(recording.sampleCount()).isBetween(17199, 17250);
        });

        Dataset events = Windows.aroundEvents(0.4, EYES).cut(recordings);

        assertThat(events.samples()).isEqualTo(100);
        assertThat(events.size()).isEqualTo(3185);
        assertThat(events.classCounts()).containsExactly(1327, 1602, 256);
        Dataset first = events.where(info -> info.origin().subject().equals("P01"));
        assertThat(first.classCounts()).containsExactly(62, 99, 3);
        Split split = Splits.chronological(first, 0.7);
        assertThat(split.train().size()).isEqualTo(115);
        assertThat(split.test().size()).isEqualTo(49);
    }

    @Test
    void graspsAreWindowsOf300MillisecondsWithOneLabel() throws IOException {
        List<Recording> days = read("data/unibo-inail-semg", "u\\d_day\\d\\.npz", EMG_NAME);
        assertThat(days).hasSize(32).allSatisfy(day -> {
            assertThat(day.sampleRate()).isEqualTo(100);
            assertThat(day.channels()).hasSize(4);
        });

        Dataset windows = Windows.sliding(0.3, 0.1, 1, GRASPS).cut(days);

        assertThat(windows.samples()).isEqualTo(30);
        assertThat(windows.size()).isEqualTo(103461);
        assertThat(windows.classCounts()).containsExactly(56391, 9623, 9753, 9006, 9330, 9358);
        Dataset day = windows.where(info -> info.origin().recording().equals("u1_day1"));
        assertThat(day.classCounts()).containsExactly(1515, 262, 277, 258, 239, 275);
        Split split = Splits.byRepetition(day, 1, 7);
        assertThat(split.trainIndices()).hasSize(1863);
        assertThat(split.testIndices()).hasSize(876);
        assertThat(split.withoutOverlap().trainIndices()).hasSize(1863);
    }
}
