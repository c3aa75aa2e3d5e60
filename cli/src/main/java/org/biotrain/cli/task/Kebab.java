package org.biotrain.cli.task;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.biotrain.cli.CliException;

/** Constants of an enum as task files and options write them: {@code last-layer} is LAST_LAYER. */
final class Kebab {
    private Kebab() {}

    static String text(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    static <E extends Enum<E>> E parse(String key, Class<E> type, String text) {
        for (E constant : type.getEnumConstants()) {
            if (text(constant).equals(text)) {
                return constant;
            }
        }
        String allowed = Arrays.stream(type.getEnumConstants()).map(Kebab::text).collect(Collectors.joining(", "));
        throw new CliException("the value of " + key + " is " + text + "; allowed are " + allowed);
    }
}
