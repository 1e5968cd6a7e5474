package httpapi

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/pattern/websocket"
)

// A message has as long to arrive as a body, though bytes of it keep coming.
func TestAMessageHasTheTimeOfABody(t *testing.T) {
	for _, path := range []string{"/v1/topics/a/ws", "/v1/topics/a/batches"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			p := r.upgrade(path, "")
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				h := websocket.Header{Fin: true, Opcode: websocket.Binary, Masked: true, Length: 1000}
				for _, err := p.Write(h.AppendTo(nil)); err == nil; _, err = p.Write([]byte{0}) {
					<-time.After(5 * time.Second)
				}
			}()
			start := time.Now()
			code, reason := p.closed()
			if after := time.Since(start); code != websocket.ClosePolicy || reason != websocket.LateMessage || after < time.Minute || after > 62*time.Second {
				t.Errorf("%s: %d %q after %v", path, code, reason, after)
			}
			_ = p.Close()
			<-sent
			synctest.Wait()
			if n := r.lives.Count(); n != 0 {
				t.Errorf("%s: %d are left", path, n)
			}
		})
	}
}
