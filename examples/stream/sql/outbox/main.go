// Command outbox publishes what transactions of a PostgreSQL database have added to
// their table outbox, which it makes: each committed row once, and in order.
// PostgreSQL has to be 14 or later.
//
//	parley serve &
//	go -C examples/stream/sql run ./outbox -database postgres://localhost/shop &
//	psql shop -c "INSERT INTO outbox (topic, key, type, data) VALUES ('orders', '7', 'order.placed', '{\"order\": 7}')"
//	parley sub orders --from earliest
//
// Once: a row is deleted after it is published, and it is published under its id as
// the idempotency key, so that the relay may die between the two. The server knows
// a key for two minutes at least: start the relay again sooner. Whoever has to be
// sure beyond that knows an event by its source and id.
//
// In order: rows are read by id, and all of them each time. A relay that
// remembered the greatest id would lose rows: a transaction may commit after one
// that has greater ids. Of two transactions that were under way at once, the one
// that committed first may come first; of two that changed the same row before they
// added to the outbox, the second has the greater id, and comes second.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

//go:embed schema.sql
var schema string

// lock is held by the relay that works; others wait for it to end.
const lock = 7275001

// batch is how many rows are read, published and deleted at a time.
const batch = 200

// row is one of the outbox.
type row struct {
	ID               int64
	Topic, Key, Type string
	Data             []byte
	Created          time.Time
}

type relay struct {
	db     *pgx.Conn
	client *client.Client
	source string
}

// run relays until ctx ends.
func (r *relay) run(ctx context.Context) error {
	for _, sql := range []string{"SELECT pg_advisory_lock(" + strconv.Itoa(lock) + ")", schema, "LISTEN outbox"} {
		if _, err := r.db.Exec(ctx, sql); err != nil {
			return err
		}
	}
	fmt.Println("relaying")
	for {
		n, err := r.some(ctx)
		if err == nil && n == 0 {
			_, err = r.db.WaitForNotification(ctx) // LISTEN came first: no commit is missed
		}
		if err != nil {
			return err
		}
	}
}

// some relays the oldest rows there are, and gives their number.
func (r *relay) some(ctx context.Context) (int, error) {
	found, err := r.db.Query(ctx, "SELECT id, topic, key, type, data, created FROM outbox ORDER BY id LIMIT $1", batch)
	if err != nil {
		return 0, err
	}
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[row])
	if err != nil {
		return 0, err
	}
	ids, repeats := make([]int64, len(rows)), 0
	for i, row := range rows {
		ids[i] = row.ID
		repeat, err := r.publish(ctx, row)
		if err != nil { // to pass it over would be to lose it, or its order
			return 0, fmt.Errorf("row %d of the outbox: %w", row.ID, err)
		}
		if repeat {
			repeats++
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	if _, err := r.db.Exec(ctx, "DELETE FROM outbox WHERE id = ANY($1)", ids); err != nil {
		return 0, err
	}
	fmt.Printf("relayed %d rows, %d of which had been published\n", len(rows), repeats)
	return len(rows), nil
}

func (r *relay) publish(ctx context.Context, row row) (repeat bool, err error) {
	id := strconv.FormatInt(row.ID, 10)
	e := parley.Event{ID: id, Source: r.source, Type: row.Type, Subject: row.Key, Time: row.Created, DataContentType: "application/json", Data: row.Data}
	e.Set(parley.PartitionKey, row.Key)
	_, repeat, err = r.client.PublishOnce(ctx, r.source+"/"+id, row.Topic, e)
	return repeat, err
}

func main() {
	url := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	database := flag.String("database", "", "the database, as `URL` or as libpq takes it; PGHOST and its like count, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, *database); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, database string) error {
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	db, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }() // it is read from, and what is not committed comes again
	r := &relay{db, c, "/postgres/" + db.Config().Database + "/outbox"}
	return r.run(ctx)
}
