package parley_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// An event is written to a log and read back by somebody who follows it.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	log := memlog.New(memlog.Options{})
	orders := parley.Stream{Name: "orders/0"}

	batch, err := parley.NewBatch(time.Now(), parley.Event{
		ID: "1", Source: "/shop", Type: "order.created",
		DataContentType: "application/json", Data: []byte(`{"total": 12}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := log.Append(ctx, parley.Write{Stream: orders, Batch: batch}); err != nil {
		fmt.Println(err)
		return
	}
	for run, err := range parley.Follow(ctx, log, parley.Place{Stream: orders}, 64<<10) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for record, err := range run.Records() {
			if err != nil {
				fmt.Println(err)
				return
			}
			event, err := record.Event()
			fmt.Println(event.Type, string(event.Data), err)
		}
		break
	}
	// Output: order.created {"total": 12} <nil>
}

// Compare-and-append is the only lock that the patterns need: of two writers
// who saw the same state, one is told to look again.
func ExampleLog() {
	ctx := context.Background()
	var log parley.Log = memlog.New(memlog.Options{})
	claim := func(who string, seen parley.Position) parley.Position {
		batch, err := parley.NewBatch(time.Now(), parley.Event{ID: who, Source: "/workers", Type: "claimed"})
		if err != nil {
			fmt.Println(err)
			return 0
		}
		done, err := log.Append(ctx, parley.Write{Stream: parley.Stream{Name: "lease"}, Expect: seen, Batch: batch})
		if err != nil {
			fmt.Println(who, "was late:", parley.CodeOf(err))
			return 0
		}
		fmt.Println(who, "holds the lease")
		return done[0].Base
	}
	held := claim("anna", parley.Empty)
	claim("ben", parley.Empty)
	claim("ben", held)
	// Output:
	// anna holds the lease
	// ben was late: conflict
	// ben holds the lease
}

// A builder encodes many events into one batch, which is stored, sent and read
// back byte for byte.
func ExampleBuilder() {
	b := parley.Builder{Codec: parley.Gzip}
	for i := range 100 {
		e := parley.Event{ID: fmt.Sprint(i), Source: "/sensor", Type: "reading", Data: []byte("21.5")}
		if err := b.Add(time.UnixMilli(1_700_000_000_000), &e); err != nil {
			fmt.Println(err)
			return
		}
	}
	batch, err := b.Batch()
	fmt.Println(batch.Len(), batch.Codec(), batch.Size() < b.Size()/10, err)
	// Output: 100 gzip true <nil>
}

func ExampleParseJSON() {
	event, err := parley.ParseJSON([]byte(`{
		"specversion": "1.0", "id": "A234-1234-1234", "source": "/mycontext", "type": "com.example.someevent",
		"datacontenttype": "application/json", "data": {"appinfoA": "abc"}, "partitionkey": "tenant-7"
	}`))
	fmt.Println(event.ID, event.Key(), string(event.Data), err)

	_, err = parley.ParseJSON([]byte(`{"specversion": "1.0", "id": "1", "source": "/a b", "type": "t"}`))
	fmt.Println(err)
	// Output:
	// A234-1234-1234 tenant-7 {"appinfoA": "abc"} <nil>
	// invalid (source): not a URI reference; percent-encode what RFC 3986 does not allow, as in "/my%20service"
}

func ExampleEvent_WriteHTTP() {
	event := parley.Event{ID: "1", Source: "/shop", Type: "order.created", Subject: "Zoë", DataContentType: "text/plain", Data: []byte("hi")}
	header := http.Header{}
	event.WriteHTTP(header)
	fmt.Println(header.Get("ce-subject"), header.Get("Content-Type"))

	events, mode, err := parley.ParseHTTP(header, event.Data)
	fmt.Println(mode, events[0].Subject, err)
	// Output:
	// Zo%C3%AB text/plain
	// binary Zoë <nil>
}

func ExampleCodeOf() {
	err := fmt.Errorf("saving: %w", parley.Errorf(parley.Full, "no space left"))
	code := parley.CodeOf(err)
	fmt.Println(code, "-", code.Info().Title)
	// Output: full - Disk full
}
