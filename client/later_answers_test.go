package client_test

import (
	"context"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/stream"
)

// looks are calls that change nothing, of which each gives a value.
type looks map[string]func(ctx context.Context, c *client.Client) (any, error)

// sameLater fails if a client understands a later server's answers otherwise than
// those of this one.
func sameLater(t *testing.T, now, later *client.Client, all looks) {
	t.Helper()
	for name, look := range all {
		want, err := look(t.Context(), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := look(t.Context(), later)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: of a later server %+v, %v; now %+v", name, got, err, want)
		}
		if reflect.ValueOf(want).IsZero() {
			t.Errorf("%s: there was nothing to look at", name)
		}
	}
}

// laterClient is a client of the same server, which is a later one to it.
func laterClient(t *testing.T, transport http.RoundTripper) *client.Client {
	t.Helper()
	c, err := client.New("http://parley.test", client.Options{HTTP: &http.Client{Transport: client.LaterTransport(transport)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestQueuesOfALaterServer(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		later := laterClient(r.T, r.transport)
		q, ctx := later.Queue("emails"), r.Context()
		set, err := q.Configure(ctx, queue.Settings{Visibility: time.Minute, Retry: queue.Retry{Kind: queue.Fixed, Delay: time.Second}, Results: "-"})
		r.must(err)
		if set.Visibility != time.Minute || set.Retry.Delay != time.Second {
			r.Errorf("%+v", set)
		}
		_, err = q.Change(ctx, []byte(`{"results":""}`))
		r.must(err)
		jobs := []queue.Job{{Event: parley.Event{Data: []byte("a")}}, {Event: parley.Event{Data: []byte("b")}, Unique: "u"}, {Event: parley.Event{Data: []byte("c")}}, {Event: parley.Event{Data: []byte("d")}}, {Event: parley.Event{Data: []byte("e")}}}
		list, err := q.Enqueue(ctx, jobs, queue.EnqueueOptions{})
		r.must(err)
		leased, err := q.Lease(ctx, queue.LeaseRequest{Max: 4, Wait: time.Minute})
		r.must(err)
		if len(list) != 5 || len(leased) != 4 || string(leased[3].Event.Data) != "d" || leased[0].Visibility != time.Minute {
			r.Fatalf("%+v, %+v", list, leased)
		}
		r.must(q.Progress(ctx, leased[0].Token, queue.Progress{Fraction: 0.5, Note: "half"}))
		r.must(q.AckWith(ctx, leased[1].Token, queue.Output{ContentType: "text/plain", Data: []byte("done")}))
		errs, err := q.Settle(ctx, []queue.Settlement{{Lease: leased[2].Token, Action: queue.Bury, Cause: "why"}, {Lease: leased[1].Token, Action: queue.Ack}})
		r.must(err)
		if len(errs) != 2 || errs[0] != nil || parley.CodeOf(errs[1]) != parley.Conflict {
			r.Errorf("%v", errs)
		}
		if errs, err = q.Cancel(ctx, list[4].ID, 999); err != nil || errs[0] != nil || parley.CodeOf(errs[1]) != parley.NotFound {
			r.Errorf("%v, %v", errs, err)
		}
		_, _, err = q.PutSchedule(ctx, queue.Schedule{Name: "s", Cron: "0 8 * * *", Job: queue.Job{Event: parley.Event{Data: []byte("x")}, Priority: 3, Retry: &queue.Retry{Kind: queue.Fixed, Delay: time.Second}}})
		r.must(err)
		sameLater(r.T, r.client, later, looks{
			"queues": func(ctx context.Context, c *client.Client) (any, error) { return c.Queues(ctx) },
			"info":   func(ctx context.Context, c *client.Client) (any, error) { return c.Queue("emails").Info(ctx) },
			"job": func(ctx context.Context, c *client.Client) (any, error) {
				return c.Queue("emails").Get(ctx, list[0].ID)
			},
			"peek": func(ctx context.Context, c *client.Client) (any, error) {
				return c.Queue("emails").Peek(ctx, queue.PeekRequest{State: queue.Dead})
			},
			"result": func(ctx context.Context, c *client.Client) (any, error) {
				return c.Queue("emails").Result(ctx, list[1].ID, 0)
			},
			"schedules": func(ctx context.Context, c *client.Client) (any, error) { return c.Queue("emails").Schedules(ctx) },
			"schedule":  func(ctx context.Context, c *client.Client) (any, error) { return c.Queue("emails").Schedule(ctx, "s") },
		})
		if n, err := q.Redrive(ctx, queue.Filter{}); err != nil || n != 1 {
			r.Errorf("redriven %d, %v", n, err)
		}
		if n, err := q.Purge(ctx, queue.Ready); err != nil || n != 1 {
			r.Errorf("purged %d, %v", n, err)
		}
	})
}

func TestGroupsOfALaterServer(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 2, 1, 30)
		later := laterClient(r.T, r.transport)
		places, err := later.Group("g").Seek(r.Context(), client.GroupSeek{To: "earliest", Topics: []string{"numbers"}})
		r.must(err)
		if len(places) != 2 {
			r.Errorf("%v", places)
		}
		r.must(later.Group("g").Commit(r.Context(), stream.Place{Topic: "numbers", Position: 3}))
		c, err := later.Group("g").Consumer(client.ConsumerOptions{Topics: []string{"numbers"}, AutoCommit: time.Second})
		r.must(err)
		n := 0
		for _, err := range c.Messages(r.Context()) {
			r.must(err)
			if n++; n == 28 {
				sameLater(r.T, r.client, later, looks{
					"groups": func(ctx context.Context, c *client.Client) (any, error) { return c.Groups(ctx) },
					"info":   func(ctx context.Context, c *client.Client) (any, error) { return c.Group("g").Info(ctx) },
				})
				break
			}
		}
		m, err := later.Reader("numbers", 0, "earliest").Fetch(r.Context(), 100, 0)
		if err != nil || len(m) != 15 {
			r.Errorf("read %d, %v", len(m), err)
		}
	})
}

func TestPipesOfALaterServer(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		later := laterClient(r.T, r.http.Transport)
		_, created, err := later.PutPipe(r.Context(), "p", []byte(doubled), declared.PutOptions{})
		if err != nil || !created {
			r.Fatal(created, err)
		}
		publish(r.T, later, 1, 3)
		r.stats("p")
		sameLater(r.T, r.client, later, looks{
			"pipes": func(ctx context.Context, c *client.Client) (any, error) { return c.Pipes(ctx) },
			"pipe":  func(ctx context.Context, c *client.Client) (any, error) { return c.Pipe(ctx, "p") },
			"check": func(ctx context.Context, c *client.Client) (any, error) { return c.CheckPipe(ctx, "p", nil) },
			"stats": func(ctx context.Context, c *client.Client) (any, error) { return c.PipeStats(ctx, "p") },
			"poll": func(ctx context.Context, c *client.Client) (any, error) {
				return c.Poll(ctx, "doubled", client.Poll{After: "earliest"})
			},
			"topic": func(ctx context.Context, c *client.Client) (any, error) {
				one, err := c.Topic(ctx, "doubled")
				one.Settings = nil // as they were sent
				return one, err
			},
		})
	})
}
