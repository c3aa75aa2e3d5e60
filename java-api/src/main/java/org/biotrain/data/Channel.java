package org.biotrain.data;

import java.util.List;
import java.util.Locale;

/**
 * One signal of a recording.
 *
 * @param label name as the file has it, for example {@code C3}
 * @param unit physical unit, for example {@code uV}; empty where the file names none
 */
public record Channel(String label, String unit) {
    /** Finds a channel as {@link Recording#select} does; {@code owner} begins the message where there is none. */
    static int indexOf(String owner, List<Channel> channels, String label) {
        List<String> labels = channels.stream().map(Channel::label).toList();
        String wanted = label;
        if (!labels.contains(wanted)) {
            labels = labels.stream().map(Channel::plain).toList();
            wanted = plain(label);
        }
        int index = labels.indexOf(wanted);
        if (index < 0 || index != labels.lastIndexOf(wanted)) {
            throw new DataException(owner + " has " + (index < 0 ? "no channel " : "more than one channel ") + label
                    + "; its channels are "
                    + String.join(", ", channels.stream().map(Channel::label).toList()));
        }
        return index;
    }

    private static String plain(String label) {
        return label.replaceAll("[.\\s]+$", "").toUpperCase(Locale.ROOT);
    }
}
