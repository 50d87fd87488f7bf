package software.amazon.awssdk.services.sqs.model;

public record BatchResultErrorEntry(String id, String code) {}
