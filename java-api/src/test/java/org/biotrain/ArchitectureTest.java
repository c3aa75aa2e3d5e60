package org.biotrain;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class ArchitectureTest {
    private static final JavaClasses CLASSES = new ClassFileImporter().importPath(Path.of("target/classes"));

    @Test
    void onlyTheAdapterUsesTheBindings() {
        noClasses()
                .that()
                .resideOutsideOfPackage("org.biotrain.internal..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.biotrain.ffi..", "java.lang.foreign..")
                .check(CLASSES);
    }

    @Test
    void dataKnowsNothingOfDevices() {
        noClasses()
                .that()
                .resideInAPackage("org.biotrain.data..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.biotrain.internal..", "org.biotrain.onnx..", "org.biotrain.ffi..")
                .check(CLASSES);
    }

    @Test
    void thereIsNoStaticMutableState() {
        fields().that()
                .areStatic()
                .and(DescribedPredicate.describe("are written by hand", ArchitectureTest::written))
                .should()
                .beFinal()
                .check(CLASSES);
    }

    private static boolean written(JavaField field) {
        return !field.getModifiers().contains(JavaModifier.SYNTHETIC);
    }
}
