package org.biotrain.cli.plan;

import static org.biotrain.cli.plan.Xml.count;
import static org.biotrain.cli.plan.Xml.escape;
import static org.biotrain.cli.plan.Xml.number;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.biotrain.Plan;
import org.biotrain.Plan.Kind;
import org.biotrain.Plan.Level;
import org.biotrain.Plan.PlannedInstruction;
import org.biotrain.Plan.PlannedTensor;
import org.biotrain.Plan.Sequence;
import org.biotrain.Plan.Span;
import org.jspecify.annotations.Nullable;

/**
 * A plan as an SVG: addresses upwards, the instructions of one micro-batch to the right, a band per memory, a rectangle
 * per tensor. All bands have the same scale unless one of them would be too thin to see.
 */
public final class Picture {
    private static final int WIDTH = 1200;
    private static final int LEFT = 118;
    private static final int RIGHT = 18;
    private static final int TOP = 78;
    private static final int BANDS_HEIGHT = 520;
    private static final int LEAST_BAND = 70;
    private static final int GAP = 26;
    private static final int STRIP = 62;
    private static final int BOTTOM = 44;
    private static final double TEXT_WIDTH = 6.2;
    private static final String INK = "#22303c";
    private static final String MUTED = "#5d6b78";

    private final Plan plan;
    private final String title;
    private final int instructions;
    private final StringBuilder out = new StringBuilder();

    private Picture(Plan plan, String title) {
        this.plan = plan;
        this.title = title;
        this.instructions = plan.instructions(Sequence.TRAIN).size();
    }

    /** The SVG document, which refers to nothing outside. */
    public static String of(Plan plan, String title) {
        return new Picture(plan, title).draw();
    }

    static String color(Kind kind) {
        return switch (kind) {
            case WEIGHT -> "#4c78a8";
            case GRADIENT -> "#9ecae9";
            case OPTIMIZER -> "#b6a6d8";
            case INPUT -> "#f2cf5b";
            case ACTIVATION -> "#8bc98a";
            case STASH -> "#f2994a";
            case ERROR -> "#e8737c";
            case SCRATCH -> "#b9b4b0";
            case TILE -> "#63b8b1";
        };
    }

    static String text(Kind kind) {
        return switch (kind) {
            case WEIGHT -> "weights";
            case GRADIENT -> "their gradients";
            case OPTIMIZER -> "optimizer state";
            case INPUT -> "input";
            case ACTIVATION -> "activation";
            case STASH -> "activation kept for the backward pass";
            case ERROR -> "gradient of an activation";
            case SCRATCH -> "sums and losses";
            case TILE -> "tile";
        };
    }

    private String draw() {
        List<Level> levels =
                plan.levels().stream().filter(level -> level.peakBytes() > 0).toList();
        List<Integer> heights = heights(levels);
        int bands = heights.stream().mapToInt(Integer::intValue).sum() + GAP * (levels.size() - 1);
        int height = TOP + bands + STRIP + BOTTOM;
        out.append("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\""
                .formatted(WIDTH, height, WIDTH, height));
        out.append(" font-family=\"'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif\" font-size=\"11\" fill=\"")
                .append(INK)
                .append("\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
        words(16, 26, "font-size=\"17\" font-weight=\"bold\"", title);
        legend();
        int top = TOP;
        // The farthest memory on top, the cores below.
        for (int i = levels.size(); i-- > 0; ) {
            band(levels.get(i), top, heights.get(i));
            top += heights.get(i) + GAP;
        }
        layers(top - GAP + 4);
        turn(top - GAP + 4 + STRIP);
        return out.append("</svg>\n").toString();
    }

    private static List<Integer> heights(List<Level> levels) {
        double sum = levels.stream().mapToDouble(Level::peakBytes).sum();
        List<Integer> heights = new ArrayList<>();
        for (Level level : levels) {
            heights.add((int) Math.max(LEAST_BAND, BANDS_HEIGHT * level.peakBytes() / sum));
        }
        return heights;
    }

    private double x(double time) {
        return LEFT + (WIDTH - LEFT - RIGHT) * time / (instructions + 2);
    }

    private void words(double x, double y, String attributes, String text) {
        out.append("<text x=\"%s\" y=\"%s\" %s>%s</text>%n".formatted(number(x), number(y), attributes, escape(text)));
    }

    private void legend() {
        Set<Kind> kinds = plan.tensors().stream()
                .map(PlannedTensor::kind)
                .collect(Collectors.toCollection(() -> EnumSet.noneOf(Kind.class)));
        double x = 16;
        for (Kind kind : kinds) {
            out.append("<rect x=\"%s\" y=\"42\" width=\"12\" height=\"12\" rx=\"2\" fill=\"%s\"/>%n"
                    .formatted(number(x), color(kind)));
            words(x + 17, 52, "", text(kind));
            x += 17 + TEXT_WIDTH * text(kind).length() + 22;
        }
    }

    private void band(Level level, int top, int height) {
        double scale = height / (double) level.peakBytes();
        int number = plan.levels().indexOf(level) + 1;
        out.append("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f3f5f7\"/>%n"
                .formatted(LEFT, top, WIDTH - LEFT - RIGHT, height));
        words(16, top + 14, "font-size=\"14\" font-weight=\"bold\"", level.name());
        words(16, top + 31, "", count(level.peakBytes()) + " B");
        words(16, top + 46, "fill=\"" + MUTED + "\" font-size=\"10\"", "of " + count(level.capacityBytes()));
        if (height >= LEAST_BAND + 10) {
            words(16, top + 61, "fill=\"" + MUTED + "\" font-size=\"10\"", "bound " + count(level.lowerBoundBytes()));
        }
        for (PlannedTensor tensor : plan.tensors()) {
            Span span = span(tensor);
            if (tensor.level() == number && span != null) {
                tensor(tensor, span, top + height, scale);
            }
        }
        double bound = top + height - level.lowerBoundBytes() * scale;
        out.append("<line x1=\"%d\" y1=\"%s\" x2=\"%d\" y2=\"%s\" stroke=\"%s\" stroke-dasharray=\"2 4\"/>%n"
                .formatted(LEFT, number(bound), WIDTH - RIGHT, number(bound), INK));
    }

    /** When it is alive in the training sequence: what is kept for ever always is. */
    private @Nullable Span span(PlannedTensor tensor) {
        return tensor.persistent()
                ? new Span(0, instructions + 1)
                : tensor.spans().get(Sequence.TRAIN);
    }

    private void tensor(PlannedTensor tensor, Span span, double bottom, double scale) {
        double left = x(span.first());
        double width = x(span.last() + 1) - left;
        double height = tensor.bytes() * scale;
        double top = bottom - tensor.offset() * scale - height;
        String edge = height >= 3 && width >= 3 ? " stroke=\"#ffffff\" stroke-width=\"0.7\"" : "";
        out.append("<g><title>%s</title><rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" fill=\"%s\"%s/>"
                .formatted(
                        escape(hover(tensor, span)),
                        number(left),
                        number(top),
                        number(width),
                        number(Math.max(height, 0.4)),
                        color(tensor.kind()),
                        edge));
        String label = label(tensor);
        if (height >= 13 && width - (x(1) - x(0)) >= TEXT_WIDTH * label.length() + 8) {
            String light = tensor.kind() == Kind.WEIGHT ? " fill=\"#ffffff\"" : "";
            out.append("<text x=\"%s\" y=\"%s\"%s>%s</text>"
                    .formatted(number(left + 5), number(top + height / 2 + 4), light, escape(label)));
        }
        out.append("</g>\n");
    }

    /** What a tensor is called: its name, or the layer that makes it. */
    static String label(PlannedTensor tensor) {
        if (!tensor.name().isEmpty() || tensor.layer().isEmpty()) {
            return tensor.name();
        }
        return tensor.kind() == Kind.ERROR ? "∂ " + tensor.layer() : tensor.layer();
    }

    private static String hover(PlannedTensor tensor, Span span) {
        String shape = tensor.shape().stream().map(String::valueOf).collect(Collectors.joining("×"));
        String when = tensor.persistent() ? "kept for ever" : "time " + span.first() + " to " + span.last();
        return "%s · %s · %s · %s B at %s of L%d · %s"
                .formatted(
                        label(tensor),
                        text(tensor.kind()),
                        shape,
                        count(tensor.bytes()),
                        count(tensor.offset()),
                        tensor.level(),
                        when);
    }

    /** A strip that says which layer is at work. */
    private void layers(int top) {
        List<PlannedInstruction> train = plan.instructions(Sequence.TRAIN);
        boolean dark = false;
        int start = 0;
        for (int i = 1; i <= train.size(); i++) {
            if (i == train.size()
                    || !train.get(i).layer().equals(train.get(start).layer())) {
                layer(train.get(start).layer(), start, i, top, dark);
                dark = !dark;
                start = i;
            }
        }
    }

    private void layer(String name, int start, int end, int top, boolean dark) {
        String label = name.isEmpty() ? "loss" : name;
        double left = x(start + 1);
        double width = x(end + 1) - left;
        out.append("<g><title>%s · instructions %d to %d</title>".formatted(escape(label), start, end - 1));
        out.append("<rect x=\"%s\" y=\"%d\" width=\"%s\" height=\"%d\" fill=\"%s\"/>"
                .formatted(number(left), top, number(width), STRIP - 8, dark ? "#d5dce3" : "#e9edf1"));
        double middle = left + width / 2;
        if (width >= 5.8 * label.length() + 4) {
            out.append("<text x=\"%s\" y=\"%d\" font-size=\"10\" text-anchor=\"middle\">%s</text>"
                    .formatted(number(middle), top + STRIP / 2, escape(label)));
        } else if (width >= 9) {
            String cut = label.length() <= 8 ? label : label.substring(0, 7) + "…";
            out.append("<text transform=\"translate(%s %d) rotate(-90)\" font-size=\"10\">%s</text>"
                    .formatted(number(middle + 3.5), top + STRIP - 11, escape(cut)));
        }
        out.append("</g>\n");
    }

    /** Where the forward pass ends. */
    private void turn(int bottom) {
        double at = x(plan.backward() + 1);
        out.append(
                "<line x1=\"%s\" y1=\"%d\" x2=\"%s\" y2=\"%d\" stroke=\"%s\" stroke-width=\"1.2\" stroke-dasharray=\"6 3\"/>%n"
                        .formatted(number(at), TOP - 8, number(at), bottom + 14, INK));
        String middle = "text-anchor=\"middle\" font-size=\"12\"";
        words((LEFT + at) / 2, bottom + 14, middle, "forward");
        words((at + WIDTH - RIGHT) / 2, bottom + 14, middle, "backward");
        words(LEFT, bottom + 14, "fill=\"" + MUTED + "\" font-size=\"10\"", "instruction 0");
        words(
                WIDTH - RIGHT,
                bottom + 14,
                "fill=\"" + MUTED + "\" font-size=\"10\" text-anchor=\"end\"",
                String.valueOf(instructions - 1));
    }
}
