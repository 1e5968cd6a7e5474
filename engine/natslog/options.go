package natslog

import (
	"crypto/tls"
	"log/slog"
	"net"
	"regexp"

	"github.com/parleyhq/parley"
)

// Memory is the home of streams that are kept in memory only, on every replica.
const Memory = -1

// Options of a Log. URL must be given; the rest has defaults.
type Options struct {
	// URL is where the servers are: nats://a:4222,b:4222. A scheme tls:// and
	// user:password@ are understood too.
	URL string
	// Credentials is the path of a file with a user's JWT and seed; "" = none.
	Credentials string
	// TLS is how to speak with the servers when they want it; nil is the system's
	// trust.
	TLS *tls.Config
	// Prefix begins the names of all JetStream streams and subjects: letters,
	// digits, _ and -, at most 32. Default: parley.
	Prefix string
	// Replicas is on how many servers each event is: 1, 3 or 5. Default: 3.
	Replicas int
	// Homes is how many JetStream streams share the load; it cannot change later.
	// Default: 1.
	Homes int
	// Home says in which home a stream lives: 0 to Homes − 1, or Memory. It must
	// answer the same on all nodes for as long as the stream exists. Streams that
	// are appended to in one commit need one home. Default: Memory for names that
	// begin with ~, else 0.
	Home func(parley.Stream) int
	// MemoryBytes bounds the home Memory; beyond it Append answers Full. Default:
	// 256 MiB.
	MemoryBytes int64
	// Synced says that the servers run with sync_interval: always. Without it a
	// warning says what a power cut can take away.
	Synced bool
	// Dial makes the connections to the servers. Default: those of the system.
	Dial func(network, address string) (net.Conn, error)
	// Logger hears of the connection and of what looks unsafe. Default:
	// slog.Default.
	Logger *slog.Logger
}

// dialer is Options.Dial as the client library takes it.
type dialer func(network, address string) (net.Conn, error)

// Dial implements nats.CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

var prefixes = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

const maxHomes = 64

func (o Options) withDefaults() (Options, error) {
	if o.Prefix == "" {
		o.Prefix = "parley"
	}
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	if o.Homes == 0 {
		o.Homes = 1
	}
	if o.Home == nil {
		o.Home = func(s parley.Stream) int {
			if s.Name != "" && s.Name[0] == '~' {
				return Memory
			}
			return 0
		}
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 256 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	switch {
	case o.URL == "":
		return o, parley.BadField("url", "is empty", "name a server: nats://HOST:4222")
	case !prefixes.MatchString(o.Prefix):
		return o, parley.BadField("prefix", "is not a name", "use 1 to 32 letters, digits, _ and -")
	case o.Replicas != 1 && o.Replicas != 3 && o.Replicas != 5:
		return o, parley.BadField("replicas", "is not 1, 3 or 5", "use 3, or 1 where one server is all there is")
	case o.Homes < 0 || o.Homes > maxHomes:
		return o, parley.BadField("homes", "is out of bounds", "use 1 to 64")
	case o.MemoryBytes < 1<<20:
		return o, parley.BadField("memory", "is too little", "use at least 1 MiB")
	}
	return o, nil
}
