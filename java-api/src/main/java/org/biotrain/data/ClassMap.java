package org.biotrain.data;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Which label of a recording means which class. A label is an annotation's text or a sample's number as text.
 *
 * <p>A label that is neither mapped nor ignored is an error, so that a wrong file or a typing mistake is noticed.
 *
 * @param classes class index by label
 * @param names name of each class
 * @param ignored labels without a class, such as rest or unknown
 * @param ignoresOthers whether all labels that are not mapped have no class
 */
public record ClassMap(Map<String, Integer> classes, List<String> names, Set<String> ignored, boolean ignoresOthers) {

    /** Copies the collections and checks the class indices. */
    public ClassMap {
        classes = Map.copyOf(classes);
        names = List.copyOf(names);
        ignored = Set.copyOf(ignored);
        for (Map.Entry<String, Integer> entry : classes.entrySet()) {
            if (entry.getValue() < 0 || entry.getValue() >= names.size()) {
                throw new DataException("Label " + entry.getKey() + " is mapped to class " + entry.getValue()
                        + ", but the classes " + names + " are numbered 0 to " + (names.size() - 1)
                        + "; correct the label map");
            }
            if (ignored.contains(entry.getKey())) {
                throw new DataException("Label " + entry.getKey() + " is mapped to class " + names.get(entry.getValue())
                        + " and ignored; do one of both");
            }
        }
        if (classes.isEmpty()) {
            throw new DataException("The label map is empty; map at least one label to a class");
        }
    }

    /**
     * Maps labels to classes by name. Classes are numbered in the order in which their names first occur; several
     * labels may mean the same class.
     *
     * @param nameByLabel in a map that keeps its order, for example {@code {"T1": "left", "T2": "right"}}
     */
    public static ClassMap of(Map<String, String> nameByLabel) {
        List<String> names = new ArrayList<>();
        Map<String, Integer> classes = new LinkedHashMap<>();
        nameByLabel.forEach((label, name) -> {
            if (!names.contains(name)) {
                names.add(name);
            }
            classes.put(label, names.indexOf(name));
        });
        return new ClassMap(classes, names, Set.of(), false);
    }

    /** One class per label, named as the label. */
    public static ClassMap ofLabels(String... labels) {
        Map<String, String> nameByLabel = new LinkedHashMap<>();
        for (String label : labels) {
            nameByLabel.put(label, label);
        }
        return of(nameByLabel);
    }

    /** This map, with these labels ignored too. */
    public ClassMap ignoring(String... labels) {
        Set<String> more = new HashSet<>(ignored);
        more.addAll(List.of(labels));
        return new ClassMap(classes, names, more, ignoresOthers);
    }

    /** This map, with all labels ignored that are not mapped. */
    public ClassMap ignoringOthers() {
        return new ClassMap(classes, names, ignored, true);
    }

    /** The class of a label of a recording, or none if it is ignored; throws if it is neither. */
    OptionalInt classOf(String label, Recording recording) {
        Integer index = classes.get(label);
        if (index != null) {
            return OptionalInt.of(index);
        }
        if (ignoresOthers || ignored.contains(label)) {
            return OptionalInt.empty();
        }
        throw new DataException(recording.name() + " has the label " + label + ", which is neither one of the classes "
                + names + " nor ignored; map it or ignore it");
    }
}
