package org.biotrain.cli;

import java.util.Objects;
import picocli.CommandLine.IVersionProvider;

/** The version that {@code --version} prints: that of the module, which Maven writes into the jar. */
final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
        return new String[] {"biotrain " + text()};
    }

    static String text() {
        return Objects.requireNonNullElse(Main.class.getPackage().getImplementationVersion(), "(development build)");
    }
}
