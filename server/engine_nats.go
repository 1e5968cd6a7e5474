package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/natslog"
	"github.com/parleyhq/parley/engine/natslog/natshost"
)

// NATS is how the engine in a NATS cluster is reached and used.
type NATS struct {
	Credentials string // file
	CA          string // file
	Cert        string // file
	Key         string // file
	Replicas    int
	Prefix      string
	Memory      int64
	Synced      bool
}

func engineField() Field {
	return scalar(Field{
		Path: "engine", Type: "URL", Flag: "engine", Example: "nats://10.0.0.1:4222,10.0.0.2:4222,10.0.0.3:4222",
		Doc: "Where events are kept instead of `data`: in NATS JetStream, for several servers over one log. Write nats://HOST:PORT,…, or tls:// where the servers want it. docs/operations/cluster.md says what they must be.",
	}, func(c *Config) *string { return &c.Engine }, parseEngine)
}

func natsFields() []Field {
	return []Field{
		scalar(Field{
			Path: "nats.credentials", Type: "file", Example: "/etc/parley/nats.creds",
			Doc: "The credentials of the NATS user: a file with a JWT and a seed.",
		}, func(c *Config) *string { return &c.NATS.Credentials }, parseText),
		scalar(Field{
			Path: "nats.ca", Type: "file", Example: "/etc/parley/nats-ca.pem",
			Doc: "The authorities in PEM that the NATS servers' certificates are checked with, instead of the system's.",
		}, func(c *Config) *string { return &c.NATS.CA }, parseText),
		scalar(Field{
			Path: "nats.cert", Type: "file", Example: "/etc/parley/nats-client.pem",
			Doc: "The certificate in PEM with which this server shows itself to the NATS servers.",
		}, func(c *Config) *string { return &c.NATS.Cert }, parseText),
		scalar(Field{
			Path: "nats.key", Type: "file", Example: "/etc/parley/nats-client-key.pem",
			Doc: "The private key of `nats.cert` in PEM.",
		}, func(c *Config) *string { return &c.NATS.Key }, parseText),
		scalar(Field{
			Path: "nats.replicas", Type: "number", Default: "3", Flag: "replicas",
			Doc: "On how many NATS servers each event is: 1, 3 or 5. With 1 there is no cluster, and nothing survives the loss of a disk.",
		}, func(c *Config) *int { return &c.NATS.Replicas }, parseReplicas),
		scalar(Field{
			Path: "nats.prefix", Type: "name", Default: "parley",
			Doc: "How the names of all streams and subjects in NATS begin. Servers with one prefix are one cluster.",
		}, func(c *Config) *string { return &c.NATS.Prefix }, parseText),
		scalar(Field{
			Path: "nats.memory", Type: "size", Default: "256MiB",
			Doc: "How much the events that are only in memory may take together on each NATS server, which reserves it: those of ephemeral topics and of topics with memory durability. Beyond it publishing to them is refused.",
		}, func(c *Config) *int64 { return &c.NATS.Memory }, parseMemory),
		scalar(Field{
			Path: "nats.synced", Type: "true or false", Default: "false",
			Doc: "Says that the NATS servers run with `sync_interval: always`, which a client cannot find out. Without it the server warns at its start that a power cut of most of them may take acknowledged events away.",
		}, func(c *Config) *bool { return &c.NATS.Synced }, parseBool),
	}
}

func parseEngine(text string) (string, error) {
	if text == "" || strings.HasPrefix(text, "nats://") || strings.HasPrefix(text, "tls://") {
		return text, nil
	}
	return "", parley.BadField("", "is no engine that is known", "write nats://HOST:4222, or leave it out and set data")
}

func parseReplicas(text string) (int, error) {
	switch text {
	case "1":
		return 1, nil
	case "3":
		return 3, nil
	case "5":
		return 5, nil
	}
	return 0, parley.BadField("", "is not 1, 3 or 5", "write 3")
}

// clustered is the log in NATS as the server needs it.
type clustered struct{ *natslog.Log }

// Rewrite implements parley.Rewriter: JetStream cannot replace a message, so that
// there is no compaction.
func (clustered) Rewrite(context.Context, parley.Stream, parley.Position, parley.Position, func(parley.Batch) (parley.Batch, error)) error {
	return &parley.Error{Code: parley.Unprocessable, Field: "compaction", Detail: "events in NATS JetStream cannot be compacted", Fix: "keep the topic without compaction, or on a server with its own disk"}
}

// openNATS opens the engine in a NATS cluster. Streams of ephemeral topics, and of
// those with memory durability, live in the cluster's memory.
func openNATS(ctx context.Context, c Config, log *slog.Logger) (*storage, error) {
	secure, err := c.NATS.tls(c.Engine)
	if err != nil {
		return nil, err
	}
	r := &router{}
	l, err := natslog.Open(ctx, natslog.Options{
		URL: c.Engine, Credentials: c.NATS.Credentials, TLS: secure, Prefix: c.NATS.Prefix, Replicas: c.NATS.Replicas,
		MemoryBytes: c.NATS.Memory, Synced: c.NATS.Synced, Logger: log,
		Home: func(s parley.Stream) int {
			if r.inMemory(s) {
				return natslog.Memory
			}
			return 0
		},
	})
	if err != nil {
		return nil, natsProblem(err)
	}
	host, err := natshost.New(l, shard.Options{Name: nodeName()})
	if err != nil {
		l.Close()
		return nil, err
	}
	run := func(ctx context.Context) error {
		defer l.Close()
		return l.Run(ctx)
	}
	return &storage{log: clustered{l}, host: host, run: run, know: r.topics.Store}, nil
}

// nodeName tells people which server owns a machine.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return name + "/" + strconv.Itoa(os.Getpid())
}

// natsProblem names the setting that an error of natslog is about.
func natsProblem(err error) error {
	e := inside("", err)
	switch e.Field {
	case "url", "version", "jetstream", "max_payload":
		e.Field = "engine"
	case "replicas", "prefix", "memory":
		e.Field = "nats." + e.Field
	}
	return e
}

// tls gives what the connection needs beyond what the URL says; nil is nothing.
func (n NATS) tls(url string) (*tls.Config, error) {
	if (n.Cert == "") != (n.Key == "") {
		return nil, invalid("nats.cert", "and nats.key belong together", "set both, or neither")
	}
	if n.CA == "" && n.Cert == "" && !strings.HasPrefix(url, "tls://") {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if n.CA != "" {
		pem, err := os.ReadFile(n.CA)
		if err != nil {
			return nil, &parley.Error{Code: parley.Invalid, Field: "nats.ca", Detail: err.Error(), Fix: "name a file in PEM that the server may read", Err: err}
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, invalid("nats.ca", "holds no certificate", "name a file in PEM")
		}
	}
	if n.Cert != "" {
		pair, err := tls.LoadX509KeyPair(n.Cert, n.Key)
		if err != nil {
			return nil, &parley.Error{Code: parley.Invalid, Field: "nats.cert", Detail: err.Error(), Fix: "name a certificate and its key in PEM", Err: err}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Where says where events are kept, for people: the directory, or the servers
// without their passwords.
func (c Config) Where() string {
	if c.Engine != "" {
		return natslog.HideUser(c.Engine)
	}
	return c.Data
}
