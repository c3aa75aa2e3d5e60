package org.biotrain.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.biotrain.OpInfo;
import org.biotrain.Pass;
import org.biotrain.PassInfo;
import org.biotrain.ffi.NativeLibrary;
import org.biotrain.ffi.biotrain_h;
import org.biotrain.ffi.bt_op_info;
import org.biotrain.ffi.bt_pass_info;

/** What the native library says of itself. */
public final class NativeLibraryInfo {
    private NativeLibraryInfo() {}

    /** Its version, for example {@code 0.1.0}. */
    public static String version() {
        Native.load();
        int version = biotrain_h.bt_version();
        return (version >>> 16) + "." + (version >>> 8 & 0xFF) + "." + (version & 0xFF);
    }

    /** Where it was loaded from. */
    public static String origin() {
        Native.load();
        return NativeLibrary.load();
    }

    /** The op table. */
    public static List<OpInfo> ops() {
        Native.load();
        List<OpInfo> table = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = bt_op_info.allocate(arena);
            for (int i = 0; i < biotrain_h.bt_op_count(); i++) {
                bt_op_info.struct_size(info, (int) bt_op_info.sizeof());
                Native.check(biotrain_h.bt_op_info_get(i, info));
                table.add(new OpInfo(
                        NativeModels.op(bt_op_info.op(info)),
                        Native.string(bt_op_info.name(info)),
                        List.of(Native.string(bt_op_info.onnx(info)).split(" *, *", -1)),
                        Native.string(bt_op_info.limits(info)),
                        Native.string(bt_op_info.backward_needs(info)),
                        bt_op_info.differentiable(info) != 0,
                        bt_op_info.tolerance(info)));
            }
        }
        return List.copyOf(table);
    }

    /** The topology passes. */
    public static List<PassInfo> passes() {
        Native.load();
        List<PassInfo> table = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = bt_pass_info.allocate(arena);
            for (int i = 0; i < biotrain_h.bt_pass_count(); i++) {
                bt_pass_info.struct_size(info, (int) bt_pass_info.sizeof());
                Native.check(biotrain_h.bt_pass_info_get(i, info));
                String name = Native.string(bt_pass_info.name(info));
                table.add(new PassInfo(
                        Pass.of(name),
                        name,
                        exactness(bt_pass_info.exactness(info)),
                        bt_pass_info.is_default(info) != 0,
                        Native.string(bt_pass_info.effect(info)),
                        Native.string(bt_pass_info.limits(info))));
            }
        }
        return List.copyOf(table);
    }

    private static PassInfo.Exactness exactness(int number) {
        if (number == biotrain_h.BT_EXACTNESS_BITS()) {
            return PassInfo.Exactness.BITS;
        }
        return number == biotrain_h.BT_EXACTNESS_ROUNDING() ? PassInfo.Exactness.ROUNDING : PassInfo.Exactness.CHANGES;
    }
}
