package software.amazon.awssdk.services.sqs.model;

import java.util.List;

public record SendMessageBatchResponse(List<BatchResultErrorEntry> failed) {}
