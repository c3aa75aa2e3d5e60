package org.biotrain.cli;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A device on USB, as Linux describes it.
 *
 * @param vendor four hexadecimal digits
 * @param product four hexadecimal digits
 * @param name what the device calls itself; empty if it has no name
 * @param serial its serial number; empty if it has none
 * @param node path of its device node below {@code /dev}
 */
record UsbDevice(String vendor, String product, String name, String serial, String node) {
    private static final Path DEVICES = Path.of("bus/usb/devices");

    /**
     * Everything that is plugged in.
     *
     * @param sys where sysfs is mounted
     */
    static List<UsbDevice> attached(Path sys) {
        Path folder = sys.resolve(DEVICES);
        List<UsbDevice> devices = new ArrayList<>();
        if (!Files.isDirectory(folder)) {
            return devices;
        }
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                UsbDevice device = read(entry);
                if (device != null) {
                    devices.add(device);
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            throw new CliException("The USB devices can't be listed in " + folder + ": " + e.getMessage(), e);
        }
        devices.sort(Comparator.comparing(UsbDevice::node));
        return devices;
    }

    /** Null if the entry is no device: sysfs lists the interfaces of devices beside them. */
    private static @Nullable UsbDevice read(Path entry) {
        String vendor = attribute(entry, "idVendor");
        String product = attribute(entry, "idProduct");
        try {
            int bus = Integer.parseInt(attribute(entry, "busnum"));
            int number = Integer.parseInt(attribute(entry, "devnum"));
            String node = String.format("bus/usb/%03d/%03d", bus, number);
            return new UsbDevice(vendor, product, attribute(entry, "product"), attribute(entry, "serial"), node);
        } catch (NumberFormatException noDevice) {
            return null;
        }
    }

    /** Empty where it is missing, or where the device was unplugged meanwhile. */
    private static String attribute(Path entry, String name) {
        try {
            return Files.readString(entry.resolve(name)).strip();
        } catch (IOException missing) {
            return "";
        }
    }
}
