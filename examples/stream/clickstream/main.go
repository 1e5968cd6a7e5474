// Command clickstream makes metrics of what visitors of a site click on. Each metric
// is a consumer group of its own: they read the same clicks, each at its pace, and a
// metric that is thought of later goes back and counts what has been.
//
//	parley serve &
//	parley topic create clicks --partitions 4
//	parley pub clicks --key ada '{"page": "/"}'
//	go run ./examples/stream/clickstream views
//	go run ./examples/stream/clickstream -since 2026-11-01T00:00:00Z visitors
//
// views counts the clicks of each page, and visitors tells them apart by their key.
// A metric goes on until Ctrl-C, and prints what it has counted whenever it has read
// all there is. Several of one group share the partitions, and each prints its own.
//
// What was counted is in memory: a group that is started again goes on with what it
// has not committed, and -since TIME counts anew from there.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

const topic = "clicks"

// metric takes clicks, and tells what they come to.
type metric interface {
	add(page, visitor string)
	tell() map[string]int // by page
}

var metrics = map[string]func() metric{
	"views":    func() metric { return views{} },
	"visitors": func() metric { return visitors{} },
}

type views map[string]int

func (v views) add(page, _ string)   { v[page]++ }
func (v views) tell() map[string]int { return v }

type visitors map[string]map[string]bool

func (v visitors) add(page, visitor string) {
	if v[page] == nil {
		v[page] = map[string]bool{}
	}
	v[page][visitor] = true
}

func (v visitors) tell() map[string]int {
	n := map[string]int{}
	for page, who := range v {
		n[page] = len(who)
	}
	return n
}

func main() {
	url := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	since := flag.String("since", "", "count anew from this `time`, in RFC 3339")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, *since, flag.Arg(0)); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, since, name string) error {
	start := metrics[name]
	if start == nil {
		return errors.New("usage: clickstream [-server URL] [-since TIME] views|visitors")
	}
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	group := c.Group(name)
	if since != "" {
		if _, err := group.Seek(ctx, client.GroupSeek{To: "@" + since, Topics: []string{topic}}); err != nil {
			return err
		}
	}
	consumer, err := group.Consumer(client.ConsumerOptions{Topics: []string{topic}, Client: "clickstream", Limit: 1000})
	if err != nil {
		return err
	}
	m := start()
	for batch, err := range consumer.Batches(ctx) {
		if err != nil {
			return err
		}
		for _, message := range batch {
			count(m, message.Event)
		}
		if err := consumer.Commit(ctx); err != nil {
			return err // what was counted is not kept, so that going on would count twice
		}
		if info, err := group.Info(ctx); err == nil && info.Lag != nil && *info.Lag == 0 {
			show(name, m.tell())
		}
	}
	return nil
}

// count counts one click; what is none changes nothing.
func count(m metric, e parley.Event) {
	var click struct{ Page string }
	if json.Unmarshal(e.Data, &click) == nil && click.Page != "" {
		m.add(click.Page, e.Key())
	}
}

func show(name string, counts map[string]int) {
	fmt.Print(name, ":")
	for _, page := range slices.Sorted(maps.Keys(counts)) {
		fmt.Printf(" %s %d", page, counts[page])
	}
	fmt.Println()
}
