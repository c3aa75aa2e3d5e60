package org.biotrain.cli.verify;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.biotrain.Device;
import org.biotrain.Gradients;
import org.biotrain.Model;
import org.biotrain.Optimizer;
import org.biotrain.SampleFormat;
import org.biotrain.Samples;
import org.biotrain.Tensor;
import org.biotrain.TrainingOptions;
import org.biotrain.TrainingSession;

/** Cases of whole training runs: batch 1, the gradients of some samples averaged, one update with a given rate. */
final class TrainingRunCases {
    private static final double LIMIT = 1e-4;
    private static final String INITIAL = "initial.";
    private static final String GRADIENT = "gradient0.";
    private static final String FINAL = "final.";

    private TrainingRunCases() {}

    static List<Comparison> run(Device device, GoldenCase golden) {
        Model network = ReferenceNetworks.byCase(golden.name());
        Map<String, String> names = parameterNames(golden, network);
        Map<String, Tensor> initial = new LinkedHashMap<>();
        names.forEach((array, parameter) -> initial.put(parameter, golden.tensor(INITIAL + array)));
        int accumulate = golden.integer("accumulate");
        TrainingOptions options = TrainingOptions.builder()
                .optimizer(new Optimizer.Sgd(
                        golden.number("lr"), golden.number("momentum"), golden.number("weight_decay"), false))
                .batchSize(accumulate)
                .sampleFormat(SampleFormat.FLOAT32)
                .build();
        List<Comparison> comparisons = new ArrayList<>();
        try (TrainingSession session = device.newSession(network.withParameters(initial), options)) {
            float[] rates = golden.floats("learning_rates");
            float[] losses = new float[rates.length * accumulate];
            for (int step = 0; step < rates.length; step++) {
                Gradients gradients = session.accumulate(samples(golden, step * accumulate, accumulate));
                System.arraycopy(gradients.losses(), 0, losses, step * accumulate, accumulate);
                if (step == 0) {
                    names.forEach((array, parameter) -> comparisons.add(Comparison.relative(
                            GRADIENT + array,
                            Objects.requireNonNull(gradients.gradients().get(parameter))
                                    .data(),
                            golden.floats(GRADIENT + array),
                            LIMIT)));
                }
                session.update(rates[step]);
            }
            comparisons.add(Comparison.absolute("losses", losses, golden.floats("losses"), LIMIT));
            names.forEach((array, parameter) -> comparisons.add(Comparison.relative(
                    FINAL + array, session.readTensor(parameter).data(), golden.floats(FINAL + array), LIMIT)));
            int shown = golden.shape("logits_after")[0];
            comparisons.add(Comparison.relative(
                    "logits_after",
                    LayerCases.flatten(session.predict(samples(golden, 0, shown))),
                    golden.floats("logits_after"),
                    LIMIT));
        }
        return comparisons;
    }

    private static Samples samples(GoldenCase golden, int first, int count) {
        float[] x = golden.floats("x");
        int length = x.length / golden.shape("x")[0];
        return Samples.labelled(
                Arrays.copyOfRange(x, first * length, (first + count) * length),
                Arrays.copyOfRange(golden.ints("label"), first, first + count));
    }

    /** The network's parameter for each array of the case: both list them layer by layer. */
    private static Map<String, String> parameterNames(GoldenCase golden, Model network) {
        List<String> arrays = golden.arrays().names().stream()
                .filter(name -> name.startsWith(INITIAL))
                .map(name -> name.substring(INITIAL.length()))
                .toList();
        if (arrays.size() != network.parameters().size()) {
            throw new CaseException("The case has " + arrays.size() + " parameters, but the network " + network.name()
                    + " has " + network.parameters().size());
        }
        Map<String, String> names = new LinkedHashMap<>();
        Iterator<Map.Entry<String, Tensor>> parameters =
                network.parameters().entrySet().iterator();
        for (String array : arrays) {
            Map.Entry<String, Tensor> parameter = parameters.next();
            int[] shape = golden.shape(INITIAL + array);
            if (!Arrays.equals(shape, parameter.getValue().shape())) {
                throw new CaseException("The parameter " + array + " has the shape " + Arrays.toString(shape)
                        + ", but the network's " + parameter.getKey() + " has "
                        + Arrays.toString(parameter.getValue().shape()));
            }
            names.put(array, parameter.getKey());
        }
        return names;
    }
}
