package org.biotrain;

/**
 * What one kind of program instruction cost.
 *
 * @param name for example {@code conv.forward}
 * @param instructions machine instructions of all cores
 * @param criticalInstructions machine instructions of the slowest core between two barriers, added up; cycles with
 *     {@code gvsoc:}
 */
public record ProfileEntry(String name, long instructions, long criticalInstructions) {}
