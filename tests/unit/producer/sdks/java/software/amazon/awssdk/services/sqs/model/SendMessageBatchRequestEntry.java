package software.amazon.awssdk.services.sqs.model;

public record SendMessageBatchRequestEntry(String id, String messageBody) {
    public static Builder builder() {
        return new Builder();
    }

    public static class Builder {
        private String id;
        private String messageBody;

        public Builder id(String id) {
            this.id = id;
            return this;
        }

        public Builder messageBody(String messageBody) {
            this.messageBody = messageBody;
            return this;
        }

        public SendMessageBatchRequestEntry build() {
            return new SendMessageBatchRequestEntry(id, messageBody);
        }
    }
}
