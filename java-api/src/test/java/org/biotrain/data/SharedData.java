package org.biotrain.data;

import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The shared recordings, which the repository does not hold: tests that need them skip, and say so, without them. */
public final class SharedData {
    private SharedData() {}

    /** A folder of {@code BIOTRAIN_SHARED}, or of {@code shared} beside the repository. */
    public static Path folder(String relative) {
        String configured = System.getenv("BIOTRAIN_SHARED");
        List<Path> candidates = configured != null
                ? List.of(Path.of(configured))
                : List.of(Path.of("../../shared"), Path.of("../shared"));
        for (Path candidate : candidates) {
            if (Files.isDirectory(candidate.resolve(relative))) {
                return candidate.resolve(relative);
            }
        }
        String reason = "Skipped: no folder " + relative + " in " + candidates + "; set BIOTRAIN_SHARED to the folder";
        if ("1".equals(System.getenv("BIOTRAIN_REQUIRE_SHARED"))) {
            return fail(reason + " (BIOTRAIN_REQUIRE_SHARED=1 makes this a failure)");
        }
        System.out.println(reason);
        return abort(reason);
    }

    /** The files of a folder whose names match, sorted. */
    public static List<Path> files(String folder, String namePattern) throws java.io.IOException {
        try (Stream<Path> files = Files.list(folder(folder))) {
            return files.filter(file -> file.getFileName().toString().matches(namePattern))
                    .sorted()
                    .toList();
        }
    }
}
