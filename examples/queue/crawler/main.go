// Command crawler reads a web site, page by page, from a queue: any number of
// crawlers share the work.
//
//	parley serve &
//	go run ./examples/queue/crawler -rate 5/s http://127.0.0.1:8000/
//
// A page that waits already is not added again: its URL is the job's Unique. The
// host is the job's key, so one page of a host is read at a time, and a limit says
// how many a second. The crawler ends when the queue is empty.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/throttle"
)

const pages = "pages"

// crawler is the handler.
type crawler struct {
	client *client.Client
	web    *http.Client
	limit  *throttle.Limiter // by host
	host   string            // the site that is read; others are left alone

	mu   sync.Mutex
	seen map[string]bool // URLs that were added, or are read
}

var link = regexp.MustCompile(`href="([^"]+)"`)

func (c *crawler) handle(ctx context.Context, job *queue.Lease) (queue.Result, error) {
	page, err := url.Parse(string(job.Event.Data))
	if err != nil {
		return nil, queue.Fatal(err)
	}
	if err := c.limit.Wait(ctx, page.Host, 1); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), nil)
	if err != nil {
		return nil, queue.Fatal(err)
	}
	res, err := c.web.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("the site says %s", res.Status) // try again later
	case res.StatusCode != http.StatusOK:
		return nil, queue.Fatal(fmt.Errorf("the site says %s", res.Status))
	}
	fmt.Printf("%s %d bytes\n", page, len(body))
	return nil, c.add(ctx, c.links(page, body)...)
}

// links gives the pages of the same site that a page names.
func (c *crawler) links(page *url.URL, body []byte) (out []*url.URL) {
	for _, m := range link.FindAllSubmatch(body, -1) {
		if to, err := page.Parse(string(m[1])); err == nil && to.Host == c.host && strings.HasPrefix(to.Scheme, "http") {
			to.Fragment = ""
			out = append(out, to)
		}
	}
	return out
}

// add puts pages into the queue that were not there before.
func (c *crawler) add(ctx context.Context, all ...*url.URL) error {
	var jobs []queue.Job
	c.mu.Lock()
	for _, u := range all {
		if at := u.String(); !c.seen[at] {
			c.seen[at] = true
			jobs = append(jobs, queue.Job{Event: parley.Event{Data: []byte(at)}, Unique: at, Key: u.Host})
		}
	}
	c.mu.Unlock()
	if len(jobs) == 0 {
		return nil
	}
	_, err := c.client.Enqueue(ctx, pages, jobs, queue.EnqueueOptions{})
	return err
}

func main() {
	server := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	rate := flag.String("rate", "5/s burst=1", "how fast a host is read")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: crawler [-server URL] [-rate RATE] URL")
		os.Exit(2)
	}
	if err := run(ctx, *server, *rate, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server, rate, start string) error {
	first, err := url.Parse(start)
	if err != nil {
		return err
	}
	limit, err := throttle.ParseLimit(rate)
	if err != nil {
		return err
	}
	c := &crawler{web: &http.Client{Timeout: 30 * time.Second}, host: first.Host, seen: map[string]bool{}}
	if c.limit, err = throttle.New(limit, throttle.Options{}); err != nil {
		return err
	}
	if c.client, err = client.New(server, client.Options{}); err != nil {
		return err
	}
	if err := c.add(ctx, first); err != nil {
		return err
	}
	q := c.client.Queue(pages)
	w, err := queue.NewWorker(q, c.handle, queue.WorkerOptions{Name: "crawler", Concurrency: 4, Wait: 5 * time.Second})
	if err != nil {
		return err
	}
	working, enough := context.WithCancel(ctx)
	defer enough()
	var watch sync.WaitGroup
	watch.Go(func() { defer enough(); untilEmpty(working, q) })
	err = w.Run(working)
	enough()
	watch.Wait()
	return err
}

// untilEmpty returns when no page waits, rests or is being read.
func untilEmpty(ctx context.Context, q *client.Queue) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if s, err := q.Stats(ctx); err == nil && s.Ready+s.Delayed+s.Leased == 0 {
			return
		}
	}
}
