package org.biotrain.cli;

import java.io.UncheckedIOException;
import java.util.Map;
import org.biotrain.BioTrainException;
import org.biotrain.ListenerException;
import picocli.CommandLine;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Turns whatever went wrong into one sentence on standard error and an exit code: 2 for wrong usage, 1 for the rest.
 * With {@code --json} standard output then holds one object, {@code {"error": "…"}}.
 */
final class Failures implements IParameterExceptionHandler, IExecutionExceptionHandler {
    private final boolean json;
    private final boolean verbose;

    Failures(boolean json, boolean verbose) {
        this.json = json;
        this.verbose = verbose;
    }

    @Override
    public int handleParseException(ParameterException e, String[] arguments) {
        CommandLine command = e.getCommandLine();
        report(command, e, sentence(e));
        if (!UnmatchedArgumentException.printSuggestions(e, command.getErr())) {
            command.getErr().println("See " + command.getCommandSpec().qualifiedName() + " --help");
        }
        return ExitCode.USAGE;
    }

    @Override
    public int handleExecutionException(Exception e, CommandLine command, ParseResult parsed) {
        if (e instanceof ListenerException && e.getCause() instanceof UncheckedIOException unwritable) {
            report(command, e, sentence(unwritable));
        } else if (e instanceof BioTrainException || e instanceof CliException) {
            report(command, e, sentence(e));
        } else {
            report(command, e, "Internal error: " + e + "; run again with --verbose and report what it prints");
        }
        return ExitCode.SOFTWARE;
    }

    private void report(CommandLine command, Exception e, String message) {
        command.getErr().println("biotrain: " + message);
        if (verbose) {
            e.printStackTrace(command.getErr());
        }
        if (json) {
            command.getOut().println(Json.write(Map.of("error", message)));
        }
    }

    private static String sentence(Exception e) {
        String message = e.getMessage();
        return message == null || message.isBlank() ? e.getClass().getSimpleName() : message;
    }
}
