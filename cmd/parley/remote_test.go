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

// TestLimitsAreTold: who is refused hears of it at once when the pause is long, and
// before it when it is sat out.
func TestLimitsAreTold(t *testing.T) {
	url, command := served(t)
	put(t, url+"/v1/limits/hourly", `{"limit":"1/1h","on":["publish:rare"],"key":"everyone"}`)
	put(t, url+"/v1/limits/shut", `{"limit":"0/s","on":["publish:none"],"key":"everyone"}`)
	put(t, url+"/v1/limits/slow", `{"limit":"gcra 1/1s burst=1","on":["publish:slow"],"key":"everyone"}`)
	command("pub", "rare", "a")
	for topic, want := range map[string]string{
		"rare": "✗ parley pub [throttled]\n  why  the limit hourly refuses it: More requests came than the limit admits. Try again in ",
		"none": "✗ parley pub [forbidden]\n  why  the limit shut refuses it: The limit here is zero: nothing is admitted.\n  fix  have the limit shut raised\n",
	} {
		if r := command("pub", topic, "b"); r.code != exitFailure || !strings.HasPrefix(r.err, want) {
			t.Errorf("%s: code %d, %s", topic, r.code, r.err)
		}
	}
	command("pub", "slow", "a")
	if r := command("pub", "slow", "b"); r.code != exitOK || !strings.HasPrefix(r.err, "waiting 1s, since the limit slow refuses it") {
		t.Errorf("slow: code %d, %s", r.code, r.err)
	}
}
