// Command cdc publishes every change of some tables of a PostgreSQL database, in the
// order of the commits, each once: change data capture.
//
//	parley serve &
//	go -C examples/stream/sql run ./cdc -database postgres://localhost/shop customers orders &
//	psql shop -c "UPDATE orders SET state = 'paid' WHERE id = 7"
//	parley sub changes --from earliest
//	# {"op":"update","table":"public.orders","key":{"id":7},"after":{"id":7,"state":"paid"}}
//
// The database keeps its log for a replication slot until what is in it was
// published, and decodes it (plugin pgoutput): wal_level has to be logical, the
// tables need primary keys, and a slot whose program is not started again fills the
// database's disk. Rows that were there before are not published.
//
// How far it has come is in the topic itself: each event has the place (LSN) of its
// commit and its number in the transaction. After a crash the database sends again
// what it was not told about, and all up to the newest event is passed over.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parleyhq/parley/client"
)

func main() {
	server := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	database := flag.String("database", "", "the database, as `URL` or as libpq takes it; PGHOST and its like count, too")
	topic := flag.String("topic", "changes", "where changes are published")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *server, *database, *topic, flag.Args()); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server, database, topic string, tables []string) error {
	if len(tables) == 0 {
		return errors.New("usage: cdc [-server URL] [-database URL] [-topic TOPIC] TABLE…")
	}
	c, err := client.New(server, client.Options{})
	if err != nil {
		return err
	}
	// One partition is one order: that of the commits.
	if _, err := c.PutTopic(ctx, topic, json.RawMessage(`{"partitions": 1}`)); err != nil {
		return err
	}
	config, err := pgconn.ParseConfig(database)
	if err != nil {
		return err
	}
	config.RuntimeParams["replication"] = "database"
	db, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }() // what it was not told comes again
	system, err := pglogrepl.IdentifySystem(ctx, db)
	if err != nil {
		return err
	}
	p := &publisher{client: c, topic: topic, source: "/postgres/" + system.SystemID + "/" + url.PathEscape(system.DBName)}
	if err := begin(ctx, db, slotOf(system.DBName), tables); err != nil {
		return err
	}
	// Only now: whoever had the slot before cannot publish any more.
	if err := p.resume(ctx); err != nil {
		return err
	}
	fmt.Println("capturing after", p.last)
	return (&capture{db: db, to: p}).run(ctx)
}

// slotOf names the slot of a database, and its publication: slots have their names
// in the whole server, of lower-case letters, digits and underscores.
func slotOf(database string) string {
	plain := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}
	name := "parley_cdc_" + strings.Map(plain, strings.ToLower(database))
	return name[:min(len(name), 63)]
}

// begin makes the publication and the slot, where they are not there yet, and has
// the database send from where the slot is.
func begin(ctx context.Context, db *pgconn.PgConn, name string, tables []string) error {
	for i := range tables {
		tables[i] = pgx.Identifier(strings.Split(tables[i], ".")).Sanitize()
	}
	list := strings.Join(tables, ", ")
	sql := "CREATE PUBLICATION " + name + " FOR TABLE " + list
	if there, err := exists(ctx, db, "SELECT 1 FROM pg_publication WHERE pubname = '"+name+"'"); err != nil {
		return err
	} else if there {
		sql = "ALTER PUBLICATION " + name + " SET TABLE " + list
	}
	if _, err := db.Exec(ctx, sql).ReadAll(); err != nil {
		return err
	}
	if there, err := exists(ctx, db, "SELECT 1 FROM pg_replication_slots WHERE slot_name = '"+name+"' AND database = current_database()"); err != nil {
		return err
	} else if !there {
		o := pglogrepl.CreateReplicationSlotOptions{Mode: pglogrepl.LogicalReplication, SnapshotAction: "NOEXPORT_SNAPSHOT"}
		if _, err := pglogrepl.CreateReplicationSlot(ctx, db, name, "pgoutput", o); err != nil {
			return err
		}
	}
	o := pglogrepl.StartReplicationOptions{Mode: pglogrepl.LogicalReplication, PluginArgs: []string{"proto_version '1'", "publication_names '" + name + "'"}}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := pglogrepl.StartReplication(ctx, db, name, 0, o) // 0: from where the slot is
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "55006" {
			return err
		}
		// In use: by another of us, or by one that has died, which the database will notice.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func exists(ctx context.Context, db *pgconn.PgConn, query string) (bool, error) {
	results, err := db.Exec(ctx, query).ReadAll()
	return err == nil && slices.ContainsFunc(results, func(r *pgconn.Result) bool { return len(r.Rows) > 0 }), err
}

// place is that of a change: its transaction's commit, and its number in there.
type place struct {
	commit pglogrepl.LSN
	change int
}

// String is as in 0/16B3748#2.
func (p place) String() string { return p.commit.String() + "#" + strconv.Itoa(p.change) }

func (p place) after(o place) bool {
	return p.commit > o.commit || p.commit == o.commit && p.change > o.change
}
