package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Postgres is a database of a PostgreSQL server that the test binary has started
// for itself. The server listens on a socket in a temporary folder and on no port;
// it decodes its log (wal_level=logical).
type Postgres struct {
	Name string
	URL  string // postgres:///NAME?…, as libpq and its like take it
}

// NewPostgres makes an empty database. The server starts with the first, and ends
// in Main; a test package that has no Main leaves it to the end of the process.
func NewPostgres(t testing.TB) *Postgres {
	t.Helper()
	s, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	name := "test" + strconv.Itoa(int(s.made.Add(1)))
	s.url("postgres").Exec(t, "CREATE DATABASE "+name)
	return s.url(name)
}

// Exec runs SQL in psql, and gives the rows, one a line with | between columns.
// SQL that fails fails the test, and what it had done of a script stays done.
func (p *Postgres) Exec(t testing.TB, sql string) string {
	t.Helper()
	out, err := p.Try(sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try is Exec that may fail, and be called in any goroutine.
func (p *Postgres) Try(sql string) (string, error) {
	cmd := exec.Command("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", p.URL, "-f", "-")
	cmd.Stdin = bytes.NewReader([]byte(sql))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("psql: %w\n%s", err, &errs)
	}
	return string(bytes.TrimSuffix(out, []byte("\n"))), nil
}

// cluster is the server.
type cluster struct {
	dir  string
	cmd  *exec.Cmd
	gone chan struct{}
	made atomic.Int32
}

func (c *cluster) url(name string) *Postgres {
	return &Postgres{Name: name, URL: "postgres:///" + name + "?host=" + c.dir + "&user=postgres"}
}

var postgres = sync.OnceValues(func() (*cluster, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "parley-pg")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, gone: make(chan struct{})}
	if err := c.start(programs); err != nil {
		_ = os.RemoveAll(dir) // the first error says more
		return nil, err
	}
	atEnd = append(atEnd, c.stop)
	return c, nil
})

// postgresPrograms is the folder with initdb and postgres.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // where Debian has it, by version
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("%w; run test/all install", err)
	}
	return filepath.Dir(path), nil
}

// start makes the files of a server and starts it.
func (c *cluster) start(programs string) error {
	as, err := c.owner()
	if err != nil {
		return err
	}
	data := filepath.Join(c.dir, "data")
	initdb := exec.Command(filepath.Join(programs, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = c.dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own
	c.cmd = exec.Command(filepath.Join(programs, "postgres"), "-D", data, "-k", c.dir, "-c", "listen_addresses=", "-c", "wal_level=logical",
		"-c", "fsync=off", "-c", "client_connection_check_interval=100ms", "-c", "max_wal_senders=10", "-c", "max_replication_slots=10", "-c", "shared_buffers=16MB")
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = c.dir, log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT} // its children end with it
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = c.cmd.Wait() // stop does not mind how
		close(c.gone)
	}()
	if err := c.greet(); err != nil {
		c.stop()
		return err
	}
	return nil
}

// owner is the user who the server runs as, and who owns its folder: PostgreSQL
// refuses to run as root. nil is whoever we are.
func (c *cluster) owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres") // the package makes it
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(c.dir, uid, gid) //nolint:gosec // ids are that large
}

// greet waits until the server answers.
func (c *cluster) greet() error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if _, err = c.url("postgres").Try("SELECT 1"); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.gone:
			end = time.Time{}
		}
	}
	log, _ := os.ReadFile(filepath.Join(c.dir, "log")) // what there is of it
	return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
}

// stop ends the server at once, and removes its files.
func (c *cluster) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
	<-c.gone
	_ = os.RemoveAll(c.dir) // the system cleans up after us
}
