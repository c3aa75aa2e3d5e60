package org.biotrain.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.PaddingLayout;
import java.lang.reflect.Method;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Sizes and offsets in the generated code equal those that the compiler of the library gave. */
class LayoutTest {
    @Test
    void everyStructAndMemberLiesWhereTheLibraryHasIt() throws Exception {
        assertThat(generated()).isEqualTo(library());
    }

    /** "struct" or "struct.member" to "offset+size", as the library's own table says. */
    private static Map<String, String> library() {
        NativeLibrary.load();
        Map<String, String> table = new TreeMap<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment entries = arena.allocate(biotrain_h.C_POINTER);
            MemorySegment count = arena.allocate(biotrain_h.C_INT);
            assertThat(biotrain_h.bt_abi_table(entries, count)).isEqualTo(biotrain_h.BT_OK());
            int rows = count.get(biotrain_h.C_INT, 0);
            MemorySegment first = entries.get(biotrain_h.C_POINTER, 0).reinterpret(rows * bt_abi_entry.sizeof());
            for (int row = 0; row < rows; row++) {
                MemorySegment entry = bt_abi_entry.asSlice(first, row);
                String member = bt_abi_entry.member(entry).getString(0);
                table.put(
                        bt_abi_entry.type(entry).getString(0) + (member.isEmpty() ? "" : "." + member),
                        bt_abi_entry.offset(entry) + "+" + bt_abi_entry.size(entry));
            }
        }
        return table;
    }

    private static Map<String, String> generated() throws IOException, ReflectiveOperationException {
        Map<String, String> table = new TreeMap<>();
        try (DirectoryStream<Path> files =
                Files.newDirectoryStream(Path.of("src/main/java/org/biotrain/ffi"), "bt_*.java")) {
            for (Path file : files) {
                String name = file.getFileName().toString().replace(".java", "");
                Class<?> type = Class.forName("org.biotrain.ffi." + name);
                if (isStruct(type)) {
                    GroupLayout layout = (GroupLayout) type.getMethod("layout").invoke(null);
                    table.put(name, "0+" + layout.byteSize());
                    for (MemoryLayout member : layout.memberLayouts()) {
                        if (!(member instanceof PaddingLayout)) {
                            String path = member.name().orElseThrow();
                            table.put(
                                    name + "." + path,
                                    layout.byteOffset(PathElement.groupElement(path)) + "+" + member.byteSize());
                        }
                    }
                }
            }
        }
        return table;
    }

    private static boolean isStruct(Class<?> type) {
        for (Method method : type.getMethods()) {
            if (method.getName().equals("layout")) {
                return true;
            }
        }
        return false;
    }
}
