package org.biotrain.it;

import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.ExposedPort;
import com.github.dockerjava.api.model.HostConfig;
import com.github.dockerjava.api.model.PortBinding;
import com.github.dockerjava.api.model.Ports.Binding;
import com.github.dockerjava.api.model.Volume;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

/** A container of {@code gap-sdk-docker/Dockerfile.sim}, started as its README says. */
final class SimulatedBoard extends GenericContainer<SimulatedBoard> {
    private static final String IMAGE = "biotrain-sim:it";
    private static final int TCL_PORT = 6666;
    private static final String LOG_FOLDER = "/log";

    /** A board whose log is written into a folder of this machine. */
    SimulatedBoard(Path logFolder) {
        super(DockerImageName.parse(IMAGE));
        withExposedPorts(TCL_PORT);
        withCreateContainerCmdModifier(command -> {
            HostConfig host = Objects.requireNonNull(command.getHostConfig());
            host.withPortBindings(new PortBinding(Binding.bindIp("127.0.0.1"), ExposedPort.tcp(TCL_PORT)));
            host.withBinds(new Bind(logFolder.toString(), new Volume(LOG_FOLDER)));
            // The log belongs to whoever reads it.
            command.withUser(owner(logFolder));
        });
        waitingFor(Wait.forLogMessage(".*Listening on port " + TCL_PORT + " for tcl connections.*\\n", 1));
    }

    static void buildImage() throws IOException, InterruptedException {
        DockerImage.build("Dockerfile.sim", IMAGE);
    }

    /** The URI that opens this board. */
    String uri() {
        return "openocd:" + getHost() + ":" + getMappedPort(TCL_PORT) + "?reset=on";
    }

    /** Ends it as a failing power supply does. */
    void kill() {
        getDockerClient().killContainerCmd(getContainerId()).exec();
    }

    /** Ends it as {@code docker stop} does. */
    void end() {
        getDockerClient().stopContainerCmd(getContainerId()).exec();
    }

    /** Waits for its end and returns its exit code. */
    int awaitEnd(Duration limit) {
        return getDockerClient()
                .waitContainerCmd(getContainerId())
                .start()
                .awaitStatusCode(limit.toSeconds(), TimeUnit.SECONDS);
    }

    private static String owner(Path folder) {
        try {
            return Files.getAttribute(folder, "unix:uid") + ":" + Files.getAttribute(folder, "unix:gid");
        } catch (IOException e) {
            throw new UncheckedIOException("The owner of " + folder + " can't be found: " + e.getMessage(), e);
        }
    }
}
