package org.biotrain.onnx;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.biotrain.Model;
import org.biotrain.Op;

/** What tests say about networks. */
final class ModelAssertions {
    private ModelAssertions() {}

    static void assertSame(Model actual, Model expected) {
        assertThat(actual.name()).isEqualTo(expected.name());
        assertThat(actual.inputName()).isEqualTo(expected.inputName());
        assertThat(actual.inputShape()).isEqualTo(expected.inputShape());
        assertThat(actual.outputName()).isEqualTo(expected.outputName());
        assertThat(actual.layers()).isEqualTo(expected.layers());
        assertThat(actual.parameters()).isEqualTo(expected.parameters());
    }

    static List<Op> ops(Model model) {
        return model.layers().stream().map(layer -> layer.op()).toList();
    }
}
