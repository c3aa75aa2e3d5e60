package org.biotrain.cli;

import java.io.PrintWriter;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Lists what can be opened now. */
@Command(
        name = "devices",
        header = "Show which devices can be opened now, with the URI for --device, and what the others lack.",
        description = "Looks at QEMU, debug cables on USB, an OpenOCD on this machine's Tcl port 6666, and GVSOC."
                + " Opens the devices in this process and on QEMU; touches no cable.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  biotrain devices",
            "  biotrain devices --json",
            "  biotrain devices --device openocd:127.0.0.1:6666"
        })
final class DevicesCommand extends ReportingCommand<DevicesCommand.Result> {
    @Option(
            names = "--device",
            paramLabel = "URI",
            description = "Open this one and look for no others: what it says of itself, and how long an empty command"
                    + " takes there and back.")
    private @Nullable String uri;

    record Result(int usable, List<DeviceScan.Finding> devices) {}

    @Override
    Result execute() {
        List<DeviceScan.Finding> devices =
                uri == null ? new DeviceScan(DeviceScan.Machine.thisOne()).findings() : List.of(DeviceScan.open(uri));
        return new Result(
                (int) devices.stream().filter(DeviceScan.Finding::usable).count(), devices);
    }

    @Override
    void print(Result result, PrintWriter out) {
        for (DeviceScan.Finding device : result.devices) {
            out.printf("%-8s %-8s %s%n", device.usable() ? "ok" : "-", device.link(), device.found());
            if (device.uri() != null) {
                out.printf("%17s --device \"%s\"%n", "", device.uri());
            }
            for (String lack : device.lacks()) {
                out.printf("%17s lacks %s%n", "", lack);
            }
        }
    }
}
