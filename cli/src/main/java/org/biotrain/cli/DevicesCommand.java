package org.biotrain.cli;

import java.io.PrintWriter;
import java.util.List;
import picocli.CommandLine.Command;

/** Lists what can be opened now. */
@Command(
        name = "devices",
        header = "Show which devices can be opened now, with the URI for --device, and what the others lack.",
        description = "Looks at QEMU, debug cables on USB, an OpenOCD on this machine's Tcl port 6666, and GVSOC."
                + " Opens the devices in this process and on QEMU; touches no cable.",
        footerHeading = "%nExamples:%n",
        footer = {"  biotrain devices", "  biotrain devices --json"})
final class DevicesCommand extends ReportingCommand<DevicesCommand.Result> {
    record Result(int usable, List<DeviceScan.Finding> devices) {}

    @Override
    Result execute() {
        List<DeviceScan.Finding> devices = new DeviceScan(DeviceScan.Machine.thisOne()).findings();
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
