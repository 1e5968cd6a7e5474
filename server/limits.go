package server

import "github.com/parleyhq/parley"

// Limits bound what all callers together can take.
type Limits struct {
	Body        int64
	Connections int
	PerIP       int
	Lives       int
	Memory      int64
}

func limitFields() []Field {
	return []Field{
		scalar(Field{
			Path: "limits.body", Type: "size", Default: "8MiB",
			Doc: "The largest body of a request.",
		}, func(c *Config) *int64 { return &c.Limits.Body }, parseBody),
		scalar(Field{
			Path: "limits.connections", Type: "number", Default: "100000",
			Doc: "Most connections at a time; one more is told to come back later, none is ever evicted.",
		}, func(c *Config) *int { return &c.Limits.Connections }, parseCount(1, 10_000_000)),
		scalar(Field{
			Path: "limits.per_ip", Type: "number", Default: "20000",
			Doc: "Most connections at a time from one IPv4 address or IPv6 /64. Raise it behind a proxy.",
		}, func(c *Config) *int { return &c.Limits.PerIP }, parseCount(1, 10_000_000)),
		scalar(Field{
			Path: "limits.lives", Type: "number", Default: "100000",
			Doc: "Most streams, sockets and held requests at a time.",
		}, func(c *Config) *int { return &c.Limits.Lives }, parseCount(1, 10_000_000)),
	}
}

func parseBody(text string) (int64, error) {
	n, err := ParseSize(text)
	if err == nil && (n < 1<<10 || n > parley.MaxBatchBytes) {
		err = parley.BadField("", text+" is out of bounds", "write 1KiB to 16MiB")
	}
	return n, err
}
