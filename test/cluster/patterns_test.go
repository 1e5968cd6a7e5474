package cluster_test

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/ats"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/natslog"
	"github.com/parleyhq/parley/engine/natslog/natshost"
	"github.com/parleyhq/parley/pattern/patterntest"
)

// TestPatternsOverTwoNodes runs the patterns that have machines with the machine on
// one node and the door on another, over a NATS server in the same bubble: so an
// hour costs nothing here either, and what takes long over a real network is found.
func TestPatternsOverTwoNodes(t *testing.T) {
	ats.Register() // a clock of the server's for all its stores, which must not be in a bubble
	defer ats.Unregister()
	patterntest.RunNodes(t, patterntest.Matrix{
		Engines: map[string]func(*testing.T) parley.Log{"natslog": func(t *testing.T) parley.Log { return inBubble(t, nil) }},
		Hosts:   map[string]func(*patterntest.World) shard.Host{"natshost": twoNodes},
		Doors: map[string]func(*patterntest.World) patterntest.Door{
			"near": func(w *patterntest.World) patterntest.Door { return patterntest.Library{World: w} },
		},
	})
}

// nearLog is a log in a NATS server within the process, which it keeps.
type nearLog struct {
	*natslog.Log
	server *server.Server
}

// inBubble opens a log over a server of its own, or over that of another node.
func inBubble(t *testing.T, ns *server.Server) nearLog {
	t.Helper()
	if ns == nil {
		ns = serverInBubble(t)
	}
	log, err := natslog.Open(t.Context(), natslog.Options{
		URL: "nats://127.0.0.1:4222", Replicas: 1, Synced: true, MemoryBytes: 16 << 20, Logger: slog.New(slog.DiscardHandler),
		Dial: func(string, string) (net.Conn, error) { return ns.InProcessConn() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return nearLog{log, ns}
}

// serverInBubble starts a NATS server without a network.
func serverInBubble(t *testing.T) *server.Server {
	t.Helper()
	ns, err := server.NewServer(&server.Options{
		ServerName: "near", DontListen: true, NoSigs: true, NoLog: true, MaxPayload: 9 << 20,
		JetStream: true, StoreDir: t.TempDir(), SyncInterval: 24 * time.Hour, JetStreamMaxMemory: 512 << 20, JetStreamMaxStore: 4 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() {
		ns.Shutdown()
		ns.WaitForShutdown()
		<-time.After(time.Second) // of the bubble's: what flushes a file looks up every millisecond
	})
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not get ready")
	}
	return ns
}

// twoNodes has another node beside the world's, with the machines.
func twoNodes(w *patterntest.World) shard.Host {
	far := inBubble(w.T, w.Log.(nearLog).server)
	return w.Beside(far, func(*patterntest.World) shard.Host { return hostOf(w.T, far, "owner") }, hostOf(w.T, w.Log.(nearLog), "guest"))
}

func hostOf(t *testing.T, log nearLog, name string) shard.Host {
	t.Helper()
	host, err := natshost.New(log.Log, shard.Options{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return host
}
