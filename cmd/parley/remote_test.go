package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A certificate that the system does not know is trusted by --ca, and only then.
func TestCertificateAuthority(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"topics":[{"name":"orders"}]}`)) // the client would tell
	}))
	defer s.Close()
	dir := t.TempDir()
	ca, empty := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "empty.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for file, text := range map[string][]byte{ca: block, empty: nil} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := invoke(t, "topic", "ls", "--server", s.URL, "--ca", ca); r.code != exitOK || !strings.Contains(r.out, "orders") {
		t.Errorf("with its CA: code %d, %s", r.code, r.err)
	}
	for _, row := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitFailure, "is not trusted"},
		{[]string{"--ca", empty}, exitUsage, "no certificate"},
		{[]string{"--ca", filepath.Join(dir, "none.pem")}, exitUsage, "--ca"},
	} {
		r := invoke(t, append([]string{"topic", "ls", "--server", s.URL}, row.args...)...)
		if r.code != row.code || !strings.Contains(r.err, row.says) {
			t.Errorf("%v: code %d, %s", row.args, r.code, r.err)
		}
	}
}
