package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/pattern/websocket"
	"github.com/parleyhq/parley/wire/door"
)

func recordBatch(t testing.TB, values ...string) string {
	t.Helper()
	var b parley.Builder
	for _, v := range values {
		if err := b.AddRecord(time.Now(), nil, []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return string(batch.Bytes())
}

// answered reads one answer.
func (p *peer) answered() (placed BatchAnswer, refused BatchRefusal) {
	p.t.Helper()
	op, text := p.frame()
	if op != websocket.Text {
		p.t.Fatalf("%v %q", op, text)
	}
	if strings.HasPrefix(text, `{"position"`) {
		if err := json.Unmarshal([]byte(text), &placed); err != nil {
			p.t.Fatal(err)
		}
		return placed, refused
	}
	if err := json.Unmarshal([]byte(text), &refused); err != nil || refused.Type == "" {
		p.t.Fatalf("%v in %q", err, text)
	}
	return placed, refused
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.upgrade("/v1/topics/a/batches", "")
		p.send(websocket.Binary, recordBatch(t, "one", "two"))
		p.send(websocket.Binary, recordBatch(t, "three")) // before the first answer
		first, refused := p.answered()
		if refused.Type != "" || first.Position != 1 || first.Replayed {
			t.Fatalf("%+v %+v", first, refused)
		}
		if second, _ := p.answered(); second.Position != 3 {
			t.Fatalf("%+v", second)
		}
		if _, body := r.do("GET", events, ""); strings.Count(body, `"id"`) != 3 || !strings.Contains(body, "dGhyZWU=") {
			t.Error(body)
		}
	})
}

// What is wrong with one batch is its answer, and the next one is taken.
func TestBatchesThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("PUT", "/v1/topics/a", `{"max_event":1000}`)
		p := r.upgrade("/v1/topics/a/batches", "")
		good := recordBatch(t, "x")
		for _, row := range []struct {
			op      websocket.Opcode
			message string
			code    parley.Code
			field   string
		}{
			{websocket.Text, "{}", parley.Invalid, "message"},
			{websocket.Binary, "", parley.Invalid, "message"},
			{websocket.Binary, "nonsense", parley.Invalid, "message"},
			{websocket.Binary, good[:len(good)-1], parley.Invalid, "message"},
			{websocket.Binary, good + "x", parley.Invalid, "message"},
			{websocket.Binary, good[:30] + "x" + good[31:], parley.Invalid, "message"},
			{websocket.Binary, recordBatch(t, strings.Repeat("x", 1001)), parley.TooLarge, "record_batch"},
		} {
			p.send(row.op, row.message)
			if _, got := p.answered(); got.Type != door.ProblemType+row.code.String() || got.Field != row.field || got.Fix == "" {
				t.Errorf("%.20q: %+v", row.message, got)
			}
		}
		p.send(websocket.Binary, good)
		if placed, refused := p.answered(); placed.Position != 1 {
			t.Errorf("%+v %+v", placed, refused)
		}
	})
}

func TestBatchesWithKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.upgrade("/v1/topics/a/batches?keys=true", "")
		one, other := recordBatch(t, "one"), recordBatch(t, "other")
		const key = "0123456789abcdef"
		for i, row := range []struct {
			message  string
			position parley.Position
			replayed bool
			refused  string
		}{
			{key + one, 1, false, ""},
			{key + one, 1, true, ""},
			{key + other, 0, false, "key-reused"},
			{"0123456789abcdeF" + other, 2, false, ""},
			{"short", 0, false, "invalid"},
		} {
			p.send(websocket.Binary, row.message)
			placed, refused := p.answered()
			if placed.Position != row.position || placed.Replayed != row.replayed || strings.TrimPrefix(refused.Type, door.ProblemType) != row.refused {
				t.Errorf("%d: %+v %+v", i, placed, refused)
			}
		}
	})
}

func TestBatchesGoToTheirPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("PUT", "/v1/topics/a", `{"partitions":3}`)
		p := r.upgrade("/v1/topics/a/batches?partition=2", "")
		p.send(websocket.Binary, recordBatch(t, "x"))
		p.answered()
		topic, _ := r.topics.Get("a")
		if end, err := r.log.End(t.Context(), topic.Partitions[2].Stream); err != nil || end != 2 {
			t.Errorf("%d, %v", end, err)
		}
		far := r.upgrade("/v1/topics/a/batches?partition=3", "")
		far.send(websocket.Binary, recordBatch(t, "x"))
		if _, refused := far.answered(); refused.Field != "partition" {
			t.Errorf("%+v", refused)
		}
	})
}

// A limit refuses a batch and says when to send it again; the connection stays.
func TestBatchesAreLimitedEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) {
			s.log = memlog.New(memlog.Options{})
			s.Throttle = limitsOver(t, s.log, policy.Options{Fixed: map[string]policy.Definition{"pace": {Limit: "sliding-log 2/10s", Key: "everyone", On: []string{"publish"}}}})
			s.Admission = door.Limited(s.Throttle)
		})
		p := r.upgrade("/v1/topics/a/batches", "") // which is one itself
		batch := recordBatch(t, "x")
		p.send(websocket.Binary, batch)
		p.answered()
		p.send(websocket.Binary, batch)
		_, refused := p.answered()
		if refused.Status != 429 || refused.RetryAfter <= 0 || refused.RetryAfter > 10 {
			t.Fatalf("%+v", refused)
		}
		<-time.After(time.Duration(refused.RetryAfter * float64(time.Second)))
		p.send(websocket.Binary, batch)
		if placed, refused := p.answered(); placed.Position != 2 {
			t.Errorf("%+v", refused)
		}
	})
}

func TestBatchSocketsEnd(t *testing.T) {
	t.Run("the server leaves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			p := r.upgrade("/v1/topics/a/batches", "")
			go func() { _ = r.lives.Drain(t.Context(), 0) }()
			if code, _ := p.closed(); code != websocket.CloseShutdown {
				t.Error(code)
			}
		})
	})
	t.Run("nobody is there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			p := r.upgrade("/v1/topics/a/batches", "")
			if op, _ := p.frame(); op != websocket.Ping {
				t.Error(op)
			}
			if code, _ := p.closed(); code != websocket.CloseNoPong || r.lives.Count() > 1 {
				t.Error(code)
			}
			_ = p.Close()
			synctest.Wait()
			if n := r.lives.Count(); n != 0 {
				t.Errorf("%d are left", n)
			}
		})
	})
}
