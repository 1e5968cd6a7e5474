// Command readmodel folds the events of a shop into tables that can be asked: an
// SQLite file, which holds nothing that is not in the events. It may be deleted at
// any time, after a change of the fold above all, and is made again.
//
//	parley serve &
//	parley pub orders --key 1001 --type order.placed '{"order": "1001", "customer": "ada", "cents": 450}'
//	parley pub orders --key 1001 --type order.paid '{"order": "1001"}'
//	go -C examples/stream/sql run ./readmodel -db /tmp/shop.db
//	sqlite3 /tmp/shop.db 'SELECT * FROM customers'
//
// The place in the events is in the same file, and moves in the transaction that
// does what they say: each event counts once, wherever the program is killed. So it
// needs no consumer group, and two files never disturb each other.
//
// Events of one order have its number as their key, and so keep their order in a
// topic of many partitions. Those of different orders may come in any order: what
// the fold does must not depend on it, or a replay would make something else.
package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	_ "modernc.org/sqlite"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

//go:embed schema.sql
var schema string

const topic = "orders"

// fact is an event's data. Further members, and events of other types, are for
// others: they may come at any time, and change nothing here.
type fact struct {
	Order    string `json:"order"`
	Customer string `json:"customer"`
	Cents    int64  `json:"cents"`
}

type model struct {
	db     *sql.DB
	client *client.Client
}

// fold does what is there, and with follow what comes, until ctx ends.
func (m *model) fold(ctx context.Context, follow bool) error {
	at := "earliest"
	if err := m.db.QueryRowContext(ctx, "SELECT cursor FROM place").Scan(&at); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	for {
		p := client.Poll{After: at, Limit: 1000}
		if follow {
			p.Wait = 30 * time.Second
		}
		page, err := m.client.Poll(ctx, topic, p)
		if err != nil {
			return err // among them: retention has removed what was to come next
		}
		if err := m.apply(ctx, page); err != nil {
			return err
		}
		if at = page.Cursor; !page.More && !follow {
			return nil
		}
	}
}

// apply does what a page of events says, and moves the place, or neither.
func (m *model) apply(ctx context.Context, page client.Page) error {
	if len(page.Events) == 0 {
		return nil
	}
	tx, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it does nothing after Commit
	for i := range page.Events {
		if err := event(ctx, tx, &page.Events[i]); err != nil {
			return fmt.Errorf("event %s: %w", page.Events[i].ID, err)
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO place VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE SET cursor = ?1, events = events + ?2`, page.Cursor, len(page.Events))
	if err != nil {
		return err
	}
	return tx.Commit()
}

// next says which state an order must have for an event of a type, and which it
// gets. What does not fit changes nothing.
var next = map[string]struct {
	from []string
	to   string
}{
	"order.paid":     {[]string{"placed"}, "paid"},
	"order.shipped":  {[]string{"paid"}, "shipped"},
	"order.canceled": {[]string{"placed", "paid"}, "canceled"},
}

// event does what one event says.
func event(ctx context.Context, tx *sql.Tx, e *parley.Event) error {
	var f fact
	if json.Unmarshal(e.Data, &f) != nil || f.Order == "" {
		return nil // it would be the same at each replay
	}
	if e.Type == "order.placed" {
		done, err := changed(tx.ExecContext(ctx, `INSERT INTO orders VALUES (?, ?, ?, 'placed') ON CONFLICT DO NOTHING`, f.Order, f.Customer, f.Cents))
		if err != nil || !done {
			return err
		}
		return count(ctx, tx, f.Order, 1)
	}
	step := next[e.Type]
	for _, from := range step.from {
		done, err := changed(tx.ExecContext(ctx, `UPDATE orders SET state = ? WHERE id = ? AND state = ?`, step.to, f.Order, from))
		if err != nil {
			return err
		}
		if done && step.to == "canceled" {
			return count(ctx, tx, f.Order, -1)
		}
		if done {
			break
		}
	}
	return nil
}

// count adds an order to those of its customer, or takes it off.
func count(ctx context.Context, tx *sql.Tx, order string, n int) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO customers SELECT customer, ?1, ?1 * cents FROM orders WHERE id = ?2
		ON CONFLICT (name) DO UPDATE SET orders = orders + excluded.orders, cents = cents + excluded.cents`, n, order)
	return err
}

func changed(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// digest tells whether two models are the same.
func (m *model) digest(ctx context.Context) (string, error) {
	h := sha256.New()
	for _, query := range []string{"SELECT json_array(id, customer, cents, state) FROM orders ORDER BY id", "SELECT json_array(name, orders, cents) FROM customers ORDER BY name"} {
		rows, err := m.db.QueryContext(ctx, query)
		if err != nil {
			return "", err
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return "", err
			}
			_, _ = fmt.Fprintln(h, line) // a hash takes everything
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func main() {
	url := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	file := flag.String("db", "shop.db", "the `file` of the tables")
	follow := flag.Bool("follow", false, "go on with what comes, until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, *file, *follow); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, file string, follow bool) error {
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // who writes is one
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	m := &model{db, c}
	if follow {
		fmt.Println("following")
	}
	if err := m.fold(ctx, follow); err != nil && (!follow || ctx.Err() == nil) {
		return err
	}
	ctx = context.WithoutCancel(ctx) // what is left is short
	digest, err := m.digest(ctx)
	if err != nil {
		return err
	}
	var orders, events int
	if err := db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM orders), coalesce((SELECT events FROM place), 0)").Scan(&orders, &events); err != nil {
		return err
	}
	fmt.Printf("%d orders of %d events, digest %s\n", orders, events, digest)
	return nil
}
