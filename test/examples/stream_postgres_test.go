package examples

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

const accounts = 8

// accountsTable is what the writers below change.
const accountsTable = `CREATE TABLE account (id int PRIMARY KEY, version int NOT NULL, note text);
	INSERT INTO account SELECT n, 0 FROM generate_series(0, 7) AS n;`

// writers run transactions at once, as whoever uses the database does: each raises
// the version of an account, and every seventh is rolled back. What they do besides
// is told by also, with the account as a. It gives how many were committed.
func writers(t *testing.T, db *rig.Postgres, also string) (wait func() int) {
	t.Helper()
	const each, many = 120, 4
	var all sync.WaitGroup
	for w := range many {
		all.Go(func() {
			var sql strings.Builder
			for i := range each {
				end := "COMMIT"
				if i%7 == 6 {
					end = "ROLLBACK"
				}
				fmt.Fprintf(&sql, "BEGIN; WITH a AS (UPDATE account SET version = version + 1 WHERE id = %d RETURNING *) %s; %s;\n", (w+i)%accounts, also, end)
			}
			if _, err := db.Try(sql.String()); err != nil {
				t.Error(err)
			}
		})
	}
	return func() int {
		all.Wait()
		return many * (each - each/7)
	}
}

// versions wants the events of each account to tell its versions, from 1 to the
// newest, and gives how many there are.
func versions(t *testing.T, db *rig.Postgres, events []event, of func(event) (account, version int)) {
	t.Helper()
	newest := map[int]int{}
	for _, e := range events {
		account, version := of(e)
		if version != newest[account]+1 {
			t.Fatalf("event %s tells version %d of account %d after %d", e.ID, version, account, newest[account])
		}
		newest[account] = version
	}
	for line := range strings.Lines(db.Exec(t, "SELECT id, version FROM account")) {
		var id, version int
		if _, err := fmt.Sscanf(line, "%d|%d", &id, &version); err != nil || newest[id] != version {
			t.Errorf("account %d has version %d, and was told up to %d (%v)", id, version, newest[id], err)
		}
	}
}

func accountOf(t *testing.T, data json.RawMessage) (account, version int) {
	t.Helper()
	var row struct{ ID, Version int }
	if err := json.Unmarshal(data, &row); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return row.ID, row.Version
}

// TestOutbox kills the relay again and again, and finds each committed row
// published once, those of one account in order.
func TestOutbox(t *testing.T) {
	s, db := rig.Serve(t), rig.NewPostgres(t)
	parley(t, s, "topic", "create", "accounts", "--partitions", "4")
	parley(t, s, "topic", "create", "bulk")
	parley(t, s, "topic", "create", "late")
	relay := rig.Build(t, "./examples/stream/sql/outbox")
	start := func() *client {
		c := runs(t, relay, "-server", s.URL, "-database", db.URL)
		c.says(t, "relaying")
		return c
	}
	c := start()
	db.Exec(t, accountsTable)

	// Writers at once, and a relay that dies among them.
	wait := writers(t, db, `INSERT INTO outbox (topic, key, type, data) SELECT 'accounts', id::text, 'account.changed', json_build_object('id', id, 'version', version) FROM a`)
	for _, n := range []int{20, 80, 150, 220, 300} {
		rig.Eventually(t, "some rows published", func() bool { return published(t, s, "accounts") >= n })
		c.kills(t)
		c = start()
	}
	committed := wait()
	drained(t, db)
	events := fetch(t, s, "accounts")
	if len(events) != committed {
		t.Errorf("%d rows were committed, and %d events are there", committed, len(events))
	}
	versions(t, db, events, func(e event) (int, int) { return accountOf(t, e.Data) })

	// Killed between publishing and deleting, for sure: the rows come again, and the
	// server knows them.
	db.Exec(t, `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN LOOP PERFORM pg_sleep(0.01); END LOOP; END $$;
		CREATE TRIGGER wait BEFORE DELETE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION wait();
		INSERT INTO outbox (topic, type, data) SELECT 'bulk', 'n', to_json(n) FROM generate_series(0, 199) AS n`)
	rig.Eventually(t, "a relay that deletes", func() bool { return strings.HasPrefix(db.Exec(t, activity), "DELETE") })
	c.kills(t)
	rig.Eventually(t, "the end of its session", func() bool { return db.Exec(t, activity) == "" })
	db.Exec(t, "DROP TRIGGER wait ON outbox")
	c = start()
	c.says(t, "relayed 200 rows, 200 of which had been published")
	for i, e := range fetch(t, s, "bulk") {
		if string(e.Data) != strconv.Itoa(i) || e.Source != "/postgres/"+db.Name+"/outbox" {
			t.Fatalf("event %d is %s", i, e.raw)
		}
	}
	if n := published(t, s, "bulk"); n != 200 {
		t.Errorf("%d events of 200", n)
	}
	lateCommit(t, s, db)
	c.quits(t)
}

// activity tells what the sessions of the relay are doing, but for waiting.
const activity = `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'`

// published is how many events a topic has; one that is not there has none.
func published(t *testing.T, s *rig.Server, topic string) int {
	t.Helper()
	res, err := http.Get(s.URL + "/v1/topics/" + topic)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var in struct{ Events int }
	if err := json.NewDecoder(res.Body).Decode(&in); err != nil {
		t.Fatal(err)
	}
	return in.Events
}

// drained waits until the relay has done all rows.
func drained(t *testing.T, db *rig.Postgres) {
	t.Helper()
	rig.Eventually(t, "an empty outbox", func() bool { return db.Exec(t, "SELECT count(*) FROM outbox") == "0" })
}

// lateCommit has a row with a smaller id commit after one with a greater id was
// published.
func lateCommit(t *testing.T, s *rig.Server, db *rig.Postgres) {
	t.Helper()
	db.Exec(t, "CREATE TABLE gate (open bool)")
	before := db.Exec(t, "SELECT last_value FROM outbox_id_seq")
	var slow sync.WaitGroup
	slow.Go(func() {
		_, err := db.Try(`BEGIN; INSERT INTO outbox (topic, type, data) VALUES ('late', 'n', '1');
			DO $$ BEGIN LOOP EXIT WHEN EXISTS (SELECT FROM gate); PERFORM pg_sleep(0.01); END LOOP; END $$; COMMIT`)
		if err != nil {
			t.Error(err)
		}
	})
	rig.Eventually(t, "a row that is not committed", func() bool { return db.Exec(t, "SELECT last_value FROM outbox_id_seq") != before })
	db.Exec(t, `INSERT INTO outbox (topic, type, data) VALUES ('late', 'n', '2')`)
	rig.Eventually(t, "the row that is", func() bool { return published(t, s, "late") == 1 })
	db.Exec(t, "INSERT INTO gate VALUES (true)")
	slow.Wait()
	rig.Eventually(t, "both rows", func() bool { return published(t, s, "late") == 2 })
	if late := fetch(t, s, "late"); string(late[0].Data)+string(late[1].Data) != "21" || late[0].ID <= late[1].ID {
		t.Errorf("the events are %s and %s", late[0].raw, late[1].raw)
	}
}

// TestCDC kills the capture again and again, also in a transaction that takes
// several requests, and finds each change published once, in order.
func TestCDC(t *testing.T) {
	s, db := rig.Serve(t), rig.NewPostgres(t)
	db.Exec(t, accountsTable+`CREATE TABLE other (n int)`)
	cdc := rig.Build(t, "./examples/stream/sql/cdc")
	start := func() *client {
		c := runs(t, cdc, "-server", s.URL, "-database", db.URL, "account")
		c.prints(t, "capturing")
		return c
	}
	c := start()
	wait := writers(t, db, `INSERT INTO other SELECT version FROM a`) // other is not captured
	for _, n := range []int{20, 80, 150, 220, 300} {
		rig.Eventually(t, "some changes published", func() bool { return published(t, s, "changes") >= n })
		c.kills(t)
		c = start()
	}
	committed := wait()
	rig.Eventually(t, "all changes", func() bool { return published(t, s, "changes") >= committed })
	events := fetch(t, s, "changes")
	if len(events) != committed {
		t.Errorf("%d changes were committed, and %d events are there", committed, len(events))
	}
	versions(t, db, events, func(e event) (int, int) {
		var data struct{ After json.RawMessage }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		return accountOf(t, data.After)
	})

	db.Exec(t, `INSERT INTO account SELECT n, 0 FROM generate_series(1000, 6999) AS n`) // one transaction
	rig.Eventually(t, "some of it published", func() bool { return published(t, s, "changes") > committed })
	c.kills(t)
	c = start()
	rig.Eventually(t, "all of it", func() bool { return published(t, s, "changes") >= committed+6000 })
	bulk := fetch(t, s, "changes")[committed:]
	for i, e := range bulk {
		want := fmt.Sprintf(`{"op":"insert","table":"public.account","key":{"id":%d},"after":{"id":%d,"version":0,"note":null}}`, i+1000, i+1000)
		if string(e.Data) != want || e.LSN != bulk[0].LSN || e.ID != fmt.Sprintf("%s#%d", e.LSN, i+1) {
			t.Fatalf("change %d is %s", i, e.raw)
		}
	}
	rows(t, s, db)
	c.quits(t)

	// The places of another database mean nothing here.
	publishBatch(t, s, "changes", []json.RawMessage{[]byte(`{"specversion":"1.0","id":"x","source":"/postgres/1/shop","type":"row.insert","lsn":"0/1","change":"1"}`)})
	out := fails(t, cdc, "-server", s.URL, "-database", db.URL, "account")
	if !strings.Contains(out, "take another topic") {
		t.Errorf("it says %s", out)
	}
}

// rows changes rows in all ways, and wants the events to tell.
func rows(t *testing.T, s *rig.Server, db *rig.Postgres) {
	t.Helper()
	have := published(t, s, "changes")
	db.Exec(t, `UPDATE account SET note = repeat('x', 9000) || random() WHERE id = 0;
		ALTER TABLE account ALTER note SET STORAGE EXTERNAL, ADD done bool, ADD price numeric, ADD more jsonb, ADD at date;
		UPDATE account SET note = repeat('y', 9000), done = true, price = 1.50, more = '{"a": [1, null]}', at = '2026-11-24' WHERE id = 0;
		UPDATE account SET price = 'NaN' WHERE id = 0;
		UPDATE account SET id = 100, note = E'a "b"\n' WHERE id = 1;
		DELETE FROM account WHERE id = 100;
		ALTER TABLE account REPLICA IDENTITY FULL;
		DELETE FROM account WHERE id = 6;
		TRUNCATE account`)
	rig.Eventually(t, "all of the changes", func() bool { return published(t, s, "changes") >= have+7 })
	got := fetch(t, s, "changes")[have+1:]
	version := func(e event) string {
		var data struct{ Before, After *struct{ Version int } }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if data.After == nil {
			data.After = data.Before
		}
		return strconv.Itoa(data.After.Version)
	}
	const of = `","table":"public.account"`
	for i, want := range []string{
		`{"op":"update` + of + `,"key":{"id":0},"after":{"id":0,"version":` + version(got[0]) + `,"note":"` + strings.Repeat("y", 9000) + `","done":true,"price":1.50,"more":{"a": [1, null]},"at":"2026-11-24"}}`,
		`{"op":"update` + of + `,"key":{"id":0},"after":{"id":0,"version":` + version(got[1]) + `,"done":true,"price":"NaN","more":{"a": [1, null]},"at":"2026-11-24"},"unchanged":["note"]}`,
		`{"op":"update` + of + `,"key":{"id":100},"before":{"id":1},"after":{"id":100,"version":` + version(got[2]) + `,"note":"a \"b\"\n","done":null,"price":null,"more":null,"at":null}}`,
		`{"op":"delete` + of + `,"key":{"id":100}}`,
		`{"op":"delete` + of + `,"key":{"id":6,"version":` + version(got[4]) + `,"note":null,"done":null,"price":null,"more":null,"at":null},"before":{"id":6,"version":` + version(got[4]) + `,"note":null,"done":null,"price":null,"more":null,"at":null}}`,
		`{"op":"truncate` + of + `}`,
	} {
		if i >= len(got) || string(got[i].Data) != want {
			t.Errorf("change %d is\n%.300s\nnot\n%.300s", i, got[i].Data, want)
		}
	}
}
