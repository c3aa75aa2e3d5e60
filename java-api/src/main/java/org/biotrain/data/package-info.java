/**
 * Recordings in, training data out: readers for EDF, BDF, CSV and NPZ files, causal preprocessing, windows, and
 * seeded splits.
 *
 * <p>The path is {@link org.biotrain.data.Recordings#read} → {@link org.biotrain.data.Preprocessing} →
 * {@link org.biotrain.data.Windows} → {@link org.biotrain.data.Dataset} → {@link org.biotrain.data.Splits} →
 * {@link org.biotrain.data.Standardizer}. Everything on it is immutable and may be shared between threads, except
 * {@link org.biotrain.data.StreamingFilter} and {@link org.biotrain.data.Resampler}, which hold the state of one
 * signal.
 *
 * <p>Files are not trusted: sizes that a header claims are checked against the file and the heap before anything is
 * allocated, and whatever is wrong with a file or with the data in it ends in one
 * {@link org.biotrain.data.DataException}. A mistake of the calling program (a negative length, say) is an
 * {@link IllegalArgumentException}.
 */
@NullMarked
package org.biotrain.data;

import org.jspecify.annotations.NullMarked;
