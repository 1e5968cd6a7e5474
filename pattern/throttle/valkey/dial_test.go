package valkey

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"valkey://127.0.0.1:6380":                "127.0.0.1:6380  ",
		"redis://store":                          "store:6379  ",
		"rediss://ann:s%40crt@store:1/3":         "store:1 ann s@crt tls 3",
		"valkeys://:pw@a,b:7,[::1]":              "a:6379,b:7,[::1]:6379  pw tls",
		"valkey://127.0.0.1:6379/12":             "127.0.0.1:6379   12",
		"valkey://":                              "",
		"http://store:6379":                      "",
		"valkey://a,,b":                          "",
		"valkey://store:":                        "",
		"valkey://ann:secret@store:6379/nowhere": "",
		"store:6379":                             "",
		"":                                       "",
	} {
		o, err := parseURL(url)
		if want == "" {
			if parley.CodeOf(err) != parley.Invalid || strings.Contains(err.Error(), "secret") || CheckURL(url) == nil {
				t.Errorf("%s: %v, %v", url, o, err)
			}
			if _, err := Dial(url); err == nil {
				t.Errorf("%s is dialled", url)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		got := strings.Join(o.Addrs, ",") + " " + o.Username + " " + o.Password
		if o.TLSConfig != nil {
			got += " tls"
		}
		if o.DB != 0 {
			got += fmt.Sprint(" ", o.DB)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("valkey://u:p@h:1,i/2")
	f.Add("rediss://[::1]:6379")
	f.Fuzz(func(t *testing.T, url string) {
		if o, err := parseURL(url); err == nil && len(o.Addrs) == 0 {
			t.Errorf("%q has no address", url)
		}
	})
}

func TestTheLibraryLogsWhereItIsTold(t *testing.T) {
	var quiet, loud strings.Builder
	for level, out := range map[slog.Level]*strings.Builder{slog.LevelInfo: &quiet, slog.LevelDebug: &loud} {
		LogTo(slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})))
		client, err := Dial("valkey://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Ping(t.Context()).Err(); err == nil {
			t.Error("somebody listens on port 1")
		}
		_ = client.Close()
	}
	LogTo(slog.New(slog.DiscardHandler))
	if quiet.Len() != 0 || !strings.Contains(loud.String(), "failed to dial") {
		t.Errorf("quiet: %q, loud: %q", quiet.String(), loud.String())
	}
}
