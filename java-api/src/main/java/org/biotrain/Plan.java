package org.biotrain;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.biotrain.internal.NativePlans;

/**
 * What the planner decides for a model, its options and a target: where everything lies and for how long, and what it
 * costs. Nothing runs, and no device is needed. A plan that does not fit its target is a plan, too.
 *
 * @param policy how it was planned
 * @param target name of the target
 * @param microBatch samples that are computed at once
 * @param programBytes size of the training program; 0 for a plan that is no program
 * @param levels the memories, from L1 on
 * @param persistentBytes weights, gradients, optimizer state and statistics
 * @param parameters elements of all parameters, running statistics excluded
 * @param forwardMacs multiply-adds of the forward pass of one sample
 * @param trainingMacs multiply-adds of forward and backward pass of one sample
 * @param plannedMacs the same with those that the plan computes again
 * @param tensors all of them
 * @param instructions of every sequence
 * @param backward number of the training sequence's first instruction behind the loss
 * @param decisions what the passes did and what it bought
 * @param advice what to change so that it fits; empty if it does
 */
public record Plan(
        Policy policy,
        String target,
        int microBatch,
        long programBytes,
        List<Level> levels,
        long persistentBytes,
        long parameters,
        long forwardMacs,
        long trainingMacs,
        long plannedMacs,
        List<PlannedTensor> tensors,
        Map<Sequence, List<PlannedInstruction>> instructions,
        int backward,
        List<Decision> decisions,
        String advice) {

    /** How to plan. */
    public enum Policy {
        /** As a session does. */
        COMPILE,
        /**
         * The whole batch at once, BatchNorm in place of GroupNorm and InstanceNorm, every activation and every
         * gradient in bytes of its own until the step ends.
         */
        CONVENTIONAL
    }

    /** The sequences of instructions of a program. */
    public enum Sequence {
        /** Clears the gradients, once per step. */
        BEGIN,
        /** Forward pass, loss and backward pass of a micro-batch. */
        TRAIN,
        /** One update of the parameters. */
        UPDATE,
        /** Forward pass and loss. */
        EVALUATE
    }

    /** What a tensor is for. */
    public enum Kind {
        /** A parameter or running statistics. */
        WEIGHT,
        /** The gradient of a parameter. */
        GRADIENT,
        /** State of the optimizer. */
        OPTIMIZER,
        /** Samples and their targets. */
        INPUT,
        /** Made and used in the forward pass, or made again for a moment. */
        ACTIVATION,
        /** Made in the forward pass, kept for the backward pass. */
        STASH,
        /** The gradient of an activation. */
        ERROR,
        /** Block sums, losses. */
        SCRATCH,
        /** A part of a tensor, brought closer to the cores. */
        TILE
    }

    /**
     * A memory.
     *
     * @param name L1, L2 or L3
     * @param peakBytes that are used
     * @param lowerBoundBytes largest sum of bytes that are alive at once
     * @param capacityBytes that the target has
     */
    public record Level(String name, long peakBytes, long lowerBoundBytes, long capacityBytes) {}

    /**
     * A time in which a tensor is alive: 0 is before the first instruction of a sequence, instruction i runs at i + 1,
     * results are read one after the last.
     */
    public record Span(int first, int last) {}

    /**
     * A tensor with an address.
     *
     * @param name empty if it has none
     * @param layer whose instruction writes it first; empty if it belongs to none
     * @param kind what it is for
     * @param level 1 to 3
     * @param persistent whether its bytes are kept for ever
     * @param shape its dimensions
     * @param bytes its size
     * @param offset its address in its level
     * @param block tensors of a block follow each other in place
     * @param spans when it is alive, in the sequences that use it
     */
    public record PlannedTensor(
            String name,
            String layer,
            Kind kind,
            int level,
            boolean persistent,
            List<Integer> shape,
            long bytes,
            long offset,
            int block,
            Map<Sequence, Span> spans) {
        /** Copies the collections. */
        public PlannedTensor {
            shape = List.copyOf(shape);
            spans = Collections.unmodifiableMap(new TreeMap<>(spans));
        }
    }

    /**
     * An instruction.
     *
     * @param name such as {@code conv.forward}
     * @param layer empty if it belongs to none
     * @param macs multiply-adds
     * @param cycles estimated from the target's costs
     * @param trafficBytes read and written per level, each operand once
     */
    public record PlannedInstruction(String name, String layer, long macs, long cycles, List<Long> trafficBytes) {
        /** Copies the list. */
        public PlannedInstruction {
            trafficBytes = List.copyOf(trafficBytes);
        }
    }

    /**
     * What a pass did.
     *
     * @param pass its name
     * @param text one sentence
     * @param savedBytes the peak would be so much higher without it
     * @param macs multiply-adds that it adds to the training of a micro-batch
     */
    public record Decision(String pass, String text, long savedBytes, long macs) {}

    /** Copies the collections. */
    public Plan {
        levels = List.copyOf(levels);
        tensors = List.copyOf(tensors);
        instructions = Collections.unmodifiableMap(new TreeMap<>(instructions));
        decisions = List.copyOf(decisions);
    }

    /**
     * Plans a training.
     *
     * @param target the name of a target that ships, or the path of a target file
     * @throws InvalidArgumentException if there is no such target, or its file is wrong
     * @throws ModelException if the model's shapes or structure are inconsistent
     * @throws UnsupportedException if model and options do not go together
     */
    public static Plan of(Model model, TrainingOptions options, String target, Policy policy) {
        return NativePlans.plan(model, options, target, policy);
    }

    /** Whether no memory is too small. */
    public boolean fits() {
        return levels.stream().allMatch(level -> level.peakBytes() <= level.capacityBytes());
    }

    /** The instructions of a sequence. */
    public List<PlannedInstruction> instructions(Sequence sequence) {
        return instructions.getOrDefault(sequence, List.of());
    }
}
