// Package aws has the pointers of the SDK.
package aws

type Config struct{}

func String(text string) *string { return &text }

func ToString(text *string) string { return *text }
