package org.biotrain.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class CalibrateCommandTest {
    private static final long POLL_MILLISECONDS = 5;

    @TempDir
    private Path folder;

    @BeforeEach
    void record() throws IOException {
        GeneratedRecording.write(folder, 1);
    }

    @Test
    void makesANetworkThatIsBetterAndARunDirectory() throws IOException {
        Run run = calibrate("run", "--epochs", "3", "--json");

        assertThat(run.code()).isZero();
        JsonNode result = run.json();
        assertThat(result.path("outcome").asText()).isEqualTo("completed");
        assertThat(balanced(result.path("after"))).isGreaterThan(balanced(result.path("before")) + 0.1);
        assertThat(folder.resolve("run"))
                .isDirectoryContaining("glob:**calibrated.onnx")
                .isDirectoryContaining("glob:**scaling.json")
                .isDirectoryContaining("glob:**config.json")
                .isDirectoryContaining("glob:**environment.json")
                .isDirectoryContaining("glob:**evaluations.json")
                .isDirectoryContaining("glob:**native.log");
        assertThat(Files.readAllLines(folder.resolve("run/steps.csv")))
                .hasSize(1 + result.path("steps").asInt());
        assertThat(folder.resolve("run/checkpoints/last.safetensors")).exists();
    }

    @Test
    void evaluateGivesWhatCalibrateGave() {
        JsonNode after = calibrate("run", "--epochs", "2", "--json").json().path("after");

        JsonNode again = Run.of("evaluate", "--run", folder.resolve("run").toString(), "--json")
                .json()
                .path("evaluations")
                .path(0)
                .path("evaluation");

        assertThat(again).isEqualTo(after);
    }

    @Test
    void evaluateTakesOtherRecordingsAndWeights() {
        calibrate("run", "--epochs", "2");

        Run run = Run.of(
                "evaluate",
                "--run",
                folder.resolve("run").toString(),
                "--data",
                folder.resolve("subject1.csv").toString(),
                "--weights",
                folder.resolve("run/checkpoints/last.safetensors").toString());

        assertThat(run.code()).isZero();
        assertThat(run.out()).contains("balanced accuracy", "actual");
    }

    @Test
    void theSameSeedGivesTheSameRun() {
        String first =
                calibrate("a", "--epochs", "2", "--json").json().path("sha256").asText();
        String second =
                calibrate("b", "--epochs", "2", "--json").json().path("sha256").asText();
        String other = calibrate("c", "--epochs", "2", "--seed", "9", "--json")
                .json()
                .path("sha256")
                .asText();

        assertThat(second).isEqualTo(first);
        assertThat(other).isNotEqualTo(first);
    }

    @Test
    void passesThatKeepEveryBitGiveTheSameRunAlsoResumed() throws IOException {
        String[] lastLayer = {"--epochs", "2", "--scheme", "last-layer", "--json"};
        String plain = calibrate("plain", lastLayer).json().path("sha256").asText();
        String[] passes = {"--pass", "cache-features", "--no-pass", "dead-gradients"};

        Run cached = calibrate(
                "cached", Stream.of(lastLayer, passes).flatMap(Arrays::stream).toArray(String[]::new));
        Files.delete(folder.resolve("cached/calibrated.onnx"));
        Run resumed = Run.of("calibrate", "--resume", folder.resolve("cached").toString(), "--json");

        assertThat(cached.json().path("sha256").asText()).isEqualTo(plain);
        assertThat(resumed.json().path("sha256").asText()).isEqualTo(plain);
    }

    @Test
    void passesThatMakeNoSenseAreUsageErrors() {
        assertThat(calibrate("a", "--pass", "cache").err()).contains("no pass cache; the passes are");
        assertThat(calibrate("b", "--pass", "cache-features", "--no-pass", "cache-features")
                        .err())
                .contains("switched both on and off");
        Run batchStatistics = calibrate("c", "--no-pass", "freeze-batch-norm");
        assertThat(batchStatistics.code()).isEqualTo(2);
        assertThat(batchStatistics.err()).contains("batch-norm-to-group-norm");
        Run groups = calibrate("d", "--groups", "2");
        assertThat(groups.code()).isEqualTo(2);
        assertThat(groups.err()).contains("only the pass batch-norm-to-group-norm makes groups");
        Run nothing = calibrate("e", "--pass", "cache-features");
        assertThat(nothing.code()).isEqualTo(1);
        assertThat(nothing.err()).contains("finds nothing to cache");
    }

    @Test
    void aDirectoryThatIsNotEmptyIsOnlyReplacedOnRequest() {
        calibrate("run", "--epochs", "1");

        Run refused = calibrate("run", "--epochs", "1");
        Run replaced = calibrate("run", "--epochs", "1", "--overwrite");

        assertThat(refused.code()).isEqualTo(1);
        assertThat(refused.err()).contains("not empty");
        assertThat(replaced.code()).isZero();
    }

    @Test
    void overwriteLeavesForeignFilesAlone() throws IOException {
        Path diary =
                Files.writeString(Files.createDirectory(folder.resolve("run")).resolve("diary.txt"), "mine");

        assertThat(calibrate("run", "--epochs", "1", "--overwrite").code()).isEqualTo(1);
        assertThat(diary).exists();
    }

    @Test
    void aCompleteRunIsNotResumed() {
        calibrate("run", "--epochs", "1");

        Run run = Run.of("calibrate", "--resume", folder.resolve("run").toString());

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("is complete");
    }

    @Test
    void aRunThatWasKilledAfterItsLastStepIsCompleted() throws IOException {
        String whole = calibrate("run", "--epochs", "2", "--json")
                .json()
                .path("sha256")
                .asText();
        Files.delete(folder.resolve("run/calibrated.onnx"));

        Run resumed = Run.of("calibrate", "--resume", folder.resolve("run").toString(), "--json");

        assertThat(resumed.code()).isZero();
        assertThat(resumed.json().path("sha256").asText()).isEqualTo(whole);
        assertThat(folder.resolve("run/calibrated.onnx")).exists();
    }

    @Test
    @Timeout(120)
    void aRunThatWasKilledGoesOnBitByBit() throws Exception {
        String whole = calibrate("whole", "--epochs", "60", "--json")
                .json()
                .path("sha256")
                .asText();
        Process child = startChild(arguments("killed", "--epochs", "60"));
        Path checkpoint = folder.resolve("killed/checkpoints/last.safetensors");
        while (!Files.exists(checkpoint) && child.isAlive()) {
            TimeUnit.MILLISECONDS.sleep(POLL_MILLISECONDS);
        }
        child.destroyForcibly().waitFor();
        assertThat(folder.resolve("killed/calibrated.onnx")).doesNotExist();

        Run resumed = Run.of("calibrate", "--resume", folder.resolve("killed").toString(), "--json");

        assertThat(resumed.code()).isZero();
        assertThat(resumed.json().path("sha256").asText()).isEqualTo(whole);
        assertThat(Files.readAllLines(folder.resolve("killed/steps.csv")))
                .hasSameSizeAs(Files.readAllLines(folder.resolve("whole/steps.csv")));
    }

    private static Process startChild(String... arguments) throws IOException {
        String classPath = Stream.of("jdk.module.path", "java.class.path", "surefire.test.class.path")
                .map(System::getProperty)
                .filter(path -> path != null && !path.isEmpty())
                .collect(Collectors.joining(File.pathSeparator, "target/classes" + File.pathSeparator, ""));
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                classPath));
        String library = System.getProperty("biotrain.library.path");
        if (library != null) {
            command.add("-Dbiotrain.library.path=" + library);
        }
        command.add(Main.class.getName());
        command.addAll(Arrays.asList(arguments));
        return new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
    }

    @Test
    void aFullDiskLeavesNoNetworkBehind() {
        Run run = Run.of(arguments(Path.of("/dev/full/run"), "--epochs", "1"));

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err().strip().lines()).hasSize(1);
        assertThat(run.err()).contains("/dev/full/run");
    }

    @Test
    void aMissingRecordingIsNamed() {
        Run run = Run.of(
                "calibrate",
                "--model",
                folder.resolve("network.onnx").toString(),
                "--data",
                folder.resolve("nobody.csv").toString(),
                "--window",
                "0.25",
                "--labels",
                "1=left,2=right",
                "--out",
                folder.resolve("run").toString());

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("nobody.csv");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    @Test
    void aWindowThatDoesNotFitTheNetworkIsRefused() {
        Run run = calibrate("run", "--channels", "left");

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("2 channels × 25 samples", "1 × 25");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    @Test
    void aLabelWithoutClassIsRefused() throws IOException {
        Path file = folder.resolve("subject1.csv");
        Files.writeString(file, Files.readString(file).replaceFirst(",1\n", ",7\n"));

        Run run = calibrate("run");

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("label 7");
    }

    @Test
    void aSampleThatIsNoNumberIsRefused() throws IOException {
        Path file = folder.resolve("subject1.csv");
        Files.writeString(file, Files.readString(file).replaceFirst("\n1\\.00,[^,]*,", "\n1.00,NaN,"));

        Run run = calibrate("run");

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("NaN", "left");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    @Test
    void aTruncatedEdfFileIsRefused() throws IOException {
        Path edf = Files.writeString(folder.resolve("short.edf"), "0       " + "patient".repeat(20));

        Run run = Run.of(
                "calibrate",
                "--model",
                folder.resolve("network.onnx").toString(),
                "--data",
                edf.toString(),
                "--window",
                "0.25",
                "--labels",
                "T1=left",
                "--out",
                folder.resolve("run").toString());

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("short.edf").hasLineCount(1);
    }

    @Test
    void aDamagedCheckpointIsRefused() throws IOException {
        calibrate("run", "--epochs", "1");
        Path checkpoint = folder.resolve("run/checkpoints/last.safetensors");
        byte[] bytes = Files.readAllBytes(checkpoint);
        bytes[bytes.length - 3] ^= 0x40;
        Files.write(checkpoint, bytes);
        Files.delete(folder.resolve("run/calibrated.onnx"));

        Run run = Run.of("calibrate", "--resume", folder.resolve("run").toString());

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("damaged").hasLineCount(1);
    }

    @Test
    void aValueThatIsNotAllowedIsWrongUsage() {
        assertThat(calibrate("run", "--epochs", "0").code()).isEqualTo(2);
        assertThat(calibrate("run", "--optimizer", "magic").err()).contains("sgd, sgd-momentum, adam, adamw");
        assertThat(calibrate("run", "--lr", "-1").code()).isEqualTo(2);
        assertThat(folder.resolve("run")).doesNotExist();
    }

    @Test
    void aParameterThatTheNetworkHasNotIsRefused() {
        Run run = calibrate("run", "--scheme", "no.such.weight");

        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("no.such.weight");
    }

    private static double balanced(JsonNode evaluation) {
        return evaluation.path("balanced_accuracy").asDouble();
    }

    private Run calibrate(String directory, String... more) {
        return Run.of(arguments(directory, more));
    }

    private String[] arguments(String directory, String... more) {
        return arguments(folder.resolve(directory), more);
    }

    private String[] arguments(Path directory, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "calibrate",
                "--model",
                folder.resolve("network.onnx").toString(),
                "--data",
                folder.resolve("subject1.csv").toString(),
                "--cut",
                "sliding",
                "--window",
                "0.25",
                "--labels",
                "1=left,2=right",
                "--out",
                directory.toString()));
        arguments.addAll(Arrays.asList(more));
        return arguments.toArray(String[]::new);
    }
}
