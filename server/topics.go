package server

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

func topicFields() []Field {
	defaults := func(c *Config) *topic.Settings { return &c.Topics.Defaults }
	return []Field{
		scalar(Field{
			Path: "topics.auto_create", Type: "true or false", Default: "true", Flag: "auto-create",
			Doc: "Whether publishing to a topic that is not there makes it.",
		}, func(c *Config) *bool { return &c.Topics.AutoCreate }, parseBool),
		scalar(Field{
			Path: "topics.defaults.partitions", Type: "number", Default: "1",
			Doc: "How many streams a new topic has: events of one key stay in order, those of different partitions are independent.",
		}, func(c *Config) *int { return &defaults(c).Partitions }, parseCount(1, topic.MaxPartitions)),
		scalar(Field{
			Path: "topics.defaults.durability", Default: "fsync", Type: "fsync or os or memory",
			Doc: "What an acknowledgement means: `fsync`, the event is on disk; `os`, the operating system has it; `memory`, the process has it.",
		}, func(c *Config) *topic.Durability { return &defaults(c).Durability }, parseDurability),
		scalar(Field{
			Path: "topics.defaults.max_age", Type: "duration or none", Default: "168h",
			Doc: "How long events are kept at least.",
		}, func(c *Config) *time.Duration { return &defaults(c).MaxAge }, parseMaxAge),
		scalar(Field{
			Path: "topics.defaults.max_bytes", Type: "size or none", Default: "none",
			Doc: "How many bytes a topic keeps, over all its partitions.",
		}, func(c *Config) *int64 { return &defaults(c).MaxBytes }, parseMaxBytes),
		scalar(Field{
			Path: "topics.defaults.max_event", Type: "size", Default: "1MiB",
			Doc: "The largest event, data and attributes together; at most 8MiB.",
		}, func(c *Config) *int { return &defaults(c).MaxEvent }, parseMaxEvent),
		scalar(Field{
			Path: "topics.defaults.poll_hint", Type: "duration", Default: "0s",
			Doc: "How long a poller does well to wait before it asks again, and how long a cache may answer for the server.",
		}, func(c *Config) *time.Duration { return &defaults(c).PollHint }, parseDuration(0, topic.LargestPollHint)),
	}
}

func parseDurability(text string) (topic.Durability, error) {
	switch d := topic.Durability(text); d {
	case topic.Fsync, topic.OS, topic.Memory:
		return d, nil
	}
	return "", parley.BadField("", strconv.Quote(text)+" is no durability", "write fsync, os or memory")
}

func parseMaxAge(text string) (time.Duration, error) {
	if text == "none" || text == "forever" {
		return topic.NoLimit, nil
	}
	return parseDuration(time.Second, 1<<63-1)(text)
}

func parseMaxBytes(text string) (int64, error) {
	if text == "none" || text == "-1" {
		return topic.NoLimit, nil
	}
	return ParseSize(text)
}

func parseMaxEvent(text string) (int, error) {
	n, err := ParseSize(text)
	if err == nil && (n < 1 || n > topic.LargestMaxEvent) {
		err = parley.BadField("", text+" is out of bounds", "write 1 to 8MiB")
	}
	return int(n), err
}
