package examples

import (
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// TestFromPostgres loads a table into a topic; a second run adds no row that is not
// there, and a table that is not there fails the pipe with what psql says.
func TestFromPostgres(t *testing.T) {
	db, s := rig.NewPostgres(t), rig.Serve(t)
	at, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PGDATABASE=" + strings.TrimPrefix(at.Path, "/"), "PGHOST=" + at.Query().Get("host"), "PGUSER=" + at.Query().Get("user")}
	file := pipeExample(t, "etl/postgres.yaml")
	cmd := exec.Command(rig.Binary(t), "pipe", "run", file)
	cmd.Env = append(os.Environ(), append(env, "PARLEY_URL="+s.URL)...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), `relation "orders" does not exist`) {
		t.Errorf("%v: %s", err, out)
	}
	db.Exec(t, `CREATE TABLE orders (id int PRIMARY KEY, customer text, state text, cents int);
		INSERT INTO orders SELECT n, E'Ann \\ "Bo"\n' || n, CASE WHEN n % 2 = 0 THEN 'paid' ELSE 'open' END, n * 10 FROM generate_series(1, 3000) n`)
	runPipe(t, s, t.TempDir(), file, nil, env...)
	got := topic(t, s, "orders.paid")
	if n := strings.Count(got, "\n"); n != 1500 || !strings.HasPrefix(got, `{"cents":20,"customer":"ann \\ \"bo\"\n2","id":2}`+"\n") {
		t.Errorf("%d are loaded: %.200s", n, got)
	}
	runPipe(t, s, t.TempDir(), file, nil, env...)
	nothingNew(t, got, topic(t, s, "orders.paid"))
}
