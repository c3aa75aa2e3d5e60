package org.biotrain.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The Tcl port of an OpenOCD that runs on this machine. */
final class OpenOcdPort {
    private static final int MILLISECONDS = 1000;
    private static final int LONGEST_ANSWER = 4096;
    private static final int END = 0x1a;

    private OpenOcdPort() {}

    /**
     * What an OpenOCD says of itself.
     *
     * @param version its version
     * @param targets names of its targets
     */
    record Answer(String version, List<String> targets) {}

    /**
     * Asks the OpenOCD behind a port of this machine.
     *
     * @throws java.net.ConnectException if nothing listens there
     * @throws IOException if something listens that does not answer as OpenOCD does
     */
    static Answer ask(int port) throws IOException {
        try (Socket socket = new Socket()) {
            socket.setSoTimeout(MILLISECONDS);
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), MILLISECONDS);
            String version = ask(socket, "version");
            if (!version.startsWith("Open On-Chip Debugger")) {
                throw new IOException("it answers, but not as OpenOCD does");
            }
            String names = ask(socket, "target names").strip();
            return new Answer(version.strip(), names.isEmpty() ? List.of() : List.of(names.split("\\s+")));
        }
    }

    private static String ask(Socket socket, String command) throws IOException {
        socket.getOutputStream().write((command + (char) END).getBytes(StandardCharsets.US_ASCII));
        ByteArrayOutputStream answer = new ByteArrayOutputStream();
        InputStream input = socket.getInputStream();
        long deadline = System.nanoTime() + MILLISECONDS * 1_000_000L;
        for (int next = input.read(); next != END; next = input.read()) {
            if (next < 0 || answer.size() == LONGEST_ANSWER || System.nanoTime() > deadline) {
                throw new IOException("it gives no answer that ends");
            }
            answer.write(next);
        }
        return answer.toString(StandardCharsets.UTF_8);
    }
}
