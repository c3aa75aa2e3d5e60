/** Generated bindings of libbiotrain's C ABI, and the library's loader. Internal to the module org.biotrain. */
module org.biotrain.ffi {
    exports org.biotrain.ffi to
            org.biotrain;
}
