package org.biotrain.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.biotrain.InternalException;
import org.biotrain.Model;
import org.biotrain.Plan;
import org.biotrain.Plan.Decision;
import org.biotrain.Plan.Kind;
import org.biotrain.Plan.Level;
import org.biotrain.Plan.PlannedInstruction;
import org.biotrain.Plan.PlannedTensor;
import org.biotrain.Plan.Policy;
import org.biotrain.Plan.Sequence;
import org.biotrain.Plan.Span;
import org.biotrain.TrainingOptions;
import org.biotrain.ffi.biotrain_h;
import org.biotrain.ffi.bt_plan_decision;
import org.biotrain.ffi.bt_plan_info;
import org.biotrain.ffi.bt_plan_instruction;
import org.biotrain.ffi.bt_plan_tensor;
import org.biotrain.ffi.bt_target;

/** Copies native plans. */
public final class NativePlans {
    /** In the order of the native ones. */
    private static final List<Sequence> SEQUENCES = List.of(Sequence.values());

    private NativePlans() {}

    /** Plans a training; see {@link Plan#of}. */
    public static Plan plan(Model model, TrainingOptions options, String targetName, Policy policy) {
        Native.load();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment target = bt_target.allocate(arena);
            Native.check(biotrain_h.bt_target_find(Native.string(arena, targetName), target));
            MemorySegment nativeOptions = NativeOptions.of(options, arena);
            MemorySegment nativeModel = NativeModels.build(model, arena);
            MemorySegment out = arena.allocate(biotrain_h.C_POINTER);
            try {
                Native.check(biotrain_h.bt_plan_create(
                        nativeModel, nativeOptions, target, number(policy), options.batchSize(), out));
            } finally {
                biotrain_h.bt_model_free(nativeModel);
            }
            MemorySegment plan = out.get(biotrain_h.C_POINTER, 0);
            try {
                return copy(plan, policy, Native.fixedString(bt_target.name(target)), arena);
            } finally {
                biotrain_h.bt_plan_free(plan);
            }
        }
    }

    private static int number(Policy policy) {
        return switch (policy) {
            case COMPILE -> biotrain_h.BT_POLICY_COMPILE();
            case CONVENTIONAL -> biotrain_h.BT_POLICY_CONVENTIONAL();
        };
    }

    private static Plan copy(MemorySegment plan, Policy policy, String target, Arena arena) {
        MemorySegment info = bt_plan_info.allocate(arena);
        bt_plan_info.struct_size(info, (int) bt_plan_info.sizeof());
        Native.check(biotrain_h.bt_plan_info_get(plan, info));
        List<Level> levels = new ArrayList<>();
        for (int level = 0; level < biotrain_h.BT_PLAN_LEVELS(); level++) {
            levels.add(new Level(
                    "L" + (level + 1),
                    bt_plan_info.peak_bytes(info, level),
                    bt_plan_info.lower_bound_bytes(info, level),
                    bt_plan_info.capacity_bytes(info, level)));
        }
        Map<Sequence, List<PlannedInstruction>> instructions = new EnumMap<>(Sequence.class);
        for (int i = 0; i < SEQUENCES.size(); i++) {
            instructions.put(SEQUENCES.get(i), instructions(plan, i, bt_plan_info.instructions(info, i), arena));
        }
        return new Plan(
                policy,
                target,
                bt_plan_info.micro_batch(info),
                Integer.toUnsignedLong(bt_plan_info.program_bytes(info)),
                levels,
                bt_plan_info.persistent_bytes(info),
                bt_plan_info.parameters(info),
                bt_plan_info.forward_macs(info),
                bt_plan_info.training_macs(info),
                bt_plan_info.planned_macs(info),
                tensors(plan, bt_plan_info.tensors(info), arena),
                instructions,
                bt_plan_info.backward(info),
                decisions(plan, bt_plan_info.decisions(info), arena),
                Native.string(biotrain_h.bt_plan_advice(plan)));
    }

    private static List<PlannedTensor> tensors(MemorySegment plan, int count, Arena arena) {
        MemorySegment out = bt_plan_tensor.allocate(arena);
        List<PlannedTensor> tensors = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            bt_plan_tensor.struct_size(out, (int) bt_plan_tensor.sizeof());
            Native.check(biotrain_h.bt_plan_tensor_get(plan, i, out));
            List<Integer> shape = new ArrayList<>();
            for (int d = 0; d < bt_plan_tensor.rank(out); d++) {
                shape.add(bt_plan_tensor.dims(out, d));
            }
            Map<Sequence, Span> spans = new EnumMap<>(Sequence.class);
            for (int s = 0; s < SEQUENCES.size(); s++) {
                Span span = new Span(bt_plan_tensor.first(out, s), bt_plan_tensor.last(out, s));
                if (span.first() <= span.last()) {
                    spans.put(SEQUENCES.get(s), span);
                }
            }
            tensors.add(new PlannedTensor(
                    Native.string(bt_plan_tensor.name(out)),
                    Native.string(bt_plan_tensor.layer(out)),
                    kind(bt_plan_tensor.kind(out)),
                    bt_plan_tensor.level(out),
                    bt_plan_tensor.persistent(out) != 0,
                    shape,
                    Integer.toUnsignedLong(bt_plan_tensor.bytes(out)),
                    bt_plan_tensor.offset(out),
                    bt_plan_tensor.block(out),
                    spans));
        }
        return tensors;
    }

    /** The kinds have the order of the native ones, which begin with 1. */
    private static Kind kind(int number) {
        Kind[] kinds = Kind.values();
        if (number < 1 || number > kinds.length) {
            throw new InternalException("The native library knows a kind " + number
                    + " of tensors that this version of the Java library does not");
        }
        return kinds[number - 1];
    }

    private static List<PlannedInstruction> instructions(MemorySegment plan, int sequence, int count, Arena arena) {
        MemorySegment out = bt_plan_instruction.allocate(arena);
        List<PlannedInstruction> instructions = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            bt_plan_instruction.struct_size(out, (int) bt_plan_instruction.sizeof());
            Native.check(biotrain_h.bt_plan_instruction_get(plan, sequence, i, out));
            List<Long> traffic = new ArrayList<>();
            for (int level = 0; level < biotrain_h.BT_PLAN_LEVELS(); level++) {
                traffic.add(bt_plan_instruction.traffic_bytes(out, level));
            }
            instructions.add(new PlannedInstruction(
                    Native.string(bt_plan_instruction.name(out)),
                    Native.string(bt_plan_instruction.layer(out)),
                    bt_plan_instruction.macs(out),
                    bt_plan_instruction.cycles(out),
                    traffic));
        }
        return instructions;
    }

    private static List<Decision> decisions(MemorySegment plan, int count, Arena arena) {
        MemorySegment out = bt_plan_decision.allocate(arena);
        List<Decision> decisions = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            bt_plan_decision.struct_size(out, (int) bt_plan_decision.sizeof());
            Native.check(biotrain_h.bt_plan_decision_get(plan, i, out));
            decisions.add(new Decision(
                    Native.string(bt_plan_decision.pass(out)),
                    Native.string(bt_plan_decision.text(out)),
                    bt_plan_decision.saved_bytes(out),
                    bt_plan_decision.macs(out)));
        }
        return decisions;
    }
}
