/** The C ABI of libbiotrain as jextract generates it, and the loader of the native library. */
package org.biotrain.ffi;
