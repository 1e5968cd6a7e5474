package server

import (
	"io"
	"log/slog"
)

// Log says what is logged, and how.
type Log struct {
	Level  string
	Format string
}

func logFields() []Field {
	return []Field{
		choice(Field{
			Path: "log.level", OneOf: []string{"debug", "info", "warn", "error"}, Default: "info", Flag: "log-level",
			Doc: "The least that is logged, to standard error. `debug` has a line for each request. No secret and no query is ever logged.",
		}, func(c *Config) *string { return &c.Log.Level }),
		choice(Field{
			Path: "log.format", OneOf: []string{"text", "json"}, Default: "text", Flag: "log-format",
			Doc: "How a line of the log looks.",
		}, func(c *Config) *string { return &c.Log.Format }),
	}
}

// Logger makes the logger that the configuration describes.
func (l Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // one of four words; empty is info
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
