package software.amazon.awssdk.services.sqs.model;

import java.util.Collection;

public class SendMessageBatchRequest {
    public static class Builder {
        public String queueUrl;
        public Collection<SendMessageBatchRequestEntry> entries;

        public Builder queueUrl(String queueUrl) {
            this.queueUrl = queueUrl;
            return this;
        }

        public Builder entries(Collection<SendMessageBatchRequestEntry> entries) {
            this.entries = entries;
            return this;
        }
    }
}
