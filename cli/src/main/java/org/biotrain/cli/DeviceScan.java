package org.biotrain.cli;

import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.biotrain.BioTrainException;
import org.biotrain.Device;
import org.jspecify.annotations.Nullable;

/** Looks for the devices that a machine can open, one finding or more for each link. */
final class DeviceScan {
    private static final int MOST_WORKERS = 8;
    private static final List<Cable> CABLES = List.of(
            new Cable("0403", "6011", "FT4232H, as on the GAP9 EVK"),
            new Cable("0403", "6010", "FT2232H"),
            new Cable("0403", "6012", "FT4232H"),
            new Cable("15ba", "002b", "Olimex ARM-USB-OCD-H"),
            new Cable("1366", "", "J-Link"));
    private static final List<String> GVSOC_PROGRAMS = List.of("gvsoc", "gvrun", "gvsoc_launcher");

    private final Machine machine;

    DeviceScan(Machine machine) {
        this.machine = machine;
    }

    /**
     * Where to look.
     *
     * @param sys where sysfs is mounted
     * @param dev the folder of device nodes
     * @param usable whether this process may read and write a device node
     * @param environment the environment variables
     * @param openOcdPort port on which an OpenOCD would listen for Tcl commands
     */
    record Machine(Path sys, Path dev, Predicate<Path> usable, Map<String, String> environment, int openOcdPort) {
        private static final int USUAL_TCL_PORT = 6666;

        static Machine thisOne() {
            return new Machine(
                    Path.of("/sys"),
                    Path.of("/dev"),
                    node -> Files.isReadable(node) && Files.isWritable(node),
                    System.getenv(),
                    USUAL_TCL_PORT);
        }
    }

    /**
     * A device, or why there is none.
     *
     * @param link name of the link
     * @param usable whether it can be opened now
     * @param uri what to open it with; null if no device was found
     * @param found what was found
     * @param lacks what is missing, each with the way to get it
     */
    record Finding(String link, boolean usable, @Nullable String uri, String found, List<String> lacks) {
        private static Finding of(String link, @Nullable String uri, String found, List<String> lacks) {
            return new Finding(link, lacks.isEmpty(), uri, found, List.copyOf(lacks));
        }
    }

    /** A debug cable; an empty product stands for every product of the vendor. */
    private record Cable(String vendor, String product, String name) {
        boolean is(UsbDevice device) {
            return vendor.equals(device.vendor()) && (product.isEmpty() || product.equals(device.product()));
        }
    }

    List<Finding> findings() {
        List<Finding> findings = new ArrayList<>();
        findings.add(sim());
        findings.add(qemu());
        findings.addAll(cables());
        findings.add(runningOpenOcd());
        findings.add(gvsoc());
        return findings;
    }

    private static Finding sim() {
        int workers = Math.min(MOST_WORKERS, Runtime.getRuntime().availableProcessors());
        return opened("sim", "sim:?target=gap9&cores=" + workers);
    }

    private Finding qemu() {
        if (Programs.find("qemu-system-riscv32", machine.environment()) == null) {
            return Finding.of(
                    "qemu", "qemu:", "the firmware on QEMU", List.of("QEMU: sudo apt-get install qemu-system-misc"));
        }
        return opened("qemu", "qemu:");
    }

    /** Opens it for a moment: nothing else shows so well that it can be opened. */
    private static Finding opened(String link, String uri) {
        try (Device device = Device.open(uri)) {
            return Finding.of(
                    link,
                    uri,
                    "target " + device.info().target() + ", " + device.info().cores() + " cores, kernels "
                            + device.info().kernels(),
                    List.of());
        } catch (BioTrainException e) {
            return Finding.of(link, uri, "it does not open", List.of(String.valueOf(e.getMessage())));
        }
    }

    private List<Finding> cables() {
        List<Finding> findings = new ArrayList<>();
        for (UsbDevice device : UsbDevice.attached(machine.sys())) {
            CABLES.stream()
                    .filter(cable -> cable.is(device))
                    .findFirst()
                    .ifPresent(cable -> findings.add(attached(cable, device)));
        }
        if (findings.isEmpty()) {
            findings.add(Finding.of(
                    "openocd",
                    null,
                    "no debug cable on USB",
                    List.of("a board: plug in its USB cable (known: FTDI 0403:6011, :6010, :6012, Olimex 15ba:002b,"
                            + " J-Link 1366); docs/board.md")));
        }
        return findings;
    }

    private Finding attached(Cable cable, UsbDevice device) {
        List<String> lacks = new ArrayList<>();
        Path node = machine.dev().resolve(device.node());
        if (!Files.exists(node)) {
            lacks.add("the device node " + node + ": in a container, pass it through with --device " + node);
        } else if (!machine.usable().test(node)) {
            lacks.add("permission for " + node + ": write into /etc/udev/rules.d/60-biotrain.rules the line "
                    + udevRule(device) + " then run: sudo udevadm control --reload, and plug the cable in again");
        }
        if (Programs.find("openocd", machine.environment()) == null) {
            lacks.add("OpenOCD: sudo apt-get install openocd");
        }
        String found = "%s (%s:%s)%s"
                .formatted(
                        device.name().isEmpty() ? cable.name() : cable.name() + ", \"" + device.name() + "\"",
                        device.vendor(),
                        device.product(),
                        device.serial().isEmpty() ? "" : ", serial " + device.serial());
        return Finding.of("openocd", openOcdUri(device), found, lacks);
    }

    private static String udevRule(UsbDevice device) {
        return "SUBSYSTEM==\"usb\", ATTR{idVendor}==\"%s\", ATTR{idProduct}==\"%s\", MODE=\"0660\", TAG+=\"uaccess\""
                .formatted(device.vendor(), device.product());
    }

    private static String openOcdUri(UsbDevice device) {
        return "openocd:?cable=CABLE.cfg&script=gap9revb.tcl"
                + (device.serial().isEmpty() ? "" : "&serial=" + device.serial());
    }

    private Finding runningOpenOcd() {
        int port = machine.openOcdPort();
        String uri = "openocd:127.0.0.1:" + port;
        try {
            OpenOcdPort.Answer answer = OpenOcdPort.ask(port);
            List<String> lacks = answer.targets().isEmpty()
                    ? List.of("a target: that OpenOCD knows none; start it with the board's script")
                    : List.of();
            return Finding.of(
                    "openocd", uri, answer.version() + ", targets: " + String.join(" ", answer.targets()), lacks);
        } catch (ConnectException nobody) {
            return Finding.of(
                    "openocd",
                    null,
                    "no OpenOCD on port " + port,
                    List.of("a running OpenOCD: start one with the board's cable and script, or the simulated board"
                            + " of gap-sdk-docker"));
        } catch (IOException e) {
            return Finding.of(
                    "openocd",
                    null,
                    "something else on port " + port,
                    List.of("an OpenOCD on port " + port + ": " + e.getMessage()));
        }
    }

    private Finding gvsoc() {
        Path program = gvsocProgram();
        if (program == null) {
            return Finding.of(
                    "gvsoc",
                    null,
                    "no GVSOC",
                    List.of("GVSOC: build the GAP SDK's and set GAP_SDK_HOME, or the open one and set"
                            + " GVSOC_INSTALL_DIR"));
        }
        String target = machine.environment().containsKey("GAP_SDK_HOME") ? "gap9.evk" : "pulp-open";
        return Finding.of("gvsoc", "gvsoc:?target=" + target, program.toString(), List.of());
    }

    private @Nullable Path gvsocProgram() {
        Map<String, String> environment = machine.environment();
        List<Path> folders = new ArrayList<>();
        if (environment.get("GVSOC_INSTALL_DIR") != null) {
            folders.add(Path.of(environment.get("GVSOC_INSTALL_DIR"), "bin"));
        }
        if (environment.get("GAP_SDK_HOME") != null) {
            folders.add(Path.of(environment.get("GAP_SDK_HOME"), "install/workstation/bin"));
        }
        return folders.stream()
                .flatMap(folder -> GVSOC_PROGRAMS.stream().map(folder::resolve))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
    }
}
