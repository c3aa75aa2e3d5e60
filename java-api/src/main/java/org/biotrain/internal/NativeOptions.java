package org.biotrain.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.biotrain.BatchNormMode;
import org.biotrain.Loss;
import org.biotrain.Optimizer;
import org.biotrain.Pass;
import org.biotrain.SampleFormat;
import org.biotrain.Schedule;
import org.biotrain.Stash;
import org.biotrain.TrainingOptions;
import org.biotrain.UpdateScheme;
import org.biotrain.ffi.biotrain_h;
import org.biotrain.ffi.bt_training_options;

/** Turns {@link TrainingOptions} into the native struct. */
final class NativeOptions {
    private NativeOptions() {}

    static MemorySegment of(TrainingOptions options, Arena arena) {
        MemorySegment out = bt_training_options.allocate(arena);
        Native.check(biotrain_h.bt_training_options_default(out));
        bt_training_options.loss(out, loss(options.loss()));
        bt_training_options.batch_norm(
                out,
                options.batchNorm() == BatchNormMode.TRAINING
                        ? biotrain_h.BT_BATCH_NORM_TRAINING()
                        : biotrain_h.BT_BATCH_NORM_FROZEN());
        bt_training_options.micro_batch(out, options.microBatch());
        bt_training_options.input_gradient(out, options.inputGradient() ? 1 : 0);
        bt_training_options.stash_fp16(out, options.stash() == Stash.FLOAT16 ? 1 : 0);
        bt_training_options.fused_update(out, options.fusedUpdate() ? 1 : 0);
        bt_training_options.seed(out, options.seed());
        bt_training_options.dead_gradients(out, flag(options, Pass.DEAD_GRADIENTS));
        bt_training_options.fold_batch_norm(out, flag(options, Pass.FOLD_BATCH_NORM));
        bt_training_options.cache_features(out, flag(options, Pass.CACHE_FEATURES));
        optimizer(out, options.optimizer());
        schedule(out, options.schedule());
        scheme(out, options.scheme(), arena);
        return out;
    }

    private static int flag(TrainingOptions options, Pass pass) {
        return options.passes().contains(pass) ? 1 : 0;
    }

    private static int loss(Loss loss) {
        return switch (loss) {
            case CROSS_ENTROPY -> biotrain_h.BT_LOSS_CROSS_ENTROPY();
            case MSE -> biotrain_h.BT_LOSS_MSE();
            case INNER_PRODUCT -> biotrain_h.BT_LOSS_INNER_PRODUCT();
        };
    }

    private static void optimizer(MemorySegment out, Optimizer optimizer) {
        bt_training_options.learning_rate(out, optimizer.learningRate());
        switch (optimizer) {
            case Optimizer.Sgd sgd -> {
                bt_training_options.optimizer(out, biotrain_h.BT_OPTIMIZER_SGD());
                bt_training_options.momentum(out, sgd.momentum());
                bt_training_options.weight_decay(out, sgd.weightDecay());
                bt_training_options.nesterov(out, sgd.nesterov() ? 1 : 0);
            }
            case Optimizer.Adam adam -> {
                bt_training_options.optimizer(out, biotrain_h.BT_OPTIMIZER_ADAM());
                moments(out, adam.beta1(), adam.beta2(), adam.epsilon(), adam.weightDecay());
            }
            case Optimizer.AdamW adamW -> {
                bt_training_options.optimizer(out, biotrain_h.BT_OPTIMIZER_ADAMW());
                moments(out, adamW.beta1(), adamW.beta2(), adamW.epsilon(), adamW.weightDecay());
            }
        }
    }

    private static void moments(MemorySegment out, float beta1, float beta2, float epsilon, float weightDecay) {
        bt_training_options.momentum(out, 0);
        bt_training_options.beta1(out, beta1);
        bt_training_options.beta2(out, beta2);
        bt_training_options.epsilon(out, epsilon);
        bt_training_options.weight_decay(out, weightDecay);
    }

    private static void schedule(MemorySegment out, Schedule schedule) {
        bt_training_options.warmup_steps(out, schedule.warmupSteps());
        switch (schedule) {
            case Schedule.Constant _ -> bt_training_options.schedule(out, biotrain_h.BT_SCHEDULE_CONSTANT());
            case Schedule.Cosine cosine -> {
                bt_training_options.schedule(out, biotrain_h.BT_SCHEDULE_COSINE());
                bt_training_options.minimum_rate(out, cosine.minimumRate());
            }
            case Schedule.Step step -> {
                bt_training_options.schedule(out, biotrain_h.BT_SCHEDULE_STEP());
                bt_training_options.decay(out, step.decay());
                bt_training_options.decay_steps(out, step.everySteps());
            }
        }
    }

    private static void scheme(MemorySegment out, UpdateScheme scheme, Arena arena) {
        switch (scheme) {
            case UpdateScheme.Preset preset ->
                bt_training_options.scheme(
                        out,
                        switch (preset) {
                            case FULL -> biotrain_h.BT_UPDATE_FULL();
                            case LAST_LAYER -> biotrain_h.BT_UPDATE_LAST_LAYER();
                            case BIAS_ONLY -> biotrain_h.BT_UPDATE_BIAS_ONLY();
                            case NORM_ONLY -> biotrain_h.BT_UPDATE_NORM_ONLY();
                        });
            case UpdateScheme.Parameters parameters -> {
                List<String> names = parameters.names();
                MemorySegment pointers = arena.allocate(biotrain_h.C_POINTER, names.size());
                for (int i = 0; i < names.size(); i++) {
                    pointers.setAtIndex(biotrain_h.C_POINTER, i, Native.string(arena, names.get(i)));
                }
                bt_training_options.scheme(out, biotrain_h.BT_UPDATE_LIST());
                bt_training_options.trainable(out, pointers);
                bt_training_options.trainable_count(out, names.size());
            }
        }
    }

    static int format(SampleFormat format) {
        return switch (format) {
            case INT16 -> biotrain_h.BT_SAMPLE_INT16();
            case FLOAT32 -> biotrain_h.BT_SAMPLE_FLOAT32();
        };
    }
}
