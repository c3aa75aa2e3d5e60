package org.biotrain.cli.plan;

import static org.biotrain.cli.plan.Xml.count;
import static org.biotrain.cli.plan.Xml.escape;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Locale;
import java.util.stream.Collectors;
import org.biotrain.Plan;
import org.biotrain.Plan.Decision;
import org.biotrain.Plan.Level;
import org.biotrain.Plan.PlannedInstruction;
import org.biotrain.Plan.PlannedTensor;
import org.biotrain.Plan.Policy;
import org.biotrain.Plan.Sequence;

/** A plan as one HTML file that needs nothing else: figures, the comparison, the picture, all tables. */
public final class Page {
    private static final String STYLE = """
            body { font: 15px/1.45 'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif; color: #22303c;
                   max-width: 1200px; margin: 24px auto; padding: 0 16px; background: #ffffff; }
            h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 8px; }
            .muted { color: #5d6b78; } .warning { background: #fdecea; padding: 10px 14px; border-radius: 6px; }
            .cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0; }
            .card { background: #f3f5f7; border-radius: 8px; padding: 10px 16px; min-width: 140px; }
            .card b { display: block; font-size: 20px; } .card span { font-size: 12px; color: #5d6b78; }
            .bar { height: 22px; border-radius: 3px; } .bars { display: grid; gap: 6px 12px; align-items: center;
                   grid-template-columns: 110px 1fr; } .bars div.value { white-space: nowrap; }
            .line { display: flex; align-items: center; gap: 8px; }
            svg { width: 100%; height: auto; border: 1px solid #e4e9ee; border-radius: 6px; }
            table { border-collapse: collapse; font-size: 13px; width: 100%; }
            th { text-align: left; border-bottom: 2px solid #d5dce3; } td, th { padding: 3px 10px 3px 0; }
            td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
            tr:nth-child(even) td { background: #f8f9fb; } summary { cursor: pointer; font-weight: bold; }
            .swatch { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; }
            """;

    private final StringBuilder out = new StringBuilder();

    private Page() {}

    /** The page of a plan beside the conventional one. */
    public static String of(Plan plan, Plan conventional, String title) {
        return new Page().write(plan, conventional, title);
    }

    private String write(Plan plan, Plan conventional, String title) {
        out.append("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>")
                .append(escape(title))
                .append("</title>\n<style>\n")
                .append(STYLE)
                .append("</style></head><body>\n<h1>")
                .append(escape(title))
                .append("</h1>\n");
        if (!plan.advice().isEmpty()) {
            out.append("<p class=\"warning\">").append(escape(plan.advice())).append("</p>\n");
        }
        cards(plan);
        if (plan.policy() != Policy.CONVENTIONAL) {
            comparison(plan, conventional);
        }
        out.append("<h2>Addresses over time</h2>\n<p class=\"muted\">One micro-batch. Each rectangle is a tensor; rest"
                + " the pointer on one to see what it is. The dotted line is the most that is alive at once.</p>\n");
        out.append(Picture.of(plan, title));
        if (plan.policy() != Policy.CONVENTIONAL) {
            out.append("<h2>The same training, conventionally</h2>\n<p class=\"muted\">The whole batch at once with"
                    + " BatchNorm; every activation and every gradient stays until the step ends.</p>\n");
            out.append(Picture.of(conventional, title + ", conventional"));
        }
        decisions(plan);
        tensors(plan);
        instructions(plan);
        return out.append("</body></html>\n").toString();
    }

    private void cards(Plan plan) {
        out.append("<div class=\"cards\">\n");
        for (Level level : plan.levels()) {
            if (level.peakBytes() > 0) {
                card(count(level.peakBytes()) + " B", level.name() + ", of " + count(level.capacityBytes()));
            }
        }
        card(count(plan.persistentBytes()) + " B", "weights, gradients, optimizer state");
        card(count(plan.parameters()), "parameters");
        card(count(plan.plannedMacs()), "multiply-adds per sample");
        card(
                count(plan.instructions(Sequence.TRAIN).stream()
                        .mapToLong(PlannedInstruction::cycles)
                        .sum()),
                "cycles per micro-batch, estimated");
        out.append("</div>\n");
    }

    private void card(String figure, String what) {
        out.append("<div class=\"card\"><b>%s</b><span>%s</span></div>%n".formatted(figure, what));
    }

    private void comparison(Plan plan, Plan conventional) {
        long ours = plan.levels().get(1).peakBytes();
        long theirs = conventional.levels().get(1).peakBytes();
        long all = plan.levels().stream().mapToLong(Level::peakBytes).sum();
        out.append("<h2>Against the conventional plan</h2>\n<div class=\"bars\">\n");
        bar("conventional", theirs, theirs, "#b9b4b0");
        bar("this plan, L2", ours, theirs, "#4c78a8");
        bar("all memories", all, theirs, "#8fb0d3");
        out.append("</div>\n");
    }

    private void bar(String name, long bytes, long longest, String color) {
        out.append(
                "<div>%s</div><div class=\"line\"><div class=\"bar\" style=\"width:%s%%;background:%s\"></div><div class=\"value\">%s B%s</div></div>%n"
                        .formatted(
                                name,
                                Xml.number(Math.max(0.3, 75.0 * bytes / longest)),
                                color,
                                count(bytes),
                                bytes == longest || bytes == 0
                                        ? ""
                                        : String.format(Locale.ROOT, ", %.1f times less", (double) longest / bytes)));
    }

    private void decisions(Plan plan) {
        if (plan.decisions().isEmpty()) {
            return;
        }
        out.append("<h2>Decisions</h2>\n<table><tr><th>pass</th><th>what</th><th class=\"n\">saves, bytes</th>"
                + "<th class=\"n\">multiply-adds</th></tr>\n");
        for (Decision decision : plan.decisions()) {
            row(decision.pass(), decision.text(), decision.savedBytes(), decision.macs());
        }
        out.append("</table>\n");
    }

    private void tensors(Plan plan) {
        out.append("<h2>Tables</h2>\n<details><summary>%d tensors</summary>%n"
                .formatted(plan.tensors().size()));
        out.append("<table><tr><th>tensor</th><th>kind</th><th>shape</th><th>memory</th><th class=\"n\">bytes</th>"
                + "<th class=\"n\">address</th><th class=\"n\">from</th><th class=\"n\">to</th></tr>\n");
        plan.tensors().stream()
                .sorted(Comparator.comparingLong(PlannedTensor::bytes).reversed())
                .forEach(tensor -> {
                    Plan.Span span = tensor.persistent() ? null : tensor.spans().get(Sequence.TRAIN);
                    row(
                            Picture.label(tensor),
                            tensor.kind(),
                            tensor.shape().stream().map(String::valueOf).collect(Collectors.joining("×")),
                            "L" + tensor.level(),
                            tensor.bytes(),
                            tensor.offset(),
                            span == null ? "" : span.first(),
                            span == null ? "" : span.last());
                });
        out.append("</table></details>\n");
    }

    private void instructions(Plan plan) {
        for (Sequence sequence : Sequence.values()) {
            out.append("<details><summary>%d instructions: %s</summary>%n"
                    .formatted(
                            plan.instructions(sequence).size(), sequence.name().toLowerCase(Locale.ROOT)));
            out.append("<table><tr><th class=\"n\">number</th><th>instruction</th><th>layer</th>"
                    + "<th class=\"n\">multiply-adds</th><th class=\"n\">cycles</th><th class=\"n\">L1 bytes</th>"
                    + "<th class=\"n\">L2 bytes</th><th class=\"n\">L3 bytes</th></tr>\n");
            int number = 0;
            for (PlannedInstruction instruction : plan.instructions(sequence)) {
                row(
                        (long) number++,
                        instruction.name(),
                        instruction.layer(),
                        instruction.macs(),
                        instruction.cycles(),
                        instruction.trafficBytes().get(0),
                        instruction.trafficBytes().get(1),
                        instruction.trafficBytes().get(2));
            }
            out.append("</table></details>\n");
        }
    }

    /** Numbers are aligned to the right; a kind gets its colour. */
    private void row(Object... cells) {
        out.append("<tr>");
        Arrays.stream(cells)
                .map(cell -> switch (cell) {
                    case Number number -> "<td class=\"n\">" + count(number.longValue()) + "</td>";
                    case Plan.Kind kind ->
                        "<td><span class=\"swatch\" style=\"background:" + Picture.color(kind) + "\"></span>"
                                + Picture.text(kind) + "</td>";
                    default -> "<td>" + escape(String.valueOf(cell)) + "</td>";
                })
                .forEach(out::append);
        out.append("</tr>\n");
    }
}
