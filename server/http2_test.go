package server

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

// certificate writes a certificate for loopback and its key, and gives a pool
// that trusts it.
func certificate(t *testing.T) (TLS, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for name, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return files, pool
}

// Publish, stream and long poll over each version of HTTP, with TLS and without.
func TestProtocols(t *testing.T) {
	files, pool := certificate(t)
	for _, c := range []struct {
		name    string
		encrypt bool
		set     func(*http.Protocols)
		major   int
	}{
		{"HTTP/1.1", false, func(p *http.Protocols) { p.SetHTTP1(true) }, 1},
		{"h2c", false, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, 2},
		{"HTTP/1.1 over TLS", true, func(p *http.Protocols) { p.SetHTTP1(true) }, 1},
		{"h2", true, func(p *http.Protocols) { p.SetHTTP2(true) }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, func(cfg *Config, _ *Options) {
				if c.encrypt {
					cfg.TLS = files
				}
			})
			if r.at.TLS != c.encrypt {
				t.Fatalf("addresses are %+v", r.at)
			}
			var speak http.Protocols
			c.set(&speak)
			r.client.Transport = &http.Transport{Protocols: &speak, TLSClientConfig: &tls.Config{RootCAs: pool}}
			exchange(t, r, c.major)
		})
	}
}

func exchange(t *testing.T, r *running, major int) {
	res, body := r.do("POST", "/v1/topics/a/events", "one", "Content-Type", "text/plain")
	if res.StatusCode != 201 || res.ProtoMajor != major {
		t.Fatalf("publish: %s %d %s", res.Proto, res.StatusCode, body)
	}
	stream := r.open("GET", "/v1/topics/a/events?after=earliest", "", "Accept", "text/event-stream")
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
	if got := next(); got != "one" {
		t.Fatalf("the stream begins with %q", got)
	}
	held := make(chan string, 1)
	go func() {
		_, body := r.do("GET", "/v1/topics/a/events?wait=50s", "")
		held <- body
	}()
	for !strings.Contains(r.want(200, "GET", "/metrics", ""), `parley_http_requests_total{route="poll"`) && major == 1 {
	}
	r.want(201, "POST", "/v1/topics/a/events", "two", "Content-Type", "text/plain")
	if got := next(); got != "two" {
		t.Fatalf("then comes %q", got)
	}
	// Over HTTP/2 the poll may have begun after the second event: it waits for one more.
	for n := 0; ; n++ {
		select {
		case body := <-held:
			if !strings.Contains(body, `"data":"`) {
				t.Fatalf("the held request gives %s", body)
			}
			return
		default:
			r.want(201, "POST", "/v1/topics/a/events", "more", "Content-Type", "text/plain")
		}
	}
}

func TestBadCertificate(t *testing.T) {
	files, _ := certificate(t)
	for _, f := range []TLS{{files.Cert, files.Cert}, {files.Cert, "nowhere.pem"}} {
		cfg := Default()
		cfg.TLS = f
		if _, err := New(cfg, Options{}); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%+v gives %v", f, err)
		}
	}
}
