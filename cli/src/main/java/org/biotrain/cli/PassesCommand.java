package org.biotrain.cli;

import java.io.PrintWriter;
import java.util.List;
import org.biotrain.PassInfo;
import picocli.CommandLine.Command;

/** Shows the topology passes. */
@Command(
        name = "passes",
        header = "Show the passes that change a network, or what is computed of it, to save memory and work.",
        description = "calibrate switches them with --pass NAME and --no-pass NAME; a task file with training.passes.",
        footerHeading = "%nExamples:%n",
        footer = {"  biotrain passes", "  biotrain passes --json"})
final class PassesCommand extends ReportingCommand<PassesCommand.Result> {
    record Result(int count, List<PassInfo> passes) {}

    @Override
    Result execute() {
        List<PassInfo> table = PassInfo.table();
        return new Result(table.size(), table);
    }

    @Override
    void print(Result result, PrintWriter out) {
        for (PassInfo pass : result.passes) {
            out.println(pass.name() + (pass.isDefault() ? " (on by default)" : ""));
            out.println("  does:   " + pass.effect());
            out.println("  keeps:  " + keeps(pass.exactness()));
            out.println("  limits: " + pass.limits());
        }
    }

    private static String keeps(PassInfo.Exactness exactness) {
        return switch (exactness) {
            case BITS -> "every bit";
            case ROUNDING -> "the function, within rounding";
            case CHANGES -> "not the function";
        };
    }
}
