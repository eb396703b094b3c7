/*
 * Recode.java
 *	  Read the lines of random_cases.py, and write their data once more with
 *	  Java's blocking encoder: arrays and maps in blocks of a negative count
 *	  and a size.  What Java does not take as a schema is left out.
 */
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

public class Recode {
	public static void main(String[] args) throws Exception {
		BufferedReader in = new BufferedReader(
			new InputStreamReader(System.in, StandardCharsets.UTF_8));
		PrintStream out = new PrintStream(System.out, false, "UTF-8");
		EncoderFactory encoders = new EncoderFactory().configureBlockSize(64);
		for (String line; (line = in.readLine()) != null;) {
			String[] columns = line.split("\t", 3);
			Schema schema;
			try {
				schema = new Schema.Parser().parse(
					columns[0].replace("\\\\", "\\"));
			} catch (AvroRuntimeException e) {
				continue;
			}
			byte[] data = HexFormat.of().parseHex(columns[1]);
			Object value = new GenericDatumReader<>(schema).read(null,
				DecoderFactory.get().binaryDecoder(data, null));
			ByteArrayOutputStream bytes = new ByteArrayOutputStream();
			BinaryEncoder encoder = encoders.blockingBinaryEncoder(bytes, null);
			new GenericDatumWriter<>(schema).write(value, encoder);
			encoder.flush();
			out.println(columns[0] + "\t"
				+ HexFormat.of().formatHex(bytes.toByteArray()) + "\t" + columns[2]);
		}
		out.flush();
	}
}
