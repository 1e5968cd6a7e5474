package archtest

// rule says what the packages that it matches may use in product code. The first
// rule that matches a package holds; a package that none matches fails the test.
//
// A package pattern is a path below the module: "." is the root, "x/*" is one
// level below x, "x/..." is x and all below it; several are separated by spaces.
type rule struct {
	pkgs  string
	ours  string // what of ours may be imported
	third string // module path prefixes of third-party code
	never string // standard packages that must not be imported, as patterns too
	kit   bool   // a test kit: it may import testing, and product code never imports it
	why   string // printed when the rule is broken
}

// all is what every pattern may stand on.
const all = ". base/* pattern/throttle "

// DO NOT CHANGE THIS TABLE TO MAKE A BUILD PASS: an import that it forbids is a
// design question. Answer it with a decision record, then change the row.
var rules = []rule{
	{
		pkgs: ".", never: "net/... os/... log/... syscall unsafe reflect",
		why: "the waist is values and five methods: it starts nothing and touches nothing",
	},

	// Below: how events are kept. An engine knows the waist and nothing above it.
	{pkgs: "engine/enginetest", ours: ".", kit: true, why: "the suite of the waist's contract names no engine"},
	{pkgs: "engine/memlog", ours: ". internal/recent internal/watch", never: "net/... os/...", why: "the engine in memory touches memory only"},
	{
		pkgs: "engine/disklog", ours: ". internal/vfs internal/run internal/recent internal/watch", never: "net/... os",
		why: "all files go through internal/vfs, so that tests can make them fail",
	},
	{pkgs: "engine/natslog/natshost", ours: ". base/shard engine/natslog", third: "github.com/nats-io/", why: "the one engine package that knows base/shard: it hosts shards"},
	{pkgs: "engine/natslog", ours: ". internal/run internal/watch", third: "github.com/nats-io/", why: "an engine knows the waist and its client library"},

	// Between: what all patterns stand on and none owns.
	{pkgs: "base/shard/shardtest base/topic/topictest", ours: ". base/...", kit: true, why: "a test kit of base"},
	{pkgs: "base/*", ours: ". base/*", never: "net/... os", why: "base stands on the waist alone, for every engine and every door"},

	// Above: what events mean.
	{pkgs: "pattern/throttle", never: "net/... os/... log/...", why: "throttle is arithmetic over times that it is given: it can be imported alone"},
	{pkgs: "pattern/throttle/httpthrottle", ours: "pattern/throttle", never: "net os/...", why: "throttling for net/http can be imported alone too"},
	{pkgs: "pattern/throttle/outage", never: "net/... os/... log/...", why: "what is done without the counts is arithmetic over times, too"},
	{pkgs: "pattern/throttle/policy", ours: ". base/roll base/topic pattern/throttle pattern/throttle/httpthrottle pattern/throttle/outage", never: "net os/...", why: "named limits are events in the log and know no door"},
	{pkgs: "pattern/throttle/sharded", ours: ". base/journal base/shard pattern/throttle", never: "net/... os/...", why: "counts with one owner stand on base/shard, apart from the arithmetic"},
	{pkgs: "pattern/throttle/valkey", ours: ". pattern/throttle pattern/throttle/outage", third: "github.com/valkey-io/ github.com/redis/", why: "third-party code that only some need lives in a sub-package"},
	{pkgs: "pattern/pubsub/exprfilter", ours: all + "pattern/pubsub", third: "github.com/expr-lang/expr", why: "third-party code that only some need lives in a sub-package"},
	{pkgs: "pattern/stream/schema", ours: ". base/roll base/topic", third: "github.com/santhosh-tekuri/jsonschema/", never: "net os/...", why: "third-party code that only some need lives in a sub-package; a schema never reads what it refers to"},
	{pkgs: "pattern/pipe/jq", ours: all + "pattern/pipe", third: "github.com/itchyny/gojq", why: "third-party code that only some need lives in a sub-package"},
	{
		pkgs: "pattern/pubsub pattern/rpc pattern/stream", ours: all, never: "net os os/exec",
		why: "a pattern knows no other pattern but throttle; what it carries it asks for by an interface",
	},
	{pkgs: "pattern/queue", ours: all + "pattern/pubsub", never: "net os os/exec", why: "a queue may be fed by a subscription"},
	{pkgs: "pattern/poll pattern/sse", ours: all + "pattern/pubsub", never: "net os os/exec", why: "a delivery pattern is a loop over a subscription"},
	{pkgs: "pattern/websocket", ours: all + "pattern/pubsub", never: "os/exec", why: "a delivery pattern is a loop over a subscription"},
	{pkgs: "pattern/webhook pattern/webhook/*", ours: all + "pattern/pubsub pattern/queue pattern/webhook", never: "os/exec", why: "a webhook is a queue whose worker POSTs"},
	{pkgs: "pattern/pipe pattern/pipe/*", ours: all + "pattern/pubsub pattern/pipe pattern/pipe/*", third: "github.com/expr-lang/expr gopkg.in/yaml.v3 go.yaml.in/yaml", why: "a pipe reads subscriptions; queue, webhook and http are stages that it is given"},
	{pkgs: "pattern/patterntest", ours: ". base/... pattern/... engine/enginetest", kit: true, why: "the suites of the patterns name no engine and no door: both are handed in"},

	// Beside: protocols.
	{pkgs: "wire/door", ours: all + "pattern/pubsub pattern/throttle/policy", third: "golang.org/x/sys", why: "what doors share is not a pattern's"},
	{pkgs: "wire/httpapi wire/httpapi/*", ours: ". base/* pattern/... wire/door wire/httpapi/*", why: "a door turns bytes into calls: it names no engine and no other door"},
	{pkgs: "wire/grpcapi wire/grpcapi/...", ours: ". base/* pattern/... wire/door wire/grpcapi/...", third: "google.golang.org/ github.com/envoyproxy/", why: "a door turns bytes into calls: it names no engine and no other door"},
	{pkgs: "wire/kafkaapi wire/kafkaapi/...", ours: ". base/* pattern/... wire/door", third: "github.com/twmb/franz-go/pkg/kmsg github.com/klauspost/compress github.com/pierrec/lz4", why: "a door turns bytes into calls: it names no engine and no other door"},

	// Around.
	{pkgs: "client", ours: ". base/cursor pattern/...", third: "github.com/coder/websocket", why: "the SDK links no server: patterns give it their value types"},
	{pkgs: "client/overgrpc", ours: ". client pattern/queue pattern/stream wire/grpcapi/parley/v1 wire/grpcapi/packed", third: "google.golang.org/", why: "gRPC is apart, so that the SDK links it only for those who ask; the messages, generated or by hand, are the protocol itself"},
	{pkgs: "console", never: "os/... net", why: "the console is embedded files over the public API: no door of its own"},
	{pkgs: "console/lab", ours: ". client pattern/pipe pattern/queue wire/door", never: "os/...", why: "the lab is a client of the API that measures its own connections; queue has the value types of its client, and a pipe runs where its caller is"},
	{
		pkgs: "server server/...", ours: ". base/... pattern/... wire/... engine/... console internal/run internal/vfs internal/suggest server/...",
		third: "github.com/klauspost/compress github.com/pierrec/lz4 gopkg.in/yaml.v3 go.yaml.in/yaml google.golang.org/ go.opentelemetry.io/ github.com/prometheus/",
		why:   "the server composes: it alone names engines",
	},
	{
		pkgs: "cmd/...", ours: ". server server/... client client/overgrpc base/... pattern/... wire/door cmd/... internal/run internal/suggest console console/lab",
		third: "github.com/spf13/ github.com/expr-lang/expr gopkg.in/yaml.v3 go.yaml.in/yaml golang.org/x/term",
		why:   "the command is thin: flags, files, signals and exit codes over server and client",
	},
	{pkgs: "examples/...", ours: ". server client base/... pattern/... engine/...", why: "an example uses what a user can use"},

	// Leaves.
	{pkgs: "internal/memnet internal/script internal/archtest", kit: true, why: "a test kit of the standard library alone"},
	{pkgs: "internal/vfs", third: "golang.org/x/sys", never: "net/...", why: "a leaf imports nothing of ours"},
	{pkgs: "internal/*", never: "net/... os/...", why: "a leaf imports nothing of ours, and touches nothing"},
}

// Third-party code of tests: what is heavier, or talks to the world, has its
// tests in the modules below test/ and bench/.
var testThird = []struct{ pkgs, third, why string }{
	{"./...", "pgregory.net/rapid", "models and properties"},
	{".", "github.com/twmb/franz-go/pkg/kmsg", "another implementation of record batches"},
	{"pattern/websocket", "github.com/coder/websocket", "another implementation of the protocol"},
	{"pattern/patterntest", "github.com/coder/websocket google.golang.org/", "the doors are reached as their clients do it"},
	{"engine/natslog/...", "github.com/nats-io/", "a server inside the test"},
}

// excuse lets one file make a forbidden call, for a reason.
type excuse struct{ file, call, why string }

var excuses = []excuse{
	{"base/journal/actor.go", "panic", "a group is closed before it could be too large: a record that does not fit is a bug, and going on would lose a move"},
	{"base/shard/desk.go", "context.Background", "a post lives until it is shut, whoever opened it"},
	{"engine/natslog/natshost/peers.go", "context.Background", "a request comes from another process: its life is what the asker says"},
	{"engine/natslog/natshost/seat.go", "context.Background", "an owner stays until another takes over, whoever asks it"},
	{"pattern/queue/registry_log.go", "context.Background", "a queue lives until it is deleted, whoever asked for it"},
	{"base/topic/machine.go", "panic", "the values are our own: JSON has all their kinds"},
	{"internal/vfs/faulty.go", "panic", "a malformed rule is a mistake in a test"},
	{"server/config.go", "panic", "a default is text in our own table, and a test sets every one"},
	{"pattern/websocket/close.go", "context.Background", "the wait for the peer's close frame is bounded by the connection, not by a caller"},
}

// The ten, and the suites.
var patterns = []string{
	"pipe", "poll", "websocket", "throttle", "rpc", "pubsub", "queue", "webhook", "sse", "stream", "patterntest",
}

// The folders at the top; another one is an architecture question too.
var tops = []string{
	"base", "bench", "changes", "client", "cmd", "console", "docs", "engine", "examples", "internal", "pattern", "sdk", "server", "test", "wire",
}

// Names that say nothing.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "shared"}

// Sizes: above the first a file or function is reported, above the second it
// fails.
const (
	fileLines, fileLinesMax = 500, 700
	funcLines, funcLinesMax = 60, 100
	interfaceMethods        = 7
	structFields            = 40 // a ceiling against god objects; fifteen is the aim
)
