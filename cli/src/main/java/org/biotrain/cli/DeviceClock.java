package org.biotrain.cli;

import org.biotrain.Device;
import org.biotrain.Statistics;
import org.jspecify.annotations.Nullable;

/** Cycles of the devices whose counter is a chip's; those of sim: and qemu: are the computer's and say nothing. */
final class DeviceClock {
    private DeviceClock() {}

    static boolean isThatOfAChip(String uri) {
        return uri.startsWith("gvsoc:") || uri.startsWith("openocd:");
    }

    /** Cycles per training sample between two readings, or null where the device has no clock of a chip. */
    static @Nullable Double cyclesPerSample(Device device, int microBatch, Statistics before, Statistics after) {
        long samples = (after.microSteps() - before.microSteps()) * microBatch;
        if (!isThatOfAChip(device.uri()) || samples == 0) {
            return null;
        }
        return (after.cycles() - before.cycles()) / (double) samples;
    }
}
