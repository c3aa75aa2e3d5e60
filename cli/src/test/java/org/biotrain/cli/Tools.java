package org.biotrain.cli;

import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

/** Programs that a test runs and a machine may lack. */
final class Tools {
    private Tools() {}

    /** Skips the test where there is no such program, or fails it if tools are required. */
    static void require(String program) {
        if (Programs.find(program, System.getenv()) == null) {
            String reason = "Skipped: there is no " + program + " in PATH";
            if ("1".equals(System.getenv("BIOTRAIN_REQUIRE_TOOLS"))) {
                fail(reason);
            }
            System.err.println(reason);
            abort(reason);
        }
    }
}
