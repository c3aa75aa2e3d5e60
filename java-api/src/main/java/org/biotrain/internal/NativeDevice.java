package org.biotrain.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.concurrent.locks.ReentrantLock;
import org.biotrain.DeviceInfo;
import org.biotrain.DeviceOptions;
import org.biotrain.Model;
import org.biotrain.TrainingOptions;
import org.biotrain.ffi.NativeLibrary;
import org.biotrain.ffi.biotrain_h;
import org.biotrain.ffi.bt_device_info;
import org.biotrain.ffi.bt_device_options;
import org.biotrain.ffi.bt_log_fn;
import org.biotrain.ffi.bt_target;
import org.jspecify.annotations.Nullable;

/**
 * A native device and its session: the state that outlives their Java owners until it is freed.
 *
 * <p>Owners use it on their own thread, but the thread that frees leaked owners may come in between. Every native call
 * therefore holds {@link #lock}. Memory for arguments and results lives in a confined arena of the call; what native
 * code keeps (the upcall stubs) lives in automatic arenas of this object, since a leak is freed on another thread,
 * where a confined arena can't be closed.
 */
public final class NativeDevice {
    private final ReentrantLock lock = new ReentrantLock();
    private final String uri;
    private final NativeLog log = new NativeLog();
    private final MemorySegment logStub;
    private final MemorySegment handle;
    private boolean closed;
    /** Whether native code is calling us back; it can't be called then. */
    private boolean calling;

    private @Nullable NativeSession session;
    /** The session that was freed with a device that leaked: it leaked too, whichever is noticed first. */
    private @Nullable NativeSession orphan;

    /** Opens a device. */
    public NativeDevice(String uri, DeviceOptions options) {
        Native.load();
        this.uri = uri;
        this.logStub = bt_log_fn.allocate(log, Arena.ofAuto());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nativeOptions = bt_device_options.allocate(arena);
            bt_device_options.struct_size(nativeOptions, (int) bt_device_options.sizeof());
            bt_device_options.log_level(nativeOptions, level(options.logLevel()));
            bt_device_options.log(nativeOptions, logStub);
            bt_device_options.log_user(nativeOptions, MemorySegment.NULL);
            bt_device_options.timeout_ms(nativeOptions, (int) options.timeout().toMillis());
            byte[] firmware = NativeLibrary.firmware(uri.startsWith("gvsoc:") ? "pulp-open" : "virt");
            if (firmware.length > 0) {
                bt_device_options.firmware(nativeOptions, arena.allocateFrom(ValueLayout.JAVA_BYTE, firmware));
                bt_device_options.firmware_bytes(nativeOptions, firmware.length);
            }
            MemorySegment out = arena.allocate(biotrain_h.C_POINTER);
            Native.check(biotrain_h.bt_device_open(Native.string(arena, uri), nativeOptions, out));
            handle = out.get(biotrain_h.C_POINTER, 0);
        }
    }

    private static int level(DeviceOptions.LogLevel level) {
        return switch (level) {
            case ERROR -> biotrain_h.BT_LOG_ERROR();
            case WARNING -> biotrain_h.BT_LOG_WARNING();
            case INFO -> biotrain_h.BT_LOG_INFO();
            case DEBUG -> biotrain_h.BT_LOG_DEBUG();
        };
    }

    /** What this device logs. */
    public NativeLog log() {
        return log;
    }

    /** What the device says of itself. */
    public DeviceInfo info() {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = bt_device_info.allocate(arena);
            bt_device_info.struct_size(info, (int) bt_device_info.sizeof());
            Native.check(biotrain_h.bt_device_info_get(handle, info));
            return new DeviceInfo(
                    Native.fixedString(bt_device_info.link(info)),
                    Native.fixedString(bt_device_info.target(info)),
                    bt_device_info.cores(info),
                    Integer.toUnsignedLong(bt_device_info.l1_bytes(info)),
                    Integer.toUnsignedLong(bt_device_info.l2_bytes(info)),
                    Integer.toUnsignedLong(bt_device_info.l3_bytes(info)),
                    Native.fixedString(bt_device_info.kernels(info)),
                    bt_device_info.protocol(info),
                    bt_device_info.build_id(info));
        } finally {
            exit();
        }
    }

    /** Time of an empty command. */
    public Duration ping() {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(biotrain_h.C_LONG_LONG);
            Native.check(biotrain_h.bt_device_ping(handle, out));
            return Duration.ofNanos(out.get(biotrain_h.C_LONG_LONG, 0));
        } finally {
            exit();
        }
    }

    /** Compiles a model for this device and loads it. */
    public NativeSession openSession(Model model, TrainingOptions options) {
        enter();
        try (Arena arena = Arena.ofConfined()) {
            if (session != null) {
                throw new IllegalStateException("The device " + uri
                        + " has an open session, and it can run only one at a time; close that session first");
            }
            MemorySegment program = compile(model, options, arena);
            boolean opened = false;
            try {
                MemorySegment out = arena.allocate(biotrain_h.C_POINTER);
                Native.check(biotrain_h.bt_session_open(handle, program, out));
                session = new NativeSession(this, out.get(biotrain_h.C_POINTER, 0), program, options);
                opened = true;
                return session;
            } finally {
                if (!opened) {
                    biotrain_h.bt_program_free(program);
                }
            }
        } finally {
            exit();
        }
    }

    private MemorySegment compile(Model model, TrainingOptions options, Arena arena) {
        MemorySegment target = bt_target.allocate(arena);
        bt_target.struct_size(target, (int) bt_target.sizeof());
        Native.check(biotrain_h.bt_device_target(handle, target));
        MemorySegment nativeModel = NativeModels.build(model, arena);
        try {
            MemorySegment out = arena.allocate(biotrain_h.C_POINTER);
            Native.check(biotrain_h.bt_program_compile(nativeModel, NativeOptions.of(options, arena), target, out));
            return out.get(biotrain_h.C_POINTER, 0);
        } finally {
            biotrain_h.bt_model_free(nativeModel);
        }
    }

    /** Frees the session, and tells whether it was open. */
    boolean close(NativeSession leaving) {
        lock.lock();
        try {
            if (session != leaving) {
                return orphan == leaving;
            }
            session = null;
            leaving.free();
            return true;
        } finally {
            exit();
        }
    }

    /** Frees the session and the device, and tells whether it was open; see {@link Leaks.Resources}. */
    public boolean close(boolean leaked) {
        lock.lock();
        try {
            if (closed) {
                return false;
            }
            closed = true;
            if (session != null) {
                orphan = leaked ? session : null;
                session.free();
                session = null;
            }
            biotrain_h.bt_device_close(handle);
            return true;
        } finally {
            exit();
        }
    }

    /** Refuses a call, on the owners' thread, while native code waits for a callback to return. */
    public void refuseDuringCallback() {
        if (calling) {
            throw new IllegalStateException("The device " + uri + " is in the middle of a step; in onStep a listener"
                    + " may call session.stop() only, other methods after the step: in onEpoch, or after fit");
        }
    }

    /** Begins a native call; {@link #exit} must follow. */
    void enter() {
        lock.lock();
        try {
            refuseDuringCallback();
            if (closed) {
                throw new IllegalStateException("The device " + uri + " is closed; open it again with Device.open");
            }
        } catch (IllegalStateException e) {
            lock.unlock();
            throw e;
        }
    }

    void exit() {
        try {
            lock.unlock();
        } finally {
            // Native code has the addresses of our upcall stubs, which live as long as we do.
            Reference.reachabilityFence(this);
        }
    }

    /** Marks the time in which native code calls back. */
    void calling(boolean value) {
        calling = value;
    }
}
