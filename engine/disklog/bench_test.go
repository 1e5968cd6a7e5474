package disklog

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// bare is group commit and nothing else, on the same files: what the log is
// measured against.
type bare struct {
	mu   sync.Mutex
	cond *sync.Cond
	buf  []byte
	next *signal
	f    vfs.File
	off  int64
	end  bool
}

func newBare(b *testing.B, fsys vfs.FS) *bare {
	f, err := fsys.Open("bare", vfs.Create)
	if err == nil {
		err = f.Preallocate(1 << 30)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		b.Fatal(err)
	}
	l := &bare{f: f, next: newSignal()}
	l.cond = sync.NewCond(&l.mu)
	go l.run()
	b.Cleanup(func() { l.mu.Lock(); l.end = true; l.cond.Signal(); l.mu.Unlock() })
	return l
}

func (l *bare) run() {
	var spare []byte
	for {
		l.mu.Lock()
		for len(l.buf) == 0 && !l.end {
			l.cond.Wait()
		}
		if l.end {
			l.mu.Unlock()
			return
		}
		buf, done := l.buf, l.next
		l.buf, l.next = spare[:0], newSignal()
		l.mu.Unlock()
		_, err := l.f.WriteAt(buf, l.off)
		l.off = (l.off + int64(len(buf))) % (1 << 29)
		if err == nil {
			err = l.f.Sync()
		}
		done.fire(err)
		spare = buf
	}
}

func (l *bare) append(p []byte) error {
	l.mu.Lock()
	l.buf = append(l.buf, p...)
	done := l.next
	l.cond.Signal()
	l.mu.Unlock()
	<-done.done
	return done.err
}

// syncP50 measures a flush after a small write to a preallocated file.
func syncP50(b *testing.B, fsys vfs.FS) time.Duration {
	f, err := fsys.Open("probe", vfs.Create)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Preallocate(4 << 20); err != nil {
		b.Fatal(err)
	}
	_ = f.Sync()
	var took []time.Duration
	for i := range 300 {
		_, _ = f.WriteAt(make([]byte, 8<<10), int64(i)*8<<10)
		start := time.Now()
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// clients runs b.N appends over so many goroutines.
func clients(b *testing.B, n int, do func(client, i int) error) {
	var left, failed atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for k := range n {
		wg.Go(func() {
			for i := 0; left.Add(-1) >= 0; i++ {
				if err := do(k, i); err != nil {
					failed.Add(1)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if failed.Load() > 0 {
		b.Fatal("appends failed")
	}
}

func benchLog(b *testing.B, fsys vfs.FS, o Options) *Log {
	o.Logger = quiet
	l, err := Open(fsys, o)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	return l
}

func benchBatch(b *testing.B, events, size int) parley.Batch {
	values := make([]string, events)
	for i := range values {
		values[i] = strings.Repeat("x", size)
	}
	return batch(b, values...)
}

// BenchmarkAppend: 64 clients with one Append outstanding each, every one
// flushed before it is answered. "of-window" is the rate as a share of clients ÷
// the median of a flush; the target is 0.6.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1024} {
		for _, streams := range []int{1, 1000} {
			b.Run(fmt.Sprintf("clients=64/bytes=%d/streams=%d", size, streams), func(b *testing.B) {
				fsys := vfs.OS(b.TempDir())
				l := benchLog(b, fsys, Options{})
				p50 := syncP50(b, fsys)
				batch := benchBatch(b, 1, size)
				names := make([]parley.Stream, streams)
				for i := range names {
					names[i] = name(fmt.Sprint("s/", i))
				}
				ctx := context.Background()
				clients(b, 64, func(k, i int) error {
					_, err := l.Append(ctx, parley.Write{Stream: names[(i*64+k)%streams], Batch: batch})
					return err
				})
				got := l.Counters()
				rate := float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(rate, "appends/s")
				b.ReportMetric(rate*p50.Seconds()/64, "of-window")
				mean := got.SyncTime / time.Duration(got.Syncs)
				b.ReportMetric(rate*mean.Seconds()/64, "of-window-meanwhile")
				b.ReportMetric(float64(got.Appends)/float64(got.Syncs), "appends/sync")
				b.ReportMetric(float64(got.Appends)/float64(got.Groups), "appends/group")
				b.ReportMetric(float64(p50.Microseconds()), "µs-sync-p50")
			})
		}
	}
}

// BenchmarkAppendBare is BenchmarkAppend on the bare log.
func BenchmarkAppendBare(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("clients=64/bytes=%d", size), func(b *testing.B) {
			fsys := vfs.OS(b.TempDir())
			l := newBare(b, fsys)
			p50 := syncP50(b, fsys)
			batch := benchBatch(b, 1, size)
			clients(b, 64, func(k, i int) error { return l.append(batch.Bytes()) })
			rate := float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "appends/s")
			b.ReportMetric(rate*p50.Seconds()/64, "of-window")
		})
	}
}

// BenchmarkWindow: 64 clients, each with batches of 64 events of 256 bytes,
// against the bare log with the same bytes.
func BenchmarkWindow(b *testing.B) {
	batch := benchBatch(b, 64, 256)
	run := func(b *testing.B, do func(k, i int) error) {
		b.SetBytes(int64(batch.Size()))
		clients(b, 64, do)
		b.ReportMetric(float64(b.N)*64/b.Elapsed().Seconds(), "events/s")
	}
	b.Run("log", func(b *testing.B) {
		l := benchLog(b, vfs.OS(b.TempDir()), Options{})
		ctx := context.Background()
		run(b, func(k, i int) error {
			_, err := l.Append(ctx, parley.Write{Stream: name("s"), Batch: batch})
			return err
		})
	})
	b.Run("bare", func(b *testing.B) {
		dir := vfs.OS(b.TempDir())
		l := newBare(b, dir)
		run(b, func(k, i int) error { return l.append(batch.Bytes()) })
	})
}

// BenchmarkReadCold reads segments from end to end through Read, checked;
// "file" is the same bytes with plain reads of the same size.
func BenchmarkReadCold(b *testing.B) {
	fsys := vfs.OS(b.TempDir())
	l := benchLog(b, fsys, Options{})
	batch := benchBatch(b, 64, 1024)
	ctx := context.Background()
	const total = 256 << 20
	for n := 0; n < total; n += 32 * batch.Size() {
		writes := make([]parley.Write, 32)
		for i := range writes {
			writes[i] = parley.Write{Stream: name("s"), Batch: batch}
		}
		if _, err := l.Append(ctx, writes...); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.core.Load().settle(ctx); err != nil {
		b.Fatal(err)
	}
	_, v := l.core.Load().find(name("s"))
	b.Run("runs", func(b *testing.B) {
		b.SetBytes(v.bytes())
		for b.Loop() {
			for at := parley.Position(0); ; {
				run, err := l.Read(ctx, parley.Place{Stream: name("s"), At: at}, 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				if run.Empty() {
					break
				}
				at = run.Next()
				run.Release()
			}
		}
	})
	b.Run("file", func(b *testing.B) {
		b.SetBytes(v.bytes())
		buf := make([]byte, 1<<20)
		for b.Loop() {
			for _, s := range v.segs {
				f, err := fsys.Open(segmentName(s.id), vfs.Read)
				if err != nil {
					b.Fatal(err)
				}
				for off := int64(0); ; off += int64(len(buf)) {
					if _, err := f.ReadAt(buf, off); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				_ = f.Close()
			}
		}
	})
}

// BenchmarkOpen opens a log of 1,000 streams with 8 segments each and reads the
// end of each; "heap-MiB" is what the open log keeps.
func BenchmarkOpen(b *testing.B) {
	fsys := vfs.OS(b.TempDir())
	const streams, lives = 1000, 8
	fill := func() {
		l, err := Open(fsys, Options{Logger: quiet})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		batch := benchBatch(b, 1, 1024)
		writes := make([]parley.Write, streams)
		for i := range writes {
			writes[i] = parley.Write{Stream: name(fmt.Sprint("s/", i)), Batch: batch}
		}
		if _, err := l.Append(ctx, writes...); err != nil {
			b.Fatal(err)
		}
		if err := l.core.Load().settle(ctx); err != nil {
			b.Fatal(err)
		}
		cancel()
		<-done
	}
	for range lives - 1 {
		fill()
	}
	for b.Loop() {
		before := heap()
		l, err := Open(fsys, Options{Logger: quiet})
		if err != nil {
			b.Fatal(err)
		}
		for i := range streams {
			if end, err := l.End(context.Background(), name(fmt.Sprint("s/", i))); err != nil || end == 0 {
				b.Fatal(end, err)
			}
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "heap-MiB")
		_ = l.Close()
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
