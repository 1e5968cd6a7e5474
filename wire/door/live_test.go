package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/internal/memnet"
)

// queue is a Flow that sends what was put into it.
type queue struct {
	live *Live
	mu   sync.Mutex
	buf  []byte
	end  error
	done chan error
}

func (q *queue) put(s string) {
	q.mu.Lock()
	q.buf = append(q.buf, s...)
	q.mu.Unlock()
	q.live.Wake()
}

func (q *queue) Fill(dst []byte) ([]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	dst = append(dst, q.buf...)
	q.buf = nil
	return dst, q.end
}
func (q *queue) Beat(dst []byte) []byte  { return append(dst, '.') }
func (q *queue) Drain(dst []byte) []byte { return append(dst, "bye"...) }
func (q *queue) Read(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}
func (q *queue) Done(err error) { q.done <- err }

func startQueue(t *testing.T, lives *Lives, room int) (*queue, net.Conn) {
	t.Helper()
	server, client := memnet.Pipe(room)
	q := &queue{done: make(chan error, 1)}
	lives.Start(server, []byte("head "), func(l *Live) Flow { q.live = l; return q })
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return q, client
}

func readN(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLiveSendsAndBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := NewLives()
		running(t, lives.Run)
		q, c := startQueue(t, lives, 1<<16)
		q.put("one")
		if got := readN(t, c, 8); got != "head one" {
			t.Fatal(got)
		}
		start := time.Now()
		if got := readN(t, c, 1); got != "." || time.Since(start) > Heartbeat+time.Second || time.Since(start) < Heartbeat/2 {
			t.Fatalf("%q after %v", got, time.Since(start))
		}
		_ = c.Close()
		if err := <-q.done; err == nil {
			t.Fatal("no cause")
		}
		if lives.Count() != 0 {
			t.Fatal("still counted")
		}
	})
}

func TestLiveWaitsForASlowPeerAndThenLetsItGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := NewLives()
		running(t, lives.Run)
		q, c := startQueue(t, lives, 16) // the network holds 16 bytes
		q.put(string(bytes.Repeat([]byte("x"), 100)))
		synctest.Wait()
		q.put("later") // while the first write waits
		if got := readN(t, c, 110); got[105:] != "later" {
			t.Fatalf("%q", got)
		}
		q.put(string(bytes.Repeat([]byte("y"), 100)))
		start := time.Now()
		err := <-q.done // nobody reads
		if took := time.Since(start); took < WriteTimeout || took > 2*WriteTimeout+time.Second {
			t.Fatalf("gone after %v: %v", took, err)
		}
	})
}

func TestLiveOnlyLagsForAPeerThatReadsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := NewLives()
		running(t, lives.Run)
		q, c := startQueue(t, lives, 16)
		q.put(string(bytes.Repeat([]byte("x"), 160)))
		pause := time.NewTicker(WriteTimeout * 3 / 4)
		defer pause.Stop()
		for range 33 { // "head " and 160 bytes: it takes far longer than WriteTimeout
			<-pause.C
			readN(t, c, 5)
		}
		q.put("!")
		if got := readN(t, c, 1); got != "!" && got != "." {
			t.Fatalf("%q", got)
		}
	})
}

func TestLiveDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := NewLives()
		running(t, lives.Run)
		const n = 50
		var clients []net.Conn
		for range n {
			_, c := startQueue(t, lives, 1<<16)
			clients = append(clients, c)
		}
		start := time.Now()
		drained := make(chan error)
		go func() { drained <- lives.Drain(context.Background(), 10*time.Second) }()
		for _, c := range clients {
			all, err := io.ReadAll(c)
			if err != nil || string(all) != "head bye" {
				t.Fatalf("%q, %v", all, err)
			}
		}
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Fatalf("spread over %v", took)
		}
		q, c := startQueue(t, lives, 1<<16) // one that comes too late
		if all, _ := io.ReadAll(c); string(all) != "head bye" {
			t.Fatalf("%q", all)
		}
		<-q.done
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := NewLives() // not run: nothing is ever sent
		startQueue(t, lives, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := lives.Drain(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	})
}
