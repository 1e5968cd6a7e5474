package server

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

func listenFields() []Field {
	return []Field{
		scalar(Field{
			Path: "listen", Type: "HOST:PORT", Default: "127.0.0.1:7275", Flag: "listen",
			Doc: "Where HTTP is served: the API, WebSocket, server-sent events and the console. Port 0 takes a free one and prints it. Anything but loopback needs `tokens`, or `insecure`.",
		}, func(c *Config) *string { return &c.Listen }, parseAddress),
		scalar(Field{
			Path: "drain", Type: "duration", Default: "5s", Flag: "drain",
			Doc: "Over how long the ends of streams and sockets are spread when the server stops, so that their clients do not all come back at once. Use about 30s in production.",
		}, func(c *Config) *time.Duration { return &c.Drain }, parseDuration(0, 10*time.Minute)),
		scalar(Field{
			Path: "insecure", Type: "true or false", Default: "false", Flag: "insecure",
			Doc: "Allows to listen on other addresses than loopback without `tokens`: everybody who reaches the port may then do everything.",
		}, func(c *Config) *bool { return &c.Insecure }, parseBool),
	}
}

func parseAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port) //nolint:noctx // it asks nobody: names of ports are in a file
	}
	if err != nil || strings.ContainsAny(host, " /") {
		return "", parley.BadField("", text+" is not HOST:PORT", "write it like 127.0.0.1:7275, or :7275 for all addresses")
	}
	return text, nil
}

// isLoopback says whether only this machine reaches an address. A name other than
// localhost is looked up by nobody: it may mean anything tomorrow.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// checkExposure refuses to let the network in where everybody may do everything.
func (c Config) checkExposure() error {
	if c.Insecure || len(c.Tokens) > 0 {
		return nil
	}
	for _, a := range []struct{ field, address string }{{"listen", c.Listen}, {"grpc", c.GRPC}} {
		if a.address == off || isLoopback(a.address) {
			continue
		}
		return &parley.Error{
			Code: parley.Forbidden, Field: a.field,
			Detail: a.address + " can be reached from other machines, and there are no tokens",
			Fix:    "make one with `parley token NAME --scope '*'`, listen on 127.0.0.1, or say --insecure if the network is trusted",
		}
	}
	return nil
}
