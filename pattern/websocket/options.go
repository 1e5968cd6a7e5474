package websocket

import (
	"net/http"
	"time"

	"github.com/parleyhq/parley"
)

// Options steer Upgrade. The zero value works.
type Options struct {
	// Origins lists who may connect from a browser: "https://app.example.com",
	// "app.example.com" (any scheme), "*.example.com" (any name below), or "*"
	// for everybody, which is unsafe together with cookies. Default: the host
	// that the request itself was sent to. Requests without an Origin header do
	// not come from a browser and always pass.
	Origins []string

	// Subprotocols that the server speaks, best first. The first one that the
	// client offers is chosen; without a match none is.
	Subprotocols []string

	// Compression agrees to permessage-deflate when the client offers it.
	Compression bool

	// CompressAbove is the payload in bytes from which on a message is
	// compressed. Default 512.
	CompressAbove int

	// MaxMessage is the longest message in bytes that is accepted, whether it
	// was compressed or not. Default 64 KiB. A longer one ends the connection
	// with 1009.
	MaxMessage int

	// MaxFragments is how many frames one message may have. Default 1024. More
	// end the connection with 1008.
	MaxFragments int

	// ReadBuffer is for a connection that is never quiet, such as one that many
	// batches are published through: it keeps buffers of its own for reading, of
	// so many bytes at first, and of up to 512 KiB, and of a message of up to
	// 1 MiB, as what arrives needs them. Default 0: an idle connection has none.
	ReadBuffer int

	// MessageTimeout is how long one message may take to arrive, from its first
	// byte to its last. Default 1 minute. A slower one ends the connection with
	// 1008, as soon as KeepAlive, or who drives Beat, looks.
	MessageTimeout time.Duration

	// WriteTimeout is how long one write may take before the peer counts as
	// gone. Default 10 s.
	WriteTimeout time.Duration

	// CloseTimeout is how long the closing handshake may take. Default 2 s.
	CloseTimeout time.Duration

	// Refuse answers a request that cannot be upgraded. Headers that belong to
	// the refusal are already set on w. Default: the error as plain text.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, err error)
}

// withDefaults fills what is zero and refuses what makes no sense.
func (o Options) withDefaults() (Options, error) {
	for _, n := range []struct {
		name  string
		value int
	}{
		{"CompressAbove", o.CompressAbove},
		{"MaxMessage", o.MaxMessage},
		{"MaxFragments", o.MaxFragments},
		{"ReadBuffer", o.ReadBuffer},
		{"MessageTimeout", int(o.MessageTimeout)},
		{"WriteTimeout", int(o.WriteTimeout)},
		{"CloseTimeout", int(o.CloseTimeout)},
	} {
		if n.value < 0 {
			return o, parley.BadField(n.name, "is negative", "leave it zero for the default")
		}
	}
	for _, p := range o.Subprotocols {
		if !isToken(p) {
			return o, parley.BadField("Subprotocols", "is not a token of RFC 9110: "+p, "use letters, digits, '-' and '.'")
		}
	}
	setDefault(&o.CompressAbove, defaultCompressAbove)
	setDefault(&o.MaxMessage, 64<<10)
	setDefault(&o.MaxFragments, 1024)
	setDefault(&o.MessageTimeout, time.Minute)
	setDefault(&o.WriteTimeout, 10*time.Second)
	setDefault(&o.CloseTimeout, 2*time.Second)
	if o.Refuse == nil {
		o.Refuse = func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			text := err.Error()
			if status >= http.StatusInternalServerError {
				text = http.StatusText(status) // the cause is none of the client's business
			}
			http.Error(w, text, status)
		}
	}
	return o, nil
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// defaultCompressAbove is below what a frame's deflate overhead would gain.
const defaultCompressAbove = 512
