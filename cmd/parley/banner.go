package main

import (
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/parleyhq/parley/server"
)

// banner is the first thing that somebody sees of a server: where everything is,
// and what to try.
type banner struct {
	loaded  server.Loaded
	at      server.Addresses
	console bool
	paint   func(colour, text string) string
}

// url is where this machine reaches the server.
func (b banner) url() string {
	scheme := "http"
	if b.at.TLS {
		scheme = "https"
	}
	return scheme + "://" + dialable(b.at.HTTP)
}

// dialable turns an address that listens on everything into one to go to.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// String gives the banner.
func (b banner) String() string {
	c, url := b.loaded.Config, b.url()
	var s strings.Builder
	line := func(name, text string) {
		fmt.Fprintf(&s, "  %s %s\n", b.paint(dim, fmt.Sprintf("%-8s", name)), text)
	}
	fmt.Fprintf(&s, "%s %s   data %s   Ctrl-C drains and stops\n", b.paint(bold, "parley"), version(), b.data())
	if b.loaded.File != "" {
		line("Config", b.loaded.File)
	}
	if b.console {
		line("Console", b.paint(blue, url+"/"))
	}
	line("API", b.paint(blue, url+"/v1")+"   described by "+url+"/v1/openapi.json")
	if b.at.GRPC != "" {
		line("gRPC", b.at.GRPC)
	}
	line("Health", url+"/healthz   /readyz   /metrics")
	for _, r := range c.Routes {
		line("Route", url+r.Path+"   "+r.As+" of "+r.Topic)
	}
	token := ""
	if len(c.Tokens) > 0 {
		line("Access", "by token: Authorization: Bearer TOKEN")
		token = ` -H "Authorization: Bearer $TOKEN"`
	}
	fmt.Fprintf(&s, "\n  %s\n", b.paint(bold, "Try"))
	topic := url + "/v1/topics/hello/events"
	fmt.Fprintf(&s, "    curl%s %s -d '{\"hello\": \"world\"}'\n", token, topic)
	fmt.Fprintf(&s, "    curl%s '%s?after=earliest'\n", token, topic)
	fmt.Fprintf(&s, "    curl%s -N -H 'Accept: text/event-stream' %s\n\n", token, topic)
	return s.String()
}

func (b banner) data() string {
	if b.loaded.Config.Where() == server.Memory {
		return "in memory, gone when it stops"
	}
	return b.loaded.Config.Where()
}

// log is the banner of a server whose output is read by programs.
func (b banner) log(l *slog.Logger) {
	l.Info("serving", slog.String("version", version()), slog.String("http", b.url()), slog.String("grpc", b.at.GRPC), slog.String("data", b.loaded.Config.Where()), slog.String("config", b.loaded.File))
}
