package org.biotrain.cli;

import java.io.PrintWriter;
import java.util.List;
import org.biotrain.OpInfo;
import picocli.CommandLine.Command;

/** Shows the op table. */
@Command(
        name = "ops",
        header = "Show the operations that can be imported and trained, with their limits.",
        description = "The table is that of the native library: importer, autodiff and planner read the same.",
        footerHeading = "%nExamples:%n",
        footer = {"  biotrain ops", "  biotrain ops --json"})
final class OpsCommand extends ReportingCommand<OpsCommand.Result> {
    record Result(int count, List<OpInfo> ops) {}

    @Override
    Result execute() {
        List<OpInfo> table = OpInfo.table();
        return new Result(table.size(), table);
    }

    @Override
    void print(Result result, PrintWriter out) {
        for (OpInfo op : result.ops) {
            out.println(op.name() + (op.differentiable() ? "" : " (inference only)"));
            out.println("  ONNX:           " + String.join(", ", op.onnx()));
            out.println("  limits:         " + op.limits());
            out.println("  backward keeps: " + op.backwardNeeds());
        }
        out.println();
        out.println(result.count + " operations; losses: cross-entropy, mean squared error; optimizers: SGD (momentum,"
                + " Nesterov), Adam, AdamW");
    }
}
