package org.biotrain.cli.verify;

import java.util.ArrayList;
import java.util.List;
import org.biotrain.Attributes;
import org.biotrain.Device;
import org.biotrain.Loss;
import org.biotrain.Model;
import org.biotrain.Op;
import org.biotrain.Optimizer;
import org.biotrain.Tensor;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;

/** Cases of optimizers: given gradients are written to the device, one update each. */
final class OptimizerCases {
    private static final String WEIGHTS = "weights";

    private OptimizerCases() {}

    static List<Comparison> run(Device device, GoldenCase golden) {
        Tensor initial = golden.slice(WEIGHTS, 0);
        Model.Builder builder =
                Model.builder(golden.name(), "input", initial.shape()).parameter(WEIGHTS, initial);
        Model model = builder.build(builder.layer(Op.ADD, "sum", Attributes.defaults(), "input", WEIGHTS));
        Optimizer optimizer = optimizer(golden);
        TrainingOptions options = TrainingOptions.builder()
                .loss(Loss.INNER_PRODUCT)
                .optimizer(optimizer)
                .build();
        List<Comparison> comparisons = new ArrayList<>();
        try (TrainingSession session = device.newSession(model, options)) {
            for (int step = 0; step < golden.shape("gradients")[0]; step++) {
                session.writeTensor("gradient." + WEIGHTS, golden.slice("gradients", step));
                session.update(optimizer.learningRate());
                comparisons.add(Comparison.relative(
                        WEIGHTS + " after step " + (step + 1),
                        session.readTensor(WEIGHTS).data(),
                        golden.slice(WEIGHTS, step + 1).data(),
                        LayerCases.LIMIT));
            }
        }
        return comparisons;
    }

    private static Optimizer optimizer(GoldenCase golden) {
        float rate = golden.number("lr");
        float decay = golden.number("weight_decay");
        if (golden.attributes().has("betas")) {
            float beta1 = (float) golden.attributes().path("betas").path(0).asDouble();
            float beta2 = (float) golden.attributes().path("betas").path(1).asDouble();
            float epsilon = golden.number("eps");
            return golden.flag("decoupled_weight_decay")
                    ? new Optimizer.AdamW(rate, beta1, beta2, epsilon, decay)
                    : new Optimizer.Adam(rate, beta1, beta2, epsilon, decay);
        }
        return new Optimizer.Sgd(rate, golden.number("momentum"), decay, golden.flag("nesterov"));
    }
}
