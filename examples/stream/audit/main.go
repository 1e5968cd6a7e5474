// Command audit keeps a log of who did what, that nobody can change unnoticed. It is
// kept for ever, and each event carries the digest of the one before it.
//
//	parley serve &
//	go run ./examples/stream/audit ada 'opened the vault'
//	printf 'ada\tclosed the vault\ngrace\tasked for the key\n' | go run ./examples/stream/audit
//	parley stream verify audit
//
// Several of it may write at once: the digest that an event follows is also the key
// under which it is published, so that of two that would follow the same event one
// is refused, reads what came meanwhile, and tries again.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
)

const topic = "audit"

// deed is an event's data.
type deed struct {
	Who  string `json:"who"`
	What string `json:"what"`
}

type auditor struct{ client *client.Client }

// record adds a deed to the log, and gives its event.
func (a *auditor) record(ctx context.Context, d deed) (parley.Event, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return parley.Event{}, err
	}
	e := parley.Event{ID: rand.Text(), Source: "/examples/audit", Type: "deed", Subject: d.Who, DataContentType: "application/json", Data: data}
	for {
		head, err := a.head(ctx)
		if err != nil {
			return e, err
		}
		e.Time = time.Now()
		if _, err := stream.Link(head, &e); err != nil {
			return e, err
		}
		// What was asked for under the key stays known for two minutes at least, which
		// is longer than it takes to come here from head.
		_, _, err = a.client.PublishOnce(ctx, "after-"+head, topic, e)
		if parley.CodeOf(err) != parley.KeyReused {
			return e, err
		}
	}
}

// head is the digest of the newest event.
func (a *auditor) head(ctx context.Context) (string, error) {
	page, err := a.client.Poll(ctx, topic, client.Poll{Tail: 1})
	if err != nil || len(page.Events) == 0 {
		return stream.ChainStart, err
	}
	return stream.EventDigest(&page.Events[0]), nil
}

func main() {
	url := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, flag.Args(), os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string, args []string, in io.Reader) error {
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	// One partition is one order, and so one chain.
	if _, err := c.PutTopic(ctx, topic, json.RawMessage(`{"partitions": 1, "max_age": "forever"}`)); err != nil {
		return err
	}
	switch len(args) {
	case 0:
	case 2:
		in = strings.NewReader(args[0] + "\t" + args[1])
	default:
		return errors.New("usage: audit [-server URL] [WHO WHAT]; without them, lines of both with a tab between")
	}
	a := &auditor{c}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		who, what, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			return fmt.Errorf("%q has no tab between who and what", lines.Text())
		}
		e, err := a.record(ctx, deed{who, what})
		if err != nil {
			return err
		}
		fmt.Println(stream.EventDigest(&e))
	}
	return lines.Err()
}
