package org.biotrain.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.biotrain.Model;
import org.biotrain.ModelSummary;
import org.biotrain.ModelSummary.LayerSummary;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Shows what a network consists of. */
@Command(
        name = "inspect",
        header = "Show a network's layers, shapes, parameters and multiply-adds.",
        description =
                "Reads an ONNX file as exporters write it, and shows the layers that BioTrain makes of it. MACs are"
                        + " the multiply-adds of the forward pass of one window.",
        footerHeading = "%nExamples:%n",
        footer = {"  biotrain inspect models/eegnet-gn.onnx", "  biotrain inspect network.onnx --json"})
final class InspectCommand extends ReportingCommand<InspectCommand.Result> {
    @Parameters(paramLabel = "MODEL", description = "ONNX file.")
    private @Nullable Path model;

    record Result(
            String name,
            String input,
            List<Integer> inputShape,
            String output,
            long parameters,
            long macs,
            List<LayerSummary> layers) {}

    @Override
    Result execute() {
        Model network = Model.load(Arguments.required(model));
        ModelSummary summary = network.summary();
        return new Result(
                network.name(),
                network.inputName(),
                Arrays.stream(network.inputShape()).boxed().toList(),
                network.outputName(),
                summary.parameters(),
                summary.macs(),
                summary.layers());
    }

    @Override
    void print(Result result, PrintWriter out) {
        out.println(
                result.name + ": input " + result.input + " " + shape(result.inputShape) + ", output " + result.output);
        out.println();
        Table table = new Table("layer", "operation", "output", "parameters", "MACs");
        for (LayerSummary layer : result.layers) {
            table.row(layer.name(), layer.op(), shape(layer.outputShape()), layer.parameters(), layer.macs());
        }
        table.row("total", "", "", result.parameters, result.macs).print(out);
    }

    private static String shape(List<Integer> extents) {
        return extents.stream().map(String::valueOf).collect(Collectors.joining("×"));
    }
}
