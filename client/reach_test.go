package client_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// TestUnreachable says why there is no connection, and what to do.
func TestUnreachable(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	tests := []struct {
		name, url, says string
		code            parley.Code
	}{
		{"unknown certificate", secure.URL, "is not trusted: x509: ", parley.Unauthenticated},
		{"plain text to TLS", strings.Replace(secure.URL, "https", "http", 1), "speaks TLS", parley.Unsupported},
		{"TLS to plain text", strings.Replace(plain.URL, "http", "https", 1), "does not speak TLS", parley.Unsupported},
		{"nobody there", "http://" + nobody, "connection refused", parley.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := client.New(tt.url, client.Options{Retries: -1})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Topics(t.Context())
			if parley.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v: … %s", err, tt.code, tt.says)
			}
			if tt.code == parley.Unavailable {
				return // a subscription waits for the server
			}
			for _, over := range []client.Transport{client.SSE, client.WebSocket, client.LongPoll} {
				for _, err := range c.Subscribe(t.Context(), client.Subscription{Topics: []string{"a"}, Over: over}) {
					if parley.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
						t.Errorf("%s: %v, want %v: … %s", over, err, tt.code, tt.says)
					}
				}
			}
		})
	}
}
