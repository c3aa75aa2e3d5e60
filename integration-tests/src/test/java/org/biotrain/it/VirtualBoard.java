package org.biotrain.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** A running virtual board: a RISC-V board with a JTAG connector, made of QEMU. */
final class VirtualBoard implements AutoCloseable {
    private static final String LISTENING = "listening on ";

    private final Process process;
    private final int port;

    VirtualBoard(Path program) throws IOException {
        // It ends with its standard input, so also when this JVM dies.
        process = new ProcessBuilder(program.toString(), "--exit-with-stdin")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        BufferedReader output = process.inputReader(StandardCharsets.UTF_8);
        String line = output.readLine();
        assertThat(line).as("what the virtual board says").startsWith(LISTENING);
        port = Integer.parseInt(line.substring(LISTENING.length()));
    }

    /** Address of a device that launches an OpenOCD for this board. */
    String device() {
        Path script = Path.of("../native-runtime/virtual-board/board.cfg").toAbsolutePath();
        return "openocd:?script=" + script.normalize() + "&set=JTAG_PORT:" + port + "&reset=on";
    }

    @Override
    public void close() throws IOException {
        process.getOutputStream().close();
        process.destroy();
    }
}
