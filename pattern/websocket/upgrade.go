package websocket

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"time"

	"github.com/parleyhq/parley"
)

// Upgrade answers an opening handshake (RFC 6455 §4.2) and takes the connection
// over from net/http. Headers already set on w, cookies for example, go out with
// the answer.
//
// The connection outlives the handler: start Conn.Run or a loop of Conn.Read on
// a goroutine of its own and return. Only then does net/http give back the
// handler's stack and its two buffers, together more than all the rest of an
// idle connection. r must not be used afterwards, nor its context, which ends
// with the handler.
//
// When the request cannot be upgraded, Options.Refuse has answered it by the time
// the error is returned: 405 for another method, 426 for a request that is no
// handshake or for another version, 403 for a foreign origin, else 400. The
// error is a *parley.Error that names the header at fault.
func Upgrade(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	o, err := o.withDefaults()
	if err != nil {
		o.answer(w, r, http.StatusInternalServerError, err)
		return nil, err
	}
	a, no := negotiate(r, &o)
	if no != nil {
		if no.header[0] != "" {
			w.Header().Set(no.header[0], no.header[1])
		}
		if no.status == http.StatusUpgradeRequired {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
		}
		o.Refuse(w, r, no.status, no.err)
		return nil, no.err
	}
	head := a.response(w.Header())
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		err := &parley.Error{Code: parley.Internal, Detail: "the connection cannot be taken over", Err: err}
		o.Refuse(w, r, http.StatusInternalServerError, err)
		return nil, err
	}
	early, err := buffered(rw.Reader)
	if err == nil {
		err = start(nc, head, o.WriteTimeout)
	}
	if err != nil {
		_ = nc.Close() // nothing was agreed yet, the first error says it all
		return nil, &parley.Error{Code: parley.Unavailable, Detail: "the client left during the handshake", Err: err}
	}
	return newConn(nc, a, o, early), nil
}

// answer refuses with the default answer when the options themselves are at fault.
func (o Options) answer(w http.ResponseWriter, r *http.Request, status int, err error) {
	if o.Refuse != nil {
		o.Refuse(w, r, status, err)
		return
	}
	http.Error(w, http.StatusText(status), status)
}

// response encodes the 101 answer with the headers that others have set.
func (a *agreement) response(set http.Header) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(a.accept)
	b.WriteString("\r\n")
	if a.subprotocol != "" {
		b.WriteString("Sec-WebSocket-Protocol: " + a.subprotocol + "\r\n")
	}
	if a.extension != "" {
		b.WriteString("Sec-WebSocket-Extensions: " + a.extension + "\r\n")
	}
	// WriteSubset makes newlines in values harmless; a buffer takes every write.
	_ = set.WriteSubset(&b, map[string]bool{
		"Upgrade": true, "Connection": true, "Content-Length": true, "Content-Type": true, "Transfer-Encoding": true,
		"Sec-Websocket-Accept": true, "Sec-Websocket-Protocol": true, "Sec-Websocket-Extensions": true,
	})
	b.WriteString("\r\n")
	return b.Bytes()
}

// buffered saves what net/http has read beyond the head: frames of a client that
// did not wait for the answer.
func buffered(r *bufio.Reader) ([]byte, error) {
	n := r.Buffered()
	if n == 0 {
		return nil, nil
	}
	p, err := r.Peek(n)
	return bytes.Clone(p), err
}

// start sends the answer.
func start(nc net.Conn, head []byte, timeout time.Duration) error {
	if err := nc.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := nc.Write(head)
	return err
}
