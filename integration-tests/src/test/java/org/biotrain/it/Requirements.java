package org.biotrain.it;

import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;

/** What these tests need and a machine may lack: they skip then, and say why, unless that is forbidden. */
final class Requirements {
    private static final String TOOLS = "BIOTRAIN_REQUIRE_TOOLS";
    private static final String QEMU = "qemu-system-riscv32";
    private static final String FIRMWARE = "native/firmware/biotrain-virt.elf";
    private static final long ENGINE_SECONDS = 20;

    private Requirements() {}

    /** QEMU and the firmware that runs on it. */
    static void qemu() {
        program(QEMU);
        firmware();
    }

    /** A Docker engine that answers. */
    static void docker() throws IOException, InterruptedException {
        program("docker");
        Process version = new ProcessBuilder("docker", "version", "--format", "{{.Server.Version}}")
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        if (!version.waitFor(ENGINE_SECONDS, TimeUnit.SECONDS) || version.exitValue() != 0) {
            version.destroyForcibly();
            lacking(TOOLS, "no Docker engine answers; start one, or run the tests through .ci/with-docker");
        }
    }

    /** The firmware of emulated and virtual boards. */
    static void firmware() {
        if (ClassLoader.getSystemResource(FIRMWARE) == null) {
            lacking(TOOLS, "the build made no firmware, because there was no clang-19 or ld.lld-19 in PATH");
        }
    }

    /** GVSOC, where it was installed, and the firmware that runs on it. */
    static void gvsoc() {
        String install = System.getenv("GVSOC_INSTALL_DIR");
        if (install == null || !Files.isExecutable(Path.of(install, "bin", "gvsoc"))) {
            lacking(
                    "BIOTRAIN_REQUIRE_GVSOC",
                    "GVSOC_INSTALL_DIR does not name a folder with an installed GVSOC, but is "
                            + (install == null ? "not set" : install));
        }
        if (ClassLoader.getSystemResource("native/firmware/biotrain-pulp-open.elf") == null) {
            lacking(
                    "BIOTRAIN_REQUIRE_GVSOC",
                    "the build made no firmware, because there was no clang-19 or ld.lld-19 in PATH");
        }
    }

    /** The virtual board, QEMU below it, and an OpenOCD that talks to it. */
    static Path virtualBoard() {
        qemu();
        program("openocd");
        Path board = Path.of("../native-runtime/target/cmake/bin/bt-virtual-board");
        if (!Files.isExecutable(board)) {
            lacking(TOOLS, "the build made no virtual board at " + board);
        }
        return board.toAbsolutePath();
    }

    private static void program(String name) {
        String path = System.getenv().getOrDefault("PATH", "");
        if (Arrays.stream(path.split(File.pathSeparator, -1))
                .noneMatch(folder -> Files.isExecutable(Path.of(folder, name)))) {
            lacking(TOOLS, "there is no " + name + " in PATH");
        }
    }

    /** A folder of {@code BIOTRAIN_SHARED}, or of {@code shared} beside the repository. */
    static Path shared(String folder) {
        Path shared = Path.of(System.getenv().getOrDefault("BIOTRAIN_SHARED", "../../shared"));
        if (!Files.isDirectory(shared.resolve(folder))) {
            lacking(
                    "BIOTRAIN_REQUIRE_SHARED",
                    "there is no folder " + folder + " in " + shared + "; name its parent in BIOTRAIN_SHARED");
        }
        return shared.resolve(folder).toAbsolutePath();
    }

    private static void lacking(String forbidden, String what) {
        if ("1".equals(System.getenv(forbidden))) {
            fail(what + ", but " + forbidden + " is 1");
        }
        System.out.println("Skipped: " + what);
        abort(what);
    }
}
