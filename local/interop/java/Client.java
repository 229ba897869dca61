import java.io.File;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import javax.xml.transform.stream.StreamResult;
import org.aoju.bus.image.Status;
import org.aoju.bus.image.Tag;
import org.aoju.bus.image.galaxy.data.Attributes;
import org.aoju.bus.image.galaxy.data.VR;
import org.aoju.bus.image.galaxy.io.ImageInputStream;
import org.aoju.bus.image.galaxy.io.ImageInputStream.IncludeBulkData;
import org.aoju.bus.image.galaxy.io.SAXReader;
import org.aoju.bus.image.galaxy.io.SAXTransformer;
import org.aoju.bus.image.galaxy.media.StowrsMultiFiles;
import org.aoju.bus.image.galaxy.media.StowrsSingleFile;
import org.aoju.bus.logger.LogFactory;
import org.aoju.bus.logger.dialect.console.ConsoleLogFactory;

/** The STOW-RS client of Weasis, and dcm4che's writer of the Native DICOM Model (PS3.19 A.1), on the command line. */
public class Client {

    public static void main(String[] args) throws Exception {
        LogFactory.setCurrentLogFactory(ConsoleLogFactory.class); // any other wants a library of its own
        List<String> rest = Arrays.asList(args).subList(1, args.length);
        switch (args[0]) {
            case "store" -> store(rest.get(0), rest.get(1), rest.subList(2, rest.size()));
            case "document" -> document(rest.get(0), rest.get(1), rest.get(2), new File(rest.get(3)), new File(rest.get(4)));
            case "xml" -> xml(Path.of(rest.get(0)), rest.subList(1, rest.size()));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    /** Stores DICOM files by one request. */
    private static void store(String url, String accept, List<String> files) throws Exception {
        try (StowrsMultiFiles client = new StowrsMultiFiles(url, "application/dicom", null, Map.of("Accept", accept))) {
            Status status = client.uploadDicom(files, false);
            if (status.getStatus() != Status.Success) {
                throw new IllegalStateException("status " + Integer.toHexString(status.getStatus()));
            }
        }
    }

    /** Stores metadata, read from a Native DICOM Model, with one document as bulkdata. */
    private static void document(String url, String type, String sopClass, File metadata, File file) throws Exception {
        Attributes attributes = SAXReader.parse(metadata.toURI().toString());
        try (StowrsSingleFile client = new StowrsSingleFile(url, "application/dicom+xml")) {
            client.uploadEncapsulatedDocument(attributes, file, type, sopClass);
        }
    }

    /** Writes each file FILE of the list, all values inline, as FOLDER/0.xml, FOLDER/1.xml, … */
    private static void xml(Path folder, List<String> files) throws Exception {
        for (int i = 0; i < files.size(); i++) {
            File out = folder.resolve(i + ".xml").toFile();
            try (ImageInputStream in = new ImageInputStream(new File(files.get(i)))) {
                in.setIncludeBulkData(IncludeBulkData.YES);
                in.setImageInputHandler(SAXTransformer.getSAXWriter(new StreamResult(out)));
                in.readDataset(-1, -1);
            } catch (Exception e) {
                out.delete();
                System.err.println(files.get(i) + ": " + e);
            }
        }
    }
}
