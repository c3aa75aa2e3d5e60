package org.biotrain.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.biotrain.Model;
import org.biotrain.zoo.Generate;
import org.biotrain.zoo.Networks;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Writes the networks that ship. */
@Command(
        name = "models",
        header = "Write the networks that ship with BioTrain as ONNX files.",
        description = "The weights are fresh, and the same every time. Files of the same names are replaced.",
        footerHeading = "%nExamples:%n",
        footer = {"  biotrain models networks", "  biotrain models networks --json"})
final class ModelsCommand extends ReportingCommand<ModelsCommand.Result> {
    @Parameters(paramLabel = "DIR", description = "Folder for the files; it is made if it does not exist.")
    private @Nullable Path folder;

    record Item(String file, long parameters, long macs) {}

    record Result(List<Item> models) {}

    @Override
    Result execute() {
        Path into = Arguments.required(folder);
        try {
            Files.createDirectories(into);
        } catch (IOException e) {
            throw new CliException("The folder " + into + " can't be made: " + e.getMessage(), e);
        }
        Generate.into(into);
        return new Result(
                Networks.shipped().stream().map(model -> item(into, model)).toList());
    }

    private static Item item(Path folder, Model model) {
        return new Item(
                folder.resolve(model.name() + ".onnx").toString(),
                model.summary().parameters(),
                model.summary().macs());
    }

    @Override
    void print(Result result, PrintWriter out) {
        Table table = new Table("file", "parameters", "MACs");
        result.models.forEach(item -> table.row(item.file(), item.parameters(), item.macs()));
        table.print(out);
    }
}
