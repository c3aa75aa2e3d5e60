package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.biotrain.data.Dataset;
import org.biotrain.ffi.NativeLibrary;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The firmware on an emulated RISC-V machine, from Java. */
class QemuDeviceTest {
    private static final String QEMU = "qemu-system-riscv32";

    @BeforeAll
    static void requireTools() {
        boolean emulator = Arrays.stream(System.getenv("PATH").split(File.pathSeparator, -1))
                .anyMatch(directory -> Files.isExecutable(Path.of(directory, QEMU)));
        if (!emulator) {
            skip("there is no " + QEMU + " on PATH");
        }
        if (NativeLibrary.firmware("virt").length == 0) {
            skip("this build holds no firmware, since clang-19 or ld.lld-19 was missing");
        }
    }

    private static void skip(String reason) {
        if ("1".equals(System.getenv("BIOTRAIN_REQUIRE_TOOLS"))) {
            fail("BIOTRAIN_REQUIRE_TOOLS=1, but " + reason);
        }
        System.out.println("Skipped QemuDeviceTest: " + reason);
        abort(reason);
    }

    @Test
    void theFirmwareComputesTheSameBitsAsTheSimulation() {
        TrainingOptions options = Fixtures.options().epochs(2).build();
        Dataset heldOut = Fixtures.windows(6, 2);

        Run emulated = run("qemu:", options, heldOut);
        Run simulated = run("sim:?target=gap9", options, heldOut);

        assertThat(emulated.result.losses()).isEqualTo(simulated.result.losses());
        assertThat(emulated.result.sha256()).isEqualTo(simulated.result.sha256());
        assertThat(emulated.evaluation.loss()).isEqualTo(simulated.evaluation.loss());
    }

    private record Run(TrainingResult result, Evaluation evaluation) {}

    private static Run run(String uri, TrainingOptions options, Dataset heldOut) {
        try (Device device = Device.open(uri);
                TrainingSession session = device.newSession(Fixtures.network(), options)) {
            session.upload(Fixtures.windows(12, 1));
            return new Run(session.fit(), session.evaluate(heldOut));
        }
    }

    @Test
    void instructionsAreCounted() {
        try (Device device = Device.open("qemu:?icount=on");
                TrainingSession session = device.newSession(
                        Fixtures.network(), Fixtures.options().epochs(1).build())) {
            session.upload(Fixtures.windows(4, 1));
            session.startProfile();
            session.fit();
            List<ProfileEntry> profile = session.endProfile();

            assertThat(profile).extracting(ProfileEntry::name).contains("conv.forward", "conv.grad_weight", "sgd");
            assertThat(profile)
                    .allSatisfy(entry -> assertThat(entry.criticalInstructions())
                            .isPositive()
                            .isLessThanOrEqualTo(entry.instructions()));
        }
    }

    @Test
    void anUnknownSettingIsNamed() {
        assertThatExceptionOfType(InvalidArgumentException.class)
                .isThrownBy(() -> Device.open("qemu:?colour=red").close())
                .withMessageContaining("colour");
    }
}
