package org.biotrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.biotrain.ModelSummary.LayerSummary;
import org.junit.jupiter.api.Test;

class ModelTest {
    private static Model.Builder linear() {
        Model.Builder model = Model.builder("small", "x", 3);
        model.parameter("w", Tensor.of(new int[] {2, 3}, 1, 2, 3, 4, 5, 6));
        model.layer(Op.LINEAR, "fc", Attributes.defaults(), "x", "w");
        return model;
    }

    @Test
    void layersParametersAndCosts() {
        Model model = linear().build("fc");

        assertThat(model.inputShape()).containsExactly(3);
        assertThat(model.outputName()).isEqualTo("fc");
        assertThat(model.summary())
                .isEqualTo(new ModelSummary(List.of(new LayerSummary(Op.LINEAR, "fc", List.of(1, 2), 6, 6)), 6, 6));
    }

    @Test
    void otherParametersOfTheSameShape() {
        Model model = linear().build("fc");
        Tensor zeros = Tensor.filled(0, 2, 3);

        assertThat(model.withParameters(Map.of("w", zeros)).parameters()).containsExactly(Map.entry("w", zeros));
        assertThatThrownBy(() -> model.withParameters(Map.of("w", Tensor.filled(0, 3, 2))))
                .isInstanceOf(ModelException.class)
                .hasMessage("The parameter w of the network small has the shape [2, 3], but the new value has [3, 2]");
        assertThatThrownBy(() -> model.withParameters(Map.of("v", zeros)))
                .hasMessage("The network small has no parameter v; it has w");
    }

    @Test
    void withoutDropoutTheLayersBehindItReadWhatIsBeforeIt() {
        Model.Builder builder = linear();
        String dropped = builder.layer(Op.DROPOUT, "drop", Attributes.defaults(), "fc");
        String again = builder.layer(Op.DROPOUT, "drop2", Attributes.defaults(), dropped);
        builder.layer(Op.RELU, "relu", Attributes.defaults(), again);
        String last = builder.layer(Op.DROPOUT, "last", Attributes.defaults(), "relu");
        Model model = builder.build(last).withoutDropout();

        assertThat(model.layers()).extracting(Layer::op).containsExactly(Op.LINEAR, Op.RELU);
        assertThat(model.layers().getLast().inputs()).containsExactly("fc");
        assertThat(model.outputName()).isEqualTo("relu");
    }

    @Test
    void networksThatDoNotHoldTogetherAreRefused() {
        assertThatThrownBy(() -> linear().layer(Op.RELU, "r", Attributes.defaults(), "y"))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining("The layer r reads \"y\"");
        assertThatThrownBy(() -> linear().layer(Op.LINEAR, "f", Attributes.defaults(), "x", ""))
                .hasMessageContaining("The layer f reads \"\"");
        assertThatThrownBy(() -> linear().layer(Op.ADD, "a", Attributes.defaults(), "x"))
                .hasMessage("The layer a has 1 inputs, but ADD takes 2 to 2");
        assertThatThrownBy(() -> linear().layer(Op.RELU, "fc", Attributes.defaults(), "x"))
                .hasMessageStartingWith("The name fc is used twice");
        assertThatThrownBy(() -> linear().build("y")).hasMessageContaining("computes its output \"y\"");
        assertThatThrownBy(() -> Model.builder("m", "x", 1, 2, 3, 4, 5)).hasMessageContaining("has 5 dimensions");
        assertThatThrownBy(() -> Model.builder("m", "x", 0)).hasMessageContaining("has the shape [0]");
    }

    @Test
    void shapesThatDoNotFitAreFoundByTheNativeLibrary() {
        Model.Builder builder = Model.builder("m", "x", 4).parameter("w", Tensor.filled(1, 2, 3));
        Model model = builder.build(builder.layer(Op.LINEAR, "fc", Attributes.defaults(), "x", "w"));

        assertThatThrownBy(model::summary).isInstanceOf(ModelException.class).hasMessageContaining("fc");
    }

    @Test
    void tensorsAreCopiedAndComparedByTheirBits() {
        int[] shape = {2};
        float[] data = {1, Float.NaN};
        Tensor tensor = Tensor.of(shape, data);
        shape[0] = 1;
        data[0] = 5;
        tensor.data()[0] = 5;

        assertThat(tensor).isEqualTo(Tensor.of(new int[] {2}, 1, Float.NaN)).hasToString("Tensor[2]");
        assertThat(Tensor.of(new int[] {1}, 0f)).isNotEqualTo(Tensor.of(new int[] {1}, -0f));
        assertThatThrownBy(() -> Tensor.of(new int[] {2, 2}, 1, 2, 3))
                .hasMessage("A tensor of shape [2, 2] has 4 elements, but 3 were given");
        assertThatThrownBy(() -> Tensor.of(new int[] {0})).hasMessageContaining("has an extent below 1");
    }

    @Test
    void eachAttributeChangesAlone() {
        Attributes attributes = Attributes.defaults().withStrides(2, 3).withEpsilon(0.5f);

        assertThat(attributes.strides()).containsExactly(2, 3);
        assertThat(attributes.withStrides(1, 1).withEpsilon(1e-5f)).isEqualTo(Attributes.defaults());
    }
}
