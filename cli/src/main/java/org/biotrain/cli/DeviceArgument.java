package org.biotrain.cli;

import org.biotrain.Device;
import picocli.CommandLine.Option;

/** The option that names a device. */
final class DeviceArgument {
    @Option(
            names = "--device",
            paramLabel = "URI",
            defaultValue = "sim:?target=gap9&cores=1",
            description = "Where to train: link and settings, such as sim:?target=gap9&cores=8, sim:?target=host or"
                    + " openocd:?script=FILE&cable=FILE."
                    + " Default: ${DEFAULT-VALUE}.")
    private String uri = "sim:?target=gap9&cores=1";

    Device open() {
        Logging.showTransfers(uri);
        return Device.open(uri);
    }

    String uri() {
        return uri;
    }
}
