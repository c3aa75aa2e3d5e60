/** The biotrain command. */
module org.biotrain.cli {
    requires ch.qos.logback.classic;
    requires com.fasterxml.jackson.databind;
    requires com.fasterxml.jackson.dataformat.yaml;
    requires info.picocli;
    requires org.biotrain;
    requires static org.jspecify;
    requires org.slf4j;

    opens org.biotrain.cli to
            com.fasterxml.jackson.databind,
            info.picocli;
    opens org.biotrain.cli.task to
            com.fasterxml.jackson.databind;
    opens org.biotrain.cli.verify to
            com.fasterxml.jackson.databind;
}
