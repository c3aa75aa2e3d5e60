package org.biotrain.cli.task;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.biotrain.cli.CliException;
import org.biotrain.data.ClassMap;
import org.biotrain.data.Dataset;
import org.biotrain.data.Group;
import org.biotrain.data.Preprocessing;
import org.biotrain.data.Recording;
import org.biotrain.data.Split;
import org.biotrain.data.Splits;
import org.biotrain.data.WindowInfo;
import org.biotrain.data.Windows;

/** Reads a task's recordings, cuts them, and divides the windows by the task's protocol. */
public final class Folds {
    private Folds() {}

    /**
     * The folds, in the order of the files.
     *
     * @throws CliException if a fold would have nothing to train or to test on
     * @throws org.biotrain.data.DataException if a recording can't be used
     */
    public static List<Fold> of(Task task, List<Path> files) {
        Dataset all = windows(task, files);
        return task.protocol().kind() == ProtocolSection.Kind.LEAVE_ONE_SUBJECT_OUT
                ? leaveOneSubjectOut(task, all)
                : within(task, all);
    }

    /** All windows of some recordings, not scaled. */
    public static Dataset windows(Task task, List<Path> files) {
        Preprocessing preprocessing = task.preprocessing() == null
                ? Preprocessing.NONE
                : task.preprocessing().toPreprocessing();
        Windows windows = task.windows().toWindows(classes(task));
        List<Recording> recordings = new ArrayList<>();
        for (Path file : files) {
            recordings.add(preprocessing.apply(task.data().read(file)));
        }
        return windows.cut(recordings);
    }

    private static ClassMap classes(Task task) {
        ClassMap classes = ClassMap.of(task.labels());
        if (task.ignore() != null) {
            classes = classes.ignoring(task.ignore().toArray(String[]::new));
        }
        return task.ignoreOthers() != null && task.ignoreOthers() ? classes.ignoringOthers() : classes;
    }

    private static List<Fold> within(Task task, Dataset all) {
        ProtocolSection protocol = task.protocol();
        List<Group> per = Objects.requireNonNullElse(protocol.per(), List.of());
        Map<String, Dataset> groups = new LinkedHashMap<>();
        for (String name : names(all, per)) {
            groups.put(name, all.where(info -> name(info, per).equals(name)));
        }
        List<Fold> folds = new ArrayList<>();
        groups.forEach((name, windows) -> {
            Split split = switch (protocol.kind()) {
                case REPETITIONS -> {
                    List<Integer> range = Objects.requireNonNull(protocol.trainRepetitions());
                    yield Splits.byRepetition(windows, range.getFirst(), range.getLast());
                }
                case CHRONOLOGICAL -> Splits.chronological(windows, fraction(protocol));
                case STRATIFIED -> Splits.stratified(windows, fraction(protocol), seed(task));
                case LEAVE_ONE_SUBJECT_OUT -> throw new IllegalStateException("not within a group");
            };
            Split disjoint = split.withoutOverlap();
            folds.add(fold(task, name, disjoint.train(), disjoint.test(), List.of()));
        });
        return folds;
    }

    private static double fraction(ProtocolSection protocol) {
        return Objects.requireNonNull(protocol.trainFraction());
    }

    private static long seed(Task task) {
        return task.training() == null || task.training().seed() == null
                ? 0
                : task.training().seed();
    }

    private static List<Fold> leaveOneSubjectOut(Task task, Dataset all) {
        List<String> calibrationRuns = Objects.requireNonNull(task.protocol().calibrationRuns());
        List<String> testRuns = Objects.requireNonNull(task.protocol().testRuns());
        // Each subject is scaled by itself: amplitudes differ from head to head.
        Map<String, Dataset> scaled = new LinkedHashMap<>();
        Splits.leaveOneOut(all, Group.SUBJECT).forEach((subject, split) -> {
            Dataset windows = split.test();
            scaled.put(subject, Scaling.fit(task.scaling(), windows).apply(windows));
        });
        List<Fold> folds = new ArrayList<>();
        for (String subject : scaled.keySet()) {
            Dataset own = all.where(info -> info.origin().subject().equals(subject));
            List<Dataset> others = scaled.entrySet().stream()
                    .filter(entry -> !entry.getKey().equals(subject))
                    .map(Map.Entry::getValue)
                    .toList();
            folds.add(fold(
                    task,
                    subject,
                    own.where(info -> calibrationRuns.contains(info.origin().run())),
                    own.where(info -> testRuns.contains(info.origin().run())),
                    others));
        }
        return folds;
    }

    private static Fold fold(Task task, String name, Dataset train, Dataset test, List<Dataset> others) {
        if (train.size() == 0 || test.size() == 0) {
            throw new CliException("The group " + name + " has " + train.size() + " windows to train on and "
                    + test.size() + " to test on; both must be at least 1, change the protocol or the data");
        }
        Scaling scaling = Scaling.fit(task.scaling(), train);
        String subject = test.info(0).origin().subject();
        return new Fold(
                name, subject.isEmpty() ? name : subject, scaling, scaling.apply(train), scaling.apply(test), others);
    }

    private static Set<String> names(Dataset all, List<Group> per) {
        Set<String> names = new LinkedHashSet<>();
        for (int window = 0; window < all.size(); window++) {
            names.add(name(all.info(window), per));
        }
        return names;
    }

    private static String name(WindowInfo info, List<Group> per) {
        return per.isEmpty() ? "all" : per.stream().map(group -> group.of(info)).collect(Collectors.joining(" "));
    }
}
