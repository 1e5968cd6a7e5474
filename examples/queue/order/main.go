// Command order works a shop's orders off: each becomes three jobs, which different
// workers do beside one another and each at its own pace: fulfilment, an invoice,
// and a confirmation.
//
//	parley serve &
//	go run ./examples/queue/order &
//	parley queue push orders '{"order": "1001", "item": "tea", "cents": 450}'
//
// The three are added under idempotency keys made of the order's job, so that an
// order that is tried again after a crash does not become six.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

// order is a job's data.
type order struct {
	Order string `json:"order"`
	Item  string `json:"item"`
	Cents int    `json:"cents"`
}

// steps are the queues that an order goes to, and what is done there.
var steps = map[string]func(order) (string, error){
	"fulfilment":   func(o order) (string, error) { return "packed " + o.Item, nil },
	"invoice":      func(o order) (string, error) { return fmt.Sprintf("invoiced %d.%02d", o.Cents/100, o.Cents%100), nil },
	"confirmation": func(o order) (string, error) { return "told the customer", nil },
}

type shop struct{ client *client.Client }

// split is the handler of orders.
func (s *shop) split(ctx context.Context, job *queue.Lease) (queue.Result, error) {
	o, err := read(job)
	if err != nil {
		return nil, err
	}
	for name := range steps {
		once := queue.EnqueueOptions{IdempotencyKey: "order/" + job.Event.ID}
		e := parley.Event{
			ID: job.Event.ID + "/" + name, Type: "shop." + name, Subject: o.Order,
			DataContentType: "application/json", Data: job.Event.Data,
		}
		// Two jobs of one order never run at once in one queue; those of others do.
		if _, err := s.client.Enqueue(ctx, name, []queue.Job{{Event: e, Key: o.Order}}, once); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// read reads an order; one that is none is dead at once.
func read(job *queue.Lease) (o order, err error) {
	if err = json.Unmarshal(job.Event.Data, &o); err == nil && o.Order == "" {
		err = errors.New("an order without a number")
	}
	if err != nil {
		err = queue.Fatal(err)
	}
	return o, err
}

func main() {
	url := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string) error {
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	handlers := map[string]queue.Handler{"orders": (&shop{c}).split}
	for name, do := range steps {
		handlers[name] = func(_ context.Context, job *queue.Lease) (queue.Result, error) {
			o, err := read(job)
			if err != nil {
				return nil, err
			}
			done, err := do(o)
			if err == nil {
				fmt.Printf("order %s: %s\n", o.Order, done)
			}
			return nil, err
		}
	}
	var workers sync.WaitGroup
	failed := make(chan error, len(handlers))
	for name, h := range handlers {
		w, err := queue.NewWorker(c.Queue(name), h, queue.WorkerOptions{Name: name, Concurrency: 4})
		if err != nil {
			return err
		}
		workers.Go(func() { failed <- w.Run(ctx) })
	}
	workers.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}
