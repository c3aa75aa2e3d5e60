package org.biotrain.it;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Another JVM with the same class path as this one. */
final class ChildJvm {
    private ChildJvm() {}

    /** Prepares {@code java mainClass arguments…}; its error output goes where ours goes. */
    static ProcessBuilder java(String mainClass, String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--illegal-native-access=deny",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                mainClass));
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    }
}
