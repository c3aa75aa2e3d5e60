package org.biotrain.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import org.biotrain.Device;
import org.biotrain.cli.verify.CaseResult;
import org.biotrain.cli.verify.GoldenSuite;
import org.biotrain.cli.verify.OnnxSuite;
import org.biotrain.cli.verify.Report;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Compares a device with reference results. */
@Command(
        name = "verify",
        header = "Run reference vectors through a device and compare.",
        description = {
            "With --goldens: operations, losses, optimizers (largest error relative to the largest element: 5e-6) and"
                    + " whole training runs (losses 1e-4, final weights 1e-4 relative).",
            "With --onnx: each ONNX file of a folder is imported; outputs, losses and gradients are compared with the"
                    + " .npz beside it (1e-5 relative; BatchNorm frozen, dropout off).",
            "The exit code is 1 if any case fails."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain verify --goldens goldens",
            "  biotrain verify --onnx networks --json",
            "  biotrain verify --goldens goldens --device \"sim:?target=host&cores=3\""
        })
final class VerifyCommand extends ReportingCommand<Report> {
    @ArgGroup(multiplicity = "1")
    private @Nullable Source source;

    @Mixin
    private DeviceArgument device = new DeviceArgument();

    private static final class Source {
        @Option(names = "--goldens", paramLabel = "DIR", description = "Folder with manifest.json and its .npz files.")
        private @Nullable Path goldens;

        @Option(names = "--onnx", paramLabel = "DIR", description = "Folder with .onnx files and their .npz files.")
        private @Nullable Path onnx;
    }

    @Override
    Report execute() {
        Source chosen = Arguments.required(source);
        try (Device opened = device.open()) {
            return chosen.goldens != null
                    ? GoldenSuite.run(opened, device.uri(), chosen.goldens, this::remark)
                    : OnnxSuite.run(opened, device.uri(), Arguments.required(chosen.onnx), this::remark);
        }
    }

    private void remark(CaseResult result) {
        if (!result.passed()) {
            err().println("FAILED " + result.name() + ": " + result.message());
        } else if (TerminalProgress.isTerminal()) {
            err().println("ok     " + result.name());
        }
    }

    @Override
    void print(Report report, PrintWriter out) {
        out.println(report.passed() + " of " + report.cases() + " cases passed on " + report.device());
        CaseResult worst = report.worst();
        if (worst != null && worst.relativeError() != null) {
            out.printf(
                    "Nearest to its limit: %s, %s: error %.2e of at most %.0e%n",
                    worst.name(), worst.array(), worst.relativeError(), worst.limit());
        }
    }

    @Override
    boolean succeeded(Report report) {
        return report.passed() == report.cases();
    }
}
