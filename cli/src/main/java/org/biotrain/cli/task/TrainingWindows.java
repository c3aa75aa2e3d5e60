package org.biotrain.cli.task;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.biotrain.cli.CliException;
import org.biotrain.data.Dataset;
import org.biotrain.data.WindowInfo;

/** Makes the windows that are uploaded out of those of a fold: mirrored, shifted and repeated as the training asks. */
public final class TrainingWindows {
    private TrainingWindows() {}

    /** The windows to train on. */
    public static Dataset of(TrainingSection section, Dataset windows) {
        Dataset result = windows;
        if (section.shift() != null) {
            result = Dataset.concat(
                    List.of(result, shifted(windows, -section.shift()), shifted(windows, section.shift())));
        }
        if (section.mirror() != null) {
            result = Dataset.concat(List.of(result, mirrored(result, section.mirror())));
        }
        return section.balance() != null && section.balance() ? balanced(result) : result;
    }

    /** The windows, moved; what is missing at an end is the last known sample. */
    private static Dataset shifted(Dataset windows, int shift) {
        float[] source = values(windows);
        float[] values = new float[source.length];
        int samples = windows.samples();
        for (int row = 0; row < values.length; row += samples) {
            for (int i = 0; i < samples; i++) {
                values[row + i] = source[row + Math.clamp((long) i - shift, 0, samples - 1)];
            }
        }
        return with(windows, values);
    }

    private static Dataset mirrored(Dataset windows, List<Integer> channels) {
        float[] values = values(windows);
        int samples = windows.samples();
        for (int channel : channels) {
            if (channel < 0 || channel >= windows.channels()) {
                throw new CliException("mirror names channel " + channel + ", but the windows have channels 0 to "
                        + (windows.channels() - 1));
            }
            for (int row = channel; row < values.length / samples; row += windows.channels()) {
                for (int i = row * samples; i < (row + 1) * samples; i++) {
                    values[i] = -values[i];
                }
            }
        }
        return with(windows, values);
    }

    private static float[] values(Dataset windows) {
        float[] values = new float[windows.data().remaining()];
        windows.data().get(values);
        return values;
    }

    private static Dataset with(Dataset windows, float[] values) {
        List<WindowInfo> infos =
                IntStream.range(0, windows.size()).mapToObj(windows::info).toList();
        return Dataset.of(windows.classNames(), windows.channels(), windows.samples(), values, windows.labels(), infos);
    }

    /** Repeats windows of rarer classes in turn until each class that occurs is as frequent as the most frequent. */
    private static Dataset balanced(Dataset windows) {
        List<List<Integer>> members = new ArrayList<>();
        for (int label = 0; label < windows.classNames().size(); label++) {
            members.add(new ArrayList<>());
        }
        int[] labels = windows.labels();
        for (int window = 0; window < labels.length; window++) {
            members.get(labels[window]).add(window);
        }
        int most = members.stream().mapToInt(List::size).max().orElse(0);
        List<Integer> chosen = new ArrayList<>();
        for (List<Integer> ofClass : members) {
            for (int i = 0; i < most && !ofClass.isEmpty(); i++) {
                chosen.add(ofClass.get(i % ofClass.size()));
            }
        }
        return windows.subset(chosen.stream().mapToInt(Integer::intValue).toArray());
    }
}
