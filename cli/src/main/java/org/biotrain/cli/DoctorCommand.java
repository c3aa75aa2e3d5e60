package org.biotrain.cli;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.biotrain.BioTrainException;
import org.biotrain.Device;
import org.biotrain.DeviceInfo;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;

/** Says what is installed and what is missing. */
@Command(
        name = "doctor",
        header = "Show what is installed, what is missing, and how to get it.",
        description = "What is required must be there; the exit code is 1 if it is not. The rest is needed only for the"
                + " devices and tests that it names.",
        footerHeading = "%nExamples:%n",
        footer = {"  biotrain doctor", "  biotrain doctor --json"})
final class DoctorCommand extends ReportingCommand<DoctorCommand.Result> {
    private static final int LEAST_JAVA = 25;

    /**
     * One thing that was looked for.
     *
     * @param name what
     * @param required whether nothing works without it
     * @param present whether it is there
     * @param found what was found
     * @param advice how to get it, and what for; null where it is there
     */
    record Item(
            String name,
            boolean required,
            boolean present,
            @Nullable String found,
            @Nullable String advice) {}

    record Result(boolean ready, List<Item> items) {}

    @Override
    Result execute() {
        List<Item> items = new ArrayList<>();
        int java = Runtime.version().feature();
        items.add(new Item(
                "JDK",
                true,
                java >= LEAST_JAVA,
                Runtime.version() + " in " + System.getProperty("java.home"),
                java >= LEAST_JAVA ? null : "Install a JDK " + LEAST_JAVA + " or newer and set JAVA_HOME"));
        items.add(nativeLibrary());
        int cores = Runtime.getRuntime().availableProcessors();
        items.add(new Item("processor", true, true, cores + " cores, " + System.getProperty("os.arch"), null));
        items.add(program(
                "QEMU",
                "qemu-system-riscv32",
                "apt install qemu-system-misc, for devices qemu: (firmware on an emulated RISC-V processor)"));
        items.add(
                program("OpenOCD", "openocd", "apt install openocd, for devices openocd: (a board on a debug cable)"));
        items.add(program("Docker", "docker", "apt install docker.io, for the images of simulated boards"));
        items.add(gvsoc());
        items.add(program(
                "clang with RISC-V", "clang-19", "apt install clang-19 lld-19, to build the firmware from source"));
        items.add(shared());
        return new Result(items.stream().allMatch(item -> item.present() || !item.required()), items);
    }

    private static Item nativeLibrary() {
        try (Device device = Device.open("sim:?target=gap9")) {
            DeviceInfo info = device.info();
            return new Item("native library", true, true, "kernels " + info.kernels(), null);
        } catch (BioTrainException e) {
            return new Item("native library", true, false, null, String.valueOf(e.getMessage()));
        }
    }

    private static Item program(String name, String program, String advice) {
        Path file = Programs.find(program, System.getenv());
        return file == null
                ? new Item(name, false, false, null, advice)
                : new Item(name, false, true, Programs.version(file), null);
    }

    /** Where devices gvsoc: look for it. */
    private static Item gvsoc() {
        String install = System.getenv("GVSOC_INSTALL_DIR");
        String sdk = System.getenv("GAP_SDK_HOME");
        Path folder = install != null ? Path.of(install) : sdk != null ? Path.of(sdk, "install", "workstation") : null;
        boolean present = folder != null && Files.isExecutable(folder.resolve("bin/gvsoc"));
        return new Item(
                "GVSOC",
                false,
                present,
                present ? String.valueOf(folder) : null,
                present
                        ? null
                        : "build it from the open source or with the GAP SDK and set GVSOC_INSTALL_DIR, for devices gvsoc:"
                                + " (docs/gvsoc.md)");
    }

    private static Item shared() {
        String folder = System.getenv("BIOTRAIN_SHARED");
        boolean present = folder != null && Files.isDirectory(Path.of(folder));
        return new Item(
                "test data",
                false,
                present,
                present ? folder : null,
                present
                        ? null
                        : "set BIOTRAIN_SHARED to the folder of recordings and reference vectors, for the tests"
                                + " that need them");
    }

    @Override
    void print(Result result, PrintWriter out) {
        for (Item item : result.items) {
            out.printf(
                    "%-8s %-18s %s%n",
                    item.present() ? "ok" : item.required() ? "MISSING" : "missing",
                    item.name(),
                    item.present() ? item.found() : item.advice());
        }
        out.println();
        out.println(
                result.ready
                        ? "Ready: demo, calibrate, study and verify work on the device in this process (sim:)."
                        : "Something required is missing; see above.");
    }

    @Override
    boolean succeeded(Result result) {
        return result.ready;
    }
}
