package org.biotrain;

import java.time.Duration;
import org.biotrain.internal.Leaks;
import org.biotrain.internal.NativeDevice;

/**
 * A device that trains, behind a link. A device and its session belong to the thread that opened the device: a call
 * from another thread is a {@link WrongThreadException}, a call after {@link #close} an {@link IllegalStateException}.
 *
 * <p>What the native library reports goes to the SLF4J logger {@code org.biotrain.native}.
 */
public final class Device implements AutoCloseable {
    private final String uri;
    private final Thread owner = Thread.currentThread();
    private final NativeDevice device;
    private final Leaks.Guard guard;

    private Device(String uri, NativeDevice device) {
        this.uri = uri;
        this.device = device;
        this.guard = Leaks.guard(this, "The device " + uri, device::close);
    }

    /**
     * Opens a device with the default options.
     *
     * @see #open(String, DeviceOptions)
     */
    public static Device open(String uri) {
        return open(uri, DeviceOptions.defaults());
    }

    /**
     * Opens a device.
     *
     * <ul>
     *   <li>{@code sim:?target=gap9&cores=8}: the simulated device in this process, with the memories of GAP9 and 8
     *       worker threads
     *   <li>{@code qemu:?harts=9}: the firmware on QEMU's RISC-V machine
     *   <li>{@code openocd:?script=board.cfg&cable=cable.cfg&firmware=firmware.elf}: a board behind a debug cable,
     *       through an OpenOCD that the device launches and ends; {@code openocd:127.0.0.1:6666?firmware=…} attaches to
     *       one that runs. {@code docs/openocd.md} lists the options
     * </ul>
     *
     * @param uri the link and its settings
     * @throws InvalidArgumentException if the address is not understood
     * @throws DeviceException if the device or its link fails
     * @throws NativeLibraryException if the native library can't be loaded
     */
    public static Device open(String uri, DeviceOptions options) {
        return new Device(uri, new NativeDevice(uri, options));
    }

    /** The address that the device was opened with. */
    public String uri() {
        return uri;
    }

    /** What the device says of itself. */
    public DeviceInfo info() {
        checkThread();
        return device.info();
    }

    /** The time that an empty command takes there and back. */
    public Duration roundTrip() {
        checkThread();
        return device.ping();
    }

    /**
     * Compiles a model into a training program for this device and loads it, with the model's parameters.
     *
     * @throws ModelException if the model's shapes or structure are inconsistent
     * @throws UnsupportedException if model and options do not go together; the message says what to change
     * @throws CapacityException if the program does not fit the device's memories
     * @throws IllegalStateException if the device has an open session
     */
    public TrainingSession newSession(Model model, TrainingOptions options) {
        checkThread();
        return new TrainingSession(this, model, options, device.openSession(model, options));
    }

    /** Closes the device and its session, if one is open. A second call does nothing. */
    @Override
    public void close() {
        checkThread();
        device.refuseDuringCallback();
        guard.close();
    }

    NativeDevice nativeDevice() {
        return device;
    }

    void checkThread() {
        if (Thread.currentThread() != owner) {
            throw new WrongThreadException("The device " + uri + " and its session belong to the thread \""
                    + owner.getName() + "\", but \"" + Thread.currentThread().getName()
                    + "\" called; open a device of its own in each thread that trains");
        }
    }

    @Override
    public String toString() {
        return "Device " + uri;
    }
}
