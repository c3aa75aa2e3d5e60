package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the scripts of {@code Dockerfile.gap9} say of a GAP SDK. The trees are stand-ins: the SDK is licensed. */
class GapSdkCheckIT {
    @TempDir
    Path directory;

    private record Answer(int status, String text) {}

    @Test
    void aFolderWithoutSdkIsNamed() throws Exception {
        Answer answer = run("check-sdk", Map.of());

        assertThat(answer.status()).isEqualTo(1);
        assertThat(answer.text())
                .contains("MISSING  SDK        there is no GAP SDK at " + directory.resolve("sdk"))
                .contains("MISSING  toolchain")
                .contains("-        gvsoc");
    }

    @Test
    void anSdkOfVersion4IsRefused() throws Exception {
        write("sdk/utils/cmake/setup.cmake", "");
        toolchain("7.1.1");

        assertThat(run("check-sdk", Map.of())).isEqualTo(new Answer(1, """
                        MISSING  SDK        the GAP SDK at %1$s/sdk is older than 5.0 (no utils/gapy_v2), but the firmware needs 5.x
                        ok       toolchain  GCC 7.1.1 at %1$s/toolchain
                        -        gvsoc      no install/workstation/bin/gvsoc in the SDK: build it as the SDK's README says, to run the firmware without a board
                        -        openocd    no install/workstation/openocd/bin/openocd in the SDK: build it as the SDK's README says, to reach a board
                        """.formatted(directory)));
        sdk();
        assertThat(run("check-sdk", Map.of("GAP_SDK_VERSION", "4.22.0")).text())
                .contains("is version 4.22.0, but the firmware needs 5.x");
    }

    @Test
    void aToolchainOfAnotherVersionIsRefused() throws Exception {
        sdk();
        toolchain("13.2.0");

        Answer answer = run("check-sdk", Map.of());

        assertThat(answer.status()).isEqualTo(1);
        assertThat(answer.text()).contains("ok       SDK", "is GCC 13.2.0, but the SDK's code needs 7.1.1");
    }

    @Test
    void anSdkOfVersion5IsFine() throws Exception {
        sdk();
        toolchain("7.1.1");
        program("sdk/install/workstation/bin/gvsoc", "");
        program("sdk/install/workstation/openocd/bin/openocd", "");

        Answer answer = run("check-sdk", Map.of("GAP_SDK_VERSION", "5.21.2"));

        assertThat(answer.status()).isZero();
        assertThat(answer.text().lines()).hasSize(4).allMatch(line -> line.startsWith("ok "));
        assertThat(answer.text()).contains("5.21.2 at " + directory.resolve("sdk"));
    }

    @Test
    void theImageWithoutSdkSaysWhatItLacks() throws Exception {
        Requirements.docker();
        DockerImage.build("Dockerfile.gap9", "biotrain-gap9-tools:it", "--target", "tools");

        Answer answer = answer(new ProcessBuilder("docker", "run", "--rm", "biotrain-gap9-tools:it"));

        assertThat(answer.status()).isEqualTo(1);
        assertThat(answer.text()).contains("there is no GAP SDK at /opt/gap_sdk", "MISSING  toolchain");
    }

    @Test
    void openOcdOfTheSdkIsStartedForTheEvk() throws Exception {
        sdk();
        toolchain("7.1.1");
        write("sdk/configs/gap9_evk_audio.sh", "export BOARD_NAME=gap9_evk; echo Hello; false\n");
        Files.createDirectories(directory.resolve("sdk/utils/openocd_tools"));
        program("sdk/install/workstation/openocd/bin/openocd", "echo \"$BOARD_NAME $PWD $*\"");

        Answer answer = run("gap9", Map.of(), "openocd");

        assertThat(answer.status()).isZero();
        assertThat(answer.text().lines().toList().getLast())
                .isEqualTo("gap9_evk " + directory.resolve("sdk/utils/openocd_tools")
                        + " -c bindto 0.0.0.0 -c gdb_port disabled -c telnet_port disabled -c tcl_port 6666"
                        + " -f tcl/gapuino_ftdi.cfg -f tcl/gap9revb.tcl");
    }

    @Test
    void gvsocWithoutFirmwareSaysHowToBuildIt() throws Exception {
        sdk();
        program("sdk/install/workstation/bin/gvsoc", "");

        Answer answer = run("gap9", Map.of(), "gvsoc");

        assertThat(answer.status()).isEqualTo(1);
        assertThat(answer.text()).contains("biotrain-gap9-gvsoc.elf; build it with: gap9 firmware");
    }

    private void sdk() throws IOException {
        write("sdk/utils/cmake/setup.cmake", "");
        Files.createDirectories(directory.resolve("sdk/utils/gapy_v2"));
    }

    private void toolchain(String version) throws IOException {
        program("toolchain/bin/riscv32-unknown-elf-gcc", "echo " + version);
    }

    private void program(String path, String script) throws IOException {
        write(path, "#!/bin/bash\n" + script + "\n");
        assertThat(directory.resolve(path).toFile().setExecutable(true)).isTrue();
    }

    private void write(String path, String text) throws IOException {
        Path file = directory.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    /** Runs a script with an SDK and a toolchain in this test's folder. */
    private Answer run(String script, Map<String, String> environment, String... arguments) throws Exception {
        Path scripts = Path.of("../gap-sdk-docker/gap9").toRealPath();
        ProcessBuilder builder = new ProcessBuilder(scripts.resolve(script).toString());
        builder.command().addAll(List.of(arguments));
        builder.environment().putAll(environment);
        builder.environment().put("PATH", scripts + ":" + System.getenv("PATH"));
        builder.environment().put("GAP_SDK_HOME", directory.resolve("sdk").toString());
        builder.environment()
                .put("GAP_RISCV_GCC_TOOLCHAIN", directory.resolve("toolchain").toString());
        builder.environment().put("FIRMWARE", directory.resolve("firmware").toString());
        return answer(builder);
    }

    private static Answer answer(ProcessBuilder builder) throws Exception {
        Process process = builder.redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Answer(process.waitFor(), text);
    }
}
