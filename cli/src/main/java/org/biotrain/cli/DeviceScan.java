package org.biotrain.cli;

import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.biotrain.BioTrainException;
import org.biotrain.Device;
import org.biotrain.DeviceInfo;
import org.jspecify.annotations.Nullable;

/** Looks for the devices that a machine can open, one finding or more for each link. */
final class DeviceScan {
    private static final int MOST_WORKERS = 8;
    private static final List<Cable> CABLES = List.of(
            new Cable("0403", "6011", "FT4232H, as on the GAP9 EVK", "tcl/gapuino_ftdi.cfg"),
            new Cable("0403", "6010", "FT2232H", "tcl/gapuino_ftdi.cfg"),
            new Cable("0403", "6012", "FT4233H", "tcl/gapuino_ftdi.cfg"),
            new Cable("15ba", "002b", "Olimex ARM-USB-OCD-H", "tcl/olimex-arm-usb-ocd-h.cfg"),
            new Cable("1366", "", "J-Link", "interface/jlink.cfg"));
    private static final String SDK_OPENOCD = "install/workstation/openocd/bin/openocd";
    /** What gap-sdk-docker calls the firmware that it builds. */
    private static final String BOARD_FIRMWARE = "biotrain-gap9-board.elf";

    /** Name of the virtual board's target in its board.cfg. */
    private static final String VIRTUAL_BOARD = "biotrain.fc";

    private static final List<String> GVSOC_PROGRAMS = List.of("gvsoc", "gvsoc_launcher");

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

    /**
     * A kind of debug cable.
     *
     * @param product empty for every product of the vendor
     * @param configuration OpenOCD's file for it, in the GAP SDK or in OpenOCD's own folder
     */
    private record Cable(String vendor, String product, String name, String configuration) {
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
        try {
            return open(uri);
        } catch (BioTrainException e) {
            return Finding.of(link, uri, "it does not open", List.of(String.valueOf(e.getMessage())));
        }
    }

    /**
     * Opens a device for a moment and asks it for itself.
     *
     * @throws BioTrainException if it does not open or does not answer
     */
    static Finding open(String uri) {
        try (Device device = Device.open(uri)) {
            DeviceInfo info = device.info();
            String found =
                    "target %s, %d cores, kernels %s, firmware %08x, L1 %d, L2 %d, L3 %d bytes, round trip %.3f ms"
                            .formatted(
                                    info.target(),
                                    info.cores(),
                                    info.kernels(),
                                    info.buildId(),
                                    info.l1Bytes(),
                                    info.l2Bytes(),
                                    info.l3Bytes(),
                                    device.roundTrip().toNanos() / 1e6);
            return Finding.of(info.link(), uri, found, List.of());
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
        Path sdk = folder("GAP_SDK_HOME", "");
        if (sdk == null) {
            lacks.add("the GAP SDK, for its OpenOCD, its scripts and the board's firmware: set GAP_SDK_HOME;"
                    + " docs/board.md");
        } else if (!Files.isExecutable(sdk.resolve(SDK_OPENOCD))) {
            lacks.add("the GAP SDK's OpenOCD, " + sdk.resolve(SDK_OPENOCD) + ": build it as the SDK's README says");
        }
        String found = "%s (%s:%s)%s"
                .formatted(
                        device.name().isEmpty() ? cable.name() : cable.name() + ", \"" + device.name() + "\"",
                        device.vendor(),
                        device.product(),
                        device.serial().isEmpty() ? "" : ", serial " + device.serial());
        return Finding.of("openocd", sdk == null ? null : openOcdUri(cable, device, sdk), found, lacks);
    }

    private static String udevRule(UsbDevice device) {
        return "SUBSYSTEM==\"usb\", ATTR{idVendor}==\"%s\", ATTR{idProduct}==\"%s\", MODE=\"0660\", TAG+=\"uaccess\""
                .formatted(device.vendor(), device.product());
    }

    /** As the GAP SDK starts its own OpenOCD; the firmware is what the user built with the SDK. */
    private static String openOcdUri(Cable cable, UsbDevice device, Path sdk) {
        return "openocd:?binary=" + sdk.resolve(SDK_OPENOCD) + "&search="
                + sdk.resolve("utils/openocd_tools") + "&cable=" + cable.configuration() + "&script=tcl/gap9revb.tcl"
                + (device.serial().isEmpty() ? "" : "&serial=" + device.serial())
                + "&firmware=" + BOARD_FIRMWARE;
    }

    private Finding runningOpenOcd() {
        int port = machine.openOcdPort();
        try {
            OpenOcdPort.Answer answer = OpenOcdPort.ask(port);
            return Finding.of(
                    "openocd",
                    "openocd:127.0.0.1:" + port + options(answer.targets()),
                    answer.version() + ", targets: " + String.join(" ", answer.targets()),
                    answer.targets().isEmpty()
                            ? List.of("a target: that OpenOCD knows none; start it with the board's script")
                            : List.of());
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

    /** What the link must be told of the board behind a running OpenOCD. */
    private static String options(List<String> targets) {
        if (targets.contains(VIRTUAL_BOARD)) {
            return "?reset=on";
        }
        return targets.stream().anyMatch(target -> target.startsWith("gap9.")) ? "?firmware=" + BOARD_FIRMWARE : "";
    }

    private Finding gvsoc() {
        Path sdk = folder("GAP_SDK_HOME", "install/workstation");
        Path install = Stream.of(folder("GVSOC_INSTALL_DIR", ""), sdk)
                .filter(Objects::nonNull)
                .filter(folder -> GVSOC_PROGRAMS.stream()
                        .allMatch(program ->
                                Files.isExecutable(folder.resolve("bin").resolve(program))))
                .findFirst()
                .orElse(null);
        if (install == null) {
            return Finding.of(
                    "gvsoc",
                    null,
                    "no GVSOC",
                    List.of("GVSOC: build the open one and set GVSOC_INSTALL_DIR, or the GAP SDK's and set"
                            + " GAP_SDK_HOME"));
        }
        return Finding.of(
                "gvsoc",
                install.equals(sdk) ? "gvsoc:?target=gap9&firmware=biotrain-gap9-gvsoc.elf" : "gvsoc:?target=pulp-open",
                "GVSOC in " + install,
                List.of());
    }

    /** A folder below the one that a variable of the environment names; null if it names none. */
    private @Nullable Path folder(String variable, String below) {
        String value = machine.environment().get(variable);
        return value == null || value.isEmpty() ? null : Path.of(value, below);
    }
}
