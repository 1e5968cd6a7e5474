package door

import (
	"net/http"
	"sync"
	"time"

	"github.com/parleyhq/parley/pattern/pubsub"
)

// Stream serves a flow inside its handler, for connections that cannot leave
// net/http: HTTP/2. The head is written already. It returns when the flow, the
// client or the server ends.
func (ls *Lives) Stream(w http.ResponseWriter, r *http.Request, flow func(pubsub.Waker) Flow) error {
	s := &stream{wake: make(chan struct{}, 1), leave: make(chan struct{}), ctl: http.NewResponseController(w), w: w}
	f := flow(s)
	ls.Enter(s)
	err := s.run(r, f)
	f.Done(err)
	ls.Leave(s)
	return nil // the answer has begun: there is nothing more to tell
}

type stream struct {
	wake  chan struct{}
	once  sync.Once
	leave chan struct{} // closed when it is this stream's turn to end
	ctl   *http.ResponseController
	w     http.ResponseWriter
}

// Wake implements pubsub.Waker.
func (s *stream) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Drain implements Farewell.
func (s *stream) Drain() { s.once.Do(func() { close(s.leave) }) }

func (s *stream) run(r *http.Request, f Flow) error {
	beat := time.NewTimer(jitter(Heartbeat))
	defer beat.Stop()
	var buf []byte
	for {
		var end error
		buf, end = f.Fill(buf[:0])
		if len(buf) > 0 || end != nil {
			if err := s.write(buf); err != nil || end != nil {
				return firstOf(err, end)
			}
			beat.Reset(jitter(Heartbeat))
			continue
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-s.leave:
			return s.write(f.Drain(buf))
		case <-beat.C:
			beat.Reset(jitter(Heartbeat))
			if err := s.write(f.Beat(buf)); err != nil {
				return err
			}
		case <-s.wake:
		}
	}
}

// write sends and flushes in steps, each within the deadline of one write.
func (s *stream) write(b []byte) error {
	// HTTP/2 resets a stream whose deadline passes, also while nobody writes.
	defer func() { _ = s.ctl.SetWriteDeadline(time.Time{}) }()
	for {
		// A writer without deadlines has no server timeout to lift either.
		_ = s.ctl.SetWriteDeadline(time.Now().Add(WriteTimeout))
		step := b[:min(len(b), slowStep)]
		if _, err := s.w.Write(step); err != nil {
			return err
		}
		if err := s.ctl.Flush(); err != nil {
			return err
		}
		if b = b[len(step):]; len(b) == 0 {
			return nil
		}
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
