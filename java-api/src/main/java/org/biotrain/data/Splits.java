package org.biotrain.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Ways to divide a data set for training and test. Those that draw at random take a seed and give the same split for
 * the same seed on every machine and Java version.
 */
public final class Splits {
    private Splits() {}

    /**
     * Draws the given part of each class for training.
     *
     * @param trainFraction above 0 and below 1; each class with two windows or more gets at least one on each side
     */
    public static Split stratified(Dataset data, double trainFraction, long seed) {
        requireFraction(trainFraction);
        SplitMix64 random = new SplitMix64(seed);
        return perList(data, byClass(data), trainFraction, random::shuffle);
    }

    /**
     * The first part of every recording for training, the rest for test.
     *
     * <p>Windows are ordered by their start. Where windows overlap, follow with {@link Split#withoutOverlap()}.
     */
    public static Split chronological(Dataset data, double trainFraction) {
        requireFraction(trainFraction);
        return perList(data, byRecording(data), trainFraction, indices -> {});
    }

    /**
     * The first part of each class of every recording for training, the rest for test. A rare class is on both sides,
     * but the two sides may interleave in time: where windows overlap, follow with {@link Split#withoutOverlap()}.
     */
    public static Split chronologicalPerClass(Dataset data, double trainFraction) {
        requireFraction(trainFraction);
        List<int[]> lists = new ArrayList<>();
        for (int[] recording : byRecording(data)) {
            Map<Integer, List<Integer>> classes =
                    Arrays.stream(recording).boxed().collect(Collectors.groupingBy(data::label));
            classes.values().forEach(list -> lists.add(toArray(list)));
        }
        return perList(data, lists, trainFraction, indices -> {});
    }

    /**
     * Trains on the windows that satisfy one condition and tests on those that satisfy another. A window that
     * satisfies neither is left out.
     *
     * @throws DataException if a window satisfies both
     */
    public static Split where(Dataset data, Predicate<WindowInfo> train, Predicate<WindowInfo> test) {
        int[] both = data.indicesWhere(train.and(test));
        if (both.length > 0) {
            throw new DataException(both.length + " windows are chosen for training and for test, the first is "
                    + data.info(both[0]) + "; choose each window once");
        }
        return new Split(data, data.indicesWhere(train), data.indicesWhere(test));
    }

    /** Tests on the windows that satisfy the condition and trains on all others. */
    public static Split holdOut(Dataset data, Predicate<WindowInfo> test) {
        return where(data, test.negate(), test);
    }

    /**
     * Trains on the repetitions {@code first … last} and tests on all later ones. Earlier ones, and windows whose
     * repetition is unknown (0), are left out.
     */
    public static Split byRepetition(Dataset data, int first, int last) {
        if (first < 1 || last < first) {
            throw new IllegalArgumentException("repetitions " + first + " to " + last + " are no range from 1 up");
        }
        return where(
                data,
                info -> info.repetition() >= first && info.repetition() <= last,
                info -> info.repetition() > last);
    }

    /**
     * One split per group: tests on this group, trains on all others.
     *
     * @return splits by the group's name, in the order in which the groups first occur
     * @throws DataException if there are fewer than two groups
     */
    public static Map<String, Split> leaveOneOut(Dataset data, Group group) {
        Map<String, Split> splits = new LinkedHashMap<>();
        for (int i = 0; i < data.size(); i++) {
            splits.computeIfAbsent(
                    group.of(data.info(i)),
                    name -> holdOut(data, info -> group.of(info).equals(name)));
        }
        if (splits.size() < 2) {
            throw new DataException("Leaving one " + group + " out needs at least two of them, but the data hold "
                    + splits.keySet() + "; read more recordings or check the pattern that names them");
        }
        return splits;
    }

    /**
     * Divides each class at random into {@code k} parts of the same size (±1) and tests on each part once.
     *
     * @throws DataException if a class that occurs has fewer than {@code k} windows
     */
    public static List<Split> kFold(Dataset data, int k, long seed) {
        if (k < 2) {
            throw new IllegalArgumentException("k must be at least 2, but is " + k);
        }
        SplitMix64 random = new SplitMix64(seed);
        int[] fold = new int[data.size()];
        int dealt = 0; // runs on from class to class, so that the folds' sizes differ by one at most
        for (int[] indices : byClass(data)) {
            if (indices.length > 0 && indices.length < k) {
                throw new DataException("Class " + data.classNames().get(data.label(indices[0])) + " has "
                        + indices.length + " windows, too few for " + k + " folds; use fewer folds");
            }
            random.shuffle(indices);
            for (int index : indices) {
                fold[index] = dealt++ % k;
            }
        }
        List<Split> splits = new ArrayList<>(k);
        for (int f = 0; f < k; f++) {
            int tested = f;
            splits.add(new Split(
                    data,
                    IntStream.range(0, fold.length)
                            .filter(i -> fold[i] != tested)
                            .toArray(),
                    IntStream.range(0, fold.length)
                            .filter(i -> fold[i] == tested)
                            .toArray()));
        }
        return splits;
    }

    /** Takes the first part of each arranged list for training. */
    private static Split perList(Dataset data, Collection<int[]> lists, double trainFraction, Consumer<int[]> arrange) {
        List<Integer> train = new ArrayList<>();
        List<Integer> test = new ArrayList<>();
        for (int[] indices : lists) {
            arrange.accept(indices);
            int count = (int) Math.round(trainFraction * indices.length);
            if (indices.length >= 2) {
                count = Math.clamp(count, 1, indices.length - 1);
            }
            for (int i = 0; i < indices.length; i++) {
                (i < count ? train : test).add(indices[i]);
            }
        }
        return new Split(data, toArray(train), toArray(test));
    }

    private static List<int[]> byClass(Dataset data) {
        return IntStream.range(0, data.classNames().size())
                .mapToObj(label -> IntStream.range(0, data.size())
                        .filter(i -> data.label(i) == label)
                        .toArray())
                .toList();
    }

    /** Indices of each recording's windows by start time. */
    private static Collection<int[]> byRecording(Dataset data) {
        return IntStream.range(0, data.size())
                .boxed()
                .sorted(Comparator.comparingDouble(i -> data.info(i).start()))
                .collect(Collectors.groupingBy(
                        i -> data.info(i).origin(), Collectors.collectingAndThen(Collectors.toList(), Splits::toArray)))
                .values();
    }

    private static int[] toArray(List<Integer> indices) {
        return indices.stream().mapToInt(Integer::intValue).toArray();
    }

    private static void requireFraction(double fraction) {
        if (!(fraction > 0 && fraction < 1)) {
            throw new IllegalArgumentException("the training fraction must lie between 0 and 1, but is " + fraction);
        }
    }
}
