package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

func TestEngineSetting(t *testing.T) {
	for value, good := range map[string]bool{
		"nats://a:4222,b:4222": true, "tls://a": true, "": true, "kafka://a": false, "a:4222": false, "./data": false,
	} {
		if _, err := parseEngine(value); (err == nil) != good {
			t.Errorf("engine: %q gives %v", value, err)
		}
	}
	l, err := Load(Sources{Flags: map[string][]string{"engine": {"nats://me:secret@a:4222"}, "replicas": {"1"}}})
	if err != nil || l.Config.NATS.Replicas != 1 || l.Config.Where() != "nats://a:4222" {
		t.Errorf("%+v, %v; shown as %s", l.Config.NATS, err, l.Config.Where())
	}
	if _, err := Load(Sources{Flags: map[string][]string{"replicas": {"2"}}}); err == nil || !strings.Contains(err.Error(), "nats.replicas") {
		t.Errorf("two replicas: %v", err)
	}
}

// TestEngineErrors: what is wrong with a NATS engine is told in the words of the
// configuration.
func TestEngineErrors(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.pem")
	text := filepath.Join(t.TempDir(), "text.pem")
	if err := os.WriteFile(text, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := Default()
	base.Engine = "nats://127.0.0.1:1"
	for field, change := range map[string]func(*NATS){
		"engine":      func(*NATS) {},
		"nats.ca":     func(n *NATS) { n.CA = none },
		"nats.cert":   func(n *NATS) { n.Cert = text },
		"nats.prefix": func(n *NATS) { n.Prefix = "a.b" },
	} {
		c := base
		change(&c.NATS)
		_, err := openStorage(t.Context(), c, Default().Log.Logger(t.Output()))
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != field || e.Fix == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	c := base
	c.NATS.CA = text
	if _, err := openStorage(t.Context(), c, Default().Log.Logger(t.Output())); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("a file without a certificate: %v", err)
	}
}
