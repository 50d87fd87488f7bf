// Package sqs has a client that prints what it is given.
package sqs

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

type Options struct{}

type Client struct{}

type SendMessageBatchInput struct {
	QueueUrl *string
	Entries  []types.SendMessageBatchRequestEntry
}

type SendMessageBatchOutput struct{ Failed []types.BatchResultErrorEntry }

func NewFromConfig(aws.Config, ...func(*Options)) *Client { return &Client{} }

func (*Client) SendMessageBatch(
	_ context.Context, input *SendMessageBatchInput, _ ...func(*Options),
) (*SendMessageBatchOutput, error) {
	fmt.Println(*input.QueueUrl)
	for _, entry := range input.Entries {
		fmt.Println(base64.StdEncoding.EncodeToString([]byte(*entry.MessageBody)))
	}
	output := &SendMessageBatchOutput{}
	if code := os.Getenv("FAILED"); code != "" {
		output.Failed = []types.BatchResultErrorEntry{{Id: input.Entries[0].Id, Code: &code}}
	}
	return output, nil
}
