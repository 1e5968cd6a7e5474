package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// postgres is a cluster of its own, with the settings that initdb gives: every commit
// is flushed.
type postgres struct {
	cmd *exec.Cmd
	url string
}

// riverJob is a job as River keeps it: JSON.
type riverJob struct {
	Data string `json:"data"`
}

// Kind implements river.JobArgs.
func (riverJob) Kind() string { return "bench" }

func startRiver(dir string) (instance, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return nil, errAbsent
	}
	p, err := startPostgres(filepath.Dir(found[len(found)-1]), dir)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(context.Background(), p.url)
	if err == nil {
		defer pool.Close()
		for range 200 { // it takes connections before it is ready for them
			if err = pool.Ping(context.Background()); err == nil {
				break
			}
			<-time.After(50 * time.Millisecond)
		}
	}
	if err == nil {
		migrator, failed := rivermigrate.New(riverpgxv5.New(pool), nil)
		if err = failed; err == nil {
			_, err = migrator.Migrate(context.Background(), rivermigrate.DirectionUp, nil)
		}
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// startPostgres makes a cluster; as root, in the name of the user postgres, since it
// does not run as root.
func startPostgres(bin, dir string) (*postgres, error) {
	attr := &syscall.SysProcAttr{}
	data := filepath.Join(dir, "pg")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, errAbsent
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chmod(dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.Chown(data, uid, gid); err != nil {
			return nil, err
		}
	}
	initdb := exec.Command(bin+"/initdb", "-D", data, "-U", "bench", "-A", "trust")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	addr, port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &postgres{cmd: exec.Command(bin+"/postgres", "-D", data, "-h", "127.0.0.1", "-p", port, "-k", ""), url: "postgres://bench@" + addr + "/postgres?sslmode=disable&pool_max_conns=20"}
	p.cmd.SysProcAttr, p.cmd.Dir = attr, dir
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := answers(addr); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *postgres) pid() int { return p.cmd.Process.Pid }

// stop shuts down at once; the server's children end with it.
func (p *postgres) stop() { _ = p.cmd.Process.Signal(syscall.SIGQUIT); _ = p.cmd.Wait() }

type riverEnqueuer struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

func (p *postgres) enqueuer() (enqueuer, error) {
	pool, err := pgxpool.New(context.Background(), p.url)
	if err != nil {
		return nil, err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	return &riverEnqueuer{pool, client}, err
}

func (e *riverEnqueuer) enqueue(n int, payload []byte) error {
	list := make([]river.InsertManyParams, n)
	for i := range list {
		list[i].Args = riverJob{string(payload)}
	}
	_, err := e.client.InsertManyFast(context.Background(), list)
	return err
}

func (e *riverEnqueuer) close() { e.pool.Close() }

// riverWorker is a client that works with many jobs at a time, and fetches as often as
// River lets it: with its defaults it is bound by its own pauses.
type riverWorker struct{ url string }

func (p *postgres) worker() (worker, error) { return &riverWorker{p.url}, nil }

func (w *riverWorker) work(ctx context.Context, done func(int)) error {
	pool, err := pgxpool.New(context.Background(), w.url)
	if err != nil {
		return err
	}
	defer pool.Close()
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, river.WorkFunc(func(context.Context, *river.Job[riverJob]) error { return nil })); err != nil {
		return err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1000}}, Workers: workers, FetchCooldown: time.Millisecond,
	})
	if err != nil {
		return err
	}
	completed, cancel := client.SubscribeConfig(&river.SubscribeConfig{Kinds: []river.EventKind{river.EventKindJobCompleted}, ChanSize: 1 << 20})
	defer cancel()
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	for {
		select {
		case <-completed:
			done(1)
		case <-ctx.Done():
			return client.Stop(context.Background())
		}
	}
}
