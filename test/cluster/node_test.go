package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/natslog"
	"github.com/parleyhq/parley/engine/natslog/natshost"
)

// nodeSpec is one process that may own the sample.
type nodeSpec struct {
	Name, URL string
	Replicas  int
}

// The times of the nodes here, a third of what they are otherwise.
func (n nodeSpec) times() shard.Options {
	return shard.Options{Name: n.Name, Beat: 400 * time.Millisecond, Lapse: 1200 * time.Millisecond, Takeover: 1600 * time.Millisecond}
}

func (n nodeSpec) log(ctx context.Context) (*natslog.Log, error) {
	return natslog.Open(ctx, natslog.Options{URL: n.URL, Prefix: "nodes", Replicas: n.Replicas, Synced: true, Logger: slog.New(slog.DiscardHandler)})
}

// beNode runs the sample until it is told to stop. It says "ready" and, each time
// that it owns the sample, "owner".
func beNode(config string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var n nodeSpec
	err := json.Unmarshal([]byte(config), &n)
	if err == nil {
		err = n.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, n.Name, err)
		return 1
	}
	return 0
}

func (n nodeSpec) run(ctx context.Context) error {
	log, err := n.log(ctx)
	if err != nil {
		return err
	}
	defer log.Close()
	host, err := natshost.New(log, n.times())
	if err != nil {
		return err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // the log outlives what stands on it
	defer end()
	ran := make(chan error, 1)
	go func() { ran <- log.Run(life) }()
	fmt.Println("ready")
	err = host.Run(ctx, moves, func(ctx context.Context, o *shard.Owner) error {
		fmt.Println("owner")
		return own(ctx, log, n.Name, o)
	})
	end()
	return errors.Join(err, <-ran)
}

// nodes are processes that run the sample, and a client beside them.
type nodes struct {
	t     *testing.T
	url   string
	specs []nodeSpec
	procs []*child
	host  *shard.Node
}

func startNodes(t *testing.T, url string, n int) *nodes {
	t.Helper()
	all := &nodes{t: t, url: url}
	for i := range n {
		all.specs = append(all.specs, nodeSpec{Name: fmt.Sprint("node", i), URL: url, Replicas: 1})
		all.procs = append(all.procs, nil)
		all.launch(i)
	}
	client := nodeSpec{Name: "client", URL: url, Replicas: 1}
	log := runLog(t, natslog.Options{URL: url, Prefix: "nodes", Replicas: 1, Synced: true})
	var err error
	if all.host, err = natshost.New(log, client.times()); err != nil {
		t.Fatal(err)
	}
	return all
}

func (n *nodes) launch(i int) {
	n.t.Helper()
	config, err := json.Marshal(n.specs[i])
	if err != nil {
		n.t.Fatal(err)
	}
	n.procs[i] = start(n.t, "node:"+string(config))
	if got := n.procs[i].line(n.t); got != "ready" {
		n.t.Fatalf("node %d says %q", i, got)
	}
}

// ask asks until the outcome is known.
func (n *nodes) ask(request string) string {
	n.t.Helper()
	for begun := time.Now(); ; {
		ctx, cancel := context.WithTimeout(n.t.Context(), 4*time.Second)
		answer, err := n.host.Ask(ctx, moves, []byte(request))
		cancel()
		if err == nil {
			return string(answer)
		}
		code := parley.CodeOf(err)
		again := code == parley.Unknown || code == parley.Unavailable || code == parley.Timeout
		if !again || time.Since(begun) > 30*time.Second {
			n.t.Fatalf("%s: %v", request, err)
		}
	}
}

// owner gives the index of the node that owns the sample.
func (n *nodes) owner() int {
	n.t.Helper()
	name := n.ask("owner")
	i := slices.IndexFunc(n.specs, func(s nodeSpec) bool { return s.Name == name })
	if i < 0 {
		n.t.Fatalf("the owner is %q", name)
	}
	return i
}

// TestOwnershipMoves plays a history while the owner is paused, killed and asked to
// go: every answer, and the state at the end, are those of a machine that never
// moved.
func TestOwnershipMoves(t *testing.T) {
	n := startNodes(t, startServers(t, 1, false).url(), 2)
	model := newSample()
	step := 0
	play := func(times int) {
		t.Helper()
		for range times {
			step++
			request := fmt.Sprintf("add r%d %d", step, step)
			if err := model.Apply(journal.Move{Data: []byte(request)}); err != nil {
				t.Fatal(err)
			}
			if got, want := n.ask(request), model.answers[strings.Fields(request)[1]]; got != want {
				t.Fatalf("%s: answer %s, want %s", request, got, want)
			}
			if got := n.ask("state"); got != model.state() {
				t.Fatalf("after %s the state is %s, want %s", request, got, model.state())
			}
		}
	}
	play(5)

	parked := make(chan string, 1)
	go func() { parked <- n.ask(fmt.Sprint("wait ", 2*step*step)) }() // over several owners

	took := func(what string, begun time.Time) {
		t.Logf("%s: answered again after %s", what, time.Since(begun).Round(10*time.Millisecond))
	}
	was := n.owner()
	begun := time.Now()
	n.procs[was].signal(syscall.SIGSTOP)
	play(3)
	took("paused", begun)
	if now := n.owner(); now == was {
		t.Fatalf("node %d owns the sample while it is paused", now)
	}
	n.procs[was].signal(syscall.SIGCONT)
	play(5)

	was = n.owner()
	begun = time.Now()
	n.procs[was].kill()
	play(3)
	took("killed", begun)
	n.launch(was)
	play(3)

	was = n.owner()
	begun = time.Now()
	n.procs[was].signal(syscall.SIGTERM)
	play(3)
	took("asked to go", begun)
	<-n.procs[was].gone
	if code := n.procs[was].cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the node that was asked to go ended with %d", code)
	}
	for got := ""; got == ""; {
		select {
		case got = <-parked:
			t.Logf("the parked request was answered: %s", got)
		default:
			play(1)
		}
	}
}

// TestAskWithoutOwner: nobody is there, and an asker who goes away.
func TestAskWithoutOwner(t *testing.T) {
	n := startNodes(t, startServers(t, 1, false).url(), 0)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := n.host.Ask(ctx, moves, []byte("state")); parley.CodeOf(err) != parley.Unavailable || err == nil {
		t.Errorf("without an owner: %v", err)
	}
	left := make(chan error, 1)
	log := runLog(t, natslog.Options{URL: n.url, Prefix: "nodes", Replicas: 1, Synced: true})
	shut := natshost.NewPeers(log).Listen(moves, func(ctx context.Context, request []byte) ([]byte, error) {
		<-ctx.Done()
		left <- ctx.Err()
		return nil, context.Cause(ctx)
	})
	defer shut()
	ctx, cancel = context.WithTimeout(t.Context(), 1200*time.Millisecond)
	defer cancel()
	_, err := n.host.Ask(ctx, moves, []byte("hold"))
	if code := parley.CodeOf(err); err == nil || code != parley.Unknown && code != parley.Timeout {
		t.Errorf("an asker who goes away is told %v", err)
	}
	select {
	case <-left:
	case <-time.After(2 * natshost.Abandon):
		t.Error("the owner still works for an asker who went away")
	}
}
