package software.amazon.awssdk.services.sqs;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.function.Consumer;
import software.amazon.awssdk.services.sqs.model.BatchResultErrorEntry;
import software.amazon.awssdk.services.sqs.model.SendMessageBatchRequest;
import software.amazon.awssdk.services.sqs.model.SendMessageBatchResponse;

/** Prints what it is given. */
public class SqsClient implements AutoCloseable {
    public static SqsClient create() {
        return new SqsClient();
    }

    public SendMessageBatchResponse sendMessageBatch(Consumer<SendMessageBatchRequest.Builder> build) {
        var request = new SendMessageBatchRequest.Builder();
        build.accept(request);
        System.out.println(request.queueUrl);
        for (var entry : request.entries) {
            System.out.println(Base64.getEncoder().encodeToString(entry.messageBody().getBytes(StandardCharsets.UTF_8)));
        }
        var code = System.getenv("FAILED");
        return new SendMessageBatchResponse(
            code == null ? List.of() : List.of(new BatchResultErrorEntry(request.entries.iterator().next().id(), code)));
    }

    @Override
    public void close() {}
}
