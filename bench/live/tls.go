package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/parleyhq/parley/bench/target"
)

// trusting takes any certificate: the server's is made for this run.
var trusting = &tls.Config{InsecureSkipVerify: true}

// perConn is how many HTTP/2 streams share a connection.
const perConn = 100

// idleTLS measures server-sent events over TLS, with HTTP/1.1 and with HTTP/2.
func idleTLS() error {
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cert, key, err := certificate(dir)
	if err != nil {
		return err
	}
	n := *clients / 4 // handshakes are dear, and the cost of each is the same
	for _, k := range []struct {
		name    string
		h2      bool
		streams int
	}{{"sse, TLS", false, 1}, {"sse, h2", true, perConn}} {
		open := func(s *target.Server) (func(), error) { return streams(s.HTTP, n, k.streams, k.h2) }
		if err := idle(k.name, n, open, "tls-cert", cert, "tls-key", key); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// streams opens n event streams, so many of them on one connection.
func streams(addr string, n, onOne int, h2 bool) (func(), error) {
	var bodies []*http.Response
	var transports []*http.Transport
	shut := func() {
		for _, b := range bodies {
			_ = b.Body.Close()
		}
		for _, t := range transports {
			t.CloseIdleConnections()
		}
	}
	var mu sync.Mutex
	var failed error
	var work sync.WaitGroup
	next := make(chan *http.Transport)
	for range 16 {
		work.Go(func() {
			for t := range next {
				for range onOne {
					req, _ := http.NewRequest(http.MethodGet, "https://"+addr+"/v1/topics/live/events", nil)
					req.Header.Set("Accept", "text/event-stream")
					res, err := t.RoundTrip(req)
					mu.Lock()
					if err != nil {
						failed = err
					} else {
						bodies = append(bodies, res)
					}
					mu.Unlock()
				}
			}
		})
	}
	for range n / onOne {
		t := &http.Transport{TLSClientConfig: trusting, ForceAttemptHTTP2: h2, DialContext: (&net.Dialer{}).DialContext}
		transports = append(transports, t)
		next <- t
	}
	close(next)
	work.Wait()
	return shut, failed
}

func certificate(dir string) (cert, key string, err error) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &priv.PublicKey, priv)
	if err != nil {
		return "", "", err
	}
	keyDER, err := x509.MarshalECPrivateKey(priv)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err = os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err == nil {
		err = os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600)
	}
	return cert, key, err
}
