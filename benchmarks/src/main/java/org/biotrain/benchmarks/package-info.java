/** JMH benchmarks; {@code docs/benchmarks.md} says how to run them. */
package org.biotrain.benchmarks;
