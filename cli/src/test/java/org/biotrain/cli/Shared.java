package org.biotrain.cli;

import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Folders that are not in the repository: reference vectors and recordings. */
final class Shared {
    private Shared() {}

    /** A folder below {@code BIOTRAIN_SHARED}; skips the test where it is missing, or fails it if it is required. */
    static Path folder(String name) {
        Path folder =
                Path.of(Optional.ofNullable(System.getenv("BIOTRAIN_SHARED")).orElse("../../shared"), name);
        if (!Files.isDirectory(folder)) {
            String reason = "Skipped: there is no folder " + folder + "; set BIOTRAIN_SHARED to the one that holds it";
            if ("1".equals(System.getenv("BIOTRAIN_REQUIRE_SHARED"))) {
                fail(reason);
            }
            System.err.println(reason);
            abort(reason);
        }
        return folder;
    }
}
