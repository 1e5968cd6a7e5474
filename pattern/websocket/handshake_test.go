package websocket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/memnet"
)

// good is the handshake of RFC 6455 §1.2; the rows change its lines.
const good = `GET /chat HTTP/1.1
Host: server.example.com
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13
`

// request parses good with some lines replaced (by their name) or added.
func request(t testing.TB, lines ...string) *http.Request {
	t.Helper()
	head := strings.Split(strings.TrimSpace(good), "\n")
	for _, l := range lines {
		name, _, _ := strings.Cut(l, ":")
		kept := head[:0:0]
		for _, h := range head {
			if !strings.HasPrefix(h, strings.TrimPrefix(name, "-")+":") {
				kept = append(kept, h)
			}
		}
		switch {
		case strings.HasPrefix(l, "GET "), strings.HasPrefix(l, "POST "):
			kept[0] = l
		case !strings.HasPrefix(l, "-"):
			for v := range strings.SplitSeq(l, "\n") {
				kept = append(kept, v)
			}
		}
		head = kept
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(head, "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return r
}

func TestHandshakeRules(t *testing.T) {
	const version, key = "Sec-WebSocket-Version", "Sec-WebSocket-Key"
	for _, row := range []struct {
		section, rule string
		lines         []string
		status        int    // 101 = accepted
		field         string // the field that the error names
	}{
		{"6455 1.2", "the example of the RFC", nil, 101, ""},
		{"6455 4.2.1", "POST", []string{"POST /chat HTTP/1.1"}, 405, "method"},
		{"6455 4.2.1", "HTTP/1.0", []string{"GET /chat HTTP/1.0"}, 400, "protocol"},
		{"6455 4.2.1", "no Host", []string{"-Host"}, 400, "Host"},
		{"6455 4.2.1", "no Upgrade", []string{"-Upgrade"}, 426, "Upgrade"},
		{"6455 4.2.1", "Upgrade to something else", []string{"Upgrade: h2c"}, 426, "Upgrade"},
		{"6455 4.2.1", "Upgrade lists several", []string{"Upgrade: h2c, WebSocket"}, 101, ""},
		{"6455 4.2.1", "no Connection", []string{"-Connection"}, 426, "Upgrade"},
		{"6455 4.2.1", "Connection: close", []string{"Connection: close"}, 426, "Upgrade"},
		{"6455 4.2.1", "Connection lists several tokens, as Firefox does", []string{"Connection: keep-alive, Upgrade"}, 101, ""},
		{"6455 4.2.1", "Connection in two lines", []string{"Connection: keep-alive\nConnection: UPGRADE"}, 101, ""},
		{"6455 4.2.1", "Connection with a longer word", []string{"Connection: Upgraded"}, 426, "Upgrade"},
		{"6455 4.4", "no version", []string{"-" + version}, 426, version},
		{"6455 4.4", "version 8", []string{version + ": 8"}, 426, version},
		{"6455 4.4", "version 130", []string{version + ": 130"}, 426, version},
		{"6455 4.2.1", "no key", []string{"-" + key}, 400, key},
		{"6455 4.2.1", "key of 15 bytes", []string{key + ": AAAAAAAAAAAAAAAAAAAA"}, 400, key},
		{"6455 4.2.1", "key of 17 bytes", []string{key + ": AAAAAAAAAAAAAAAAAAAAAAA="}, 400, key},
		{"6455 4.2.1", "key that is no base64", []string{key + ": dGhlIHNhbXBsZSBub25jZQ!!"}, 400, key},
		{"6455 4.2.1", "key with stray bits", []string{key + ": dGhlIHNhbXBsZSBub25jZR=="}, 400, key},
		{"6455 11.3.1", "two keys", []string{key + ": dGhlIHNhbXBsZSBub25jZQ==\n" + key + ": dGhlIHNhbXBsZSBub25jZQ=="}, 400, key},
		{"6455 4.1", "a body", []string{"Content-Length: 5"}, 400, "Content-Length"},
		{"6455 4.1", "a chunked body", []string{"Transfer-Encoding: chunked"}, 400, "Content-Length"},
		{"6455 4.1", "subprotocol twice", []string{"Sec-WebSocket-Protocol: a, a"}, 400, "Sec-WebSocket-Protocol"},
		{"6455 4.1", "subprotocol that is no token", []string{"Sec-WebSocket-Protocol: a b"}, 400, "Sec-WebSocket-Protocol"},
		{"6455 9.1", "extension without a name", []string{"Sec-WebSocket-Extensions: ;a"}, 400, "Sec-WebSocket-Extensions"},
		{"6455 9.1", "parameter without a value", []string{"Sec-WebSocket-Extensions: a; b="}, 400, "Sec-WebSocket-Extensions"},
		{"6455 9.1", "quoted value without its end", []string{`Sec-WebSocket-Extensions: a; b="c`}, 400, "Sec-WebSocket-Extensions"},
		{"6455 9.1", "quoted value that is no token", []string{`Sec-WebSocket-Extensions: a; b="c d"`}, 400, "Sec-WebSocket-Extensions"},
		{"6455 9.1", "unknown extensions", []string{`Sec-WebSocket-Extensions: a; b="c"; d, e;f=g`}, 101, ""},
		{"6455 9.1", "more extensions than any client offers", []string{"Sec-WebSocket-Extensions: a" + strings.Repeat(", a", 40)}, 400, "Sec-WebSocket-Extensions"},
		{"6455 10.2", "no Origin", nil, 101, ""},
		{"6455 10.2", "Origin of the same host", []string{"Origin: http://server.example.com"}, 101, ""},
		{"6455 10.2", "foreign Origin", []string{"Origin: http://evil.example"}, 403, "Origin"},
	} {
		a, no := negotiate(request(t, row.lines...), &Options{Subprotocols: []string{"a"}, Compression: true})
		switch {
		case no == nil && row.status != 101:
			t.Errorf("%s: %s: accepted, want %d", row.section, row.rule, row.status)
		case no != nil && (no.status != row.status || no.err.Field != row.field):
			t.Errorf("%s: %s: refused with %d %v, want %d %s", row.section, row.rule, no.status, no.err, row.status, row.field)
		case no == nil && a.accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=":
			t.Errorf("%s: %s: Sec-WebSocket-Accept is %s", row.section, row.rule, a.accept)
		}
	}
}

func TestOrigins(t *testing.T) {
	for _, row := range []struct {
		origin  string
		allowed []string
		want    bool
	}{
		{"http://server.example.com:80", nil, true},
		{"HTTP://SERVER.example.com", nil, true},
		{"http://server.example.com:8080", nil, false},
		{"https://server.example.com", nil, true}, // behind a proxy that ends TLS
		{"http://server.example.com.evil.example", nil, false},
		{"http://sub.server.example.com", nil, false},
		{"null", nil, false},
		{"null", []string{"*"}, true},
		{"server.example.com", nil, false},
		{"http://%zz", nil, false},
		{"https://app.example.com", []string{"https://app.example.com"}, true},
		{"https://app.example.com:443", []string{"https://APP.example.com"}, true},
		{"http://app.example.com", []string{"https://app.example.com"}, false},
		{"http://app.example.com", []string{"other.example", "app.example.com"}, true},
		{"http://app.example.com:81", []string{"app.example.com"}, false},
		{"http://app.example.com:81", []string{"app.example.com:81"}, true},
		{"http://a.b.example.com", []string{"*.example.com"}, true},
		{"http://example.com", []string{"*.example.com"}, false},
		{"http://badexample.com", []string{"*.example.com"}, false},
		{"http://server.example.com", []string{"app.example.com"}, false},
		{"http://[::1]:7275", []string{"[::1]:7275"}, true},
	} {
		if got := originAllowed(request(t, "Origin: "+row.origin), row.allowed); got != row.want {
			t.Errorf("%s with %q: %v", row.origin, row.allowed, got)
		}
	}
	if originAllowed(request(t, "Origin: http://server.example.com\nOrigin: http://server.example.com"), nil) {
		t.Error("two Origin headers are allowed")
	}
}

func TestSubprotocol(t *testing.T) {
	for _, row := range []struct{ offered, want string }{
		{"Sec-WebSocket-Protocol: c, b, a", "a"}, // the server's preference counts
		{"Sec-WebSocket-Protocol: c\nSec-WebSocket-Protocol: b", "b"},
		{"Sec-WebSocket-Protocol: A", ""}, // case matters
		{"Sec-WebSocket-Protocol: , c ,", ""},
		{"X-Other: 1", ""},
	} {
		a, no := negotiate(request(t, row.offered), &Options{Subprotocols: []string{"a", "b"}})
		if no != nil || a.subprotocol != row.want {
			t.Errorf("%q: chose %q (%v), want %q", row.offered, a.subprotocol, no, row.want)
		}
	}
}

func TestDeflateNegotiation(t *testing.T) {
	const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, row := range []struct{ section, rule, offer, want string }{
		{"7692 5", "nothing offered", "x-other", ""},
		{"7692 7.1", "without parameters", "permessage-deflate", plain},
		{"7692 7.1", "names have no case", "PerMessage-Deflate; Server_No_Context_Takeover", plain},
		{"7692 7.1.1", "both takeovers off", "permessage-deflate; client_no_context_takeover; server_no_context_takeover", plain},
		{"7692 7.1.1.1", "takeover with a value", "permessage-deflate; server_no_context_takeover=1", ""},
		{"7692 7.1.2.2", "client_max_window_bits is never sent back", "permessage-deflate; client_max_window_bits", plain},
		{"7692 7.1.2.2", "client_max_window_bits with a value", "permessage-deflate; client_max_window_bits=10", plain},
		{"7692 7.1.2.2", "quoted value", `permessage-deflate; client_max_window_bits="10"`, plain},
		{"7692 7.1.2.2", "bits too few", "permessage-deflate; client_max_window_bits=7", ""},
		{"7692 7.1.2.2", "bits too many", "permessage-deflate; client_max_window_bits=16", ""},
		{"7692 7.1.2", "leading zero", "permessage-deflate; client_max_window_bits=09", ""},
		{"7692 7.1.2.1", "a window that can be kept is named", "permessage-deflate; server_max_window_bits=15", plain + "; server_max_window_bits=15"},
		{"7692 7.1.2.1", "a smaller window is declined", "permessage-deflate; server_max_window_bits=14", ""},
		{"7692 7.1.2.1", "server_max_window_bits needs a value", "permessage-deflate; server_max_window_bits", ""},
		{"7692 7.1", "unknown parameter", "permessage-deflate; x", ""},
		{"7692 7.1", "parameter twice", "permessage-deflate; client_max_window_bits; client_max_window_bits=10", ""},
		{"7692 5", "the first that can be kept wins", "permessage-deflate; server_max_window_bits=9, x-other, permessage-deflate; client_max_window_bits, permessage-deflate; server_max_window_bits=15", plain},
	} {
		a, no := negotiate(request(t, "Sec-WebSocket-Extensions: "+row.offer), &Options{Compression: true})
		if no != nil || a.extension != row.want {
			t.Errorf("%s: %s: answered %q (%v), want %q", row.section, row.rule, a.extension, no, row.want)
		}
	}
	a, no := negotiate(request(t, "Sec-WebSocket-Extensions: permessage-deflate"), &Options{})
	if no != nil || a.extension != "" {
		t.Error("compression is agreed although it is off")
	}
}

// serve runs an HTTP server in memory and gives a raw connection to it.
func serve(t *testing.T, h http.HandlerFunc) net.Conn {
	t.Helper()
	ln := memnet.Listen(0)
	srv := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	nc, err := ln.Dial(context.Background(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close(); _ = srv.Close(); <-done })
	return nc
}

// What a client sends right behind its handshake, without waiting, is not lost;
// headers of others go out; the handler has returned when the echo comes.
func TestUpgradeOverHTTP(t *testing.T) {
	returned, ran := make(chan struct{}), make(chan error, 1)
	nc := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(returned)
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Sec-WebSocket-Accept", "wrong")
		c, err := Upgrade(w, r, Options{Subprotocols: []string{"chat"}})
		if err != nil {
			t.Error(err)
			return
		}
		if c.Subprotocol() != "chat" || c.Compressed() {
			t.Errorf("agreed on %q, compressed %v", c.Subprotocol(), c.Compressed())
		}
		go func() {
			<-returned
			ran <- c.Run(context.Background(), c.Write)
		}()
	})
	head := strings.ReplaceAll(good, "\n", "\r\n") + "Sec-WebSocket-Protocol: chat\r\n\r\n"
	if _, err := nc.Write(join([]byte(head), maskedString(0x81, "early"))); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
		"Sec-Websocket-Protocol": "chat", "Set-Cookie": "a=b",
	} {
		if got := strings.Join(resp.Header[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	b0, p, err := readFrame(r)
	if err != nil || describe(b0, p) != "text early" {
		t.Fatal(describe(b0, p), err)
	}
	if _, err := nc.Write(closing(1000, "")); err != nil {
		t.Fatal(err)
	}
	if b0, p, err = readFrame(r); err != nil || describe(b0, p) != bye {
		t.Fatal(describe(b0, p), err)
	}
	_ = nc.Close()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		head   string
		status int
		header string
		value  string
	}{
		{strings.Replace(good, "Version: 13", "Version: 12", 1), 426, "Sec-Websocket-Version", "13"},
		{strings.Replace(good, "Version: 13", "Version: 12", 1), 426, "Upgrade", "websocket"},
		{"GET / HTTP/1.1\nHost: x\n", 426, "Upgrade", "websocket"},
		{"DELETE / HTTP/1.1\nHost: x\n", 405, "Allow", "GET"},
		{good + "Origin: http://evil.example\n", 403, "X-Custom", ""},
	} {
		nc := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c, err := Upgrade(w, r, Options{}); err == nil || c != nil {
				t.Error("accepted")
			}
		})
		fmt.Fprint(nc, strings.ReplaceAll(row.head, "\n", "\r\n")+"\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != row.status || resp.Header.Get(row.header) != row.value {
			t.Errorf("%q: %d, %s: %q", row.head, resp.StatusCode, row.header, resp.Header.Get(row.header))
		}
	}
}

func TestUpgradeWithoutHijack(t *testing.T) {
	w := httptest.NewRecorder()
	if _, err := Upgrade(w, request(t), Options{}); parley.CodeOf(err) != parley.Internal || w.Code != 500 {
		t.Error(w.Code, err)
	}
	w = httptest.NewRecorder()
	if _, err := Upgrade(w, request(t), Options{MaxMessage: -1}); parley.CodeOf(err) != parley.Invalid || w.Code != 500 {
		t.Error(w.Code, err)
	}
	w = httptest.NewRecorder()
	refused := errors.New("")
	_, err := Upgrade(w, request(t, "-Upgrade"), Options{Refuse: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "mine")
		refused = err
	}})
	if w.Code != 426 || w.Body.String() != "mine" || !errors.Is(err, refused) {
		t.Error(w.Code, w.Body.String(), err)
	}
}
