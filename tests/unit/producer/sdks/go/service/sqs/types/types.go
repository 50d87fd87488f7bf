// Package types has the parts of SQS's requests and answers.
package types

type SendMessageBatchRequestEntry struct{ Id, MessageBody *string }

type BatchResultErrorEntry struct{ Id, Code *string }
