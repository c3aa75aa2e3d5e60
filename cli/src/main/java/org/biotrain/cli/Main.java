package org.biotrain.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** Entry of the {@code biotrain} command. */
@Command(
        name = "biotrain",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        header = "Calibrates small neural networks for biosignals on a device, a simulator or in process.",
        synopsisSubcommandLabel = "COMMAND",
        commandListHeading = "%nCommands:%n",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:done",
            "1:failed; one sentence on standard error says why",
            "2:wrong usage: an unknown command or option, or a value that is not allowed"
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain demo                     see a network get better at a new subject; needs no data",
            "  biotrain doctor                   what is installed and what is missing",
            "  biotrain devices                  what can train now, and with which --device",
            "  biotrain calibrate --help         from recordings to a calibrated network"
        },
        subcommands = {
            DemoCommand.class,
            CalibrateCommand.class,
            EvaluateCommand.class,
            StudyCommand.class,
            InspectCommand.class,
            PlanCommand.class,
            ModelsCommand.class,
            OpsCommand.class,
            PassesCommand.class,
            VerifyCommand.class,
            BenchCommand.class,
            DoctorCommand.class,
            DevicesCommand.class
        })
public final class Main {
    private Main() {}

    /** Runs a command and exits with its code. */
    public static void main(String[] arguments) {
        PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
        PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
        System.exit(run(out, err, arguments));
    }

    /** Runs a command in this process and returns its exit code. */
    static int run(PrintWriter out, PrintWriter err, String... arguments) {
        boolean json = List.of(arguments).contains(ReportingCommand.JSON_OPTION);
        boolean verbose = List.of(arguments).contains(ReportingCommand.VERBOSE_OPTION);
        Failures failures = new Failures(json, verbose);
        int code = new CommandLine(new Main())
                .setOut(out)
                .setErr(err)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setUsageHelpAutoWidth(true)
                .setParameterExceptionHandler(failures)
                .setExecutionExceptionHandler(failures)
                .execute(arguments);
        out.flush();
        err.flush();
        return code;
    }
}
