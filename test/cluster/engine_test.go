package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/enginetest"
	"github.com/parleyhq/parley/engine/natslog"
)

var prefixes atomic.Int64

// opener gives logs on fresh prefixes of a cluster, and another Log on the same.
type opener struct {
	url      string
	replicas int
	prefix   map[parley.Log]string
}

func (o *opener) fresh(t *testing.T) parley.Log {
	return o.open(t, fmt.Sprint("p", prefixes.Add(1)))
}

func (o *opener) again(t *testing.T, log parley.Log) parley.Log {
	prefix := o.prefix[log]
	log.(*natslog.Log).Close()
	return o.open(t, prefix)
}

func (o *opener) open(t *testing.T, prefix string) parley.Log {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	log, err := natslog.Open(ctx, natslog.Options{
		URL: o.url, Prefix: prefix, Replicas: o.replicas, Synced: true, MemoryBytes: 16 << 20, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { drop(log, prefix); log.Close() })
	o.prefix[log] = prefix
	return log
}

// drop removes the JetStream streams of a log, so that the next has room.
func drop(log *natslog.Log, prefix string) {
	for _, home := range []string{"0", "memory"} {
		_, _ = log.Conn().Request("$JS.API.STREAM.DELETE."+prefix+"_"+home, nil, 5*time.Second) // it may be closed, or gone
	}
}

func TestContractOneServer(t *testing.T) {
	o := &opener{url: startServers(t, 1, false).url(), replicas: 1, prefix: map[parley.Log]string{}}
	enginetest.Suite{Reopen: o.again, Rounds: 100}.Run(t, o.fresh)
}

func TestContractThreeServers(t *testing.T) {
	o := &opener{url: startServers(t, 3, false).url(), replicas: 3, prefix: map[parley.Log]string{}}
	enginetest.Suite{Reopen: o.again, Rounds: 30}.Run(t, o.fresh)
}
