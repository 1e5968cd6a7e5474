// Command report makes reports of what a shop has sold, while whoever asked for one
// waits, or goes and comes back for it.
//
//	parley serve &
//	parley pub sales '{"month": "2026-11", "item": "tea", "cents": 450}'
//	go run ./examples/queue/report work &
//	go run ./examples/queue/report get 2026-11
//
// A report that is being made already is not made twice: its month is the job's
// Unique, and all who ask wait for the same job. The report is the job's result.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

const reports, sales = "reports", "sales"

// sale is an event of the topic.
type sale struct {
	Month, Item string
	Cents       int
}

type office struct{ client *client.Client }

// handle makes one report.
func (o *office) handle(ctx context.Context, job *queue.Lease) (queue.Result, error) {
	month := string(job.Event.Data)
	if _, err := time.Parse("2006-01", month); err != nil {
		return nil, queue.Fatal(err)
	}
	sums, read := map[string]int{}, 0
	for at, more := "earliest", true; more; {
		page, err := o.client.Poll(ctx, sales, client.Poll{After: at, Limit: 1000})
		if err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			var s sale
			if json.Unmarshal(e.Data, &s) == nil && s.Month == month {
				sums[s.Item] += s.Cents
			}
		}
		at, more, read = page.Cursor, page.More, read+len(page.Events)
		// It also extends the lease. parley queue show has it.
		if err := job.Report(ctx, queue.Progress{Fraction: 0.5, Note: strconv.Itoa(read) + " sales read"}); err != nil {
			return nil, err
		}
	}
	return queue.Output{ContentType: "text/csv", Data: []byte(table(sums))}, nil
}

func table(sums map[string]int) string {
	var text strings.Builder
	w := csv.NewWriter(&text)
	_ = w.Write([]string{"item", "cents"}) // a builder takes everything
	for _, item := range slices.Sorted(maps.Keys(sums)) {
		_ = w.Write([]string{item, strconv.Itoa(sums[item])})
	}
	w.Flush()
	return text.String()
}

// work makes reports until ctx ends.
func (o *office) work(ctx context.Context) error {
	w, err := queue.NewWorker(o.client.Queue(reports), o.handle, queue.WorkerOptions{Name: "office", Timeout: 10 * time.Minute})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// get asks for a report, waits for it, and prints it.
func (o *office) get(ctx context.Context, month string) error {
	q := o.client.Queue(reports)
	added, err := q.Enqueue(ctx, []queue.Job{{Event: parley.Event{Data: []byte(month)}, Unique: month}}, queue.EnqueueOptions{})
	if err != nil {
		return err
	}
	id := added[0].ID
	if added[0].Duplicate != 0 {
		id = added[0].Duplicate
	}
	for {
		out, err := q.Result(ctx, id, 30*time.Second)
		switch {
		case err != nil:
			return err
		case out.State == queue.Dead:
			return fmt.Errorf("there will be no report: %s", out.Reason)
		case out.State == queue.Canceled:
			return errors.New("the report was canceled")
		case out.State == queue.Done && out.Result == nil:
			return errors.New("the report is not kept any more")
		case out.State == queue.Done:
			_, err = os.Stdout.Write(out.Result.Data)
			return err
		}
		fmt.Fprintln(os.Stderr, "the report is", out.State)
	}
}

func main() {
	url := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string, args []string) error {
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	o := &office{c}
	switch {
	case len(args) == 1 && args[0] == "work":
		return o.work(ctx)
	case len(args) == 2 && args[0] == "get":
		return o.get(ctx, args[1])
	}
	return errors.New("usage: report [-server URL] work | get MONTH")
}
