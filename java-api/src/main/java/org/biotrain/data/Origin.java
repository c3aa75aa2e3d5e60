package org.biotrain.data;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a recording comes from. Splits group windows by these names; an empty name means unknown.
 *
 * @param recording name of the recording, usually its file name without extensions
 * @param subject who was recorded
 * @param run which run of a session
 * @param day which day or session
 */
public record Origin(String recording, String subject, String run, String day) {

    /** The origin of which only the recording's name is known. */
    public static Origin of(String recording) {
        return new Origin(recording, "", "", "");
    }

    /**
     * Reads subject, run and day out of a recording's name.
     *
     * @param recording name of the recording, for example {@code S001R04}
     * @param pattern matched against the whole name; its groups named {@code subject}, {@code run} and {@code day},
     *     as far as it has them, become the keys: {@code (?<subject>S\d+)(?<run>R\d+)}
     * @throws DataException if the name does not match
     */
    public static Origin parse(String recording, Pattern pattern) {
        Matcher matcher = pattern.matcher(recording);
        if (!matcher.matches()) {
            throw new DataException("The name of recording " + recording + " does not match the pattern " + pattern
                    + "; rename the file or change the pattern that tells subject, run and day");
        }
        return new Origin(recording, group(matcher, "subject"), group(matcher, "run"), group(matcher, "day"));
    }

    private static String group(Matcher matcher, String name) {
        if (!matcher.namedGroups().containsKey(name)) {
            return "";
        }
        String value = matcher.group(name);
        return value == null ? "" : value;
    }
}
