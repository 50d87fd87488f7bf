// AWS's SDK for Go: decodes an SQS event and writes its records by BatchWriteItem, every digit kept.
//
// "writer EVENT": a line on standard input is a number of invocations; the answer is what they took together, in
// seconds of CPU and on the clock, and how many records they wrote.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	table     = "bench"
	batchSize = 25
)

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	seconds := float64(usage.Utime.Sec + usage.Stime.Sec)
	return seconds + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}

func attribute(value any) types.AttributeValue {
	switch it := value.(type) {
	case nil:
		return &types.AttributeValueMemberNULL{Value: true}
	case bool:
		return &types.AttributeValueMemberBOOL{Value: it}
	case json.Number:
		return &types.AttributeValueMemberN{Value: it.String()}
	case string:
		return &types.AttributeValueMemberS{Value: it}
	case []any:
		list := make([]types.AttributeValue, len(it))
		for position, each := range it {
			list[position] = attribute(each)
		}
		return &types.AttributeValueMemberL{Value: list}
	case map[string]any:
		return &types.AttributeValueMemberM{Value: attributes(it)}
	}
	panic(fmt.Sprintf("JSON has no %T", value))
}

func attributes(object map[string]any) map[string]types.AttributeValue {
	made := make(map[string]types.AttributeValue, len(object))
	for name, each := range object {
		made[name] = attribute(each)
	}
	return made
}

func send(ctx context.Context, client *dynamodb.Client, batch []types.WriteRequest) error {
	left := map[string][]types.WriteRequest{table: batch}
	for len(left) > 0 {
		answer, err := client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
		if err != nil {
			return err
		}
		left = answer.UnprocessedItems
	}
	return nil
}

func invoke(ctx context.Context, client *dynamodb.Client, raw []byte) (int, error) {
	var event events.SQSEvent
	if err := json.Unmarshal(raw, &event); err != nil {
		return 0, err
	}
	batch := make([]types.WriteRequest, 0, batchSize)
	for position, record := range event.Records {
		var body struct{ Put map[string]any }
		decoder := json.NewDecoder(strings.NewReader(record.Body))
		decoder.UseNumber()
		if err := decoder.Decode(&body); err != nil {
			return 0, err
		}
		batch = append(batch, types.WriteRequest{PutRequest: &types.PutRequest{Item: attributes(body.Put)}})
		if len(batch) == batchSize || position == len(event.Records)-1 {
			if err := send(ctx, client, batch); err != nil {
				return 0, err
			}
			batch = batch[:0]
		}
	}
	return len(event.Records), nil
}

func main() {
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := dynamodb.NewFromConfig(settings)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		times, err := strconv.Atoi(lines.Text())
		if err != nil {
			log.Fatal(err)
		}
		written, cpu, began := 0, cpuSeconds(), time.Now()
		for range times {
			count, err := invoke(ctx, client, raw)
			if err != nil {
				log.Fatal(err)
			}
			written += count
		}
		cpu, wall := cpuSeconds()-cpu, time.Since(began).Seconds()
		fmt.Printf("{\"cpu\": %f, \"wall\": %f, \"written\": %d}\n", cpu, wall, written)
	}
}
