package org.biotrain.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What {@code biotrain devices} finds: on this machine, and on a machine made of files. */
@Timeout(60)
class DevicesCommandTest {
    @TempDir
    private Path machine;

    @Test
    void theDeviceInThisProcessCanAlwaysBeOpened() {
        Run run = Run.of("devices", "--json");

        assertThat(run.code()).isZero();
        JsonNode devices = run.json().path("devices");
        assertThat(devices.findValuesAsText("link")).contains("sim", "qemu", "openocd", "gvsoc");
        assertThat(devices.path(0).path("usable").asBoolean()).isTrue();
        assertThat(devices.path(0).path("uri").asText()).startsWith("sim:?target=gap9");
        assertThat(run.json().path("usable").asInt()).isPositive();
        for (JsonNode device : devices) {
            assertThat(device.path("usable").asBoolean())
                    .isEqualTo(device.path("lacks").isEmpty());
        }
    }

    @Test
    void oneDeviceIsAskedForItself() {
        Run run = Run.of("devices", "--device", "sim:?target=gap9&cores=3", "--json");

        assertThat(run.code()).isZero();
        assertThat(run.json().path("devices")).hasSize(1);
        assertThat(run.json().path("devices").path(0).path("found").asText())
                .contains("target gap9, 3 cores", "round trip");
        Run refused = Run.of("devices", "--device", "sim:?target=moon");
        assertThat(refused.code()).isEqualTo(1);
        assertThat(refused.err()).contains("moon");
    }

    @Test
    void aMachineWithNothingSaysHowToGetEachDevice() {
        List<DeviceScan.Finding> findings = scan(Map.of("PATH", machine.toString()), node -> true, closedPort());

        assertThat(findings)
                .filteredOn(DeviceScan.Finding::usable)
                .extracting("link")
                .containsExactly("sim");
        assertThat(findings)
                .flatExtracting("lacks")
                .asString()
                .contains("apt-get install qemu-system-misc", "plug in its USB cable", "GVSOC_INSTALL_DIR");
    }

    @Test
    void anEvkThatThisUserMayNotOpenIsShownWithItsUdevRule() throws Exception {
        plugIn("1-2", "0403", "6011", "Quad RS232-HS", "FT7ABCDE", 1, 14);
        plugIn("1-3", "046d", "c31c", "USB Keyboard", "", 1, 15);
        Files.createFile(
                Files.createDirectories(machine.resolve("dev/bus/usb/001")).resolve("014"));

        DeviceScan.Finding board = cable(scan(withSdk(), node -> false, closedPort()));

        assertThat(board.usable()).isFalse();
        assertThat(board.found()).contains("FT4232H", "Quad RS232-HS", "0403:6011", "FT7ABCDE");
        assertThat(board.lacks())
                .singleElement()
                .asString()
                .contains("ATTR{idVendor}==\"0403\"", "ATTR{idProduct}==\"6011\"", "udevadm");
    }

    @Test
    void aCableThatThisUserMayOpenIsUsable() throws Exception {
        plugIn("2-1", "1366", "0105", "J-Link", "000123", 2, 3);
        Files.createFile(
                Files.createDirectories(machine.resolve("dev/bus/usb/002")).resolve("003"));

        DeviceScan.Finding probe = cable(scan(withSdk(), node -> true, closedPort()));

        assertThat(probe.usable()).isTrue();
        assertThat(probe.uri())
                .startsWith("openocd:?binary=" + machine.resolve("sdk/install/workstation/openocd/bin/openocd"))
                .contains("script=tcl/gap9revb.tcl", "serial=000123");
    }

    @Test
    void aCableWithoutDeviceNodeAndSdkLacksBoth() throws Exception {
        plugIn("1-1", "15ba", "002b", "", "", 1, 2);

        DeviceScan.Finding cable = cable(scan(Map.of("PATH", ""), node -> true, closedPort()));

        assertThat(cable.found()).startsWith("Olimex ARM-USB-OCD-H (15ba:002b)");
        assertThat(cable.lacks()).hasSize(2);
        assertThat(cable.lacks().getFirst()).contains("bus/usb/001/002", "--device");
        assertThat(cable.lacks().getLast()).contains("GAP_SDK_HOME");
        assertThat(cable.uri()).isNull();
    }

    @Test
    void gvsocIsFoundWhereTheEnvironmentSaysIt() throws Exception {
        program("open/bin/gvsoc");
        program("open/bin/gvsoc_launcher");
        program("sdk/install/workstation/bin/gvsoc");
        String open = machine.resolve("open").toString();
        String sdk = machine.resolve("sdk").toString();

        assertThat(gvsoc(Map.of("GVSOC_INSTALL_DIR", open)).uri()).isEqualTo("gvsoc:?target=pulp-open");
        assertThat(gvsoc(Map.of("GAP_SDK_HOME", sdk)).usable())
                .as("without gvsoc_launcher")
                .isFalse();
        program("sdk/install/workstation/bin/gvsoc_launcher");
        assertThat(gvsoc(Map.of("GAP_SDK_HOME", sdk)).uri()).startsWith("gvsoc:?target=gap9&firmware=");
    }

    private DeviceScan.Finding gvsoc(Map<String, String> environment) {
        return scan(environment, node -> true, closedPort()).getLast();
    }

    @Test
    void aRunningOpenOcdIsFound() throws Exception {
        Tools.require("openocd");
        int port = closedPort();
        Process openOcd = new ProcessBuilder(
                        "openocd",
                        "-c",
                        "adapter driver dummy; adapter speed 100; transport select jtag; gdb_port disabled;"
                                + " telnet_port disabled; tcl_port " + port,
                        "-c",
                        "jtag newtap gap9 cpu -irlen 5; target create gap9.fc riscv -chain-position gap9.cpu",
                        "-c",
                        "noinit")
                .redirectErrorStream(true)
                .redirectOutput(machine.resolve("openocd.log").toFile())
                .start();
        try {
            DeviceScan.Finding running = running(port);
            for (int tries = 0; running.uri() == null && openOcd.isAlive() && tries < 100; tries++) {
                Thread.sleep(100);
                running = running(port);
            }

            assertThat(running.usable())
                    .as(Files.readString(machine.resolve("openocd.log")))
                    .isTrue();
            assertThat(running.uri()).isEqualTo("openocd:127.0.0.1:" + port + "?firmware=biotrain-gap9-board.elf");
            assertThat(running.found()).contains("Open On-Chip Debugger", "gap9.fc");
        } finally {
            openOcd.destroyForcibly();
            assertThat(openOcd.waitFor(10, TimeUnit.SECONDS)).isTrue();
        }
    }

    @Test
    void aStrangerOnThePortIsNoOpenOcd() throws Exception {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Thread.ofVirtual().start(() -> greetAsMailServer(server));

            DeviceScan.Finding stranger = running(server.getLocalPort());

            assertThat(stranger.usable()).isFalse();
            assertThat(stranger.lacks()).singleElement().asString().contains("not as OpenOCD does");
        }
    }

    @Test
    void aPortThatNeverAnswersDoesNotHang() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            assertThat(running(silent.getLocalPort()).usable()).isFalse();
        }
    }

    private static void greetAsMailServer(ServerSocket server) {
        try (Socket client = server.accept()) {
            client.getOutputStream().write("220 mail ready\r\n\u001a".getBytes(StandardCharsets.US_ASCII));
            client.getInputStream().readAllBytes();
        } catch (IOException closed) {
            // The client is gone: the test is over.
        }
    }

    private DeviceScan.Finding running(int port) {
        return scan(Map.of(), node -> true, port).stream()
                .filter(finding -> finding.link().equals("openocd"))
                .toList()
                .getLast();
    }

    private static DeviceScan.Finding cable(List<DeviceScan.Finding> findings) {
        return findings.stream()
                .filter(finding -> finding.link().equals("openocd"))
                .toList()
                .getFirst();
    }

    private List<DeviceScan.Finding> scan(Map<String, String> environment, Predicate<Path> mayOpen, int port) {
        return new DeviceScan(new DeviceScan.Machine(
                        machine.resolve("sys"), machine.resolve("dev"), mayOpen, environment, port))
                .findings();
    }

    /** An environment with a GAP SDK whose OpenOCD was built. */
    private Map<String, String> withSdk() throws IOException {
        program("sdk/install/workstation/openocd/bin/openocd");
        return Map.of("GAP_SDK_HOME", machine.resolve("sdk").toString());
    }

    private void program(String path) throws IOException {
        Path file = machine.resolve(path);
        Files.createDirectories(file.getParent());
        assertThat(Files.createFile(file).toFile().setExecutable(true)).isTrue();
    }

    private void plugIn(String place, String vendor, String product, String name, String serial, int bus, int number)
            throws IOException {
        Path entry = Files.createDirectories(machine.resolve("sys/bus/usb/devices/" + place));
        Files.createDirectories(machine.resolve("sys/bus/usb/devices/" + place + ":1.0"));
        Files.writeString(entry.resolve("idVendor"), vendor + "\n");
        Files.writeString(entry.resolve("idProduct"), product + "\n");
        Files.writeString(entry.resolve("busnum"), bus + "\n");
        Files.writeString(entry.resolve("devnum"), number + "\n");
        if (!name.isEmpty()) {
            Files.writeString(entry.resolve("product"), name + "\n");
        }
        if (!serial.isEmpty()) {
            Files.writeString(entry.resolve("serial"), serial + "\n");
        }
    }

    private static int closedPort() {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return server.getLocalPort();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
