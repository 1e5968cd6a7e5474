package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/run"
)

// What the servers must be.
const (
	minMajor, minMinor = 2, 14
	minPayload         = 1 << 20
	// wellPayload is from where on nothing that a topic may hold is refused.
	wellPayload = 8<<20 + 64<<10
	// headerRoom is what a message's headers may take of the payload.
	headerRoom = 2048
)

// Log is a log in NATS JetStream. Open makes it; Run keeps its tails, which
// reading and waiting need; Close ends its connection.
type Log struct {
	opt   Options
	nc    *nats.Conn
	x     *exchange
	homes []*home // by number; the last is the memory home
	gate  chan struct{}

	mu      sync.Mutex // guards what all homes know of their streams
	running bool
	ran     chan struct{} // closed when Run has begun
	ended   chan struct{} // closed when Run has returned, or Close was called
	once    sync.Once
}

var (
	_ parley.Log     = (*Log)(nil)
	_ parley.Lister  = (*Log)(nil)
	_ parley.Remover = (*Log)(nil)
	_ parley.Statter = (*Log)(nil)
	_ parley.Backer  = (*Log)(nil)
	_ parley.Timer   = (*Log)(nil)
	_ parley.Runner  = (*Log)(nil)
)

// Open connects to the servers, checks that they can carry the log, and makes its
// JetStream streams where they are missing. Errors: Invalid names the option,
// Unavailable when no server answers, Unsupported when they cannot do what is
// needed; all say what to do.
func Open(ctx context.Context, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	nc, err := connect(o)
	if err != nil {
		return nil, err
	}
	l := &Log{opt: o, nc: nc, gate: make(chan struct{}, batchesInFlight), ran: make(chan struct{}), ended: make(chan struct{})}
	if err := l.prepare(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return l, nil
}

func connect(o Options) (*nats.Conn, error) {
	log := o.Logger
	opts := []nats.Option{
		nats.Name("parley"), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 200*time.Millisecond),
		nats.ReconnectBufSize(-1), // what cannot be sent now is told, not kept
		nats.Timeout(2 * time.Second), nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.SkipSubjectValidation(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("lost the connection to NATS", slog.Any("error", err))
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("connected to NATS again", slog.String("server", nc.ConnectedServerName()))
			if err := checkVersion(nc.ConnectedServerVersion()); err != nil {
				log.Error("the NATS server is too old", slog.Any("error", err))
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS reports an error", slog.Any("error", err))
		}),
	}
	if o.Credentials != "" {
		opts = append(opts, nats.UserCredentials(o.Credentials))
	}
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS))
	}
	if o.Dial != nil {
		opts = append(opts, nats.SetCustomDialer(dialer(o.Dial)))
	}
	nc, err := nats.Connect(o.URL, opts...)
	if err != nil {
		e := &parley.Error{Code: parley.Unavailable, Field: "url", Detail: "no NATS server at " + HideUser(o.URL) + " lets us in: " + err.Error(), Fix: "start the servers, or name those that run", Err: err}
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) {
			e.Code, e.Fix = parley.Unauthenticated, "give credentials that the servers accept"
		}
		return nil, e
	}
	return nc, nil
}

// HideUser takes names and passwords out of a list of URLs, for people to see.
func HideUser(urls string) string {
	parts := strings.Split(urls, ",")
	for i, p := range parts {
		if at := strings.LastIndexByte(p, '@'); at >= 0 {
			scheme, _, found := strings.Cut(p, "://")
			parts[i] = p[at+1:]
			if found {
				parts[i] = scheme + "://" + parts[i]
			}
		}
	}
	return strings.Join(parts, ",")
}

// prepare checks the servers and makes the streams.
func (l *Log) prepare(ctx context.Context) (err error) {
	if err := checkVersion(l.nc.ConnectedServerVersion()); err != nil {
		return err
	}
	switch size := l.nc.MaxPayload(); {
	case size < minPayload:
		return &parley.Error{Code: parley.Unsupported, Field: "max_payload", Detail: fmt.Sprintf("the NATS servers take messages of %d bytes", size), Fix: "set max_payload to 1MB or more in their configuration; 9MB carries everything"}
	case size < wellPayload:
		l.opt.Logger.Warn("batches larger than the NATS servers' max_payload will be refused", slog.Int64("max_payload", size), slog.Int("recommended", 9<<20))
	}
	if l.x, err = newExchange(l.nc); err != nil {
		return unavailable(err)
	}
	if err := l.checkAccount(ctx); err != nil {
		return err
	}
	for i := range l.opt.Homes {
		l.homes = append(l.homes, newHome(l, strconv.Itoa(i)))
	}
	l.homes = append(l.homes, newHome(l, "memory"))
	for i, h := range l.homes {
		if err := h.ensure(ctx, l.config(h, i == len(l.homes)-1)); err != nil {
			return err
		}
	}
	if !l.opt.Synced {
		l.opt.Logger.Warn("nobody said that the NATS servers flush before they acknowledge: if they lose power together, acknowledged events may be lost",
			slog.String("recommended", "sync_interval: always"))
	}
	if l.opt.Replicas == 1 {
		l.opt.Logger.Warn("each event is on one NATS server only", slog.Int("replicas", 1))
	}
	return nil
}

func checkVersion(version string) error {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || major < minMajor || major == minMajor && minor < minMinor {
		return &parley.Error{Code: parley.Unsupported, Field: "version", Detail: "the NATS server has version " + version, Fix: fmt.Sprintf("run nats-server %d.%d or later on all nodes", minMajor, minMinor)}
	}
	return nil
}

// checkAccount asks whether there is JetStream at all.
func (l *Log) checkAccount(ctx context.Context) error {
	err := l.x.api(ctx, "INFO", nil, nil)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case apiCode(err) != 0:
		return &parley.Error{Code: parley.Unsupported, Field: "jetstream", Detail: "JetStream cannot be used by this account: " + err.Error(), Fix: "enable JetStream on the servers and for the account", Err: err}
	}
	return &parley.Error{Code: parley.Unavailable, Field: "jetstream", Detail: "JetStream does not answer", Fix: "enable JetStream on the servers, and let most of them run", Err: err}
}

// config is how a home's stream is made.
func (l *Log) config(h *home, memory bool) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: h.stream, Description: "Parley's log; its retention is Parley's own", Subjects: []string{h.prefix + ">"},
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: l.opt.Replicas, Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1, MaxMsgSize: -1,
		Duplicates:  parley.OnceWindow + 10*time.Second,
		AllowRollup: true, AllowDirect: true, AllowAtomicPublish: true,
	}
	if memory {
		c.Storage, c.MaxBytes = jetstream.MemoryStorage, l.opt.MemoryBytes
	}
	return c
}

// streamInfo is what we read of JetStream's answers about a stream.
type streamInfo struct {
	Config  jetstream.StreamConfig `json:"config"`
	Created time.Time              `json:"created"`
	State   struct {
		LastSeq  uint64            `json:"last_seq"`
		Subjects map[string]uint64 `json:"subjects"`
	} `json:"state"`
	Total  int `json:"total"`
	Offset int `json:"offset"`
	Limit  int `json:"limit"`
}

// ensure makes the home's stream, or checks the one that is there.
func (h *home) ensure(ctx context.Context, want jetstream.StreamConfig) error {
	var info streamInfo
	err := h.l.x.api(ctx, "STREAM.INFO."+h.stream, nil, &info)
	if apiCode(err) == codeNoStream {
		err = h.create(ctx, want, &info)
		if code := apiCode(err); code == codeNoPeers || code == codeResources || code == 10028 || code == 10047 || code == 10074 {
			e := &parley.Error{Code: parley.Unsupported, Field: "replicas", Detail: fmt.Sprintf("the NATS servers cannot keep %d replicas: %v", want.Replicas, err), Fix: "let as many servers with JetStream run, with room to store, or lower the replicas", Err: err}
			if want.Storage == jetstream.MemoryStorage {
				e.Field, e.Detail = "memory", fmt.Sprintf("the NATS servers cannot reserve %d bytes of memory: %v", want.MaxBytes, err)
				e.Fix = "raise max_memory_store in their configuration, or ask for less"
			}
			return e
		}
	}
	if err != nil {
		if apiCode(err) != 0 {
			return &parley.Error{Code: parley.Unsupported, Field: "jetstream", Detail: "the stream " + h.stream + " cannot be used: " + err.Error(), Fix: "let the account make streams, or make it as the documentation says", Err: err}
		}
		return err
	}
	h.created = uint32(info.Created.Unix())
	return differs(info.Config, want)
}

// create makes the home's stream. A server that removes its last stream at the same
// moment, one that has just begun and does not see the others yet, or another node
// that makes ours, is no reason to give up.
func (h *home) create(ctx context.Context, want jetstream.StreamConfig, info *streamInfo) error {
	for tries := 0; ; tries++ {
		err := h.l.x.api(ctx, "STREAM.CREATE."+h.stream, want, info)
		if apiCode(err) == codeNameInUse {
			return h.l.x.api(ctx, "STREAM.INFO."+h.stream, nil, info) // differs tells how
		}
		if code := apiCode(err); code != codeNotCreated && code != codeNoPeers || tries == 5 || !pause(ctx, lastPause) {
			return err
		}
	}
}

// differs says what keeps an existing stream from carrying the log.
func differs(have, want jetstream.StreamConfig) error {
	var what []string
	add := func(bad bool, text string) {
		if bad {
			what = append(what, text)
		}
	}
	add(!have.AllowAtomicPublish, "atomic publishing is off")
	add(!have.AllowDirect, "direct gets are off")
	add(!have.AllowRollup || have.DenyPurge, "rollups are off")
	add(have.Retention != jetstream.LimitsPolicy, "its retention is not limits")
	add(have.MaxAge != 0 || have.MaxMsgs > 0 || have.MaxMsgsPerSubject > 0, "it has limits of its own")
	add(have.Storage != want.Storage, "its storage is "+have.Storage.String())
	add(have.Duplicates < parley.OnceWindow, "its duplicate window is too short")
	add(have.Replicas < want.Replicas, fmt.Sprintf("it has %d replicas instead of %d", have.Replicas, want.Replicas))
	add(have.Sealed || have.NoAck || have.Mirror != nil || len(have.Sources) > 0 || have.SubjectTransform != nil, "it is sealed, mirrored, transformed or not acknowledged")
	if len(what) == 0 {
		return nil
	}
	return &parley.Error{Code: parley.Unsupported, Field: "jetstream", Detail: "the stream " + have.Name + " is there, but " + strings.Join(what, ", "), Fix: "change it with `nats stream edit " + have.Name + "`, or choose another prefix"}
}

// Conn is the log's connection, for what lives beside the log: see natshost.
func (l *Log) Conn() *nats.Conn { return l.nc }

// Prefix is how all subjects of the log begin, without a dot.
func (l *Log) Prefix() string { return l.opt.Prefix }

// Run keeps the tails of the homes that are read until ctx ends. It may be called
// once.
func (l *Log) Run(ctx context.Context) error {
	l.mu.Lock()
	again := l.running
	l.running = true
	l.mu.Unlock()
	if again {
		return parley.Errorf(parley.Internal, "the log runs already")
	}
	close(l.ran)
	defer l.end()
	var g run.Group
	for _, h := range l.homes {
		g.Add("tail of "+h.stream, h.follow)
	}
	return g.Run(ctx)
}

func (l *Log) end() { l.once.Do(func() { close(l.ended) }) }

// Close ends the connection. What is under way fails.
func (l *Log) Close() {
	l.end()
	l.nc.Close()
}
