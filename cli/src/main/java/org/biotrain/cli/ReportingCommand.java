package org.biotrain.cli;

import java.io.PrintWriter;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.biotrain.InvalidArgumentException;
import org.biotrain.TrainingOptions;
import org.biotrain.cli.task.TrainingSection;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * A command that computes one result and then prints it: for people, or as exactly one JSON object.
 *
 * @param <R> the result, a record that {@link Json} writes
 */
abstract class ReportingCommand<R> implements Callable<Integer> {
    static final String JSON_OPTION = "--json";
    static final String VERBOSE_OPTION = "--verbose";

    @Option(names = JSON_OPTION, description = "Print exactly one JSON object on standard output.")
    private boolean json;

    @Option(names = VERBOSE_OPTION, description = "Log more, and print stack traces of failures.")
    private boolean verbose;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help and exit.")
    @SuppressWarnings("UnusedVariable") // picocli reads it
    private boolean help;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private CommandSpec spec;

    /** Does the work. */
    abstract R execute();

    /** Prints the result for people. */
    abstract void print(R result, PrintWriter out);

    /** Whether the exit code is 0. */
    boolean succeeded(R result) {
        return true;
    }

    @Override
    public final Integer call() {
        Logging.configure(verbose);
        R result = execute();
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(Json.write(result));
        } else {
            print(result, out);
        }
        return succeeded(result) ? ExitCode.OK : ExitCode.SOFTWARE;
    }

    /** Standard error, for progress and remarks. */
    final PrintWriter err() {
        return spec.commandLine().getErr();
    }

    /** A mistake in the command line: the message is shown with a hint at the help, and the exit code is 2. */
    final ParameterException usage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    /** The library's options; what it refuses is a mistake in the command line or the task file. */
    final TrainingOptions options(@Nullable TrainingSection section) {
        try {
            return Objects.requireNonNullElseGet(section, TrainingSection::defaults)
                    .toOptions();
        } catch (InvalidArgumentException | CliException refused) {
            throw new ParameterException(spec.commandLine(), String.valueOf(refused.getMessage()), refused);
        }
    }
}
